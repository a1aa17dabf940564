#include "history/pipeline.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum state { FREE, BUSY, READ };

struct piece {
        enum state state;
        struct str text;
        struct eventlog_batch *batch;
        int end;         /* 1: more comes behind this text; 0: the file ends; negative: it could not be read on */
        struct err why;
};

struct pipeline {
        struct log_text *source;
        struct sv left; /* of what the source gave last: valid until it is asked again */
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool fetching, ended, stopping; /* ended: nothing is left to fetch */
        size_t fetched, fed;            /* pieces so far; piece n is at n % count */
        size_t count;
        struct piece **order;
};

/* A thread and its pieces: they stay in its processor's cache. */
struct worker {
        struct pipeline *pipeline;
        pthread_t thread;
        struct piece pieces[PIPELINE_PIECES];
};

static unsigned processors(void) {
        cpu_set_t set;
        return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

static atomic_uint reserved; /* helpers of all replays of the process */

unsigned pipeline_reserve(int64_t size) {
        unsigned cpus = processors(), most = cpus - 1 < PIPELINE_MAX_HELPERS ? cpus - 1 : PIPELINE_MAX_HELPERS;
        unsigned now = atomic_load(&reserved), mine;
        if (size < PIPELINE_MIN_FILE)
                return 0;
        do
                mine = now < most ? most - now : 0;
        while (mine && !atomic_compare_exchange_weak(&reserved, &now, now + mine));
        return mine;
}

void pipeline_release(unsigned helpers) { atomic_fetch_sub(&reserved, helpers); }

/* ---- one step ---- */

/* Fills a piece. Only one thread at a time is here. */
static void fetch(struct pipeline *p, struct piece *x) {
        str_clear(&x->text);
        x->end = 1;
        do {
                if (!p->left.len && (x->end = log_text_next(p->source, &p->left, &x->why)) <= 0) {
                        p->left = SV_NULL;
                        return;
                }
                size_t room = PIPELINE_TEXT - x->text.len, n = p->left.len < room ? p->left.len : room;
                str_append(&x->text, p->left.data, n);
                p->left = sv_new(p->left.data + n, p->left.len - n);
        } while (x->text.len < PIPELINE_TEXT);
}

static struct piece *free_piece(struct worker *w) {
        for (size_t i = 0; i < PIPELINE_PIECES; i++)
                if (w->pieces[i].state == FREE)
                        return &w->pieces[i];
        return NULL;
}

/* Fetches and reads a piece, when there is one to fetch and room for it. Called and left with the lock held. */
static bool work(struct worker *w) {
        struct pipeline *p = w->pipeline;
        struct piece *x = p->fetching || p->ended || p->stopping ? NULL : free_piece(w);
        if (!x)
                return false;
        x->state = BUSY;
        p->fetching = true;
        pthread_mutex_unlock(&p->lock);
        fetch(p, x);
        pthread_mutex_lock(&p->lock);
        p->fetching = false;
        p->order[p->fetched++ % p->count] = x;
        p->ended = x->end <= 0;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        eventlog_batch_read(x->batch, str_sv(&x->text));
        pthread_mutex_lock(&p->lock);
        x->state = READ;
        pthread_cond_broadcast(&p->changed);
        return true;
}

static void *helper(void *arg) {
        struct worker *w = arg;
        struct pipeline *p = w->pipeline;
        pthread_mutex_lock(&p->lock);
        while (!p->ended && !p->stopping)
                if (!work(w))
                        pthread_cond_wait(&p->changed, &p->lock);
        pthread_mutex_unlock(&p->lock);
        return NULL;
}

/* ---- the caller ---- */

/* What the caller feeds, and how far it came. */
struct target {
        struct eventlog *e;
        uint64_t *bytes;
        bool refused; /* it wants no more */
};

/* Feeds the next piece, which is read: 1 when more comes, 0 when that was all. */
static int feed(struct target *t, struct piece *x, struct err *err) {
        *t->bytes += x->text.len;
        t->refused = eventlog_feed_batch(t->e, x->batch, NULL) <= 0;
        if (t->refused)
                return 0;
        return x->end < 0 ? err_move(err, &x->why) : x->end;
}

static int drive(struct worker *w, struct target *t, struct err *err) {
        struct pipeline *p = w->pipeline;
        int r = 1;
        pthread_mutex_lock(&p->lock);
        while (r > 0) {
                struct piece *x = p->fed < p->fetched ? p->order[p->fed % p->count] : NULL;
                if (x && x->state == READ) {
                        pthread_mutex_unlock(&p->lock);
                        r = feed(t, x, err);
                        pthread_mutex_lock(&p->lock);
                        x->state = FREE;
                        p->fed++;
                        pthread_cond_broadcast(&p->changed);
                } else if (!work(w)) {
                        pthread_cond_wait(&p->changed, &p->lock);
                }
        }
        p->stopping = true;
        pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->lock);
        return r;
}

static int feed_alone(struct log_text *t, struct eventlog *e, uint64_t *bytes, struct err *err) {
        struct sv text;
        int r;
        while ((r = log_text_next(t, &text, err)) > 0) {
                *bytes += text.len;
                if (eventlog_feed(e, text, NULL) <= 0)
                        return 0;
        }
        return r < 0 ? r : 1;
}

static void worker_init(struct worker *w, struct pipeline *p) {
        w->pipeline = p;
        for (size_t i = 0; i < PIPELINE_PIECES; i++)
                w->pieces[i] = (struct piece){.text = STR_INIT(0), .batch = eventlog_batch_new()};
}

static void worker_done(struct worker *w) {
        for (size_t i = 0; i < PIPELINE_PIECES; i++) {
                str_done(&w->pieces[i].text);
                eventlog_batch_free(w->pieces[i].batch);
                err_done(&w->pieces[i].why);
        }
}

int pipeline_feed(struct log_text *t, struct eventlog *e, unsigned helpers, uint64_t *bytes, struct err *err) {
        if (!helpers)
                return feed_alone(t, e, bytes, err);
        struct worker workers[1 + PIPELINE_MAX_HELPERS];
        struct piece *order[ARRAY_LEN(workers) * PIPELINE_PIECES];
        struct pipeline p = {.source = t, .count = ARRAY_LEN(order), .order = order};
        pthread_mutex_init(&p.lock, NULL);
        pthread_cond_init(&p.changed, NULL);
        struct target target = {e, bytes, false};
        unsigned started = 0;
        for (unsigned i = 0; i <= helpers; i++)
                worker_init(&workers[i], &p);
        while (started < helpers &&
               pthread_create(&workers[1 + started].thread, NULL, helper, &workers[1 + started]) == 0) /* with fewer it goes on, too */
                started++;
        int r = drive(&workers[0], &target, err);
        for (unsigned i = 1; i <= started; i++)
                pthread_join(workers[i].thread, NULL);
        for (unsigned i = 0; i <= helpers; i++)
                worker_done(&workers[i]);
        pthread_cond_destroy(&p.changed);
        pthread_mutex_destroy(&p.lock);
        return r < 0 ? r : !target.refused;
}
