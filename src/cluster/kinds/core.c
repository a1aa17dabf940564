/* Defaults and rules of the smaller core kinds. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/podspec.h"
#include "cluster/registry.h"
#include "cluster/kinds/rules.h"
#include "cluster/kinds/value_rules.h"
#include "codec/base64.h"
#include "codec/quantity.h"
#include "kobj/meta.h"

enum { MAX_DATA_BYTES = 1024 * 1024, USER_PRIORITY_MAX = 1000000000 };

/* ConfigMap and Secret. */

static size_t check_keys(yyjson_val *data, const char *path, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n, total = 0;
        yyjson_obj_foreach(data, i, n, key, value) {
                AUTO(free) char *at = xasprintf("%s[%s]", path, unsafe_yyjson_get_str(key));
                AUTO(strv) struct strv why = {0};
                name_check_config_key(sv_of(yyjson_get_str(key)), &why);
                invalid_names(bad, at, yyjson_get_str(key), &why);
                total += yyjson_get_len(value);
        }
        return total;
}

static void check_immutable(yyjson_val *object, yyjson_val *old, const char *const *members, struct invalid *bad) {
        if (!json_get_bool(old, "immutable", false))
                return;
        if (!json_get_bool(object, "immutable", false))
                invalid_forbidden(bad, "immutable", "field is immutable when `immutable` is set");
        for (size_t i = 0; members[i]; i++)
                if (!json_equal(yyjson_obj_get(object, members[i]), yyjson_obj_get(old, members[i])))
                        invalid_forbidden(bad, members[i], "field is immutable when `immutable` is set");
}

static void configmap_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *data = yyjson_obj_get(object, "data"), *key, *value;
        size_t i, n, total = check_keys(data, "data", bad);
        (void)d;
        yyjson_obj_foreach(yyjson_obj_get(object, "binaryData"), i, n, key, value) {
                AUTO(free) char *at = xasprintf("data[%s]", unsafe_yyjson_get_str(key));
                if (yyjson_obj_get(data, yyjson_get_str(key)))
                        invalid_string(bad, at, yyjson_get_str(key), "duplicate of key present in binaryData");
        }
        total += check_keys(yyjson_obj_get(object, "binaryData"), "binaryData", bad) * 3 / 4;
        if (total > MAX_DATA_BYTES)
                invalid_add(bad, "[]", INVALID_TOO_LONG, NULL, "may not be more than %d bytes", MAX_DATA_BYTES);
}

static void configmap_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        (void)d;
        check_immutable(object, old, (const char *const[]){"data", "binaryData", NULL}, bad);
}

const struct kind_hooks configmap_hooks = {.validate = configmap_validate, .validate_update = configmap_validate_update};

static void secret_defaults(struct draft *d) {
        yyjson_mut_val *plain = yyjson_mut_obj_get(d->root, "stringData"), *key, *value;
        size_t i, n;
        yyjson_mut_obj_foreach(plain, i, n, key, value) {
                AUTO(str) struct str text = STR_INIT(0);
                base64_encode(sv_new(yyjson_mut_get_str(value), yyjson_mut_get_len(value)), &text);
                mjson_set_str(d->doc, mjson_obj(d->doc, d->root, "data"), yyjson_mut_get_str(key), str_cstr(&text));
        }
        mjson_remove(d->root, "stringData");
        default_str(d->doc, d->root, "type", "Opaque"); /* in updates too: who leaves it out changes it */
}

/* What a client of registries reads is JSON. */
static void check_docker_config(yyjson_val *data, const char *key, struct invalid *bad) {
        AUTO(str) struct str text = STR_INIT(MAX_DATA_BYTES);
        AUTO(json) yyjson_doc *parsed = NULL;
        AUTO(err) struct err why = ERR_INIT;
        AT("data[%s]", key);
        if (json_get_str(data, key) && base64_decode(sv_of(json_get_str(data, key)), &text) == 0 &&
            json_parse(str_sv(&text), &parsed, &why) < 0)
                invalid_string(bad, at, "<secret contents redacted>", "%s",
                               strstr(err_message(&why), "unexpected end") ? "unexpected end of JSON input" : err_message(&why));
}

