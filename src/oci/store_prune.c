/* What may go: images that no pod and no name needs, their blobs and unpacked layers. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/map.h"
#include "codec/sha256.h"
#include "oci/store-internal.h"

void oci_prune_result_done(struct oci_prune_result *r) { strv_done(&r->images); }

/* ---- leases ---- */

int oci_store_lease(const struct oci_store *s, const char *instance_dir, const struct strv *manifests, struct err *err) {
        char hex[SHA256_HEX_SIZE];
        sha256_hex(sv_of(instance_dir), hex);
        AUTO(free) char *path = xasprintf("%s/leases/%s", s->dir, hex);
        if (!manifests->len)
                return unlink(path) < 0 && errno != ENOENT ? err_errno(err, -errno, "%s", path) : 0;
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "%s\n", instance_dir);
        for (size_t i = 0; i < manifests->len; i++)
                str_appendf(&text, "%s\n", manifests->items[i]);
        return fs_write_atomic(path, str_sv(&text), 0600, err);
}

static char needed[] = ""; /* the value of the sets below */

static void add_lease(const char *path, struct map *used) {
        AUTO(str) struct str text = STR_INIT(1 << 20);
        struct sv line;
        if (fs_read(path, 1 << 20, &text, NULL) < 0)
                return;
        struct sv rest = str_sv(&text);
        if (!sv_split(&rest, '\n', &line))
                return;
        AUTO(free) char *instance = sv_dup(line);
        if (!fs_is_dir(instance)) {
                unlink(path);
                return;
        }
        while (sv_split(&rest, '\n', &line))
                if (line.len)
                        map_set_n(used, line.data, line.len, needed);
}

/* Calls fn for each entry of a directory but the dotted ones; a missing directory has none. */
static void each(const char *dir, void (*fn)(void *arg, const char *path, const char *name), void *arg) {
        DIR *d = opendir(dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                AUTO(free) char *path = fs_join(dir, e->d_name);
                if (e->d_name[0] != '.')
                        fn(arg, path, e->d_name);
        }
        if (d)
                closedir(d);
}

static void on_lease(void *arg, const char *path, const char *name) { add_lease(path, arg); }

/* ---- sizes ---- */

static int64_t layer_bytes(const char *layer) {
        AUTO(free) char *told = fs_join(layer, "bytes");
        AUTO(str) struct str text = STR_INIT(64);
        return fs_read(told, 64, &text, NULL) < 0 ? 0 : strtoll(str_cstr(&text), NULL, 10);
}

static void on_sized_blob(void *arg, const char *path, const char *name) {
        struct stat st;
        if (stat(path, &st) == 0)
                *(int64_t *)arg += st.st_size;
}

static void on_sized_layer(void *arg, const char *path, const char *name) { *(int64_t *)arg += layer_bytes(path); }
static void on_sized_ids(void *arg, const char *path, const char *name) { each(path, on_sized_layer, arg); }

int64_t oci_store_bytes(const struct oci_store *s) {
        AUTO(free) char *blobs = fs_join(s->dir, "blobs/sha256");
        AUTO(free) char *layers = fs_join(s->dir, "layers");
        int64_t total = 0;
        each(blobs, on_sized_blob, &total);
        each(layers, on_sized_ids, &total);
        return total;
}

/* ---- what is needed ---- */

struct sweep {
        const struct oci_store *s;
        struct map blobs, layers; /* needed: hex digits of digests; names of layer directories */
        struct oci_prune_result *result;
        const char *ids;
        int failure;
        struct err *err;
};

static void need(struct sweep *w, const struct oci_record *record) {
        AUTO(oci_manifest) struct oci_manifest m = {0};
        AUTO(oci_config) struct oci_config c = {0};
        AUTO(strv) struct strv chain = {0};
        map_set(&w->blobs, oci_digest_hex(record->digest), needed);
        map_set(&w->blobs, oci_digest_hex(record->manifest), needed);
        if (oci_store_load(w->s, record->manifest, &m, &c, NULL) < 0)
                return; /* not whole: it must be pulled again anyway */
        map_set(&w->blobs, oci_digest_hex(m.config.digest), needed);
        vec_foreach(d, &m.layers) map_set(&w->blobs, oci_digest_hex(d->digest), needed);
        oci_store_chain(&c, &chain);
        for (size_t i = 0; i < chain.len; i++)
                map_set(&w->layers, chain.items[i], needed);
}

