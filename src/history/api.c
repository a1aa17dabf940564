#include "history/api.h"

#include <ctype.h>

#include "codec/ktime.h"

void api_plan_done(struct api_plan *p) {
        free(p->app_id);
        free(p->attempt_id);
        free(p->key);
        free(p->uri);
        vec_done(&p->logs);
        strv_done(&p->segments);
        rest_query_done(&p->query);
}

/* ---- access ---- */

void acl_done(struct acl *a) {
        strv_done(&a->admins);
        strv_done(&a->admin_groups);
        free(a->own_user);
}

/* Does a comma-separated list name one of `who` (itself such a list), or everybody? */
static bool lists(const char *list, const char *who) {
        struct sv rest = sv_of(list), item;
        while (list && sv_split(&rest, ',', &item)) {
                struct sv others = sv_of(who), other;
                item = sv_trim(item);
                if (sv_eqs(item, "*"))
                        return true;
                while (item.len && who && sv_split(&others, ',', &other))
                        if (sv_eq(sv_trim(other), item))
                                return true;
        }
        return false;
}

static bool named(const struct strv *list, const char *who) {
        for (size_t i = 0; i < list->len; i++)
                if (lists(list->items[i], who))
                        return true;
        return false;
}

bool acl_allows(const struct acl *a, const struct log_record *r, const char *user, const char *groups) {
        if (!a->enabled || !user)
                return true;
        return streq_null(user, r->user) || streq_null(user, a->own_user) || named(&a->admins, user) || named(&a->admin_groups, groups) ||
               lists(r->view_acls, user) || lists(r->admin_acls, user) || lists(r->view_groups, groups) || lists(r->admin_groups, groups);
}

/* ---- dates ---- */

static const struct {
        const char *name;
        int minutes;
} zones[] = {{"GMT", 0},    {"UTC", 0},    {"UT", 0},     {"EST", -300}, {"EDT", -240}, {"CST", -360}, {"CDT", -300}, {"MST", -420},
             {"MDT", -360}, {"PST", -480}, {"PDT", -420}, {"CET", 60},   {"CEST", 120}, {"WET", 0},    {"BST", 60},   {"JST", 540}};

/* A field, as java.text reads it: blanks before it do not count, and what an int cannot hold loses its upper bits. */
static bool number(const char **p, int *ret) {
        const char *s = *p + strspn(*p, " \t");
        bool negative = *s == '-';
        s += negative;
        uint64_t v = 0;
        size_t digits = 0;
        if (*s < '0' || *s > '9')
                return false;
        for (; *s >= '0' && *s <= '9'; s++, digits += v > 0)
                v = v * 10 + (uint64_t)(*s - '0');
        v = negative ? -v : v;
        *ret = digits <= 18 ? (int32_t)(uint32_t)v : negative ? INT32_MIN : INT32_MAX;
        *p = s;
        return true;
}

static bool literal(const char **p, char c) {
        if (**p != c)
                return false;
        ++*p;
        return true;
}

