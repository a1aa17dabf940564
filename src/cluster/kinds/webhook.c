/* Rules of webhook configurations: k8s.io/kubernetes/pkg/apis/admissionregistration (defaults, validation), 1.34. */
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/podspec.h"
#include "cluster/kinds/rules.h"
#include "cluster/server-internal.h"
#include "codec/uri.h"
#include "kobj/names.h"

static void webhook_defaults(struct draft *d, bool is_mutating) {
        MUT_EACH(webhook, d->root, "webhooks") {
                yyjson_mut_val *service = member_obj(member_obj(webhook, "clientConfig"), "service");
                default_absent(d->doc, webhook, "failurePolicy", "Fail");
                default_absent(d->doc, webhook, "matchPolicy", "Equivalent");
                (void)mjson_obj(d->doc, webhook, "namespaceSelector");
                (void)mjson_obj(d->doc, webhook, "objectSelector");
                default_int(d->doc, webhook, "timeoutSeconds", 10);
                if (is_mutating)
                        default_absent(d->doc, webhook, "reinvocationPolicy", "Never");
                default_int(d->doc, service, "port", 443);
                MUT_EACH(rule, webhook, "rules") {
                        default_absent(d->doc, rule, "scope", "*");
                }
        }
}

static void mutating_defaults(struct draft *d) { webhook_defaults(d, true); }
static void validating_defaults(struct draft *d) { webhook_defaults(d, false); }

static void check_name(yyjson_val *webhook, const char *at, struct invalid *bad) {
        AUTO(free) char *path = xasprintf("%s.name", at);
        AUTO(strv) struct strv why = {0};
        const char *name = json_get_str(webhook, "name");
        size_t dots = 0;
        if (!name || !*name) {
                invalid_required(bad, path, "%s", "");
                return;
        }
        if (name_check_dns1123_subdomain(sv_of(name), &why)) {
                invalid_names(bad, path, name, &why);
                return;
        }
        for (const char *p = name; *p; p++)
                dots += *p == '.';
        if (dots < 2)
                invalid_string(bad, path, name, "should be a domain with at least three segments separated by dots");
}

static void check_url(const char *url, const char *at, struct invalid *bad) {
        AUTO(free) char *path = xasprintf("%s.clientConfig.url", at);
        AUTO(uri) struct uri u = {0};
        AUTO(err) struct err why = ERR_INIT;
        static const char form[] = "; desired format: https://host[/path]";
        if (uri_parse(url, &u, &why) < 0) {
                invalid_string(bad, path, url, "url must be a valid URL: %s%s", err_message(&why), form);
                return;
        }
        if (!u.scheme || !streq(u.scheme, "https"))
                invalid_string(bad, path, u.scheme ? u.scheme : "", "'https' is the only allowed URL scheme%s", form);
        if (!u.host || !*u.host)
                invalid_string(bad, path, u.host ? u.host : "", "host must be specified%s", form);
        if (u.userinfo)
                invalid_string(bad, path, u.userinfo, "user information is not permitted in the URL");
}

/* The real server takes the first character off whether it is a slash or not. */
static void check_path(const char *called, const char *at, struct invalid *bad) {
        struct sv rest = sv_of(called + 1), step;
        if (streq(called, "/"))
                return;
        if (streq(called, "//")) {
                invalid_string(bad, at, called, "segment[0] may not be empty");
                return;
        }
        if (*called != '/')
                invalid_string(bad, at, called, "must start with a '/'");
        if (rest.len && rest.data[rest.len - 1] == '/')
                rest.len--;
        for (size_t i = 0; sv_split(&rest, '/', &step); i++) {
                AUTO(strv) struct strv why = {0};
                if (!step.len)
                        invalid_string(bad, at, called, "segment[%zu] may not be empty", i);
                else
                        name_check_dns1123_subdomain(step, &why);
                for (size_t k = 0; k < why.len; k++)
                        invalid_string(bad, at, called, "segment[%zu]: %s", i, why.items[k]);
        }
}

