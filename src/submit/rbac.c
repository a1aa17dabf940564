#include "submit/rbac.h"

#include "base/vec.h"
#include "kobj/names.h"

struct rule {
        const char *group, *resource, *verbs;
};

/* What a driver asks for: it looks at its own pod, makes, watches, labels and deletes executors, writes their configuration, and cleans up
 * by label when it stops. */
static const struct rule driver_rules[] = {
        {"", "pods", "create delete deletecollection get list patch watch"},
        {"", "configmaps", "create deletecollection"},
        {"", "services", "deletecollection"},
        {NULL},
};
static const struct rule pvc_rules[] = {{"", "persistentvolumeclaims", "create deletecollection list"}, {NULL}};
static const struct rule stateful_set_rules[] = {
        {"apps", "statefulsets", "create delete get"}, {"apps", "statefulsets/scale", "get update"}, {NULL}};
/* What submitting, waiting, reading logs and killing asks for. Objects are applied (create, patch) and taken back when a later one is
 * refused (delete); a ConfigMap is read for how many executors are wanted; executors without a driver are killed by label
 * (deletecollection). */
static const struct rule submitter_rules[] = {
        {"", "pods", "create delete deletecollection get list watch"},
        {"", "pods/log", "get"},
        {"", "events", "list"},
        {"", "services", "create delete patch"},
        {"", "configmaps", "create delete get patch"},
        {"", "secrets", "create delete patch"},
        {"", "persistentvolumeclaims", "create delete patch"},
        {NULL},
};
/* The driver proxy: made, found again, renewed and removed. Its slice goes with the Service that owns it. */
static const struct rule proxy_rules[] = {
        {"", "services", "create delete get list patch"},
        {"discovery.k8s.io", "endpointslices", "create"},
        {NULL},
};

static yyjson_mut_val *object(yyjson_mut_doc *doc, yyjson_mut_val *items, const char *api_version, const char *kind, const char *namespace_,
                              const char *name) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, items);
        mjson_set_str(doc, o, "apiVersion", api_version);
        mjson_set_str(doc, o, "kind", kind);
        yyjson_mut_val *meta = mjson_obj(doc, o, "metadata");
        mjson_set_str(doc, meta, "name", name);
        mjson_set_str(doc, meta, "namespace", namespace_);
        return o;
}

static void add_words(yyjson_mut_doc *doc, yyjson_mut_val *array, const char *words) {
        struct sv rest = sv_of(words), word;
        while (sv_split(&rest, ' ', &word)) {
                AUTO(free) char *text = sv_dup(word);
                mjson_add_str(doc, array, text);
        }
}

static void add_rules(yyjson_mut_doc *doc, yyjson_mut_val *role, const struct rule *rules) {
        yyjson_mut_val *list = mjson_arr(doc, role, "rules");
        for (const struct rule *r = rules; r->resource; r++) {
                yyjson_mut_val *rule = yyjson_mut_arr_add_obj(doc, list);
                mjson_add_str(doc, mjson_arr(doc, rule, "apiGroups"), r->group);
                mjson_add_str(doc, mjson_arr(doc, rule, "resources"), r->resource);
                add_words(doc, mjson_arr(doc, rule, "verbs"), r->verbs);
        }
}

static const char rbac_group[] = "rbac.authorization.k8s.io", rbac_version[] = "rbac.authorization.k8s.io/v1";

static yyjson_mut_val *binding(yyjson_mut_doc *doc, yyjson_mut_val *items, const char *namespace_, const char *name) {
        yyjson_mut_val *b = object(doc, items, rbac_version, "RoleBinding", namespace_, name), *role = mjson_obj(doc, b, "roleRef");
        mjson_set_str(doc, role, "apiGroup", rbac_group);
        mjson_set_str(doc, role, "kind", "Role");
        mjson_set_str(doc, role, "name", name);
        return yyjson_mut_arr_add_obj(doc, mjson_arr(doc, b, "subjects"));
}

static void set_subject(yyjson_mut_doc *doc, yyjson_mut_val *subject, const char *kind, const char *namespace_, const char *name) {
        mjson_set_str(doc, subject, "kind", kind);
        if (!streq(kind, "ServiceAccount"))
                mjson_set_str(doc, subject, "apiGroup", rbac_group);
        mjson_set_str(doc, subject, "name", name);
        mjson_set_str(doc, subject, "namespace", namespace_);
}

