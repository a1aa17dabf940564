/* Answers too large to be held: rendered by a thread of their own, which waits for the peer. At most three pieces of one are in memory,
 * however large it is; so many are rendered at a time, the others wait. (On the workers of the loop a few slow readers would keep
 * everybody else from being answered.) */
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "history/http-internal.h"

enum { MAX_LARGE = 8, MAX_PENDING = 1 << 20 };

struct large {
        struct call *c;
        struct loop *loop;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t moved;
        struct str piece; /* on its way to the loop, or empty */
        bool in_flight, gone;
};

static void begin_next(struct history *h);

/* ---- on the loop ---- */

static void on_gone(void *arg) {
        struct large *l = arg;
        pthread_mutex_lock(&l->lock);
        l->gone = true;
        pthread_cond_signal(&l->moved);
        pthread_mutex_unlock(&l->lock);
}

static void on_taken(void *arg) {
        struct large *l = arg;
        pthread_mutex_lock(&l->lock);
        l->in_flight = false;
        pthread_cond_signal(&l->moved);
        pthread_mutex_unlock(&l->lock);
}

static void on_piece(void *arg) {
        struct large *l = arg;
        struct call *c = l->c;
        pthread_mutex_lock(&l->lock);
        bool gone = l->gone;
        pthread_mutex_unlock(&l->lock);
        if (gone)
                return;
        if (!c->answered) {
                c->answered = true;
                http_start(c->x, c->a.status, c->a.content_type);
        }
        c->sent += l->piece.len;
        http_write(c->x, str_sv(&l->piece));
        if (http_pending(c->x) > MAX_PENDING)
                http_on_drain(c->x, on_taken, l);
        else
                on_taken(l);
}

static void on_end(void *arg) {
        struct large *l = arg;
        struct call *c = l->c;
        struct history *h = c->h;
        bool gone = l->gone;
        pthread_join(l->thread, NULL);
        pthread_mutex_destroy(&l->lock);
        pthread_cond_destroy(&l->moved);
        str_done(&l->piece);
        free(l);
        history_model_rest(c->model);
        if (!c->answered && !gone) {
                http_on_gone(c->x, NULL, NULL);
                call_respond(c);
        } else if (gone) {
                call_end(c, c->a.status);
        } else if (c->a.status != 200) { /* damage was met on the way: the peer must not take what it has for all */
                log_warn("%s: %.*s", c->plan.key, SV_ARG(str_sv(&c->a.body)));
                http_abort(c->x);
                call_end(c, c->a.status);
        } else {
                c->sent += c->a.body.len;
                http_write(c->x, str_sv(&c->a.body));
                http_finish(c->x);
                call_end(c, 200);
        }
        h->num_large--;
        begin_next(h);
        history_release(h);
}

/* ---- on the thread ---- */

static bool drain(void *arg, struct rest_answer *a) {
        struct large *l = arg;
        pthread_mutex_lock(&l->lock);
        while (l->in_flight && !l->gone)
                pthread_cond_wait(&l->moved, &l->lock);
        bool gone = l->gone;
        if (!gone) {
                struct str old = l->piece;
                l->piece = a->body;
                a->body = old;
                str_clear(&a->body);
                l->in_flight = true;
        }
        pthread_mutex_unlock(&l->lock);
        if (!gone)
                loop_post(l->loop, on_piece, l);
        return !gone;
}

/* The last piece must have been taken before the end is told. */
static void wait_taken(struct large *l) {
        pthread_mutex_lock(&l->lock);
        while (l->in_flight && !l->gone)
                pthread_cond_wait(&l->moved, &l->lock);
        pthread_mutex_unlock(&l->lock);
}

static void *render(void *arg) {
        struct large *l = arg;
        struct call *c = l->c;
        c->a.drain = drain;
        c->a.drain_arg = l;
        api_answer(&c->plan, &c->model->m, &c->model->memo, &c->h->api, clock_now_ms(), &c->a);
        wait_taken(l);
        loop_post(l->loop, on_end, l);
        return NULL;
}

/* ---- the queue ---- */

static void begin(struct call *c) {
        struct large *l = NEW(struct large);
        l->c = c;
        l->loop = c->h->loop;
        l->piece = STR_INIT(0);
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->moved, NULL);
        c->h->num_large++;
        history_hold(c->h);
        http_on_gone(c->x, on_gone, l);
        if (pthread_create(&l->thread, NULL, render, l) == 0)
                return;
        c->h->num_large--;
        http_on_gone(c->x, NULL, NULL);
        pthread_mutex_destroy(&l->lock);
        pthread_cond_destroy(&l->moved);
        free(l);
        rest_error(&c->a, 503, "No thread for this answer; try again later.");
        call_respond(c);
        history_release(c->h);
}

static void begin_next(struct history *h) {
        if (h->num_large >= MAX_LARGE || !h->large_queue.len)
                return;
        struct call *c = h->large_queue.items[0];
        vec_remove(&h->large_queue, 0);
        begin(c);
}

void large_answer(struct call *c) {
        if (streq(http_request_of(c->x)->method, "HEAD")) { /* the length is not known beforehand, as with the original */
                http_start(c->x, 200, REST_JSON);
                http_finish(c->x);
                call_end(c, 200);
                return;
        }
        if (c->h->num_large < MAX_LARGE)
                begin(c);
        else
                *vec_push(&c->h->large_queue) = c;
}
