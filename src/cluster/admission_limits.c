/* LimitRange: defaults for what containers leave out, bounds for what they say. */
#include "cluster/admission.h"
#include "cluster/edit.h"
#include "codec/quantity.h"
#include "kobj/meta.h"

static struct collection *ranges(const struct op *op) { return registry_by_id(&op->s->registry, "limitranges")->objects; }

static void merge(struct draft *d, yyjson_mut_val *resources, const char *list, yyjson_val *defaults, struct strv *ret_set) {
        yyjson_val *key, *value;
        size_t i, n;
        yyjson_obj_foreach(defaults, i, n, key, value) {
                yyjson_mut_val *have = member_obj(resources, list);
                if (have && yyjson_mut_obj_get(have, yyjson_get_str(key)))
                        continue;
                mjson_set(d->doc, mjson_obj(d->doc, resources, list), yyjson_get_str(key), yyjson_val_mut_copy(d->doc, value));
                strv_add(ret_set, yyjson_get_str(key));
        }
        strv_sort(ret_set);
}

static void note(struct strv *notes, const struct strv *set, const char *what, const char *where, const char *name) {
        AUTO(free) char *all = strv_join(set, ", ");
        if (set->len)
                strv_addf(notes, "%s %s for %s %s", all, what, where, name);
}

static void fill_container(struct draft *d, yyjson_mut_val *c, const char *where, yyjson_val *limit, struct strv *notes) {
        yyjson_mut_val *resources = mjson_obj(d->doc, c, "resources");
        AUTO(strv) struct strv limits = {0}, requests = {0};
        const char *name = mjson_get_str(c, "name");
        merge(d, resources, "limits", yyjson_obj_get(limit, "default"), &limits);
        merge(d, resources, "requests", yyjson_obj_get(limit, "defaultRequest"), &requests);
        note(notes, &requests, "request", where, name ? name : "");
        note(notes, &limits, "limit", where, name ? name : "");
}

int admit_limit_range(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        struct collection *c = ranges(op);
        AUTO(strv) struct strv notes = {0};
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        size_t end, at = collection_range(c, op->ns, &end);
        (void)err;

        if (what != ADMIT_CREATE)
                return 0;
        for (; at < end; at++)
                EACH(limit, i, object_at(c->items[at], "/spec/limits")) {
                        if (!streq_null(json_get_str(limit, "type"), "Container"))
                                continue;
                        MUT_EACH(container, spec, "containers") fill_container(d, container, "container", limit, &notes);
                        MUT_EACH(init, spec, "initContainers") fill_container(d, init, "init container", limit, &notes);
                }
        if (notes.len) {
                AUTO(free) char *all = strv_join(&notes, "; "), *text = xasprintf("LimitRanger plugin set: %s", all);
                mmeta_set_annotation(d->doc, d->root, "kubernetes.io/limit-ranger", text);
        }
        return 0;
}

struct bound {
        const char *type; /* "Container", "Pod", "PersistentVolumeClaim" */
        yyjson_val *limit;
        struct strv *why;
};

static bool amount(yyjson_val *list, const char *name, struct quantity *ret) {
        const char *text = json_get_str(list, name);
        return text && quantity_parse(sv_of(text), ret, NULL) == 0;
}

static void check_one(const struct bound *b, const char *name, const struct quantity *request, const struct quantity *limit) {
        struct quantity min, max, ratio;
        bool has_min = amount(yyjson_obj_get(b->limit, "min"), name, &min), has_max = amount(yyjson_obj_get(b->limit, "max"), name, &max);
        char bound_text[64] = "", have[64] = "";

        if (has_min) {
                quantity_format(min, bound_text);
                if (!request)
                        strv_addf(b->why, "minimum %s usage per %s is %s.  No request is specified", name, b->type, bound_text);
                else if (quantity_cmp(*request, min) < 0)
                        quantity_format(*request, have),
                                strv_addf(b->why, "minimum %s usage per %s is %s, but request is %s", name, b->type, bound_text, have);
                else if (limit && quantity_cmp(*limit, min) < 0)
                        quantity_format(*limit, have),
                                strv_addf(b->why, "minimum %s usage per %s is %s, but limit is %s", name, b->type, bound_text, have);
        }
        if (has_max) {
                quantity_format(max, bound_text);
                if (!limit)
                        strv_addf(b->why, "maximum %s usage per %s is %s.  No limit is specified", name, b->type, bound_text);
                else if (quantity_cmp(*limit, max) > 0)
                        quantity_format(*limit, have),
                                strv_addf(b->why, "maximum %s usage per %s is %s, but limit is %s", name, b->type, bound_text, have);
                else if (request && quantity_cmp(*request, max) > 0)
                        quantity_format(*request, have),
                                strv_addf(b->why, "maximum %s usage per %s is %s, but request is %s", name, b->type, bound_text, have);
        }
        if (amount(yyjson_obj_get(b->limit, "maxLimitRequestRatio"), name, &ratio)) {
                double observed = request && limit && request->nano ? (double)limit->nano / (double)request->nano : 0;
                quantity_format(ratio, bound_text);
                if (!request || !limit)
                        strv_addf(b->why, "%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name,
                                  b->type, bound_text);
                else if (observed > (double)ratio.nano / 1e9)
                        strv_addf(b->why, "%s max limit to request ratio per %s is %s, but provided ratio is %f", name, b->type, bound_text,
                                  observed);
        }
}

