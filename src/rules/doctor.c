#include "rules/doctor.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/arena.h"
#include "codec/yaml.h"

extern const char doctor_rules_yaml[];
extern const size_t doctor_rules_yaml_len;

enum { MATCH_LIMIT = 100000 }; /* steps of one expression on one line: a bad line must not stop us */

/* One alternative: what it asks for; NULL or -1 where it does not. */
struct signal {
        const char *pod, *phase, *waiting, *terminated, *event;
        pcre2_code *event_msg, *log, *api;
        int64_t exit;
        bool has_exit, needs_more; /* conf, obj: facts that are not here */
};

struct rule {
        struct doctor_rule public;
        struct signal *signals;
        size_t signals_len;
};

static struct {
        struct arena arena;
        struct rule *items;
        const struct doctor_rule **publics;
        size_t len;
        pcre2_match_data *match;
        pcre2_match_context *context;
} rules;

void doctor_findings_done(struct doctor_findings *f) {
        vec_foreach(finding, f) {
                free(finding->evidence);
        }
        vec_done(f);
}

static const char *const severities[] = {"critical", "high", "medium", "low"};
const char *doctor_severity_name(enum doctor_severity s) { return severities[s]; }

/* ---- reading the rules ---- */

static int compile(const char *id, const char *text, pcre2_code **ret, struct err *err) {
        if (!text)
                return 0;
        int number;
        size_t offset;
        *ret = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &number, &offset, NULL);
        if (*ret)
                return 0;
        PCRE2_UCHAR why[200];
        pcre2_get_error_message(number, why, sizeof why);
        return err_set(err, -EINVAL, "rule %s: the expression %s: %s at %zu", id, text, (char *)why, offset);
}

static const char *copy(const char *text) { return text ? arena_strdup(&rules.arena, text) : NULL; }

static int read_signal(const char *id, yyjson_val *from, struct signal *ret, struct err *err) {
        static const char *const known[] = {"pod", "phase", "waiting", "terminated", "event", "event_msg",
                                            "log", "api",   "exit",    "conf",       "obj",   NULL};
        size_t i, n;
        yyjson_val *key, *value;
        yyjson_obj_foreach(from, i, n, key, value) {
                if (!str_is_one_of(yyjson_get_str(key), known))
                        return err_set(err, -EINVAL, "rule %s: unknown signal %s", id, yyjson_get_str(key));
        }
        const char *pod = json_get_str(from, "pod");
        ret->pod = streq_null(pod, "any") ? NULL : copy(pod);
        ret->phase = copy(json_get_str(from, "phase"));
        ret->waiting = copy(json_get_str(from, "waiting"));
        ret->terminated = copy(json_get_str(from, "terminated"));
        ret->event = copy(json_get_str(from, "event"));
        ret->has_exit = yyjson_obj_get(from, "exit") != NULL;
        ret->exit = json_get_int(from, "exit", -1);
        ret->needs_more = yyjson_obj_get(from, "conf") || yyjson_obj_get(from, "obj");
        int r = compile(id, json_get_str(from, "log"), &ret->log, err);
        if (r >= 0)
                r = compile(id, json_get_str(from, "api"), &ret->api, err);
        return r < 0 ? r : compile(id, json_get_str(from, "event_msg"), &ret->event_msg, err);
}

