#include "codec/ktime.h"

#include <stdio.h>

/* Days since 1970 of a civil date and back (Howard Hinnant's algorithms, proleptic Gregorian). */
static int64_t days_from_civil(int64_t y, int m, int d) {
        y -= m <= 2;
        int64_t era = (y >= 0 ? y : y - 399) / 400;
        int64_t yoe = y - era * 400;
        int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
        int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
        return era * 146097 + doe - 719468;
}

int64_t ktime_from_civil(int year, int month, int day, int hour, int minute, int second) {
        return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

void ktime_to_civil(int64_t seconds, int *year, int *month, int *day, int *hour, int *minute, int *second, int *weekday) {
        int64_t days = floor_div(seconds, 86400);
        int rest = (int)(seconds - days * 86400);
        int64_t z = days + 719468;
        int64_t era = (z >= 0 ? z : z - 146096) / 146097;
        int64_t doe = z - era * 146097;
        int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
        int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        int64_t mp = (5 * doy + 2) / 153;
        *day = (int)(doy - (153 * mp + 2) / 5 + 1);
        *month = (int)(mp < 10 ? mp + 3 : mp - 9);
        *year = (int)(yoe + era * 400 + (*month <= 2));
        *hour = rest / 3600;
        *minute = rest / 60 % 60;
        *second = rest % 60;
        *weekday = (int)(((days + 4) % 7 + 7) % 7);
}

void ktime_format(int64_t ms, char ret[KTIME_SIZE]) {
        int y, mo, d, h, mi, s, w;
        ktime_to_civil(floor_div(ms, 1000), &y, &mo, &d, &h, &mi, &s, &w);
        snprintf(ret, KTIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", y, mo, d, h, mi, s);
}

void ktime_format_micro(int64_t us, char ret[KTIME_SIZE]) {
        int y, mo, d, h, mi, s, w;
        int64_t seconds = floor_div(us, 1000000);
        ktime_to_civil(seconds, &y, &mo, &d, &h, &mi, &s, &w);
        snprintf(ret, KTIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", y, mo, d, h, mi, s, (int)(us - seconds * 1000000));
}

void http_date_format(int64_t ms, char ret[KTIME_SIZE]) {
        static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        int y, mo, d, h, mi, s, w;
        ktime_to_civil(floor_div(ms, 1000), &y, &mo, &d, &h, &mi, &s, &w);
        snprintf(ret, KTIME_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[w], d, months[mo - 1], y, h, mi, s);
}

static bool read_digits(struct sv *v, size_t count, int *ret) {
        if (v->len < count)
                return false;
        int n = 0;
        for (size_t i = 0; i < count; i++) {
                if (v->data[i] < '0' || v->data[i] > '9')
                        return false;
                n = n * 10 + (v->data[i] - '0');
        }
        *v = sv_new(v->data + count, v->len - count);
        *ret = n;
        return true;
}

static bool read_char(struct sv *v, char c) {
        if (v->len == 0 || v->data[0] != c)
                return false;
        *v = sv_new(v->data + 1, v->len - 1);
        return true;
}

static int days_in_month(int year, int month) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        return month == 2 && leap ? 29 : days[month - 1];
}

static bool read_offset(struct sv *v, int *ret_seconds) {
        *ret_seconds = 0;
        if (read_char(v, 'Z') || read_char(v, 'z'))
                return true;
        int sign = read_char(v, '+') ? 1 : read_char(v, '-') ? -1 : 0, hours, minutes;
        if (!sign || !read_digits(v, 2, &hours) || !read_char(v, ':') || !read_digits(v, 2, &minutes) || hours > 23 || minutes > 59)
                return false;
        *ret_seconds = sign * (hours * 3600 + minutes * 60);
        return true;
}

bool ktime_parse(struct sv v, int64_t *ret_us) {
        int y, mo, d, h, mi, s, offset, micro = 0;
        if (!read_digits(&v, 4, &y) || !read_char(&v, '-') || !read_digits(&v, 2, &mo) || !read_char(&v, '-') || !read_digits(&v, 2, &d) ||
            !(read_char(&v, 'T') || read_char(&v, 't')) || !read_digits(&v, 2, &h) || !read_char(&v, ':') || !read_digits(&v, 2, &mi) ||
            !read_char(&v, ':') || !read_digits(&v, 2, &s))
                return false;
        if (mo < 1 || mo > 12 || d < 1 || d > days_in_month(y, mo) || h > 23 || mi > 59 || s > 60)
                return false;
        if (read_char(&v, '.')) {
                int scale = 100000, digit;
                bool any = false;
                while (read_digits(&v, 1, &digit)) {
                        micro += digit * scale;
                        scale /= 10;
                        any = true;
                }
                if (!any)
                        return false;
        }
        if (!read_offset(&v, &offset) || v.len)
                return false;
        *ret_us = (ktime_from_civil(y, mo, d, h, mi, s) - offset) * 1000000 + micro;
        return true;
}

static bool read_unit(struct sv *v, double *ret_ms) {
        static const struct {
                struct sv name;
                double ms;
        } units[] = {{{"ns", 2}, 1e-6}, {{"us", 2}, 1e-3}, {{"µs", 3}, 1e-3}, {{"ms", 2}, 1},
                     {{"s", 1}, 1e3},   {{"m", 1}, 6e4},   {{"h", 1}, 3.6e6}};
        for (size_t i = 0; i < ARRAY_LEN(units); i++) {
                if (sv_starts(*v, units[i].name)) {
                        *v = sv_new(v->data + units[i].name.len, v->len - units[i].name.len);
                        *ret_ms = units[i].ms;
                        return true;
                }
        }
        return false;
}

bool duration_parse(struct sv v, int64_t *ret_ms) {
        bool negative = read_char(&v, '-');
        if (!negative)
                read_char(&v, '+');
        if (sv_eqs(v, "0")) {
                *ret_ms = 0;
                return true;
        }
        double total = 0;
        if (v.len == 0)
                return false;
        while (v.len) {
                double n = 0, scale = 1, unit;
                int digit;
                bool any = false, fraction = false;
                for (;;) {
                        if (!fraction && read_char(&v, '.')) {
                                fraction = true;
                        } else if (read_digits(&v, 1, &digit)) {
                                any = true;
                                n = fraction ? n + digit * (scale /= 10) : n * 10 + digit;
                        } else {
                                break;
                        }
                }
                if (!any || !read_unit(&v, &unit))
                        return false;
                total += n * unit;
                if (total > 9.2e12) /* Go's Duration ends at about 292 years */
                        return false;
        }
        *ret_ms = (int64_t)(negative ? -total : total);
        return true;
}

/* As k8s.io/apimachinery duration.HumanDuration. */
void duration_human(int64_t ms, char ret[KTIME_SIZE]) {
        int64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;
        if (s < -1)
                snprintf(ret, KTIME_SIZE, "<invalid>");
        else if (s < 0)
                snprintf(ret, KTIME_SIZE, "0s");
        else if (s < 120)
                snprintf(ret, KTIME_SIZE, "%ds", (int)s);
        else if (m < 10 && s % 60)
                snprintf(ret, KTIME_SIZE, "%dm%ds", (int)m, (int)(s % 60));
        else if (m < 180)
                snprintf(ret, KTIME_SIZE, "%dm", (int)m);
        else if (h < 8 && m % 60)
                snprintf(ret, KTIME_SIZE, "%dh%dm", (int)h, (int)(m % 60));
        else if (h < 48)
                snprintf(ret, KTIME_SIZE, "%dh", (int)h);
        else if (h < 192 && h % 24)
                snprintf(ret, KTIME_SIZE, "%dd%dh", (int)d, (int)(h % 24));
        else if (d < 365 * 2)
                snprintf(ret, KTIME_SIZE, "%dd", (int)d);
        else if (d < 365 * 8 && d % 365)
                snprintf(ret, KTIME_SIZE, "%dy%dd", (int)(d / 365), (int)(d % 365));
        else
                snprintf(ret, KTIME_SIZE, "%dy", (int)(d / 365));
}
