/* The built-in kinds: what `kubectl api-resources` lists on Kubernetes 1.34, in discovery's order of groups. Kinds that nothing in this
 * program acts upon (CSI drivers, flow schemas, ...) are here because manifests contain them: they are stored and served. */
#include "cluster/registry.h"

#include "cluster/hooks.h"
#include "cluster/kinds/kind_hooks.h"

#define END {0}
#define STATUS(kind) {"status", kind, NULL, NULL, VERBS_EDIT}
#define SCALE {"scale", "Scale", "autoscaling", "v1", VERBS_EDIT}

static const struct subresource pod_subs[] = {
        {"attach", "PodAttachOptions", NULL, NULL, VERB_CREATE | VERB_GET},
        {"binding", "Binding", NULL, NULL, VERB_CREATE},
        {"ephemeralcontainers", "Pod", NULL, NULL, VERBS_EDIT},
        {"eviction", "Eviction", "policy", "v1", VERB_CREATE},
        {"exec", "PodExecOptions", NULL, NULL, VERB_CREATE | VERB_GET},
        {"log", "Pod", NULL, NULL, VERB_GET},
        {"portforward", "PodPortForwardOptions", NULL, NULL, VERB_CREATE | VERB_GET},
        {"proxy", "PodProxyOptions", NULL, NULL, VERBS_PROXY},
        {"resize", "Pod", NULL, NULL, VERBS_EDIT},
        STATUS("Pod"),
        END,
};
static const struct subresource namespace_subs[] = {{"finalize", "Namespace", NULL, NULL, VERB_UPDATE}, STATUS("Namespace"), END};
static const struct subresource node_subs[] = {{"proxy", "NodeProxyOptions", NULL, NULL, VERBS_PROXY}, STATUS("Node"), END};
static const struct subresource service_subs[] = {{"proxy", "ServiceProxyOptions", NULL, NULL, VERBS_PROXY}, STATUS("Service"), END};
static const struct subresource sa_subs[] = {{"token", "TokenRequest", "authentication.k8s.io", "v1", VERB_CREATE}, END};
static const struct subresource csr_subs[] = {
        {"approval", "CertificateSigningRequest", NULL, NULL, VERBS_EDIT}, STATUS("CertificateSigningRequest"), END};
static const struct subresource pvc_subs[] = {STATUS("PersistentVolumeClaim"), END};
static const struct subresource pv_subs[] = {STATUS("PersistentVolume"), END};
static const struct subresource quota_subs[] = {STATUS("ResourceQuota"), END};
static const struct subresource apiservice_subs[] = {STATUS("APIService"), END};
static const struct subresource daemonset_subs[] = {STATUS("DaemonSet"), END};
static const struct subresource hpa_subs[] = {STATUS("HorizontalPodAutoscaler"), END};
static const struct subresource hpa_v1_subs[] = {STATUS("HorizontalPodAutoscaler"), END};
static const struct subresource cronjob_subs[] = {STATUS("CronJob"), END};
static const struct subresource job_subs[] = {STATUS("Job"), END};
static const struct subresource ingress_subs[] = {STATUS("Ingress"), END};
static const struct subresource servicecidr_subs[] = {STATUS("ServiceCIDR"), END};
static const struct subresource pdb_subs[] = {STATUS("PodDisruptionBudget"), END};
static const struct subresource volumeattachment_subs[] = {STATUS("VolumeAttachment"), END};
static const struct subresource vap_subs[] = {STATUS("ValidatingAdmissionPolicy"), END};
static const struct subresource crd_subs[] = {STATUS("CustomResourceDefinition"), END};
static const struct subresource resourceclaim_subs[] = {STATUS("ResourceClaim"), END};
static const struct subresource flowschema_subs[] = {STATUS("FlowSchema"), END};
static const struct subresource plc_subs[] = {STATUS("PriorityLevelConfiguration"), END};
static const struct subresource rc_subs[] = {SCALE, STATUS("ReplicationController"), END};
static const struct subresource deployment_subs[] = {SCALE, STATUS("Deployment"), END};
static const struct subresource replicaset_subs[] = {SCALE, STATUS("ReplicaSet"), END};
static const struct subresource statefulset_subs[] = {SCALE, STATUS("StatefulSet"), END};

#define SUBDOMAIN name_check_dns1123_subdomain

