/* Authorization: RBAC over the Roles and bindings in memory, as the real authorizer evaluates them. */
#ifndef FIRESTEEL_CLUSTER_RBAC_H
#define FIRESTEEL_CLUSTER_RBAC_H

#include "cluster/server-internal.h"

struct access {
        const char *verb;
        const char *group, *resource, *subresource; /* subresource NULL: the main one */
        const char *ns;                             /* "" at the cluster scope */
        const char *name;                           /* "" when the request names none */
        const char *path;                           /* set: a non-resource request; the rest is ignored */
};

bool rbac_allows(struct apiserver *s, const struct user *user, const struct access *access);
/* The same, with the reason as the real authorizer words it: which binding allowed it, or which roles were not found. NULL: none. The
 * caller frees. */
bool rbac_explain(struct apiserver *s, const struct user *user, const struct access *access, char **ret_reason);
/* 0, or -EACCES with the real server's 403. */
MUST_USE int rbac_check(struct apiserver *s, const struct user *user, const struct access *access, struct err *err);
/* All rules that apply to the user in the namespace ("" : cluster-wide bindings only). */
void rbac_each_rule(struct apiserver *s, const struct user *user, const char *ns, void (*fn)(void *arg, yyjson_val *rule), void *arg);
/* The default cluster roles and bindings, and the controller of aggregated roles. */
MUST_USE int rbac_bootstrap(struct apiserver *s, struct err *err);
/* Makes the rules of roles with an aggregationRule what their selectors say. */
void rbac_aggregate(struct apiserver *s);

#endif
