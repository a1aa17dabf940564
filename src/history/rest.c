#include "history/rest.h"

#include <math.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "history/rest-internal.h"
#include "spark/jformat.h"

/* ---- queries ---- */

static int hex_digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

char *rest_percent_decode(struct sv v, bool plus_is_blank) {
        char *out = xmalloc(v.len + 1);
        size_t n = 0;
        for (size_t i = 0; i < v.len; i++) {
                char c = v.data[i];
                if (c == '%' && i + 2 < v.len && hex_digit(v.data[i + 1]) >= 0 && hex_digit(v.data[i + 2]) >= 0) {
                        c = (char)(hex_digit(v.data[i + 1]) << 4 | hex_digit(v.data[i + 2]));
                        c = c ? c : (char)0xff; /* no text here holds it, nor does any that it is compared with */
                        i += 2;
                } else if (c == '+' && plus_is_blank) {
                        c = ' ';
                }
                out[n++] = c;
        }
        out[n] = 0;
        if (sv_is_utf8(sv_new(out, n)))
                return out;
        struct str fixed = STR_INIT(0);
        str_append_as_utf8(&fixed, sv_new(out, n));
        free(out);
        return str_take(&fixed);
}

void rest_query_parse(struct rest_query *q, const char *query) {
        struct sv rest = sv_of(query), part;
        if (!query)
                return;
        while (sv_split(&rest, '&', &part)) {
                if (part.len == 0)
                        continue;
                ssize_t eq = sv_find_char(part, '=');
                struct sv name = eq < 0 ? part : sv_new(part.data, (size_t)eq);
                struct sv value = eq < 0 ? SV("") : sv_new(part.data + eq + 1, part.len - (size_t)eq - 1);
                struct rest_param p = {rest_percent_decode(name, true), rest_percent_decode(value, true)};
                *vec_push(&q->list) = p;
        }
}

void rest_query_done(struct rest_query *q) {
        vec_foreach(p, &q->list) {
                free(p->name);
                free(p->value);
        }
        vec_done(&q->list);
}

const char *rest_query_get(const struct rest_query *q, const char *name) {
        vec_foreach(p, &q->list) {
                if (streq(p->name, name))
                        return p->value;
        }
        return NULL;
}

/* ---- errors ---- */

void rest_error(struct rest_answer *a, int status, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        a->status = status;
        a->content_type = REST_TEXT;
        str_clear(&a->body);
        str_appendvf(&a->body, fmt, ap);
        va_end(ap);
        a->error_len = a->body.len;
}

static void append_escaped(struct str *s, const char *t) {
        for (; *t; t++) {
                if (*t == '<')
                        str_append_s(s, "&lt;");
                else if (*t == '>')
                        str_append_s(s, "&gt;");
                else if (*t == '&')
                        str_append_s(s, "&amp;");
                else
                        str_append_c(s, *t);
        }
}

void rest_html_error(struct rest_answer *a, int status, const char *uri) {
        const char *title = status == 404   ? "Not Found"
                            : status == 405 ? "Method Not Allowed"
                            : status == 400 ? "Bad Request"
                                            : "Server Error";
        a->status = status;
        a->content_type = REST_HTML;
        str_clear(&a->body);
        str_appendf(
                &a->body,
                "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n<title>Error %d %s</title>\n"
                "</head>\n<body><h2>HTTP ERROR %d %s</h2>\n<table>\n<tr><th>URI:</th><td>",
                status, title, status, title);
        append_escaped(&a->body, uri);
        str_appendf(
                &a->body,
                "</td></tr>\n<tr><th>STATUS:</th><td>%d</td></tr>\n<tr><th>MESSAGE:</th><td>%s</td></tr>\n</table>\n\n</body>\n</html>\n",
                status, title);
        a->error_len = a->body.len;
}

/* ---- parameters ---- */

