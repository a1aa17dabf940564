/* The verbs of the Kubernetes API: requests for kube/client.h, and blocking calls for commands.
 *
 * kube_make_*() fill a request (for kube_call_start); the functions without `make` send it and run the loop until the
 * answer is there. `ret` may be NULL where the answer does not matter. */
#ifndef FIRESTEEL_KUBE_VERBS_H
#define FIRESTEEL_KUBE_VERBS_H

#include "kube/client.h"

struct kube_resource {
        const char *group, *version, *plural, *kind;
        bool is_cluster_scoped;
};
extern const struct kube_resource KUBE_PODS, KUBE_SERVICES, KUBE_CONFIG_MAPS, KUBE_SECRETS, KUBE_PVCS, KUBE_EVENTS, KUBE_NAMESPACES,
        KUBE_NODES, KUBE_SERVICE_ACCOUNTS, KUBE_ROLES, KUBE_ROLE_BINDINGS, KUBE_LEASES, KUBE_DEPLOYMENTS, KUBE_STATEFUL_SETS;
/* The entry for an object's apiVersion and kind among those above; NULL when it is none of them. */
const struct kube_resource *kube_resource_of(const char *api_version, const char *kind);

/* namespace_ NULL = all namespaces (or a cluster-scoped resource); name and subresource may be NULL. Caller frees. */
char *kube_path(const struct kube_resource *r, const char *namespace_, const char *name, const char *subresource);

struct kube_list_options {
        const char *label_selector, *field_selector;
        int limit; /* of one page; 0 = 500, -1 = no paging */
};
struct kube_delete_options {
        const char *propagation; /* Background, Foreground, Orphan; NULL = Background */
        int64_t grace_seconds;   /* < 0: the object's own */
        const char *uid;         /* only that one; NULL = any */
        const char *label_selector, *field_selector; /* of collections */
};
#define KUBE_DELETE_OPTIONS ((struct kube_delete_options){.grace_seconds = -1})
enum kube_patch_type { KUBE_PATCH_JSON, KUBE_PATCH_MERGE, KUBE_PATCH_STRATEGIC, KUBE_PATCH_APPLY };

void kube_make_get(const struct kube_resource *r, const char *namespace_, const char *name, struct kube_request *ret);
void kube_make_list(const struct kube_resource *r, const char *namespace_, const struct kube_list_options *o, const char *continue_,
                    struct kube_request *ret);
void kube_make_create(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, struct sv body,
                      struct kube_request *ret);
void kube_make_update(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                      const char *subresource, struct sv body, struct kube_request *ret);
/* `force` takes over fields in conflict (KUBE_PATCH_APPLY only). */
void kube_make_patch(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                     const char *subresource, enum kube_patch_type type, struct sv body, bool force, struct kube_request *ret);
/* name NULL: the collection, by the options' selectors. */
void kube_make_delete(const struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                      const struct kube_delete_options *o, struct kube_request *ret);

MUST_USE int kube_get(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name, yyjson_doc **ret,
                      struct err *err);
/* All pages in one List document. When the pages expire under way (410) the list begins anew, in one piece. */
MUST_USE int kube_list(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const struct kube_list_options *o,
                       yyjson_doc **ret, struct err *err);
MUST_USE int kube_create(struct kube_client *c, const struct kube_resource *r, const char *namespace_, yyjson_mut_val *object,
                         yyjson_doc **ret, struct err *err);
MUST_USE int kube_update(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                         yyjson_mut_val *object, yyjson_doc **ret, struct err *err);
MUST_USE int kube_patch(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                        const char *subresource, enum kube_patch_type type, struct sv body, yyjson_doc **ret, struct err *err);
/* Server-side apply, forced. */
MUST_USE int kube_apply(struct kube_client *c, const struct kube_resource *r, const char *namespace_, yyjson_mut_val *object,
                        yyjson_doc **ret, struct err *err);
MUST_USE int kube_delete(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name,
                         const struct kube_delete_options *o, yyjson_doc **ret, struct err *err);
MUST_USE int kube_delete_collection(struct kube_client *c, const struct kube_resource *r, const char *namespace_,
                                    const struct kube_delete_options *o, struct err *err);

/* Asynchronous paged listing, for the informer: done once, with a List document of which it takes ownership. */
struct kube_listing;
struct kube_listing *kube_list_start(struct kube_client *c, const struct kube_resource *r, const char *namespace_,
                                     const struct kube_list_options *o, void (*done)(void *arg, yyjson_doc *list, const struct err *err),
                                     void *arg);
void kube_list_cancel(struct kube_listing *listing);

#endif
