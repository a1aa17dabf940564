/* Rules of kinds that limit or describe others: limit ranges, quotas, disruption budgets, leases, signing requests. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kind_hooks.h"
#include "cluster/podspec.h"
#include "cluster/server-internal.h"
#include "cluster/value_rules.h"
#include "codec/base64.h"
#include "codec/quantity.h"
#include "kobj/meta.h"
#include "kobj/names.h"

static bool amount(yyjson_val *list, const char *name, struct quantity *ret) {
        const char *text = json_get_str(list, name);
        return text && quantity_parse(sv_of(text), ret, NULL) == 0;
}

/* Limit ranges: min <= defaultRequest <= default <= max. */

static void copy_missing(yyjson_mut_doc *doc, yyjson_mut_val *item, const char *from, const char *to) {
        yyjson_mut_val *source = member_obj(item, from), *key, *value;
        size_t i, n;
        yyjson_mut_obj_foreach(source, i, n, key, value) {
                yyjson_mut_val *target = mjson_obj(doc, item, to);
                if (!yyjson_mut_obj_get(target, yyjson_mut_get_str(key)))
                        mjson_set(doc, target, yyjson_mut_get_str(key), yyjson_mut_val_mut_copy(doc, value));
        }
}

static void limitrange_defaults(struct draft *d) {
        MUT_EACH(item, member_obj(d->root, "spec"), "limits") {
                if (!streq_null(mjson_get_str(item, "type"), "Container"))
                        continue;
                copy_missing(d->doc, item, "max", "default");
                copy_missing(d->doc, item, "default", "defaultRequest");
                copy_missing(d->doc, item, "min", "defaultRequest");
        }
}

static const struct {
        const char *low, *low_name, *high, *high_name;
        const char *blamed; /* the member that the message is about */
        bool shows_high;    /* which of the two it quotes as the invalid value */
} orders[] = {
        {"min", "min", "max", "max", "min", false},
        {"min", "min", "defaultRequest", "default request", "defaultRequest", true},
        {"defaultRequest", "default request", "max", "max", "defaultRequest", false},
        {"defaultRequest", "default request", "default", "default limit", "defaultRequest", false},
        {"min", "min", "default", "default", "default", false},
        {"default", "default", "max", "max", "default", true},
};

static void limitrange_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        static const char *const members[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"};
        (void)d;
        EACH(limit, i, json_at(object, "/spec/limits")) {
                AUTO(map) struct map names = MAP_INIT(NULL);
                yyjson_val *key, *value;
                size_t k, n;
                for (size_t m = 0; m < ARRAY_LEN(members); m++)
                        yyjson_obj_foreach(yyjson_obj_get(limit, members[m]), k, n, key, value) map_set(&names, yyjson_get_str(key), value);
                map_foreach(e, &names) {
                        for (size_t o = 0; o < ARRAY_LEN(orders); o++) {
                                struct quantity low, high;
                                char low_text[64], high_text[64];
                                if (!amount(yyjson_obj_get(limit, orders[o].low), e->key, &low) || !amount(yyjson_obj_get(limit, orders[o].high), e->key, &high) ||
                                    quantity_cmp(low, high) <= 0)
                                        continue;
                                AUTO(free) char *at = xasprintf("spec.limits[%zu].%s[%s]", i, orders[o].blamed, e->key);
                                quantity_format(low, low_text);
                                quantity_format(high, high_text);
                                invalid_string(bad, at, orders[o].shows_high ? high_text : low_text, "%s value %s is greater than %s value %s", orders[o].low_name, low_text, orders[o].high_name, high_text);
                        }
                }
        }
}
const struct kind_hooks limitrange_hooks = {.defaults = limitrange_defaults, .validate = limitrange_validate};

/* Quotas. */

static int reset_status(struct draft *d, struct err *err) {
        (void)err;
        mjson_set(d->doc, d->root, "status", yyjson_mut_obj(d->doc));
        return 0;
}

