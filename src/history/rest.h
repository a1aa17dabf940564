/* The answers of Spark's REST API about one application, rendered from its model: pure functions from a path to a
 * status, a content type and a body. What concerns more than one application is in api.c.
 *
 * Rules are those of Spark 4.1's resource classes, checked against recordings of the real server: order of lists,
 * rounding, error texts, which parameters are refused.
 */
#ifndef FIRESTEEL_HISTORY_REST_H
#define FIRESTEEL_HISTORY_REST_H

#include "base/str.h"
#include "base/vec.h"
#include "history/jackson.h"
#include "history/memo.h"
#include "spark/appmodel.h"

struct rest_param {
        char *name, *value; /* decoded; owned */
};

struct rest_query {
        VEC(struct rest_param) list;
};

void rest_query_parse(struct rest_query *q, const char *query); /* NULL: none */
void rest_query_done(struct rest_query *q);
DEFINE_AUTO_VALUE(rest_query, struct rest_query, rest_query_done)
/* The first of that name, or NULL. */
const char *rest_query_get(const struct rest_query *q, const char *name);

/* What a URL path segment says; the caller frees. */
char *rest_percent_decode(struct sv text, bool plus_is_blank);

struct rest_answer {
        int status;
        const char *content_type; /* static */
        struct str body;
        size_t error_len; /* of an error's body: what was rendered behind it is cut off */
        /* Where a large body goes in pieces while it is rendered (status and content_type stand by then); NULL: all of it stays in `body`.
         * Takes what body holds. False: nobody wants the rest, rendering ends early. */
        bool (*drain)(void *arg, struct rest_answer *a);
        void *drain_arg;
        bool abandoned;
};
enum { REST_PIECE = 256 << 10 };

#define REST_JSON "application/json"
#define REST_TEXT "text/plain"
#define REST_HTML "text/html;charset=iso-8859-1"

/* An error with a text for the body. */
void rest_error(struct rest_answer *a, int status, const char *fmt, ...) PRINTF(3, 4);
/* What the servlet container answers for paths and parameters it does not know: an HTML page. */
void rest_html_error(struct rest_answer *a, int status, const char *uri);

/* An application as the REST API sees it. */
struct rest_app {
        const struct appmodel *model;
        const char *key;          /* "id" or "id/attempt", for messages */
        const char *name;         /* of the application */
        const char *uri;          /* the request's path, for messages */
        int64_t last_updated_ms;  /* of the log: where running tasks are taken to stand */
        int64_t now_ms;
        bool completed;
        bool is_35; /* answers as Spark 3.5 */
        const char *executor_log_url; /* spark.history.custom.executor.log.url, or NULL */
        const struct redaction *redaction;
        struct memo *memo; /* of the model's answers, or NULL */
        size_t num_peaks; /* of executor metrics shown: AM_PEAKS, or AM_PEAKS_35 */
};

/* Answers for the segments after the application's (and attempt's). False: no such path. */
bool rest_app_answer(const struct rest_app *app, char *const *segments, size_t count, const struct rest_query *q, struct rest_answer *a);
/* About how many bytes that answer will have; 0: not many. */
uint64_t rest_app_size(const struct rest_app *app, char *const *segments, size_t count, const struct rest_query *q);
/* Whether the path exists and its parameters are acceptable, before the application has been looked for; on false the answer is there. */
bool rest_app_check(char *const *segments, size_t count, const struct rest_query *q, const char *uri, bool is_35, bool *ret_known,
                    struct rest_answer *a);

/* Redaction by spark.redaction.regex. */
struct redaction;
MUST_USE int redaction_new(const char *pattern, struct redaction **ret, struct err *err);
void redaction_free(struct redaction *r);
DEFINE_AUTO_PTR(redaction, struct redaction, redaction_free)
bool redaction_matches(const struct redaction *r, struct sv text);

#endif
