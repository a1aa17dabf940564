#include "cluster/inert.h"

#include "cluster/edit.h"

static bool has_pod_security(yyjson_val *namespace) {
        yyjson_val *labels = json_at(namespace, "/metadata/labels");
        return yyjson_obj_get(labels, "pod-security.kubernetes.io/enforce") != NULL;
}

static bool shares_processes(yyjson_val *pod) {
        yyjson_val *spec = yyjson_obj_get(pod, "spec");
        return json_get_bool(spec, "shareProcessNamespace", false) || json_get_bool(spec, "hostPID", false);
}

static bool has_conditions(yyjson_val *configuration) {
        EACH(webhook, i, json_at(configuration, "/webhooks")) {
                if (yyjson_arr_size(yyjson_obj_get(webhook, "matchConditions")))
                        return true;
        }
        return false;
}

static bool has_service(yyjson_val *object) { return yyjson_is_obj(json_at(object, "/spec/service")); }

static const char no_conditions[] =
        "this server does not evaluate matchConditions (CEL): the webhook is called for all that it matches otherwise";

static const struct {
        const char *id;
        bool (*applies)(yyjson_val *object); /* NULL: always */
        const char *text;
} kinds[] = {
        {"apiservices.apiregistration.k8s.io", has_service,
         "this server does not aggregate APIs: the APIService is stored, requests for its group are not passed on"},
        {"certificatesigningrequests.certificates.k8s.io", NULL,
         "this server signs no certificates: the request is stored and stays pending"},
        {"horizontalpodautoscalers.autoscaling", NULL,
         "this server scales nothing by itself: the HorizontalPodAutoscaler is stored and has no effect"},
        {"ingresses.networking.k8s.io", NULL, "this server runs no ingress controller: the Ingress has no effect until one is installed"},
        {"mutatingwebhookconfigurations.admissionregistration.k8s.io", has_conditions, no_conditions},
        {"namespaces", has_pod_security, "this server does not enforce Pod Security standards: the label has no effect"},
        {"networkpolicies.networking.k8s.io", NULL, "this server does not enforce NetworkPolicy: all pods can reach each other"},
        {"pods", shares_processes,
         "this server gives each container a process namespace of its own: shareProcessNamespace and hostPID have no effect"},
        {"validatingadmissionpolicies.admissionregistration.k8s.io", NULL,
         "this server evaluates no admission policies (CEL): the policy is stored and has no effect"},
        {"validatingadmissionpolicybindings.admissionregistration.k8s.io", NULL,
         "this server evaluates no admission policies (CEL): the binding is stored and has no effect"},
        {"validatingwebhookconfigurations.admissionregistration.k8s.io", has_conditions, no_conditions},
};

/* The schema has rules in CEL somewhere. */
static bool has_cel(yyjson_val *v) {
        yyjson_val *key, *value;
        size_t i, n;
        if (yyjson_is_arr(v)) {
                yyjson_arr_foreach(v, i, n, value) {
                        if (has_cel(value))
                                return true;
                }
                return false;
        }
        if (yyjson_arr_size(yyjson_obj_get(v, "x-kubernetes-validations")))
                return true;
        yyjson_obj_foreach(v, i, n, key, value) {
                if (yyjson_is_ctn(value) && has_cel(value))
                        return true;
        }
        return false;
}

static void warn_definition(yyjson_val *crd, struct strv *warnings) {
        if (has_cel(json_at(crd, "/spec/versions")))
                strv_add(
                        warnings,
                        "this server does not evaluate x-kubernetes-validations (CEL): objects that these rules would refuse are accepted");
        if (streq_null(json_str_at(crd, "/spec/conversion/strategy"), "Webhook"))
                strv_add(warnings, "this server calls no conversion webhooks: versions are converted by changing apiVersion only");
}

void inert_warn(const struct resource *res, yyjson_val *object, struct strv *warnings) {
        const char *id = res->storage->id;
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
                if (streq(kinds[i].id, id) && (!kinds[i].applies || kinds[i].applies(object)))
                        strv_add(warnings, kinds[i].text);
        }
        if (streq(id, "customresourcedefinitions.apiextensions.k8s.io"))
                warn_definition(object, warnings);
}
