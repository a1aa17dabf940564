/* The controllers of the embedded cluster: what a controller manager runs beside the API server, in the same process.
 *
 *     struct controllers *c = controllers_new(apiserver, &(struct controllers_options){.volumes_dir = "..."});
 *
 * One const table (controllers/controllers.c) names them all; each is one file that watches, reconciles by key and writes through api.h.
 * Reads see what was applied to memory at once, so a controller never acts on a stale cache of its own. Loop thread only.
 * Life cycle: made after apiserver_new(), freed before apiserver_free(). */
#ifndef FIRESTEEL_CLUSTER_CONTROLLERS_H
#define FIRESTEEL_CLUSTER_CONTROLLERS_H

#include "base/err.h"

struct apiserver;
struct controllers;

struct controllers_options {
        const char *volumes_dir; /* where volumes of claims are made, one directory each; NULL: claims stay Pending */
        int64_t event_ttl_ms;    /* how long events are kept; 0: an hour */
        const char *only;        /* one controller's name, for tests; NULL = all */
};

struct controllers *controllers_new(struct apiserver *server, const struct controllers_options *o);
void controllers_free(struct controllers *c);
DEFINE_AUTO_PTR(controllers, struct controllers, controllers_free)

/* The scheduler: gives pods with schedulerName default-scheduler a node (scheduler.c). */
struct scheduler;
struct scheduler *scheduler_new(struct apiserver *server);
void scheduler_free(struct scheduler *s);
DEFINE_AUTO_PTR(scheduler, struct scheduler, scheduler_free)

#endif
