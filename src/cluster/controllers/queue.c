#include "base/log.h"
#include "base/map.h"
#include "cluster/controllers/control.h"

enum { FIRST_RETRY_MS = 50, LAST_RETRY_MS = 60000, BATCH = 64 };

struct job {
        char *ns, *name;
        int64_t due_ms; /* clock_mono_ms; -1: not waiting */
        int failures;
};

struct queue {
        struct api *api;
        char *what;
        queue_fn *reconcile;
        void *arg;
        struct map jobs; /* "ns/name" -> job */
        struct timer *timer;
        int64_t armed_ms; /* -1: not armed */
        bool is_running;
};

static void job_free(void *p) {
        struct job *j = p;
        free(j->ns);
        free(j->name);
        free(j);
}

static void run(void *arg);

static void arm(struct queue *q, int64_t due_ms) {
        if (q->is_running || (q->armed_ms >= 0 && q->armed_ms <= due_ms))
                return;
        int64_t delay = due_ms - clock_mono_ms();
        q->armed_ms = due_ms;
        timer_again(q->timer, delay > 0 ? delay : 0, 0);
}

struct queue *queue_new(struct api *api, const char *what, queue_fn *reconcile, void *arg) {
        struct queue *q = NEW(struct queue);
        q->api = api;
        q->what = xstrdup(what);
        q->reconcile = reconcile;
        q->arg = arg;
        q->jobs = MAP_INIT(job_free);
        q->armed_ms = -1;
        q->timer = timer_new(api_loop(api), 24 * 3600 * 1000, 0, run, q);
        return q;
}

void queue_free(struct queue *q) {
        if (!q)
                return;
        timer_free(q->timer);
        map_done(&q->jobs);
        free(q->what);
        free(q);
}

void queue_add_after(struct queue *q, const char *ns, const char *name, int64_t delay_ms) {
        AUTO(free) char *key = xasprintf("%s/%s", ns ? ns : "", name);
        int64_t due = clock_mono_ms() + delay_ms;
        struct job *j = map_get(&q->jobs, key);
        if (!j) {
                j = NEW(struct job);
                j->ns = xstrdup(ns ? ns : "");
                j->name = xstrdup(name);
                j->due_ms = -1;
                map_set(&q->jobs, key, j);
        }
        if (j->due_ms < 0 || due < j->due_ms)
                j->due_ms = due;
        arm(q, j->due_ms);
}

void queue_add(struct queue *q, const char *ns, const char *name) { queue_add_after(q, ns, name, 0); }

void queue_add_controller(struct queue *q, const struct object *o, const char *kind) {
        if (o->owner_uid && *o->owner_name && streq(o->owner_kind, kind))
                queue_add(q, o->namespace, o->owner_name);
}

void queue_on_object(void *arg, const struct api_event *e) {
        if (e->object)
                queue_add_object(arg, e->object);
}

static int64_t backoff_ms(int failures) {
        int64_t ms = FIRST_RETRY_MS;
        for (int i = 1; i < failures && ms < LAST_RETRY_MS; i++)
                ms *= 2;
        return ms < LAST_RETRY_MS ? ms : LAST_RETRY_MS;
}

/* The job may be asked for again while it runs: it stays in the map, not waiting. */
static void run_job(struct queue *q, struct job *j) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *ns = xstrdup(j->ns);
        AUTO(free) char *name = xstrdup(j->name);
        AUTO(free) char *key = xasprintf("%s/%s", ns, name);
        j->due_ms = -1;
        int r = q->reconcile(q->arg, ns, name, &err);
        j = map_get(&q->jobs, key);
        if (!j)
                return;
        j->failures = r < 0 ? j->failures + 1 : 0;
        if (r < 0)
                log_debug("%s %s: %s", q->what, key, err_message(&err));
        if (r != 0)
                queue_add_after(q, ns, name, r > 0 ? r : backoff_ms(j->failures));
        else if (j->due_ms < 0)
                map_remove(&q->jobs, key);
}

static void run(void *arg) {
        struct queue *q = arg;
        AUTO(strv) struct strv due = {0};
        int64_t now = clock_mono_ms(), next = -1;
        q->armed_ms = -1;
        map_foreach(e, &q->jobs) {
                struct job *j = e->value;
                if (j->due_ms >= 0 && j->due_ms <= now && due.len < BATCH)
                        strv_add(&due, e->key);
        }
        q->is_running = true;
        for (size_t i = 0; i < due.len; i++) {
                struct job *j = map_get(&q->jobs, due.items[i]);
                if (j && j->due_ms >= 0)
                        run_job(q, j);
        }
        q->is_running = false;
        map_foreach(e, &q->jobs) {
                struct job *j = e->value;
                if (j->due_ms >= 0 && (next < 0 || j->due_ms < next))
                        next = j->due_ms;
        }
        if (next >= 0)
                arm(q, next);
}
