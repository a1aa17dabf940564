#include "spark/conf.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>

void spark_conf_init(struct spark_conf *c, struct spark_version version) {
        *c = (struct spark_conf){.entries = MAP_INIT(free), .version = version};
}

void spark_conf_done(struct spark_conf *c) {
        map_done(&c->entries);
        arena_done(&c->arena);
}

void conf_copy(struct spark_conf *dst, const struct spark_conf *src) {
        dst->version = src->version;
        dst->env = src->env;
        dst->user = src->user;
        conf_foreach(e, src) map_set(&dst->entries, e->key, xstrdup(e->value));
}

const char *conf_get(const struct spark_conf *c, const char *key) {
        const char *value = map_get(&c->entries, key);
        if (value)
                return value;
        const struct spark_key *k = spark_key_in(c->version.line, key);
        return k && k->alternative ? map_get(&c->entries, k->alternative) : NULL;
}

bool conf_has(const struct spark_conf *c, const char *key) { return conf_get(c, key) != NULL; }
void conf_set(struct spark_conf *c, const char *key, const char *value) { map_set(&c->entries, key, xstrdup(value)); }
void conf_remove(struct spark_conf *c, const char *key) { map_remove(&c->entries, key); }

void conf_set_missing(struct spark_conf *c, const char *key, const char *value) {
        if (!map_has(&c->entries, key))
                conf_set(c, key, value);
}

const char *key_after(const char *key, const char *prefix) {
        size_t n = strlen(prefix);
        return strncmp(key, prefix, n) == 0 ? key + n : NULL;
}

/* --- Java's numbers --- */

bool java_parse_long(const char *text, int64_t *ret) {
        const char *p = text;
        bool negative = *p == '-';
        if (*p == '-' || *p == '+')
                p++;
        if (!*p)
                return false;
        uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, n = 0;
        for (; *p; p++) {
                if (!isdigit((unsigned char)*p))
                        return false;
                unsigned digit = (unsigned)(*p - '0');
                if (n > (limit - digit) / 10)
                        return false;
                n = n * 10 + digit;
        }
        *ret = negative ? (int64_t)(0 - n) : (int64_t)n;
        return true;
}

bool java_parse_int(const char *text, int *ret) {
        int64_t n;
        if (!java_parse_long(text, &n) || n < INT_MIN || n > INT_MAX)
                return false;
        *ret = (int)n;
        return true;
}

bool java_parse_double(const char *text, double *ret) {
        struct sv v = sv_trim(sv_of(text));
        const char *p = v.data, *end = v.data + v.len;
        if (p < end && (*p == '-' || *p == '+'))
                p++;
        bool special = sv_eq(sv_new(p, (size_t)(end - p)), SV("NaN")) || sv_eq(sv_new(p, (size_t)(end - p)), SV("Infinity"));
        if (end - p > 2 && p[0] == '0' &&
            (p[1] | 0x20) == 'x') { /* digits with at most one point, a binary exponent, which is not optional as in C */
                const char *q = p + 2, *first = q;
                while (q < end && (isxdigit((unsigned char)*q) || *q == '.'))
                        q++;
                if (q == first || q == end || (*q | 0x20) != 'p')
                        return false;
                if (end[-1] == 'd' || end[-1] == 'D' || end[-1] == 'f' || end[-1] == 'F')
                        end--;
        } else if (!special) {
                if (p < end && (end[-1] == 'd' || end[-1] == 'D' || end[-1] == 'f' || end[-1] == 'F'))
                        end--;
                bool digits = false;
                for (const char *q = p; q < end; q++) {
                        if (isdigit((unsigned char)*q))
                                digits = true;
                        else if (*q != '.' && !(digits && (*q == 'e' || *q == 'E')) &&
                                 !((*q == '-' || *q == '+') && q > p && (q[-1] | 0x20) == 'e'))
                                return false; /* strtod() would take inf, nan and hexadecimal too */
                }
                if (!digits)
                        return false;
        }
        AUTO(free) char *copy = xstrndup(v.data, (size_t)(end - v.data));
        char *stop;
        double d = strtod(copy, &stop);
        if (*stop)
                return false;
        *ret = d;
        return true;
}

