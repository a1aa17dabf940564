/* What every cluster has from the beginning: namespaces, priority classes, default roles, the Service `kubernetes`; and what
 * every namespace gets: the service account `default` and the ConfigMap kube-root-ca.crt. */
#ifndef FIRESTEEL_CLUSTER_BOOTSTRAP_H
#define FIRESTEEL_CLUSTER_BOOTSTRAP_H

#include "cluster/server-internal.h"

/* Creates what is missing; what is there is left alone. */
MUST_USE int bootstrap(struct apiserver *s, struct err *err);

/* The controller for the namespaces' share. */
struct accounts;
struct accounts *accounts_new(struct apiserver *s);
void accounts_free(struct accounts *a);

#endif
