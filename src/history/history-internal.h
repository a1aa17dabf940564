/* Between the files of the server: history.c (life, scans, models), http.c (requests), metrics.c, cleaner.c, page.c. */
#ifndef FIRESTEEL_HISTORY_HISTORY_INTERNAL_H
#define FIRESTEEL_HISTORY_HISTORY_INTERNAL_H

#include "history/api.h"
#include "history/history.h"
#include "history/index.h"
#include "net/http_server.h"

struct loaded {
        struct history_model *model;
        int64_t signature; /* of the record it was loaded for */
        uint64_t used;     /* by the count of uses */
};

struct load;

struct history_metrics {
        uint64_t requests[6]; /* by hundreds of the status */
        uint64_t request_us, bytes_sent;
        uint64_t scans, scan_us, logs_read, scan_errors;
        uint64_t loads, loads_built, load_us, load_errors, log_bytes;
        uint64_t removed_logs;
};

struct history {
        struct loop *loop;
        struct history_options o;
        struct history_conf *conf;
        struct logstore *store;
        char *index_dir, *listing_path; /* NULL: nowhere to keep them */
        struct redaction *redaction;
        struct acl acl;
        struct api_settings api;
        struct tls_context *tls;
        struct http_server *http;
        int port;
        int waiting_fd; /* a socket handed over whose visitors wait for the first scan; -1: none */
        char *prefix; /* of paths, without a slash at the end; "" normally */
        struct listing *listing;
        bool scanning, scanned, stopping, cleaning;
        struct timer *scan_timer, *clean_timer;
        struct map models; /* log name -> struct loaded */
        struct map loads;  /* log name -> struct load */
        uint64_t uses;
        size_t busy; /* jobs on workers */
        void (*stopped)(void *arg);
        void *stopped_arg;
        struct history_metrics metrics;
        int64_t started_ms;
};

/* Calls fn with the model of a record (counted for the call), or NULL and why not. The record is held meanwhile. */
void history_with_model(struct history *h, const struct log_record *record, void (*fn)(void *arg, struct history_model *m, const struct err *err),
                        void *arg);
/* Runs on a worker, then on the loop; stopping waits for it. */
void history_work(struct history *h, void (*work)(void *arg), void (*done)(void *arg), void *arg);
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
};
void page_list(const struct page_request *p, struct str *out);
void page_app(const struct log_record *r, const char *key, const char *tab, const struct rest_query *q, const struct appmodel *m,
              const struct history_conf *conf, const struct redaction *redaction, const char *prefix, int64_t now_ms, struct str *out);

#endif
