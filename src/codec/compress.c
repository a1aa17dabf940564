#include "codec/compress.h"

#include <lz4.h>
#include <xxhash.h>
#include <zstd.h>

struct decompressor {
        enum compress_codec codec;
        compress_source source;
        void *source_arg;
        uint64_t max_output, consumed, produced;
        char *in; /* COMPRESS_INPUT_BUFFER bytes; [in_pos, in_len) is not yet taken */
        size_t in_pos, in_len;
        char *block; /* a compressed block larger than `in` */
        size_t block_cap;
        char *out; /* decoded text */
        size_t out_cap;
        bool at_eof, done, truncated, snappy_started, zstd_pending;
        bool lost; /* it ended where it cannot go on from */
        struct ZSTD_DCtx_s *zstd;
        size_t zstd_hint; /* 0: between frames */
};

static const struct {
        const char *name;
        enum compress_codec codec;
} names[] = {
        {"none", COMPRESS_NONE}, {"zstd", COMPRESS_ZSTD}, {"lz4", COMPRESS_LZ4}, {"snappy", COMPRESS_SNAPPY}, {"lzf", COMPRESS_LZF},
};

bool compress_codec_parse(struct sv name, enum compress_codec *ret) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (sv_eqs(name, names[i].name) || (i == 0 && name.len == 0)) {
                        *ret = names[i].codec;
                        return true;
                }
        }
        return false;
}

const char *compress_codec_name(enum compress_codec codec) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (names[i].codec == codec)
                        return names[i].name;
        return "unknown";
}

struct decompressor *decompressor_new(enum compress_codec codec, compress_source source, void *arg, uint64_t max_output) {
        struct decompressor *d = NEW(struct decompressor);
        d->codec = codec;
        d->source = source;
        d->source_arg = arg;
        d->max_output = max_output;
        d->in = xmalloc(COMPRESS_INPUT_BUFFER);
        if (codec == COMPRESS_ZSTD) {
                d->zstd = ZSTD_createDCtx();
                if (!d->zstd)
                        abort(); /* as every small allocation */
        }
        return d;
}

void decompressor_free(struct decompressor *d) {
        if (!d)
                return;
        ZSTD_freeDCtx(d->zstd);
        free(d->in);
        free(d->block);
        free(d->out);
        free(d);
}

bool decompressor_truncated(const struct decompressor *d) { return d->truncated; }
bool decompressor_resume(struct decompressor *d) {
        if (!d->done || !d->at_eof || d->lost)
                return false;
        d->at_eof = d->done = d->truncated = false;
        return true;
}

uint64_t decompressor_in(const struct decompressor *d) { return d->consumed; }
uint64_t decompressor_out(const struct decompressor *d) { return d->produced; }

/* More input behind what is left in the buffer: the number of bytes added, 0 at the end. */
static ssize_t refill(struct decompressor *d, struct err *err) {
        if (d->at_eof)
                return 0;
        if (d->in_pos) {
                memmove(d->in, d->in + d->in_pos, d->in_len - d->in_pos);
                d->in_len -= d->in_pos;
                d->in_pos = 0;
        }
        ssize_t n = d->source(d->source_arg, d->in + d->in_len, COMPRESS_INPUT_BUFFER - d->in_len, err);
        if (n < 0)
                return n;
        if (n == 0)
                d->at_eof = true;
        d->in_len += (size_t)n;
        return n;
}

/* A view of the next n bytes (n at most the input buffer) without taking them: 1, or 0 when the stream ends before. */
static int peek(struct decompressor *d, size_t n, const uint8_t **ret, struct err *err) {
        while (d->in_len - d->in_pos < n) {
                ssize_t r = refill(d, err);
                if (r < 0)
                        return (int)r;
                if (r == 0)
                        return 0;
        }
        *ret = (const uint8_t *)d->in + d->in_pos;
        return 1;
}

static void take(struct decompressor *d, size_t n) {
        d->in_pos += n;
        d->consumed += n;
}

/* Ends the stream: cleanly when nothing is left, as truncated otherwise. */
static int ended(struct decompressor *d) {
        d->truncated = d->truncated || d->in_len > d->in_pos;
        d->done = true;
        return 0;
}

static int damaged(struct decompressor *d, struct err *err, const char *what) {
        return err_set(err, -EBADMSG, "%s stream is damaged at byte %llu: %s", compress_codec_name(d->codec),
                       (unsigned long long)d->consumed, what);
}

