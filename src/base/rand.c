#include "base/rand.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/mem.h"

void rand_bytes(void *ret, size_t len) {
        unsigned char *p = ret;
        while (len > 0) {
                ssize_t n = getrandom(p, len, 0);
                if (n < 0)
                        abort(); /* the kernel's generator does not fail once it is seeded */
                p += n;
                len -= (size_t)n;
        }
}

uint64_t rand_u64(void) {
        uint64_t n;
        rand_bytes(&n, sizeof n);
        return n;
}

static void pick(char *ret, size_t len, const char *alphabet, size_t size) {
        unsigned char bytes[64];
        for (size_t i = 0; i < len; i++) {
                if (i % sizeof bytes == 0)
                        rand_bytes(bytes, sizeof bytes);
                ret[i] = alphabet[bytes[i % sizeof bytes] % size];
        }
        ret[len] = '\0';
}

void rand_hex(char *ret, size_t digits) { pick(ret, digits, "0123456789abcdef", 16); }
void rand_kube_suffix(char *ret, size_t len) { pick(ret, len, "bcdfghjklmnpqrstvwxz2456789", 27); }

void rand_uuid(char ret[37]) {
        unsigned char b[16];
        rand_bytes(b, sizeof b);
        b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
        b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
        snprintf(ret, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
                 b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
