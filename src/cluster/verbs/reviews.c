/* Kinds that are questions: access reviews, token reviews, who am I; TokenRequest; component statuses. */
#include "cluster/edit.h"
#include "cluster/rbac.h"
#include "cluster/token.h"
#include "cluster/verbs/verbs.h"
#include "codec/ktime.h"
#include "kobj/apply.h"
#include "kobj/meta.h"

/* Even what is never stored tells who set its fields. */
static void own_fields(yyjson_mut_doc *doc, yyjson_mut_val *root, struct schema schema, const char *manager, const char *subresource) {
        struct apply_options o = {.manager = manager, .subresource = subresource, .schema = schema, .now_ms = clock_now_ms()};
        apply_track(doc, NULL, root, &o);
}

static int decode(struct request *q, struct schema schema, const char *kind, yyjson_mut_doc **ret_doc, yyjson_mut_val **ret,
                  struct err *err) {
        struct resource asked = *q->res;
        struct op op = {.s = q->s, .res = &asked, .validation = FIELDS_IGNORE};
        AUTO(free) char *manager = NULL;
        int r = request_body(q, kind, false, ret_doc, err);
        if (r < 0)
                return r;
        asked.schema = schema;
        asked.kind = (char *)kind;
        r = op_decode(&op, *ret_doc, yyjson_mut_doc_get_root(*ret_doc), ret, err);
        if (r == 0)
                r = request_op(q, &op, &manager, err);
        if (r == 0)
                own_fields(*ret_doc, *ret, schema, manager, q->subresource);
        return r;
}

static void user_from_spec(yyjson_mut_val *spec, struct user *ret) {
        const char *name = mjson_get_str(spec, "user");
        ret->name = xstrdup(name ? name : "");
        MUT_EACH(group, spec, "groups") strv_add(&ret->groups, yyjson_mut_get_str(group));
        if (str_starts(ret->name, "system:serviceaccount:")) {
                /* What the token would bring: reviews about service accounts name them by user only. */
                struct sv rest = sv_of(ret->name + strlen("system:serviceaccount:")), ns;
                sv_split(&rest, ':', &ns);
                if (ret->groups.len == 0) {
                        strv_add(&ret->groups, "system:serviceaccounts");
                        strv_addf(&ret->groups, "system:serviceaccounts:%.*s", SV_ARG(ns));
                        strv_add(&ret->groups, "system:authenticated");
                }
        }
}

static bool review_access(struct request *q, yyjson_mut_val *spec, const struct user *u, char **ret_reason) {
        yyjson_mut_val *r = member_obj(spec, "resourceAttributes"), *path = member_obj(spec, "nonResourceAttributes");
        struct access a = {0};
        const char *sub = mjson_get_str(r, "subresource");
        if (path) {
                a.path = mjson_get_str(path, "path");
                a.verb = mjson_get_str(path, "verb");
                if (!a.path)
                        a.path = "";
        } else {
                a.verb = mjson_get_str(r, "verb");
                a.group = mjson_get_str(r, "group");
                a.resource = mjson_get_str(r, "resource");
                a.subresource = sub && *sub ? sub : NULL;
                a.ns = mjson_get_str(r, "namespace");
                a.name = mjson_get_str(r, "name");
        }
        a.verb = a.verb ? a.verb : "";
        a.group = a.group ? a.group : "";
        a.resource = a.resource ? a.resource : "";
        a.ns = a.ns ? a.ns : "";
        return rbac_explain(q->s, u, &a, ret_reason);
}

static void check_selector(yyjson_mut_val *selector, const char *path, struct invalid *bad) {
        const char *raw = mjson_get_str(selector, "rawSelector");
        AUTO(free) char *at = xasprintf("%s.rawSelector", path);
        if (raw && *raw && yyjson_mut_arr_size(yyjson_mut_obj_get(selector, "requirements")))
                invalid_string(bad, at, raw, "may not specified at the same time as requirements");
}

