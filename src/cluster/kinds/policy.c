/* Rules of kinds that limit or describe others: disruption budgets, leases, signing requests. */
#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/kind_hooks.h"
#include "cluster/kinds/podspec.h"
#include "cluster/server-internal.h"
#include "cluster/kinds/value_rules.h"
#include "codec/base64.h"
#include "kobj/meta.h"
#include "kobj/names.h"

static int reset_status(struct draft *d, struct err *err) {
        (void)err;
        mjson_set(d->doc, d->root, "status", yyjson_mut_obj(d->doc));
        return 0;
}

/* Disruption budgets and leases. */

static void add_member_text(struct str *s, const char *name, yyjson_val *value) {
        AUTO(free) char *text = value ? json_write(value, false, NULL) : xstrdup("null");
        str_appendf(s, "%s\"%s\":%s", s->len > 1 ? "," : "{", name, text);
}

static void pdb_validate(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(object, "spec"), *min = yyjson_obj_get(spec, "minAvailable"),
                   *max = yyjson_obj_get(spec, "maxUnavailable");
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
                value_supported(policy, "spec.unhealthyPodEvictionPolicy", (const char *const[]){"AlwaysAllow", "IfHealthyBudget", NULL},
                                bad);
        label_selector_validate(yyjson_obj_get(spec, "selector"), "spec.selector", bad);
}
const struct kind_hooks pdb_hooks = {.prepare_create = reset_status, .validate = pdb_validate};

static void check_number(yyjson_val *spec, const char *key, int64_t least, const char *message, struct invalid *bad) {
        yyjson_val *v = yyjson_obj_get(spec, key);
        int64_t number = json_get_int(spec, key, 0);
        AUTO(free) char *at = xasprintf("spec.%s", key);
        if (v && number < least)
                invalid_int(bad, at, number, "%s", message);
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
                invalid_string(bad, "spec.signerName", signer,
                               "must be a fully qualified domain and path of the form \"example.com/signer-name\"");
}
const struct kind_hooks csr_hooks = {.prepare_create = reset_status, .validate = csr_validate};
