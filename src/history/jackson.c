#include "history/jackson.h"

#include <math.h>

#include "codec/ktime.h"
#include "spark/jformat.h"

/* Room for n bytes behind the text; what is written there becomes text with put_end(). NULL past the buffer's limit. */
static inline char *put_begin(struct str *s, size_t n) {
        if (s->cap - s->len <= n && !str_reserve(s, n)) /* cap is 0 while there is no memory */
                return NULL;
        return s->data + s->len;
}

static inline void put_end(struct str *s, const char *end) {
        s->len = (size_t)(end - s->data);
        s->data[s->len] = '\0';
}

static inline char *copy(char *to, const char *from, size_t n) {
        memcpy(to, from, n);
        return to + n;
}

static const char blanks[] = "\n                                                                ";

static inline size_t indent(const struct jackson *j) {
        size_t n = 1 + 2u * j->depth;
        return n < sizeof(blanks) - 1 ? n : sizeof(blanks) - 1;
}

static void newline(struct jackson *j) { str_append(j->out, blanks, indent(j)); }

/* In front of a value: nothing after a key, else the separator of an array. */
static void value(struct jackson *j) {
        if (j->after_key) {
                j->after_key = false;
                return;
        }
        if (j->has_items)
                str_append(j->out, ", ", 2);
        j->has_items = true;
}

/* `has_items` of the containers around needs no stack: what ends is an item of what surrounds it. */
void jackson_object(struct jackson *j) {
        value(j);
        str_append(j->out, "{", 1);
        j->depth++;
        j->has_items = false;
}

void jackson_end_object(struct jackson *j) {
        j->depth--;
        if (j->has_items)
                newline(j);
        else
                str_append(j->out, " ", 1);
        str_append(j->out, "}", 1);
        j->has_items = true;
}

void jackson_array(struct jackson *j) {
        value(j);
        str_append(j->out, "[ ", 2);
        j->has_items = false;
}

