/* SHA-256 and HMAC-SHA-256 (OpenSSL). */
#ifndef FIRESTEEL_CODEC_SHA256_H
#define FIRESTEEL_CODEC_SHA256_H

#include "base/str.h"

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

void sha256(struct sv data, unsigned char ret[SHA256_SIZE]);
void sha256_hex(struct sv data, char ret[SHA256_HEX_SIZE]);
void hmac_sha256(struct sv key, struct sv data, unsigned char ret[SHA256_SIZE]);
/* Lower-case hexadecimal digits and a NUL; ret holds 2 * len + 1. */
void hex_encode(const unsigned char *data, size_t len, char *ret);

/* In pieces, for files. */
struct sha256_stream;
struct sha256_stream *sha256_new(void);
void sha256_update(struct sha256_stream *s, struct sv data);
/* Writes the digest and frees the stream. */
void sha256_finish(struct sha256_stream *s, unsigned char ret[SHA256_SIZE]);

#endif
