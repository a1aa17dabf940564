#include "kobj/selector.h"

#include <stdio.h>

#include "kobj/invalid.h"
#include "kobj/names.h"

enum token {
        TOKEN_ERROR,
        TOKEN_END,
        TOKEN_CLOSE,
        TOKEN_COMMA,
        TOKEN_NOT,
        TOKEN_DOUBLE_EQUALS,
        TOKEN_EQUALS,
        TOKEN_GREATER,
        TOKEN_WORD,
        TOKEN_IN,
        TOKEN_LESS,
        TOKEN_NOT_EQUALS,
        TOKEN_NOT_IN,
        TOKEN_OPEN,
};

static const struct {
        const char *text;
        enum token token;
} literals[] = {
        {")", TOKEN_CLOSE},  {",", TOKEN_COMMA},       {"!", TOKEN_NOT},        {"==", TOKEN_DOUBLE_EQUALS},
        {"=", TOKEN_EQUALS}, {">", TOKEN_GREATER},     {"in", TOKEN_IN},        {"<", TOKEN_LESS},
        {"(", TOKEN_OPEN},   {"!=", TOKEN_NOT_EQUALS}, {"notin", TOKEN_NOT_IN},
};

struct item {
        enum token token;
        struct sv text;
};

struct parser {
        struct sv in;
        size_t at;
        VEC(struct item) items;
        size_t position;
        struct err *err;
};

