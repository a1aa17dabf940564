/* Randomness from the kernel. Pure layers take ids as arguments. */
#ifndef FIRESTEEL_BASE_RAND_H
#define FIRESTEEL_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *ret, size_t len);
uint64_t rand_u64(void);
/* `digits` lower-case hexadecimal digits and a NUL. */
void rand_hex(char *ret, size_t digits);
/* A version-4 UUID. */
void rand_uuid(char ret[37]);
/* Kubernetes' alphabet for generateName suffixes (no vowels, no 0, 1, 3), and a NUL. */
void rand_kube_suffix(char *ret, size_t len);

#endif
