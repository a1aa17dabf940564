#include "base/str.h"
#include "cluster/edit.h"
#include "cluster/kinds/podspec.h"
#include "codec/quantity.h"
#include "oci/reference.h"

/* imagePullPolicy: Always for :latest, which an image without tag and digest is. What is no image name at all has no tag either. */
static const char *pull_policy(const char *image) {
        AUTO(oci_reference) struct oci_reference name = {0};
        if (oci_reference_is_file(image) || oci_reference_parse(image, &name, NULL) < 0)
                return "IfNotPresent";
        return streq_null(name.tag, "latest") ? "Always" : "IfNotPresent";
}

static void default_http_get(yyjson_mut_doc *doc, yyjson_mut_val *handler) {
        yyjson_mut_val *get = member_obj(handler, "httpGet");
        default_str(doc, get, "path", "/");
        default_str(doc, get, "scheme", "HTTP");
}

static void default_probe(yyjson_mut_doc *doc, yyjson_mut_val *probe) {
        yyjson_mut_val *grpc = member_obj(probe, "grpc");
        if (!probe)
                return;
        default_nonzero(doc, probe, "timeoutSeconds", 1);
        default_nonzero(doc, probe, "periodSeconds", 10);
        default_nonzero(doc, probe, "successThreshold", 1);
        default_nonzero(doc, probe, "failureThreshold", 3);
        default_http_get(doc, probe);
        if (grpc && !yyjson_mut_obj_get(grpc, "service"))
                mjson_set_str(doc, grpc, "service", "");
}

static void default_field_ref(yyjson_mut_doc *doc, yyjson_mut_val *from) {
        yyjson_mut_val *ref = member_obj(from, "fieldRef");
        default_str(doc, ref, "apiVersion", "v1");
}

static void requests_from_limits(yyjson_mut_doc *doc, yyjson_mut_val *container) {
        yyjson_mut_val *resources = member_obj(container, "resources"), *limits = member_obj(resources, "limits"), *key, *value;
        size_t i, n;
        if (!limits)
                return;
        yyjson_mut_obj_foreach(limits, i, n, key, value) {
                yyjson_mut_val *requests = mjson_obj(doc, resources, "requests");
                if (!yyjson_mut_obj_get(requests, yyjson_mut_get_str(key)))
                        mjson_set(doc, requests, yyjson_mut_get_str(key), yyjson_mut_val_mut_copy(doc, value));
        }
}

static void default_container(yyjson_mut_doc *doc, yyjson_mut_val *c, bool is_pod, bool host_network) {
        const char *image = mjson_get_str(c, "image");
        yyjson_mut_val *life = member_obj(c, "lifecycle");

        default_str(doc, c, "terminationMessagePath", "/dev/termination-log");
        default_str(doc, c, "terminationMessagePolicy", "File");
        default_str(doc, c, "imagePullPolicy", pull_policy(image ? image : ""));
        MUT_EACH(port, c, "ports") {
                default_str(doc, port, "protocol", "TCP");
                if (host_network)
                        default_nonzero(doc, port, "hostPort", mjson_get_int(port, "containerPort", 0));
        }
        MUT_EACH(env, c, "env") default_field_ref(doc, member_obj(env, "valueFrom"));
        default_probe(doc, member_obj(c, "livenessProbe"));
        default_probe(doc, member_obj(c, "readinessProbe"));
        default_probe(doc, member_obj(c, "startupProbe"));
        default_http_get(doc, member_obj(life, "postStart"));
        default_http_get(doc, member_obj(life, "preStop"));
        if (is_pod)
                requests_from_limits(doc, c);
}

/* Rules for the restarts of single containers are an alpha feature: what is not a sidecar's is forgotten, whatever it says. */
static void drop_restart_policy(yyjson_mut_val *c, bool is_init) {
        if (!is_init || !streq_null(mjson_get_str(c, "restartPolicy"), "Always"))
                mjson_remove(c, "restartPolicy");
        mjson_remove(c, "restartPolicyRules");
}

