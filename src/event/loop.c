#include "event/loop.h"

#include <pthread.h>
#include <signal.h>
#include <uv.h>

#include "base/log.h"

struct post {
        struct post *next;
        void (*fn)(void *arg);
        void *arg;
};

struct loop {
        uv_loop_t uv;
        uv_async_t wakeup;
        pthread_mutex_t lock; /* guards the queue of posts, the only thing that other threads touch */
        struct post *head, **tail;
        bool stopped;
        char *scratch;
};

static void must(int r, const char *what) {
        /* libuv fails in these calls only without memory or descriptors at start, where nothing can go on. */
        if (r < 0) {
                log_debug("%s: %s", what, uv_strerror(r));
                abort();
        }
}

static struct post *take_posts(struct loop *l) {
        pthread_mutex_lock(&l->lock);
        struct post *list = l->head;
        l->head = NULL;
        l->tail = &l->head;
        pthread_mutex_unlock(&l->lock);
        return list;
}

static bool run_posts(struct loop *l) {
        struct post *list = take_posts(l);
        bool any = list != NULL;
        while (list) {
                struct post *p = list;
                list = p->next;
                p->fn(p->arg);
                free(p);
        }
        return any;
}

static void on_wakeup(uv_async_t *a) { run_posts(a->data); }

struct loop *loop_new(void) {
        signal(SIGPIPE, SIG_IGN);
        struct loop *l = NEW(struct loop);
        must(uv_loop_init(&l->uv), "event loop");
        l->uv.data = l;
        must(uv_async_init(&l->uv, &l->wakeup, on_wakeup), "event loop");
        l->wakeup.data = l;
        uv_unref((uv_handle_t *)&l->wakeup);
        pthread_mutex_init(&l->lock, NULL);
        l->tail = &l->head;
        return l;
}

static void free_handle(uv_handle_t *h) { free(h); }

static void close_leftover(uv_handle_t *h, void *arg) {
        if (!uv_is_closing(h)) {
                log_debug("event loop freed with an open %s handle", uv_handle_type_name(uv_handle_get_type(h)));
                uv_close(h, NULL);
        }
}

void loop_free(struct loop *l) {
        if (!l)
                return;
        /* Workers finish and say so; posts may start others. */
        do {
                uv_run(&l->uv, UV_RUN_NOWAIT);
                while (l->uv.active_reqs.count > 0)
                        uv_run(&l->uv, UV_RUN_ONCE);
        } while (run_posts(l));
        uv_close((uv_handle_t *)&l->wakeup, NULL);
        uv_run(&l->uv, UV_RUN_NOWAIT);
        if (uv_loop_close(&l->uv) == UV_EBUSY) {
                uv_walk(&l->uv, close_leftover, NULL);
                uv_run(&l->uv, UV_RUN_DEFAULT);
                must(uv_loop_close(&l->uv), "closing the event loop");
        }
        pthread_mutex_destroy(&l->lock);
        free(l->scratch);
        free(l);
}

void loop_run(struct loop *l) {
        l->stopped = false;
        /* libuv looks at the queue only while something else keeps the loop alive. */
        do
                run_posts(l);
        while (!l->stopped && (uv_run(&l->uv, UV_RUN_DEFAULT), !l->stopped) && run_posts(l));
}

void loop_stop(struct loop *l) {
        l->stopped = true;
        uv_stop(&l->uv);
}

/* A timer may have brought the answer: then this turn must not wait for anything else. */
static void stop_when_done(uv_prepare_t *h) {
        const bool *done = h->data;
        if (*done)
                uv_stop(h->loop);
}

void loop_run_until(struct loop *l, const bool *done) {
        uv_prepare_t *before_waiting = xcalloc(1, sizeof(*before_waiting));
        l->stopped = false;
        must(uv_prepare_init(&l->uv, before_waiting), "event loop");
        before_waiting->data = (void *)done;
        must(uv_prepare_start(before_waiting, stop_when_done), "event loop");
        uv_ref((uv_handle_t *)&l->wakeup); /* the answer may come from another thread */
        while (!*done && !l->stopped)
                uv_run(&l->uv, UV_RUN_ONCE);
        uv_unref((uv_handle_t *)&l->wakeup);
        uv_close((uv_handle_t *)before_waiting, free_handle);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg) {
        struct post *p = NEW(struct post);
        *p = (struct post){.fn = fn, .arg = arg};
        pthread_mutex_lock(&l->lock);
        *l->tail = p;
        l->tail = &p->next;
        /* Under the lock: whoever frees the loop in the posted function must not overtake the send. */
        uv_async_send(&l->wakeup);
        pthread_mutex_unlock(&l->lock);
}

