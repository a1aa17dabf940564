#include "spark/properties.h"

#include <ctype.h>

#include "codec/ktime.h"
#include "spark/text.h"

struct reader {
        const char *p, *end;
        int line;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

static void skip_blanks(struct reader *in) {
        while (in->p < in->end && is_blank(*in->p))
                in->p++;
}

/* Past "\n", "\r" or "\r\n". */
static void skip_newline(struct reader *in) {
        if (in->p < in->end && *in->p == '\r')
                in->p++;
        else if (in->p < in->end && *in->p == '\n') {
                in->p++;
                in->line++;
                return;
        }
        if (in->p < in->end && *in->p == '\n')
                in->p++;
        in->line++;
}

static bool at_newline(const struct reader *in) { return *in->p == '\n' || *in->p == '\r'; }

/* A logical line: continuations joined, escapes still in place. False at the end of the text. */
static bool logical_line(struct reader *in, struct str *out, int *ret_number) {
        for (;;) {
                skip_blanks(in);
                if (in->p >= in->end)
                        return false;
                if (at_newline(in)) {
                        skip_newline(in);
                        continue;
                }
                if (*in->p != '#' && *in->p != '!')
                        break;
                while (in->p < in->end && !at_newline(in))
                        in->p++;
        }
        *ret_number = in->line;
        str_clear(out);
        bool escaped = false;
        while (in->p < in->end) {
                if (!at_newline(in)) {
                        escaped = *in->p == '\\' && !escaped;
                        str_append_c(out, *in->p++);
                        continue;
                }
                skip_newline(in);
                if (!escaped)
                        return true;
                str_truncate(out, out->len - 1);
                escaped = false;
                skip_blanks(in);
        }
        if (escaped) /* a backslash at the end of the text joins nothing */
                str_truncate(out, out->len - 1);
        return true;
}

static bool hex4(const char *p, const char *end, uint32_t *ret) {
        uint32_t n = 0;
        if (end - p < 4)
                return false;
        for (int i = 0; i < 4; i++) {
                if (!isxdigit((unsigned char)p[i]))
                        return false;
                n = n * 16 + (uint32_t)(isdigit((unsigned char)p[i]) ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
        }
        *ret = n;
        return true;
}

static int unescape(const char *p, const char *end, struct str *out, int line, struct err *err) {
        while (p < end) {
                if (*p != '\\' || p + 1 >= end) {
                        str_append_c(out, *p++);
                        continue;
                }
                char c = p[1];
                p += 2;
                if (c != 'u') {
                        str_append_c(out, c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c);
                        continue;
                }
                uint32_t unit, low;
                if (!hex4(p, end, &unit))
                        return err_set(err, -EINVAL, "line %d: Malformed \\uxxxx encoding.", line);
                p += 4;
                bool pair = unit >= 0xd800 && unit < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex4(p + 2, end, &low) &&
                            low >= 0xdc00 && low < 0xe000;
                if (pair) {
                        p += 6;
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                } else if (unit >= 0xd800 && unit < 0xe000) {
                        unit = 0xfffd;
                }
                if (unit) /* C strings cannot hold U+0000; no configuration needs it */
                        str_append_utf8(out, unit);
        }
        return 0;
}

int properties_parse(struct sv text, struct map *ret, struct err *err) {
        AUTO(str) struct str clean = STR_INIT(0);
        if (!sv_is_utf8(text) || memchr(text.data ? text.data : "", 0, text.len)) {
                str_append_as_utf8(&clean, text);
                for (size_t i = 0; i < clean.len; i++)
                        if (clean.data[i] == 0)
                                clean.data[i] = ' ';
                text = str_sv(&clean);
        }
        struct reader in = {text.data, text.data + text.len, 1};
        AUTO(str) struct str line = STR_INIT(0);
        AUTO(str) struct str key = STR_INIT(0);
        AUTO(str) struct str value = STR_INIT(0);
        int number;
        while (logical_line(&in, &line, &number)) {
                const char *p = str_cstr(&line), *end = p + line.len, *q = p;
                while (q < end && !is_blank(*q) && *q != '=' && *q != ':')
                        q += *q == '\\' && q + 1 < end ? 2 : 1;
                const char *v = q;
                while (v < end && is_blank(*v))
                        v++;
                if (v < end && (*v == '=' || *v == ':'))
                        for (v++; v < end && is_blank(*v);)
                                v++;
                str_clear(&key);
                str_clear(&value);
                int r = unescape(p, q, &key, number, err);
                if (r < 0)
                        return r;
                r = unescape(v, end, &value, number, err);
                if (r < 0)
                        return r;
                map_set_n(ret, str_cstr(&key), key.len, xstrndup(str_cstr(&value), value.len));
        }
        return 0;
}

static void append_escaped(struct str *out, const char *text, bool is_key) {
        for (const char *p = text; *p; p++) {
                switch (*p) {
                case ' ':
                        if (p == text || is_key)
                                str_append_c(out, '\\');
                        str_append_c(out, ' ');
                        break;
                case '\t':
                        str_append_s(out, "\\t");
                        break;
                case '\n':
                        str_append_s(out, "\\n");
                        break;
                case '\r':
                        str_append_s(out, "\\r");
                        break;
                case '\f':
                        str_append_s(out, "\\f");
                        break;
                case '=':
                case ':':
                case '#':
                case '!':
                case '\\':
                        str_append_c(out, '\\');
                        str_append_c(out, *p);
                        break;
                default:
                        str_append_c(out, *p);
                }
        }
}

void properties_append(struct str *out, const char *key, const char *value) {
        append_escaped(out, key, true);
        str_append_c(out, '=');
        append_escaped(out, value, false);
        str_append_c(out, '\n');
}

void properties_append_header(struct str *out, const char *comment, int64_t time_ms) {
        static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        int year, month, day, hour, minute, second, weekday;
        ktime_to_civil(time_ms / 1000, &year, &month, &day, &hour, &minute, &second, &weekday);
        str_appendf(out, "#%s\n#%s %s %02d %02d:%02d:%02d UTC %d\n", comment, days[weekday % 7], months[(month + 11) % 12], day, hour,
                    minute, second, year);
}
