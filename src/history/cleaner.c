/* Removes logs that are too old or too many (spark.history.fs.cleaner.*), by Spark's rules; a dry run says what it would remove. */
#include "base/clock.h"
#include "base/log.h"
#include "history/history-internal.h"

struct clean_job {
        struct history *h;
        struct listing *listing;
        int64_t max_ms;
        size_t removed;
};

static bool remove_log(struct clean_job *c, const struct log_record *r, const char *why) {
        AUTO(err) struct err err = ERR_INIT;
        if (c->h->o.dry_run) {
                log_info("would remove %s: %s", r->log, why);
                return true;
        }
        log_info("removing %s: %s", r->log, why);
        if (logstore_remove(c->h->stores.items[r->dir], r->log, r->rolling, &err) < 0) {
                log_warn("removing %s: %s", r->log, err_message(&err));
                return false;
        }
        c->removed++;
        return true;
}

static int oldest_first(const void *a, const void *b) {
        const struct log_record *x = *(const struct log_record *const *)a, *y = *(const struct log_record *const *)b;
        return (x->last_updated_ms > y->last_updated_ms) - (x->last_updated_ms < y->last_updated_ms);
}

static void clean_work(void *arg) {
        struct clean_job *c = arg;
        const struct listing *l = c->listing;
        VEC(const struct log_record *) kept = {0};
        vec_foreach(it, &l->records) {
                const struct log_record *r = *it;
                int64_t touched = r->app_id ? r->last_updated_ms : r->mtime_ms;
                if (touched < c->max_ms)
                        remove_log(c, r, r->app_id ? "older than spark.history.fs.cleaner.maxAge" : "old, and it has no application");
                else
                        *vec_push(&kept) = r;
        }
        int64_t excess = (int64_t)kept.len - c->h->conf->max_log_num;
        if (excess > 0) {
                qsort(kept.items, kept.len, sizeof(*kept.items), oldest_first);
                vec_foreach(r, &kept) {
                        if (excess > 0 && (*r)->completed && remove_log(c, *r, "more logs than spark.history.fs.cleaner.maxNum"))
                                excess--;
                }
                if (excess > 0)
                        log_warn("%lld logs more than spark.history.fs.cleaner.maxNum are of applications not completed; they stay",
                                 (long long)excess);
        }
        vec_done(&kept);
}

static void clean_done(void *arg) {
        struct clean_job *c = arg;
        struct history *h = c->h;
        h->cleaning = false;
        h->metrics.removed_logs += c->removed;
        if (c->removed)
                history_scan(h);
        listing_unref(c->listing);
        free(c);
}

void history_clean(struct history *h) {
        if (h->cleaning || h->stopping)
                return;
        if (!h->scanned) { /* what is there must be known first */
                timer_again(h->clean_timer, 1000, h->conf->clean_interval_ms);
                return;
        }
        h->cleaning = true;
        struct clean_job *c = NEW(struct clean_job);
        *c = (struct clean_job){.h = h, .listing = listing_ref(h->listing), .max_ms = clock_now_ms() - h->conf->max_age_ms};
        history_store_work(h, clean_work, clean_done, c);
}
