/* Get and list. */
#include "cluster/ops.h"
#include "cluster/crd/structural.h"
#include "kobj/meta.h"

int op_get(const struct op *op, struct object **ret, struct err *err) {
        struct object *o = collection_find(op->res->objects, op->ns, op->name);
        if (!o)
                return status_not_found(err, op->res, op->name);
        *ret = object_ref(o);
        return 0;
}

void list_query_done(struct list_query *q) {
        selector_done(&q->labels);
        field_selector_done(&q->fields);
}

int list_query_parse(const struct resource *res, const char *labels, const char *fields, struct list_query *ret, struct err *err) {
        AUTO(list_query) struct list_query q = {0};
        int r = 0;
        if (labels && *labels)
                r = selector_parse(sv_of(labels), &q.labels, err);
        if (r >= 0 && fields && *fields) {
                r = field_selector_parse(sv_of(fields), &q.fields, err);
                for (size_t i = 0; r >= 0 && res->is_custom && i < q.fields.len; i++) {
                        const char *field = q.fields.items[i].field;
                        if (!streq(field, "metadata.name") && !streq(field, "metadata.namespace") &&
                            !strv_has(&res->selectable_fields, field))
                                return status_bad_request(err, "field label not supported: %s", field);
                }
                if (r >= 0)
                        r = field_selector_check(&q.fields, res->group, res->kind, &res->selectable_fields, err);
        }
        if (r < 0)
                return r;
        *ret = q;
        q = (struct list_query){0};
        return 0;
}

/* What an object knows of itself without its document; NULL: look there. */
static const char *known_field(const struct object *o, const char *field) {
        if (streq(field, "metadata.name"))
                return o->name;
        if (streq(field, "metadata.namespace"))
                return o->namespace;
        if (!o->resource || o->resource->is_custom) /* there these may be anything */
                return NULL;
        return streq(field, "spec.nodeName") ? o->node : streq(field, "status.phase") ? o->phase : NULL;
}

bool list_query_matches(const struct list_query *q, const struct object *o) {
        bool is_known = true;
        if (!selector_is_empty(&q->labels) && !object_matches(o, &q->labels))
                return false;
        vec_foreach(t, &q->fields) {
                const char *value = known_field(o, t->field);
                is_known &= value != NULL;
                if (value && streq(value, t->value) == t->negate)
                        return false;
        }
        if (is_known)
                return true;
        AUTO(object_view) struct object_view v = object_view(o);
        return field_selector_matches(&q->fields, v.root);
}

/* From an ordered run of objects what the query wants. True when its limit cut the list. */
static bool choose(const struct list_query *q, struct object *const *items, size_t count, struct object_list *ret, int64_t *ret_remaining) {
        bool has_selector = !selector_is_empty(&q->labels) || q->fields.len;

        for (size_t i = 0; i < count; i++) {
                if (has_selector && !list_query_matches(q, items[i]))
                        continue;
                if (q->limit > 0 && ret->len == (size_t)q->limit) {
                        if (!has_selector)
                                *ret_remaining = (int64_t)(count - i);
                        return true;
                }
                object_list_add(ret, items[i]);
        }
        return false;
}

static int list_past(const struct op *op, const struct list_query *q, struct object_list *ret, int64_t *ret_remaining, struct err *err) {
        AUTO(object_list) struct object_list all = {0};
        size_t at = 0;
        int r = store_snapshot(op->s->store, op->res->objects, op->ns, q->revision, &all, err);

        if (r < 0)
                return r;
        ret->revision = q->revision;
        for (; q->after_name && at < all.len; at++) {
                int order = strcmp(all.items[at]->namespace, q->after_ns);
                if (order > 0 || (order == 0 && strcmp(all.items[at]->name, q->after_name) > 0))
                        break;
        }
        return choose(q, all.items + at, all.len - at, ret, ret_remaining);
}

int op_list(const struct op *op, const struct list_query *q, struct object_list *ret, int64_t *ret_remaining, struct err *err) {
        const struct collection *c = op->res->objects;
        const char *name = field_selector_exact(&q->fields, "metadata.name");
        size_t end, at;

        ret->revision = store_revision(op->s->store);
        *ret_remaining = -1;
        if (!c)
                return 0;
        if (q->revision && q->revision != ret->revision)
                return list_past(op, q, ret, ret_remaining, err);
        if (name && op->ns) {
                struct object *o = collection_find(c, op->ns, name);
                if (o && list_query_matches(q, o))
                        object_list_add(ret, o);
                return 0;
        }
        at = collection_range(c, op->ns, &end);
        if (q->after_name) {
                size_t after = collection_after(c, q->after_ns, q->after_name);
                at = after > at ? after : at;
        }
        return choose(q, c->items + at, end > at ? end - at : 0, ret, ret_remaining);
}

void object_text_as(const struct object *o, const struct resource *res, struct str *out) {
        if (res == o->resource || !o->resource) {
                str_append_sv(out, object_text(o));
                return;
        }
        if (res->hooks->from_storage || res->structural) {
                AUTO(object_view) struct object_view v = object_view(o);
                AUTO(mjson) yyjson_mut_doc *doc = json_thaw(v.root);
                size_t len;
                yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
                if (res->hooks->from_storage)
                        res->hooks->from_storage(doc, root);
                if (res->structural) {
                        structural_default(res->structural, doc, root);
                        structural_prune(res->structural, root, NULL);
                }
                mjson_set_str(doc, root, "kind", res->kind);
                mjson_set_str(doc, root, "apiVersion", res->api_version);
                AUTO(free) char *text = mjson_write(root, false, &len);
                str_append(out, text, len);
                return;
        }
        str_append(out, res->prefix, res->prefix_len);
        str_append_sv(out, object_body(o));
}
