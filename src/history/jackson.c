#include "history/jackson.h"

#include <math.h>

#include "codec/ktime.h"
#include "spark/jformat.h"

static void newline(struct jackson *j) {
        static const char blanks[] = "\n                                                                ";
        size_t n = 1 + 2u * j->depth;
        str_append(j->out, blanks, n < sizeof(blanks) - 1 ? n : sizeof(blanks) - 1);
}

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

static void quoted(struct str *s, struct sv v) {
        static const char hex[] = "0123456789ABCDEF";
        const char *p = v.data, *end = v.data + v.len, *from = p;
        str_append(s, "\"", 1);
        for (; p < end; p++) {
                unsigned char c = (unsigned char)*p;
                if (c >= 0x20 && c != '"' && c != '\\')
                        continue;
                if (p > from)
                        str_append(s, from, (size_t)(p - from));
                from = p + 1;
                static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
                const char *at = c ? strchr(plain, c) : NULL;
                char esc[6] = {'\\', at ? letter[at - plain] : 'u', '0', '0', hex[c >> 4], hex[c & 15]};
                str_append(s, esc, at ? 2 : 6);
        }
        if (p > from)
                str_append(s, from, (size_t)(p - from));
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

void jackson_key(struct jackson *j, const char *key) { jackson_key_sv(j, sv_of(key)); }

void jackson_int(struct jackson *j, int64_t v) {
        char digits[24];
        size_t n = sizeof(digits);
        uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
        do {
                digits[--n] = (char)('0' + rest % 10);
                rest /= 10;
        } while (rest);
        if (v < 0)
                digits[--n] = '-';
        value(j);
        str_append(j->out, digits + n, sizeof(digits) - n);
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
        snprintf(ret, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%03dGMT", year, month, day, hour, minute, second, (int)part);
}

void jackson_date(struct jackson *j, int64_t ms) {
        char text[40];
        jackson_format_date(ms, text);
        jackson_string(j, sv_of(text));
}