static int set_submitter(yyjson_mut_doc *doc, yyjson_mut_val *subject, const struct rbac_options *o, struct err *err) {
        const char *who = o->submitter;
        if (str_starts(who, "group:") && who[6]) {
                set_subject(doc, subject, "Group", NULL, who + 6);
        } else if (str_starts(who, "serviceaccount:")) {
                const char *account = who + strlen("serviceaccount:"), *colon = strchr(account, ':');
                AUTO(free) char *namespace_ = colon ? xstrndup(account, (size_t)(colon - account)) : xstrdup(o->namespace_);
                account = colon ? colon + 1 : account;
                if (name_check_dns1123_subdomain(sv_of(account), NULL) || name_check_dns1123_label(sv_of(namespace_), NULL))
                        return err_set(err, -EINVAL, "%s does not name a service account (serviceaccount:NAMESPACE:NAME)", who);
                set_subject(doc, subject, "ServiceAccount", namespace_, account);
        } else if (*who) {
                set_subject(doc, subject, "User", NULL, who);
        } else {
                return err_set(err, -EINVAL, "the submitter is empty (accepted: USER, group:NAME, serviceaccount:[NAMESPACE:]NAME)");
        }
        return 0;
}

static void add_driver_rules(yyjson_mut_doc *doc, yyjson_mut_val *role, const struct rbac_options *o) {
        add_rules(doc, role, driver_rules);
        if (!o->no_pvcs)
                add_rules(doc, role, pvc_rules);
        if (o->stateful_sets)
                add_rules(doc, role, stateful_set_rules);
}

/* In client mode the driver acts with its user's own rights. */
static int add_submitter(yyjson_mut_doc *doc, yyjson_mut_val *items, const struct rbac_options *o, struct err *err) {
        AUTO(free) char *name = xasprintf("%s-submitter", o->service_account);
        AUTO(free) char *client_name = xasprintf("%s-client", o->service_account);
        add_rules(doc, object(doc, items, rbac_version, "Role", o->namespace_, name), submitter_rules);
        int r = set_submitter(doc, binding(doc, items, o->namespace_, name), o, err);
        if (r < 0 || !o->client_mode)
                return r;
        yyjson_mut_val *role = object(doc, items, rbac_version, "Role", o->namespace_, client_name);
        add_driver_rules(doc, role, o);
        add_rules(doc, role, proxy_rules);
        return set_submitter(doc, binding(doc, items, o->namespace_, client_name), o, err);
}

int rbac_objects(const struct rbac_options *o, yyjson_mut_doc **ret, struct err *err) {
        if (name_check_dns1123_label(sv_of(o->namespace_), NULL))
                return err_set(err, -EINVAL, "%s cannot be a namespace's name (lower-case letters, digits and dashes, at most 63)",
                               o->namespace_);
        if (name_check_dns1123_subdomain(sv_of(o->service_account), NULL))
                return err_set(err, -EINVAL, "%s cannot be a service account's name (lower-case letters, digits, dashes and dots)",
                               o->service_account);
        if (o->client_mode && !o->submitter)
                return err_set(err, -EINVAL, "the rights of client mode are a user's: name who may submit (--submitter)");
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "apiVersion", "v1");
        mjson_set_str(doc, root, "kind", "List");
        yyjson_mut_val *items = mjson_arr(doc, root, "items");
        AUTO(free) char *role_name = xasprintf("%s-driver", o->service_account);
        if (o->create_namespace)
                object(doc, items, "v1", "Namespace", NULL, o->namespace_);
        object(doc, items, "v1", "ServiceAccount", o->namespace_, o->service_account);
        yyjson_mut_val *role = object(doc, items, rbac_version, "Role", o->namespace_, role_name);
        add_driver_rules(doc, role, o);
        set_subject(doc, binding(doc, items, o->namespace_, role_name), "ServiceAccount", o->namespace_, o->service_account);
        int r = o->submitter ? add_submitter(doc, items, o, err) : 0;
        if (r < 0)
                return r;
        *ret = TAKE(doc);
        return 0;
}
