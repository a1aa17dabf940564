#include "cluster/podrt/imagepull.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/podrt/kubelet-internal.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "oci/archive.h"
#include "oci/registry.h"

enum { ROOM_HIGH_PERCENT = 85, ROOM_LOW_PERCENT = 80, ROOM_MIN_AGE_MS = 120000 }; /* the kubelet's thresholds */

struct image_pulls {
        struct image_pulls_options o;
        struct oci_store store; /* dir NULL: it could not be made */
        struct err store_error;
        struct map ops; /* struct op by key */
        struct lease *lease, *next_lease; /* being written; to be written after it, replaced by what is newer */
};

/* One image being got ready, for all who want it the same way. */
struct op {
        struct image_pulls *pulls;
        char *key, *reference;
        enum pull_policy policy;
        struct strv secrets;
        VEC(struct image_get *) waiting;
        struct dialer_task *task;
        bool was_pulled;
        int64_t began_ms, took_ms;
        /* of the worker */
        struct oci_image image;
        char *layers_dir;
        struct strv layers;
        int result;
        struct err err;
        bool is_missing; /* not in the store; not an error yet */
};

struct image_get {
        struct op *op;
        void (*on_pulling)(void *arg);
        void (*done)(void *arg, const struct image_ready *ready, const struct err *err);
        void *arg;
};

enum pull_policy pull_policy_of(const char *text) {
        return text && streq(text, "Always") ? PULL_ALWAYS : text && streq(text, "Never") ? PULL_NEVER : PULL_IF_NOT_PRESENT;
}

static void op_free(void *arg) {
        struct op *op = arg;
        vec_foreach(g, &op->waiting) free(*g);
        vec_done(&op->waiting);
        oci_image_done(&op->image);
        strv_done(&op->secrets);
        strv_done(&op->layers);
        err_done(&op->err);
        free(op->layers_dir);
        free(op->reference);
        free(op->key);
        free(op);
}

/* Which images an instance uses, on its way to the store. */
struct lease {
        struct image_pulls *pulls;
        char *dir;
        struct strv manifests;
        int result;
        struct err err;
};

static void lease_free(struct lease *l) {
        if (!l)
                return;
        free(l->dir);
        strv_done(&l->manifests);
        err_done(&l->err);
        free(l);
}

struct image_pulls *image_pulls_new(const struct image_pulls_options *o) {
        struct image_pulls *p = NEW(struct image_pulls);
        p->o = *o;
        p->ops = MAP_INIT(NULL);
        (void)!oci_store_open(o->store_dir, &p->store, &p->store_error);
        return p;
}

void image_pulls_free(struct image_pulls *p) {
        if (!p)
                return;
        map_foreach(e, &p->ops) {
                struct op *op = e->value;
                if (op->task)
                        dialer_cancel(op->task);
                op_free(op);
        }
        map_done(&p->ops);
        lease_free(p->next_lease);
        oci_store_done(&p->store);
        err_done(&p->store_error);
        free(p);
}

enum oci_ids image_pulls_ids(const struct image_pulls *p) { return p->o.ids; }
const struct oci_store *image_pulls_store(const struct image_pulls *p) { return &p->store; }

bool image_pulls_has(const struct image_pulls *p, const char *reference) {
        AUTO(oci_reference) struct oci_reference r = {0};
        char hex[SHA256_HEX_SIZE];
        if (!p->store.dir || oci_reference_parse(reference, &r, NULL) < 0)
                return false;
        sha256_hex(sv_of(r.name), hex);
        AUTO(free) char *path = xasprintf("%s/images/%s", p->store.dir, hex);
        return fs_exists(path);
}

/* ---- the errand, in the host's network ---- */

static int read_task(yyjson_val *root, struct oci_logins *logins, struct strv *insecure, struct err *err) {
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(yyjson_obj_get(root, "secrets"), i, max, v) {
                int r = oci_logins_parse(sv_new(yyjson_get_str(v), yyjson_get_len(v)), logins, err);
                if (r < 0)
                        return err_wrap(err, r, "an imagePullSecret");
        }
        yyjson_arr_foreach(yyjson_obj_get(root, "insecure"), i, max, v) strv_add(insecure, yyjson_get_str(v));
        return oci_logins_from_docker(logins, err);
}