static enum token literal_token(struct sv text) {
        for (size_t i = 0; i < ARRAY_LEN(literals); i++)
                if (sv_eqs(text, literals[i].text))
                        return literals[i].token;
        return TOKEN_ERROR;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
static bool is_special(char c) { return c && strchr("=!(),><", c); }
static bool at_end(const struct parser *p) { return p->at >= p->in.len || !p->in.data[p->at]; }

/* Operators are the longest known run of special characters. */
static struct item scan_special(struct parser *p) {
        size_t from = p->at;
        struct item found = {TOKEN_ERROR, {p->in.data + from, 0}};
        while (!at_end(p) && is_special(p->in.data[p->at])) {
                struct sv text = sv_new(p->in.data + from, p->at + 1 - from);
                enum token token = literal_token(text);
                if (token == TOKEN_ERROR)
                        break;
                found = (struct item){token, text};
                p->at++;
        }
        return found;
}

static struct item scan_word(struct parser *p) {
        size_t from = p->at;
        while (!at_end(p) && !is_special(p->in.data[p->at]) && !is_blank(p->in.data[p->at]))
                p->at++;
        struct sv text = sv_new(p->in.data + from, p->at - from);
        enum token token = literal_token(text);
        return (struct item){token == TOKEN_ERROR ? TOKEN_WORD : token, text};
}

static void scan(struct parser *p) {
        for (;;) {
                while (!at_end(p) && is_blank(p->in.data[p->at]))
                        p->at++;
                if (at_end(p))
                        break;
                struct item item = is_special(p->in.data[p->at]) ? scan_special(p) : scan_word(p);
                *vec_push(&p->items) = item;
        }
        *vec_push(&p->items) = (struct item){TOKEN_END, SV("")};
}

/* `in` and `notin` are operators after a key and plain words elsewhere. */
static struct item look(const struct parser *p, bool values) {
        struct item item = p->items.items[p->position < p->items.len ? p->position : p->items.len - 1];
        if (values && (item.token == TOKEN_IN || item.token == TOKEN_NOT_IN))
                item.token = TOKEN_WORD;
        return item;
}

static struct item take(struct parser *p, bool values) {
        struct item item = look(p, values);
        p->position++;
        return item;
}

static int bad(struct err *err, const char *fmt, ...) PRINTF(2, 3);
static int bad(struct err *err, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        return err_http(err, -EINVAL, 400, "BadRequest", "%s", text);
}

static void term_done(struct selector_term *t) {
        free(t->key);
        strv_done(&t->values);
}
DEFINE_AUTO_VALUE(term, struct selector_term, term_done)

void selector_done(struct selector *s) {
        vec_foreach(t, s) term_done(t);
        vec_done(s);
        s->nothing = false;
}

static void add_value(struct selector_term *t, struct sv value) {
        AUTO(free) char *text = sv_dup(value);
        if (!strv_has(&t->values, text))
                strv_add(&t->values, text);
}

/* Adds the messages of one check as one error, joined by "; ". */
static void add_check(struct invalid *list, name_check_fn *check, const char *path, const char *value) {
        AUTO(strv) struct strv messages = {0};
        if (!check(sv_of(value), &messages))
                return;
        AUTO(free) char *joined = strv_join(&messages, "; ");
        invalid_string(list, path, value, "%s", joined);
}

static int check_result(const struct invalid *list, const char *prefix, struct err *err) {
        if (!list->len)
                return 0;
        AUTO(str) struct str text = STR_INIT(0);
        for (size_t i = 0; i < list->len; i++)
                str_appendf(&text, "%s%s: %s", i ? ", " : "", list->items[i].field, list->items[i].message);
        bool many = list->len > 1;
        return bad(err, "%s%s%s%s", prefix, many ? "[" : "", str_cstr(&text), many ? "]" : "");
}

static char *values_text(const struct strv *values) {
        AUTO(str) struct str out = STR_INIT(0);
        str_append_c(&out, '[');
        for (size_t i = 0; i < values->len; i++) {
                if (i)
                        str_append_c(&out, ',');
                json_append_quoted(&out, sv_of(values->items[i]));
        }
        str_append_c(&out, ']');
        return str_take(&out);
}

/* The rules of labels.NewRequirement. */
static int check_term(const struct selector_term *t, const char *prefix, struct err *err) {
        AUTO(invalid) struct invalid list = {0};
        AUTO(free) char *values = values_text(&t->values);
        add_check(&list, name_check_qualified, "key", t->key);
        size_t n = t->values.len;
        if (t->equality && n != 1)
                invalid_add(&list, "values", INVALID_VALUE, values, "exact-match compatibility requires one single value");
        else if ((t->op == SELECTOR_IN || t->op == SELECTOR_NOT_IN) && n == 0)
                invalid_add(&list, "values", INVALID_VALUE, values, "for 'in', 'notin' operators, values set can't be empty");
        else if ((t->op == SELECTOR_EXISTS || t->op == SELECTOR_NOT_EXISTS) && n != 0)
                invalid_add(&list, "values", INVALID_VALUE, values, "values set must be empty for exists and does not exist");
        if (t->op == SELECTOR_GREATER || t->op == SELECTOR_LESS) {
                if (n != 1)
                        invalid_add(&list, "values", INVALID_VALUE, values, "for 'Gt', 'Lt' operators, exactly one value is required");
                for (size_t i = 0; i < n; i++) {
                        int64_t number;
                        AUTO(free) char *path = xasprintf("values[%zu]", i);
                        if (!sv_to_int64(sv_of(t->values.items[i]), &number))
                                invalid_string(&list, path, t->values.items[i], "for 'Gt', 'Lt' operators, the value must be an integer");
                }
        }
        for (size_t i = 0; i < n; i++) {
                AUTO(free) char *path = xasprintf("values[%zu][%s]", i, t->key);
                add_check(&list, name_check_label_value, path, t->values.items[i]);
        }
        return check_result(&list, prefix, err);
}

#define REQUIREMENT "unable to parse requirement: "

static int parse_list(struct parser *p, struct selector_term *t) {
        for (;;) {
                struct item item = take(p, true);
                if (item.token == TOKEN_WORD) {
                        add_value(t, item.text);
                        struct item next = look(p, true);
                        if (next.token == TOKEN_COMMA)
                                continue;
                        if (next.token == TOKEN_CLOSE)
                                return 0;
                        return bad(p->err, REQUIREMENT "found '%.*s', expected: ',' or ')'", SV_ARG(next.text));
                }
                if (item.token != TOKEN_COMMA)
                        return bad(p->err, REQUIREMENT "found '%.*s', expected: ',', or identifier", SV_ARG(item.text));
                /* An empty value stands before, between or after commas. */
                if (!t->values.len)
                        add_value(t, SV(""));
                struct item next = look(p, true);
                if (next.token == TOKEN_CLOSE) {
                        add_value(t, SV(""));
                        return 0;
                }
                if (next.token == TOKEN_COMMA) {
                        take(p, true);
                        add_value(t, SV(""));
                }
        }
}

static int parse_set(struct parser *p, struct selector_term *t) {
        struct item item = take(p, true);
        if (item.token != TOKEN_OPEN)
                return bad(p->err, REQUIREMENT "found '%.*s' expected: '('", SV_ARG(item.text));
        item = look(p, true);
        if (item.token == TOKEN_CLOSE) {
                take(p, true);
                add_value(t, SV(""));
                return 0;
        }
        if (item.token != TOKEN_WORD && item.token != TOKEN_COMMA)
                return bad(p->err, REQUIREMENT "found '%.*s', expected: ',', ')' or identifier", SV_ARG(item.text));
        int r = parse_list(p, t);
        if (r < 0)
                return r;
        if (take(p, true).token != TOKEN_CLOSE)
                return bad(p->err, REQUIREMENT "found '%.*s', expected: ')'", SV_ARG(item.text));
        return 0;
}

static int parse_exact(struct parser *p, struct selector_term *t) {
        struct item item = look(p, true);
        if (item.token == TOKEN_END || item.token == TOKEN_COMMA) {
                add_value(t, SV(""));
                return 0;
        }
        take(p, true);
        if (item.token != TOKEN_WORD)
                return bad(p->err, REQUIREMENT "found '%.*s', expected: identifier", SV_ARG(item.text));
        add_value(t, item.text);
        return 0;
}

static int parse_operator(struct parser *p, struct selector_term *t) {
        struct item item = take(p, false);
        switch (item.token) {
        case TOKEN_IN:
        case TOKEN_NOT_IN:
                t->op = item.token == TOKEN_IN ? SELECTOR_IN : SELECTOR_NOT_IN;
                return parse_set(p, t);
        case TOKEN_EQUALS:
        case TOKEN_DOUBLE_EQUALS:
        case TOKEN_NOT_EQUALS:
                t->op = item.token == TOKEN_NOT_EQUALS ? SELECTOR_NOT_IN : SELECTOR_IN;
                t->equality = true;
                return parse_exact(p, t);
        case TOKEN_GREATER:
        case TOKEN_LESS:
                t->op = item.token == TOKEN_GREATER ? SELECTOR_GREATER : SELECTOR_LESS;
                return parse_exact(p, t);
        default:
                return bad(p->err, REQUIREMENT "found '%.*s', expected: in, notin, =, ==, !=, gt, lt", SV_ARG(item.text));
        }
}

static int parse_term(struct parser *p, struct selector_term *t) {
        struct item item = take(p, true);
        bool negated = item.token == TOKEN_NOT;
        if (negated)
                item = take(p, true);
        if (item.token != TOKEN_WORD)
                return bad(p->err, REQUIREMENT "found '%.*s', expected: identifier", SV_ARG(item.text));
        t->key = sv_dup(item.text);
        AUTO(invalid) struct invalid list = {0};
        add_check(&list, name_check_qualified, "<nil>", t->key);
        int r = check_result(&list, REQUIREMENT, p->err);
        if (r < 0)
                return r;
        enum token next = look(p, true).token;
        if (negated || next == TOKEN_END || next == TOKEN_COMMA) {
                t->op = negated ? SELECTOR_NOT_EXISTS : SELECTOR_EXISTS;
        } else {
                r = parse_operator(p, t);
                if (r < 0)
                        return r;
                strv_sort(&t->values);
        }
        return check_term(t, REQUIREMENT, p->err);
}

static void insert_sorted(struct selector *s, struct selector_term *t) {
        *vec_push(s) = *t;
        *t = (struct selector_term){0};
        for (size_t i = s->len - 1; i > 0 && strcmp(s->items[i - 1].key, s->items[i].key) > 0; i--) {
                struct selector_term other = s->items[i];
                s->items[i] = s->items[i - 1];
                s->items[i - 1] = other;
        }
}

static int parse_terms(struct parser *p, struct selector *s) {
        for (;;) {
                struct item item = look(p, true);
                if (item.token == TOKEN_END)
                        return 0;
                if (item.token != TOKEN_WORD && item.token != TOKEN_NOT)
                        return bad(p->err, "found '%.*s', expected: !, identifier, or 'end of string'", SV_ARG(item.text));
                AUTO(term) struct selector_term t = {0};
                int r = parse_term(p, &t);
                if (r < 0)
                        return r;
                insert_sorted(s, &t);
                item = take(p, true);
                if (item.token == TOKEN_END)
                        return 0;
                if (item.token != TOKEN_COMMA)
                        return bad(p->err, "found '%.*s', expected: ',' or 'end of string'", SV_ARG(item.text));
                item = look(p, true);
                if (item.token != TOKEN_WORD && item.token != TOKEN_NOT)
                        return bad(p->err, "found '%.*s', expected: identifier after ','", SV_ARG(item.text));
        }
}

int selector_parse(struct sv text, struct selector *ret, struct err *err) {
        struct parser p = {.in = text, .err = err};
        struct selector s = {0};
        scan(&p);
        int r = parse_terms(&p, &s);
        vec_done(&p.items);
        if (r < 0) {
                selector_done(&s);
                return r;
        }
        *ret = s;
        return 0;
}

static void add_equality(struct selector *s, const char *key, const char *value) {
        struct selector_term t = {.key = xstrdup(key), .op = SELECTOR_IN, .equality = true};
        strv_add(&t.values, value);
        insert_sorted(s, &t);
}

void selector_from_map(yyjson_val *map, struct selector *ret) {
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(map, i, max, key, value)
                add_equality(ret, yyjson_get_str(key), yyjson_is_str(value) ? yyjson_get_str(value) : "");
}

static const struct {
        const char *name;
        enum selector_op op;
        bool node_only;
} operators[] = {
        {"In", SELECTOR_IN, false},
        {"NotIn", SELECTOR_NOT_IN, false},
        {"Exists", SELECTOR_EXISTS, false},
        {"DoesNotExist", SELECTOR_NOT_EXISTS, false},
        {"Gt", SELECTOR_GREATER, true},
        {"Lt", SELECTOR_LESS, true},
};

static int add_expression(struct selector *s, yyjson_val *expression, bool node, struct err *err) {
        const char *name = json_get_str(expression, "operator"), *key = json_get_str(expression, "key");
        size_t at = 0;
        while (at < ARRAY_LEN(operators) && (!streq_null(name, operators[at].name) || (operators[at].node_only && !node)))
                at++;
        if (at == ARRAY_LEN(operators)) {
                AUTO(free) char *quoted = invalid_quote(name);
                return bad(err, "%s is not a valid %s selector operator", quoted, node ? "node" : "label");
        }
        AUTO(term) struct selector_term t = {.key = xstrdup(key ? key : ""), .op = operators[at].op};
        yyjson_val *value;
        size_t i, max;
        yyjson_arr_foreach(yyjson_obj_get(expression, "values"), i, max, value) {
                if (yyjson_is_str(value))
                        strv_add(&t.values, yyjson_get_str(value));
        }
        int r = check_term(&t, "", err);
        if (r < 0)
                return r;
        strv_sort(&t.values);
        insert_sorted(s, &t);
        return 0;
}

static int add_expressions(struct selector *s, yyjson_val *expressions, bool node, struct err *err) {
        size_t i, max;
        yyjson_val *expression;
        yyjson_arr_foreach(expressions, i, max, expression) {
                int r = add_expression(s, expression, node, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_labels(struct selector *s, yyjson_val *labels, struct err *err) {
        size_t i, max;
        yyjson_val *key, *value;
        yyjson_obj_foreach(labels, i, max, key, value) {
                add_equality(s, yyjson_get_str(key), yyjson_is_str(value) ? yyjson_get_str(value) : "");
        }
        vec_foreach(t, s) {
                int r = check_term(t, "", err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int selector_from_object(yyjson_val *label_selector, struct selector *ret, struct err *err) {
        if (!label_selector || yyjson_is_null(label_selector)) {
                *ret = (struct selector){.nothing = true};
                return 0;
        }
        AUTO(selector) struct selector s = {0};
        int r = add_labels(&s, yyjson_obj_get(label_selector, "matchLabels"), err);
        if (r >= 0)
                r = add_expressions(&s, yyjson_obj_get(label_selector, "matchExpressions"), false, err);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct selector){0};
        return 0;
}

int selector_from_expressions(yyjson_val *expressions, struct selector *ret, struct err *err) {
        AUTO(selector) struct selector s = {0};
        int r = add_expressions(&s, expressions, true, err);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct selector){0};
        return 0;
}

/* `value` is NULL when the label is absent. */
static bool term_matches(const struct selector_term *t, const char *value) {
        switch (t->op) {
        case SELECTOR_IN:
                return value && strv_has(&t->values, value);
        case SELECTOR_NOT_IN:
                return !value || !strv_has(&t->values, value);
        case SELECTOR_EXISTS:
                return value;
        case SELECTOR_NOT_EXISTS:
                return !value;
        case SELECTOR_GREATER:
        case SELECTOR_LESS: {
                int64_t have, want;
                if (!value || t->values.len != 1 || !sv_to_int64(sv_of(value), &have) || !sv_to_int64(sv_of(t->values.items[0]), &want))
                        return false;
                return t->op == SELECTOR_GREATER ? have > want : have < want;
        }
        }
        return false;
}

bool selector_matches_by(const struct selector *s, const char *(*value)(const void *arg, const char *key), const void *arg) {
        if (s->nothing)
                return false;
        vec_foreach(t, s) {
                if (!term_matches(t, value(arg, t->key)))
                        return false;
        }
        return true;
}

static const char *value_in(const void *labels, const char *key) { return json_get_str((yyjson_val *)labels, key); }
static const char *value_in_mut(const void *labels, const char *key) { return mjson_get_str((yyjson_mut_val *)labels, key); }

bool selector_matches(const struct selector *s, yyjson_val *labels) { return selector_matches_by(s, value_in, labels); }
bool selector_matches_mut(const struct selector *s, yyjson_mut_val *labels) { return selector_matches_by(s, value_in_mut, labels); }

static void format_term(struct str *out, const struct selector_term *t) {
        AUTO(free) char *values = strv_join(&t->values, ",");
        if (t->op == SELECTOR_NOT_EXISTS)
                str_append_c(out, '!');
        str_append_s(out, t->key);
        if (t->op == SELECTOR_GREATER || t->op == SELECTOR_LESS)
                str_appendf(out, "%c%s", t->op == SELECTOR_GREATER ? '>' : '<', values);
        else if (t->equality)
                str_appendf(out, "%s%s", t->op == SELECTOR_IN ? "=" : "!=", values);
        else if (t->op == SELECTOR_IN || t->op == SELECTOR_NOT_IN)
                str_appendf(out, " %s (%s)", t->op == SELECTOR_IN ? "in" : "notin", values);
}

char *selector_format(const struct selector *s) {
        AUTO(str) struct str out = STR_INIT(0);
        for (size_t i = 0; i < s->len; i++) {
                if (i)
                        str_append_c(&out, ',');
                format_term(&out, &s->items[i]);
        }
        return str_take(&out);
}
