#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "oci/store-internal.h"

void oci_store_done(struct oci_store *s) { free(TAKE(s->dir)); }

void oci_record_done(struct oci_record *r) {
        free(r->name);
        free(r->digest);
        free(r->manifest);
        free(r->source);
        *r = (struct oci_record){0};
}

void oci_records_done(struct oci_records *r) {
        vec_foreach(x, &r->list) oci_record_done(x);
        vec_done(&r->list);
}

void oci_image_done(struct oci_image *i) {
        oci_record_done(&i->record);
        oci_manifest_done(&i->manifest);
        oci_config_done(&i->config);
}

static char *default_dir(void) {
        const char *here = getenv("FIRESTEEL_IMAGES"), *own = getenv("FIRESTEEL_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
        if (here && *here)
                return fs_absolute(here);
        if (own && *own)
                return fs_join(own, "images");
        return xdg && *xdg ? xasprintf("%s/firesteel/images", xdg) : fs_absolute("~/.cache/firesteel/images");
}

int oci_store_open(const char *dir, struct oci_store *ret, struct err *err) {
        AUTO(oci_store) struct oci_store s = {.dir = dir ? xstrdup(dir) : default_dir()};
        static const char *const parts[] = {"blobs/sha256", "images", "layers", "leases", "locks"};
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                AUTO(free) char *path = fs_join(s.dir, parts[i]);
                /* Others may pass through to an unpacked layer (pods do, as other ids), not look around. */
                int r = fs_mkdirs(path, 0711, err);
                if (r < 0)
                        return err_wrap(err, r, "the store of images");
        }
        *ret = (struct oci_store){.dir = TAKE(s.dir)};
        return 0;
}

/* ---- locks ---- */