static bool is_standard_quota(const char *name) {
        static const char *const names[] = {"cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
                                            "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "services",
                                            "services.nodeports", "services.loadbalancers", "replicationcontrollers", "resourcequotas", "secrets",
                                            "configmaps", "persistentvolumeclaims"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (streq(names[i], name))
                        return true;
        return strchr(name, '/') || str_starts(name, "requests.") || str_starts(name, "hugepages-");
}

static bool counts_objects(const char *name) {
        return !str_starts(name, "requests.") && !str_starts(name, "limits.") && !streq(name, "cpu") && !streq(name, "memory") &&
               !streq(name, "ephemeral-storage");
}

static void quota_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n;
        (void)d;
        yyjson_obj_foreach(json_at(object, "/spec/hard"), i, n, key, value) {
                const char *name = unsafe_yyjson_get_str(key);
                AUTO(free) char *at = xasprintf("spec.hard[%s]", name);
                AUTO(strv) struct strv why = {0};
                struct quantity q;
                name_check_qualified(sv_of(name), &why);
                invalid_names(bad, at, name, &why);
                if (!is_standard_quota(name))
                        invalid_string(bad, at, name, "must be a standard resource for quota");
                if (quantity_parse(sv_of(yyjson_get_str(value)), &q, NULL) < 0)
                        continue;
                if (q.nano < 0)
                        invalid_string(bad, at, yyjson_get_str(value), "must be greater than or equal to 0");
                else if (counts_objects(name) && q.nano % 1000000000)
                        invalid_string(bad, at, yyjson_get_str(value), "must be an integer");
        }
}
const struct kind_hooks quota_hooks = {.prepare_create = reset_status, .validate = quota_validate};

/* Disruption budgets and leases. */

static void add_member_text(struct str *s, const char *name, yyjson_val *value) {
        AUTO(free) char *text = value ? json_write(value, false, NULL) : xstrdup("null");
        str_appendf(s, "%s\"%s\":%s", s->len > 1 ? "," : "{", name, text);
}

static void pdb_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *min = yyjson_obj_get(spec, "minAvailable"), *max = yyjson_obj_get(spec, "maxUnavailable");
        const char *policy = json_get_str(spec, "unhealthyPodEvictionPolicy");
        if (d->subresource)
                return;
        if (min && max) {
                AUTO(str) struct str shown = STR_INIT(0);
                add_member_text(&shown, "MinAvailable", min);
                add_member_text(&shown, "Selector", yyjson_obj_get(spec, "selector"));
                add_member_text(&shown, "MaxUnavailable", max);
                add_member_text(&shown, "UnhealthyPodEvictionPolicy", yyjson_obj_get(spec, "unhealthyPodEvictionPolicy"));
                str_append_c(&shown, '}');
                invalid_add(bad, "spec", INVALID_VALUE, str_cstr(&shown), "minAvailable and maxUnavailable cannot be both set");
        }
        if (min && value_int_or_percent(min, "spec.minAvailable", bad))
                value_at_most_all(min, "spec.minAvailable", bad);
        if (max && value_int_or_percent(max, "spec.maxUnavailable", bad))
                value_at_most_all(max, "spec.maxUnavailable", bad);
        if (policy)
                value_supported(policy, "spec.unhealthyPodEvictionPolicy", (const char *const[]){"AlwaysAllow", "IfHealthyBudget", NULL}, bad);
        label_selector_validate(yyjson_obj_get(spec, "selector"), "spec.selector", bad);
}
const struct kind_hooks pdb_hooks = {.prepare_create = reset_status, .validate = pdb_validate};

static void check_number(yyjson_val *spec, const char *key, int64_t least, const char *message, struct invalid *bad) {
        yyjson_val *v = yyjson_obj_get(spec, key);
        AUTO(free) char *at = xasprintf("spec.%s", key), *text = xasprintf("%lld", (long long)json_get_int(spec, key, 0));
        if (v && json_get_int(spec, key, 0) < least)
                invalid_add(bad, at, INVALID_VALUE, text, "%s", message);
}

static void lease_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec");
        (void)d;
        check_number(spec, "leaseDurationSeconds", 1, "must be greater than 0", bad);
        check_number(spec, "leaseTransitions", 0, "must be greater than or equal to 0", bad);
}
const struct kind_hooks lease_hooks = {.validate = lease_validate};

/* Certificate signing requests. */

static void csr_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        const char *request = json_str_at(object, "/spec/request"), *signer = json_str_at(object, "/spec/signerName");
        AUTO(str) struct str pem = STR_INIT(0);
        if (d->subresource)
                return;
        if (base64_decode(sv_of(request ? request : ""), &pem) < 0 || !str_starts(str_cstr(&pem), "-----BEGIN CERTIFICATE REQUEST-----"))
                invalid_string(bad, "spec.request", request ? request : "", "PEM block type must be CERTIFICATE REQUEST");
        if (yyjson_arr_size(json_at(object, "/spec/usages")) == 0)
                invalid_required(bad, "spec.usages", NULL);
        if (!signer || !*signer)
                invalid_required(bad, "spec.signerName", NULL);
        else if (!strchr(signer, '/'))
                invalid_string(bad, "spec.signerName", signer, "must be a fully qualified domain and path of the form \"example.com/signer-name\"");
}
const struct kind_hooks csr_hooks = {.prepare_create = reset_status, .validate = csr_validate};
