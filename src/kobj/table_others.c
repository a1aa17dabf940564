/* Rows of nodes, volumes, events, policies and the rest. */
#include <stdlib.h>

#include "codec/ktime.h"
#include "kobj/table-internal.h"

void table_print_namespace(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_text_at(r, o, "/status/phase", "");
        table_age(r, o);
}

void table_print_secret(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_text_at(r, o, "/type", "");
        table_size_at(r, o, "/data");
        table_age(r, o);
}

void table_print_config_map(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_int(r, (int64_t)(yyjson_obj_size(yyjson_obj_get(o, "data")) + yyjson_obj_size(yyjson_obj_get(o, "binaryData"))));
        table_age(r, o);
}

void table_print_service_account(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_size_at(r, o, "/secrets");
        table_age(r, o);
}

/* ---- nodes ---- */

#define ROLE_PREFIX "node-role.kubernetes.io/"

static void print_roles(struct table_row *r, yyjson_val *node) {
        AUTO(strv) struct strv roles = {0};
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(meta_labels(node), i, max, key, value) {
                const char *name = yyjson_get_str(key), *text = yyjson_get_str(value), *role = NULL;
                if (str_starts(name, ROLE_PREFIX))
                        role = name + strlen(ROLE_PREFIX);
                else if (streq(name, "kubernetes.io/role"))
                        role = text;
                if (role && *role && !strv_has(&roles, role))
                        strv_add(&roles, role);
        }
        if (roles.len)
                strv_sort(&roles);
        AUTO(free) char *text = strv_join(&roles, ",");
        table_text(r, roles.len ? text : "<none>");
}

static void print_address(struct table_row *r, yyjson_val *node, const char *type) {
        size_t i, max;
        yyjson_val *v;
        yyjson_arr_foreach(json_at(node, "/status/addresses"), i, max, v) {
                if (streq_null(json_get_str(v, "type"), type)) {
                        table_text(r, json_get_str(v, "address"));
                        return;
                }
        }
        table_text(r, "<none>");
}

void table_print_node(struct table_row *r, yyjson_val *o) {
        yyjson_val *ready = meta_condition(o, "Ready");
        const char *status = !ready ? "Unknown" : meta_condition_is(o, "Ready", "True") ? "Ready" : "NotReady";
        table_name(r, o);
        table_textf(r, "%s%s", status, json_bool_at(o, "/spec/unschedulable", false) ? ",SchedulingDisabled" : "");
        print_roles(r, o);
        table_age(r, o);
        table_text_at(r, o, "/status/nodeInfo/kubeletVersion", "");
        print_address(r, o, "InternalIP");
        print_address(r, o, "ExternalIP");
        table_text_at(r, o, "/status/nodeInfo/osImage", "<unknown>");
        table_text_at(r, o, "/status/nodeInfo/kernelVersion", "<unknown>");
        table_text_at(r, o, "/status/nodeInfo/containerRuntimeVersion", "<unknown>");
}

/* ---- volumes ---- */

