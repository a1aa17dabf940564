/* Pods that nobody will end: bound to a node that is gone, or being deleted without ever having had one; and the oldest ended ones beyond a
 * limit. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "cluster/controllers/control.h"

enum { EVERY_MS = 20000, NODE_GRACE_MS = 40000, ENDED_KEPT = 12500 };

struct podgc {
        struct control *c;
        struct timer *timer;
        struct map missing; /* node -> when it was first found absent, as a pointer */
};

/* A pod that somebody's finalizer keeps is seen to have failed: a Job may wait for that before it makes the next one. */
static void remove_pod(struct podgc *s, const struct object *pod, const char *why_text) {
        struct api_delete_options o = API_DELETE_NOW;
        AUTO(err) struct err why = ERR_INIT;
        o.uid = pod->uid;
        log_debug("removing pod %s/%s: %s", pod->namespace, pod->name, why_text);
        if (!object_is_finished(pod) &&
            api_patchf(s->c->api, "pods", pod->namespace, pod->name, "status", &why, "{\"status\":{\"phase\":\"Failed\"}}") < 0) {
                log_debug("pod %s/%s: %s", pod->namespace, pod->name, err_message(&why));
                return;
        }
        if (api_delete(s->c->api, "pods", pod->namespace, pod->name, &o, &why) < 0 && why.http_status != 404)
                log_debug("removing pod %s/%s: %s", pod->namespace, pod->name, err_message(&why));
}

static int compare_age(const void *a, const void *b) {
        int64_t s = (*(struct object *const *)a)->created_ms, t = (*(struct object *const *)b)->created_ms;
        return s < t ? -1 : s > t;
}

/* Absent for the whole grace: a node may be registered after its pods. */
static bool is_lost(struct podgc *s, const char *node) {
        int64_t now = clock_mono_ms(), since;
        if (api_peek(s->c->api, "nodes", NULL, node)) {
                map_remove(&s->missing, node);
                return false;
        }
        since = (int64_t)(intptr_t)map_get(&s->missing, node);
        if (!since)
                map_set(&s->missing, node, (void *)(intptr_t)now);
        return since && now - since > NODE_GRACE_MS;
}

static void look(void *arg) {
        struct podgc *s = arg;
        AUTO(object_list) struct object_list pods = {0}, ended = {0};
        if (api_list(s->c->api, "pods", NULL, NULL, NULL, &pods, NULL) < 0)
                return;
        vec_foreach(p, &pods) {
                const char *node = (*p)->node;
                bool has_node = *node;
                if (object_is_finished(*p))
                        *vec_push(&ended) = object_ref(*p);
                if (!has_node && object_is_deleting(*p))
                        remove_pod(s, *p, "it never had a node");
                else if (has_node && is_lost(s, node))
                        remove_pod(s, *p, "its node is gone");
        }
        if (ended.len <= ENDED_KEPT)
                return;
        qsort(ended.items, ended.len, sizeof(*ended.items), compare_age);
        for (size_t i = 0; i < ended.len - ENDED_KEPT; i++)
                remove_pod(s, ended.items[i], "too many ended pods");
}

static void *start(struct control *c) {
        struct podgc *s = NEW(struct podgc);
        s->c = c;
        s->missing = MAP_INIT(NULL);
        s->timer = timer_new(api_loop(c->api), EVERY_MS, EVERY_MS, look, s);
        return s;
}

static void stop(void *state) {
        struct podgc *s = state;
        timer_free(s->timer);
        map_done(&s->missing);
        free(s);
}

const struct controller controller_podgc = {"podgc", "pod-garbage-collector", start, stop};
