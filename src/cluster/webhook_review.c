#include "cluster/webhook_review.h"

#include "cluster/edit.h"
#include "codec/base64.h"
#include "kobj/meta.h"
#include "kobj/selector.h"

static const char *const operations[] = {"CREATE", "UPDATE", "DELETE"};
static const char *const options_kinds[] = {"CreateOptions", "UpdateOptions", "DeleteOptions"};

/* Which requests. */

static bool lists(yyjson_val *array, const char *wanted) {
        EACH(item, i, array) {
                const char *text = yyjson_get_str(item);
                if (text && (streq(text, "*") || streq(text, wanted)))
                        return true;
        }
        return false;
}

/* "pods", "pods/status", "*", "pods/" "*", "*" "/status", "*" "/" "*" */
static bool names_resource(yyjson_val *array, const char *plural, const char *subresource) {
        EACH(item, i, array) {
                struct sv rest = sv_of(yyjson_get_str(item)), resource, sub = SV("");
                if (!rest.data || !sv_split(&rest, '/', &resource))
                        continue;
                bool has_sub = sv_split(&rest, '/', &sub);
                if ((sv_eqs(resource, "*") || sv_eqs(resource, plural)) &&
                    (has_sub ? sv_eqs(sub, "*") || sv_eqs(sub, subresource ? subresource : "") : !subresource))
                        return true;
        }
        return false;
}

static bool rule_matches(yyjson_val *rule, const struct webhook_subject *u, const struct resource *res) {
        const char *scope = json_get_str(rule, "scope");
        if (scope && !streq(scope, "*") && streq(scope, "Cluster") == resource_is_namespaced(res))
                return false;
        return lists(yyjson_obj_get(rule, "operations"), operations[u->what]) && lists(yyjson_obj_get(rule, "apiGroups"), res->group) &&
               lists(yyjson_obj_get(rule, "apiVersions"), res->version) &&
               names_resource(yyjson_obj_get(rule, "resources"), res->plural, u->subresource);
}

static bool has_rule(yyjson_val *webhook, const struct webhook_subject *u, const struct resource *res) {
        EACH(rule, i, yyjson_obj_get(webhook, "rules")) {
                if (rule_matches(rule, u, res))
                        return true;
        }
        return false;
}

/* A selector that is absent matches everything; one that cannot be read (it was validated) nothing. */
static bool selects(yyjson_val *label_selector, yyjson_val *labels) {
        AUTO(selector) struct selector s = {0};
        return !label_selector || (selector_from_object(label_selector, &s, NULL) == 0 && selector_matches(&s, labels));
}

const struct resource *webhook_wants(yyjson_val *webhook, const struct webhook_subject *u) {
        const struct resource *as = NULL;
        const char *policy = json_get_str(webhook, "matchPolicy");
        yyjson_val *objects = yyjson_obj_get(webhook, "objectSelector");

        /* A webhook that broke could not be mended if it were asked about that. */
        if (streq(u->res->group, "admissionregistration.k8s.io") && str_ends(u->res->plural, "webhookconfigurations"))
                return NULL;
        if (has_rule(webhook, u, u->res))
                as = u->res;
        for (size_t i = 0; !as && u->equivalents[i] && !(policy && streq(policy, "Exact")); i++)
                as = has_rule(webhook, u, u->equivalents[i]) ? u->equivalents[i] : NULL;
        if (!as)
                return NULL;
        bool has_namespace = resource_is_namespaced(u->res) || (streq(u->res->plural, "namespaces") && !*u->res->group);
        if (has_namespace && !selects(yyjson_obj_get(webhook, "namespaceSelector"), u->ns_labels))
                return NULL;
        if (!(u->object && selects(objects, meta_labels(u->object))) && !(u->old && selects(objects, meta_labels(u->old))))
                return NULL;
        return as;
}

/* What it is asked. */

static void add_kind(yyjson_mut_doc *doc, yyjson_mut_val *request, const char *key, const struct resource *res) {
        yyjson_mut_val *o = mjson_obj(doc, request, key);
        mjson_set_str(doc, o, "group", res->group);
        mjson_set_str(doc, o, "version", res->version);
        mjson_set_str(doc, o, "kind", res->kind);
}