static void room(char **buffer, size_t *cap, size_t need) {
        if (*cap >= need)
                return;
        *buffer = xrealloc(*buffer, need);
        *cap = need;
}

/* A block of n bytes behind its header as one piece, copied when they do not fit into the input buffer: 1, or 0 when the stream ends
 * before. Header and block are taken together where that is possible: a stream that is still being written can then go on from there. */
static int whole(struct decompressor *d, size_t header, size_t n, const char **ret, struct err *err) {
        if (header + n <= COMPRESS_INPUT_BUFFER) {
                const uint8_t *at = NULL;
                int r = peek(d, header + n, &at, err);
                if (r <= 0)
                        return r;
                *ret = (const char *)at + header;
                take(d, header + n);
                return 1;
        }
        take(d, header);
        room(&d->block, &d->block_cap, n);
        size_t have = 0;
        while (have < n) {
                size_t left = d->in_len - d->in_pos;
                if (left == 0) {
                        ssize_t r = refill(d, err);
                        if (r < 0)
                                return (int)r;
                        if (r == 0) {
                                d->truncated = d->lost = true;
                                return 0;
                        }
                        continue;
                }
                size_t part = left < n - have ? left : n - have;
                memcpy(d->block + have, d->in + d->in_pos, part);
                take(d, part);
                have += part;
        }
        *ret = d->block;
        return 1;
}

static int next_plain(struct decompressor *d, struct sv *ret, struct err *err) {
        d->in_pos = d->in_len = 0;
        ssize_t r = refill(d, err);
        if (r <= 0)
                return (int)r;
        *ret = sv_new(d->in, d->in_len);
        take(d, d->in_len);
        return 1;
}

static int next_zstd(struct decompressor *d, struct sv *ret, struct err *err) {
        room(&d->out, &d->out_cap, ZSTD_DStreamOutSize());
        for (;;) {
                if (d->in_pos == d->in_len && !d->zstd_pending) {
                        ssize_t r = refill(d, err);
                        if (r < 0)
                                return (int)r;
                        if (r == 0) {
                                d->truncated = d->zstd_hint != 0;
                                return ended(d);
                        }
                }
                ZSTD_inBuffer in = {d->in, d->in_len, d->in_pos};
                ZSTD_outBuffer out = {d->out, d->out_cap, 0};
                size_t hint = ZSTD_decompressStream(d->zstd, &out, &in);
                if (ZSTD_isError(hint))
                        return damaged(d, err, ZSTD_getErrorName(hint));
                take(d, in.pos - d->in_pos);
                d->zstd_hint = hint;
                d->zstd_pending = out.pos == out.size;
                if (out.pos) {
                        *ret = sv_new(d->out, out.pos);
                        return 1;
                }
        }
}

static uint32_t le32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint32_t be32(const uint8_t *p) { return p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24; }

enum { LZ4_HEADER = 21, LZ4_RAW = 0x10, LZ4_COMPRESSED = 0x20 };

static int next_lz4(struct decompressor *d, struct sv *ret, struct err *err) {
        for (;;) {
                const uint8_t *h = NULL;
                int r = peek(d, LZ4_HEADER, &h, err);
                if (r < 0)
                        return r;
                if (r == 0)
                        return ended(d);
                if (memcmp(h, "LZ4Block", 8) != 0)
                        return damaged(d, err, "no LZ4Block header");
                unsigned method = h[8] & 0xf0, level = 10 + (h[8] & 0x0f);
                uint32_t packed = le32(h + 9), text = le32(h + 13), sum = le32(h + 17);
                if ((method != LZ4_RAW && method != LZ4_COMPRESSED) || text > 1u << level || text > COMPRESS_MAX_BLOCK ||
                    packed > COMPRESS_MAX_BLOCK + (COMPRESS_MAX_BLOCK >> 7) || (method == LZ4_RAW && packed != text) ||
                    (text == 0) != (packed == 0))
                        return damaged(d, err, "impossible block header");
                if (text == 0) { /* the end mark of one of several concatenated streams */
                        take(d, LZ4_HEADER);
                        continue;
                }
                const char *block;
                r = whole(d, LZ4_HEADER, packed, &block, err);
                if (r < 0)
                        return r;
                if (r == 0) {
                        d->truncated = true;
                        return ended(d);
                }
                if (method == LZ4_COMPRESSED) {
                        room(&d->out, &d->out_cap, text);
                        if (LZ4_decompress_safe(block, d->out, (int)packed, (int)text) != (int)text)
                                return damaged(d, err, "block does not decompress to its stated length");
                        block = d->out;
                }
                /* lz4-java keeps the low 28 bits only. */
                if ((XXH32(block, text, 0x9747b28c) & 0x0fffffff) != (sum & 0x0fffffff))
                        return damaged(d, err, "wrong checksum");
                *ret = sv_new(block, text);
                return 1;
        }
}