const char *const rest_task_status[5] = {"RUNNING", "KILLED", "FAILED", "SUCCESS", "UNKNOWN"};
const char *const rest_stage_status[5] = {"ACTIVE", "COMPLETE", "FAILED", "PENDING", "SKIPPED"};
const char *const rest_job_status[4] = {"RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN"};
static const char *const batch_status[3] = {"COMPLETED", "QUEUED", "PROCESSING"};
static const char *const task_sortings[] = {"ID", "INCREASING_RUNTIME", "DECREASING_RUNTIME", "runtime", "-runtime"};

enum param_kind { PARAM_NONE, PARAM_INT, PARAM_LONG, PARAM_ENUM };
struct param {
        const char *name;
        enum param_kind kind;
        const char *const *values;
        size_t count;
};

static bool parse_integer(const char *s, int64_t min, int64_t max, int64_t *ret) {
        struct sv v = sv_of(s);
        if (v.len > 1 && v.data[0] == '+' && v.data[1] != '-')
                v = sv_new(v.data + 1, v.len - 1);
        return sv_to_int64(v, ret) && *ret >= min && *ret <= max;
}

static bool is_blank(const char *s) { return sv_trim(sv_of(s)).len == 0; }

/* As JAX-RS converts: a blank number and an empty word stand for nothing, everything else must be one. */
static bool param_ok(const struct param *p, const char *value) {
        int64_t n;
        switch (p->kind) {
        case PARAM_INT:
                return is_blank(value) || parse_integer(value, INT32_MIN, INT32_MAX, &n);
        case PARAM_LONG:
                return is_blank(value) || parse_integer(value, INT64_MIN, INT64_MAX, &n);
        case PARAM_ENUM:
                if (!*value)
                        return true;
                for (size_t i = 0; i < p->count; i++)
                        if (sv_ieq(sv_of(value), sv_of(p->values[i])))
                                return true;
                return false;
        default:
                return true;
        }
}

int64_t param_int(const struct rest_call *c, const char *name, int64_t otherwise) {
        const char *v = rest_query_get(c->q, name);
        int64_t n;
        return v && parse_integer(v, INT64_MIN, INT64_MAX, &n) ? n : otherwise;
}

bool param_bool(const struct rest_call *c, const char *name, bool otherwise) {
        const char *v = rest_query_get(c->q, name);
        return !v || is_blank(v) ? otherwise : sv_ieq(sv_of(v), SV("true"));
}

unsigned param_enum(const struct rest_call *c, const char *name, const char *const *names, size_t count) {
        unsigned mask = 0;
        vec_foreach(p, &c->q->list) {
                if (!streq(p->name, name))
                        continue;
                mask |= *p->value ? 0 : PARAM_NOTHING;
                for (size_t i = 0; i < count; i++)
                        if (sv_ieq(sv_of(p->value), sv_of(names[i])))
                                mask |= 1u << i;
        }
        return mask;
}

static int by_value(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;
        if (isnan(x) || isnan(y))
                return isnan(x) - isnan(y); /* as Java orders them: last */
        return x < y ? -1 : x > y ? 1 : signbit(y) != 0 ? signbit(x) == 0 : -(signbit(x) != 0);
}

bool param_quantiles(struct rest_call *c, const char *otherwise, struct quantiles *ret) {
        const char *given = rest_query_get(c->q, "quantiles");
        struct sv rest = sv_of(given ? given : otherwise), part;
        bool none = rest.len; /* Java's split makes one empty part of an empty text, but none of commas */
        while (rest.len && rest.data[rest.len - 1] == ',')
                rest.len--; /* and drops empty parts at the end */
        ret->count = 0;
        none = none && rest.len == 0;
        while (!none && sv_split(&rest, ',', &part)) {
                double v;
                if (!jformat_parse_double(part, &v)) {
                        rest_error(c->a, 400, "Bad value for parameter \"quantiles\".  Expected a double, got \"%.*s\"", SV_ARG(part));
                        return false;
                }
                if (ret->count == ARRAY_LEN(ret->q)) {
                        rest_error(c->a, 400, "Too many quantiles: at most %zu", ARRAY_LEN(ret->q));
                        return false;
                }
                ret->q[ret->count++] = v;
        }
        qsort(ret->q, ret->count, sizeof(ret->q[0]), by_value);
        return true;
}

/* ---- common members ---- */