void java_format_double(double value, char ret[32]) {
        if (isnan(value) || isinf(value)) {
                snprintf(ret, 32, "%s", isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
                return;
        }
        char digits[32];
        int precision = 0;
        do
                snprintf(digits, sizeof(digits), "%.*e", precision, value);
        while (strtod(digits, NULL) != value && ++precision < 17);
        /* digits is d[.ddd]e+XX */
        int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
        if (value == 0 || (exponent >= -3 && exponent < 7)) {
                int decimals = precision - exponent;
                snprintf(ret, 32, "%.*f", decimals < 1 ? 1 : decimals, value);
                return;
        }
        *strchr(digits, 'e') = 0;
        snprintf(ret, 32, "%.24s%sE%d", digits, strchr(digits, '.') ? "" : ".0", exponent);
}

/* --- units --- */

static bool split_unit(const char *text, bool sign, int64_t *ret, char suffix[8]) {
        struct sv v = sv_trim(sv_of(text));
        size_t n = sign && v.len && v.data[0] == '-' ? 1 : 0, first = n;
        while (n < v.len && isdigit((unsigned char)v.data[n]))
                n++;
        if (n == first || v.len - n >= 8)
                return false;
        AUTO(free) char *number = xstrndup(v.data, n);
        if (!java_parse_long(number, ret))
                return false;
        for (size_t i = n; i < v.len; i++) {
                if (!isalpha((unsigned char)v.data[i]))
                        return false;
                suffix[i - n] = (char)tolower((unsigned char)v.data[i]);
        }
        suffix[v.len - n] = 0;
        return true;
}

static const struct {
        const char *suffix;
        int shift;
} byte_suffixes[] = {{"b", 0},   {"k", 10}, {"kb", 10}, {"m", 20}, {"mb", 20}, {"g", 30},
                     {"gb", 30}, {"t", 40}, {"tb", 40}, {"p", 50}, {"pb", 50}};

int spark_parse_bytes(const char *text, enum spark_key_unit unit, int64_t *ret, struct err *err) {
        static const char *const form =
                "Size must be specified as bytes (b), kibibytes (k), mebibytes (m), gibibytes (g), tebibytes (t), or "
                "pebibytes(p). E.g. 50b, 100k, or 250m.";
        char suffix[8];
        int64_t n;
        int unit_shift = unit == SPARK_UNIT_MIB ? 20 : unit == SPARK_UNIT_KIB ? 10 : 0;
        if (!split_unit(text, false, &n, suffix))
                return err_set(err, -EINVAL, "%s\n%s: %s", form,
                               strchr(text, '.') ? "Fractional values are not supported. Input was" : "Failed to parse byte string", text);
        int shift = *suffix ? -1 : unit_shift;
        for (size_t i = 0; i < ARRAY_LEN(byte_suffixes); i++)
                if (streq(suffix, byte_suffixes[i].suffix))
                        shift = byte_suffixes[i].shift;
        if (shift < 0)
                return err_set(err, -EINVAL, "%s\nInvalid suffix: \"%s\"", form, suffix);
        if (shift > unit_shift && n > INT64_MAX >> (shift - unit_shift))
                return err_set(err, -EINVAL, "Conversion of %s exceeds %lld", text, (long long)INT64_MAX);
        *ret = shift >= unit_shift ? n << (shift - unit_shift) : n >> (unit_shift - shift);
        return 0;
}

static const struct {
        const char *suffix;
        int64_t us;
} time_suffixes[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000}};

static int64_t time_unit_us(enum spark_key_unit unit) {
        return unit == SPARK_UNIT_US ? 1 : unit == SPARK_UNIT_SECONDS ? 1000000 : unit == SPARK_UNIT_MINUTES ? 60000000 : 1000;
}

int spark_parse_time(const char *text, enum spark_key_unit unit, int64_t *ret, struct err *err) {
        static const char *const form =
                "Time must be specified as seconds (s), milliseconds (ms), microseconds (us), minutes (m or min), hour (h), "
                "or day (d). E.g. 50s, 100ms, or 250us.";
        char suffix[8];
        int64_t n, own = time_unit_us(unit);
        if (!split_unit(text, true, &n, suffix))
                return err_set(err, -EINVAL, "%s\nFailed to parse time string: %s", form, text);
        int64_t given = *suffix ? 0 : own;
        for (size_t i = 0; i < ARRAY_LEN(time_suffixes); i++)
                if (streq(suffix, time_suffixes[i].suffix))
                        given = time_suffixes[i].us;
        if (given == 0)
                return err_set(err, -EINVAL, "%s\nInvalid suffix: \"%s\"", form, suffix);
        if (given <= own) {
                *ret = n / (own / given);
                return 0;
        }
        int64_t factor = given / own;
        *ret = n > INT64_MAX / factor ? INT64_MAX : n < INT64_MIN / factor ? INT64_MIN : n * factor;
        return 0;
}