struct work {
        uv_work_t req;
        void (*work)(void *arg);
        void (*done)(void *arg);
        void *arg;
};

static void on_work(uv_work_t *req) {
        struct work *w = req->data;
        w->work(w->arg);
}

static void on_work_done(uv_work_t *req, int status) {
        struct work *w = req->data;
        if (w->done)
                w->done(w->arg);
        free(w);
}

void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
        struct work *w = NEW(struct work);
        *w = (struct work){.work = work, .done = done, .arg = arg};
        w->req.data = w;
        must(uv_queue_work(&l->uv, &w->req, on_work, on_work_done), "worker");
}

uv_loop_t *loop_uv(struct loop *l) { return &l->uv; }
int64_t loop_now_ms(struct loop *l) { return (int64_t)uv_now(&l->uv); }

char *loop_scratch(struct loop *l) {
        if (!l->scratch)
                l->scratch = xmalloc(LOOP_SCRATCH);
        return l->scratch;
}

/* Timers, signals and descriptors share a shape: a libuv handle first, freed by its close callback. */
struct timer {
        uv_timer_t uv;
        void (*fn)(void *arg);
        void *arg;
};

static void on_timer(uv_timer_t *h) {
        struct timer *t = (struct timer *)h;
        t->fn(t->arg);
}

static uint64_t not_negative(int64_t ms) { return ms > 0 ? (uint64_t)ms : 0; }

struct timer *timer_new(struct loop *l, int64_t delay_ms, int64_t repeat_ms, void (*fn)(void *arg), void *arg) {
        struct timer *t = NEW(struct timer);
        t->fn = fn;
        t->arg = arg;
        must(uv_timer_init(&l->uv, &t->uv), "timer");
        timer_again(t, delay_ms, repeat_ms);
        return t;
}

void timer_again(struct timer *t, int64_t delay_ms, int64_t repeat_ms) {
        uv_update_time(t->uv.loop); /* the turn may have begun long ago */
        must(uv_timer_start(&t->uv, on_timer, not_negative(delay_ms), not_negative(repeat_ms)), "timer");
}

void timer_free(struct timer *t) {
        if (t)
                uv_close((uv_handle_t *)&t->uv, free_handle);
}

struct sigwatch {
        uv_signal_t uv;
        void (*fn)(void *arg);
        void *arg;
};

static void on_signal(uv_signal_t *h, int signal_number) {
        struct sigwatch *s = (struct sigwatch *)h;
        s->fn(s->arg);
}

struct sigwatch *sigwatch_new(struct loop *l, int signal_number, void (*fn)(void *arg), void *arg) {
        struct sigwatch *s = NEW(struct sigwatch);
        s->fn = fn;
        s->arg = arg;
        must(uv_signal_init(&l->uv, &s->uv), "signal");
        must(uv_signal_start(&s->uv, on_signal, signal_number), "signal");
        /* Waiting for a signal is no reason to go on living. */
        uv_unref((uv_handle_t *)&s->uv);
        return s;
}

void sigwatch_free(struct sigwatch *s) {
        if (s)
                uv_close((uv_handle_t *)&s->uv, free_handle);
}

struct fdwatch {
        uv_poll_t uv;
        void (*fn)(void *arg);
        void *arg;
};

static void on_readable(uv_poll_t *h, int status, int events) {
        struct fdwatch *w = (struct fdwatch *)h;
        w->fn(w->arg);
}

struct fdwatch *fdwatch_new(struct loop *l, int fd, void (*fn)(void *arg), void *arg) {
        struct fdwatch *w = NEW(struct fdwatch);
        w->fn = fn;
        w->arg = arg;
        if (uv_poll_init(&l->uv, &w->uv, fd) < 0) {
                free(w);
                return NULL;
        }
        must(uv_poll_start(&w->uv, UV_READABLE, on_readable), "descriptor");
        return w;
}

void fdwatch_free(struct fdwatch *w) {
        if (w)
                uv_close((uv_handle_t *)&w->uv, free_handle);
}
