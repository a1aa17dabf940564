#include "codec/quantity.h"

#include <stdio.h>

/* Kubernetes caps quantities at 2^63-1 whole units. */
static const __int128 max_nano = (__int128)INT64_MAX * 1000000000;

static const struct {
        const char *text;
        enum quantity_format format;
        int power; /* of 10 for decimal, of 2 for binary */
} suffixes[] = {
        {"n", QUANTITY_DECIMAL, -9}, {"u", QUANTITY_DECIMAL, -6}, {"m", QUANTITY_DECIMAL, -3}, {"", QUANTITY_DECIMAL, 0},
        {"k", QUANTITY_DECIMAL, 3},  {"M", QUANTITY_DECIMAL, 6},  {"G", QUANTITY_DECIMAL, 9},  {"T", QUANTITY_DECIMAL, 12},
        {"P", QUANTITY_DECIMAL, 15}, {"E", QUANTITY_DECIMAL, 18}, {"Ki", QUANTITY_BINARY, 10}, {"Mi", QUANTITY_BINARY, 20},
        {"Gi", QUANTITY_BINARY, 30}, {"Ti", QUANTITY_BINARY, 40}, {"Pi", QUANTITY_BINARY, 50}, {"Ei", QUANTITY_BINARY, 60},
};

static __int128 saturated(__int128 n) { return n > max_nano ? max_nano : n < -max_nano ? -max_nano : n; }

/* n * base^power for n >= 0 in saturating arithmetic; division rounds up. */
static __int128 scale(__int128 n, int base, int power) {
        for (; power > 0; power--)
                if (__builtin_mul_overflow(n, (__int128)base, &n))
                        return max_nano;
        bool inexact = false;
        for (; power < 0 && n; power++) {
                inexact |= n % base != 0;
                n /= base;
        }
        return n + (inexact ? 1 : 0);
}

static int bad(struct err *err, bool suffix) {
        return suffix ? err_set(err, -EINVAL, "unable to parse quantity's suffix")
                      : err_set(err, -EINVAL,
                                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static int parse_suffix(struct sv text, struct sv suffix, enum quantity_format *ret_format, int *ret_base, int *ret_power,
                        struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
                if (sv_eqs(suffix, suffixes[i].text)) {
                        *ret_format = suffixes[i].format;
                        *ret_base = suffixes[i].format == QUANTITY_BINARY ? 2 : 10;
                        *ret_power = suffixes[i].power;
                        return 0;
                }
        }
        int64_t exponent;
        if (suffix.len > 1 && (suffix.data[0] == 'e' || suffix.data[0] == 'E') &&
            sv_to_int64(sv_new(suffix.data + 1, suffix.len - 1), &exponent)) {
                *ret_format = QUANTITY_EXPONENT;
                *ret_base = 10;
                *ret_power = exponent > 60 ? 60 : exponent < -60 ? -60 : (int)exponent;
                return 0;
        }
        for (size_t i = 0; i < suffix.len; i++)
                if (!strchr("eEinumkKMGTP+-0123456789", suffix.data[i]))
                        return bad(err, false);
        return bad(err, true);
}

int quantity_parse(struct sv text, struct quantity *ret, struct err *err) {
        size_t i = 0;
        bool negative = false, any = false, point = false;
        if (text.len == 0)
                return bad(err, false);
        if (text.data[0] == '-' || text.data[0] == '+')
                negative = text.data[i++] == '-';
        __int128 n = 0;
        int fraction_digits = 0;
        bool lost = false; /* digits finer than we hold: rounded up */
        for (; i < text.len; i++) {
                char c = text.data[i];
                if (c == '.' && !point) {
                        point = true;
                } else if (c >= '0' && c <= '9') {
                        any = true;
                        if (n > max_nano || (point && fraction_digits >= 18)) {
                                lost |= c != '0';
                                if (!point)
                                        return *ret = (struct quantity){negative ? -max_nano : max_nano, QUANTITY_DECIMAL}, 0;
                                continue;
                        }
                        n = n * 10 + (c - '0');
                        fraction_digits += point;
                } else {
                        break;
                }
        }
        if (!any)
                return bad(err, false);
        struct quantity q = {0};
        int base = 10, power = 0;
        int r = parse_suffix(text, sv_new(text.data + i, text.len - i), &q.format, &base, &power, err);
        if (r < 0)
                return r;
        /* To nano first keeps binary suffixes exact: 1.5Gi is 1.5 * 10^9 nano * 2^30. */
        int decimal = 9 - fraction_digits + (base == 10 ? power : 0);
        if (base == 2) {
                n = scale(n, 2, power);
                n = scale(n, 10, decimal);
        } else {
                n = scale(n, 10, decimal);
        }
        n = saturated(n + (lost && decimal >= 0 ? 1 : 0));
        q.nano = negative ? -n : n;
        *ret = q;
        return 0;
}

static void print_int128(__int128 n, char out[44]) {
        char digits[44];
        int len = 0;
        bool negative = n < 0;
        unsigned __int128 u = negative ? -(unsigned __int128)n : (unsigned __int128)n;
        do
                digits[len++] = (char)('0' + (int)(u % 10));
        while (u /= 10);
        if (negative)
                digits[len++] = '-';
        for (int i = 0; i < len; i++)
                out[i] = digits[len - 1 - i];
        out[len] = '\0';
}

void quantity_format(struct quantity q, char out[64]) {
        char digits[44];
        enum quantity_format format = q.format;
        __int128 magnitude = q.nano < 0 ? -q.nano : q.nano;
        if (format == QUANTITY_BINARY && (magnitude < (__int128)1024 * 1000000000 || q.nano % 1000000000 != 0))
                format = QUANTITY_DECIMAL; /* as CanonicalizeBytes: too small or fractional for the binary family */
        if (q.nano == 0) {
                snprintf(out, 64, "0");
                return;
        }
        if (format == QUANTITY_BINARY) {
                static const char names[][3] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
                __int128 n = q.nano / 1000000000;
                int i = 0;
                while (i < 6 && n % 1024 == 0)
                        n /= 1024, i++;
                print_int128(n, digits);
                snprintf(out, 64, "%.44s%s", digits, names[i]);
                return;
        }
        static const char names[][2] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
        __int128 n = q.nano;
        int i = 0;
        while (i < 9 && n % 1000 == 0)
                n /= 1000, i++;
        print_int128(n, digits);
        if (format == QUANTITY_EXPONENT && i != 3)
                snprintf(out, 64, "%.44se%d", digits, (i - 3) * 3);
        else
                snprintf(out, 64, "%.44s%s", digits, names[i]);
}

static int64_t rounded_up(__int128 nano, __int128 unit) {
        __int128 n = nano / unit;
        if (nano % unit > 0)
                n++;
        return n > INT64_MAX ? INT64_MAX : n < INT64_MIN ? INT64_MIN : (int64_t)n;
}

int64_t quantity_value(struct quantity q) { return rounded_up(q.nano, 1000000000); }
int64_t quantity_milli(struct quantity q) { return rounded_up(q.nano, 1000000); }
int quantity_cmp(struct quantity a, struct quantity b) { return (a.nano > b.nano) - (a.nano < b.nano); }

struct quantity quantity_add(struct quantity a, struct quantity b) {
        return (struct quantity){saturated(a.nano + b.nano), a.nano == 0 ? b.format : a.format};
}

struct quantity quantity_sub(struct quantity a, struct quantity b) {
        return (struct quantity){saturated(a.nano - b.nano), a.nano == 0 ? b.format : a.format};
}
