#include "codec/sha256.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

struct sha256_stream {
        EVP_MD_CTX *context;
};

static void must(bool ok) {
        if (!ok) /* OpenSSL without SHA-256 or out of memory */
                abort();
}

struct sha256_stream *sha256_new(void) {
        struct sha256_stream *s = NEW(struct sha256_stream);
        s->context = EVP_MD_CTX_new();
        must(s->context && EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) == 1);
        return s;
}

void sha256_update(struct sha256_stream *s, struct sv data) { must(EVP_DigestUpdate(s->context, data.data, data.len) == 1); }

void sha256_finish(struct sha256_stream *s, unsigned char ret[SHA256_SIZE]) {
        must(EVP_DigestFinal_ex(s->context, ret, NULL) == 1);
        EVP_MD_CTX_free(s->context);
        free(s);
}

void sha256(struct sv data, unsigned char ret[SHA256_SIZE]) {
        struct sha256_stream *s = sha256_new();
        sha256_update(s, data);
        sha256_finish(s, ret);
}

void hex_encode(const unsigned char *data, size_t len, char *ret) {
        static const char digits[] = "0123456789abcdef";
        for (size_t i = 0; i < len; i++) {
                ret[2 * i] = digits[data[i] >> 4];
                ret[2 * i + 1] = digits[data[i] & 15];
        }
        ret[2 * len] = '\0';
}

void sha256_hex(struct sv data, char ret[SHA256_HEX_SIZE]) {
        unsigned char digest[SHA256_SIZE];
        sha256(data, digest);
        hex_encode(digest, sizeof digest, ret);
}

void hmac_sha256(struct sv key, struct sv data, unsigned char ret[SHA256_SIZE]) {
        unsigned int len = SHA256_SIZE;
        must(HMAC(EVP_sha256(), key.data ? key.data : "", (int)key.len, (const unsigned char *)data.data, data.len, ret, &len) != NULL);
}
