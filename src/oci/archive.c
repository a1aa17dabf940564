#include "oci/archive.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/map.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "oci/tar.h"
#include "oci/unpack.h"

enum { MAX_FILES = 100000, COPY_BYTES = 64 << 10, LINKS_MAX = 8 };

void oci_loads_done(struct oci_loads *l) {
        vec_foreach(x, &l->list) free(x->name);
        vec_done(&l->list);
}

/* ---- files by name, of a directory or of a tar ---- */

struct part {
        int64_t offset, size;
        char *link; /* another name in the archive; NULL mostly */
};

struct source {
        const char *path;
        int fd;           /* the directory, or the plain tar */
        bool is_directory;
        struct map parts; /* struct part, of a tar */
};

static void part_free(void *arg) {
        struct part *p = arg;
        free(p->link);
        free(p);
}

static void source_done(struct source *s) {
        if (s->fd >= 0)
                close(s->fd);
        map_done(&s->parts);
}
DEFINE_AUTO_VALUE(source, struct source, source_done)

static ssize_t read_fd(void *arg, void *buf, size_t cap, struct err *err) { return unstream_from_fd(arg, buf, cap, err); }

static bool is_compressed(int fd) {
        unsigned char head[4] = {0};
        return pread(fd, head, sizeof head, 0) == sizeof head &&
               ((head[0] == 0x1f && head[1] == 0x8b) || (head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f));
}

/* Parts are read in any order, so a compressed tar is laid out first, in a file that has no name. */
static int decompress(const struct oci_store *store, struct source *s, struct err *err) {
        AUTO(free) char *dir = fs_join(store->dir, "blobs");
        AUTO(free) char *buffer = xmalloc(COPY_BYTES);
        AUTO(fd) int plain = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (plain < 0)
                return err_errno(err, -errno, "a temporary file in %s", dir);
        AUTO(unstream) struct unstream *u = unstream_new(unstream_from_fd, &s->fd, OCI_MAX_LAYER_BYTES);
        for (ssize_t n; (n = unstream_read(u, buffer, COPY_BYTES, err)) != 0;) {
                if (n < 0)
                        return err_wrap(err, (int)n, "%s", s->path);
                int r = fs_write_all(plain, buffer, (size_t)n);
                if (r < 0)
                        return err_errno(err, r, "writing to %s", dir);
        }
        close(s->fd);
        s->fd = TAKE_FD(plain);
        return lseek(s->fd, 0, SEEK_SET) < 0 ? err_errno(err, -errno, "%s", s->path) : 0;
}

/* Links of docker's tars ("../HEX/layer.tar") are relative to where they are. */
static char *link_target(const char *from, const char *target) {
        AUTO(strv) struct strv parts = {0};
        struct sv rest, part;
        if (target[0] != '/') {
                rest = sv_of(from);
                while (sv_split(&rest, '/', &part))
                        strv_add_n(&parts, part.data, part.len);
                if (parts.len)
                        free(parts.items[--parts.len]);
        }
        rest = sv_of(target);
        while (sv_split(&rest, '/', &part)) {
                if (!part.len || sv_eqs(part, "."))
                        continue;
                if (!sv_eqs(part, ".."))
                        strv_add_n(&parts, part.data, part.len);
                else if (parts.len)
                        free(parts.items[--parts.len]);
        }
        if (parts.items)
                parts.items[parts.len] = NULL;
        return strv_join(&parts, "/");
}

static int index_tar(struct source *s, struct err *err) {
        AUTO(tar) struct tar *t = tar_new(read_fd, &s->fd);
        const struct tar_entry *e = NULL;
        int r;
        while ((r = tar_next(t, &e, err)) > 0) {
                AUTO(free) char *name = unpack_clean_path(e->name);
                if (!name || !*name || e->type == TAR_DIRECTORY)
                        continue;
                if (s->parts.len >= MAX_FILES)
                        return err_set(err, -EFBIG, "%s: more than %d files in the archive", s->path, MAX_FILES);
                struct part *p = NEW(struct part);
                *p = (struct part){.offset = (int64_t)tar_offset(t), .size = e->size};
                if (e->type == TAR_SYMLINK)
                        p->link = link_target(name, e->target);
                else if (e->type == TAR_HARDLINK)
                        p->link = unpack_clean_path(e->target);
                map_set(&s->parts, name, p);
        }
        if (r == -EBADMSG && tar_offset(t) <= 512)
                return err_set(err, -EINVAL, "%s is no image: neither a directory nor a tar", s->path);
        return r < 0 ? err_wrap(err, r, "%s", s->path) : 0;
}

