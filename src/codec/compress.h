/* Decoders for the streams in which Spark keeps event logs. They are what Java's stream classes write, not the
 * usual containers of the same names:
 *
 *   zstd    one or more plain zstd frames
 *   lz4     lz4-java's LZ4BlockOutputStream: "LZ4Block", a token, lengths, an xxHash32 of the text
 *   snappy  snappy-java's SnappyOutputStream: an 0x82 "SNAPPY" header and big-endian length-prefixed raw blocks
 *   lzf     compress-lzf's chunks: "ZV", kind, lengths, at most 64 KiB of text
 *
 * Streams may be concatenated. A stream that stops inside a frame or block is normal for a log that is still being
 * written: everything before is delivered, decompressor_truncated() then says so. Damage (a wrong checksum, an
 * impossible length) is -EBADMSG.
 *
 * Memory: one input buffer, one block (at most COMPRESS_MAX_BLOCK) and for zstd its window (at most 128 MiB, what a
 * frame asks for). Output is handed out piece by piece; the total is bounded by max_output.
 */
#ifndef FIRESTEEL_CODEC_COMPRESS_H
#define FIRESTEEL_CODEC_COMPRESS_H

#include "base/err.h"
#include "base/str.h"

enum compress_codec { COMPRESS_NONE, COMPRESS_ZSTD, COMPRESS_LZ4, COMPRESS_SNAPPY, COMPRESS_LZF };

enum {
        COMPRESS_MAX_BLOCK = 32 << 20, /* lz4-java's own limit; also held against snappy blocks */
        COMPRESS_INPUT_BUFFER = 256 << 10,
};

/* Spark's short names ("zstd"); "" and "none" are COMPRESS_NONE. False: not one of them. */
bool compress_codec_parse(struct sv name, enum compress_codec *ret);
const char *compress_codec_name(enum compress_codec codec);

/* Where compressed bytes come from: up to `cap` bytes, 0 at the end, or a negative errno with `err` set. */
typedef ssize_t (*compress_source)(void *arg, void *buf, size_t cap, struct err *err);

struct decompressor;

/* max_output: -EFBIG past so many bytes of text; 0 = unlimited. */
struct decompressor *decompressor_new(enum compress_codec codec, compress_source source, void *arg, uint64_t max_output);
void decompressor_free(struct decompressor *d);
DEFINE_AUTO_PTR(decompressor, struct decompressor, decompressor_free)

/* The next piece of text, valid until the next call: 1, or 0 at the end, or a negative errno. */
MUST_USE int decompressor_next(struct decompressor *d, struct sv *ret, struct err *err);
/* After the end: the source may have more by now. False when this decoder cannot go on: after damage, or cut within a block too large to be
 * held back. */
bool decompressor_resume(struct decompressor *d);
/* After the end: did the stream stop inside a frame or block? */
bool decompressor_truncated(const struct decompressor *d);
/* Compressed bytes consumed so far, and text bytes handed out. */
uint64_t decompressor_in(const struct decompressor *d);
uint64_t decompressor_out(const struct decompressor *d);

/* The raw block formats. `ret_len` is set to the length of the text; false when the block is damaged. */
bool snappy_raw_length(struct sv block, size_t *ret_len);
bool snappy_raw_decode(struct sv block, char *out, size_t out_len);
bool lzf_raw_decode(struct sv block, char *out, size_t out_len);

#endif
