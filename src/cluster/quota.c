#include "cluster/quota.h"

#include "cluster/admission.h"
#include "cluster/edit.h"
#include "kobj/meta.h"

/* Names that count objects. */
static const struct {
        const char *name, *resource;
} counted[] = {
        {"pods", "pods"},
        {"services", "services"},
        {"configmaps", "configmaps"},
        {"secrets", "secrets"},
        {"persistentvolumeclaims", "persistentvolumeclaims"},
        {"replicationcontrollers", "replicationcontrollers"},
        {"resourcequotas", "resourcequotas"},
};

static const struct quantity one = {.nano = 1000000000, .format = QUANTITY_DECIMAL};

static bool is_finished(yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase");
        return phase && (streq(phase, "Succeeded") || streq(phase, "Failed"));
}

/* Sum over the containers, or the largest init container when that is more. */
static struct quantity pod_amount(yyjson_val *pod, const char *list, const char *name) {
        struct quantity sum = {0}, init = {0}, q;
        AUTO(free) char *pointer = xasprintf("/resources/%s", list);
        EACH(c, i, json_at(pod, "/spec/containers")) {
                const char *text = json_get_str(json_at(c, pointer), name);
                if (text && quantity_parse(sv_of(text), &q, NULL) == 0)
                        sum = sum.nano ? quantity_add(sum, q) : q;
        }
        EACH(c, i, json_at(pod, "/spec/initContainers")) {
                const char *text = json_get_str(json_at(c, pointer), name);
                if (text && quantity_parse(sv_of(text), &q, NULL) == 0 && quantity_cmp(q, init) > 0)
                        init = q;
        }
        return quantity_cmp(init, sum) > 0 ? init : sum;
}

static bool pod_use(yyjson_val *pod, const char *name, struct quantity *ret) {
        const char *list = "requests", *what = name;
        if (str_starts(name, "requests."))
                what = name + strlen("requests.");
        else if (str_starts(name, "limits."))
                list = "limits", what = name + strlen("limits.");
        else if (!streq(name, "cpu") && !streq(name, "memory") && !streq(name, "ephemeral-storage"))
                return false;
        if (streq(what, "storage"))
                return false;
        *ret = pod_amount(pod, list, what);
        return true;
}

static bool service_use(yyjson_val *service, const char *name, struct quantity *ret) {
        const char *type = json_str_at(service, "/spec/type");
        bool balanced = streq_null(type, "LoadBalancer"), ports = balanced || streq_null(type, "NodePort");
        *ret = (struct quantity){0};
        if (streq(name, "services.loadbalancers")) {
                if (balanced)
                        *ret = one;
                return true;
        }
        if (!streq(name, "services.nodeports"))
                return false;
        ret->nano = ports ? (__int128)one.nano * (__int128)yyjson_arr_size(json_at(service, "/spec/ports")) : 0;
        return true;
}

bool quota_use_of(const struct resource *resource, yyjson_val *object, const char *name, struct quantity *ret) {
        bool is_pod = streq(resource->id, "pods");

        if (str_starts(name, "count/")) {
                if (!streq(name + strlen("count/"), resource->id))
                        return false;
                *ret = one;
                return true;
        }
        for (size_t i = 0; i < ARRAY_LEN(counted); i++)
                if (streq(counted[i].name, name)) {
                        if (!streq(counted[i].resource, resource->id))
                                return false;
                        *ret = is_pod && is_finished(object) ? (struct quantity){0} : one;
                        return true;
                }
        if (is_pod) {
                if (!pod_use(object, name, ret))
                        return false;
                if (is_finished(object))
                        *ret = (struct quantity){0};
                return true;
        }
        if (streq(resource->id, "services"))
                return service_use(object, name, ret);
        if (streq(resource->id, "persistentvolumeclaims") && streq(name, "requests.storage")) {
                const char *text = json_str_at(object, "/spec/resources/requests/storage");
                *ret = (struct quantity){0};
                return text && quantity_parse(sv_of(text), ret, NULL) == 0;
        }
        return false;
}

static bool in_scope(const char *scope, yyjson_val *pod) {
        bool terminating = json_at(pod, "/spec/activeDeadlineSeconds") != NULL,
             best_effort = streq_null(json_str_at(pod, "/status/qosClass"), "BestEffort");
        if (streq(scope, "Terminating"))
                return terminating;
        if (streq(scope, "NotTerminating"))
                return !terminating;
        if (streq(scope, "BestEffort"))
                return best_effort;
        if (streq(scope, "NotBestEffort"))
                return !best_effort;
        return true;
}

static bool in_scope_expression(yyjson_val *e, yyjson_val *pod) {
        const char *scope = json_get_str(e, "scopeName"), *operator= json_get_str(e, "operator");
        const char *class = json_str_at(pod, "/spec/priorityClassName");
        bool listed = false;
        if (!scope || !operator)
                return true;
        if (!streq(scope, "PriorityClass"))
                return in_scope(scope, pod);
        EACH(value, i, yyjson_obj_get(e, "values")) listed |= streq_null(yyjson_get_str(value), class);
        if (streq(operator, "Exists"))
                return class && *class;
        if (streq(operator, "DoesNotExist"))
                return !class || !*class;
        return streq(operator, "In") ? listed : !listed;
}