static void default_volume(yyjson_mut_doc *doc, yyjson_mut_val *v) {
        static const char *const with_mode[] = {"configMap", "secret", "projected", "downwardAPI"};
        yyjson_mut_val *host = member_obj(v, "hostPath"), *projected = member_obj(v, "projected"), *claim;

        if (yyjson_mut_obj_size(v) == 1 && yyjson_mut_obj_get(v, "name"))
                mjson_obj(doc, v, "emptyDir");
        for (size_t i = 0; i < ARRAY_LEN(with_mode); i++)
                default_int(doc, member_obj(v, with_mode[i]), "defaultMode", 420);
        if (host && !yyjson_mut_obj_get(host, "type"))
                mjson_set_str(doc, host, "type", "");
        MUT_EACH(item, member_obj(v, "downwardAPI"), "items") default_field_ref(doc, item);
        MUT_EACH(source, projected, "sources") {
                default_int(doc, member_obj(source, "serviceAccountToken"), "expirationSeconds", 3600);
                MUT_EACH(item, member_obj(source, "downwardAPI"), "items") default_field_ref(doc, item);
        }
        claim = member_obj(member_obj(member_obj(v, "ephemeral"), "volumeClaimTemplate"), "spec");
        default_str(doc, claim, "volumeMode", "Filesystem");
}

void podspec_default(yyjson_mut_doc *doc, yyjson_mut_val *spec, bool is_pod) {
        static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
        bool host_network = mjson_get_bool(spec, "hostNetwork", false);
        const char *account;

        if (!spec)
                return;
        default_str(doc, spec, "restartPolicy", "Always");
        default_str(doc, spec, "dnsPolicy", "ClusterFirst");
        default_str(doc, spec, "schedulerName", "default-scheduler");
        default_int(doc, spec, "terminationGracePeriodSeconds", 30);
        if (is_pod && mjson_get_int(spec, "terminationGracePeriodSeconds", 30) < 0) /* as the real server reads a negative grace */
                mjson_set_int(doc, spec, "terminationGracePeriodSeconds", 1);
        mjson_obj(doc, spec, "securityContext");
        if (is_pod)
                default_bool(doc, spec, "enableServiceLinks", true);
        account = mjson_get_str(spec, "serviceAccountName");
        if (!account || !*account)
                account = mjson_get_str(spec, "serviceAccount");
        if (account && *account) {
                AUTO(free) char *name = xstrdup(account);
                mjson_set_str(doc, spec, "serviceAccountName", name);
                mjson_set_str(doc, spec, "serviceAccount", name);
        }
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
                MUT_EACH(c, spec, lists[i]) {
                        if (i < 2)
                                drop_restart_policy(c, i == 0);
                        default_container(doc, c, is_pod && i < 2, host_network);
                }
        MUT_EACH(v, spec, "volumes") default_volume(doc, v);
}

void template_default(yyjson_mut_doc *doc, yyjson_mut_val *template) {
        if (template)
                podspec_default(doc, mjson_obj(doc, template, "spec"), false);
}

/* Does the resource list name exactly as much of `name` in both? */
static bool same_quantity(yyjson_mut_val *a, yyjson_mut_val *b, const char *name) {
        const char *x = mjson_get_str(a, name), *y = mjson_get_str(b, name);
        struct quantity p, q;
        return x && y && quantity_parse(sv_of(x), &p, NULL) == 0 && quantity_parse(sv_of(y), &q, NULL) == 0 && quantity_cmp(p, q) == 0;
}

static bool is_positive(yyjson_mut_val *list, const char *name) {
        const char *text = mjson_get_str(list, name);
        struct quantity q;
        return text && quantity_parse(sv_of(text), &q, NULL) == 0 && q.nano > 0;
}

const char *podspec_qos(yyjson_mut_val *spec) {
        static const char *const lists[] = {"initContainers", "containers"}, *const names[] = {"cpu", "memory"};
        bool any = false, guaranteed = true;

        for (size_t l = 0; l < ARRAY_LEN(lists); l++)
                MUT_EACH(c, spec, lists[l]) {
                        yyjson_mut_val *resources = member_obj(c, "resources"), *limits = member_obj(resources, "limits");
                        yyjson_mut_val *requests = member_obj(resources, "requests");
                        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                                bool has_limit = is_positive(limits, names[i]), has_request = is_positive(requests, names[i]);
                                any |= has_limit || has_request;
                                if (!has_limit || (has_request && !same_quantity(limits, requests, names[i])))
                                        guaranteed = false;
                        }
                }
        return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}