/* "GMT", "PST", "GMT+1:00", "+0100". */
static bool zone(const char **p, int *ret_minutes) {
        *ret_minutes = 0;
        bool gmt = false, found = false;
        for (size_t i = 0; i < ARRAY_LEN(zones) && !found; i++) {
                size_t n = strlen(zones[i].name);
                if (strncasecmp(*p, zones[i].name, n) == 0 && !((*p)[n] >= 'A' && (*p)[n] <= 'Z')) {
                        *ret_minutes = zones[i].minutes;
                        *p += n;
                        found = true;
                        gmt = i == 0;
                }
        }
        if ((found && !gmt) || (**p != '+' && **p != '-'))
                return found;
        int sign = **p == '-' ? -1 : 1, digits = 0, value = 0;
        const char *s = *p + 1;
        for (; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
                value = value * 10 + (*s - '0');
        if (digits == 0)
                return found;
        int minutes = digits <= 2 ? value * 60 : value / 100 * 60 + value % 100;
        if ((digits <= 2 ? value : value / 100) > 23 || (digits > 2 && value % 100 > 59))
                return false;
        if (digits <= 2 && *s == ':' && s[1] >= '0' && s[1] <= '9' && s[2] >= '0' && s[2] <= '9') {
                minutes += (s[1] - '0') * 10 + (s[2] - '0');
                s += 3;
        }
        *ret_minutes = sign * minutes;
        *p = s;
        return true;
}

/* Months beyond the year and the like count on, as a lenient calendar does. */
static int64_t civil_seconds(int year, int month, int day, int hour, int minute, int second) {
        int64_t months = (int64_t)year * 12 + month - 1;
        int64_t y = months >= 0 ? months / 12 : -((11 - months) / 12);
        int64_t m = months - y * 12;
        return ktime_from_civil((int)y, (int)m + 1, 1, 0, 0, 0) + ((int64_t)day - 1) * 86400 + (int64_t)hour * 3600 + (int64_t)minute * 60 +
               second;
}

bool api_parse_date(const char *text, int64_t *ret_ms) {
        int year, month, day, hour, minute, second, ms, offset;
        const char *p = text;
        if (!number(&p, &year) || !literal(&p, '-') || !number(&p, &month) || !literal(&p, '-') || !number(&p, &day))
                return false;
        if (literal(&p, 'T') && number(&p, &hour) && literal(&p, ':') && number(&p, &minute) && literal(&p, ':') && number(&p, &second) &&
            literal(&p, '.') && number(&p, &ms) && zone(&p, &offset)) {
                *ret_ms = (civil_seconds(year, month, day, hour, minute, second) - (int64_t)offset * 60) * 1000 + ms;
                return true;
        }
        /* Anything may follow a day. */
        *ret_ms = civil_seconds(year, month, day, 0, 0, 0) * 1000;
        return true;
}

/* ---- the list ---- */

static void write_attempt(struct jackson *j, const struct log_record *r) {
        jackson_object(j);
        jackson_member_string(j, "attemptId", sv_of(r->attempt_id));
        jackson_member_date(j, "startTime", r->start_ms);
        jackson_member_date(j, "endTime", r->end_ms);
        jackson_member_date(j, "lastUpdated", r->last_updated_ms);
        jackson_member_int(j, "duration", r->duration_ms);
        jackson_member_string(j, "sparkUser", sv_of(r->user));
        jackson_member_bool(j, "completed", r->completed);
        jackson_member_string(j, "appSparkVersion", sv_of(r->spark_version));
        jackson_member_int(j, "startTimeEpoch", r->start_ms);
        jackson_member_int(j, "endTimeEpoch", r->end_ms);
        jackson_member_int(j, "lastUpdatedEpoch", r->last_updated_ms);
        jackson_end_object(j);
}

void api_write_app(struct jackson *j, const struct listed_app *app) {
        jackson_object(j);
        jackson_member_string(j, "id", sv_of(app->attempts[0]->app_id));
        jackson_member_string(j, "name", sv_of(app->attempts[0]->name));
        jackson_key(j, "attempts");
        jackson_array(j);
        for (size_t i = 0; i < app->count; i++)
                write_attempt(j, app->attempts[i]);
        jackson_end_array(j);
        jackson_end_object(j);
}

struct list_filter {
        bool completed, running;
        int64_t min_ms, max_ms, min_end_ms, max_end_ms, limit;
};

static bool date_param(const struct rest_query *q, const char *name, int64_t otherwise, int64_t *ret, struct rest_answer *a) {
        const char *text = rest_query_get(q, name);
        *ret = otherwise;
        if (!text || !*text || api_parse_date(text, ret))
                return true;
        rest_error(a, 400, "Couldn't parse date: %s", text);
        a->content_type = REST_JSON; /* the resource's own: this error is not one of Spark's */
        return false;
}

static bool read_filter(const struct rest_query *q, const char *uri, struct list_filter *f, struct rest_answer *a) {
        const int64_t from = ktime_from_civil(2010, 1, 1, 0, 0, 0) * 1000, to = ktime_from_civil(3000, 1, 1, 0, 0, 0) * 1000;
        bool any = false;
        *f = (struct list_filter){.limit = INT32_MAX};
        vec_foreach(p, &q->list) {
                if (streq(p->name, "status")) {
                        any = true;
                        if (!*p->value)
                                continue; /* nothing, and that matches nothing */
                        if (sv_ieq(sv_of(p->value), SV("completed")))
                                f->completed = true;
                        else if (sv_ieq(sv_of(p->value), SV("running")))
                                f->running = true;
                        else
                                return rest_html_error(a, 404, uri), false;
                }
        }
        if (!any)
                f->completed = f->running = true;
        const char *limit = rest_query_get(q, "limit");
        if (limit && *limit && (!sv_to_int64(sv_of(limit), &f->limit) || f->limit > INT32_MAX || f->limit < INT32_MIN))
                return rest_html_error(a, 404, uri), false;
        return date_param(q, "minDate", from, &f->min_ms, a) && date_param(q, "maxDate", to, &f->max_ms, a) &&
               date_param(q, "minEndDate", from, &f->min_end_ms, a) && date_param(q, "maxEndDate", to, &f->max_end_ms, a);
}

static bool is_wanted(const struct listed_app *app, const struct list_filter *f, int64_t now_ms) {
        bool running = !app->attempts[0]->completed;
        if (running ? !f->running : !f->completed)
                return false;
        for (size_t i = 0; i < app->count; i++) {
                const struct log_record *r = app->attempts[i];
                bool end_ok = running ? f->max_end_ms > now_ms : r->end_ms >= f->min_end_ms && r->end_ms <= f->max_end_ms;
                if (r->start_ms >= f->min_ms && r->start_ms <= f->max_ms && end_ok)
                        return true;
        }
        return false;
}

static void answer_list(const struct listing *l, const struct rest_query *q, const char *uri, int64_t now_ms, struct rest_answer *a) {
        struct list_filter f;
        if (!read_filter(q, uri, &f, a))
                return;
        struct jackson j = JACKSON_INIT(&a->body);
        a->status = 200;
        a->content_type = REST_JSON;
        jackson_array(&j);
        for (size_t i = 0; i < l->num_apps && f.limit > 0; i++) {
                if (!is_wanted(&l->apps[i], &f, now_ms))
                        continue;
                api_write_app(&j, &l->apps[i]);
                f.limit--;
        }
        jackson_end_array(&j);
}

/* ---- paths ---- */

static void answer_version(const struct api_settings *settings, struct rest_answer *a) {
        struct jackson j = JACKSON_INIT(&a->body);
        a->status = 200;
        a->content_type = REST_JSON;
        jackson_object(&j);
        jackson_member_string(&j, "spark", settings->is_35 ? SV(API_SPARK_VERSION_35) : SV(API_SPARK_VERSION));
        jackson_end_object(&j);
}

static void answer_app(const struct listed_app *app, const char *id, struct rest_answer *a) {
        if (!app) {
                rest_error(a, 404, "unknown app: %s", id);
                return;
        }
        struct jackson j = JACKSON_INIT(&a->body);
        a->status = 200;
        a->content_type = REST_JSON;
        api_write_app(&j, app);
}

static void answer_attempt(const struct listed_app *app, const char *id, const char *attempt, struct rest_answer *a) {
        const struct log_record *r = app ? listing_attempt(app, attempt) : NULL;
        if (!r) {
                rest_error(a, 404, "unknown app %s, attempt %s", id, attempt);
                return;
        }
        struct jackson j = JACKSON_INIT(&a->body);
        a->status = 200;
        a->content_type = REST_JSON;
        write_attempt(&j, r);
}

/* All attempts' logs, or one attempt's. Without an attempt in the path permission is asked of the one without id, else of attempt 1. */
static void plan_logs(const struct listed_app *app, struct api_plan *p, struct rest_answer *a) {
        p->record = app ? listing_attempt(app, p->attempt_id) : NULL;
        if (app && !p->record && !p->attempt_id)
                p->record = listing_attempt(app, "1");
        if (!p->record) {
                p->outcome = API_NOT_LISTED;
                rest_error(a, 404, "no such app: %s%s", p->key, p->attempt_id ? "" : "/1");
                return;
        }
        p->outcome = API_LOGS;
        for (size_t i = 0; i < app->count; i++)
                if (!p->attempt_id || app->attempts[i] == p->record)
                        *vec_push(&p->logs) = app->attempts[i];
}

/* Paths that Spark's resources take over: what they do not know below is the container's error page. */
static bool has_own_pages(const char *segment) { return streq(segment, "stages") || streq(segment, "sql") || streq(segment, "streaming"); }

/* The rest of the path, of an application or of an attempt. False: it is not known there. */
static bool plan_below(const struct listed_app *app, bool is_35, struct api_plan *p, struct rest_answer *a) {
        bool known;
        if (p->segments.len == 1 && streq(p->segments.items[0], "logs")) {
                plan_logs(app, p, a);
                return true;
        }
        if (!rest_app_check(p->segments.items, p->segments.len, &p->query, p->uri, is_35, &known, a))
                return true;
        if (!known) {
                if (!has_own_pages(p->segments.items[0]))
                        return false;
                rest_html_error(a, 404, p->uri);
                return true;
        }
        p->record = app ? listing_attempt(app, p->attempt_id) : NULL;
        p->outcome = p->record ? API_NEEDS_MODEL : API_NOT_LISTED;
        if (!p->record)
                rest_error(a, 404, "no such app: %s", p->key);
        return true;
}

/* ---- what the container refuses before any resource is asked ---- */

static bool escapes_ok(const char *s, bool is_35) {
        for (; s && *s; s++)
                if (*s == '%' && !(is_35 && s[1] == 'u') && !(isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])))
                        return false;
        return true;
}

