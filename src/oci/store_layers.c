/* Unpacked layers: each once, by the chain of layers below it, each by whoever comes first. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "codec/sha256.h"
#include "oci/store-internal.h"
#include "oci/unpack.h"

#define GONE ".gone"

const char *oci_ids_name(enum oci_ids ids) { return ids == OCI_IDS_ROOT ? "root" : ids == OCI_IDS_MAPPED ? "mapped" : "squashed"; }

/* The image specification's ChainID: the same layer on other layers is another one, because directories that a layer only passes
 * through take their owner and mode from below. */
void oci_store_chain(const struct oci_config *c, struct strv *ret) {
        char chain[OCI_DIGEST_SIZE] = "";
        for (size_t i = 0; i < c->diff_ids.len; i++) {
                if (i == 0) {
                        memcpy(chain, c->diff_ids.items[0], OCI_DIGEST_SIZE);
                } else {
                        AUTO(free) char *both = xasprintf("%s %s", chain, c->diff_ids.items[i]);
                        oci_digest_of(sv_of(both), chain);
                }
                strv_addf(ret, "%.*s", LAYER_NAME_SIZE - 1, oci_digest_hex(chain));
        }
}

int oci_store_remove_layer(const struct oci_store *s, const char *ids, const char *name, struct err *err) {
        AUTO(free) char *path = xasprintf("%s/layers/%s/%s", s->dir, ids, name);
        AUTO(free) char *gone = xasprintf("%s" GONE, path);
        /* What is removed in part must not pass for a layer. */
        if (str_ends(name, GONE))
                return fs_remove_tree(path, err);
        int r = fs_remove_tree(gone, err);
        if (r == 0 && rename(path, gone) < 0)
                return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", path);
        return r < 0 ? r : fs_remove_tree(gone, err);
}

static ssize_t read_tar(void *arg, void *buf, size_t cap, struct err *err) { return unstream_read(arg, buf, cap, err); }

/* The tar of a layer, checked against the digest that the configuration tells. */
static int unpack_blob(const struct oci_store *s, const struct oci_descriptor *layer, const char *diff_id, int dir_fd,
                       const struct unpack_options *o, uint64_t *ret_bytes, struct err *err) {
        AUTO(free) char *path = oci_store_blob_path(s, layer->digest);
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        AUTO(unstream) struct unstream *u = unstream_new(unstream_from_fd, &fd, OCI_MAX_LAYER_BYTES);
        AUTO(tar) struct tar *t = tar_new(read_tar, u);
        char digest[OCI_DIGEST_SIZE];
        int r = unpack_layer(t, dir_fd, o, err);
        if (r == 0)
                r = unstream_finish(u, digest, err);
        if (r < 0)
                return err_wrap(err, r, "unpacking layer %s", layer->digest);
        if (!streq(digest, diff_id))
                return err_set(err, -EBADMSG, "layer %s unpacks to %s, and the image's configuration tells %s", layer->digest, digest,
                               diff_id);
        *ret_bytes = unstream_total(u);
        return 0;
}

static struct unpack_options options_for(enum oci_ids ids, enum unpack_mode mode) {
        return (struct unpack_options){.mode = mode, .is_in_user_namespace = ids != OCI_IDS_ROOT, .squash_owners = ids == OCI_IDS_SQUASHED};
}

struct layer_job {
        const struct oci_store *s;
        const struct oci_descriptor *layer;
        const char *diff_id, *ids, *name; /* name: the directory's */
        enum oci_ids ids_kind;
        const int *lower; /* open directories, lowest first */
        size_t lower_count;
};

static int unpack_one(const struct layer_job *j, const char *dir, struct err *err) {
        AUTO(free) char *fs = fs_join(dir, "fs");
        AUTO(free) char *told = fs_join(dir, "bytes");
        int r = fs_remove_tree(dir, err);
        if (r == 0)
                r = fs_mkdirs(dir, 0711, err);
        if (r < 0)
                return r;
        /* A layer that says nothing of its root leaves it as programs expect it. */
        if (mkdir(fs, 0755) < 0)
                return err_errno(err, -errno, "creating %s", fs);
        AUTO(fd) int fd = open(fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "%s", fs);
        struct unpack_options o = options_for(j->ids_kind, UNPACK_OVERLAY);
        o.lower = j->lower;
        o.lower_count = j->lower_count;
        uint64_t bytes = 0;
        r = unpack_blob(j->s, j->layer, j->diff_id, fd, &o, &bytes, err);
        AUTO(free) char *text = xasprintf("%llu\n", (unsigned long long)bytes);
        return r < 0 ? r : fs_write(told, sv_of(text), 0600, err);
}

static int ensure_layer(const struct layer_job *j, struct err *err) {
        AUTO(free) char *final = xasprintf("%s/layers/%s/%s", j->s->dir, j->ids, j->name);
        AUTO(free) char *making = xasprintf("%s.new", final);
        AUTO(free) char *lock_name = xasprintf("%s-%s", j->name, j->ids);
        AUTO(fd) int lock = -1;
        if (fs_is_dir(final))
                return 0;
        int r = oci_store_lock_named(j->s, lock_name, LOCK_EX, &lock, err);
        if (r < 0 || fs_is_dir(final))
                return r;
        if ((r = unpack_one(j, making, err)) < 0) {
                (void)!fs_remove_tree(making, NULL);
                return r;
        }
        return rename(making, final) < 0 ? err_errno(err, -errno, "%s", final) : 0;
}

int oci_store_unpack(const struct oci_store *s, const struct oci_image *image, enum oci_ids ids, char **ret_dir, struct strv *ret,
                     struct err *err) {
        AUTO(strv) struct strv names = {0};
        AUTO(free) char *dir = xasprintf("%s/layers/%s", s->dir, oci_ids_name(ids));
        AUTO(fd) int hold = -1;
        int lower[OCI_MAX_LAYERS];
        size_t opened = 0;
        oci_store_chain(&image->config, &names);
        int r = oci_store_lock(s, false, true, &hold, err);
        if (r == 0)
                r = fs_mkdirs(dir, 0711, err);
        for (size_t i = 0; i < names.len && r == 0; i++) {
                const struct layer_job j = {.s = s,
                                            .layer = &image->manifest.layers.items[i],
                                            .diff_id = image->config.diff_ids.items[i],
                                            .ids = oci_ids_name(ids),
                                            .name = names.items[i],
                                            .ids_kind = ids,
                                            .lower = lower,
                                            .lower_count = opened};
                AUTO(free) char *fs = xasprintf("%s/%s/fs", dir, names.items[i]);
                r = ensure_layer(&j, err);
                if (r == 0 && (lower[opened] = open(fs, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
                        r = err_errno(err, -errno, "%s", fs);
                else if (r == 0)
                        opened++;
        }
        while (opened > 0)
                close(lower[--opened]);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.len; i++)
                strv_addf(ret, "%s/fs", names.items[i]);
        *ret_dir = TAKE(dir);
        return 0;
}

int oci_store_unpack_flat(const struct oci_store *s, const struct oci_image *image, enum oci_ids ids, const char *dir, struct err *err) {
        AUTO(fd) int hold = -1, fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "%s", dir);
        int r = oci_store_lock(s, false, true, &hold, err);
        const struct unpack_options o = options_for(ids, UNPACK_APPLY);
        for (size_t i = 0; i < image->manifest.layers.len && r == 0; i++) {
                uint64_t bytes;
                r = unpack_blob(s, &image->manifest.layers.items[i], image->config.diff_ids.items[i], fd, &o, &bytes, err);
        }
        return r;
}