void spark_string_to_seq(const char *text, struct strv *ret) {
        struct sv rest = sv_of(text), part;
        while (sv_split(&rest, ',', &part)) {
                part = sv_trim(part);
                if (part.len)
                        strv_add_n(ret, part.data, part.len);
        }
}

void java_split(const char *text, char separator, struct strv *ret) {
        strv_split(ret, text, separator);
        while (ret->len > 1 && ret->items[ret->len - 1][0] == 0) {
                free(ret->items[--ret->len]);
                ret->items[ret->len] = NULL;
        }
}

/* --- references --- */

enum { MAX_REFERENCES = 32 };
struct reference {
        const struct reference *outer;
        struct sv name;
};

static int substitute(struct spark_conf *c, const char *text, const struct reference *used, int depth, struct str *out, struct err *err);

/* The text a reference stands for; NULL when it stands for nothing known. */
static const char *reference_value(struct spark_conf *c, struct sv prefix, const char *name) {
        if (prefix.data == NULL) {
                if (!str_starts(name, "spark."))
                        return NULL;
                const char *value = conf_get(c, name);
                for (int hops = 0; !value && hops < 4; hops++) { /* a default may be another key's value */
                        const struct spark_key *k = spark_key_in(c->version.line, name);
                        const char *otherwise = k ? spark_key_default(k, c->version.line) : NULL;
                        if (!otherwise || otherwise[0] != '=')
                                return otherwise;
                        name = otherwise + 1;
                        value = conf_get(c, name);
                }
                return value;
        }
        if (sv_eq(prefix, SV("env")))
                return c->env ? map_get(c->env, name) : NULL;
        if (!sv_eq(prefix, SV("system")))
                return NULL;
        if (streq(name, "user.name"))
                return c->user;
        if (streq(name, "user.home"))
                return c->env ? map_get(c->env, "HOME") : NULL;
        return streq(name, "java.io.tmpdir") ? "/tmp" : streq(name, "os.name") ? "Linux" : NULL;
}

/* At "${": the parts of ${[prefix:]name}; false when it is not a reference. */
static bool scan_reference(const char *at, struct sv *prefix, struct sv *name, const char **end) {
        const char *p = at + 2, *word = p;
        while (isalnum((unsigned char)*word) || *word == '_')
                word++;
        for (int with_prefix = word > p && *word == ':'; with_prefix >= 0; with_prefix--) {
                const char *from = with_prefix ? word + 1 : p, *q = from;
                while (*q && !isspace((unsigned char)*q) && !(*q == '}' && q > from))
                        q++;
                if (*q != '}' || q == from)
                        continue;
                *prefix = with_prefix ? sv_new(p, (size_t)(word - p)) : SV_NULL;
                *name = sv_new(from, (size_t)(q - from));
                *end = q + 1;
                return true;
        }
        return false;
}

static int substitute(struct spark_conf *c, const char *text, const struct reference *used, int depth, struct str *out, struct err *err) {
        const char *p = text;
        for (;;) {
                const char *at = strstr(p, "${"), *end;
                struct sv prefix, name;
                if (!at) {
                        str_append_s(out, p);
                        return 0;
                }
                str_append(out, p, (size_t)(at - p));
                if (!scan_reference(at, &prefix, &name, &end)) {
                        str_append(out, at, 2);
                        p = at + 2;
                        continue;
                }
                struct reference own = {used, sv_new(at + 2, (size_t)(end - 1 - (at + 2)))};
                for (const struct reference *r = used; r; r = r->outer)
                        if (sv_eq(r->name, own.name))
                                return err_set(err, -EINVAL, "requirement failed: Circular reference in %s: %.*s", text, SV_ARG(own.name));
                AUTO(free) char *key = sv_dup(name);
                const char *value = depth < MAX_REFERENCES ? reference_value(c, prefix, key) : NULL;
                if (value) {
                        int r = substitute(c, value, &own, depth + 1, out, err);
                        if (r < 0)
                                return r;
                } else {
                        str_append(out, at, (size_t)(end - at));
                }
                if (str_overflowed(out))
                        return err_set(err, -E2BIG, "the value grows beyond %zu bytes by its ${...} references", out->max);
                p = end;
        }
}

