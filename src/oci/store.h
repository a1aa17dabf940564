/* Images on disk, shared by all instances of a user: what was pulled or loaded, by digest.
 *
 *     DIR/blobs/sha256/HEX       manifests, configurations, layers as they came; HEX.partial while they come
 *     DIR/images/HEX             one JSON file a name (HEX is the name's digest); its time is that of the last use
 *     DIR/layers/MODE/CHAIN/fs   unpacked layers, by the chain of layers below them; MODE is whose ids the files have
 *     DIR/leases/HEX             which images an instance's pods use
 *     DIR/locks/                 flock()s, so that processes do one thing once
 *
 * A blob is there only when it is whole and its digest is right; a layer directory only when all of it was unpacked (both by rename). So a
 * crash at any moment leaves only things that the next run does again or prune removes.
 *
 * All calls block (disk): workers and commands. Thread-safe, and safe between processes: whoever adds holds DIR/locks/store shared, prune
 * holds it alone.
 */
#ifndef FIRESTEEL_OCI_STORE_H
#define FIRESTEEL_OCI_STORE_H

#include "oci/manifest.h"
#include "oci/unstream.h"

struct oci_store {
        char *dir;
};
void oci_store_done(struct oci_store *s);
DEFINE_AUTO_VALUE(oci_store, struct oci_store, oci_store_done)
/* dir NULL: $FIRESTEEL_IMAGES, else $FIRESTEEL_CACHE/images, else ${XDG_CACHE_HOME:-~/.cache}/firesteel/images. Makes it. */
MUST_USE int oci_store_open(const char *dir, struct oci_store *ret, struct err *err);
/* A descriptor whose closing ends the hold. alone: nobody else adds or removes; wait false: -EBUSY. */
MUST_USE int oci_store_lock(const struct oci_store *s, bool alone, bool wait, int *ret_fd, struct err *err);

/* ---- blobs ---- */

char *oci_store_blob_path(const struct oci_store *s, const char *digest); /* the caller frees */
bool oci_store_has_blob(const struct oci_store *s, const struct oci_descriptor *d);
MUST_USE int oci_store_read(const struct oci_store *s, const char *digest, size_t max, struct str *ret, struct err *err);
/* A small blob at once. */
MUST_USE int oci_store_put(const struct oci_store *s, struct sv text, char ret_digest[OCI_DIGEST_SIZE], struct err *err);

/* A blob that arrives in pieces. What arrived stays when it is given up, and the next attempt goes on from there. */
struct oci_ingest;
/* 1: it is there already, nothing is begun; 0 and *ret; -EAGAIN: another process or thread is at it. */
MUST_USE int oci_ingest_begin(const struct oci_store *s, const struct oci_descriptor *d, struct oci_ingest **ret, struct err *err);
int64_t oci_ingest_have(const struct oci_ingest *i); /* bytes there from before and now */
MUST_USE int oci_ingest_write(struct oci_ingest *i, struct sv data, struct err *err);
MUST_USE int oci_ingest_restart(struct oci_ingest *i, struct err *err);
/* Checks size and digest; -EBADMSG when they differ (what came is thrown away then). */
MUST_USE int oci_ingest_commit(struct oci_ingest *i, struct err *err);
void oci_ingest_free(struct oci_ingest *i);
DEFINE_AUTO_PTR(oci_ingest, struct oci_ingest, oci_ingest_free)

/* ---- images ---- */

struct oci_record {
        char *name;     /* as in struct oci_reference */
        char *digest;   /* what the name stood for: of an index or a manifest */
        char *manifest; /* this machine's */
        char *source;   /* "registry", "file" */
        int64_t size;   /* of all blobs */
        int64_t used_ms;
};
void oci_record_done(struct oci_record *r);
DEFINE_AUTO_VALUE(oci_record, struct oci_record, oci_record_done)
struct oci_records {
        VEC(struct oci_record) list; /* by name */
};
void oci_records_done(struct oci_records *r);
DEFINE_AUTO_VALUE(oci_records, struct oci_records, oci_records_done)
MUST_USE int oci_store_list(const struct oci_store *s, struct oci_records *ret, struct err *err);
/* Gives an image a name (taking it from another that had it). Manifest, configuration and layers must be there: -ENOENT otherwise. */
MUST_USE int oci_store_tag(const struct oci_store *s, const char *name, const char *digest, const char *manifest, const char *source,
                           struct err *err);
/* -ENOENT when there is none of that name. */
MUST_USE int oci_store_untag(const struct oci_store *s, const char *name, struct err *err);

struct oci_image {
        struct oci_record record;
        struct oci_manifest manifest;
        struct oci_config config;
};
void oci_image_done(struct oci_image *i);
DEFINE_AUTO_VALUE(oci_image, struct oci_image, oci_image_done)
/* The image of a name with everything it needs, or -ENOENT. NAME@DIGEST also finds what has this digest under another tag. Counts as use.
 */
MUST_USE int oci_store_find(const struct oci_store *s, const struct oci_reference *name, struct oci_image *ret, struct err *err);

/* ---- unpacked layers ---- */

enum oci_ids {
        OCI_IDS_ROOT,    /* real root: owners as they are */
        OCI_IDS_MAPPED,  /* a user namespace with subordinate ids */
        OCI_IDS_SQUASHED /* a user namespace with one id: all files are its */
};
/* Unpacks what is not unpacked yet; *ret_dir is where the layers are, *ret the names of their directories below it ("CHAIN/fs"), lowest
 * first. */
MUST_USE int oci_store_unpack(const struct oci_store *s, const struct oci_image *image, enum oci_ids ids, char **ret_dir, struct strv *ret,
                              struct err *err);
/* Without overlayfs: everything into one directory. */
MUST_USE int oci_store_unpack_flat(const struct oci_store *s, const struct oci_image *image, enum oci_ids ids, const char *dir,
                                   struct err *err);

/* ---- room ---- */

/* The images (digests of manifests) that the pods of an instance use; replaces what was said before; none: the lease ends. A lease counts
 * while the instance's directory is there. */
MUST_USE int oci_store_lease(const struct oci_store *s, const char *instance_dir, const struct strv *manifests, struct err *err);

struct oci_prune_options {
        bool all;           /* also named images that no pod uses; else only what no name leads to */
        int64_t keep_bytes; /* with `all`: stop when the store is not larger; the longest unused go first; 0 = remove all that may go */
        int64_t min_age_ms; /* with `all`: those used or pulled since then stay: a pod that is starting may want them and has no lease yet
                             */
};
struct oci_prune_result {
        struct strv images; /* names that are gone */
        size_t blobs, layers;
        size_t stuck; /* layers that are not needed and stay: their files belong to others */
        int64_t bytes;
};
void oci_prune_result_done(struct oci_prune_result *r);
DEFINE_AUTO_VALUE(oci_prune_result, struct oci_prune_result, oci_prune_result_done)
/* wait: until nobody adds to the store; else -EBUSY. */
MUST_USE int oci_store_prune(const struct oci_store *s, const struct oci_prune_options *o, bool wait, struct oci_prune_result *ret,
                             struct err *err);
/* Bytes of blobs and unpacked layers. */
int64_t oci_store_bytes(const struct oci_store *s);

#endif