static int check_review(struct request *q, yyjson_mut_val *root, struct err *err) {
        yyjson_mut_val *spec = member_obj(root, "spec"), *r = member_obj(spec, "resourceAttributes"),
                       *path = member_obj(spec, "nonResourceAttributes");
        const char *user = mjson_get_str(spec, "user"), *ns = mjson_get_str(r, "namespace");
        AUTO(invalid) struct invalid bad = {0};

        if (r && path) {
                AUTO(str) struct str text = STR_INIT(0);
                const char *p = mjson_get_str(path, "path"), *v = mjson_get_str(path, "verb");
                str_append_s(&text, "{\"Path\":");
                json_append_quoted(&text, sv_of(p ? p : ""));
                str_append_s(&text, ",\"Verb\":");
                json_append_quoted(&text, sv_of(v ? v : ""));
                str_append_c(&text, '}');
                invalid_add(&bad, "spec.nonResourceAttributes", INVALID_VALUE, str_cstr(&text),
                            "cannot be specified in combination with resourceAttributes");
        } else if (!r && !path) {
                invalid_add(&bad, "spec.resourceAttributes", INVALID_VALUE, "null",
                            "exactly one of nonResourceAttributes or resourceAttributes must be specified");
        }
        check_selector(member_obj(r, "labelSelector"), "spec.resourceAttributes.labelSelector", &bad);
        check_selector(member_obj(r, "fieldSelector"), "spec.resourceAttributes.fieldSelector", &bad);
        if (mmeta_name(root) && *mmeta_name(root) && !streq(q->res->plural, "localsubjectaccessreviews")) {
                AUTO(free) char *text = mjson_write(mmeta_of(root), false, NULL);
                invalid_add(&bad, "metadata", INVALID_VALUE, text, "must be empty");
        }
        if (str_ends(q->res->plural, "subjectaccessreviews") && !str_starts(q->res->plural, "self") && (!user || !*user) &&
            yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "groups")) == 0)
                invalid_string(&bad, "spec.user", "", "at least one of user or group must be specified");
        if (streq(q->res->plural, "localsubjectaccessreviews") && r && !streq_null(ns, q->ns))
                invalid_string(&bad, "spec.resourceAttributes.namespace", ns ? ns : "", "must match metadata.namespace");
        return invalid_err(&bad, q->res->group, "", "", err);
}

static int access_review(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(user) struct user other = {.extra = MAP_INIT(free)};
        yyjson_mut_val *root = NULL, *spec, *status;
        const struct user *u = &q->user;
        AUTO(free) char *reason = NULL;
        int r = decode(q, q->res->schema, q->res->kind, &doc, &root, err);

        if (r < 0)
                return r;
        spec = member_obj(root, "spec");
        r = check_review(q, root, err);
        if (r < 0)
                return r;
        if (!streq(q->res->plural, "selfsubjectaccessreviews")) {
                user_from_spec(spec, &other);
                u = &other;
        }
        status = yyjson_mut_obj(doc);
        mjson_set_bool(doc, status, "allowed", review_access(q, spec, u, &reason));
        mjson_set_str(doc, status, "reason", reason);
        mjson_set(doc, root, "status", status);
        answer_json(q, 201, root, 0);
        return 0;
}

struct rules {
        yyjson_mut_doc *doc;
        yyjson_mut_val *resources, *paths;
};

static void add_rule(void *arg, yyjson_val *rule) {
        struct rules *r = arg;
        yyjson_mut_val *copy = yyjson_val_mut_copy(r->doc, rule);
        yyjson_mut_arr_append(yyjson_obj_get(rule, "nonResourceURLs") ? r->paths : r->resources, copy);
}

static int rules_review(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        yyjson_mut_val *root = NULL, *status;
        struct rules rules;
        const char *ns;
        int r = decode(q, q->res->schema, q->res->kind, &doc, &root, err);

        if (r < 0)
                return r;
        ns = mjson_str_at(root, "/spec/namespace");
        if (!ns || !*ns)
                return status_bad_request(err, "no namespace on request");
        status = yyjson_mut_obj(doc);
        rules = (struct rules){doc, mjson_arr(doc, status, "resourceRules"), mjson_arr(doc, status, "nonResourceRules")};
        rbac_each_rule(q->s, &q->user, ns, add_rule, &rules);
        mjson_set_bool(doc, status, "incomplete", false);
        mjson_set(doc, root, "status", status);
        answer_json(q, 201, root, 0);
        return 0;
}

static yyjson_mut_val *user_info(yyjson_mut_doc *doc, const struct user *u) {
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        mjson_set_str(doc, o, "username", u->name);
        mjson_set_str(doc, o, "uid", u->uid);
        for (size_t i = 0; i < u->groups.len; i++)
                mjson_add_str(doc, mjson_arr(doc, o, "groups"), u->groups.items[i]);
        map_foreach(e, &u->extra) mjson_add_str(doc, mjson_arr(doc, mjson_obj(doc, o, "extra"), e->key), e->value);
        return o;
}

static int self_review(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        yyjson_mut_val *root = NULL, *status;
        char now[KTIME_SIZE];
        int r = decode(q, q->res->schema, q->res->kind, &doc, &root, err);
        if (r < 0)
                return r;
        ktime_format(clock_now_ms(), now);
        mjson_set_str(doc, mmeta_make(doc, root), "creationTimestamp", now);
        status = yyjson_mut_obj(doc);
        mjson_set(doc, status, "userInfo", user_info(doc, &q->user));
        mjson_set(doc, root, "status", status);
        answer_json(q, 201, root, 0);
        return 0;
}

