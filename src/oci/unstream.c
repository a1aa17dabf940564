#include "oci/unstream.h"

#include <zlib.h>

#include "codec/sha256.h"

enum { INPUT_BYTES = 64 << 10, GZIP_WINDOW = 15 + 16 /* gzip's header wanted */ };
enum kind { KIND_UNKNOWN, KIND_PLAIN, KIND_GZIP, KIND_ZSTD };

struct unstream {
        compress_source source;
        void *arg;
        enum kind kind;
        struct sha256_stream *hash;
        uint64_t total, max;
        bool at_end, input_ended;
        unsigned char input[INPUT_BYTES];
        size_t have, at;
        /* gzip */
        z_stream z;
        bool has_z, member_ended;
        /* zstd */
        struct decompressor *zstd;
        struct sv piece; /* not handed out yet */
};

struct unstream *unstream_new(compress_source source, void *arg, uint64_t max) {
        struct unstream *u = NEW(struct unstream);
        u->source = source;
        u->arg = arg;
        u->max = max;
        u->hash = sha256_new();
        return u;
}

void unstream_free(struct unstream *u) {
        if (!u)
                return;
        unsigned char unused[SHA256_SIZE];
        if (u->hash)
                sha256_finish(u->hash, unused);
        if (u->has_z)
                inflateEnd(&u->z);
        decompressor_free(u->zstd);
        free(u);
}

static int refill(struct unstream *u, struct err *err) {
        if (u->at < u->have || u->input_ended)
                return 0;
        ssize_t n = u->source(u->arg, u->input, sizeof u->input, err);
        if (n < 0)
                return (int)n;
        u->at = 0;
        u->have = (size_t)n;
        u->input_ended = n == 0;
        return 0;
}

/* What zstd's decoder reads: first what was looked at to tell the kind. */
static ssize_t buffered_source(void *arg, void *buf, size_t cap, struct err *err) {
        struct unstream *u = arg;
        size_t n = u->have - u->at;
        if (!n)
                return u->source(u->arg, buf, cap, err);
        if (n > cap)
                n = cap;
        memcpy(buf, u->input + u->at, n);
        u->at += n;
        return (ssize_t)n;
}

static int begin(struct unstream *u, struct err *err) {
        /* Four bytes tell; a source may give fewer at a time. */
        while (u->have < 4 && !u->input_ended) {
                ssize_t n = u->source(u->arg, u->input + u->have, sizeof u->input - u->have, err);
                if (n < 0)
                        return (int)n;
                u->have += (size_t)n;
                u->input_ended = n == 0;
        }
        const unsigned char *p = u->input;
        if (u->have >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
                u->kind = KIND_GZIP;
                if (inflateInit2(&u->z, GZIP_WINDOW) != Z_OK)
                        return err_set(err, -ENOMEM, "gzip: no memory");
                u->has_z = true;
        } else if (u->have >= 4 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd && p[0] == 0x28) {
                u->kind = KIND_ZSTD;
                u->zstd = decompressor_new(COMPRESS_ZSTD, buffered_source, u, 0);
        } else {
                u->kind = KIND_PLAIN;
        }
        return 0;
}

static ssize_t read_gzip(struct unstream *u, void *buf, size_t cap, struct err *err) {
        u->z.next_out = buf;
        u->z.avail_out = (unsigned)cap;
        while (u->z.avail_out == cap) {
                int r = refill(u, err);
                if (r < 0)
                        return r;
                if (u->input_ended && u->at == u->have) {
                        if (u->member_ended)
                                return 0;
                        return err_set(err, -EBADMSG, "gzip: the stream stops early");
                }
                if (u->member_ended) {
                        /* Several members in a row are one stream; what follows and is none (padding) ends it. */
                        if (u->input[u->at] != 0x1f || inflateReset(&u->z) != Z_OK) {
                                u->at = u->have;
                                continue;
                        }
                        u->member_ended = false;
                }
                u->z.next_in = u->input + u->at;
                u->z.avail_in = (unsigned)(u->have - u->at);
                int z = inflate(&u->z, Z_NO_FLUSH);
                u->at = u->have - u->z.avail_in;
                if (z == Z_STREAM_END)
                        u->member_ended = true;
                else if (z != Z_OK && z != Z_BUF_ERROR)
                        return err_set(err, -EBADMSG, "gzip: %s", u->z.msg ? u->z.msg : "damaged");
        }
        return (ssize_t)(cap - u->z.avail_out);
}

static ssize_t read_zstd(struct unstream *u, void *buf, size_t cap, struct err *err) {
        while (!u->piece.len) {
                int r = decompressor_next(u->zstd, &u->piece, err);
                if (r < 0)
                        return r;
                if (r == 0)
                        return decompressor_truncated(u->zstd) ? err_set(err, -EBADMSG, "zstd: the stream stops early") : 0;
        }
        size_t n = u->piece.len < cap ? u->piece.len : cap;
        memcpy(buf, u->piece.data, n);
        u->piece.data += n;
        u->piece.len -= n;
        return (ssize_t)n;
}

ssize_t unstream_read(struct unstream *u, void *buf, size_t cap, struct err *err) {
        if (u->at_end || !cap)
                return 0;
        if (u->kind == KIND_UNKNOWN) {
                int r = begin(u, err);
                if (r < 0)
                        return r;
        }
        ssize_t n = u->kind == KIND_GZIP   ? read_gzip(u, buf, cap, err)
                    : u->kind == KIND_ZSTD ? read_zstd(u, buf, cap, err)
                                           : buffered_source(u, buf, cap, err);
        if (n < 0)
                return n;
        u->at_end = n == 0;
        u->total += (uint64_t)n;
        if (u->total > u->max)
                return err_set(err, -EFBIG, "more than %llu bytes when decompressed", (unsigned long long)u->max);
        if (n > 0)
                sha256_update(u->hash, sv_new(buf, (size_t)n));
        return n;
}

int unstream_finish(struct unstream *u, char ret[OCI_DIGEST_SIZE], struct err *err) {
        char rest[16384];
        ssize_t n;
        while ((n = unstream_read(u, rest, sizeof rest, err)) > 0)
                ;
        if (n < 0)
                return (int)n;
        unsigned char digest[SHA256_SIZE];
        sha256_finish(TAKE(u->hash), digest);
        memcpy(ret, "sha256:", 7);
        hex_encode(digest, sizeof digest, ret + 7);
        return 0;
}

uint64_t unstream_total(const struct unstream *u) { return u->total; }

ssize_t unstream_from_fd(void *arg, void *buf, size_t cap, struct err *err) {
        int fd = *(const int *)arg;
        for (;;) {
                ssize_t n = read(fd, buf, cap);
                if (n >= 0)
                        return n;
                if (errno != EINTR)
                        return err_errno(err, -errno, "reading");
        }
}
