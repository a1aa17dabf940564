/* Strings: `struct sv`, a view that owns nothing, and `struct str`, a buffer that grows.
 *
 * A str states its maximum at initialisation (0: unlimited, for text whose size we choose ourselves).
 * Growing past the maximum sets `overflow` and drops the addition; append calls therefore return
 * nothing, and the one who gave the limit asks str_overflowed() once at the end.
 * `data` is always NUL-terminated once something was appended; str_cstr() never returns NULL.
 */
#ifndef FIRESTEEL_BASE_STR_H
#define FIRESTEEL_BASE_STR_H

#include <stdbool.h>

#include "base/mem.h"

struct sv {
        const char *data; /* not NUL-terminated */
        size_t len;
};

#define SV(literal) ((struct sv){(literal), sizeof(literal) - 1})
#define SV_NULL ((struct sv){NULL, 0})
/* For printf: printf("%.*s", SV_ARG(v)). */
#define SV_ARG(v) (int)(v).len, (v).data ? (v).data : ""

static inline struct sv sv_new(const char *data, size_t len) { return (struct sv){data, len}; }
/* NULL gives an empty view. */
static inline struct sv sv_of(const char *s) { return (struct sv){s, s ? strlen(s) : 0}; }
static inline bool sv_eq(struct sv a, struct sv b) {
        return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static inline bool sv_eqs(struct sv a, const char *s) { return sv_eq(a, sv_of(s)); }
bool sv_ieq(struct sv a, struct sv b); /* ASCII case is ignored */
bool sv_starts(struct sv v, struct sv prefix);
bool sv_ends(struct sv v, struct sv suffix);
struct sv sv_trim(struct sv v); /* blanks, tabs, CR, LF, VT, FF at both ends */
/* Offset of the byte, or -1. */
ssize_t sv_find_char(struct sv v, char c);
ssize_t sv_rfind_char(struct sv v, char c);
ssize_t sv_find(struct sv v, struct sv needle);
/* The part before the next `sep`, which is cut off `rest` with the separator; false at the end, which is
 * when `rest` is SV_NULL. As Go's strings.Split: "" has one empty part, "a," has "a" and "". */
bool sv_split(struct sv *rest, char sep, struct sv *ret_part);
/* Whole view as a decimal number; false when it is not one or does not fit. */
bool sv_to_int64(struct sv v, int64_t *ret);
/* Well-formed UTF-8: neither overlong forms nor surrogates nor anything above U+10FFFF (Unicode, table 3-7). */
bool sv_is_utf8(struct sv v);
char *sv_dup(struct sv v);

static inline bool str_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }
bool str_ends(const char *s, const char *suffix);
/* Is it in the list, which ends with a NULL? NULL is in none. */
bool str_is_one_of(const char *s, const char *const *list);

struct str {
        char *data;
        size_t len;
        size_t cap;
        size_t max; /* 0 = unlimited; else the largest len allowed */
        bool overflow;
};

#define STR_INIT(maximum) ((struct str){.max = (maximum)})

void str_done(struct str *s);
DEFINE_AUTO_VALUE(str, struct str, str_done)
static inline bool str_overflowed(const struct str *s) { return s->overflow; }
static inline const char *str_cstr(const struct str *s) { return s->data ? s->data : ""; }
static inline struct sv str_sv(const struct str *s) { return (struct sv){str_cstr(s), s->len}; }
/* Keeps the memory. */
void str_clear(struct str *s);
void str_truncate(struct str *s, size_t len);
/* Room for `extra` more bytes and the terminator; false (and overflow) when past the maximum. */
bool str_reserve(struct str *s, size_t extra);
void str_append(struct str *s, const void *data, size_t len);
static inline void str_append_s(struct str *s, const char *text) { str_append(s, text, strlen(text)); }
static inline void str_append_sv(struct str *s, struct sv v) { str_append(s, v.data, v.len); }
static inline void str_append_c(struct str *s, char c) { str_append(s, &c, 1); }
/* One code point (at most U+10FFFF) as UTF-8. */
void str_append_utf8(struct str *s, uint32_t code_point);
/* The text with U+FFFD for each byte that begins no well-formed sequence. */
void str_append_as_utf8(struct str *s, struct sv text);
void str_appendf(struct str *s, const char *fmt, ...) PRINTF(2, 3);
void str_appendvf(struct str *s, const char *fmt, va_list ap) PRINTF(2, 0);
/* Removes the first n bytes. */
void str_consume(struct str *s, size_t n);
/* Hands the text over (never NULL) and leaves an empty buffer. */
char *str_take(struct str *s);

#endif
