#include "spark/jformat.h"

#include <math.h>

/* The shortest digits that read back as v (> 0, finite): "d1d2...dn" and the power of ten of d1. */
static int shortest(double v, char digits[20], int *ret_exponent) {
        char text[40];
        for (int precision = 1; precision <= 17; precision++) {
                snprintf(text, sizeof(text), "%.*e", precision - 1, v);
                if (strtod(text, NULL) == v)
                        break;
        }
        int n = 0;
        char *e = strchr(text, 'e');
        for (char *p = text; p < e; p++)
                if (*p != '.')
                        digits[n++] = *p;
        *ret_exponent = (int)strtol(e + 1, NULL, 10);
        while (n > 1 && digits[n - 1] == '0')
                n--;
        digits[n] = 0;
        return n;
}

static bool special(struct str *s, double v) {
        if (isnan(v))
                str_append_s(s, "NaN");
        else if (isinf(v))
                str_append_s(s, v < 0 ? "-Infinity" : "Infinity");
        else
                return false;
        return true;
}

void jformat_double(struct str *s, double v) {
        if (special(s, v))
                return;
        if (signbit(v))
                str_append_c(s, '-');
        v = fabs(v);
        if (v == 0) {
                str_append_s(s, "0.0");
                return;
        }
        char d[20];
        int e, n = shortest(v, d, &e);
        if (e < -3 || e >= 7) {
                str_appendf(s, "%c.%sE%d", d[0], n > 1 ? d + 1 : "0", e);
                return;
        }
        if (e < 0) {
                str_append_s(s, "0.");
                for (int i = -1; i > e; i--)
                        str_append_c(s, '0');
                str_append_s(s, d);
                return;
        }
        for (int i = 0; i <= e; i++)
                str_append_c(s, i < n ? d[i] : '0');
        str_append_c(s, '.');
        str_append_s(s, n > e + 1 ? d + e + 1 : "0");
}

void jformat_fixed(struct str *s, double v, int decimals) {
        if (special(s, v))
                return;
        if (signbit(v))
                str_append_c(s, '-');
        v = fabs(v);
        char d[20] = "0";
        int e = 0, n = 1;
        if (v != 0)
                n = shortest(v, d, &e);
        /* All digits up to the last wanted decimal, most significant first, with a leading 0 for the carry. */
        char out[360];
        int whole = e >= 0 ? e + 1 : 1, total = whole + decimals;
        if (total > (int)sizeof(out) - 2)
                total = (int)sizeof(out) - 2;
        out[0] = '0';
        for (int i = 0; i <= total; i++) {
                int at = i - (e >= 0 ? 0 : -e); /* position within d */
                char digit = at >= 0 && at < n ? d[at] : '0';
                if (i < total) {
                        out[1 + i] = digit;
                } else if (digit >= '5') {
                        int k = total;
                        while (out[k] == '9')
                                out[k--] = '0';
                        out[k]++;
                }
        }
        int first = out[0] == '0' ? 1 : 0;
        str_append(s, out + first, (size_t)(whole + 1 - first));
        if (decimals) {
                str_append_c(s, '.');
                str_append(s, out + 1 + whole, (size_t)decimals);
        }
}

void jformat_grouped(struct str *s, int64_t v) {
        char digits[24];
        int n = snprintf(digits, sizeof(digits), "%llu", v < 0 ? 0ull - (unsigned long long)v : (unsigned long long)v);
        if (v < 0)
                str_append_c(s, '-');
        for (int i = 0; i < n; i++) {
                if (i && (n - i) % 3 == 0)
                        str_append_c(s, ',');
                str_append_c(s, digits[i]);
        }
}

void jformat_tenths(struct str *s, int64_t tenths) {
        if (tenths < 0 && tenths > -10)
                str_append_c(s, '-');
        jformat_grouped(s, tenths / 10);
        int64_t rest = tenths % 10;
        if (rest)
                str_appendf(s, ".%d", (int)(rest < 0 ? -rest : rest));
}

void jformat_bytes(struct str *s, int64_t bytes) {
        static const char *const units[] = {"EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"};
        int i = 0;
        while (i < 6 && (i == 0 ? bytes < (int64_t)2 << 60 : bytes < (int64_t)2 << (60 - 10 * i)))
                i++;
        jformat_fixed(s, (double)bytes / (double)((int64_t)1 << (60 - 10 * i)), 1);
        str_append_c(s, ' ');
        str_append_s(s, units[i]);
}

void jformat_duration(struct str *s, int64_t ms) {
        if (ms < 1000) {
                str_appendf(s, "%lld ms", (long long)ms);
        } else if (ms < 60 * 1000) {
                jformat_fixed(s, (double)((float)ms / 1000.0f), 1);
                str_append_s(s, " s");
        } else if (ms < 60 * 60 * 1000) {
                jformat_fixed(s, (double)((float)ms / 60000.0f), 1);
                str_append_s(s, " m");
        } else {
                jformat_fixed(s, (double)((float)ms / 3600000.0f), 2);
                str_append_s(s, " h");
        }
}

void jformat_ui_duration(struct str *s, int64_t ms) {
        double seconds = (double)ms / 1000, minutes = seconds / 60;
        if (ms < 100) {
                str_appendf(s, "%lld ms", (long long)ms);
        } else if (seconds < 60) {
                jformat_fixed(s, seconds, seconds < 1 ? 1 : 0);
                str_append_s(s, " s");
        } else if (minutes < 60) {
                jformat_fixed(s, minutes, minutes < 10 ? 1 : 0);
                str_append_s(s, " min");
        } else {
                jformat_fixed(s, minutes / 60, 1);
                str_append_s(s, " h");
        }
}

bool jformat_parse_double(struct sv text, double *ret) {
        text = sv_trim(text);
        struct sv body = text;
        if (body.len && (body.data[0] == '-' || body.data[0] == '+'))
                body = sv_new(body.data + 1, body.len - 1);
        bool negative = body.len < text.len && text.data[0] == '-';
        if (sv_eqs(body, "NaN")) {
                *ret = NAN;
                return true;
        }
        if (sv_eqs(body, "Infinity")) {
                *ret = negative ? -INFINITY : INFINITY;
                return true;
        }
        if (body.len > 1 && strchr("fFdD", body.data[body.len - 1]) &&
            !(body.len > 2 && (body.data[1] | 32) == 'x' && !memchr(body.data, 'p', body.len)))
                body.len--;
        if (body.len == 0 || body.len > 400 || !memchr("0123456789.", body.data[0], 11))
                return false;
        AUTO(free) char *copy = sv_dup(body);
        char *end;
        double v = strtod(copy, &end);
        if (end == copy || *end)
                return false;
        *ret = negative ? -v : v;
        return true;
}
