/* Between the files of the server: history.c (life, scans, models), http.c (requests), metrics.c, cleaner.c, page.c. */
#ifndef FIRESTEEL_HISTORY_HISTORY_INTERNAL_H
#define FIRESTEEL_HISTORY_HISTORY_INTERNAL_H

#include "history/api.h"
#include "history/history.h"
#include "history/htpasswd.h"
#include "history/index.h"
#include "net/http_server.h"

struct loaded {
        struct history_model *model;
        int64_t signature; /* of the record it was loaded for */
        uint64_t used;     /* by the count of uses */
};

struct load;
struct job;
struct call;

/* Work of one kind of which only so much is done at a time. */
struct lane {
        size_t busy, max;
        VEC(struct job *) queue;
};

/* A log directory and who may see what is in it. */
struct log_dir {
        bool restricted;
        struct strv readers; /* users; with @ in front groups; "*": everybody who is known */
};

struct history_metrics {
        uint64_t requests[6]; /* by hundreds of the status */
        uint64_t request_us, bytes_sent;
        uint64_t scans, scan_us, logs_read, scan_errors;
        uint64_t loads, loads_built, loads_continued, load_us, load_errors, log_bytes;
        uint64_t removed_logs;
};

struct history {
        struct loop *loop;
        struct history_options o;
        struct history_conf *conf;
        VEC(struct logstore *) stores; /* one a log directory */
        VEC(struct log_dir) dirs;      /* the same ones */
        char *store_urls;              /* all of them, for people and for the kept listing */
        char *index_dir, *listing_path; /* NULL: nowhere to keep them */
        struct redaction *redaction;
        struct acl acl;
        struct htpasswd *htpasswd;
        struct map admitted; /* hash of an Authorization header -> struct admitted */
        struct api_settings api;
        struct tls_context *tls;
        struct http_server *http;
        int port;
        int waiting_fd; /* a socket handed over whose visitors wait for the first scan; -1: none */
        char *prefix; /* of paths, without a slash at the end; "" normally */
        struct listing *listing;
        struct map views; /* of the listing: "mask of directories" -> struct listing, for those who may not see all */
        bool scanning, scanned, stopping, cleaning;
        bool scan_again; /* asked for while one was going on, which may have looked too early */
        struct timer *scan_timer, *clean_timer;
        struct map models; /* log_record.key -> struct loaded */
        struct map loads;  /* log_record.key -> struct load */
        struct replays replays; /* of logs that are being written */
        uint64_t uses;
        size_t busy; /* jobs on workers or waiting for one, large answers under way */
        size_t num_large;
        VEC(struct call *) large_queue;
        struct lane store_lane; /* of them those that wait for disks and networks */
        struct lane auth_lane;  /* those that check passwords, which is slow on purpose */
        void (*stopped)(void *arg);
        void *stopped_arg;
        struct history_metrics metrics;
        int64_t started_ms;
};

/* Calls fn with the model of a record (counted for the call), or NULL and why not. The record is held meanwhile. */
void history_with_model(struct history *h, const struct log_record *record,
                        void (*fn)(void *arg, struct history_model *m, const struct err *err), void *arg);
/* Runs on a worker, then on the loop; stopping waits for it. */
void history_work(struct history *h, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* Stopping waits for what is held. */
void history_hold(struct history *h);
void history_release(struct history *h);
/* The same within a lane: what waits for a disk or a network leaves some workers to render, and to look up names for those that wait. */
void history_lane_work(struct history *h, struct lane *lane, void (*work)(void *arg), void (*done)(void *arg), void *arg);
static inline void history_store_work(struct history *h, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
        history_lane_work(h, &h->store_lane, work, done, arg);
}
/* The directories whose logs a user may see, a bit each; user NULL: nobody is known to ask. */
uint64_t history_visible(const struct history *h, const char *user, const char *groups);
/* A reference to the listing as somebody sees it who may see those directories. */
struct listing *history_listing(struct history *h, uint64_t dirs);
/* Takes logs found between two scans into the listing. */
void history_add_records(struct history *h, struct log_record *const *records, size_t count);
/* Scans now (once more after the scan under way, when there is one). */
void history_scan(struct history *h);

/* http.c */
void history_on_request(struct http_exchange *x, const struct http_request *request, void *arg);
/* metrics.c */
void history_write_metrics(const struct history *h, struct str *out);
/* cleaner.c */
void history_clean(struct history *h);
/* page.c: false when there is no such page. `rest` is the path after the prefix. */
struct page_request {
        const struct history *h;
        const struct listing *listing;
        const struct rest_query *query;
        const char *user;
        const char *dirs; /* the log directories that are shown */
};
void page_list(const struct page_request *p, struct str *out);
/* Makes a page of an error's text. */
void page_error(const char *prefix, struct rest_answer *a);
void page_app(const struct log_record *r, const char *key, const char *tab, const struct rest_query *q, const struct appmodel *m,
              const struct history_conf *conf, const struct redaction *redaction, const char *prefix, int64_t now_ms, struct str *out);

#endif