int oci_store_lock_named(const struct oci_store *s, const char *name, int operation, int *ret_fd, struct err *err) {
        AUTO(free) char *path = xasprintf("%s/locks/%s", s->dir, name);
        AUTO(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        while (flock(fd, operation) < 0)
                if (errno != EINTR)
                        return errno == EWOULDBLOCK ? err_set(err, -EAGAIN, "%s is held by another process", path)
                                                    : err_errno(err, -errno, "locking %s", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int oci_store_lock(const struct oci_store *s, bool alone, bool wait, int *ret_fd, struct err *err) {
        int r = oci_store_lock_named(s, "store", (alone ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB), ret_fd, err);
        return r == -EAGAIN ? err_set(err, -EBUSY, "images are being pulled or unpacked just now") : r;
}

/* ---- blobs ---- */

char *oci_store_blob_path(const struct oci_store *s, const char *digest) {
        return xasprintf("%s/blobs/sha256/%s", s->dir, oci_digest_hex(digest));
}

bool oci_store_has_blob(const struct oci_store *s, const struct oci_descriptor *d) {
        AUTO(free) char *path = oci_store_blob_path(s, d->digest);
        struct stat st;
        return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == d->size;
}

int oci_store_read(const struct oci_store *s, const char *digest, size_t max, struct str *ret, struct err *err) {
        AUTO(free) char *path = oci_store_blob_path(s, digest);
        return fs_read(path, max, ret, err);
}

int oci_store_put(const struct oci_store *s, struct sv text, char ret_digest[OCI_DIGEST_SIZE], struct err *err) {
        char digest[OCI_DIGEST_SIZE];
        oci_digest_of(text, digest);
        AUTO(free) char *path = oci_store_blob_path(s, digest);
        int r = fs_exists(path) ? 0 : fs_write_atomic(path, text, 0600, err);
        if (r == 0)
                memcpy(ret_digest, digest, OCI_DIGEST_SIZE);
        return r;
}

struct oci_ingest {
        char *path, *partial, *digest;
        int64_t size, have;
        int fd, lock;
        struct sha256_stream *hash;
};

void oci_ingest_free(struct oci_ingest *i) {
        unsigned char unused[SHA256_SIZE];
        if (!i)
                return;
        if (i->hash)
                sha256_finish(i->hash, unused);
        if (i->fd >= 0)
                close(i->fd);
        if (i->lock >= 0)
                close(i->lock);
        free(i->path);
        free(i->partial);
        free(i->digest);
        free(i);
}

/* What an earlier attempt left counts towards the digest. */
static int hash_what_is_there(struct oci_ingest *i, struct err *err) {
        AUTO(free) char *buffer = xmalloc(64 << 10);
        i->hash = sha256_new();
        for (;;) {
                ssize_t n = read(i->fd, buffer, 64 << 10);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, -errno, "%s", i->partial);
                if (n == 0)
                        break;
                sha256_update(i->hash, sv_new(buffer, (size_t)n));
                i->have += n;
        }
        return i->have > i->size ? oci_ingest_restart(i, err) : 0;
}

int oci_ingest_begin(const struct oci_store *s, const struct oci_descriptor *d, struct oci_ingest **ret, struct err *err) {
        if (oci_store_has_blob(s, d))
                return 1;
        AUTO(oci_ingest) struct oci_ingest *i = NEW(struct oci_ingest);
        *i = (struct oci_ingest){
                .path = oci_store_blob_path(s, d->digest), .digest = xstrdup(d->digest), .size = d->size, .fd = -1, .lock = -1};
        i->partial = xasprintf("%s.partial", i->path);
        int r = oci_store_lock_named(s, oci_digest_hex(d->digest), LOCK_EX | LOCK_NB, &i->lock, err);
        if (r < 0)
                return r;
        if (oci_store_has_blob(s, d)) /* the one before us made it */
                return 1;
        i->fd = open(i->partial, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (i->fd < 0)
                return err_errno(err, -errno, "%s", i->partial);
        if ((r = hash_what_is_there(i, err)) < 0)
                return r;
        *ret = TAKE(i);
        return 0;
}

int64_t oci_ingest_have(const struct oci_ingest *i) { return i->have; }

int oci_ingest_restart(struct oci_ingest *i, struct err *err) {
        unsigned char unused[SHA256_SIZE];
        sha256_finish(i->hash, unused);
        i->hash = sha256_new();
        i->have = 0;
        if (ftruncate(i->fd, 0) < 0 || lseek(i->fd, 0, SEEK_SET) < 0)
                return err_errno(err, -errno, "%s", i->partial);
        return 0;
}

int oci_ingest_write(struct oci_ingest *i, struct sv data, struct err *err) {
        if (i->have + (int64_t)data.len > i->size)
                return err_set(err, -EBADMSG, "blob %s is longer than the %lld bytes that its manifest tells", i->digest,
                               (long long)i->size);
        int r = fs_write_all(i->fd, data.data, data.len);
        if (r < 0)
                return err_errno(err, r, "writing %s", i->partial);
        sha256_update(i->hash, data);
        i->have += (int64_t)data.len;
        return 0;
}

int oci_ingest_commit(struct oci_ingest *i, struct err *err) {
        unsigned char raw[SHA256_SIZE];
        char hex[SHA256_HEX_SIZE];
        if (i->have != i->size)
                return err_set(err, -EBADMSG, "blob %s ends after %lld bytes of %lld", i->digest, (long long)i->have, (long long)i->size);
        sha256_finish(i->hash, raw);
        i->hash = sha256_new();
        hex_encode(raw, sizeof raw, hex);
        if (!streq(hex, oci_digest_hex(i->digest))) {
                unlink(i->partial);
                return err_set(err, -EBADMSG, "blob %s has the digest sha256:%s: what was sent is not what was asked for", i->digest, hex);
        }
        if (fsync(i->fd) < 0 || rename(i->partial, i->path) < 0)
                return err_errno(err, -errno, "%s", i->path);
        return 0;
}

/* ---- records ---- */

static char *record_path(const struct oci_store *s, const char *name) {
        char hex[SHA256_HEX_SIZE];
        sha256_hex(sv_of(name), hex);
        return xasprintf("%s/images/%s", s->dir, hex);
}

static int read_record(const char *path, struct oci_record *ret, struct err *err) {
        AUTO(str) struct str text = STR_INIT(64 << 10);
        AUTO(json) yyjson_doc *doc = NULL;
        struct stat st;
        int r = fs_read(path, 64 << 10, &text, err);
        if (r < 0 || (r = json_parse(str_sv(&text), &doc, err)) < 0)
                return r == -ENOENT ? r : err_wrap(err, r, "%s", path);
        yyjson_val *root = yyjson_doc_get_root(doc);
        const char *name = json_get_str(root, "name"), *digest = json_get_str(root, "digest"), *manifest = json_get_str(root, "manifest");
        if (!name || !oci_digest_is_valid(digest) || !oci_digest_is_valid(manifest))
                return err_set(err, -EINVAL, "%s is damaged; remove it and pull the image again", path);
        const char *source = json_get_str(root, "source");
        *ret = (struct oci_record){.name = xstrdup(name),
                                   .digest = xstrdup(digest),
                                   .manifest = xstrdup(manifest),
                                   .source = xstrdup(source ? source : ""),
                                   .size = json_get_int(root, "size", 0),
                                   .used_ms = stat(path, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000 : 0};
        return 0;
}

static int by_name(const void *a, const void *b) {
        return strcmp(((const struct oci_record *)a)->name, ((const struct oci_record *)b)->name);
}

int oci_store_list(const struct oci_store *s, struct oci_records *ret, struct err *err) {
        AUTO(free) char *dir = fs_join(s->dir, "images");
        AUTO(oci_records) struct oci_records found = {0};
        DIR *d = opendir(dir);
        int r = 0;
        if (!d)
                return err_errno(err, -errno, "%s", dir);
        for (struct dirent *e; r == 0 && (e = readdir(d));) {
                if (strspn(e->d_name, "0123456789abcdef") != 64 || e->d_name[64])
                        continue;
                AUTO(free) char *path = fs_join(dir, e->d_name);
                struct oci_record record;
                r = read_record(path, &record, err);
                if (r == 0)
                        *vec_push(&found.list) = record;
                else if (r == -ENOENT)
                        r = 0; /* removed in between */
        }
        closedir(d);
        if (r < 0)
                return r;
        if (found.list.len > 1)
                qsort(found.list.items, found.list.len, sizeof *found.list.items, by_name);
        *ret = found;
        found = (struct oci_records){0};
        return 0;
}

int oci_store_load(const struct oci_store *s, const char *manifest, struct oci_manifest *ret, struct oci_config *ret_config,
                   struct err *err) {
        AUTO(str) struct str text = STR_INIT(OCI_MAX_MANIFEST_BYTES);
        AUTO(str) struct str config_text = STR_INIT(OCI_MAX_CONFIG_BYTES);
        AUTO(oci_manifest) struct oci_manifest m = {0};
        int r = oci_store_read(s, manifest, OCI_MAX_MANIFEST_BYTES, &text, err);
        if (r < 0 || (r = oci_manifest_parse(str_sv(&text), &m, err)) < 0 ||
            (r = oci_store_read(s, m.config.digest, OCI_MAX_CONFIG_BYTES, &config_text, err)) < 0)
                return r;
        vec_foreach(d, &m.layers) if (!oci_store_has_blob(s, d)) return err_set(err, -ENOENT, "layer %s is missing", d->digest);
        AUTO(oci_config) struct oci_config c = {0};
        if ((r = oci_config_parse(str_sv(&config_text), &c, err)) < 0)
                return r;
        if (c.diff_ids.len != m.layers.len)
                return err_set(err, -EINVAL, "the image has %zu layers and its configuration tells of %zu", m.layers.len, c.diff_ids.len);
        *ret = m;
        *ret_config = c;
        m = (struct oci_manifest){0};
        c = (struct oci_config){0};
        return 0;
}

int oci_store_tag(const struct oci_store *s, const char *name, const char *digest, const char *manifest, const char *source,
                  struct err *err) {
        AUTO(oci_manifest) struct oci_manifest m = {0};
        AUTO(oci_config) struct oci_config c = {0};
        int r = oci_store_load(s, manifest, &m, &c, err);
        if (r < 0)
                return err_wrap(err, r, "image %s", name);
        int64_t size = m.config.size;
        vec_foreach(d, &m.layers) size += d->size;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "name", name);
        mjson_set_str(doc, root, "digest", digest);
        mjson_set_str(doc, root, "manifest", manifest);
        mjson_set_str(doc, root, "source", source);
        mjson_set_int(doc, root, "size", size);
        AUTO(free) char *text = mjson_write(root, true, NULL);
        AUTO(free) char *path = record_path(s, name);
        return fs_write_atomic(path, sv_of(text), 0600, err);
}

int oci_store_untag(const struct oci_store *s, const char *name, struct err *err) {
        AUTO(free) char *path = record_path(s, name);
        if (unlink(path) == 0)
                return 0;
        return errno == ENOENT ? err_set(err, -ENOENT, "there is no image %s", name) : err_errno(err, -errno, "%s", path);
}

/* NAME@DIGEST: the same repository with this digest, under whatever tag. */
static int find_by_digest(const struct oci_store *s, const struct oci_reference *name, struct oci_record *ret, struct err *err) {
        AUTO(oci_records) struct oci_records all = {0};
        int r = oci_store_list(s, &all, err);
        if (r < 0)
                return r;
        vec_foreach(record, &all.list) {
                AUTO(oci_reference) struct oci_reference other = {0};
                if (!streq(record->digest, name->digest) && !streq(record->manifest, name->digest))
                        continue;
                if (oci_reference_parse(record->name, &other, NULL) < 0 || !streq_null(other.repository, name->repository) ||
                    !streq_null(other.registry, name->registry))
                        continue;
                *ret = *record;
                *record = (struct oci_record){0};
                return 0;
        }
        return err_set(err, -ENOENT, "there is no image %s", name->name);
}

int oci_store_find(const struct oci_store *s, const struct oci_reference *name, struct oci_image *ret, struct err *err) {
        AUTO(free) char *path = record_path(s, name->name);
        AUTO(oci_image) struct oci_image image = {0};
        int r = read_record(path, &image.record, err);
        if (r == -ENOENT && name->digest)
                r = find_by_digest(s, name, &image.record, err);
        else if (r == -ENOENT)
                err_set(err, r, "there is no image %s", name->name);
        if (r < 0 || (r = oci_store_load(s, image.record.manifest, &image.manifest, &image.config, err)) < 0)
                return r;
        AUTO(free) char *used = record_path(s, image.record.name);
        (void)utimensat(AT_FDCWD, used, NULL, 0); /* the time of use; a store that cannot be written to still serves */
        *ret = image;
        image = (struct oci_image){0};
        return 0;
}