static void check_client(yyjson_val *webhook, const char *at, struct invalid *bad) {
        yyjson_val *config = yyjson_obj_get(webhook, "clientConfig"), *service = yyjson_obj_get(config, "service");
        const char *url = json_get_str(config, "url");
        static const char *const needed[][2] = {{"name", "namespace"}, {"namespace", "name"}}; /* the real server takes one for the other */
        AUTO(free) char *path = xasprintf("%s.clientConfig", at);

        if (!url == !service) {
                invalid_required(bad, path, "exactly one of url or service is required");
                return;
        }
        if (url) {
                check_url(url, at, bad);
                return;
        }
        for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
                const char *value = json_get_str(service, needed[i][0]);
                AUTO(free) char *member = xasprintf("%s.service.%s", path, needed[i][1]);
                if (!value || !*value)
                        invalid_required(bad, member, "%s", "");
        }
        const char *called = json_get_str(service, "path");
        int64_t port = json_get_int(service, "port", 443);
        if (called && *called) {
                AUTO(free) char *member = xasprintf("%s.service.path", path);
                check_path(called, member, bad);
        }
        if (port < 1 || port > 65535) {
                AUTO(free) char *member = xasprintf("%s.service.port", path);
                invalid_int(bad, member, port, "port is not valid: must be between 1 and 65535, inclusive");
        }
}

static bool is_before(yyjson_val *list, size_t before, const char *text) {
        EACH(item, i, list) {
                if (i < before && streq_null(yyjson_get_str(item), text))
                        return true;
        }
        return false;
}

static void check_versions(yyjson_val *webhook, const char *at, struct invalid *bad) {
        AUTO(free) char *path = xasprintf("%s.admissionReviewVersions", at);
        yyjson_val *versions = yyjson_obj_get(webhook, "admissionReviewVersions");
        bool known = false;
        if (yyjson_arr_size(versions) == 0) {
                invalid_required(bad, path, "must specify one of v1, v1beta1");
                return;
        }
        EACH(item, i, versions) {
                const char *version = yyjson_get_str(item);
                AUTO(free) char *here = xasprintf("%s[%zu]", path, i);
                AUTO(strv) struct strv why = {0};
                known |= streq(version, "v1") || streq(version, "v1beta1");
                if (name_check_dns1035_label(sv_of(version), &why) > 0)
                        invalid_names(bad, here, version, &why);
                else if (is_before(versions, i, version))
                        invalid_string(bad, here, version, "duplicate version");
        }
        if (!known) {
                size_t len;
                AUTO(free) char *shown = json_write(versions, false, &len);
                invalid_add(bad, path, INVALID_VALUE, shown, "must include at least one of v1, v1beta1");
        }
}

/* Members of a rule that may be "*" alone. */
static void check_rule_list(yyjson_val *rule, const char *at, const char *key, struct invalid *bad) {
        AUTO(free) char *path = xasprintf("%s.%s", at, key);
        yyjson_val *list = yyjson_obj_get(rule, key);
        bool has_all = false;
        if (yyjson_arr_size(list) == 0) {
                invalid_required(bad, path, "%s", "");
                return;
        }
        EACH(item, i, list) has_all |= streq_null(yyjson_get_str(item), "*");
        if (has_all && yyjson_arr_size(list) > 1 && !streq(key, "resources")) {
                size_t len;
                AUTO(free) char *shown = json_write(list, false, &len);
                invalid_add(bad, path, INVALID_VALUE, shown, "if '*' is present, must not specify other %s",
                            streq(key, "operations") ? "operations" : streq(key, "apiGroups") ? "API groups" : "API versions");
        }
}

/* Of `list`, before its member `i`: res + "/" + sub. */
static bool has_before(yyjson_val *list, size_t i, struct sv res, const char *sub) {
        AUTO(free) char *text = xasprintf("%.*s/%s", SV_ARG(res), sub);
        return is_before(list, i, text);
}

static void check_resources(yyjson_val *rule, const char *at, struct invalid *bad) {
        AUTO(free) char *path = xasprintf("%s.resources", at);
        yyjson_val *list = yyjson_obj_get(rule, "resources");
        if (!list)
                return; /* said already */
        AUTO(free) char *shown = json_write(list, false, NULL);
        bool has_every = false, has_all = false, has_plain = false;
        EACH(item, i, list) {
                const char *text = yyjson_get_str(item), *slash = strchr(text, '/');
                AUTO(free) char *here = xasprintf("%s[%zu]", path, i);
                struct sv res = {.data = text, .len = slash ? (size_t)(slash - text) : strlen(text)};
                has_every |= streq(text, "*/*");
                has_all |= streq(text, "*");
                if (!*text)
                        invalid_required(bad, here, "%s", "");
                if (!slash) {
                        has_plain |= *text && !streq(text, "*");
                        continue;
                }
                if (has_before(list, i, res, "*"))
                        invalid_string(bad, here, text, "if '%.*s/*' is present, must not specify %s", SV_ARG(res), text);
                if (has_before(list, i, SV("*"), slash + 1))
                        invalid_string(bad, here, text, "if '*/%s' is present, must not specify %s", slash + 1, text);
        }
        if (has_every && yyjson_arr_size(list) > 1)
                invalid_add(bad, path, INVALID_VALUE, shown, "if '*/*' is present, must not specify other resources");
        if (has_all && has_plain)
                invalid_add(bad, path, INVALID_VALUE, shown, "if '*' is present, must not specify other resources without subresources");
}