static int read_rule(yyjson_val *from, struct rule *ret, struct err *err) {
        const char *id = copy(json_get_str(from, "id")), *severity = json_get_str(from, "severity");
        ret->public.id = id ? id : "?";
        ret->public.title = copy(json_get_str(from, "title"));
        ret->public.cause = copy(json_get_str(from, "cause"));
        ret->public.phase = copy(json_get_str(from, "phase"));
        if (!id || !ret->public.title || !ret->public.cause)
                return err_set(err, -EINVAL, "rule %s lacks its id, title or cause", ret->public.id);
        size_t s = 0;
        while (s < ARRAY_LEN(severities) && !streq_null(severities[s], severity))
                s++;
        if (s == ARRAY_LEN(severities))
                return err_set(err, -EINVAL, "rule %s: severity %s is unknown", id, severity ? severity : "(none)");
        ret->public.severity = (enum doctor_severity)s;
        yyjson_val *fixes = yyjson_obj_get(from, "fix"), *signals = yyjson_obj_get(from, "signals"), *item;
        const char **texts = arena_alloc(&rules.arena, (yyjson_arr_size(fixes) + 1) * sizeof *texts);
        size_t i, n;
        yyjson_arr_foreach(fixes, i, n, item) {
                texts[i] = copy(yyjson_is_str(item) ? yyjson_get_str(item) : "");
        }
        ret->public.fixes = texts;
        ret->signals = arena_alloc(&rules.arena, (yyjson_arr_size(signals) + 1) * sizeof *ret->signals);
        yyjson_arr_foreach(signals, i, n, item) {
                int r = read_signal(id, item, &ret->signals[ret->signals_len++], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int load(struct err *err) {
        if (rules.items)
                return 0;
        AUTO(json) yyjson_doc *doc = NULL;
        int r = yaml_parse(sv_new(doctor_rules_yaml, doctor_rules_yaml_len), &doc, err);
        if (r < 0)
                return err_wrap(err, r, "the built-in rules");
        yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "rules"), *item;
        size_t i, n;
        struct rule *items = arena_alloc(&rules.arena, (yyjson_arr_size(list) + 1) * sizeof *items);
        rules.publics = arena_alloc(&rules.arena, (yyjson_arr_size(list) + 1) * sizeof *rules.publics);
        yyjson_arr_foreach(list, i, n, item) {
                r = read_rule(item, &items[i], err);
                if (r < 0)
                        return err_wrap(err, r, "the built-in rules");
                rules.publics[i] = &items[i].public;
        }
        rules.context = pcre2_match_context_create(NULL);
        pcre2_set_match_limit(rules.context, MATCH_LIMIT);
        rules.match = pcre2_match_data_create(1, NULL);
        rules.len = yyjson_arr_size(list);
        rules.items = items;
        return 0;
}

int doctor_rules(const struct doctor_rule *const **ret, struct err *err) {
        int r = load(err);
        if (r < 0)
                return r;
        *ret = rules.publics;
        return (int)rules.len;
}

/* ---- matching ---- */

static bool finds(const pcre2_code *expression, const char *text) {
        size_t len = strnlen(text, DOCTOR_MAX_LINE);
        return pcre2_match(expression, (PCRE2_SPTR)text, len, 0, 0, rules.match, rules.context) >= 0;
}

static const char *find_line(const pcre2_code *expression, const struct strv *lines) {
        if (!lines)
                return NULL;
        vec_foreach(line, lines) {
                if (finds(expression, *line))
                        return *line;
        }
        return NULL;
}

static const struct doctor_event *find_event(const struct signal *s, const struct doctor_facts *f) {
        for (size_t i = 0; i < f->events_len; i++) {
                const struct doctor_event *e = &f->events[i];
                if (s->event && !streq_null(s->event, e->reason))
                        continue;
                if (s->event_msg && (!e->message || !finds(s->event_msg, e->message)))
                        continue;
                return e;
        }
        return NULL;
}

/* Does everything that the alternative asks for hold? Returns how particular it is, 0 when it does not match. */
static int match_signal(const struct signal *s, const struct doctor_facts *f, char **ret_evidence) {
        AUTO(free) char *evidence = NULL;
        int weight = 0;
        if (s->needs_more || (s->pod && !streq_null(s->pod, f->role)))
                return 0;
        if ((s->phase && !streq_null(s->phase, f->phase)) || (s->has_exit && s->exit != f->exit_code))
                return 0;
        if ((s->waiting && !streq_null(s->waiting, f->waiting)) || (s->terminated && !streq_null(s->terminated, f->terminated)))
                return 0;
        if (s->has_exit) {
                weight += 2;
                evidence = xasprintf("exit code %d", f->exit_code);
        }
        if (s->waiting || s->terminated) {
                weight += 3;
                free(evidence);
                evidence = xstrdup(s->waiting ? s->waiting : s->terminated);
        }
        if (s->event || s->event_msg) {
                const struct doctor_event *e = find_event(s, f);
                if (!e)
                        return 0;
                weight += s->event_msg ? 6 : 3;
                free(evidence);
                evidence = xasprintf("%s: %s", e->reason ? e->reason : "event", e->message ? e->message : "");
        }
        const struct {
                const pcre2_code *expression;
                const struct strv *lines;
                int weight;
        } texts[] = {{s->log, f->log, 6}, {s->api, f->errors, 8}};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
                if (!texts[i].expression)
                        continue;
                const char *line = find_line(texts[i].expression, texts[i].lines);
                if (!line)
                        return 0;
                weight += texts[i].weight;
                free(evidence);
                evidence = xstrdup(line);
        }
        if (weight == 0) /* the role or the phase alone is no evidence */
                return 0;
        *ret_evidence = TAKE(evidence);
        return weight + (s->pod != NULL) + (s->phase != NULL);
}

static int by_weight(const void *a, const void *b) {
        const struct doctor_finding *x = a, *y = b;
        if (x->weight != y->weight)
                return y->weight - x->weight;
        if (x->rule->severity != y->rule->severity)
                return (int)x->rule->severity - (int)y->rule->severity;
        return x->rule < y->rule ? -1 : 1; /* the order of the file: addresses in one array */
}

int doctor_match(const struct doctor_facts *facts, struct doctor_findings *ret, struct err *err) {
        int r = load(err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < rules.len; i++) {
                struct doctor_finding best = {.rule = &rules.items[i].public};
                for (size_t k = 0; k < rules.items[i].signals_len; k++) {
                        char *evidence = NULL;
                        int weight = match_signal(&rules.items[i].signals[k], facts, &evidence);
                        if (weight > best.weight) {
                                free(best.evidence);
                                best.evidence = evidence;
                                best.weight = weight;
                        } else {
                                free(evidence);
                        }
                }
                if (best.weight > 0)
                        *vec_push(ret) = best;
        }
        if (ret->len > 1)
                qsort(ret->items, ret->len, sizeof *ret->items, by_weight);
        return 0;
}
