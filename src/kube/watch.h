/* A watch that stays up: it resumes where it was after the server or the network ended it.
 *
 * Events come in order, each object once per change. Bookmarks move the resume point and are not shown. When the resume
 * point is too old (410) on_expired is called and the watch stands still until kube_watch_resume() gives it another: the
 * informer lists again. Reconnects back off exponentially with jitter. Only answers that another try cannot cure (401 after
 * renewal, 403, 404, 400, 405, 422) end it, by on_error. */
#ifndef FIRESTEEL_KUBE_WATCH_H
#define FIRESTEEL_KUBE_WATCH_H

#include "kube/verbs.h"

enum { KUBE_WATCH_MAX_EVENT = 16 * 1024 * 1024 };

enum kube_event_type { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED };

struct kube_watch_options {
        const struct kube_resource *resource; /* borrowed for the watch's life */
        const char *namespace_;               /* NULL = all */
        const char *label_selector, *field_selector;
        const char *resource_version; /* NULL: begins with ADDED of everything there is */
        bool websocket;               /* as Spark's client does; falls back to a plain stream when refused */
        bool no_timeout;              /* do not send timeoutSeconds (Spark's form of the request) */
        void (*on_event)(void *arg, enum kube_event_type type, yyjson_val *object);
        void (*on_expired)(void *arg); /* NULL: begins anew without a resource version */
        void (*on_error)(void *arg, const struct err *err);
        void (*on_connection)(void *arg, bool is_up, const struct err *why); /* may be NULL: for displays */
        void *arg;
};
struct kube_watch;
struct kube_watch *kube_watch_start(struct kube_client *c, const struct kube_watch_options *o);
void kube_watch_resume(struct kube_watch *w, const char *resource_version);
/* Also allowed in its callbacks. */
void kube_watch_free(struct kube_watch *w);
DEFINE_AUTO_PTR(kube_watch, struct kube_watch, kube_watch_free)

#endif
