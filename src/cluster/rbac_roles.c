/* The default roles and bindings, in the real server's terms. */
#include "cluster/rbac.h"

#define READ "\"get\",\"list\",\"watch\""
#define WRITE "\"create\",\"delete\",\"deletecollection\",\"patch\",\"update\""
#define BOOT "\"labels\":{\"kubernetes.io/bootstrapping\":\"rbac-defaults\"}"
#define NOTE "\"annotations\":{\"rbac.authorization.kubernetes.io/autoupdate\":\"true\"}"
#define AGGREGATES(to)                                                                                                                     \
        "\"labels\":{\"kubernetes.io/bootstrapping\":\"rbac-defaults\",\"rbac.authorization.k8s.io/aggregate-to-" to "\":\"true\"}"

static const struct {
        const char *name, *labels, *rest;
} roles[] = {
        {"cluster-admin", BOOT,
         "\"rules\":[{\"verbs\":[\"*\"],\"apiGroups\":[\"*\"],\"resources\":[\"*\"]},{\"verbs\":[\"*\"],\"nonResourceURLs\":[\"*\"]}]"},
        {"admin", BOOT,
         "\"aggregationRule\":{\"clusterRoleSelectors\":[{\"matchLabels\":{\"rbac.authorization.k8s.io/aggregate-to-admin\":\"true\"}}]},\"rules\":[]"},
        {"edit", AGGREGATES("admin"),
         "\"aggregationRule\":{\"clusterRoleSelectors\":[{\"matchLabels\":{\"rbac.authorization.k8s.io/aggregate-to-edit\":\"true\"}}]},\"rules\":[]"},
        {"view", AGGREGATES("edit"),
         "\"aggregationRule\":{\"clusterRoleSelectors\":[{\"matchLabels\":{\"rbac.authorization.k8s.io/aggregate-to-view\":\"true\"}}]},\"rules\":[]"},
        {"system:aggregate-to-view", AGGREGATES("view"),
         "\"rules\":["
         "{\"verbs\":[" READ
         "],\"apiGroups\":[\"\"],\"resources\":[\"configmaps\",\"endpoints\",\"persistentvolumeclaims\",\"persistentvolumeclaims/status\","
         "\"pods\",\"replicationcontrollers\",\"replicationcontrollers/scale\",\"serviceaccounts\",\"services\",\"services/status\"]},"
         "{\"verbs\":[" READ
         "],\"apiGroups\":[\"\"],\"resources\":[\"bindings\",\"events\",\"limitranges\",\"namespaces/status\",\"pods/log\",\"pods/status\","
         "\"replicationcontrollers/status\",\"resourcequotas\",\"resourcequotas/status\"]},"
         "{\"verbs\":[" READ "],\"apiGroups\":[\"\"],\"resources\":[\"namespaces\"]},"
         "{\"verbs\":[" READ "],\"apiGroups\":[\"discovery.k8s.io\"],\"resources\":[\"endpointslices\"]},"
         "{\"verbs\":[" READ
         "],\"apiGroups\":[\"apps\"],\"resources\":[\"controllerrevisions\",\"daemonsets\",\"daemonsets/status\",\"deployments\","
         "\"deployments/scale\",\"deployments/status\",\"replicasets\",\"replicasets/scale\",\"replicasets/status\",\"statefulsets\",\"statefulsets/scale\","
         "\"statefulsets/status\"]},"
         "{\"verbs\":[" READ
         "],\"apiGroups\":[\"autoscaling\"],\"resources\":[\"horizontalpodautoscalers\",\"horizontalpodautoscalers/status\"]},"
         "{\"verbs\":[" READ "],\"apiGroups\":[\"batch\"],\"resources\":[\"cronjobs\",\"cronjobs/status\",\"jobs\",\"jobs/status\"]},"
         "{\"verbs\":[" READ "],\"apiGroups\":[\"policy\"],\"resources\":[\"poddisruptionbudgets\",\"poddisruptionbudgets/status\"]},"
         "{\"verbs\":[" READ
         "],\"apiGroups\":[\"networking.k8s.io\"],\"resources\":[\"ingresses\",\"ingresses/status\",\"networkpolicies\"]}]"},
        {"system:aggregate-to-edit", AGGREGATES("edit"),
         "\"rules\":["
         "{\"verbs\":[" READ
         "],\"apiGroups\":[\"\"],\"resources\":[\"pods/attach\",\"pods/exec\",\"pods/portforward\",\"pods/proxy\",\"secrets\",\"services/proxy\"]},"
         "{\"verbs\":[\"impersonate\"],\"apiGroups\":[\"\"],\"resources\":[\"serviceaccounts\"]},"
         "{\"verbs\":[" WRITE
         "],\"apiGroups\":[\"\"],\"resources\":[\"pods\",\"pods/attach\",\"pods/exec\",\"pods/portforward\",\"pods/proxy\"]},"
         "{\"verbs\":[\"create\"],\"apiGroups\":[\"\"],\"resources\":[\"pods/eviction\"]},"
         "{\"verbs\":[" WRITE
         "],\"apiGroups\":[\"\"],\"resources\":[\"configmaps\",\"events\",\"persistentvolumeclaims\",\"replicationcontrollers\","
         "\"replicationcontrollers/scale\",\"secrets\",\"serviceaccounts\",\"services\",\"services/proxy\"]},"
         "{\"verbs\":[\"create\"],\"apiGroups\":[\"\"],\"resources\":[\"serviceaccounts/token\"]},"
         "{\"verbs\":[" WRITE
         "],\"apiGroups\":[\"apps\"],\"resources\":[\"daemonsets\",\"deployments\",\"deployments/rollback\",\"deployments/scale\","
         "\"replicasets\",\"replicasets/scale\",\"statefulsets\",\"statefulsets/scale\"]},"
         "{\"verbs\":[" WRITE "],\"apiGroups\":[\"autoscaling\"],\"resources\":[\"horizontalpodautoscalers\"]},"
         "{\"verbs\":[" WRITE "],\"apiGroups\":[\"batch\"],\"resources\":[\"cronjobs\",\"jobs\"]},"
         "{\"verbs\":[" WRITE "],\"apiGroups\":[\"policy\"],\"resources\":[\"poddisruptionbudgets\"]},"
         "{\"verbs\":[" WRITE "],\"apiGroups\":[\"networking.k8s.io\"],\"resources\":[\"ingresses\",\"networkpolicies\"]},"
         "{\"verbs\":[" WRITE "," READ "],\"apiGroups\":[\"coordination.k8s.io\"],\"resources\":[\"leases\"]}]"},
        {"system:aggregate-to-admin", AGGREGATES("admin"),
         "\"rules\":["
         "{\"verbs\":[\"create\"],\"apiGroups\":[\"authorization.k8s.io\"],\"resources\":[\"localsubjectaccessreviews\"]},"
         "{\"verbs\":[" WRITE "," READ "],\"apiGroups\":[\"rbac.authorization.k8s.io\"],\"resources\":[\"rolebindings\",\"roles\"]}]"},
        {"system:basic-user", BOOT,
         "\"rules\":[{\"verbs\":[\"create\"],\"apiGroups\":[\"authorization.k8s.io\"],\"resources\":[\"selfsubjectaccessreviews\",\"selfsubjectrulesreviews\"]},"
         "{\"verbs\":[\"create\"],\"apiGroups\":[\"authentication.k8s.io\"],\"resources\":[\"selfsubjectreviews\"]}]"},
        {"system:discovery", BOOT,
         "\"rules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/api\",\"/api/*\",\"/apis\",\"/apis/*\",\"/healthz\",\"/livez\",\"/openapi\",\"/openapi/*\","
         "\"/readyz\",\"/version\",\"/version/\"]}]"},
        {"system:public-info-viewer", BOOT,
         "\"rules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/healthz\",\"/livez\",\"/readyz\",\"/version\",\"/version/\"]}]"},
        {"system:monitoring", BOOT,
         "\"rules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/healthz\",\"/healthz/*\",\"/livez\",\"/livez/*\",\"/metrics\",\"/metrics/slis\",\"/readyz\","
         "\"/readyz/*\"]}]"},
        {"system:service-account-issuer-discovery", BOOT,
         "\"rules\":[{\"verbs\":[\"get\"],\"nonResourceURLs\":[\"/.well-known/openid-configuration\",\"/.well-known/openid-configuration/\","
         "\"/openid/v1/jwks\",\"/openid/v1/jwks/\"]}]"},
        {"system:auth-delegator", BOOT,
         "\"rules\":[{\"verbs\":[\"create\"],\"apiGroups\":[\"authentication.k8s.io\"],\"resources\":[\"tokenreviews\"]},"
         "{\"verbs\":[\"create\"],\"apiGroups\":[\"authorization.k8s.io\"],\"resources\":[\"subjectaccessreviews\"]}]"},
};

