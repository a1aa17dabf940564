/* A round of the Job controller: what job.c finds out about a Job and job_pods.c makes and deletes pods by. */
#ifndef FIRESTEEL_CLUSTER_JOB_ROUND_H
#define FIRESTEEL_CLUSTER_JOB_ROUND_H

#include "base/map.h"
#include "cluster/controllers/control.h"
#include "cluster/controllers/index_set.h"

/* The failures of a Job since its last success, which say how long to wait before the next pod. Lost when the server ends, as with the real
 * one. */
struct backoff {
        char *uid;
        int64_t failures, last_ms;
};

struct jobs {
        struct control *c;
        struct queue *queue;
        struct map backoffs; /* "ns/name" -> struct backoff */
};

enum verdict { GOES_ON, HAS_WON, HAS_LOST };

struct round {
        struct jobs *s;
        struct control *c;
        struct object *job;
        yyjson_val *spec;
        struct object_list pods; /* as they were when the round began */
        yyjson_mut_doc *doc;     /* the job being edited */
        yyjson_mut_val *root, *status;
        int64_t now_ms, completions, parallelism; /* completions -1: none stated */
        int64_t active, ready, terminating;
        int64_t succeeded, failed;        /* with those that are not counted in the status yet */
        struct strv won_uids, lost_uids;  /* in the status, to be counted when they are released */
        struct index_set done, broken;    /* indexes */
        struct object_list held;          /* the last failed pod of each index: its successor needs its annotations */
        struct object_list to_release;
        struct backoff backoff;
        int64_t wait_ms; /* 0: nothing is a matter of time */
        enum verdict verdict;
        char *reason, *message; /* of the verdict */
        bool indexed, per_index, failed_only, suspended, deleting, is_partial;
};

static inline int64_t smaller_int(int64_t a, int64_t b) { return a < b ? a : b; }
/* Another round is due in so many milliseconds at the latest. */
static inline void round_wait(struct round *r, int64_t ms) { r->wait_ms = r->wait_ms ? smaller_int(r->wait_ms, ms) : ms; }
/* An indexed Job counts only pods with an index of its own. */
bool round_counts(const struct round *r, const struct object *pod);
/* The failed pod that the next pod of the index replaces, NULL when it is the first. */
struct object *round_held_pod(const struct round *r, int64_t index);

/* Has the pod the finalizer that keeps it until it is counted? */
bool job_pod_is_tracked(const struct object *pod);
/* Takes the finalizer away. */
MUST_USE int job_release_pod(struct control *c, const struct object *pod, struct err *err);
/* Makes the pods that are missing, or deletes those that are too many; sets wait_ms when it is too early. */
MUST_USE int round_work(struct round *r, struct err *err);
/* Deletes all active pods; `counted`: they keep their finalizer until they are counted. */
MUST_USE int round_end_active(struct round *r, bool counted, struct err *err);

#endif
