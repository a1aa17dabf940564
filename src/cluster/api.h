/* The in-process Kubernetes API: what controllers, the scheduler and the pod runtime talk to.
 *
 * The same defaulting, validation and admission as over HTTP, without serialisation and without authentication: a
 * component is trusted. Loop thread only.
 *
 * Time line of a write: the call checks it, applies it to memory and returns (with the new object); a worker makes it
 * durable together with others; then watch callbacks and HTTP answers that depend on it are released, in the order
 * of resource versions. api_get(), api_peek() and api_list() see what was applied at once; watch callbacks see only what is durable.
 * So: act on the world (start a process, dial somebody) from watch callbacks, never from the return of a write.
 *
 * Resources are named as `kubectl api-resources` does with the group: "pods", "deployments.apps", "leases.coordination.k8s.io",
 * "sparkapplications.sparkoperator.k8s.io" (the storage version). An unknown one is an error 404.
 * Errors carry http_status and reason as the HTTP API would have answered: 404 NotFound, 409 AlreadyExists or Conflict,
 * 422 Invalid, 403 Forbidden, 507 when the disk is full.
 */
#ifndef FIRESTEEL_CLUSTER_API_H
#define FIRESTEEL_CLUSTER_API_H

#include "cluster/object.h"
#include "event/loop.h"

struct apiserver; /* cluster/apiserver.h */
struct api;

/* A component's handle. `component` is its field manager and the source of its events ("kubelet", "default-scheduler"). */
struct api *api_new(struct apiserver *server, const char *component);
/* Stops its watches. */
void api_free(struct api *a);
DEFINE_AUTO_PTR(api, struct api, api_free)
struct loop *api_loop(struct api *a);

/* A new reference; 404 when absent. ns is "" or NULL for cluster-scoped kinds. */
MUST_USE int api_get(struct api *a, const char *resource, const char *ns, const char *name, struct object **ret, struct err *err);
/* Borrowed until the next write, NULL when absent. */
struct object *api_peek(struct api *a, const char *resource, const char *ns, const char *name);
/* ns NULL: all namespaces. Selectors may be NULL. Ordered by namespace, name. Returns the count. */
MUST_USE int api_list(struct api *a, const char *resource, const char *ns, const char *label_selector, const char *field_selector,
                      struct object_list *ret, struct err *err);

/* `ret` may be NULL in all of these. The document is borrowed and not changed. */
MUST_USE int api_create(struct api *a, const char *resource, const char *ns, yyjson_mut_val *object, struct object **ret, struct err *err);
/* Replaces; when metadata.resourceVersion is set it must be the current one (409 Conflict otherwise). */
MUST_USE int api_update(struct api *a, const char *resource, yyjson_mut_val *object, struct object **ret, struct err *err);
MUST_USE int api_update_status(struct api *a, const char *resource, yyjson_mut_val *object, struct object **ret, struct err *err);
enum api_patch { API_PATCH_MERGE, API_PATCH_JSON, API_PATCH_STRATEGIC, API_PATCH_APPLY /* forced */ };
/* subresource: NULL, "status", "scale" (the patch is of the object, not of a Scale), "finalize" (namespaces: spec.finalizers). A patch that
 * changes nothing writes nothing. */
MUST_USE int api_patch(struct api *a, const char *resource, const char *ns, const char *name, const char *subresource, enum api_patch type,
                       struct sv patch, struct object **ret, struct err *err);
MUST_USE int api_patchf(struct api *a, const char *resource, const char *ns, const char *name, const char *subresource, struct err *err,
                        const char *merge_patch_fmt, ...) PRINTF(7, 8);

/* What the scheduler does: the pod gets its node and the condition PodScheduled. 409 when it has one already. */
MUST_USE int api_bind(struct api *a, const char *ns, const char *pod, const char *node, struct err *err);

struct api_delete_options {
        int64_t grace_s;              /* -1: the object's default; pods only */
        const char *propagation;      /* "Background", "Foreground", "Orphan"; NULL = the kind's default */
        const char *uid;              /* precondition, or NULL */
        const char *resource_version; /* precondition, or NULL */
};
#define API_DELETE_DEFAULT ((struct api_delete_options){.grace_s = -1})
#define API_DELETE_NOW ((struct api_delete_options){.grace_s = 0})
/* 404 is an error like others. Options may be NULL. A pod with a node first gets a deletionTimestamp; the pod runtime
 * ends it and deletes it again with API_DELETE_NOW. */
MUST_USE int api_delete(struct api *a, const char *resource, const char *ns, const char *name, const struct api_delete_options *o,
                        struct err *err);

/* Watches. The state at the start arrives as ADDED events followed by one SYNCED, from the loop and never inside
 * api_watch_start(); then changes in the order of resource versions, each exactly once. With selectors an object that begins to match
 * is ADDED, one that ceases to match DELETED. */
enum api_event_type { API_ADDED, API_MODIFIED, API_DELETED, API_SYNCED };
struct api_event {
        enum api_event_type type;
        struct object *object; /* DELETED: the last state; SYNCED: NULL. Borrowed; object_ref() keeps it */
        struct object *old;    /* MODIFIED: the state before; else NULL */
};
typedef void (*api_watch_fn)(void *arg, const struct api_event *event);
struct api_watch;
/* An unknown resource is watched from the moment a CustomResourceDefinition brings it. ns NULL: all. */
struct api_watch *api_watch_start(struct api *a, const char *resource, const char *ns, const char *label_selector,
                                  const char *field_selector, api_watch_fn fn, void *arg);
/* No callback after it; may be called from a callback. */
void api_watch_stop(struct api_watch *w);

/* Records an Event about an object (core/v1, counted up when the same was said before). Failures are only logged at debug
 * level: events are best effort, as in the real system. type: "Normal" or "Warning". */
void api_event(struct api *a, const struct object *about, const char *type, const char *reason, const char *fmt, ...) PRINTF(5, 6);
/* The same with involvedObject.fieldPath ("spec.containers{driver}"). */
void api_event_at(struct api *a, const struct object *about, const char *field_path, const char *type, const char *reason, const char *fmt,
                  ...) PRINTF(6, 7);

/* A token for a service account, as a TokenRequest makes it. pod_name/pod_uid bind it and may be NULL. audience NULL = the API server's. */
MUST_USE int api_issue_token(struct api *a, const char *ns, const char *service_account, const char *audience, int64_t lifetime_s,
                             const char *pod_name, const char *pod_uid, char **ret_token, int64_t *ret_expires_s, struct err *err);

#endif