static const struct {
        const char *name, *role, *groups[2];
} bindings[] = {
        {"cluster-admin", "cluster-admin", {"system:masters"}},
        {"system:basic-user", "system:basic-user", {"system:authenticated"}},
        {"system:discovery", "system:discovery", {"system:authenticated"}},
        {"system:public-info-viewer", "system:public-info-viewer", {"system:authenticated", "system:unauthenticated"}},
        {"system:monitoring", "system:monitoring", {"system:monitoring"}},
        {"system:service-account-issuer-discovery", "system:service-account-issuer-discovery", {"system:serviceaccounts"}},
};

static int create(struct apiserver *s, const char *resource, const char *text, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(mjson) yyjson_mut_doc *edit = NULL;
        int r = json_parse(sv_of(text), &doc, err);
        if (r < 0)
                return r;
        edit = json_thaw(yyjson_doc_get_root(doc));
        return api_create(s->self, resource, NULL, yyjson_mut_doc_get_root(edit), NULL, err);
}

int rbac_bootstrap(struct apiserver *s, struct err *err) {
        int r = 0;
        for (size_t i = 0; i < ARRAY_LEN(roles) && r == 0; i++) {
                AUTO(free) char *text = NULL;
                if (api_peek(s->self, "clusterroles.rbac.authorization.k8s.io", NULL, roles[i].name))
                        continue;
                text = xasprintf("{\"metadata\":{\"name\":\"%s\",%s," NOTE "},%s}", roles[i].name, roles[i].labels, roles[i].rest);
                r = create(s, "clusterroles.rbac.authorization.k8s.io", text, err);
        }
        for (size_t i = 0; i < ARRAY_LEN(bindings) && r == 0; i++) {
                AUTO(str) struct str subjects = STR_INIT(0);
                AUTO(free) char *text = NULL;
                if (api_peek(s->self, "clusterrolebindings.rbac.authorization.k8s.io", NULL, bindings[i].name))
                        continue;
                for (size_t k = 0; k < 2 && bindings[i].groups[k]; k++)
                        str_appendf(&subjects, "%s{\"kind\":\"Group\",\"name\":\"%s\"}", k ? "," : "", bindings[i].groups[k]);
                text = xasprintf("{\"metadata\":{\"name\":\"%s\"," BOOT "," NOTE
                                 "},\"roleRef\":{\"kind\":\"ClusterRole\",\"name\":\"%s\"},\"subjects\":[%s]}",
                                 bindings[i].name, bindings[i].role, str_cstr(&subjects));
                r = create(s, "clusterrolebindings.rbac.authorization.k8s.io", text, err);
        }
        if (r == 0)
                for (int pass = 0; pass < 3; pass++) /* view into edit into admin */
                        rbac_aggregate(s);
        return r;
}
