/* Between the files of the REST renderer. */
#ifndef FIRESTEEL_HISTORY_REST_INTERNAL_H
#define FIRESTEEL_HISTORY_REST_INTERNAL_H

#include "history/rest.h"

/* One request under way. */
struct rest_call {
        const struct rest_app *app;
        const struct appmodel *m;
        const struct rest_query *q;
        struct rest_answer *a;
        struct jackson j;
        int64_t ids[2]; /* the numbers of the path */
        const char *word; /* the text of the path (an executor's id) */
};

static inline struct sv text(const struct rest_call *c, struct am_str s) { return am_sv(c->m, s); }
static inline void member_text(struct rest_call *c, const char *key, struct am_str s) { jackson_member_string(&c->j, key, text(c, s)); }

/* Between the parts of a long answer: hands over what there is when it has become large. False: stop. */
static inline bool rest_go_on(struct rest_call *c) {
        struct rest_answer *a = c->a;
        if (a->drain && a->body.len >= REST_PIECE && !a->abandoned)
                a->abandoned = !a->drain(a->drain_arg, a);
        return !a->abandoned && a->status == 200;
}

/* Parameters; already checked by rest_app_check(). */
int64_t param_int(const struct rest_call *c, const char *name, int64_t otherwise);
bool param_bool(const struct rest_call *c, const char *name, bool otherwise);
/* A bit for each value given, by its index in names; 0 when there is none. An empty value is one that nothing has. */
enum { PARAM_NOTHING = 1 << 30 };
unsigned param_enum(const struct rest_call *c, const char *name, const char *const *names, size_t count);
/* The quantiles asked for, sorted; false when one is no number, then the answer is there. */
struct quantiles {
        double q[256];
        size_t count;
};
bool param_quantiles(struct rest_call *c, const char *otherwise, struct quantiles *ret);

extern const char *const rest_task_status[5];  /* RUNNING KILLED FAILED SUCCESS UNKNOWN */
extern const char *const rest_stage_status[5]; /* as am_stage_status */
extern const char *const rest_job_status[4];   /* as am_job_status */

void write_counts(struct rest_call *c, const char *key, struct am_range r);
void write_peaks(struct rest_call *c, const char *key, const int64_t *peaks);
void write_accumulables(struct rest_call *c, const char *key, struct am_range r);
void write_ints_member(struct rest_call *c, const char *key, struct am_range r);
void write_executor_logs(struct rest_call *c, const struct am_executor *x);

/* rest_apps.c */
void rest_jobs(struct rest_call *c);
void rest_job(struct rest_call *c);
void rest_executors(struct rest_call *c);
void rest_all_executors(struct rest_call *c);
void rest_processes(struct rest_call *c);
void rest_environment(struct rest_call *c);
void rest_rdds(struct rest_call *c);
void rest_rdd(struct rest_call *c);
void rest_threads(struct rest_call *c);
void rest_task_threads(struct rest_call *c);
void rest_streaming(struct rest_call *c);
/* rest_stages.c */
void rest_stages(struct rest_call *c);
void rest_stage(struct rest_call *c);
void rest_stage_attempt(struct rest_call *c);
void rest_task_summary(struct rest_call *c);
/* rest_summary.c: what withSummaries adds. False: no task reported metrics. ret_lasting (may be NULL): it will be the same whenever it is
 * asked for. */
bool write_task_summary(struct rest_call *c, const struct am_stage *s, const struct quantiles *q, const char *key, bool *ret_lasting);
void write_executor_summary(struct rest_call *c, const struct am_stage *s, const struct quantiles *q);
/* rest_tasks.c */
void rest_task_list(struct rest_call *c);
void rest_task_table(struct rest_call *c);
void write_task(struct rest_call *c, const struct am_task *t);
/* `tasks` of a stage with details: {"id": {...}}. `statuses` as param_enum() gives them. */
void write_task_map(struct rest_call *c, const struct am_stage *s, unsigned statuses);
int64_t task_duration(const struct rest_call *c, const struct am_task *t);
/* rest_sql.c */
void rest_sqls(struct rest_call *c);
void rest_sql(struct rest_call *c);

#endif
