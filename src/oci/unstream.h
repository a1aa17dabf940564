/* A layer's bytes as its tar: plain, gzip or zstd (told by the first bytes, as other tools do, not by the media type), with the digest of
 * the tar computed on the way.
 *
 *     unstream_new(source, arg, max, &u, err)
 *     unstream_read(u, buf, cap, err)     // 0 at the end
 *     unstream_finish(u, digest, err)     // reads what is left, too: a tar may be padded
 *     unstream_free(u)
 *
 * Memory: a buffer of 64 KiB, zlib's or zstd's window (at most 128 MiB, what a frame asks for). Not thread-safe, no state shared.
 */
#ifndef FIRESTEEL_OCI_UNSTREAM_H
#define FIRESTEEL_OCI_UNSTREAM_H

#include "codec/compress.h"
#include "oci/reference.h"

struct unstream;
/* max: -EFBIG past so many bytes of tar. */
struct unstream *unstream_new(compress_source source, void *arg, uint64_t max);
/* Up to cap bytes; 0 at the end; -EBADMSG when the stream is damaged or stops early. */
MUST_USE ssize_t unstream_read(struct unstream *u, void *buf, size_t cap, struct err *err);
/* Drains it and tells the digest of all text. */
MUST_USE int unstream_finish(struct unstream *u, char ret[OCI_DIGEST_SIZE], struct err *err);
uint64_t unstream_total(const struct unstream *u); /* bytes of tar so far */
void unstream_free(struct unstream *u);
DEFINE_AUTO_PTR(unstream, struct unstream, unstream_free)

/* The source of an open file: arg points to its descriptor. */
ssize_t unstream_from_fd(void *arg, void *buf, size_t cap, struct err *err);

#endif
