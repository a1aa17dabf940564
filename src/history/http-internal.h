/* Between the files that answer requests: http.c (all of them), large.c (what is too large to be held). */
#ifndef FIRESTEEL_HISTORY_HTTP_INTERNAL_H
#define FIRESTEEL_HISTORY_HTTP_INTERNAL_H

#include "history/history-internal.h"
#include "history/zipstream.h"

struct call {
        struct history *h;
        struct http_exchange *x;
        struct listing *listing; /* holds the records of the plan */
        struct api_plan plan;
        struct history_model *model;
        struct rest_answer a;
        struct zipstream *zip;
        VEC(struct log_record *) found; /* logs that the last scan did not know yet */
        bool looked;                    /* for them */
        uint64_t dirs;                  /* those that the user may see */
        const char *path;               /* without the prefix; of the request */
        char *user, *groups;
        char *password;      /* to be checked */
        uint64_t generation; /* of the file it was checked with */
        bool ok;
        bool is_page; /* for people: errors, too */
        char *page; /* the tab of an application's page; NULL: the REST API */
        int64_t start_us;
        uint64_t sent;
        bool answered;
};

/* The answer is out, or nobody is there to take it: counts, logs and frees. */
void call_end(struct call *c, int status);
/* Sends c->a whole. */
void call_respond(struct call *c);

enum { LARGE_ANSWER = 4 << 20 };
/* large.c: renders and sends the answer piece by piece; c->model is there. */
void large_answer(struct call *c);

#endif