const struct kind_row kind_rows[] = {
        {"", "v1", "bindings", "binding", "Binding", NULL, NULL, KIND_VIRTUAL, VERB_CREATE, NULL, SUBDOMAIN, NULL},
        {"", "v1", "componentstatuses", "componentstatus", "ComponentStatus", "cs", NULL, KIND_CLUSTER | KIND_VIRTUAL, VERB_GET | VERB_LIST,
         NULL, SUBDOMAIN, NULL},
        {"", "v1", "configmaps", "configmap", "ConfigMap", "cm", NULL, 0, VERBS_ALL, NULL, SUBDOMAIN, &configmap_hooks},
        {"", "v1", "endpoints", "endpoints", "Endpoints", "ep", NULL, KIND_UPSERT, VERBS_ALL, NULL, SUBDOMAIN, &endpoints_hooks},
        {"", "v1", "events", "event", "Event", "ev", NULL, KIND_UPSERT | KIND_FREE_FINALIZERS, VERBS_ALL, NULL, name_check_path_segment,
         &event_hooks},
        {"", "v1", "limitranges", "limitrange", "LimitRange", "limits", NULL, KIND_UPSERT, VERBS_ALL, NULL, SUBDOMAIN, &limitrange_hooks},
        {"", "v1", "namespaces", "namespace", "Namespace", "ns", NULL, KIND_CLUSTER, VERBS_ALL & ~VERB_DELETECOLLECTION, namespace_subs,
         name_check_dns1123_label, &namespace_hooks},
        {"", "v1", "nodes", "node", "Node", "no", NULL, KIND_CLUSTER, VERBS_ALL, node_subs, SUBDOMAIN, &node_hooks},
        {"", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim", "pvc", NULL, KIND_RETURN_DELETED, VERBS_ALL,
         pvc_subs, SUBDOMAIN, &pvc_hooks},
        {"", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume", "pv", NULL, KIND_CLUSTER | KIND_RETURN_DELETED, VERBS_ALL,
         pv_subs, SUBDOMAIN, &pv_hooks},
        {"", "v1", "pods", "pod", "Pod", "po", "all", KIND_GENERATION | KIND_RETURN_DELETED | KIND_GRACEFUL, VERBS_ALL, pod_subs, SUBDOMAIN,
         &pod_hooks},
        {"", "v1", "podtemplates", "podtemplate", "PodTemplate", NULL, NULL, KIND_GENERATION | KIND_RETURN_DELETED, VERBS_ALL, NULL,
         SUBDOMAIN, &podtemplate_hooks},
        {"", "v1", "replicationcontrollers", "replicationcontroller", "ReplicationController", "rc", "all", KIND_GENERATION, VERBS_ALL,
         rc_subs, SUBDOMAIN, &rc_hooks},
        {"", "v1", "resourcequotas", "resourcequota", "ResourceQuota", "quota", NULL, KIND_RETURN_DELETED, VERBS_ALL, quota_subs, SUBDOMAIN,
         &quota_hooks},
        {"", "v1", "secrets", "secret", "Secret", NULL, NULL, 0, VERBS_ALL, NULL, SUBDOMAIN, &secret_hooks},
        {"", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", "sa", NULL, KIND_RETURN_DELETED, VERBS_ALL, sa_subs, SUBDOMAIN,
         NULL},
        {"", "v1", "services", "service", "Service", "svc", "all", KIND_RETURN_DELETED, VERBS_ALL, service_subs, name_check_dns1035_label,
         &service_hooks},
        {"apiregistration.k8s.io", "v1", "apiservices", "apiservice", "APIService", NULL, "api-extensions",
         KIND_CLUSTER | KIND_NEEDS_VERSION, VERBS_ALL, apiservice_subs, SUBDOMAIN, NULL},
        {"apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision", NULL, NULL, 0, VERBS_ALL, NULL, SUBDOMAIN, NULL},
        {"apps", "v1", "daemonsets", "daemonset", "DaemonSet", "ds", "all", KIND_GENERATION, VERBS_ALL, daemonset_subs, SUBDOMAIN,
         &daemonset_hooks},
        {"apps", "v1", "deployments", "deployment", "Deployment", "deploy", "all", KIND_GENERATION | KIND_GENERATION_META, VERBS_ALL,
         deployment_subs, SUBDOMAIN, &deployment_hooks},
        {"apps", "v1", "replicasets", "replicaset", "ReplicaSet", "rs", "all", KIND_GENERATION, VERBS_ALL, replicaset_subs, SUBDOMAIN,
         &replicaset_hooks},
        {"apps", "v1", "statefulsets", "statefulset", "StatefulSet", "sts", "all", KIND_GENERATION, VERBS_ALL, statefulset_subs,
         name_check_dns1123_label, &statefulset_hooks},
        {"events.k8s.io", "v1", "events", "event", "Event", "ev", NULL, KIND_UPSERT | KIND_FREE_FINALIZERS, VERBS_ALL, NULL,
         name_check_path_segment, &events_v1_hooks},
        {"authentication.k8s.io", "v1", "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview", NULL, NULL,
         KIND_CLUSTER | KIND_VIRTUAL, VERB_CREATE, NULL, SUBDOMAIN, NULL},
        {"authentication.k8s.io", "v1", "tokenreviews", "tokenreview", "TokenReview", NULL, NULL, KIND_CLUSTER | KIND_VIRTUAL, VERB_CREATE,
         NULL, SUBDOMAIN, NULL},
        {"authorization.k8s.io", "v1", "localsubjectaccessreviews", "localsubjectaccessreview", "LocalSubjectAccessReview", NULL, NULL,
         KIND_VIRTUAL, VERB_CREATE, NULL, SUBDOMAIN, NULL},
        {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview", NULL, NULL,
         KIND_CLUSTER | KIND_VIRTUAL, VERB_CREATE, NULL, SUBDOMAIN, NULL},
        {"authorization.k8s.io", "v1", "selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview", NULL, NULL,
         KIND_CLUSTER | KIND_VIRTUAL, VERB_CREATE, NULL, SUBDOMAIN, NULL},
        {"authorization.k8s.io", "v1", "subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview", NULL, NULL,
         KIND_CLUSTER | KIND_VIRTUAL, VERB_CREATE, NULL, SUBDOMAIN, NULL},
        {"autoscaling", "v2", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler", "hpa", "all", 0, VERBS_ALL,
         hpa_subs, SUBDOMAIN, &hpa_hooks},
        {"autoscaling", "v1", "horizontalpodautoscalers", "horizontalpodautoscaler", "HorizontalPodAutoscaler", "hpa", "all",
         KIND_NOT_STORAGE, VERBS_ALL, hpa_v1_subs, SUBDOMAIN, &hpa_v1_hooks},
        {"batch", "v1", "cronjobs", "cronjob", "CronJob", "cj", "all", KIND_GENERATION, VERBS_ALL, cronjob_subs, SUBDOMAIN, &cronjob_hooks},
        {"batch", "v1", "jobs", "job", "Job", NULL, "all", KIND_GENERATION, VERBS_ALL, job_subs, SUBDOMAIN, &job_hooks},
        {"certificates.k8s.io", "v1", "certificatesigningrequests", "certificatesigningrequest", "CertificateSigningRequest", "csr", NULL,
         KIND_CLUSTER, VERBS_ALL, csr_subs, SUBDOMAIN, &csr_hooks},
        {"networking.k8s.io", "v1", "ingressclasses", "ingressclass", "IngressClass", NULL, NULL, KIND_CLUSTER | KIND_GENERATION, VERBS_ALL,
         NULL, SUBDOMAIN, &ingressclass_hooks},
        {"networking.k8s.io", "v1", "ingresses", "ingress", "Ingress", "ing", NULL, KIND_GENERATION, VERBS_ALL, ingress_subs, SUBDOMAIN,
         &ingress_hooks},
        {"networking.k8s.io", "v1", "ipaddresses", "ipaddress", "IPAddress", "ip", NULL, KIND_CLUSTER | KIND_GENERATION, VERBS_ALL, NULL,
         SUBDOMAIN, NULL},
        {"networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", "netpol", NULL, KIND_GENERATION, VERBS_ALL, NULL,
         SUBDOMAIN, &networkpolicy_hooks},
        {"networking.k8s.io", "v1", "servicecidrs", "servicecidr", "ServiceCIDR", NULL, NULL, KIND_CLUSTER | KIND_GENERATION, VERBS_ALL,
         servicecidr_subs, SUBDOMAIN, NULL},
        {"policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget", "pdb", NULL,
         KIND_GENERATION | KIND_NEEDS_VERSION | KIND_FREE_FINALIZERS, VERBS_ALL, pdb_subs, name_check_path_segment, &pdb_hooks},
        {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding", NULL, NULL, KIND_CLUSTER,
         VERBS_ALL, NULL, name_check_path_segment, &rolebinding_hooks},
        {"rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole", NULL, NULL, KIND_CLUSTER, VERBS_ALL, NULL,
         name_check_path_segment, &role_hooks},
        {"rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding", NULL, NULL, 0, VERBS_ALL, NULL,
         name_check_path_segment, &rolebinding_hooks},
        {"rbac.authorization.k8s.io", "v1", "roles", "role", "Role", NULL, NULL, 0, VERBS_ALL, NULL, name_check_path_segment, &role_hooks},
        {"storage.k8s.io", "v1", "csidrivers", "csidriver", "CSIDriver", NULL, NULL, KIND_CLUSTER | KIND_GENERATION, VERBS_ALL, NULL,
         SUBDOMAIN, NULL},
        {"storage.k8s.io", "v1", "csinodes", "csinode", "CSINode", NULL, NULL, KIND_CLUSTER, VERBS_ALL, NULL, SUBDOMAIN, NULL},
        {"storage.k8s.io", "v1", "csistoragecapacities", "csistoragecapacity", "CSIStorageCapacity", NULL, NULL, 0, VERBS_ALL, NULL,
         SUBDOMAIN, NULL},
        {"storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass", "sc", NULL, KIND_CLUSTER, VERBS_ALL, NULL, SUBDOMAIN,
         &storageclass_hooks},
        {"storage.k8s.io", "v1", "volumeattachments", "volumeattachment", "VolumeAttachment", NULL, NULL, KIND_CLUSTER, VERBS_ALL,
         volumeattachment_subs, SUBDOMAIN, NULL},
        {"storage.k8s.io", "v1", "volumeattributesclasses", "volumeattributesclass", "VolumeAttributesClass", "vac", NULL, KIND_CLUSTER,
         VERBS_ALL, NULL, SUBDOMAIN, NULL},
        {"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "mutatingwebhookconfiguration",
         "MutatingWebhookConfiguration", NULL, "api-extensions", KIND_CLUSTER | KIND_GENERATION | KIND_NEEDS_VERSION | KIND_FREE_FINALIZERS,
         VERBS_ALL, NULL, SUBDOMAIN, &mutating_webhook_hooks},
        {"admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "validatingadmissionpolicy", "ValidatingAdmissionPolicy",
         NULL, "api-extensions", KIND_CLUSTER | KIND_GENERATION, VERBS_ALL, vap_subs, SUBDOMAIN, NULL},
        {"admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "validatingadmissionpolicybinding",
         "ValidatingAdmissionPolicyBinding", NULL, "api-extensions", KIND_CLUSTER | KIND_GENERATION, VERBS_ALL, NULL, SUBDOMAIN, NULL},
        {"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "validatingwebhookconfiguration",
         "ValidatingWebhookConfiguration", NULL, "api-extensions",
         KIND_CLUSTER | KIND_GENERATION | KIND_NEEDS_VERSION | KIND_FREE_FINALIZERS, VERBS_ALL, NULL, SUBDOMAIN, &validating_webhook_hooks},
        {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition", "crd crds",
         "api-extensions", KIND_CLUSTER | KIND_GENERATION | KIND_NEEDS_VERSION | KIND_RETURN_DELETED | KIND_FREE_FINALIZERS, VERBS_ALL,
         crd_subs, SUBDOMAIN, &crd_hooks},
        {"scheduling.k8s.io", "v1", "priorityclasses", "priorityclass", "PriorityClass", "pc", NULL,
         KIND_CLUSTER | KIND_GENERATION | KIND_GENERATION_FIXED, VERBS_ALL, NULL, SUBDOMAIN, &priorityclass_hooks},
        {"coordination.k8s.io", "v1", "leases", "lease", "Lease", NULL, NULL, KIND_UPSERT | KIND_NEEDS_VERSION | KIND_FREE_FINALIZERS,
         VERBS_ALL, NULL, SUBDOMAIN, &lease_hooks},
        {"node.k8s.io", "v1", "runtimeclasses", "runtimeclass", "RuntimeClass", NULL, NULL, KIND_CLUSTER, VERBS_ALL, NULL, SUBDOMAIN, NULL},
        {"discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", NULL, NULL, KIND_GENERATION | KIND_GENERATION_LABELS,
         VERBS_ALL, NULL, SUBDOMAIN, &endpointslice_hooks},
        {"resource.k8s.io", "v1", "deviceclasses", "deviceclass", "DeviceClass", NULL, NULL, KIND_CLUSTER | KIND_GENERATION, VERBS_ALL,
         NULL, SUBDOMAIN, NULL},
        {"resource.k8s.io", "v1", "resourceclaims", "resourceclaim", "ResourceClaim", NULL, NULL, 0, VERBS_ALL, resourceclaim_subs,
         SUBDOMAIN, NULL},
        {"resource.k8s.io", "v1", "resourceclaimtemplates", "resourceclaimtemplate", "ResourceClaimTemplate", NULL, NULL, 0, VERBS_ALL,
         NULL, SUBDOMAIN, NULL},
        {"resource.k8s.io", "v1", "resourceslices", "resourceslice", "ResourceSlice", NULL, NULL, KIND_CLUSTER | KIND_GENERATION, VERBS_ALL,
         NULL, SUBDOMAIN, NULL},
        {"flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "flowschema", "FlowSchema", NULL, NULL, KIND_CLUSTER | KIND_GENERATION,
         VERBS_ALL, flowschema_subs, SUBDOMAIN, NULL},
        {"flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", "prioritylevelconfiguration", "PriorityLevelConfiguration",
         NULL, NULL, KIND_CLUSTER | KIND_GENERATION, VERBS_ALL, plc_subs, SUBDOMAIN, NULL},
};
const size_t kind_rows_len = ARRAY_LEN(kind_rows);
