/* The REST API above single applications: which path asks for what. A pure function of listing, path and parameters;
 * what needs an application's model says which log it is of, and is finished by api_answer() once the model is there.
 */
#ifndef FIRESTEEL_HISTORY_API_H
#define FIRESTEEL_HISTORY_API_H

#include "history/listing.h"
#include "history/rest.h"

/* The version of Spark whose API this is. */
#define API_SPARK_VERSION "4.1.4"
#define API_SPARK_VERSION_35 "3.5.9"

enum api_outcome {
        API_ANSWERED,
        API_NEEDS_MODEL, /* of plan.record */
        API_LOGS,        /* a zip of plan.logs */
        API_NOT_LISTED,  /* plan.app_id (and attempt_id) are not in the listing; answered as such, but a log may have come meanwhile */
};

struct api_plan {
        enum api_outcome outcome;
        const struct log_record *record; /* borrowed from the listing */
        char *app_id, *attempt_id;       /* as in the path; attempt_id NULL when not given */
        char *key;                       /* "id" or "id/attempt" */
        VEC(const struct log_record *) logs;
        struct strv segments; /* of the path after the application's */
        struct rest_query query;
        char *uri;
};

void api_plan_done(struct api_plan *p);

/* Who asks, and who may see what. */
struct acl {
        bool enabled; /* spark.history.ui.acls.enable */
        struct strv admins, admin_groups;
        char *own_user; /* the server's: always allowed, as in Spark */
};
void acl_done(struct acl *a);
/* user NULL: nobody is known to ask, which Spark allows; groups are comma-separated, or NULL. */
bool acl_allows(const struct acl *a, const struct log_record *r, const char *user, const char *groups);

struct api_settings {
        const char *executor_log_url;     /* spark.history.custom.executor.log.url, or NULL */
        bool executor_log_url_incomplete; /* ...applyIncompleteApplication */
        const struct redaction *redaction;
        bool is_35; /* as a History Server of Spark 3.5 answers */
};
/* `path` is what follows /api/v1/, percent-encoded; uri the whole path. */
void api_plan(const struct listing *l, const struct api_settings *settings, const char *path, const char *uri, const char *query,
              int64_t now_ms, struct api_plan *ret, struct rest_answer *a);
/* About how many bytes the answer will have; 0: not many. */
uint64_t api_answer_size(const struct api_plan *p, const struct appmodel *m, const struct api_settings *settings);
/* Finishes API_NEEDS_MODEL; the memo, which may be NULL, belongs to the model. */
void api_answer(const struct api_plan *p, const struct appmodel *m, struct memo *memo, const struct api_settings *settings, int64_t now_ms,
                struct rest_answer *a);

/* One application's JSON, for pages too. */
void api_write_app(struct jackson *j, const struct listed_app *app);
/* "2026-01-02" or "2026-01-02T03:04:05.006GMT", as leniently as SimpleDateFormat. */
bool api_parse_date(const char *text, int64_t *ret_ms);

#endif