static void on_blob(void *arg, const char *path, const char *name) {
        struct sweep *w = arg;
        struct stat st;
        AUTO(free) char *hex = xstrndup(name, strcspn(name, "."));
        if (map_has(&w->blobs, hex) && !strchr(name, '.'))
                return;
        /* A part of a blob whose image is wanted again would be resumed; nobody is pulling now, so what it belonged to was given up. */
        if (stat(path, &st) < 0 || unlink(path) < 0)
                return;
        w->result->blobs++;
        w->result->bytes += st.st_size;
}

static void on_layer(void *arg, const char *path, const char *name) {
        struct sweep *w = arg;
        if (map_has(&w->layers, name))
                return;
        int64_t bytes = layer_bytes(path);
        /* Owned by other ids when a user namespace made it: whoever is root of one removes those, and nobody else begins with it. */
        if ((geteuid() != 0 && streq(w->ids, oci_ids_name(OCI_IDS_MAPPED))) || oci_store_remove_layer(w->s, w->ids, name, NULL) < 0) {
                w->result->stuck++;
                return;
        }
        w->result->layers++;
        w->result->bytes += bytes;
}

static void on_ids(void *arg, const char *path, const char *name) {
        struct sweep *w = arg;
        w->ids = name;
        each(path, on_layer, w);
}

static void on_lock(void *arg, const char *path, const char *name) {
        if (!streq(name, "store"))
                unlink(path); /* nobody else holds one: the store is ours alone */
}

static void sweep(const struct oci_store *s, const struct oci_records *keep, struct oci_prune_result *result) {
        struct sweep w = {.s = s, .result = result};
        AUTO(free) char *blobs = fs_join(s->dir, "blobs/sha256");
        AUTO(free) char *layers = fs_join(s->dir, "layers");
        vec_foreach(record, &keep->list) if (record->name) need(&w, record);
        each(blobs, on_blob, &w);
        each(layers, on_ids, &w);
        AUTO(free) char *locks = fs_join(s->dir, "locks");
        each(locks, on_lock, NULL);
        map_done(&w.blobs);
        map_done(&w.layers);
}

static struct oci_record *longest_unused(struct oci_records *all, const struct map *used, int64_t min_age_ms) {
        struct oci_record *oldest = NULL;
        vec_foreach(r, &all->list) if (r->name && !map_has(used, r->manifest) && (!oldest || r->used_ms < oldest->used_ms)) oldest = r;
        return oldest && min_age_ms > 0 && oldest->used_ms > clock_now_ms() - min_age_ms ? NULL : oldest;
}

static int drop_unused(const struct oci_store *s, const struct oci_prune_options *o, struct oci_records *all, const struct map *used,
                       struct oci_prune_result *result, struct err *err) {
        for (struct oci_record *r; o->all && (r = longest_unused(all, used, o->min_age_ms));) {
                if (o->keep_bytes > 0 && oci_store_bytes(s) <= o->keep_bytes)
                        break;
                int code = oci_store_untag(s, r->name, err);
                if (code < 0 && code != -ENOENT)
                        return code;
                strv_add(&result->images, r->name);
                oci_record_done(r);
                if (o->keep_bytes > 0)
                        sweep(s, all, result);
        }
        return 0;
}

int oci_store_prune(const struct oci_store *s, const struct oci_prune_options *o, bool wait, struct oci_prune_result *ret,
                    struct err *err) {
        AUTO(fd) int alone = -1;
        AUTO(oci_records) struct oci_records all = {0};
        AUTO(oci_prune_result) struct oci_prune_result result = {0};
        AUTO(map) struct map used = MAP_INIT(NULL);
        AUTO(free) char *leases = fs_join(s->dir, "leases");
        int r = oci_store_lock(s, true, wait, &alone, err);
        if (r < 0 || (r = oci_store_list(s, &all, err)) < 0)
                return r;
        each(leases, on_lease, &used);
        if ((r = drop_unused(s, o, &all, &used, &result, err)) < 0)
                return r;
        /* Images whose name was taken away while pods use them: their layers stay. */
        map_foreach(e, &used) {
                if (!oci_digest_is_valid(e->key))
                        continue;
                struct oci_record *held = vec_push(&all.list);
                *held = (struct oci_record){.name = xstrdup(""), .digest = xstrdup(e->key), .manifest = xstrdup(e->key)};
        }
        sweep(s, &all, &result);
        *ret = result;
        result = (struct oci_prune_result){0};
        return 0;
}
