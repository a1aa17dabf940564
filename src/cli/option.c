#include "cli/option.h"

#include <stdio.h>

#include "base/str.h"
#include "codec/ktime.h"

static const struct option no_options[] = {{0}};

void options_done(struct options *o) {
        for (size_t i = 0; o->values && o->table[i].name; i++)
                vec_done(&o->values[i].list);
        free(o->values);
        o->values = NULL;
        vec_done(&o->args);
}

/* Edit distance with transpositions (optimal string alignment), for names of at most 63 bytes. */
static int distance(const char *a, const char *b) {
        size_t la = strlen(a), lb = strlen(b);
        int rows[3][64];
        if (la > 63 || lb > 63)
                return 1000;
        for (size_t j = 0; j <= lb; j++)
                rows[0][j] = (int)j;
        for (size_t i = 1; i <= la; i++) {
                int *cur = rows[i % 3], *prev = rows[(i - 1) % 3], *prev2 = rows[(i + 1) % 3];
                cur[0] = (int)i;
                for (size_t j = 1; j <= lb; j++) {
                        int best = prev[j - 1] + (a[i - 1] != b[j - 1]);
                        if (prev[j] + 1 < best)
                                best = prev[j] + 1;
                        if (cur[j - 1] + 1 < best)
                                best = cur[j - 1] + 1;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && prev2[j - 2] + 1 < best)
                                best = prev2[j - 2] + 1;
                        cur[j] = best;
                }
        }
        return rows[la % 3][lb];
}

const char *option_did_you_mean(const char *given, const char *const *names) {
        size_t len = strlen(given);
        const char *found = NULL;
        int best = len <= 3 ? 1 : len <= 6 ? 2 : 3;
        for (; *names; names++) {
                /* What was cut short counts as near, however long the rest is. */
                int d = len >= 3 && str_starts(*names, given) ? 1 : distance(given, *names);
                if (d < best || (d == best && !found)) {
                        best = d;
                        found = *names;
                }
        }
        return found;
}

static int unknown_option(const struct option *table, const char *given, size_t len, struct err *err) {
        VEC(const char *) names = {0};
        for (const struct option *o = table; o->name; o++)
                if (!o->hidden)
                        *vec_push(&names) = o->name;
        *vec_push(&names) = "help";
        *vec_push(&names) = NULL;
        AUTO(free) char *name = xstrndup(given, len);
        const char *near = option_did_you_mean(name, names.items);
        vec_done(&names);
        err_set(err, -EINVAL, "unknown option --%s", name);
        if (near)
                err_hint(err, "did you mean --%s?", near);
        return -EINVAL;
}

static int take_value(const struct option *o, struct option_value *v, const char *shown, const char *text, struct err *err) {
        v->count++;
        v->text = text;
        switch (o->type) {
        case OPTION_SWITCH:
                v->on = true;
                break;
        case OPTION_STRING:
                break;
        case OPTION_LIST:
                *vec_push(&v->list) = text;
                break;
        case OPTION_INT:
                if (!sv_to_int64(sv_of(text), &v->number))
                        return err_set(err, -EINVAL, "%s takes a number, not \"%s\"", shown, text);
                if (v->number < o->min || (o->max && v->number > o->max)) {
                        if (o->max)
                                return err_set(err, -EINVAL, "%s must be between %lld and %lld, not %s", shown, (long long)o->min,
                                               (long long)o->max, text);
                        return err_set(err, -EINVAL, "%s must be at least %lld, not %s", shown, (long long)o->min, text);
                }
                break;
        case OPTION_DURATION:
                if (sv_to_int64(sv_of(text), &v->number) && v->number >= 0 && v->number < INT64_MAX / 1000)
                        v->number *= 1000;
                else if (!duration_parse(sv_of(text), &v->number) || v->number < 0)
                        return err_set(err, -EINVAL, "%s takes a duration such as 30s, 5m or 1h30m, not \"%s\"", shown, text);
                break;
        case OPTION_CHOICE: {
                AUTO(str) struct str all = STR_INIT(0);
                for (const char *const *c = o->choices; *c; c++) {
                        if (streq(*c, text))
                                return 0;
                        str_appendf(&all, "%s%s", all.len ? (c[1] ? ", " : " or ") : "", *c);
                }
                err_set(err, -EINVAL, "%s must be %s, not \"%s\"", shown, str_cstr(&all), text);
                const char *near = option_did_you_mean(text, o->choices);
                if (near)
                        err_hint(err, "did you mean %s?", near);
                return -EINVAL;
        }
        }
        return 0;
}