static int source_open(const struct oci_store *store, const char *path, struct source *ret, struct err *err) {
        AUTO(source) struct source s = {.path = path, .fd = -1, .parts = MAP_INIT(part_free)};
        struct stat st;
        s.fd = open(path, O_RDONLY | O_CLOEXEC);
        if (s.fd < 0 || fstat(s.fd, &st) < 0)
                return err_errno(err, -errno, "%s", path);
        s.is_directory = S_ISDIR(st.st_mode);
        if (!s.is_directory && !S_ISREG(st.st_mode))
                return err_set(err, -EINVAL, "%s is neither a file nor a directory", path);
        int r = !s.is_directory && is_compressed(s.fd) ? decompress(store, &s, err) : 0;
        if (r == 0 && !s.is_directory)
                r = index_tar(&s, err);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct source){.fd = -1, .parts = MAP_INIT(part_free)};
        return 0;
}

/* A descriptor, where in it the file begins, how long it is. */
struct piece {
        int fd;
        bool own;
        int64_t at, end;
};

static void piece_done(struct piece *p) {
        if (p->own && p->fd >= 0)
                close(p->fd);
}
DEFINE_AUTO_VALUE(piece, struct piece, piece_done)

static int piece_open(const struct source *s, const char *name, struct piece *ret, struct err *err) {
        if (s->is_directory) {
                struct stat st;
                int fd = unpack_open_in(s->fd, name, O_RDONLY);
                if (fd < 0)
                        return err_errno(err, fd, "%s/%s", s->path, name);
                if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                        close(fd);
                        return err_set(err, -EINVAL, "%s/%s is not a file", s->path, name);
                }
                *ret = (struct piece){.fd = fd, .own = true, .end = st.st_size};
                return 0;
        }
        const struct part *p = map_get(&s->parts, name);
        for (int links = 0; p && p->link && links < LINKS_MAX; links++)
                p = map_get(&s->parts, p->link);
        if (!p || p->link)
                return err_set(err, -ENOENT, "%s: there is no %s in the archive", s->path, name);
        *ret = (struct piece){.fd = s->fd, .at = p->offset, .end = p->offset + p->size};
        return 0;
}

static ssize_t piece_read(void *arg, void *buf, size_t cap, struct err *err) {
        struct piece *p = arg;
        int64_t left = p->end - p->at;
        if (left <= 0)
                return 0;
        ssize_t n = pread(p->fd, buf, left < (int64_t)cap ? (size_t)left : cap, p->at);
        if (n < 0)
                return err_errno(err, -errno, "reading");
        if (n == 0)
                return err_set(err, -EBADMSG, "the file became shorter");
        p->at += n;
        return n;
}

static int read_text(const struct source *s, const char *name, size_t max, struct str *ret, struct err *err) {
        AUTO(piece) struct piece p = {.fd = -1};
        int r = piece_open(s, name, &p, err);
        if (r < 0)
                return r;
        if (p.end - p.at > (int64_t)max)
                return err_set(err, -EFBIG, "%s: %s has %lld bytes (at most %zu are read)", s->path, name, (long long)(p.end - p.at), max);
        char buffer[8192];
        for (ssize_t n; (n = piece_read(&p, buffer, sizeof buffer, err)) != 0;) {
                if (n < 0)
                        return err_wrap(err, (int)n, "%s: %s", s->path, name);
                str_append(ret, buffer, (size_t)n);
        }
        return 0;
}

static bool has(const struct source *s, const char *name) {
        AUTO(piece) struct piece p = {.fd = -1};
        return piece_open(s, name, &p, NULL) == 0;
}