static char *access_modes(yyjson_val *modes) {
        static const char *const names[][2] = {
                {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
        AUTO(strv) struct strv out = {0};
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
                size_t i, max;
                yyjson_val *v;
                yyjson_arr_foreach(modes, i, max, v) {
                        if (yyjson_equals_str(v, names[k][0]) && !strv_has(&out, names[k][1]))
                                strv_add(&out, names[k][1]);
                }
        }
        return strv_join(&out, ",");
}

static const char *storage_class(yyjson_val *object) {
        const char *beta = meta_annotation(object, "volume.beta.kubernetes.io/storage-class");
        return beta ? beta : json_str_at(object, "/spec/storageClassName");
}

void table_print_persistent_volume(struct table_row *r, yyjson_val *o) {
        yyjson_val *claim = json_at(o, "/spec/claimRef");
        const char *ns = json_get_str(claim, "namespace"), *name = json_get_str(claim, "name");
        AUTO(free) char *modes = access_modes(json_at(o, "/spec/accessModes"));
        table_name(r, o);
        table_text_at(r, o, "/spec/capacity/storage", "0");
        table_text(r, modes);
        table_text_at(r, o, "/spec/persistentVolumeReclaimPolicy", "");
        table_text(r, meta_is_deleting(o) ? "Terminating" : json_str_at(o, "/status/phase"));
        table_textf(r, "%s%s%s", ns ? ns : "", claim ? "/" : "", name ? name : "");
        table_text(r, storage_class(o));
        table_text_at(r, o, "/spec/volumeAttributesClassName", "<unset>");
        table_text_at(r, o, "/status/reason", "");
        table_age(r, o);
        table_text_at(r, o, "/spec/volumeMode", "<unset>");
}

void table_print_persistent_volume_claim(struct table_row *r, yyjson_val *o) {
        const char *volume = json_str_at(o, "/spec/volumeName");
        bool bound = volume && *volume;
        AUTO(free) char *modes = bound ? access_modes(json_at(o, "/status/accessModes")) : xstrdup("");
        table_name(r, o);
        table_text(r, meta_is_deleting(o) ? "Terminating" : json_str_at(o, "/status/phase"));
        table_text(r, volume);
        table_text_at(r, o, "/status/capacity/storage", bound ? "0" : "");
        table_text(r, modes);
        table_text(r, storage_class(o));
        table_text_at(r, o, "/spec/volumeAttributesClassName", "<unset>");
        table_age(r, o);
        table_text_at(r, o, "/spec/volumeMode", "<unset>");
}

void table_print_storage_class(struct table_row *r, yyjson_val *o) {
        const char *is_default = meta_annotation(o, "storageclass.kubernetes.io/is-default-class");
        const char *beta = meta_annotation(o, "storageclass.beta.kubernetes.io/is-default-class"), *name = meta_name(o);
        bool marked = streq_null(is_default, "true") || streq_null(beta, "true");
        table_textf(r, "%s%s", name ? name : "", marked ? " (default)" : "");
        table_text_at(r, o, "/provisioner", "");
        table_text_at(r, o, "/reclaimPolicy", "Delete");
        table_text_at(r, o, "/volumeBindingMode", "Immediate");
        table_bool(r, json_bool_at(o, "/allowVolumeExpansion", false));
        table_age(r, o);
}

void table_print_volume_attachment(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_text_at(r, o, "/spec/attacher", "");
        table_text_at(r, o, "/spec/source/persistentVolumeName", "");
        table_text_at(r, o, "/spec/nodeName", "");
        table_bool(r, json_bool_at(o, "/status/attached", false));
        table_age(r, o);
}

void table_print_csi_node(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_size_at(r, o, "/spec/drivers");
        table_age(r, o);
}

/* ---- events ---- */

static const char *either(yyjson_val *o, const char *a, const char *b) {
        const char *text = json_str_at(o, a);
        return text && *text ? text : json_str_at(o, b);
}

static void print_target(struct table_row *r, yyjson_val *event) {
        const char *kind = either(event, "/involvedObject/kind", "/regarding/kind"),
                   *name = either(event, "/involvedObject/name", "/regarding/name");
        AUTO(free) char *text = xasprintf("%s%s%s", kind ? kind : "", name && *name ? "/" : "", name && *name ? name : "");
        for (char *p = text; *p && *p != '/'; p++)
                *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        table_text(r, text);
}

static void print_source(struct table_row *r, yyjson_val *event) {
        const char *component = either(event, "/source/component", "/reportingComponent"),
                   *host = either(event, "/source/host", "/reportingInstance");
        if (!component)
                component = either(event, "/reportingController", "/deprecatedSource/component");
        table_textf(r, "%s%s%s", component ? component : "", host && *host ? ", " : "", host && *host ? host : "");
}

void table_print_event(struct table_row *r, yyjson_val *o) {
        const char *made = json_str_at(o, "/eventTime"), *message = either(o, "/message", "/note");
        const char *first = either(o, "/firstTimestamp", "/deprecatedFirstTimestamp"),
                   *last = either(o, "/lastTimestamp", "/deprecatedLastTimestamp");
        yyjson_val *series = yyjson_obj_get(o, "series");
        int64_t count = json_int_at(o, "/count", json_int_at(o, "/deprecatedCount", 0));
        first = first ? first : made;
        last = last ? last : first;
        if (yyjson_is_obj(series)) {
                last = json_get_str(series, "lastObservedTime");
                count = json_get_int(series, "count", 0);
        } else if (count == 0) {
                count = 1;
        }
        struct sv text = sv_trim(sv_of(message));
        table_since(r, last);
        table_text_at(r, o, "/type", "");
        table_text_at(r, o, "/reason", "");
        print_target(r, o);
        table_text(r, either(o, "/involvedObject/fieldPath", "/regarding/fieldPath"));
        print_source(r, o);
        table_textf(r, "%.*s", SV_ARG(text));
        table_since(r, first);
        table_int(r, count);
        table_name(r, o);
}

/* ---- access and quotas ---- */

static void print_subjects(struct table_row *r, yyjson_val *binding, const char *kind) {
        AUTO(str) struct str out = STR_INIT(0);
        size_t i, max;
        yyjson_val *v;
        yyjson_arr_foreach(yyjson_obj_get(binding, "subjects"), i, max, v) {
                const char *name = json_get_str(v, "name"), *ns = json_get_str(v, "namespace");
                if (!streq_null(json_get_str(v, "kind"), kind))
                        continue;
                str_append_s(&out, out.len ? ", " : "");
                if (streq(kind, "ServiceAccount"))
                        str_appendf(&out, "%s/", ns ? ns : "");
                str_append_s(&out, name ? name : "");
        }
        table_text(r, str_cstr(&out));
}

void table_print_role_bindings(struct table_row *r, yyjson_val *o) {
        const char *kind = json_str_at(o, "/roleRef/kind"), *name = json_str_at(o, "/roleRef/name");
        table_name(r, o);
        table_textf(r, "%s/%s", kind ? kind : "", name ? name : "");
        table_age(r, o);
        print_subjects(r, o, "User");
        print_subjects(r, o, "Group");
        print_subjects(r, o, "ServiceAccount");
}

void table_print_cluster_role_bindings(struct table_row *r, yyjson_val *o) { table_print_role_bindings(r, o); }

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static void print_usage(struct table_row *r, yyjson_val *quota, bool limits) {
        yyjson_val *hard = json_at(quota, "/status/hard"), *used = json_at(quota, "/status/used"), *key, *value;
        AUTO(strv) struct strv names = {0};
        AUTO(str) struct str out = STR_INIT(0);
        size_t i, max;
        yyjson_obj_foreach(hard, i, max, key, value) strv_add(&names, yyjson_get_str(key));
        if (names.len)
                qsort(names.items, names.len, sizeof(*names.items), compare_names);
        for (i = 0; i < names.len; i++) {
                if (str_starts(names.items[i], "limits.") != limits)
                        continue;
                const char *u = json_get_str(used, names.items[i]), *h = json_get_str(hard, names.items[i]);
                str_appendf(&out, "%s%s: %s/%s", out.len ? ", " : "", names.items[i], u ? u : "0", h ? h : "0");
        }
        table_text(r, str_cstr(&out));
}

void table_print_resource_quota(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        print_usage(r, o, false);
        print_usage(r, o, true);
        table_age(r, o);
}

void table_print_priority_class(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_int_at(r, o, "/value");
        table_bool(r, json_bool_at(o, "/globalDefault", false));
        table_age(r, o);
        table_text_at(r, o, "/preemptionPolicy", "");
}

void table_print_runtime_class(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_text_at(r, o, "/handler", "");
        table_age(r, o);
}

void table_print_lease(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_text_at(r, o, "/spec/holderIdentity", "");
        table_age(r, o);
}

void table_print_certificate_signing_request(struct table_row *r, yyjson_val *o) {
        const char *certificate = json_str_at(o, "/status/certificate");
        yyjson_val *seconds = json_at(o, "/spec/expirationSeconds");
        table_name(r, o);
        table_age(r, o);
        table_text_at(r, o, "/spec/signerName", "<none>");
        table_text_at(r, o, "/spec/username", "");
        if (seconds) {
                char text[KTIME_SIZE];
                duration_human(yyjson_get_sint(seconds) * 1000, text);
                table_text(r, text);
        } else {
                table_text(r, "<none>");
        }
        table_textf(r, "%s%s%s", meta_condition(o, "Denied") ? "Denied" : meta_condition(o, "Approved") ? "Approved" : "Pending",
                    meta_condition(o, "Failed") ? ",Failed" : "", certificate && *certificate ? ",Issued" : "");
}

/* ---- admission ---- */

void table_print_mutating_webhook(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_size_at(r, o, "/webhooks");
        table_age(r, o);
}

void table_print_validating_webhook(struct table_row *r, yyjson_val *o) { table_print_mutating_webhook(r, o); }

void table_print_validating_admission_policy(struct table_row *r, yyjson_val *o) {
        yyjson_val *kind = json_at(o, "/spec/paramKind");
        const char *version = json_get_str(kind, "apiVersion"), *name = json_get_str(kind, "kind");
        table_name(r, o);
        table_size_at(r, o, "/spec/validations");
        if (kind)
                table_textf(r, "%s/%s", version ? version : "", name ? name : "");
        else
                table_text(r, "<unset>");
        table_age(r, o);
}

void table_print_validating_admission_policy_binding(struct table_row *r, yyjson_val *o) {
        const char *name = json_str_at(o, "/spec/paramRef/name"), *ns = json_str_at(o, "/spec/paramRef/namespace");
        table_name(r, o);
        table_text_at(r, o, "/spec/policyName", "");
        if (name && *name)
                table_textf(r, "%s/%s", ns && *ns ? ns : "*", name);
        else
                table_text(r, "<unset>");
        table_age(r, o);
}

void table_print_status(struct table_row *r, yyjson_val *o) {
        table_text_at(r, o, "/status", "");
        table_text_at(r, o, "/reason", "");
        table_text_at(r, o, "/message", "");
}