bool quota_covers(yyjson_val *quota, const struct resource *resource, yyjson_val *object) {
        yyjson_val *scopes = json_at(quota, "/spec/scopes"), *expressions = json_at(quota, "/spec/scopeSelector/matchExpressions");
        if (!streq(resource->id, "pods"))
                return yyjson_arr_size(scopes) + yyjson_arr_size(expressions) == 0;
        EACH(scope, i, scopes) if (!in_scope(yyjson_get_str(scope), object)) return false;
        EACH(e, k, expressions) if (!in_scope_expression(e, object)) return false;
        return true;
}

struct quantity quota_used(struct apiserver *s, yyjson_val *quota, const char *ns, const char *name) {
        struct quantity total = {0}, q;
        for (size_t i = 0; i < s->registry.all.len; i++) {
                struct resource *res = s->registry.all.items[i];
                size_t at, end;
                if (res->storage != res || !res->is_served || !resource_is_namespaced(res) || !res->objects)
                        continue;
                at = collection_range(res->objects, ns, &end);
                for (; at < end; at++) {
                        AUTO(object_view) struct object_view o = object_view(res->objects->items[at]);
                        if (!quota_use_of(res, o.root, name, &q))
                                break; /* the name does not concern this kind */
                        if (quota_covers(quota, res, o.root))
                                total = total.nano ? quantity_add(total, q) : q;
                }
        }
        return total;
}

struct excess {
        struct str requested, used, limited;
};

static void add_part(struct str *s, const char *name, struct quantity q) {
        char text[64];
        quantity_format(q, text);
        str_appendf(s, "%s%s=%s", s->len ? "," : "", name, text);
}

/* A quota on compute resources obliges every container to state them. */
static int check_stated(const struct op *op, struct object *quota, yyjson_val *pod, struct err *err) {
        AUTO(strv) struct strv missing = {0};
        yyjson_val *key, *value;
        size_t i, n;

        yyjson_obj_foreach(object_at(quota, "/spec/hard"), i, n, key, value) {
                const char *name = yyjson_get_str(key), *what = strchr(name, '.');
                AUTO(strv) struct strv lacking = {0};
                AUTO(free) char *names = NULL, *pointer = NULL;
                if (str_starts(name, "count/") ||
                    !(streq(name, "cpu") || streq(name, "memory") || streq(name, "requests.cpu") || streq(name, "requests.memory") ||
                      streq(name, "limits.cpu") || streq(name, "limits.memory")))
                        continue;
                pointer = xasprintf("/resources/%s/%s", str_starts(name, "limits.") ? "limits" : "requests", what ? what + 1 : name);
                EACH(c, k, json_at(pod, "/spec/containers")) if (!json_at(c, pointer)) strv_add(&lacking, json_get_str(c, "name"));
                if (lacking.len == 0)
                        continue;
                names = strv_join(&lacking, ",");
                strv_addf(&missing, "%s for: %s", name, names);
        }
        if (missing.len) {
                AUTO(free) char *all = NULL;
                strv_sort(&missing);
                all = strv_join(&missing, "; ");
                return status_forbidden(err, op->res, meta_name(pod), "failed quota: %s: must specify %s", quota->name, all);
        }
        return 0;
}

static int check_one_quota(const struct op *op, struct object *quota, yyjson_val *object, struct object *old, struct err *err) {
        struct excess over = {STR_INIT(0), STR_INIT(0), STR_INIT(0)};
        yyjson_val *key, *value;
        size_t i, n;
        int r = 0;

        if (streq(op->res->id, "pods") && !old)
                r = check_stated(op, quota, object, err);
        if (r < 0)
                return r;
        yyjson_obj_foreach(object_at(quota, "/spec/hard"), i, n, key, value) {
                const char *name = yyjson_get_str(key);
                struct quantity hard, used, delta, before = {0};
                if (!quota_use_of(op->res, object, name, &delta) || quantity_parse(sv_of(yyjson_get_str(value)), &hard, NULL) < 0)
                        continue;
                if (old && quota_covers(object_root(quota), op->res, object_root(old)) &&
                    quota_use_of(op->res, object_root(old), name, &before))
                        delta = quantity_sub(delta, before);
                if (delta.nano <= 0)
                        continue;
                used = quota_used(op->s, object_root(quota), op->ns, name);
                if (used.nano + delta.nano <= hard.nano)
                        continue;
                add_part(&over.requested, name, delta);
                add_part(&over.used, name, used.nano ? used : (struct quantity){.format = hard.format});
                add_part(&over.limited, name, hard);
        }
        if (over.limited.len)
                r = status_forbidden(err, op->res, meta_name(object), "exceeded quota: %s, requested: %s, used: %s, limited: %s",
                                     quota->name, str_cstr(&over.requested), str_cstr(&over.used), str_cstr(&over.limited));
        str_done(&over.requested);
        str_done(&over.used);
        str_done(&over.limited);
        return r;
}

int check_quota(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err) {
        struct collection *c;
        size_t at, end;
        (void)what;

        if (!resource_is_namespaced(op->res) || streq(op->res->id, "resourcequotas"))
                return 0;
        c = registry_by_id(&op->s->registry, "resourcequotas")->objects;
        at = collection_range(c, op->ns, &end);
        for (; at < end; at++) {
                int r = quota_covers(object_root(c->items[at]), op->res, object) ? check_one_quota(op, c->items[at], object, old, err) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}