/* "." or "..", a dot at least of which is written "%2e". */
static bool is_hidden_dots(struct sv segment) {
        size_t dots = 0, plain = 0;
        for (size_t i = 0; i < segment.len; dots++) {
                if (segment.data[i] == '.')
                        plain++, i++;
                else if (segment.len - i >= 3 && strncasecmp(segment.data + i, "%2e", 3) == 0)
                        i += 3;
                else
                        return false;
        }
        return dots > plain && dots <= 2;
}

/* Why a path is refused, or NULL. The container of Spark 3.5 knows no ambiguity. */
static const char *bad_path(const char *path, bool is_35) {
        struct sv rest = sv_of(path), segment;
        bool dots = false;
        while (sv_split(&rest, '/', &segment))
                dots = dots || is_hidden_dots(segment);
        if (!is_35 && strstr(path, "%u"))
                return "UTF16 encoding";
        if (!escapes_ok(path, is_35) || strstr(path, "%00"))
                return "Bad Request";
        return is_35 ? NULL : strstr(path, "//") ? "Ambiguous URI empty segment" : dots ? "Ambiguous URI path segment" : NULL;
}

static bool is_acceptable(const char *uri, const char *query, bool is_35, struct rest_answer *a) {
        const char *why = bad_path(uri, is_35);
        if (why) {
                rest_error(a, 400, "<h1>Bad Message 400</h1><pre>reason: %s</pre>", why);
                a->content_type = REST_HTML;
        } else if (!escapes_ok(query, false)) {
                rest_html_error(a, 400, uri);
        } else if (strstr(uri, "//")) {
                rest_html_error(a, 404, uri); /* in 3.5 a segment as any other, that nothing is called */
        } else {
                return true;
        }
        return false;
}