/* ---- into the store ---- */

static int begin_patiently(const struct oci_store *store, const struct oci_descriptor *d, struct oci_ingest **ret, struct err *err) {
        for (;;) {
                int r = oci_ingest_begin(store, d, ret, err);
                if (r != -EAGAIN)
                        return r;
                usleep(100000); /* another process is at the same blob */
        }
}

static int copy_blob(const struct oci_store *store, const struct source *s, const char *name, const struct oci_descriptor *d,
                     struct err *err) {
        AUTO(oci_ingest) struct oci_ingest *i = NULL;
        AUTO(piece) struct piece p = {.fd = -1};
        AUTO(free) char *buffer = xmalloc(COPY_BYTES);
        int r = begin_patiently(store, d, &i, err);
        if (r != 0)
                return r < 0 ? r : 0;
        if ((r = piece_open(s, name, &p, err)) < 0 || (r = oci_ingest_restart(i, err)) < 0)
                return r;
        for (ssize_t n; (n = piece_read(&p, buffer, COPY_BYTES, err)) != 0;)
                if (n < 0 || (r = oci_ingest_write(i, sv_new(buffer, (size_t)n), err)) < 0)
                        return err_wrap(err, n < 0 ? (int)n : r, "%s: %s", s->path, name);
        r = oci_ingest_commit(i, err);
        return r < 0 ? err_wrap(err, r, "%s: %s", s->path, name) : 0;
}

static int copy_described(const struct oci_store *store, const struct source *s, const struct oci_descriptor *d, struct err *err) {
        AUTO(free) char *name = xasprintf("blobs/sha256/%s", oci_digest_hex(d->digest));
        return copy_blob(store, s, name, d, err);
}

static int put_checked(const struct oci_store *store, struct sv text, const char *digest, const char *path, struct err *err) {
        char have[OCI_DIGEST_SIZE];
        oci_digest_of(text, have);
        if (!streq(have, digest))
                return err_set(err, -EBADMSG, "%s: the blob %s has the digest %s", path, digest, have);
        return oci_store_put(store, text, have, err);
}

/* From a descriptor of index.json down to the layers. */
static int copy_oci(const struct oci_store *store, const struct source *s, const struct oci_descriptor *top,
                    char ret_manifest[OCI_DIGEST_SIZE], struct err *err) {
        AUTO(str) struct str text = STR_INIT(OCI_MAX_MANIFEST_BYTES);
        AUTO(oci_manifest) struct oci_manifest m = {0};
        AUTO(free) char *name = xasprintf("blobs/sha256/%s", oci_digest_hex(top->digest));
        enum oci_manifest_kind kind;
        int r = read_text(s, name, OCI_MAX_MANIFEST_BYTES, &text, err);
        if (r < 0 || (r = put_checked(store, str_sv(&text), top->digest, s->path, err)) < 0 ||
            (r = oci_manifest_kind(str_sv(&text), top->media_type, &kind, err)) < 0)
                return r;
        if (kind == OCI_KIND_INDEX) {
                AUTO(oci_descriptor) struct oci_descriptor chosen = {0};
                if ((r = oci_index_choose(str_sv(&text), oci_platform_here(), &chosen, err)) < 0)
                        return err_wrap(err, r, "%s", s->path);
                /* No index inside an index: registries have none either. */
                AUTO(free) char *inner = xasprintf("blobs/sha256/%s", oci_digest_hex(chosen.digest));
                str_clear(&text);
                if ((r = read_text(s, inner, OCI_MAX_MANIFEST_BYTES, &text, err)) < 0 ||
                    (r = put_checked(store, str_sv(&text), chosen.digest, s->path, err)) < 0)
                        return r;
                memcpy(ret_manifest, chosen.digest, OCI_DIGEST_SIZE);
        } else {
                memcpy(ret_manifest, top->digest, OCI_DIGEST_SIZE);
        }
        if ((r = oci_manifest_parse(str_sv(&text), &m, err)) < 0 || (r = copy_described(store, s, &m.config, err)) < 0)
                return err_wrap(err, r, "%s", s->path);
        vec_foreach(d, &m.layers) if ((r = copy_described(store, s, d, err)) < 0) return r;
        return 0;
}

