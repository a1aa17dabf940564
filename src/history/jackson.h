/* JSON in the form in which Spark's REST API writes it (Jackson with INDENT_OUTPUT): objects indented by two blanks, arrays
 * on one line, `"key" : value`. Calls nest; nothing checks that they do.
 *
 *     struct jackson j = JACKSON_INIT(&body);
 *     jackson_object(&j);
 *     jackson_key(&j, "id"), jackson_int(&j, 1);
 *     jackson_end_object(&j);
 */
#ifndef FIRESTEEL_HISTORY_JACKSON_H
#define FIRESTEEL_HISTORY_JACKSON_H

#include "base/str.h"

struct jackson {
        struct str *out;
        unsigned depth;   /* of objects: what indents */
        bool has_items;   /* the innermost container has some */
        bool after_key;
};

#define JACKSON_INIT(s) ((struct jackson){.out = (s)})

void jackson_object(struct jackson *j);
void jackson_end_object(struct jackson *j);
void jackson_array(struct jackson *j);
void jackson_end_array(struct jackson *j);
void jackson_key(struct jackson *j, const char *key);
void jackson_key_sv(struct jackson *j, struct sv key);
void jackson_int(struct jackson *j, int64_t v);
void jackson_bool(struct jackson *j, bool v);
void jackson_double(struct jackson *j, double v); /* NaN and infinities as strings, as Jackson */
void jackson_string(struct jackson *j, struct sv v); /* SV_NULL is null */
void jackson_date(struct jackson *j, int64_t ms);    /* "2026-01-02T03:04:05.006GMT" */

/* Members; the _opt forms leave absent values out. */
void jackson_member_int(struct jackson *j, const char *key, int64_t v);
static inline void jackson_member_bool(struct jackson *j, const char *key, bool v) { jackson_key(j, key), jackson_bool(j, v); }
static inline void jackson_member_string(struct jackson *j, const char *key, struct sv v) {
        if (v.data)
                jackson_key(j, key), jackson_string(j, v);
}
static inline void jackson_member_date(struct jackson *j, const char *key, int64_t ms) {
        if (ms != INT64_MIN)
                jackson_key(j, key), jackson_date(j, ms);
}

void jackson_format_date(int64_t ms, char ret[40]);

#endif
