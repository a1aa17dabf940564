#include "codec/cron.h"

#include "codec/ktime.h"

struct field {
        int min, max;
        const char *names; /* three letters each, the first is min; NULL = none */
};

static const struct field fields[] = {
        {0, 59, NULL},
        {0, 23, NULL},
        {1, 31, NULL},
        {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
        {0, 6, "sunmontuewedthufrisat"},
};

static const struct {
        const char *name, *schedule;
} descriptors[] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
        {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

/* A number or a name; the message is that of Go's Atoi. */
static int read_number(const struct field *f, struct sv v, int64_t *ret, struct err *err) {
        if (f->names && v.len == 3) {
                for (int i = 0; f->names[i * 3]; i++)
                        if (sv_ieq(v, sv_new(f->names + i * 3, 3))) {
                                *ret = f->min + i;
                                return 0;
                        }
        }
        if (!sv_to_int64(v.len && *v.data == '+' ? sv_new(v.data + 1, v.len - 1) : v, ret)) {
                size_t digits = v.len && (*v.data == '-' || *v.data == '+');
                while (digits < v.len && v.data[digits] >= '0' && v.data[digits] <= '9')
                        digits++;
                return err_set(err, -EINVAL, "failed to parse int from %.*s: strconv.Atoi: parsing \"%.*s\": %s", SV_ARG(v), SV_ARG(v),
                               digits > 1 && digits == v.len ? "value out of range" : "invalid syntax");
        }
        if (*ret < 0)
                return err_set(err, -EINVAL, "negative number (%lld) not allowed: %.*s", (long long)*ret, SV_ARG(v));
        return 0;
}

/* `*`, `n`, `a-b`, each with `/step`. */
static int read_range(const struct field *f, struct sv expr, uint64_t *bits, bool *ret_star, struct err *err) {
        ssize_t slash = sv_find_char(expr, '/');
        struct sv range = slash < 0 ? expr : sv_new(expr.data, (size_t)slash);
        struct sv step_text = slash < 0 ? SV_NULL : sv_new(expr.data + slash + 1, expr.len - (size_t)slash - 1);
        int64_t from, to, step = 1;
        int r = 0;
        if (sv_eq(range, SV("*")) || sv_eq(range, SV("?"))) {
                from = f->min;
                to = f->max;
                *ret_star = slash < 0 || *ret_star;
        } else {
                ssize_t dash = sv_find_char(range, '-');
                struct sv low = dash < 0 ? range : sv_new(range.data, (size_t)dash),
                          high = dash < 0 ? range : sv_new(range.data + dash + 1, range.len - (size_t)dash - 1);
                r = read_number(f, low, &from, err);
                if (r == 0 && sv_find_char(high, '-') >= 0 && dash >= 0)
                        return err_set(err, -EINVAL, "too many hyphens: %.*s", SV_ARG(expr));
                if (r == 0)
                        r = read_number(f, high, &to, err);
                if (r < 0)
                        return r;
                if (dash < 0 && slash >= 0)
                        to = f->max; /* n/step: from n on */
        }
        if (sv_find_char(step_text, '/') >= 0)
                return err_set(err, -EINVAL, "too many slashes: %.*s", SV_ARG(expr));
        r = slash < 0 ? 0 : read_number(&(struct field){0}, step_text, &step, err);
        if (r < 0)
                return r;
        if (from < f->min)
                return err_set(err, -EINVAL, "beginning of range (%lld) below minimum (%d): %.*s", (long long)from, f->min, SV_ARG(expr));
        if (to > f->max)
                return err_set(err, -EINVAL, "end of range (%lld) above maximum (%d): %.*s", (long long)to, f->max, SV_ARG(expr));
        if (from > to)
                return err_set(err, -EINVAL, "beginning of range (%lld) beyond end of range (%lld): %.*s", (long long)from, (long long)to,
                               SV_ARG(expr));
        if (step == 0)
                return err_set(err, -EINVAL, "step of range should be a positive number: %.*s", SV_ARG(expr));
        for (int64_t i = from; i <= to; i += step)
                *bits |= UINT64_C(1) << i;
        return 0;
}

static int read_field(const struct field *f, struct sv text, uint64_t *ret_bits, bool *ret_star, struct err *err) {
        struct sv part;
        *ret_bits = 0;
        *ret_star = false;
        while (sv_split(&text, ',', &part)) {
                if (!part.len)
                        continue;
                int r = read_range(f, part, ret_bits, ret_star, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* As Go's ParseDuration says it. */
static int bad_duration(struct sv text, struct err *err) {
        static const char units[][3] = {"ns", "us", "ms", "s", "m", "h"};
        size_t at = text.len && (*text.data == '-' || *text.data == '+'), end;
        bool has_digits = false;
        for (end = at; end < text.len && ((text.data[end] >= '0' && text.data[end] <= '9') || text.data[end] == '.'); end++)
                has_digits |= text.data[end] != '.';
        struct sv unit = sv_new(text.data + end, text.len - end);
        for (size_t i = 0; i < unit.len; i++) {
                if (unit.data[i] == '.' || (unit.data[i] >= '0' && unit.data[i] <= '9')) {
                        unit.len = i;
                        break;
                }
        }
        bool is_known = false;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
                is_known |= sv_eqs(unit, units[i]);
        if (has_digits && !unit.len)
                return err_set(err, -EINVAL, "failed to parse duration @every %.*s: time: missing unit in duration \"%.*s\"", SV_ARG(text),
                               SV_ARG(text));
        if (has_digits && !is_known)
                return err_set(err, -EINVAL, "failed to parse duration @every %.*s: time: unknown unit \"%.*s\" in duration \"%.*s\"",
                               SV_ARG(text), SV_ARG(unit), SV_ARG(text));
        return err_set(err, -EINVAL, "failed to parse duration @every %.*s: time: invalid duration \"%.*s\"", SV_ARG(text), SV_ARG(text));
}

static int parse_every(struct sv text, struct cron *ret, struct err *err) {
        int64_t ms;
        if (!duration_parse(text, &ms))
                return bad_duration(text, err);
        *ret = (struct cron){.every_s = ms < 1000 ? 1 : ms / 1000};
        return 0;
}

int cron_parse(struct sv text, struct cron *ret, struct err *err) {
        struct sv words[6], rest = sv_trim(text);
        size_t n = 0;
        if (!rest.len)
                return err_set(err, -EINVAL, "empty spec string");
        if (sv_starts(rest, SV("@every ")))
                return parse_every(sv_new(rest.data + 7, rest.len - 7), ret, err);
        if (rest.data[0] == '@') {
                for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
                        if (sv_eqs(rest, descriptors[i].name))
                                return cron_parse(sv_of(descriptors[i].schedule), ret, err);
                return err_set(err, -EINVAL, "unrecognized descriptor: %.*s", SV_ARG(rest));
        }
        while (rest.len) {
                size_t len = 0;
                while (len < rest.len && rest.data[len] != ' ' && rest.data[len] != '\t')
                        len++;
                if (n < 6)
                        words[n] = sv_new(rest.data, len);
                n++;
                rest = sv_trim(sv_new(rest.data + len, rest.len - len));
        }
        if (n != 5)
                return err_set(err, -EINVAL, "expected exactly 5 fields, found %zu: [%.*s]", n, SV_ARG(text));
        struct cron c = {0};
        uint64_t *const bits[] = {&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays};
        for (size_t i = 0; i < 5; i++) {
                bool star;
                int r = read_field(&fields[i], words[i], bits[i], &star, err);
                if (r < 0)
                        return r;
                c.any_day |= i == 2 && star;
                c.any_weekday |= i == 4 && star;
        }
        *ret = c;
        return 0;
}

static bool day_matches(const struct cron *c, int day, int weekday) {
        bool by_day = c->days >> day & 1, by_weekday = c->weekdays >> weekday & 1;
        return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

int64_t cron_next(const struct cron *c, int64_t after_s) {
        enum { DAY = 86400, YEARS = 5 * 366 };
        if (c->every_s)
                return after_s + c->every_s;
        int64_t t = after_s - ((after_s % 60) + 60) % 60 + 60;
        for (int days = 0; days <= YEARS;) {
                int year, month, day, hour, minute, second, weekday;
                ktime_to_civil(t, &year, &month, &day, &hour, &minute, &second, &weekday);
                if (!(c->months >> month & 1) || !day_matches(c, day, weekday)) {
                        t += DAY - hour * 3600 - minute * 60;
                        days++;
                } else if (!(c->hours >> hour & 1)) {
                        t += 3600 - minute * 60;
                } else if (!(c->minutes >> minute & 1)) {
                        t += 60;
                } else {
                        return t;
                }
        }
        return -1;
}