enum { MAX_SUBSTITUTED = 1024 * 1024 };

int conf_substitute(struct spark_conf *c, const char *text, const char **ret, struct err *err) {
        if (!strstr(text, "${")) {
                *ret = text;
                return 0;
        }
        AUTO(str) struct str out = STR_INIT(MAX_SUBSTITUTED);
        int r = substitute(c, text, NULL, 0, &out, err);
        if (r < 0)
                return r;
        *ret = arena_sv(&c->arena, str_sv(&out));
        return 0;
}

/* --- entries --- */

/* For a value of the wrong kind. `what` is the kind in 4.1's words; `why` the parser's message, which 3.5 shows as it is. */
static int type_error(const struct spark_conf *c, const char *key, const char *value, const char *what, const char *why, struct err *err) {
        if (spark_features(c->version.line)->error_classes)
                return err_set(
                        err, -EINVAL,
                        "[INVALID_CONF_VALUE.TYPE_MISMATCH] The value '%s' in the config \"%s\" is invalid. It should be a/an '%s' value. SQLSTATE: 22022",
                        value, key, what);
        if (why)
                return err_set(err, -EINVAL, "%s", why);
        return err_set(err, -EINVAL, "%s should be %s, but was %s", key, what, value);
}

static int requirement_error(const struct spark_conf *c, const struct spark_key *k, const char *value, struct err *err) {
        const char *why = k->requirement                 ? k->requirement
                          : k->min == SPARK_MIN_POSITIVE ? "It must be positive."
                                                         : "It must not be negative.";
        if (spark_features(c->version.line)->error_classes)
                return err_set(err, -EINVAL,
                               "[INVALID_CONF_VALUE.REQUIREMENT] The value '%s' in the config \"%s\" is invalid. %s SQLSTATE: 22022", value,
                               k->name, why);
        return err_set(err, -EINVAL, "'%s' in %s is invalid. %s", value, k->name, why);
}

static bool is_one_of(const char *value, const char *values) {
        struct sv rest = sv_of(values);
        while (rest.data) {
                ssize_t at = sv_find(rest, SV(", "));
                struct sv one = at < 0 ? rest : sv_new(rest.data, (size_t)at);
                if (sv_eqs(one, value))
                        return true;
                rest = at < 0 ? SV_NULL : sv_new(rest.data + at + 2, rest.len - (size_t)at - 2);
        }
        return false;
}

static int options_error(const struct spark_conf *c, const struct spark_key *k, const char *value, struct err *err) {
        if (spark_features(c->version.line)->error_classes)
                return err_set(
                        err, -EINVAL,
                        "[INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS] The value '%s' in the config \"%s\" is invalid. It should be one of '%s'. SQLSTATE: "
                        "22022",
                        value, k->name, k->values);
        return err_set(err, -EINVAL, "The value of %s should be one of %s, but was %s", k->name, k->values, value);
}

/* The substituted text of an entry, or its default. */
static int entry_text(struct spark_conf *c, const char *key, const struct spark_key **ret_key, const char **ret, struct err *err) {
        for (int hops = 0; hops < 4; hops++) {
                const struct spark_key *k = spark_key_in(c->version.line, key);
                const char *text = conf_get(c, key);
                *ret_key = k;
                if (!text && k) {
                        text = spark_key_default(k, c->version.line);
                        if (text && text[0] == '=') {
                                key = text + 1;
                                continue;
                        }
                }
                if (!text) {
                        *ret = NULL;
                        return 0;
                }
                return conf_substitute(c, text, ret, err);
        }
        *ret = NULL;
        return 0;
}

int conf_string(struct spark_conf *c, const char *key, const char **ret, struct err *err) {
        const struct spark_key *k;
        const char *text;
        int r = entry_text(c, key, &k, &text, err);
        if (r < 0)
                return r;
        if (text && k && k->values && !k->upper && !is_one_of(text, k->values))
                return options_error(c, k, text, err);
        *ret = text;
        return 0;
}