static void each_name(yyjson_val *limit, struct map *ret) {
        static const char *const lists[] = {"min", "max", "maxLimitRequestRatio"};
        yyjson_val *key, *value;
        size_t i, n;
        for (size_t l = 0; l < ARRAY_LEN(lists); l++)
                yyjson_obj_foreach(yyjson_obj_get(limit, lists[l]), i, n, key, value) map_set(ret, yyjson_get_str(key), value);
}

static void check_container(const struct bound *b, yyjson_val *c) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        each_name(b->limit, &names);
        map_foreach(e, &names) {
                struct quantity request, limit;
                bool has_request = amount(json_at(c, "/resources/requests"), e->key, &request);
                bool has_limit = amount(json_at(c, "/resources/limits"), e->key, &limit);
                check_one(b, e->key, has_request ? &request : NULL, has_limit ? &limit : NULL);
        }
}

static void check_pod_sum(const struct bound *b, yyjson_val *pod) {
        AUTO(map) struct map names = MAP_INIT(NULL);
        each_name(b->limit, &names);
        map_foreach(e, &names) {
                struct quantity sums[2] = {{0}, {0}};
                bool has[2] = {false, false};
                static const char *const lists[] = {"/resources/requests", "/resources/limits"};
                EACH(c, i, json_at(pod, "/spec/containers")) {
                        for (int k = 0; k < 2; k++) {
                                struct quantity q;
                                if (!amount(json_at(c, lists[k]), e->key, &q))
                                        continue;
                                sums[k] = has[k] ? quantity_add(sums[k], q) : q;
                                has[k] = true;
                        }
                }
                check_one(b, e->key, has[0] ? &sums[0] : NULL, has[1] ? &sums[1] : NULL);
        }
}

static void check_claim(const struct bound *b, yyjson_val *claim) {
        struct quantity request, bound_value;
        char text[64], have[64];
        if (!amount(json_at(claim, "/spec/resources/requests"), "storage", &request))
                return;
        quantity_format(request, have);
        if (amount(yyjson_obj_get(b->limit, "min"), "storage", &bound_value) && quantity_cmp(request, bound_value) < 0)
                quantity_format(bound_value, text),
                        strv_addf(b->why, "minimum storage usage per PersistentVolumeClaim is %s, but request is %s", text, have);
        if (amount(yyjson_obj_get(b->limit, "max"), "storage", &bound_value) && quantity_cmp(request, bound_value) > 0)
                quantity_format(bound_value, text),
                        strv_addf(b->why, "maximum storage usage per PersistentVolumeClaim is %s, but request is %s", text, have);
}

int check_limit_range(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err) {
        struct collection *c = ranges(op);
        AUTO(strv) struct strv why = {0};
        AUTO(free) char *all = NULL;
        size_t end, at = collection_range(c, op->ns, &end);
        bool is_pod = streq(op->res->id, "pods");
        (void)old;

        if (what != ADMIT_CREATE && is_pod)
                return 0; /* a pod's resources do not change */
        for (; at < end; at++)
                EACH(limit, i, object_at(c->items[at], "/spec/limits")) {
                        const char *type = json_get_str(limit, "type");
                        struct bound b = {type ? type : "", limit, &why};
                        if (is_pod && streq(b.type, "Container")) {
                                EACH(container, k, json_at(object, "/spec/containers")) check_container(&b, container);
                                EACH(init, m, json_at(object, "/spec/initContainers")) check_container(&b, init);
                        } else if (is_pod && streq(b.type, "Pod")) {
                                check_pod_sum(&b, object);
                        } else if (!is_pod && streq(b.type, "PersistentVolumeClaim")) {
                                check_claim(&b, object);
                        }
                }
        if (why.len == 0)
                return 0;
        all = strv_join(&why, ", ");
        return status_forbidden(err, op->res, meta_name(object), why.len > 1 ? "[%s]" : "%s", all);
}