/* A segment without its parameters (";a=b"), decoded. */
static char *segment_of(struct sv part) {
        ssize_t end = sv_find_char(part, ';');
        return rest_percent_decode(end < 0 ? part : sv_new(part.data, (size_t)end), false);
}

static void drop_first(struct strv *v) {
        free(v->items[0]);
        memmove(v->items, v->items + 1, v->len * sizeof(*v->items)); /* with the NULL behind */
        v->len--;
}

void api_plan(const struct listing *l, const struct api_settings *settings, const char *path, const char *uri, const char *query,
              int64_t now_ms, struct api_plan *p, struct rest_answer *a) {
        *p = (struct api_plan){.outcome = API_ANSWERED, .uri = xstrdup(uri)};
        if (!is_acceptable(uri, query, settings->is_35, a))
                return;
        rest_query_parse(&p->query, query);
        struct sv rest = sv_of(path), part;
        while (sv_split(&rest, '/', &part))
                if (part.len)
                        strv_take(&p->segments, segment_of(part));
        struct strv *s = &p->segments;
        if (s->len == 1 && streq(s->items[0], "version")) {
                answer_version(settings, a);
                return;
        }
        if (s->len == 0 || !streq(s->items[0], "applications")) {
                rest_html_error(a, 404, uri);
                return;
        }
        drop_first(s);
        if (s->len == 0) {
                answer_list(l, &p->query, uri, now_ms, a);
                return;
        }
        p->app_id = xstrdup(s->items[0]);
        p->key = xstrdup(p->app_id);
        drop_first(s);
        const struct listed_app *app = listing_app(l, p->app_id);
        if (s->len == 0) {
                p->outcome = app ? API_ANSWERED : API_NOT_LISTED;
                answer_app(app, p->app_id, a);
                return;
        }
        if (plan_below(app, settings->is_35, p, a))
                return;
        /* A segment that is no resource is an attempt's id. */
        p->attempt_id = xstrdup(s->items[0]);
        free(p->key);
        p->key = xasprintf("%s/%s", p->app_id, p->attempt_id);
        drop_first(s);
        if (s->len == 0) {
                p->outcome = app && listing_attempt(app, p->attempt_id) ? API_ANSWERED : API_NOT_LISTED;
                answer_attempt(app, p->app_id, p->attempt_id, a);
        } else if (!plan_below(app, settings->is_35, p, a))
                rest_error(a, 404, "%s", uri);
}