void write_counts(struct rest_call *c, const char *key, struct am_range r) {
        jackson_key(&c->j, key);
        jackson_object(&c->j);
        for (uint32_t i = 0; i < r.count && r.first + i < c->m->num_counts; i++) {
                const struct am_count *n = &c->m->counts[r.first + i];
                struct sv k = text(c, n->key);
                jackson_key_sv(&c->j, k.data ? k : SV("null"));
                jackson_int(&c->j, n->count);
        }
        jackson_end_object(&c->j);
}

void write_peaks(struct rest_call *c, const char *key, const int64_t *peaks) {
        jackson_key(&c->j, key);
        jackson_object(&c->j);
        for (size_t i = 0; i < c->app->num_peaks; i++)
                jackson_member_int(&c->j, appmodel_peak_names[i], peaks[i]);
        jackson_end_object(&c->j);
}

void write_accumulables(struct rest_call *c, const char *key, struct am_range r) {
        jackson_key(&c->j, key);
        jackson_array(&c->j);
        for (uint32_t i = 0; i < r.count && r.first + i < c->m->num_accumulables; i++) {
                const struct am_accumulable *a = &c->m->accumulables[r.first + i];
                jackson_object(&c->j);
                jackson_member_int(&c->j, "id", a->id);
                member_text(c, "name", a->name);
                member_text(c, "update", a->update);
                member_text(c, "value", a->value);
                jackson_end_object(&c->j);
        }
        jackson_end_array(&c->j);
}

void write_ints_member(struct rest_call *c, const char *key, struct am_range r) {
        jackson_key(&c->j, key);
        jackson_array(&c->j);
        for (uint32_t i = 0; i < r.count && r.first + i < c->m->num_ints; i++)
                jackson_int(&c->j, c->m->ints[r.first + i]);
        jackson_end_array(&c->j);
}

/* ---- routes ---- */

static const struct param job_params[] = {{"status", PARAM_ENUM, rest_job_status, 4}, {NULL, PARAM_NONE, NULL, 0}};
static const struct param stages_params[] = {{"status", PARAM_ENUM, rest_stage_status, 5},
                                             {"taskStatus", PARAM_ENUM, rest_task_status, 5},
                                             {NULL, PARAM_NONE, NULL, 0}};
static const struct param stage_params[] = {{"taskStatus", PARAM_ENUM, rest_task_status, 5}, {NULL, PARAM_NONE, NULL, 0}};
static const struct param task_params[] = {{"offset", PARAM_INT, NULL, 0},
                                           {"length", PARAM_INT, NULL, 0},
                                           {"sortBy", PARAM_ENUM, task_sortings, 5},
                                           {"status", PARAM_ENUM, rest_task_status, 5},
                                           {NULL, PARAM_NONE, NULL, 0}};
static const struct param sql_params[] = {{"offset", PARAM_INT, NULL, 0}, {"length", PARAM_INT, NULL, 0}, {NULL, PARAM_NONE, NULL, 0}};
static const struct param batch_params[] = {{"status", PARAM_ENUM, batch_status, 3}, {NULL, PARAM_NONE, NULL, 0}};
static const struct param thread_params[] = {{"taskId", PARAM_LONG, NULL, 0}, {NULL, PARAM_NONE, NULL, 0}};

/* Guesses of sizes, from what the parts of real answers take. */
enum {
        TASK_BYTES = 2600,
        STAGE_BYTES = 5000,
        JOB_BYTES = 1500,
        EXECUTOR_BYTES = 3000,
        PARTITION_BYTES = 400,
        ROW_BYTES = 80,
        SQL_BYTES = 2000
};

static uint64_t size_jobs(struct rest_call *c) { return (uint64_t)c->m->num_jobs * JOB_BYTES; }
static uint64_t size_executors(struct rest_call *c) { return (uint64_t)c->m->num_executors * EXECUTOR_BYTES; }

static uint64_t stage_size(const struct rest_call *c, const struct am_stage *s, bool details) {
        /* A summary is short, but made of all rows. */
        bool summaries = param_bool(c, "withSummaries", false);
        return STAGE_BYTES + (summaries ? (uint64_t)s->stored_tasks * ROW_BYTES : 0) +
               (details ? (uint64_t)s->stored_tasks * TASK_BYTES + (uint64_t)s->stored_executors * EXECUTOR_BYTES : 0);
}