static void secret_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const struct {
                const char *type;
                const char *keys[2];
        } needs[] = {
                {"kubernetes.io/dockerconfigjson", {".dockerconfigjson", NULL}},
                {"kubernetes.io/dockercfg", {".dockercfg", NULL}},
                {"kubernetes.io/ssh-auth", {"ssh-privatekey", NULL}},
                {"kubernetes.io/tls", {"tls.crt", "tls.key"}},
        };
        const char *type = json_get_str(object, "type");
        yyjson_val *data = yyjson_obj_get(object, "data");
        (void)d;
        if (check_keys(data, "data", bad) * 3 / 4 > MAX_DATA_BYTES)
                invalid_add(bad, "data", INVALID_TOO_LONG, NULL, "may not be more than %d bytes", MAX_DATA_BYTES);
        for (size_t i = 0; type && i < ARRAY_LEN(needs); i++)
                for (size_t k = 0; k < 2 && streq(type, needs[i].type) && needs[i].keys[k]; k++) {
                        AUTO(free) char *at = xasprintf("data[%s]", needs[i].keys[k]);
                        if (!yyjson_obj_get(data, needs[i].keys[k]))
                                invalid_required(bad, at, NULL);
                }
        if (type && streq(type, "kubernetes.io/dockerconfigjson"))
                check_docker_config(data, ".dockerconfigjson", bad);
        if (type && streq(type, "kubernetes.io/dockercfg"))
                check_docker_config(data, ".dockercfg", bad);
        if (type && streq(type, "kubernetes.io/basic-auth") && !yyjson_obj_get(data, "username") && !yyjson_obj_get(data, "password")) {
                invalid_required(bad, "data[username]", NULL);
                invalid_required(bad, "data[password]", NULL);
        }
        if (type && streq(type, "kubernetes.io/service-account-token") && !meta_annotation(object, "kubernetes.io/service-account.name"))
                invalid_required(bad, "metadata.annotations[kubernetes.io/service-account.name]", NULL);
}

static void secret_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        (void)d;
        if (!streq_null(json_get_str(object, "type"), json_get_str(old, "type")))
                invalid_string(bad, "type", json_get_str(object, "type"), "field is immutable");
        check_immutable(object, old, (const char *const[]){"data", NULL}, bad);
}

const struct kind_hooks secret_hooks = {
        .defaults = secret_defaults, .validate = secret_validate, .validate_update = secret_validate_update};

/* Event: events.k8s.io/v1 shows the stored core form under other names. */

/* Events with a time of their own say who reports what. */
static void check_reporter(yyjson_val *object, struct invalid *bad) {
        enum { LONGEST_NOTE = 1024, LONGEST = 128 };
        static const struct {
                const char *name;
                bool is_required;
                size_t longest;
        } members[] = {{"reportingInstance", true, LONGEST},
                       {"action", true, LONGEST},
                       {"reason", true, LONGEST},
                       {"message", false, LONGEST_NOTE}};
        const char *component = rule_str(object, "reportingComponent");
        if (!*component)
                invalid_required(bad, "reportingComponent", NULL);
        value_name(name_check_qualified, component, "reportingComponent", bad);
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                const char *text = rule_str(object, members[i].name);
                if (!*text && members[i].is_required)
                        invalid_required(bad, members[i].name, NULL);
                if (strlen(text) > members[i].longest)
                        invalid_string(bad, members[i].name, "", "can have at most %zu characters", members[i].longest);
        }
}

static void event_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        const char *about = json_str_at(object, "/involvedObject/namespace");
        bool has_time = json_get_str(object, "eventTime"), is_default = streq(d->ns, "default");
        about = about ? about : "";
        if (has_time ? !*about && !is_default && !streq(d->ns, "kube-system") : *about ? !streq(about, d->ns) : !is_default)
                invalid_string(bad, "involvedObject.namespace", about, "does not match event.namespace");
        if (has_time)
                check_reporter(object, bad);
}
const struct kind_hooks event_hooks = {.validate = event_validate};

