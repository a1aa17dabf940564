#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include <sys/mman.h>

bool sv_ieq(struct sv a, struct sv b) {
        return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

bool sv_starts(struct sv v, struct sv prefix) {
        return v.len >= prefix.len && sv_eq(sv_new(v.data, prefix.len), prefix);
}

bool sv_ends(struct sv v, struct sv suffix) {
        return v.len >= suffix.len && sv_eq(sv_new(v.data + v.len - suffix.len, suffix.len), suffix);
}

struct sv sv_trim(struct sv v) {
        while (v.len && isspace((unsigned char)v.data[0]))
                v.data++, v.len--;
        while (v.len && isspace((unsigned char)v.data[v.len - 1]))
                v.len--;
        return v;
}

ssize_t sv_find_char(struct sv v, char c) {
        const char *p = v.len ? memchr(v.data, c, v.len) : NULL;
        return p ? p - v.data : -1;
}

ssize_t sv_rfind_char(struct sv v, char c) {
        const char *p = v.len ? memrchr(v.data, c, v.len) : NULL;
        return p ? p - v.data : -1;
}

ssize_t sv_find(struct sv v, struct sv needle) {
        if (needle.len == 0)
                return 0;
        const char *p = v.len ? memmem(v.data, v.len, needle.data, needle.len) : NULL;
        return p ? p - v.data : -1;
}

bool sv_split(struct sv *rest, char sep, struct sv *ret_part) {
        if (!rest->data)
                return false;
        ssize_t at = sv_find_char(*rest, sep);
        *ret_part = at < 0 ? *rest : sv_new(rest->data, (size_t)at);
        *rest = at < 0 ? SV_NULL : sv_new(rest->data + at + 1, rest->len - (size_t)at - 1);
        return true;
}

bool sv_to_int64(struct sv v, int64_t *ret) {
        size_t i = 0;
        bool negative = false;
        if (i < v.len && (v.data[i] == '-' || v.data[i] == '+'))
                negative = v.data[i++] == '-';
        if (i == v.len)
                return false;
        int64_t n = 0;
        for (; i < v.len; i++) {
                if (v.data[i] < '0' || v.data[i] > '9')
                        return false;
                int digit = v.data[i] - '0';
                if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, digit, &n))
                        return false;
        }
        if (!negative && __builtin_sub_overflow((int64_t)0, n, &n))
                return false;
        *ret = n;
        return true;
}

char *sv_dup(struct sv v) {
        char *p = xmalloc(v.len + 1);
        if (v.len)
                memcpy(p, v.data, v.len);
        p[v.len] = '\0';
        return p;
}

bool str_ends(const char *s, const char *suffix) { return sv_ends(sv_of(s), sv_of(suffix)); }

void str_done(struct str *s) {
        free(s->data);
        *s = (struct str){.max = s->max};
}

bool str_is_one_of(const char *s, const char *const *list) {
        for (; s && *list; list++)
                if (streq(s, *list))
                        return true;
        return false;
}

void str_clear(struct str *s) {
        s->len = 0;
        s->overflow = false;
        if (s->data)
                s->data[0] = '\0';
}

void str_truncate(struct str *s, size_t len) {
        if (len < s->len) {
                s->len = len;
                s->data[len] = '\0';
        }
}

enum { HUGE_FROM = 2 << 20 };

/* Filling tens of megabytes page by page costs as much as the text itself: large pages are asked for. The kernel may decline. */
static void ask_for_large_pages(char *data, size_t cap) {
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)data + page - 1) & ~(page - 1),
                  to = ((uintptr_t)data + cap) & ~(page - 1);
        (void)!madvise((void *)from, to - from, MADV_HUGEPAGE);
}

bool str_reserve(struct str *s, size_t extra) {
        if (extra > SIZE_MAX / 4 || (s->max && (extra > s->max || s->len > s->max - extra))) {
                s->overflow = true;
                return false;
        }
        size_t need = s->len + extra + 1;
        if (need > s->cap) {
                size_t cap = s->cap ? s->cap : 64;
                while (cap < need)
                        cap += cap / 2 + 16;
                s->data = xrealloc(s->data, cap);
                if (cap >= HUGE_FROM)
                        ask_for_large_pages(s->data, cap);
                s->data[s->len] = '\0';
                s->cap = cap;
        }
        return true;
}

void str_append(struct str *s, const void *data, size_t len) {
        if (!str_reserve(s, len))
                return;
        if (len)
                memcpy(s->data + s->len, data, len);
        s->len += len;
        s->data[s->len] = '\0';
}

/* The length of the well-formed sequence at p; 0 when there is none. */
static size_t utf8_sequence(const unsigned char *p, size_t len) {
        if (*p < 0x80)
                return 1;
        size_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
        if (*p < 0xc2 || *p > 0xf4 || len < n)
                return 0;
        unsigned low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;  /* below: overlong forms */
        unsigned high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf; /* above: surrogates, beyond Unicode */
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

bool sv_is_utf8(struct sv v) {
        for (size_t i = 0, n; i < v.len; i += n) {
                n = utf8_sequence((const unsigned char *)v.data + i, v.len - i);
                if (n == 0)
                        return false;
        }
        return true;
}

void str_append_as_utf8(struct str *s, struct sv text) {
        for (size_t i = 0; i < text.len;) {
                size_t n = utf8_sequence((const unsigned char *)text.data + i, text.len - i);
                str_append(s, n ? text.data + i : "\xef\xbf\xbd", n ? n : 3);
                i += n ? n : 1;
        }
}

void str_append_utf8(struct str *s, uint32_t c) {
        if (c < 0x80) {
                str_append_c(s, (char)c);
        } else if (c < 0x800) {
                str_append_c(s, (char)(0xc0 | c >> 6));
                str_append_c(s, (char)(0x80 | (c & 0x3f)));
        } else if (c < 0x10000) {
                str_append_c(s, (char)(0xe0 | c >> 12));
                str_append_c(s, (char)(0x80 | (c >> 6 & 0x3f)));
                str_append_c(s, (char)(0x80 | (c & 0x3f)));
        } else {
                str_append_c(s, (char)(0xf0 | c >> 18));
                str_append_c(s, (char)(0x80 | (c >> 12 & 0x3f)));
                str_append_c(s, (char)(0x80 | (c >> 6 & 0x3f)));
                str_append_c(s, (char)(0x80 | (c & 0x3f)));
        }
}

void str_appendvf(struct str *s, const char *fmt, va_list ap) {
        va_list again;
        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, fmt, ap);
        if (n >= 0 && str_reserve(s, (size_t)n)) {
                vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
                s->len += (size_t)n;
        }
        va_end(again);
}

void str_appendf(struct str *s, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        str_appendvf(s, fmt, ap);
        va_end(ap);
}

void str_consume(struct str *s, size_t n) {
        if (n >= s->len) {
                s->len = 0;
        } else {
                memmove(s->data, s->data + n, s->len - n);
                s->len -= n;
        }
        if (s->data)
                s->data[s->len] = '\0';
}

char *str_take(struct str *s) {
        char *p = s->data ? s->data : xstrdup("");
        *s = STR_INIT(s->max);
        return p;
}
