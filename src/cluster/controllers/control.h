/* What controllers are made of: a table row each, and a queue of keys that are reconciled one by one.
 *
 * A queue remembers each key once. reconcile() returns 0 when all is as it should be, a positive number to be called again after that many
 * milliseconds, or a negative errno to be tried again with growing delays (a Conflict at once). */
#ifndef FIRESTEEL_CLUSTER_CONTROL_H
#define FIRESTEEL_CLUSTER_CONTROL_H

#include "base/clock.h"
#include "base/vec.h"
#include "cluster/api.h"
#include "cluster/controllers.h"
#include "codec/ktime.h"
#include "kobj/meta.h"

struct control {
        struct apiserver *server;
        struct api *api;
        const struct controllers_options *options;
        const struct controller *row;
        void *state; /* what start() returned */
};

struct controller {
        const char *name;      /* of the controller, for tests and logs */
        const char *component; /* field manager and source of events */
        void *(*start)(struct control *c);
        void (*stop)(void *state);
};

extern const struct controller controller_cronjob, controller_daemonset, controller_deployment, controller_disruption, controller_endpoints,
        controller_eventttl, controller_garbage, controller_job, controller_namespace, controller_podgc, controller_quota,
        controller_replicaset, controller_replication, controller_statefulset, controller_volumes;

struct queue;
typedef int queue_fn(void *arg, const char *ns, const char *name, struct err *err);
struct queue *queue_new(struct api *api, const char *what, queue_fn *reconcile, void *arg);
void queue_free(struct queue *q);
void queue_add(struct queue *q, const char *ns, const char *name);
/* Not before delay_ms; an earlier appointment stays. */
void queue_add_after(struct queue *q, const char *ns, const char *name, int64_t delay_ms);
static inline void queue_add_object(struct queue *q, const struct object *o) { queue_add(q, o->namespace, o->name); }
/* Adds the controller of the object when it is of this kind. */
void queue_add_controller(struct queue *q, const struct object *o, const char *kind);
/* For watches: queue_on_object adds the object itself. `arg` is the queue. */
void queue_on_object(void *arg, const struct api_event *e);

/* ---- pods (pods.c) ---- */

bool pod_is_finished(yyjson_val *pod); /* Succeeded or Failed */
bool pod_is_ready(yyjson_val *pod);
/* Ready for at least so long; *ret_wait_ms (may be NULL) is when it will be, 0 when that is not a matter of time. */
bool pod_is_available(yyjson_val *pod, int64_t min_ready_s, int64_t now_ms, int64_t *ret_wait_ms);
static inline bool pod_is_active(yyjson_val *pod) { return !pod_is_finished(pod) && !meta_is_deleting(pod); }
/* The pods of the namespace that `owner` controls; orphans that match the selector are adopted, what no longer matches is let go.
 * selector_text may be NULL: no adoption. */
MUST_USE int pods_of(struct control *c, const struct object *owner, yyjson_val *label_selector, struct object_list *ret, struct err *err);
/* A pod document made from a template, controlled by `owner`; its root is the pod. generate_name or name, the other NULL. */
yyjson_mut_doc *pod_from_template(yyjson_val *template, yyjson_val *owner, const char *generate_name, const char *name);
/* Creates it, with the events SuccessfulCreate or FailedCreate about the owner. */
MUST_USE int pod_create(struct control *c, const struct object *owner, yyjson_mut_doc *pod, struct object **ret, struct err *err);
/* Deletes it, with the event SuccessfulDelete; 404 is success. */
MUST_USE int pod_delete(struct control *c, const struct object *owner, const struct object *pod, struct err *err);

/* ---- reading ---- */

/* Milliseconds since 1970 of a member that holds a time; 0 when it is absent (NULL) or none. */
static inline int64_t time_of(const char *text) {
        int64_t us;
        return text && ktime_parse(sv_of(text), &us) ? us / 1000 : 0;
}

/* ---- writing ---- */

/* Writes the status of the edited object when it or an annotation differs from what is stored. 1 when it was written. */
MUST_USE int write_status(struct control *c, const char *resource, const struct object *old, yyjson_mut_val *edited, struct err *err);
/* int-or-string against a total, as deployments and budgets have it. */
int64_t scaled_value(yyjson_val *v, int64_t total, bool round_up, int64_t otherwise);
/* A short hash of a value, independent of the order of keys, in Kubernetes' safe alphabet. */
void template_hash(yyjson_val *template, int64_t collisions, char ret[16]);
/* A condition with lastUpdateTime, as deployments have them. */
void set_timed_condition(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *type, const char *status, const char *reason,
                         const char *message, int64_t now_ms);

#endif