/* ---- docker save ---- */

static int digest_of_part(const struct source *s, const char *name, char ret[OCI_DIGEST_SIZE], int64_t *ret_size, struct err *err) {
        AUTO(piece) struct piece p = {.fd = -1};
        int r = piece_open(s, name, &p, err);
        if (r < 0)
                return r;
        *ret_size = p.end - p.at;
        struct sha256_stream *hash = sha256_new();
        unsigned char raw[SHA256_SIZE];
        AUTO(free) char *buffer = xmalloc(COPY_BYTES);
        ssize_t n;
        while ((n = piece_read(&p, buffer, COPY_BYTES, err)) > 0)
                sha256_update(hash, sv_new(buffer, (size_t)n));
        sha256_finish(hash, raw);
        memcpy(ret, "sha256:", 7);
        hex_encode(raw, sizeof raw, ret + 7);
        return (int)n;
}

static int copy_part(const struct oci_store *store, const struct source *s, const char *name, struct oci_descriptor *ret, struct err *err) {
        char digest[OCI_DIGEST_SIZE];
        int64_t size;
        int r = digest_of_part(s, name, digest, &size, err);
        if (r < 0)
                return r;
        AUTO(oci_descriptor) struct oci_descriptor d = {.digest = xstrdup(digest), .size = size};
        if ((r = copy_blob(store, s, name, &d, err)) < 0)
                return r;
        *ret = d;
        d = (struct oci_descriptor){0};
        return 0;
}

static void put_descriptor(yyjson_mut_doc *doc, yyjson_mut_val *v, const char *type, const struct oci_descriptor *d) {
        mjson_set_str(doc, v, "mediaType", type);
        mjson_set_str(doc, v, "digest", d->digest);
        mjson_set_int(doc, v, "size", d->size);
}

/* One element of manifest.json: {"Config": "HEX.json", "RepoTags": [...], "Layers": [...]}. An OCI manifest is written for it. */
static int copy_docker(const struct oci_store *store, const struct source *s, yyjson_val *image, char ret_manifest[OCI_DIGEST_SIZE],
                       struct err *err) {
        const char *config = json_get_str(image, "Config");
        yyjson_val *layers = yyjson_obj_get(image, "Layers"), *v;
        AUTO(oci_descriptor) struct oci_descriptor d = {0};
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        size_t i, max;
        yyjson_mut_doc_set_root(doc, root);
        if (!config || yyjson_arr_size(layers) > OCI_MAX_LAYERS)
                return err_set(err, -EINVAL, "%s: manifest.json names no configuration, or more than %d layers", s->path, OCI_MAX_LAYERS);
        int r = copy_part(store, s, config, &d, err);
        if (r < 0)
                return r;
        if (d.size > OCI_MAX_CONFIG_BYTES)
                return err_set(err, -EFBIG, "%s: a configuration of %lld bytes", s->path, (long long)d.size);
        mjson_set_int(doc, root, "schemaVersion", 2);
        mjson_set_str(doc, root, "mediaType", OCI_TYPE_MANIFEST);
        put_descriptor(doc, mjson_obj(doc, root, "config"), OCI_TYPE_CONFIG, &d);
        yyjson_mut_val *list = mjson_arr(doc, root, "layers");
        yyjson_arr_foreach(layers, i, max, v) {
                AUTO(oci_descriptor) struct oci_descriptor layer = {0};
                AUTO(free) char *name = unpack_clean_path(yyjson_get_str(v) ? yyjson_get_str(v) : "");
                if (!name || !*name)
                        return err_set(err, -EINVAL, "%s: manifest.json names a layer \"%s\"", s->path,
                                       yyjson_get_str(v) ? yyjson_get_str(v) : "");
                if ((r = copy_part(store, s, name, &layer, err)) < 0)
                        return r;
                put_descriptor(doc, yyjson_mut_arr_add_obj(doc, list), OCI_TYPE_LAYER, &layer);
        }
        AUTO(free) char *text = mjson_write(root, false, NULL);
        return oci_store_put(store, sv_of(text), ret_manifest, err);
}