int conf_bool(struct spark_conf *c, const char *key, bool *ret, struct err *err) {
        const struct spark_key *k;
        const char *text;
        int r = entry_text(c, key, &k, &text, err);
        if (r < 0)
                return r;
        struct sv v = sv_trim(sv_of(text));
        if (text && !sv_ieq(v, SV("true")) && !sv_ieq(v, SV("false")))
                return type_error(c, key, text, "boolean", NULL, err);
        *ret = text && sv_ieq(v, SV("true"));
        return 0;
}

int conf_int(struct spark_conf *c, const char *key, int *ret, struct err *err) {
        const struct spark_key *k;
        const char *text;
        int r = entry_text(c, key, &k, &text, err);
        if (r < 0)
                return r;
        AUTO(free) char *trimmed = sv_dup(sv_trim(sv_of(text)));
        int n = 0;
        if (text && !java_parse_int(trimmed, &n))
                return type_error(c, key, text, "int", NULL, err);
        if (k && (n < 0 || (n == 0 && k->min == SPARK_MIN_POSITIVE)) && k->min != SPARK_MIN_NONE)
                return requirement_error(c, k, trimmed, err);
        *ret = n;
        return 0;
}

static const char *const unit_names[] = {
        [SPARK_UNIT_US] = "MICROSECONDS", [SPARK_UNIT_MS] = "MILLISECONDS", [SPARK_UNIT_SECONDS] = "SECONDS",
        [SPARK_UNIT_MINUTES] = "MINUTES", [SPARK_UNIT_BYTE] = "BYTE",       [SPARK_UNIT_KIB] = "KiB",
        [SPARK_UNIT_MIB] = "MiB",
};

int conf_long(struct spark_conf *c, const char *key, int64_t *ret, struct err *err) {
        const struct spark_key *k;
        const char *text;
        int r = entry_text(c, key, &k, &text, err);
        if (r < 0)
                return r;
        int64_t n = 0;
        if (text && k && (k->kind == SPARK_KEY_TIME || k->kind == SPARK_KEY_BYTES)) {
                bool is_time = k->kind == SPARK_KEY_TIME;
                AUTO(err) struct err why = ERR_INIT;
                bool negative = !is_time && text[0] == '-';
                r = is_time ? spark_parse_time(text, k->unit, &n, &why) : spark_parse_bytes(text + negative, k->unit, &n, &why);
                if (r < 0) {
                        char what[40];
                        snprintf(what, sizeof(what), "%s in %s", is_time ? "time" : "bytes",
                                 unit_names[k->unit] ? unit_names[k->unit] : "BYTE");
                        return type_error(c, key, text, what, err_message(&why), err);
                }
                n = negative ? -n : n;
        } else if (text) {
                AUTO(free) char *trimmed = sv_dup(sv_trim(sv_of(text)));
                if (!java_parse_long(trimmed, &n))
                        return type_error(c, key, text, "long", NULL, err);
        }
        if (text && k && k->min != SPARK_MIN_NONE && (n < 0 || (n == 0 && k->min == SPARK_MIN_POSITIVE))) {
                char number[32];
                snprintf(number, sizeof(number), "%lld", (long long)n);
                return requirement_error(c, k, number, err);
        }
        *ret = n;
        return 0;
}

int conf_double(struct spark_conf *c, const char *key, double *ret, struct err *err) {
        const struct spark_key *k;
        const char *text;
        int r = entry_text(c, key, &k, &text, err);
        if (r < 0)
                return r;
        double d = 0;
        if (text && !java_parse_double(text, &d))
                return type_error(c, key, text, "double", NULL, err);
        if (text && k && ((k->min == SPARK_MIN_POSITIVE && !(d > 0)) || (k->min == SPARK_MIN_ZERO && !(d >= 0)))) {
                char number[32];
                java_format_double(d, number);
                return requirement_error(c, k, number, err);
        }
        *ret = d;
        return 0;
}

int conf_list(struct spark_conf *c, const char *key, struct strv *ret, struct err *err) {
        const struct spark_key *k;
        const char *text;
        int r = entry_text(c, key, &k, &text, err);
        if (r < 0)
                return r;
        if (text)
                spark_string_to_seq(text, ret);
        return 0;
}

int conf_int_or(const struct spark_conf *c, const char *key, int otherwise, int *ret, struct err *err) {
        const char *text = conf_get(c, key);
        if (!text) {
                *ret = otherwise;
                return 0;
        }
        if (!java_parse_int(text, ret))
                return err_set(err, -EINVAL, "Illegal value for config key %s: For input string: \"%s\"", key, text);
        return 0;
}
