/* A cache of one kind of object that follows the server: list, then watch, list again when the watch has lost its place.
 *
 * Objects are immutable documents owned by the cache, valid during a callback and until the loop turns again; who keeps
 * one longer copies it. Callbacks tell changes against the cache: after a relist what vanished unseen is reported deleted, what
 * did not change is not reported. on_sync is called after the first complete list was delivered as additions. */
#ifndef FIRESTEEL_KUBE_INFORMER_H
#define FIRESTEEL_KUBE_INFORMER_H

#include "base/map.h"
#include "kube/watch.h"

struct informer_options {
        const struct kube_resource *resource;
        const char *namespace_; /* NULL = all */
        const char *label_selector, *field_selector;
        void (*on_add)(void *arg, yyjson_val *object);
        void (*on_update)(void *arg, yyjson_val *before, yyjson_val *object);
        void (*on_delete)(void *arg, yyjson_val *last); /* the last state seen */
        void (*on_sync)(void *arg);
        /* The server refuses (403, 404 ...); the informer goes on trying with back-off until it is freed. */
        void (*on_error)(void *arg, const struct err *err);
        void *arg; /* every callback may be NULL */
};
struct informer;
struct informer *informer_start(struct kube_client *c, const struct informer_options *o);
void informer_free(struct informer *i); /* not from its callbacks */
DEFINE_AUTO_PTR(informer, struct informer, informer_free)
bool informer_has_synced(const struct informer *i);
size_t informer_len(const struct informer *i);
/* namespace_ NULL for cluster-scoped objects; NULL when absent. */
yyjson_val *informer_get(const struct informer *i, const char *namespace_, const char *name);
/* In the order of arrival; false from the callback stops. */
void informer_each(const struct informer *i, bool (*fn)(void *arg, yyjson_val *object), void *arg);

#endif