static const char *const event_names[][2] = {
        /* events.k8s.io/v1, v1 */
        {"regarding", "involvedObject"},          {"note", "message"},
        {"reportingController", "reportingComponent"}, {"deprecatedSource", "source"},
        {"deprecatedFirstTimestamp", "firstTimestamp"}, {"deprecatedLastTimestamp", "lastTimestamp"},
        {"deprecatedCount", "count"},
};

static void rename_members(yyjson_mut_doc *doc, yyjson_mut_val *root, int from, int to) {
        for (size_t i = 0; i < ARRAY_LEN(event_names); i++) {
                yyjson_mut_val *v = yyjson_mut_obj_get(root, event_names[i][from]);
                if (!v)
                        continue;
                v = yyjson_mut_val_mut_copy(doc, v);
                mjson_remove(root, event_names[i][from]);
                mjson_set(doc, root, event_names[i][to], v);
        }
}
static void event_to_storage(yyjson_mut_doc *doc, yyjson_mut_val *root) { rename_members(doc, root, 0, 1); }
static void event_from_storage(yyjson_mut_doc *doc, yyjson_mut_val *root) {
        static const char *const optional[] = {"reportingController", "reportingInstance"};
        rename_members(doc, root, 1, 0);
        for (size_t i = 0; i < ARRAY_LEN(optional); i++) {
                const char *s = mjson_get_str(root, optional[i]);
                if (s && !*s)
                        mjson_remove(root, optional[i]);
        }
}
static void events_v1_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const char *const required[] = {"reportingController", "reportingInstance", "action", "reason"};
        const char *type = json_get_str(object, "type"), *when = json_get_str(object, "eventTime");
        if (d->old)
                return;
        if (!when)
                invalid_required(bad, "eventTime", NULL);
        for (size_t i = 0; when && i < ARRAY_LEN(required); i++) {
                const char *value = json_get_str(object, required[i]);
                if (!value || !*value)
                        invalid_required(bad, required[i], NULL);
        }
        if (!type || (!streq(type, "Normal") && !streq(type, "Warning")))
                invalid_string(bad, "type", "", "has invalid value: %s", type ? type : "");
}
const struct kind_hooks events_v1_hooks = {
        .validate = events_v1_validate, .from_storage = event_from_storage, .to_storage = event_to_storage, .storage_id = "events"};

/* Namespace. */

static void namespace_defaults(struct draft *d) {
        const char *name = mmeta_name(d->root);
        if (name && *name) {
                AUTO(free) char *copy = xstrdup(name);
                mmeta_set_label(d->doc, d->root, "kubernetes.io/metadata.name", copy);
        }
        default_str(d->doc, mjson_obj(d->doc, d->root, "status"), "phase", "Active");
}

static int namespace_prepare_create(struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec"), *status = yyjson_mut_obj(d->doc);
        bool has_own = false;
        (void)err;
        MUT_EACH(finalizer, spec, "finalizers") has_own |= yyjson_mut_equals_str(finalizer, "kubernetes");
        if (!has_own)
                mjson_add_str(d->doc, mjson_arr(d->doc, spec, "finalizers"), "kubernetes");
        mjson_set_str(d->doc, status, "phase", "Active");
        mjson_set(d->doc, d->root, "status", status);
        return 0;
}