static void check_rules(yyjson_val *webhook, const char *at, struct invalid *bad) {
        static const char *const operations[] = {"*", "CONNECT", "CREATE", "DELETE", "UPDATE", NULL}, *const scopes[] = {"*", "Cluster",
                                                                                                                         "Namespaced",
                                                                                                                         NULL};
        EACH(rule, i, yyjson_obj_get(webhook, "rules")) {
                AUTO(free) char *path = xasprintf("%s.rules[%zu]", at, i);
                static const char *const lists[] = {"operations", "apiGroups", "apiVersions", "resources"};
                for (size_t k = 0; k < ARRAY_LEN(lists); k++)
                        check_rule_list(rule, path, lists[k], bad);
                EACH(operation, k, yyjson_obj_get(rule, "operations")) {
                        AUTO(free) char *item = xasprintf("%s.operations[%zu]", path, k);
                        if (yyjson_is_str(operation))
                                value_supported(yyjson_get_str(operation), item, operations, bad);
                }
                EACH(version, k, yyjson_obj_get(rule, "apiVersions")) {
                        AUTO(free) char *item = xasprintf("%s.apiVersions[%zu]", path, k);
                        if (!*yyjson_get_str(version))
                                invalid_required(bad, item, "%s", "");
                }
                check_resources(rule, path, bad);
                rule_supported(rule, "scope", path, scopes, bad);
        }
}

static void check_selector(yyjson_val *webhook, const char *at, const char *key, struct invalid *bad) {
        AUTO(free) char *path = xasprintf("%s.%s", at, key);
        label_selector_validate(yyjson_obj_get(webhook, key), path, bad);
}

static void webhook_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const char *const policies[] = {"Fail", "Ignore", NULL}, *const matches[] = {"Equivalent", "Exact", NULL},
                                 *const effects[] = {"None", "NoneOnDryRun", NULL}, *const again[] = {"IfNeeded", "Never", NULL};
        yyjson_val *webhooks = json_at(object, "/webhooks");
        AUTO(map) struct map names = MAP_INIT(NULL);
        (void)d;
        EACH(webhook, i, webhooks) {
                AUTO(free) char *at = xasprintf("webhooks[%zu]", i), *effect_at = xasprintf("%s.sideEffects", at),
                                *timeout_at = xasprintf("%s.timeoutSeconds", at), *name_at = xasprintf("%s.name", at);
                const char *name = json_get_str(webhook, "name"), *effect = json_get_str(webhook, "sideEffects");
                int64_t timeout = json_get_int(webhook, "timeoutSeconds", 10);
                check_versions(webhook, at, bad);
                check_name(webhook, at, bad);
                check_rules(webhook, at, bad);
                rule_supported(webhook, "failurePolicy", at, policies, bad);
                rule_supported(webhook, "matchPolicy", at, matches, bad);
                if (!effect)
                        invalid_required(bad, effect_at, "must specify one of None, NoneOnDryRun");
                rule_supported(webhook, "sideEffects", at, effects, bad);
                if (timeout < 1 || timeout > 30)
                        invalid_int(bad, timeout_at, timeout, "the timeout value must be between 1 and 30 seconds");
                rule_supported(webhook, "reinvocationPolicy", at, again, bad);
                check_selector(webhook, at, "namespaceSelector", bad);
                check_selector(webhook, at, "objectSelector", bad);
                check_client(webhook, at, bad);
                if (name && map_get(&names, name))
                        invalid_duplicate(bad, name_at, name);
                if (name)
                        map_set(&names, name, webhook);
        }
}
const struct kind_hooks mutating_webhook_hooks = {.defaults = mutating_defaults, .validate = webhook_validate},
                        validating_webhook_hooks = {.defaults = validating_defaults, .validate = webhook_validate};