/* ---- the two ways in ---- */

static bool is_docker(const struct source *s) { return !has(s, "index.json") && has(s, "manifest.json"); }

static int read_document(const struct source *s, const char *name, struct str *text, yyjson_doc **ret, struct err *err) {
        int r = read_text(s, name, OCI_MAX_MANIFEST_BYTES, text, err);
        if (r < 0)
                return r;
        r = json_parse(str_sv(text), ret, err);
        return r < 0 ? err_wrap(err, r, "%s: %s", s->path, name) : 0;
}

static bool has_tag(yyjson_val *image, const char *tag) {
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(yyjson_obj_get(image, "RepoTags"), i, max, v) {
                const char *name = yyjson_get_str(v), *colon = name ? strrchr(name, ':') : NULL;
                if (name && (streq(name, tag) || (colon && streq(colon + 1, tag))))
                        return true;
        }
        return false;
}

static int import_docker(const struct oci_store *store, const struct source *s, const struct oci_reference *reference, struct err *err) {
        AUTO(str) struct str text = STR_INIT(OCI_MAX_MANIFEST_BYTES);
        AUTO(json) yyjson_doc *doc = NULL;
        char manifest[OCI_DIGEST_SIZE];
        int r = read_document(s, "manifest.json", &text, &doc, err);
        if (r < 0)
                return r;
        yyjson_val *list = yyjson_doc_get_root(doc), *image, *chosen = NULL;
        size_t i, max;
        yyjson_arr_foreach(list, i, max, image) if (!chosen && (reference->tag ? has_tag(image, reference->tag) : max == 1)) chosen = image;
        if (!chosen)
                return err_set(err, -ENOENT,
                               reference->tag ? "%s: no image with the tag \"%s\" is in it"
                                              : "%s: several images are in it: name one by its tag%s",
                               s->path, reference->tag ? reference->tag : "");
        r = copy_docker(store, s, chosen, manifest, err);
        return r < 0 ? r : oci_store_tag(store, reference->name, manifest, manifest, "file", err);
}

int oci_import(const struct oci_store *store, const struct oci_reference *reference, struct err *err) {
        AUTO(source) struct source s = {.fd = -1};
        AUTO(fd) int hold = -1;
        AUTO(str) struct str index = STR_INIT(OCI_MAX_MANIFEST_BYTES);
        AUTO(oci_descriptor) struct oci_descriptor top = {0};
        char manifest[OCI_DIGEST_SIZE];
        int r = oci_store_lock(store, false, true, &hold, err);
        if (r < 0 || (r = source_open(store, reference->path, &s, err)) < 0)
                return r;
        if (reference->transport == OCI_DOCKER_ARCHIVE)
                return import_docker(store, &s, reference, err);
        r = read_text(&s, "index.json", OCI_MAX_MANIFEST_BYTES, &index, err);
        if (r == 0 && (r = oci_index_find_tag(str_sv(&index), reference->tag, &top, err)) < 0)
                r = err_wrap(err, r, "%s", reference->path);
        if (r == 0)
                r = copy_oci(store, &s, &top, manifest, err);
        return r < 0 ? r : oci_store_tag(store, reference->name, top.digest, manifest, "file", err);
}

/* The name under which it is kept: what the archive says, in full. */
static int add_name(const struct oci_store *store, const char *text, const char *digest, const char *manifest, struct oci_loads *ret,
                    struct err *err) {
        AUTO(oci_reference) struct oci_reference name = {0};
        int r = oci_reference_parse(text, &name, err);
        if (r < 0 || (r = oci_store_tag(store, name.name, digest, manifest, "file", err)) < 0)
                return r;
        struct oci_loaded *l = vec_push(&ret->list);
        l->name = xstrdup(name.name);
        memcpy(l->digest, digest, OCI_DIGEST_SIZE);
        return 0;
}

static int nameless(const char *path, struct err *err) {
        err_set(err, -EINVAL, "%s: an image in it has no name", path);
        err_hint(err, "give it one: --tag NAME:TAG");
        return -EINVAL;
}