static void add_resource(yyjson_mut_doc *doc, yyjson_mut_val *request, const char *key, const struct resource *res) {
        yyjson_mut_val *o = mjson_obj(doc, request, key);
        mjson_set_str(doc, o, "group", res->group);
        mjson_set_str(doc, o, "version", res->version);
        mjson_set_str(doc, o, "resource", res->plural);
}

static void add_user(yyjson_mut_doc *doc, yyjson_mut_val *request, const struct user *user) {
        yyjson_mut_val *info = mjson_obj(doc, request, "userInfo");
        if (!user)
                return;
        mjson_set_str(doc, info, "username", user->name);
        mjson_set_str(doc, info, "uid", user->uid && *user->uid ? user->uid : NULL);
        for (size_t i = 0; i < user->groups.len; i++)
                mjson_add_str(doc, mjson_arr(doc, info, "groups"), user->groups.items[i]);
        map_foreach(e, &user->extra) mjson_add_str(doc, mjson_arr(doc, mjson_obj(doc, info, "extra"), e->key), e->value);
}

static void add_object(yyjson_mut_doc *doc, yyjson_mut_val *request, const char *key, yyjson_val *object, const struct resource *as) {
        yyjson_mut_val *copy = object ? yyjson_val_mut_copy(doc, object) : yyjson_mut_null(doc);
        if (object)
                mjson_set_str(doc, copy, "apiVersion", as->api_version);
        mjson_set(doc, request, key, copy);
}

/* The first version in the webhook's list that is known here; both have the same members. */
static const char *review_version(yyjson_val *webhook) {
        EACH(item, i, yyjson_obj_get(webhook, "admissionReviewVersions")) {
                const char *version = yyjson_get_str(item);
                if (version && streq(version, "v1"))
                        return "admission.k8s.io/v1";
                if (version && streq(version, "v1beta1"))
                        return "admission.k8s.io/v1beta1";
        }
        return "admission.k8s.io/v1";
}

void webhook_review_write(yyjson_val *webhook, const struct webhook_subject *u, const struct resource *as, const char *uid,
                          struct str *out) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *request, *options;
        size_t len;

        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "kind", "AdmissionReview");
        mjson_set_str(doc, root, "apiVersion", review_version(webhook));
        request = mjson_obj(doc, root, "request");
        mjson_set_str(doc, request, "uid", uid);
        add_kind(doc, request, "kind", as);
        add_resource(doc, request, "resource", as);
        mjson_set_str(doc, request, "subResource", u->subresource);
        add_kind(doc, request, "requestKind", u->res);
        add_resource(doc, request, "requestResource", u->res);
        mjson_set_str(doc, request, "requestSubResource", u->subresource);
        mjson_set_str(doc, request, "name", *u->name ? u->name : NULL);
        mjson_set_str(doc, request, "namespace", *u->ns ? u->ns : NULL);
        mjson_set_str(doc, request, "operation", operations[u->what]);
        add_user(doc, request, u->user);
        add_object(doc, request, "object", u->object, as);
        add_object(doc, request, "oldObject", u->old, as);
        mjson_set_bool(doc, request, "dryRun", u->dry_run);
        options = mjson_obj(doc, request, "options");
        mjson_set_str(doc, options, "kind", options_kinds[u->what]);
        mjson_set_str(doc, options, "apiVersion", "meta.k8s.io/v1");
        if (u->what != ADMIT_DELETE)
                mjson_set_str(doc, options, "fieldManager", u->manager);
        if (u->dry_run)
                mjson_add_str(doc, mjson_arr(doc, options, "dryRun"), "All");
        AUTO(free) char *text = mjson_write(root, false, &len);
        str_append(out, text, len);
}

/* What it answers. */

void webhook_answer_done(struct webhook_answer *a) {
        free(a->reason);
        free(a->message);
        yyjson_doc_free(a->patch);
        strv_done(&a->warnings);
}

