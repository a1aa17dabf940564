#include "cluster/object.h"

#include "base/vec.h"
#include "cluster/documents.h"
#include "cluster/registry.h"
#include "kobj/meta.h"

/* The strings that follow the text in an object's allocation: counted first, then copied. */
struct tail {
        char *at; /* NULL: counting */
        size_t len;
};

static const char *tail_add(struct tail *t, const char *s) {
        size_t len;
        if (!s)
                return NULL;
        len = strlen(s) + 1;
        t->len += len;
        if (!t->at)
                return NULL;
        t->at += len;
        return memcpy(t->at - len, s, len);
}

static const char *or_empty(const char *s) { return s ? s : ""; }

static void extract(struct object *o, yyjson_val *root, struct tail *t) {
        yyjson_val *meta = meta_of(root), *owner = meta_controller(root), *key, *value;
        size_t i, max;

        o->namespace = tail_add(t, or_empty(json_get_str(meta, "namespace")));
        o->name = tail_add(t, or_empty(json_get_str(meta, "name")));
        o->uid = tail_add(t, or_empty(json_get_str(meta, "uid")));
        o->owner_kind = tail_add(t, owner ? or_empty(json_get_str(owner, "kind")) : NULL);
        o->owner_name = tail_add(t, owner ? or_empty(json_get_str(owner, "name")) : NULL);
        o->owner_uid = tail_add(t, owner ? or_empty(json_get_str(owner, "uid")) : NULL);
        o->node = tail_add(t, or_empty(json_get_str(yyjson_obj_get(root, "spec"), "nodeName")));
        o->phase = tail_add(t, or_empty(json_get_str(yyjson_obj_get(root, "status"), "phase")));
        o->labels = t->at;
        o->n_labels = 0;
        yyjson_obj_foreach(meta_labels(root), i, max, key, value) {
                if (!yyjson_is_str(value))
                        continue;
                tail_add(t, yyjson_get_str(key));
                tail_add(t, yyjson_get_str(value));
                o->n_labels++;
        }
        o->created_ms = meta_created_ms(root);
        o->is_deleting = yyjson_obj_get(meta, "deletionTimestamp") != NULL;
        o->has_owners = yyjson_arr_size(meta_owners(root)) > 0;
}

/* Most objects are written into a place of their own: a block of the heap that is freed at once would leave a hole beside each object that
 * stays (a tenth of the memory of ten thousand pods). *ret_owned is what has to be freed, NULL then. */
static const char *write_text(yyjson_val *root, char **ret_owned, size_t *ret_len) {
        static char place[64 * 1024];
        yyjson_alc alc;
        const char *text = yyjson_alc_pool_init(&alc, place, sizeof(place)) ? yyjson_val_write_opts(root, 0, &alc, ret_len, NULL) : NULL;
        return text ? text : (*ret_owned = json_write(root, false, ret_len));
}

struct object *object_new(const struct resource *resource, uint64_t revision, yyjson_doc *doc) {
        yyjson_val *root = yyjson_doc_get_root(doc);
        struct object measured = {0}, *o;
        struct tail count = {0}, tail;
        AUTO(free) char *owned = NULL;
        size_t len;
        const char *text = write_text(root, &owned, &len);

        extract(&measured, root, &count);
        o = xmalloc(sizeof(*o) + len + 1 + count.len);
        *o = (struct object){.refs = 1, .holders = 1, .resource = resource, .revision = revision, .json_len = len, .doc = doc};
        memcpy(o->json, text, len + 1);
        tail = (struct tail){.at = o->json + len + 1};
        extract(o, root, &tail);
        return o;
}

struct object *object_hold(struct object *o) {
        if (o)
                o->refs++;
        return o;
}

void object_release(struct object *o) {
        if (!o || --o->refs)
                return;
        documents_forget(o);
        yyjson_doc_free(o->doc);
        free(o);
}

struct object *object_ref(struct object *o) {
        if (o)
                o->holders++;
        return object_hold(o);
}

void object_unref(struct object *o) {
        if (o)
                o->holders--;
        object_release(o);
}

void object_rest(struct object *o, unsigned mine) {
        if (o->holders <= mine)
                documents_drop(o);
}

static yyjson_doc *parse(const struct object *o) {
        /* What was written by the same library, from a document that was checked when it came in, is read back; else memory is out. */
        yyjson_doc *doc = yyjson_read(o->json, o->json_len, YYJSON_READ_NOFLAG);
        if (!doc)
                abort();
        return doc;
}

yyjson_val *object_parse_(struct object *o) {
        o->doc = parse(o);
        documents_note(o);
        return yyjson_doc_get_root(o->doc);
}

struct object_view object_view(const struct object *o) {
        struct object_view v = {.own = o->doc ? NULL : parse(o)};
        v.root = yyjson_doc_get_root(v.own ? v.own : o->doc);
        return v;
}

struct sv object_body(const struct object *o) {
        size_t skip = o->resource ? o->resource->storage->prefix_len : 0;
        if (skip && o->json_len > skip && memcmp(o->json, o->resource->storage->prefix, skip) == 0)
                return sv_new(o->json + skip, o->json_len - skip);
        return sv_new(o->json + 1, o->json_len - 1);
}

const char *object_label(const struct object *o, const char *key) {
        const char *at = o->labels;
        for (unsigned i = 0; i < o->n_labels; i++) {
                const char *value = at + strlen(at) + 1;
                if (streq(at, key))
                        return value;
                at = value + strlen(value) + 1;
        }
        return NULL;
}

static const char *label_of(const void *arg, const char *key) { return object_label(arg, key); }
bool object_matches(const struct object *o, const struct selector *labels) { return selector_matches_by(labels, label_of, o); }

const char *object_annotation(const struct object *o, const char *key) { return meta_annotation(object_root(o), key); }
yyjson_val *object_controller(const struct object *o) { return o->owner_uid ? meta_controller(object_root(o)) : NULL; }

void object_list_add(struct object_list *l, struct object *o) { *vec_push(l) = object_ref(o); }

void object_list_done(struct object_list *l) {
        for (size_t i = 0; i < l->len; i++)
                object_unref(l->items[i]);
        vec_done(l);
}