static int load_docker(const struct oci_store *store, const struct source *s, const char *name, struct oci_loads *ret, struct err *err) {
        AUTO(str) struct str text = STR_INIT(OCI_MAX_MANIFEST_BYTES);
        AUTO(json) yyjson_doc *doc = NULL;
        int r = read_document(s, "manifest.json", &text, &doc, err);
        if (r < 0)
                return r;
        yyjson_val *image, *tag, *list = yyjson_doc_get_root(doc);
        size_t i, max, j, tags;
        if (name && yyjson_arr_size(list) != 1)
                return err_set(err, -EINVAL, "%s: %zu images are in it, and --tag names one", s->path, yyjson_arr_size(list));
        yyjson_arr_foreach(list, i, max, image) {
                char manifest[OCI_DIGEST_SIZE];
                yyjson_val *names = yyjson_obj_get(image, "RepoTags");
                if (!name && yyjson_arr_size(names) == 0)
                        return nameless(s->path, err);
                if ((r = copy_docker(store, s, image, manifest, err)) < 0 ||
                    (name && (r = add_name(store, name, manifest, manifest, ret, err)) < 0))
                        return r;
                if (!name)
                        yyjson_arr_foreach(names, j, tags, tag)
                                if ((r = add_name(store, yyjson_get_str(tag) ? yyjson_get_str(tag) : "", manifest, manifest, ret, err)) < 0)
                                        return r;
        }
        return 0;
}

static int load_oci(const struct oci_store *store, const struct source *s, const char *name, struct oci_loads *ret, struct err *err) {
        AUTO(str) struct str text = STR_INIT(OCI_MAX_MANIFEST_BYTES);
        AUTO(json) yyjson_doc *doc = NULL;
        int r = read_document(s, "index.json", &text, &doc, err);
        if (r < 0)
                return r;
        yyjson_val *v, *list = yyjson_obj_get(yyjson_doc_get_root(doc), "manifests");
        size_t i, max;
        if (name && yyjson_arr_size(list) != 1)
                return err_set(err, -EINVAL, "%s: %zu images are in it, and --tag names one", s->path, yyjson_arr_size(list));
        yyjson_arr_foreach(list, i, max, v) {
                const char *full = json_str_at(v, "/annotations/io.containerd.image.name"),
                           *tag = json_str_at(v, "/annotations/org.opencontainers.image.ref.name");
                const char *digest = json_get_str(v, "digest"), *type = json_get_str(v, "mediaType");
                const char *own = name ? name : full ? full : tag && strpbrk(tag, "/:") ? tag : NULL;
                char manifest[OCI_DIGEST_SIZE];
                if (!own)
                        return nameless(s->path, err);
                if (!oci_digest_is_valid(digest))
                        return err_set(err, -EINVAL, "%s: index.json names no sha256 digest", s->path);
                AUTO(oci_descriptor) struct oci_descriptor top = {.media_type = xstrdup(type ? type : ""), .digest = xstrdup(digest)};
                if ((r = copy_oci(store, s, &top, manifest, err)) < 0 || (r = add_name(store, own, digest, manifest, ret, err)) < 0)
                        return r;
        }
        return 0;
}

int oci_load(const struct oci_store *store, const char *path, const char *name, struct oci_loads *ret, struct err *err) {
        AUTO(source) struct source s = {.fd = -1};
        AUTO(oci_loads) struct oci_loads loads = {0};
        AUTO(fd) int hold = -1;
        int r = oci_store_lock(store, false, true, &hold, err);
        if (r < 0 || (r = source_open(store, path, &s, err)) < 0)
                return r;
        if (is_docker(&s))
                r = load_docker(store, &s, name, &loads, err);
        else if (has(&s, "index.json"))
                r = load_oci(store, &s, name, &loads, err);
        else
                r = err_set(err, -EINVAL, "%s is no image: neither index.json (an OCI layout) nor manifest.json (docker save) is in it",
                            path);
        if (r < 0)
                return r;
        *ret = loads;
        loads = (struct oci_loads){0};
        return 0;
}
