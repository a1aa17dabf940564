/* The objects that let a Spark driver run its executors in a namespace, and a user submit to it: ServiceAccount, Roles and their
 * bindings, with the verbs that Spark's requests need and no others. Pure.
 *
 * The verbs follow the requests that drivers of Spark 3.5 and 4.1 make. */
#ifndef FIRESTEEL_SUBMIT_RBAC_H
#define FIRESTEEL_SUBMIT_RBAC_H

#include "codec/json.h"

struct rbac_options {
        const char *namespace_;
        const char *service_account;    /* of the drivers */
        bool create_namespace;
        bool stateful_sets;             /* spark.kubernetes.allocation.pods.allocator=statefulset */
        bool no_pvcs;                   /* no volumes on demand: leave PersistentVolumeClaims out */
        const char *submitter; /* user, group:NAME or serviceaccount:[NAMESPACE:]NAME that may submit, watch and kill; NULL = none */
        bool client_mode;               /* the submitter also runs drivers on machines outside the cluster */
};

/* A v1 List; the caller frees the document. -EINVAL for a submitter or name that cannot be, or for client_mode without a submitter. */
MUST_USE int rbac_objects(const struct rbac_options *o, yyjson_mut_doc **ret, struct err *err);

#endif