static int namespace_prepare_update(struct draft *d, struct err *err) {
        yyjson_val *old = object_at(d->old, "/spec/finalizers");
        (void)err;
        if (d->subresource && streq(d->subresource, "finalize"))
                return 0;
        if (old)
                mjson_set(d->doc, mjson_obj(d->doc, d->root, "spec"), "finalizers", yyjson_val_mut_copy(d->doc, old));
        return 0;
}
static void namespace_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        if (d->subresource && streq(d->subresource, "status"))
                return;
        EACH(finalizer, i, json_at(object, "/spec/finalizers")) {
                const char *name = yyjson_is_str(finalizer) ? yyjson_get_str(finalizer) : "";
                bool is_standard = streq(name, "kubernetes") || streq(name, "orphan") || streq(name, "foregroundDeletion");
                value_name(name_check_qualified, name, "spec.finalizers", bad);
                if (!is_standard && !strchr(name, '/'))
                        invalid_string(bad, "spec.finalizers", name, "name is neither a standard finalizer name nor is it fully qualified");
        }
}
const struct kind_hooks namespace_hooks = {.validate = namespace_validate,
                                           .defaults = namespace_defaults,
                                           .prepare_create = namespace_prepare_create,
                                           .prepare_update = namespace_prepare_update};

/* Node: the kubelet may register one with its status. */

static void node_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        (void)d;
        EACH(taint, i, json_at(object, "/spec/taints")) {
                const char *effect = json_get_str(taint, "effect");
                AUTO(free) char *at = xasprintf("metadata.taints[%zu].effect", i);
                if (!effect || !*effect)
                        invalid_required(bad, at, NULL);
                else if (!streq(effect, "NoSchedule") && !streq(effect, "PreferNoSchedule") && !streq(effect, "NoExecute"))
                        invalid_not_supported(bad, at, effect, (const char *const[]){"NoSchedule", "PreferNoSchedule", "NoExecute", NULL});
        }
}
const struct kind_hooks node_hooks = {.validate = node_validate};

/* Priority classes. */

static const struct {
        const char *name;
        int64_t value;
} system_classes[] = {{"system-node-critical", 2000001000}, {"system-cluster-critical", 2000000000}};

static void priorityclass_defaults(struct draft *d) {
        default_absent(d->doc, d->root, "preemptionPolicy", "PreemptLowerPriority");
}

/* Why a class may not have a name of the system's, or NULL; the caller's to free. */
static char *why_not_system(yyjson_val *object, const char *name) {
        for (size_t i = 0; i < ARRAY_LEN(system_classes); i++) {
                if (!streq(name, system_classes[i].name))
                        continue;
                if (json_get_int(object, "value", 0) != system_classes[i].value)
                        return xasprintf("value of %s PriorityClass must be %lld", name, (long long)system_classes[i].value);
                return json_get_bool(object, "globalDefault", false) ? xasprintf("globalDefault of %s PriorityClass must be false", name)
                                                                     : NULL;
        }
        return xasprintf("%s is not a known system priority class", name);
}

static void priorityclass_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        const char *name = meta_name(object) ? meta_name(object) : "";
        bool is_system = str_starts(name, "system-");
        AUTO(free) char *why = is_system ? why_not_system(object, name) : NULL;
        if (d->old)
                return;
        if (why)
                invalid_forbidden(bad, "metadata.name",
                                  "priority class names with 'system-' prefix are reserved for system use only. error: %s", why);
        else if (!is_system && json_get_int(object, "value", 0) > USER_PRIORITY_MAX)
                invalid_forbidden(bad, "value", "maximum allowed value of a user defined priority is %d", USER_PRIORITY_MAX);
        const char *policy = rule_str(object, "preemptionPolicy");
        if (!*policy)
                invalid_required(bad, "preemptionPolicy", NULL);
        else if (!streq(policy, "PreemptLowerPriority") && !streq(policy, "Never"))
                invalid_not_supported(bad, "preemptionPolicy", policy, SUPPORTED("PreemptLowerPriority", "Never"));
}
static void priorityclass_validate_update(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        (void)d;
        if (json_get_int(object, "value", 0) != json_get_int(old, "value", 0))
                invalid_forbidden(bad, "value", "may not be changed in an update.");
        if (!streq_null(json_get_str(object, "preemptionPolicy"), json_get_str(old, "preemptionPolicy")))
                invalid_string(bad, "preemptionPolicy", json_get_str(object, "preemptionPolicy"), "field is immutable");
}
const struct kind_hooks priorityclass_hooks = {
        .defaults = priorityclass_defaults, .validate = priorityclass_validate, .validate_update = priorityclass_validate_update};
