/* Events are forgotten an hour after they were last told (kube-apiserver, --event-ttl): a cluster that runs for weeks does not grow by
 * them. */
#include <stdlib.h>

#include "base/log.h"
#include "cluster/controllers/control.h"

enum { TTL_MS = 3600 * 1000, LOOKS = 60 /* in that time */ };

struct eventttl {
        struct control *c;
        struct timer *timer;
        int64_t ttl_ms;
};

static bool is_told_since(const struct object *o, int64_t ms) {
        return o->created_ms > ms || time_of(object_str(o, "/lastTimestamp")) > ms || time_of(object_str(o, "/eventTime")) > ms ||
               time_of(object_str(o, "/series/lastObservedTime")) > ms;
}

static void look(void *arg) {
        struct eventttl *s = arg;
        AUTO(object_list) struct object_list events = {0};
        int64_t forgotten_ms = clock_now_ms() - s->ttl_ms;
        if (api_list(s->c->api, "events", NULL, NULL, NULL, &events, NULL) < 0)
                return;
        vec_foreach(e, &events) {
                const struct object *o = *e;
                struct api_delete_options options = API_DELETE_DEFAULT;
                AUTO(err) struct err err = ERR_INIT;
                if (is_told_since(o, forgotten_ms))
                        continue;
                options.uid = o->uid;
                if (api_delete(s->c->api, "events", o->namespace, o->name, &options, &err) < 0 && err.http_status != 404)
                        log_debug("forgetting event %s/%s: %s", o->namespace, o->name, err_message(&err));
        }
}

static void *start(struct control *c) {
        struct eventttl *s = NEW(struct eventttl);
        int64_t ttl_ms = c->options->event_ttl_ms > 0 ? c->options->event_ttl_ms : TTL_MS;
        int64_t every_ms = ttl_ms < LOOKS ? 1 : ttl_ms / LOOKS;
        *s = (struct eventttl){.c = c, .ttl_ms = ttl_ms};
        s->timer = timer_new(api_loop(c->api), every_ms, every_ms, look, s);
        return s;
}

static void stop(void *state) {
        struct eventttl *s = state;
        timer_free(s->timer);
        free(s);
}

const struct controller controller_eventttl = {"eventttl", "event-ttl-controller", start, stop};