int image_pull_errand(struct sv task, struct str *answer, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(oci_store) struct oci_store store = {0};
        AUTO(oci_reference) struct oci_reference name = {0};
        AUTO(oci_logins) struct oci_logins logins = {0};
        AUTO(strv) struct strv insecure = {0};
        struct oci_pull_result result = {0};
        int r = json_parse(task, &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc);
        if ((r = oci_store_open(json_get_str(root, "store"), &store, err)) < 0 ||
            (r = oci_reference_parse(json_get_str(root, "image"), &name, err)) < 0)
                return r;
        if (name.transport != OCI_REGISTRY)
                return oci_import(&store, &name, err);
        if ((r = read_task(root, &logins, &insecure, err)) < 0)
                return r;
        const struct oci_pull_options o = {
                .logins = &logins, .insecure = &insecure, .unless_present = json_get_bool(root, "unlessPresent", false)};
        r = oci_pull(&o, &store, &name, &result, err);
        if (r == 0)
                str_appendf(answer, "{\"digest\":\"%s\"}", result.digest);
        return r;
}

static char *task_text(const struct op *op) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "store", op->pulls->store.dir);
        mjson_set_str(doc, root, "image", op->reference);
        mjson_set_bool(doc, root, "unlessPresent", op->policy != PULL_ALWAYS);
        yyjson_mut_val *secrets = mjson_arr(doc, root, "secrets"), *insecure = mjson_arr(doc, root, "insecure");
        for (size_t i = 0; i < op->secrets.len; i++)
                mjson_add_str(doc, secrets, op->secrets.items[i]);
        for (size_t i = 0; op->pulls->o.insecure && i < op->pulls->o.insecure->len; i++)
                mjson_add_str(doc, insecure, op->pulls->o.insecure->items[i]);
        return mjson_write(root, false, NULL);
}

/* ---- on a worker ---- */

/* Images nobody uses go when the disk fills up. Failing at that is no reason to fail at the pull. */
static void make_room(const struct oci_store *s) {
        struct statvfs v;
        if (statvfs(s->dir, &v) < 0 || !v.f_blocks)
                return;
        double total = (double)v.f_blocks * (double)v.f_frsize, used = total - (double)v.f_bavail * (double)v.f_frsize;
        if (used * 100 < total * ROOM_HIGH_PERCENT)
                return;
        int64_t excess = (int64_t)(used - total * ROOM_LOW_PERCENT / 100), mine = oci_store_bytes(s);
        const struct oci_prune_options o = {.all = true, .keep_bytes = mine > excess ? mine - excess : 1, .min_age_ms = ROOM_MIN_AGE_MS};
        AUTO(oci_prune_result) struct oci_prune_result gone = {0};
        (void)!oci_store_prune(s, &o, false, &gone, NULL);
}

static void prepare_work(void *arg) {
        struct op *op = arg;
        AUTO(oci_reference) struct oci_reference name = {0};
        const struct oci_store *s = &op->pulls->store;
        worker_umask();
        op->is_missing = false;
        op->result = oci_reference_parse(op->reference, &name, &op->err);
        if (op->result < 0)
                return;
        op->result = oci_store_find(s, &name, &op->image, &op->err);
        if (op->result == -ENOENT && !op->was_pulled) {
                op->is_missing = true;
                return;
        }
        if (op->result == 0 && op->pulls->o.has_overlay)
                op->result = oci_store_unpack(s, &op->image, op->pulls->o.ids, &op->layers_dir, &op->layers, &op->err);
        if (op->result == 0 && op->was_pulled)
                make_room(s);
}

static void prepare(struct op *op);

static void finish(struct op *op) {
        const struct image_ready ready = {.image = &op->image,
                                          .layers_dir = op->layers_dir,
                                          .layers = &op->layers,
                                          .was_pulled = op->was_pulled,
                                          .took_ms = op->took_ms};
        map_remove(&op->pulls->ops, op->key);
        vec_foreach(g, &op->waiting) if (*g) (*g)->done((*g)->arg, op->result < 0 ? NULL : &ready, op->result < 0 ? &op->err : NULL);
        op_free(op);
}

static void on_pulled(void *arg, struct sv answer, const struct err *err) {
        struct op *op = arg;
        op->task = NULL;
        op->took_ms = clock_mono_ms() - op->began_ms;
        if (err) {
                op->result = err->code;
                err_copy(&op->err, err);
                finish(op);
                return;
        }
        op->was_pulled = true;
        prepare(op);
}

static void pull(struct op *op) {
        struct image_pulls *p = op->pulls;
        AUTO(free) char *task = task_text(op);
        op->began_ms = clock_mono_ms();
        vec_foreach(g, &op->waiting) if (*g && (*g)->on_pulling) (*g)->on_pulling((*g)->arg);
        err_clear(&op->err);
        op->task = dialer_send(p->o.dialer, p->o.loop, sv_of(task), on_pulled, op);
}

