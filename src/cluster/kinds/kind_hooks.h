/* The hooks of built-in kinds, for the rows of kinds.c. */
#ifndef FIRESTEEL_CLUSTER_KINDS_KIND_HOOKS_H
#define FIRESTEEL_CLUSTER_KINDS_KIND_HOOKS_H

#include "cluster/hooks.h"

extern const struct kind_hooks endpoints_hooks, endpointslice_hooks, ingress_hooks, ingressclass_hooks, lease_hooks, pdb_hooks;
extern const struct kind_hooks configmap_hooks, crd_hooks, cronjob_hooks, csr_hooks, daemonset_hooks, deployment_hooks, event_hooks,
        events_v1_hooks, hpa_hooks, hpa_v1_hooks, job_hooks, limitrange_hooks, namespace_hooks, networkpolicy_hooks, node_hooks, pod_hooks,
        podtemplate_hooks, priorityclass_hooks, pv_hooks, pvc_hooks, quota_hooks, rc_hooks, mutating_webhook_hooks, replicaset_hooks,
        role_hooks, rolebinding_hooks, secret_hooks, service_hooks, statefulset_hooks, storageclass_hooks, validating_webhook_hooks;

#endif