static int token_review(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(user) struct user u = {0};
        AUTO(strv) struct strv asked = {0}, matched = {0};
        AUTO(err) struct err why = ERR_INIT;
        yyjson_mut_val *root = NULL, *status;
        const char *token;
        int r = decode(q, q->res->schema, q->res->kind, &doc, &root, err);

        if (r < 0)
                return r;
        token = mjson_str_at(root, "/spec/token");
        if (!token || !*token)
                return status_bad_request(err, "token is required for TokenReview in authentication");
        MUT_EACH(audience, member_obj(root, "spec"), "audiences") strv_add(&asked, yyjson_mut_get_str(audience));
        status = yyjson_mut_obj(doc);
        r = authenticate_token(q->s, sv_of(token), asked.len ? &asked : NULL, &u, &matched, &why);
        if (r == 0) {
                mjson_set_bool(doc, status, "authenticated", true);
                mjson_set(doc, status, "user", user_info(doc, &u));
                for (size_t i = 0; i < matched.len; i++)
                        mjson_add_str(doc, mjson_arr(doc, status, "audiences"), matched.items[i]);
        } else {
                mjson_set(doc, status, "user", yyjson_mut_obj(doc));
                mjson_set_str(doc, status, "error", "invalid bearer token");
        }
        mjson_set(doc, root, "status", status);
        answer_json(q, 201, root, 0);
        return 0;
}

static int component_statuses(struct request *q, struct err *err) {
        static const char *const names[] = {"controller-manager", "etcd-0", "scheduler"};
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *items = yyjson_mut_arr(doc);

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                yyjson_mut_val *o = yyjson_mut_obj(doc), *condition = yyjson_mut_obj(doc);
                if (q->name && !streq(q->name, names[i]))
                        continue;
                if (q->name) {
                        mjson_set_str(doc, o, "kind", "ComponentStatus");
                        mjson_set_str(doc, o, "apiVersion", "v1");
                }
                mjson_set_str(doc, mjson_obj(doc, o, "metadata"), "name", names[i]);
                mjson_set_str(doc, condition, "type", "Healthy");
                mjson_set_str(doc, condition, "status", "True");
                mjson_set_str(doc, condition, "message", "ok");
                yyjson_mut_arr_append(mjson_arr(doc, o, "conditions"), condition);
                yyjson_mut_arr_append(items, o);
                if (q->name) {
                        answer_json(q, 200, o, 0);
                        return 0;
                }
        }
        if (q->name)
                return status_not_found(err, q->res, q->name);
        mjson_set_str(doc, root, "kind", "ComponentStatusList");
        mjson_set_str(doc, root, "apiVersion", "v1");
        mjson_obj(doc, root, "metadata");
        mjson_set(doc, root, "items", items);
        answer_json(q, 200, root, 0);
        return 0;
}

static int legacy_binding(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        int r = request_body(q, "Binding", false, &doc, err);
        if (r < 0)
                return r;
        return bind_pod(q, mmeta_name(yyjson_mut_doc_get_root(doc)), yyjson_mut_doc_get_root(doc), err);
}

int virtual_kind(struct request *q, struct err *err) {
        static const struct {
                const char *plural;
                int (*handler)(struct request *q, struct err *err);
        } kinds[] = {
                {"bindings", legacy_binding},
                {"componentstatuses", component_statuses},
                {"selfsubjectreviews", self_review},
                {"tokenreviews", token_review},
                {"localsubjectaccessreviews", access_review},
                {"selfsubjectaccessreviews", access_review},
                {"subjectaccessreviews", access_review},
                {"selfsubjectrulesreviews", rules_review},
        };
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (streq(q->res->plural, kinds[i].plural))
                        return kinds[i].handler(q, err);
        return status_no_resource(err);
}

/* TokenRequest. */

/* With the kind where the plural usually is. */
static int conflict_of_kind(struct err *err, const struct resource *res, const char *name, const char *fmt, ...) PRINTF(4, 5);
static int conflict_of_kind(struct err *err, const struct resource *res, const char *name, const char *fmt, ...) {
        struct resource named = *res;
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *why = xvasprintf(fmt, ap);
        va_end(ap);
        named.plural = named.id = named.kind;
        return status_conflict(err, &named, name, "%s", why);
}