/* `--name`, `--name=value`, `--name value`. Returns how many further arguments were used. */
static int parse_long(struct options *o, int left, char **argv, struct err *err) {
        const char *name = argv[0] + 2, *equals = strchr(name, '=');
        size_t len = equals ? (size_t)(equals - name) : strlen(name);
        if (len == 4 && memcmp(name, "help", 4) == 0 && !equals) {
                o->help = true;
                return 0;
        }
        for (size_t i = 0; o->table[i].name; i++) {
                const struct option *spec = &o->table[i];
                if (strlen(spec->name) != len || memcmp(spec->name, name, len) != 0)
                        continue;
                AUTO(free) char *shown = xasprintf("--%s", spec->name);
                struct option_value *v = &o->values[i];
                if (spec->type == OPTION_SWITCH) {
                        v->count++;
                        v->on = true;
                        if (equals && streq(equals + 1, "false"))
                                v->on = false;
                        else if (equals && !streq(equals + 1, "true"))
                                return err_set(err, -EINVAL, "%s takes no value, or =true or =false, not \"%s\"", shown, equals + 1);
                        return 0;
                }
                if (!equals && left < 2) {
                        err_set(err, -EINVAL, "%s needs a value", shown);
                        err_hint(err, "%s %s: %s", shown, spec->value, spec->help);
                        return -EINVAL;
                }
                int r = take_value(spec, v, shown, equals ? equals + 1 : argv[1], err);
                return r < 0 ? r : !equals;
        }
        return unknown_option(o->table, name, len, err);
}

/* `-f`, `-fq`, `-n value`, `-nvalue`, `-n=value`. */
static int parse_short(struct options *o, int left, char **argv, struct err *err) {
        for (const char *p = argv[0] + 1; *p; p++) {
                size_t i = 0;
                while (o->table[i].name && o->table[i].letter != *p)
                        i++;
                const struct option *spec = &o->table[i];
                if (!spec->name && *p == 'h') {
                        o->help = true;
                        return 0;
                }
                if (!spec->name) {
                        err_set(err, -EINVAL, "unknown option -%c", *p);
                        if (p == argv[0] + 1 && p[1] && p[1] != '=')
                                err_hint(err, "long options begin with two dashes: -%s", argv[0]);
                        return -EINVAL;
                }
                if (spec->type == OPTION_SWITCH) {
                        o->values[i].count++;
                        o->values[i].on = true;
                        continue;
                }
                char shown[3] = {'-', *p, 0};
                const char *text = p[1] == '=' ? p + 2 : p[1] ? p + 1 : NULL;
                if (!text && left < 2) {
                        err_set(err, -EINVAL, "%s needs a value", shown);
                        err_hint(err, "%s %s: %s", shown, spec->value, spec->help);
                        return -EINVAL;
                }
                int r = take_value(spec, &o->values[i], shown, text ? text : argv[1], err);
                return r < 0 ? r : !text;
        }
        return 0;
}

int option_parse(const struct option *table, int argc, char **argv, bool stop_at_positional, struct options *ret, struct err *err) {
        AUTO(options) struct options o = {.table = table ? table : no_options};
        size_t count = 0;
        while (o.table[count].name)
                count++;
        o.values = xcalloc(count + 1, sizeof(*o.values));
        for (int i = 0; i < argc && !o.help; i++) {
                const char *a = argv[i];
                int r = 0;
                bool rest = streq(a, "--");
                if (rest || (stop_at_positional && (a[0] != '-' || !a[1]))) {
                        for (i += rest; i < argc; i++)
                                *vec_push(&o.args) = argv[i];
                        break;
                }
                if (a[0] != '-' || !a[1])
                        *vec_push(&o.args) = argv[i];
                else if (a[1] == '-')
                        r = parse_long(&o, argc - i, argv + i, err);
                else
                        r = parse_short(&o, argc - i, argv + i, err);
                if (r < 0)
                        return r;
                i += r;
        }
        for (size_t i = 0; i < count; i++)
                if (!o.values[i].count && o.table[i].otherwise && o.table[i].type != OPTION_SWITCH) {
                        int r = take_value(&o.table[i], &o.values[i], o.table[i].name, o.table[i].otherwise, err);
                        if (r < 0)
                                return r;
                        o.values[i].count = 0;
                }
        *vec_push(&o.args) = NULL;
        o.args.len--;
        *ret = o;
        o = (struct options){.table = no_options};
        return 0;
}

static const struct option_value *find(const struct options *o, const char *name) {
        for (size_t i = 0; o->table[i].name; i++)
                if (streq(o->table[i].name, name))
                        return &o->values[i];
        fprintf(stderr, "firesteel: bug: the option table has no --%s\n", name);
        abort();
}

bool option_given(const struct options *o, const char *name) { return find(o, name)->count > 0; }
bool option_on(const struct options *o, const char *name) { return find(o, name)->on; }
const char *option_str(const struct options *o, const char *name) { return find(o, name)->text; }
int64_t option_int(const struct options *o, const char *name) { return find(o, name)->number; }

size_t option_list(const struct options *o, const char *name, const char *const **ret) {
        const struct option_value *v = find(o, name);
        *ret = (const char *const *)v->list.items;
        return v->list.len;
}