static int read_patch(yyjson_val *response, bool may_patch, struct webhook_answer *a, struct err *err) {
        AUTO(str) struct str text = STR_INIT(HTTP_MAX_BODY_BYTES);
        const char *type = json_get_str(response, "patchType"), *patch = json_get_str(response, "patch");

        if (!patch || !*patch)
                return type ? err_set(err, -EPROTO,
                                      "received invalid webhook response: webhook returned response.patchType but not response.patch")
                            : 0;
        if (!may_patch)
                return err_set(err, -EPROTO, "received invalid webhook response: validating webhook may not return response.patch");
        if (!type)
                return err_set(err, -EPROTO,
                               "received invalid webhook response: webhook returned response.patch but not response.patchType");
        if (!streq(type, "JSONPatch"))
                return err_set(err, -EPROTO, "received invalid webhook response: webhook returned invalid response.patchType of \"%s\"",
                               type);
        if (base64_decode(sv_of(patch), &text) < 0)
                return err_set(err, -EPROTO, "received invalid webhook response: response.patch is not base64");
        AUTO(err) struct err why = ERR_INIT;
        if (json_parse(str_sv(&text), &a->patch, &why) < 0)
                return err_set(err, -EPROTO, "received invalid webhook response: response.patch is not JSON: %s", err_message(&why));
        return yyjson_is_arr(yyjson_doc_get_root(a->patch))
                       ? 0
                       : err_set(err, -EPROTO,
                                 "received invalid webhook response: response.patch is not a JSON patch (an array of operations)");
}

static void read_warnings(yyjson_val *response, struct webhook_answer *a) {
        size_t total = 0;
        EACH(item, i, yyjson_obj_get(response, "warnings")) {
                const char *text = yyjson_get_str(item);
                if (!text || a->warnings.len >= WEBHOOK_MAX_WARNINGS || (total += strlen(text)) > WEBHOOK_MAX_WARNING_BYTES)
                        continue;
                strv_add(&a->warnings, text);
        }
}

int webhook_answer_parse(struct sv body, const char *uid, bool may_patch, struct webhook_answer *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(webhook_answer) struct webhook_answer a = {0};
        AUTO(err) struct err why = ERR_INIT;
        yyjson_val *root, *response, *status;
        const char *version, *kind, *answered;
        int r;

        if (json_parse(body, &doc, &why) < 0)
                return err_set(err, -EPROTO, "failed to call webhook: the answer is not JSON: %s", err_message(&why));
        root = yyjson_doc_get_root(doc);
        version = json_get_str(root, "apiVersion");
        kind = json_get_str(root, "kind");
        response = yyjson_obj_get(root, "response");
        if (!kind || !streq(kind, "AdmissionReview") || !version || !str_starts(version, "admission.k8s.io/v1"))
                return err_set(
                        err, -EPROTO,
                        "received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got %s%s, Kind=%s",
                        version && strchr(version, '/') ? "" : "/", version ? version : "", kind ? kind : "");
        if (!yyjson_is_obj(response))
                return err_set(err, -EPROTO, "received invalid webhook response: webhook response was absent");
        answered = json_get_str(response, "uid");
        if (streq(version, "admission.k8s.io/v1") && (!answered || !streq(answered, uid)))
                return err_set(err, -EPROTO, "received invalid webhook response: expected response.uid=\"%s\", got \"%s\"", uid,
                               answered ? answered : "");
        a.allowed = json_get_bool(response, "allowed", false);
        status = yyjson_obj_get(response, "status");
        int64_t code = json_get_int(status, "code", 0);
        a.code = code >= 400 && code < 600 ? (int)code : 400;
        a.reason = xstrdup_null(json_get_str(status, "reason"));
        a.message = xstrdup_null(json_get_str(status, "message"));
        r = a.allowed ? read_patch(response, may_patch, &a, err) : 0;
        if (r < 0)
                return r;
        read_warnings(response, &a);
        *ret = a;
        a = (struct webhook_answer){0};
        return 0;
}

int webhook_refusal(const char *name, const struct webhook_answer *a, struct err *err) {
        const char *why = a->message && *a->message ? a->message : a->reason;
        bool has_why = why && *why;
        return err_http(err, -EACCES, a->code, a->reason && *a->reason ? a->reason : NULL,
                        "admission webhook \"%s\" denied the request%s%s", name, has_why ? ": " : " without explanation",
                        has_why ? why : "");
}