void jackson_end_array(struct jackson *j) {
        if (j->has_items)
                str_append(j->out, " ]", 2);
        else
                str_append(j->out, "]", 1);
        j->has_items = true;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Has one of eight bytes to be escaped: below a blank, a quote or a backslash? */
static inline bool has_special(uint64_t v) {
        uint64_t quote = v ^ EACH('"'), slash = v ^ EACH('\\');
        return (((v - EACH(0x20)) & ~v) | ((quote - EACH(1)) & ~quote) | ((slash - EACH(1)) & ~slash)) & EACH(0x80);
}

/* Where the first byte to be escaped may be: at or before it, never behind. */
static size_t clean_prefix(const char *p, size_t n) {
        size_t i = 0;
        uint64_t v;
        for (; i + sizeof(v) <= n; i += sizeof(v)) {
                memcpy(&v, p + i, sizeof(v));
                if (has_special(v))
                        break;
        }
        return i;
}

static char *escape(char *to, unsigned char c) {
        static const char hex[] = "0123456789ABCDEF", plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
        const char *at = c ? strchr(plain, c) : NULL;
        *to++ = '\\';
        if (at) {
                *to++ = letter[at - plain];
                return to;
        }
        to = copy(to, "u00", 3);
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
        return to;
}

static char *escaped(char *to, struct sv v) {
        for (size_t i = 0; i < v.len;) {
                size_t clean = clean_prefix(v.data + i, v.len - i);
                to = copy(to, v.data + i, clean);
                i += clean;
                /* Eight bytes with something in them, or the last few. */
                for (size_t end = i + 8 < v.len ? i + 8 : v.len; i < end; i++) {
                        unsigned char c = (unsigned char)v.data[i];
                        if (c >= 0x20 && c != '"' && c != '\\')
                                *to++ = (char)c;
                        else
                                to = escape(to, c);
                }
        }
        return to;
}

/* In pieces, so that room for the worst case is not asked for long texts. */
static void quoted(struct str *s, struct sv v) {
        enum { PIECE = 4096, WORST = 6 };
        str_append(s, "\"", 1);
        while (v.len) {
                size_t n = v.len < PIECE ? v.len : PIECE;
                char *to = put_begin(s, n * WORST);
                if (!to)
                        return;
                put_end(s, escaped(to, sv_new(v.data, n)));
                v = sv_new(v.data + n, v.len - n);
        }
        str_append(s, "\"", 1);
}

void jackson_key_sv(struct jackson *j, struct sv key) {
        if (j->has_items)
                str_append(j->out, ",", 1);
        newline(j);
        quoted(j->out, key);
        str_append(j->out, " : ", 3);
        j->has_items = true;
        j->after_key = true;
}

/* Names in the program's text need no escapes. `room` is for what follows the key; NULL past the buffer's limit. */
static inline char *put_key(struct jackson *j, const char *key, size_t room) {
        size_t n = strlen(key), blank = indent(j);
        char *to = put_begin(j->out, n + blank + 6 + room);
        if (!to)
                return NULL;
        if (j->has_items)
                *to++ = ',';
        to = copy(to, blanks, blank);
        *to++ = '"';
        to = copy(to, key, n);
        j->has_items = true;
        return copy(to, "\" : ", 4);
}

void jackson_key(struct jackson *j, const char *key) {
        char *to = put_key(j, key, 0);
        if (!to)
                return;
        put_end(j->out, to);
        j->after_key = true;
}

enum { INT_DIGITS = 20 }; /* with a sign */

static inline char *put_int(char *to, int64_t v) {
        char digits[INT_DIGITS];
        size_t n = sizeof(digits);
        uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
        if (rest < 10) { /* most are 0 */
                if (v < 0)
                        *to++ = '-';
                *to++ = (char)('0' + rest);
                return to;
        }
        do {
                digits[--n] = (char)('0' + rest % 10);
                rest /= 10;
        } while (rest);
        if (v < 0)
                digits[--n] = '-';
        return copy(to, digits + n, sizeof(digits) - n);
}

void jackson_int(struct jackson *j, int64_t v) {
        value(j);
        char *to = put_begin(j->out, INT_DIGITS);
        if (to)
                put_end(j->out, put_int(to, v));
}

void jackson_member_int(struct jackson *j, const char *key, int64_t v) {
        char *to = put_key(j, key, INT_DIGITS);
        if (to)
                put_end(j->out, put_int(to, v));
}

void jackson_bool(struct jackson *j, bool v) {
        value(j);
        str_append_s(j->out, v ? "true" : "false");
}

void jackson_double(struct jackson *j, double v) {
        value(j);
        if (!isfinite(v))
                str_append_c(j->out, '"');
        jformat_double(j->out, v);
        if (!isfinite(v))
                str_append_c(j->out, '"');
}

void jackson_string(struct jackson *j, struct sv v) {
        value(j);
        if (v.data)
                quoted(j->out, v);
        else
                str_append_s(j->out, "null");
}

void jackson_format_date(int64_t ms, char ret[40]) {
        int64_t seconds = ms / 1000, part = ms % 1000;
        if (part < 0) {
                part += 1000;
                seconds--;
        }
        int year, month, day, hour, minute, second, weekday;
        ktime_to_civil(seconds, &year, &month, &day, &hour, &minute, &second, &weekday);
        if (year < 0 || year > 9999) {
                snprintf(ret, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%03dGMT", year, month, day, hour, minute, second, (int)part);
                return;
        }
        static const char form[] = "0000-00-00T00:00:00.000GMT";
        const struct {
                int value, at, digits;
        } fields[] = {{year, 0, 4}, {month, 5, 2}, {day, 8, 2}, {hour, 11, 2}, {minute, 14, 2}, {second, 17, 2}, {(int)part, 20, 3}};
        memcpy(ret, form, sizeof(form));
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
                for (int v = fields[i].value, k = fields[i].digits; k-- > 0; v /= 10)
                        ret[fields[i].at + k] = (char)('0' + v % 10);
}

void jackson_date(struct jackson *j, int64_t ms) {
        char text[40];
        jackson_format_date(ms, text);
        jackson_string(j, sv_of(text));
}