enum { SNAPPY_HEADER = 16, SNAPPY_MAGIC_HEAD = (int)0x82534e41 };

static int next_snappy(struct decompressor *d, struct sv *ret, struct err *err) {
        static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
        for (;;) {
                const uint8_t *h = NULL;
                int r = peek(d, 4, &h, err);
                if (r < 0)
                        return r;
                if (r == 0)
                        return ended(d);
                if (be32(h) == (uint32_t)SNAPPY_MAGIC_HEAD) {
                        r = peek(d, SNAPPY_HEADER, &h, err);
                        if (r < 0)
                                return r;
                        if (r == 0)
                                return ended(d);
                        if (memcmp(h, magic, 8) != 0)
                                return damaged(d, err, "no SNAPPY header");
                        take(d, SNAPPY_HEADER);
                        d->snappy_started = true;
                        continue;
                }
                if (!d->snappy_started)
                        return damaged(d, err, "no SNAPPY header");
                uint32_t packed = be32(h);
                if (packed > COMPRESS_MAX_BLOCK + COMPRESS_MAX_BLOCK / 6 + 32)
                        return damaged(d, err, "impossible block length");
                const char *block;
                r = whole(d, 4, packed, &block, err);
                if (r < 0)
                        return r;
                if (r == 0) {
                        d->truncated = true;
                        return ended(d);
                }
                size_t text;
                if (!snappy_raw_length(sv_new(block, packed), &text) || text > COMPRESS_MAX_BLOCK)
                        return damaged(d, err, "impossible text length");
                room(&d->out, &d->out_cap, text ? text : 1);
                if (!snappy_raw_decode(sv_new(block, packed), d->out, text))
                        return damaged(d, err, "block does not decompress");
                if (text == 0)
                        continue;
                *ret = sv_new(d->out, text);
                return 1;
        }
}

static int next_lzf(struct decompressor *d, struct sv *ret, struct err *err) {
        for (;;) {
                const uint8_t *h = NULL;
                int r = peek(d, 5, &h, err);
                if (r < 0)
                        return r;
                if (r == 0)
                        return ended(d);
                if (h[0] != 'Z' || h[1] != 'V' || h[2] > 1)
                        return damaged(d, err, "no ZV chunk header");
                bool packed = h[2] == 1;
                size_t length = (size_t)h[3] << 8 | h[4], header = packed ? 7 : 5;
                r = peek(d, header + length, &h, err);
                if (r < 0)
                        return r;
                if (r == 0)
                        return ended(d);
                const char *block = (const char *)h + header;
                size_t text = length;
                if (packed) {
                        text = (size_t)h[5] << 8 | h[6];
                        room(&d->out, &d->out_cap, 1 << 16);
                        if (!lzf_raw_decode(sv_new(block, length), d->out, text))
                                return damaged(d, err, "chunk does not decompress to its stated length");
                        block = d->out;
                }
                take(d, header + length);
                if (text == 0)
                        continue;
                *ret = sv_new(block, text);
                return 1;
        }
}

int decompressor_next(struct decompressor *d, struct sv *ret, struct err *err) {
        static int (*const next[])(struct decompressor *, struct sv *, struct err *) = {
                [COMPRESS_NONE] = next_plain,    [COMPRESS_ZSTD] = next_zstd, [COMPRESS_LZ4] = next_lz4,
                [COMPRESS_SNAPPY] = next_snappy, [COMPRESS_LZF] = next_lzf,
        };
        if (d->done)
                return 0;
        struct sv piece;
        int r = next[d->codec](d, &piece, err);
        if (r <= 0) {
                d->done = true;
                d->lost = d->lost || r < 0;
                return r;
        }
        d->produced += piece.len;
        if (d->max_output && d->produced > d->max_output) {
                d->done = d->lost = true;
                return err_set(err, -EFBIG, "decompresses to more than %llu bytes", (unsigned long long)d->max_output);
        }
        *ret = piece;
        return 1;
}
