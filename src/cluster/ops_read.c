/* Get and list. */
#include "cluster/ops.h"
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
                        if (!streq(field, "metadata.name") && !streq(field, "metadata.namespace") && !strv_has(&res->selectable_fields, field))
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

bool list_query_matches(const struct list_query *q, const struct object *o) {
        if (!selector_is_empty(&q->labels) && !selector_matches(&q->labels, meta_labels(object_root(o))))
                return false;
        return q->fields.len == 0 || field_selector_matches(&q->fields, object_root(o));
}

bool op_list(const struct op *op, const struct list_query *q, struct object_list *ret, int64_t *ret_remaining) {
        const struct collection *c = op->res->objects;
        bool has_selector = !selector_is_empty(&q->labels) || q->fields.len;
        const char *name = field_selector_exact(&q->fields, "metadata.name");
        size_t end, at;

        ret->revision = store_revision(op->s->store);
        *ret_remaining = -1;
        if (!c)
                return false;
        if (name && op->ns) {
                struct object *o = collection_find(c, op->ns, name);
                if (o && list_query_matches(q, o))
                        object_list_add(ret, o);
                return false;
        }
        at = collection_range(c, op->ns, &end);
        if (q->after_name) {
                size_t after = collection_after(c, q->after_ns, q->after_name);
                at = after > at ? after : at;
        }
        for (; at < end; at++) {
                if (has_selector && !list_query_matches(q, c->items[at]))
                        continue;
                if (q->limit > 0 && ret->len == (size_t)q->limit) {
                        if (!has_selector)
                                *ret_remaining = (int64_t)(end - at);
                        return true;
                }
                object_list_add(ret, c->items[at]);
        }
        return false;
}

void object_text_as(const struct object *o, const struct resource *res, struct str *out) {
        if (res == o->resource || !o->resource) {
                str_append_sv(out, object_text(o));
                return;
        }
        if (res->hooks->from_storage) {
                AUTO(mjson) yyjson_mut_doc *doc = object_edit(o);
                size_t len;
                yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
                res->hooks->from_storage(doc, root);
                mjson_set_str(doc, root, "kind", res->kind);
                mjson_set_str(doc, root, "apiVersion", res->api_version);
                AUTO(free) char *text = mjson_write(root, false, &len);
                str_append(out, text, len);
                return;
        }
        str_append(out, res->prefix, res->prefix_len);
        str_append_sv(out, object_body(o));
}