static bool nobody_waits(const struct op *op) {
        vec_foreach(g, &op->waiting) if (*g) return false;
        return true;
}

static void prepare_done(void *arg) {
        struct op *op = arg;
        kubelet_job_done(op->pulls->o.kubelet);
        if (op->is_missing && op->policy != PULL_NEVER && op->pulls->o.dialer && !nobody_waits(op))
                pull(op);
        else
                finish(op);
}

static void prepare(struct op *op) {
        op->pulls->o.kubelet->jobs++;
        loop_work(op->pulls->o.loop, prepare_work, prepare_done, op);
}

static void on_no_store(void *arg) {
        struct op *op = arg;
        kubelet_job_done(op->pulls->o.kubelet);
        op->result = err_set(&op->err, op->pulls->store_error.code, "%s", err_message(&op->pulls->store_error));
        finish(op);
}

/* ---- asking ---- */

static char *key_of(const struct image_want *w) {
        AUTO(str) struct str text = STR_INIT(0);
        char hex[SHA256_HEX_SIZE];
        for (size_t i = 0; w->secrets && i < w->secrets->len; i++)
                str_appendf(&text, "%s\n", w->secrets->items[i]);
        sha256_hex(str_sv(&text), hex);
        return xasprintf("%d %s %s", w->policy, hex, w->reference);
}

struct image_get *image_pulls_get(struct image_pulls *p, const struct image_want *w) {
        AUTO(free) char *key = key_of(w);
        struct image_get *g = NEW(struct image_get);
        struct op *op = map_get(&p->ops, key);
        *g = (struct image_get){.on_pulling = w->on_pulling, .done = w->done, .arg = w->arg};
        if (op) {
                g->op = op;
                *vec_push(&op->waiting) = g;
                if (op->task && g->on_pulling)
                        g->on_pulling(g->arg);
                return g;
        }
        op = NEW(struct op);
        *op = (struct op){.pulls = p, .key = xstrdup(key), .reference = xstrdup(w->reference), .policy = w->policy};
        for (size_t i = 0; w->secrets && i < w->secrets->len; i++)
                strv_add(&op->secrets, w->secrets->items[i]);
        g->op = op;
        *vec_push(&op->waiting) = g;
        map_set(&p->ops, key, op);
        if (!p->store.dir) {
                p->o.kubelet->jobs++;
                loop_post(p->o.loop, on_no_store, op);
        } else if (w->policy == PULL_ALWAYS && p->o.dialer) {
                pull(op);
        } else {
                prepare(op);
        }
        return g;
}

void image_get_cancel(struct image_get *g) {
        struct op *op = g->op;
        vec_foreach(x, &op->waiting) if (*x == g) *x = NULL;
        free(g);
        /* A worker's part cannot be called back; it ends by itself. */
        if (op->task && nobody_waits(op)) {
                dialer_cancel(TAKE(op->task));
                map_remove(&op->pulls->ops, op->key);
                op_free(op);
        }
}

/* ---- leases ---- */

static void lease_work(void *arg) {
        struct lease *l = arg;
        l->result = oci_store_lease(&l->pulls->store, l->dir, &l->manifests, &l->err);
}

static void write_lease(struct image_pulls *p);

static void lease_done(void *arg) {
        struct lease *l = arg;
        struct image_pulls *p = l->pulls;
        if (l->result < 0)
                log_warn("images in use could not be noted, pruning may take them away: %s", err_message(&l->err));
        lease_free(TAKE(p->lease));
        if (p->next_lease)
                write_lease(p);
        kubelet_job_done(p->o.kubelet);
}

/* One after the other: workers are several, and an older lease must not be written over a newer one. */
static void write_lease(struct image_pulls *p) {
        p->lease = TAKE(p->next_lease);
        p->o.kubelet->jobs++;
        loop_work(p->o.loop, lease_work, lease_done, p->lease);
}

void image_pulls_lease(struct image_pulls *p, const char *instance_dir, const struct strv *manifests) {
        if (!p->store.dir)
                return;
        lease_free(p->next_lease);
        p->next_lease = NEW(struct lease);
        *p->next_lease = (struct lease){.pulls = p, .dir = xstrdup(instance_dir)};
        for (size_t i = 0; i < manifests->len; i++)
                strv_add(&p->next_lease->manifests, manifests->items[i]);
        if (!p->lease)
                write_lease(p);
}