static struct rest_app app_of(const struct api_plan *p, const struct appmodel *m, const struct api_settings *settings, int64_t now_ms) {
        bool completed = m->app->flags & AM_ENDED;
        return (struct rest_app){
                .model = m,
                .key = p->key,
                .name = p->record->name ? p->record->name : "",
                .uri = p->uri,
                .last_updated_ms = p->record->last_updated_ms,
                .now_ms = now_ms,
                .completed = completed,
                .executor_log_url = completed || settings->executor_log_url_incomplete ? settings->executor_log_url : NULL,
                .redaction = settings->redaction,
                .is_35 = settings->is_35,
                .num_peaks = settings->is_35 ? AM_PEAKS_35 : AM_PEAKS,
        };
}

uint64_t api_answer_size(const struct api_plan *p, const struct appmodel *m, const struct api_settings *settings) {
        struct rest_app app = app_of(p, m, settings, 0);
        return rest_app_size(&app, p->segments.items, p->segments.len, &p->query);
}

void api_answer(const struct api_plan *p, const struct appmodel *m, struct memo *memo, const struct api_settings *settings, int64_t now_ms,
                struct rest_answer *a) {
        struct rest_app app = app_of(p, m, settings, now_ms);
        app.memo = memo;
        if (!rest_app_answer(&app, p->segments.items, p->segments.len, &p->query, a))
                rest_html_error(a, 404, p->uri);
}