static uint64_t size_stages(struct rest_call *c) {
        uint64_t sum = 0;
        bool details = param_bool(c, "details", false);
        for (uint32_t i = 0; i < c->m->num_stages; i++)
                sum += stage_size(c, &c->m->stages[i], details);
        return sum;
}

static uint64_t size_stage(struct rest_call *c) {
        uint64_t sum = 0;
        int64_t row = appmodel_stage_row(c->m, c->ids[0]);
        for (; row >= 0 && row < c->m->num_stages && c->m->stages[row].id == c->ids[0]; row++)
                sum += stage_size(c, &c->m->stages[row], param_bool(c, "details", true));
        return sum;
}

static uint64_t size_tasks(struct rest_call *c) {
        const struct am_stage *s = appmodel_stage(c->m, c->ids[0], c->ids[1]);
        int64_t length = param_int(c, "length", 20), stored = s ? s->stored_tasks : 0;
        return length <= 0 ? 0 : (uint64_t)(length < stored ? length : stored) * TASK_BYTES;
}

static uint64_t size_rdd(struct rest_call *c) {
        const struct am_rdd *r = appmodel_rdd(c->m, c->ids[0]);
        return r ? (uint64_t)r->partitions.count * PARTITION_BYTES : 0;
}

static uint64_t size_sqls(struct rest_call *c) {
        uint64_t sum = 0;
        int64_t offset = param_int(c, "offset", 0), length = param_int(c, "length", 20);
        for (int64_t i = offset < 0 ? 0 : offset; i < c->m->num_sqls && length-- > 0; i++)
                sum += SQL_BYTES + text(c, c->m->sqls[i].plan).len + text(c, c->m->sqls[i].details).len +
                       (uint64_t)c->m->sqls[i].nodes.count * 500;
        return sum;
}

/* In a pattern "#" is a number that fits an Int, "@" one that fits a Long, "*" any word. */
static const struct route {
        const char *pattern;
        const struct param *params;
        void (*answer)(struct rest_call *c);
        uint64_t (*size)(struct rest_call *c); /* a guess; NULL: small */
        bool not_in_35;
} routes[] = {
        {"jobs", job_params, rest_jobs, size_jobs},
        {"jobs/#", NULL, rest_job},
        {"executors", NULL, rest_executors, size_executors},
        {"executors/*/threads", NULL, rest_threads},
        {"threads", thread_params, rest_task_threads, .not_in_35 = true},
        {"allexecutors", NULL, rest_all_executors, size_executors},
        {"allmiscellaneousprocess", NULL, rest_processes},
        {"stages", stages_params, rest_stages, size_stages},
        {"stages/#", stage_params, rest_stage, size_stage},
        {"stages/#/#", stage_params, rest_stage_attempt, size_stage},
        {"stages/#/#/taskSummary", NULL, rest_task_summary},
        {"stages/#/#/taskList", task_params, rest_task_list, size_tasks},
        {"stages/#/#/taskTable", NULL, rest_task_table, size_tasks},
        {"storage/rdd", NULL, rest_rdds},
        {"storage/rdd/#", NULL, rest_rdd, size_rdd},
        {"environment", NULL, rest_environment},
        {"sql", sql_params, rest_sqls, size_sqls},
        {"sql/@", NULL, rest_sql},
        {"streaming/statistics", NULL, rest_streaming},
        {"streaming/receivers", NULL, rest_streaming},
        {"streaming/receivers/#", NULL, rest_streaming},
        {"streaming/batches", batch_params, rest_streaming},
        {"streaming/batches/@", NULL, rest_streaming},
        {"streaming/batches/@/operations", NULL, rest_streaming},
        {"streaming/batches/@/operations/#", NULL, rest_streaming},
};

static bool all_digits(const char *s) {
        return *s && strspn(s, "0123456789") == strlen(s);
}

