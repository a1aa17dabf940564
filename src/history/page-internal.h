/* Writing HTML: page.c has the frame, the parts and the list of applications, page_app.c the pages of one. */
#ifndef FIRESTEEL_HISTORY_PAGE_INTERNAL_H
#define FIRESTEEL_HISTORY_PAGE_INTERNAL_H

#include "history/history-internal.h"

struct page {
        struct str *out;
        const struct appmodel *m;
        const struct log_record *r;
        const struct rest_query *q;
        const char *prefix; /* of links */
        const char *base;   /* "<prefix>/history/<id>[/<attempt>]" */
        int64_t now_ms;
        const struct redaction *redaction;
};

void html_text(struct str *s, struct sv v); /* escaped */
void html_url(struct str *s, const char *v); /* a path segment or query value, percent-encoded */
void html_begin(struct str *s, const char *title, const char *prefix);
void html_end(struct str *s);
/* Table cells. Numbers are right-aligned; the _ms ones are durations and times for people. */
void html_head(struct str *s, const char *const *names); /* names beginning with # are of right-aligned columns; NULL ends */
void cell_text(struct str *s, struct sv v);
void cell_int(struct str *s, int64_t v);
void cell_bytes(struct str *s, int64_t v); /* 0 is left blank */
void cell_duration(struct str *s, int64_t ms); /* negative: blank */
void cell_time(struct str *s, int64_t ms); /* AM_NONE or negative: blank */
void cell_badge(struct str *s, const char *status);
void html_duration(struct str *s, int64_t ms);
/* done/total as a bar, failed ones marked. */
void cell_progress(struct str *s, int64_t done, int64_t active, int64_t failed, int64_t total);

#endif