static int check_bound(struct request *q, yyjson_mut_val *spec, struct token_request *t, struct err *err) {
        yyjson_mut_val *ref = member_obj(spec, "boundObjectRef");
        struct resource *res;
        struct object *o;

        t->bound_kind = mjson_get_str(ref, "kind");
        t->bound_name = mjson_get_str(ref, "name");
        t->bound_uid = mjson_get_str(ref, "uid");
        if (!t->bound_kind)
                return 0;
        const char *version = mjson_get_str(ref, "apiVersion");
        AUTO(free) char *bare = xasprintf("/%s", version ? version : "");
        if (!streq(t->bound_kind, "Pod") && !streq(t->bound_kind, "Secret"))
                return status_bad_request(err, "cannot bind token to object of type %s, Kind=%s",
                                          version && strchr(version, '/') ? version
                                          : version                       ? bare
                                                                          : "/",
                                          t->bound_kind);
        res = registry_by_id(&q->s->registry, streq(t->bound_kind, "Pod") ? "pods" : "secrets");
        o = t->bound_name ? collection_find(res->objects, q->ns, t->bound_name) : NULL;
        if (!o)
                return status_not_found(err, res, t->bound_name ? t->bound_name : "");
        if (t->bound_uid && *t->bound_uid && !streq(t->bound_uid, o->uid))
                return conflict_of_kind(
                        err, res, t->bound_name,
                        "the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated",
                        t->bound_uid);
        t->bound_uid = o->uid;
        return 0;
}

int sub_token(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(free) char *token = NULL, *manager = NULL;
        AUTO(strv) struct strv audiences = {0};
        AUTO(invalid) struct invalid bad = {0};
        struct object *account = collection_find(q->res->objects, q->ns, q->name);
        struct token_request t = {.ns = q->ns, .account = q->name};
        struct resource asked = *q->res;
        struct op op = {.s = q->s, .res = &asked, .validation = FIELDS_IGNORE};
        yyjson_mut_val *root = NULL, *spec, *status, *meta;
        char when[KTIME_SIZE];
        int64_t expires;
        int r = request_body(q, "TokenRequest", false, &doc, err);

        if (r < 0)
                return r;
        asked.kind = (char *)"TokenRequest";
        asked.api_version = (char *)"authentication.k8s.io/v1";
        asked.group = (char *)"authentication.k8s.io";
        asked.schema = schema_of_kind("authentication.k8s.io", "v1", "TokenRequest");
        r = op_decode(&op, doc, yyjson_mut_doc_get_root(doc), &root, err);
        if (r == 0)
                r = request_op(q, &op, &manager, err);
        if (r < 0)
                return r;
        own_fields(doc, root, asked.schema, manager, "token");
        if (!account)
                return status_not_found(err, q->res, q->name);
        spec = mjson_obj(doc, root, "spec");
        MUT_EACH(a, spec, "audiences") strv_add(&audiences, yyjson_mut_get_str(a));
        if (audiences.len == 0) {
                yyjson_mut_val *list = yyjson_mut_arr(doc);
                mjson_add_str(doc, list, tokens_issuer(q->s->tokens));
                mjson_set(doc, spec, "audiences", list);
        }
        if (!mjson_get_int(spec, "expirationSeconds", 0))
                mjson_set_int(doc, spec, "expirationSeconds", TOKEN_DEFAULT_LIFETIME_S);
        t.lifetime_s = mjson_get_int(spec, "expirationSeconds", TOKEN_DEFAULT_LIFETIME_S);
        if (t.lifetime_s < TOKEN_MIN_LIFETIME_S)
                invalid_int(&bad, "spec.expirationSeconds", t.lifetime_s, "may not specify a duration less than 10 minutes");
        else if (t.lifetime_s > 1LL << 32)
                invalid_int(&bad, "spec.expirationSeconds", t.lifetime_s, "may not specify a duration larger than 2^32 seconds");
        r = invalid_err(&bad, "authentication.k8s.io", "TokenRequest", "", err);
        if (r == 0)
                r = check_bound(q, spec, &t, err);
        if (r < 0)
                return r;
        t.account_uid = account->uid;
        t.audiences = audiences.len ? (const char *const *)audiences.items : NULL;
        r = tokens_issue(q->s->tokens, &t, &token, &expires, err);
        if (r < 0)
                return r;
        meta = mmeta_make(doc, root);
        mjson_set_str(doc, meta, "name", q->name);
        mjson_set_str(doc, meta, "namespace", q->ns);
        mjson_set_str(doc, meta, "uid", account->uid);
        ktime_format(clock_now_ms(), when);
        mjson_set_str(doc, meta, "creationTimestamp", when);
        status = yyjson_mut_obj(doc);
        mjson_set_str(doc, status, "token", token);
        ktime_format(expires * 1000, when);
        mjson_set_str(doc, status, "expirationTimestamp", when);
        mjson_set(doc, root, "status", status);
        answer_json(q, 201, root, account->revision);
        return 0;
}