/* 1: matches; 0: does not; -1: a number in it is too large. */
static int match(const struct route *r, char *const *segments, size_t count, struct rest_call *c) {
        struct sv rest = sv_of(r->pattern), part;
        size_t i = 0, ids = 0;
        bool too_large = false;
        while (sv_split(&rest, '/', &part)) {
                if (i == count)
                        return 0;
                const char *s = segments[i++];
                if (sv_eqs(part, "#") || sv_eqs(part, "@")) {
                        int64_t n = 0;
                        if (!all_digits(s))
                                return 0;
                        too_large = !parse_integer(s, 0, part.data[0] == '#' ? INT32_MAX : INT64_MAX, &n) || too_large;
                        if (c && ids < 2)
                                c->ids[ids++] = n;
                } else if (sv_eqs(part, "*")) {
                        if (c)
                                c->word = s;
                } else if (!sv_eqs(part, s)) {
                        return 0;
                }
        }
        return i != count ? 0 : too_large ? -1 : 1;
}

static const struct route *find_route(char *const *segments, size_t count, struct rest_call *c, bool *ret_too_large) {
        for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
                int r = match(&routes[i], segments, count, c);
                if (r) {
                        *ret_too_large = r < 0;
                        return &routes[i];
                }
        }
        return NULL;
}

bool rest_app_check(char *const *segments, size_t count, const struct rest_query *q, const char *uri, bool is_35, bool *ret_known,
                    struct rest_answer *a) {
        bool too_large = false;
        const struct route *r = find_route(segments, count, NULL, &too_large);
        *ret_known = r && !(is_35 && r->not_in_35);
        if (!*ret_known)
                return true;
        if (too_large) {
                rest_html_error(a, 404, uri);
                return false;
        }
        for (const struct param *p = r->params; p && p->name; p++)
                vec_foreach(given, &q->list) {
                        if (streq(given->name, p->name) && !param_ok(p, given->value)) {
                                rest_html_error(a, 404, uri);
                                return false;
                        }
                }
        return true;
}

bool rest_app_answer(const struct rest_app *app, char *const *segments, size_t count, const struct rest_query *q, struct rest_answer *a) {
        struct rest_call c = {.app = app, .m = app->model, .q = q, .a = a, .j = JACKSON_INIT(&a->body)};
        bool too_large;
        const struct route *r = find_route(segments, count, &c, &too_large);
        if (!r)
                return false;
        a->status = 200;
        a->content_type = REST_JSON;
        r->answer(&c);
        if (a->status != 200)
                str_truncate(&a->body, a->error_len);
        return true;
}

uint64_t rest_app_size(const struct rest_app *app, char *const *segments, size_t count, const struct rest_query *q) {
        struct rest_call c = {.app = app, .m = app->model, .q = q};
        bool too_large;
        const struct route *r = find_route(segments, count, &c, &too_large);
        return r && r->size ? r->size(&c) : 0;
}

/* ---- redaction ---- */

struct redaction {
        pcre2_code *code;
};

int redaction_new(const char *pattern, struct redaction **ret, struct err *err) {
        int code;
        PCRE2_SIZE at;
        pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &code, &at, NULL);
        if (!re) {
                char why[128];
                pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
                return err_set(err, -EINVAL, "regular expression \"%s\", character %zu: %s", pattern, (size_t)at + 1, why);
        }
        (void)pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); /* where it is not to be had, matching is slower and the same */
        *ret = NEW(struct redaction);
        (*ret)->code = re;
        return 0;
}

void redaction_free(struct redaction *r) {
        if (!r)
                return;
        pcre2_code_free(r->code);
        free(r);
}

bool redaction_matches(const struct redaction *r, struct sv v) {
        if (!r || !v.data)
                return false;
        pcre2_match_data *data = pcre2_match_data_create(1, NULL);
        if (!data)
                abort();
        int n = pcre2_match(r->code, (PCRE2_SPTR)v.data, v.len, 0, 0, data, NULL);
        pcre2_match_data_free(data);
        /* A pattern that gives up on a text is taken to match: better hidden than shown. */
        return n >= 0 || n != PCRE2_ERROR_NOMATCH;
}
