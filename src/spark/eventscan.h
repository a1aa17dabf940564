/* Reading the fields of hot events (task starts and ends: most of a log) straight from the line.
 *
 * A table of fields describes an object: name, kind, where in a struct the value goes. The fast reader walks the text once,
 * guessing that fields come in the table's order, and takes only the compact form Spark writes; whatever it does not
 * expect (blanks, fractions where integers belong, other types) sends the line to yyjson, whose tree is read by the same
 * tables. Strings are views into the line, or into the arena when they had escapes.
 *
 * Absent and null fields leave the struct untouched, so defaults are set before. Unknown fields are skipped.
 *
 * A scan holds what its lines' values point to until scan_reset(): strings, trees and accumulables of one line or of many. It belongs to
 * one thread at a time.
 */
#ifndef FIRESTEEL_SPARK_EVENTSCAN_H
#define FIRESTEEL_SPARK_EVENTSCAN_H

#include "base/arena.h"
#include "base/vec.h"
#include "codec/json.h"

enum scan_kind { SCAN_SKIP, SCAN_INT64, SCAN_INT32, SCAN_BOOL, SCAN_STRING, SCAN_RAW, SCAN_OBJECT, SCAN_ACCUMULABLES };

struct scan_field {
        const char *name; /* with quotes and colon: "\"Stage ID\":" */
        uint16_t len;
        uint16_t offset;
        enum scan_kind kind;
        const struct scan_table *table; /* SCAN_OBJECT: written into the same struct */
        uint16_t seen; /* not 0: offset of a bool that becomes true when the field is there and not null */
};

struct scan_table {
        const struct scan_field *fields;
        size_t count;
};

#define SCAN_FIELD(name_, kind_, type_, member_) {"\"" name_ "\":", sizeof("\"" name_ "\":") - 1, offsetof(type_, member_), kind_, NULL, 0}
#define SCAN_SEEN(name_, kind_, type_, member_, seen_)                                                                                    \
        {"\"" name_ "\":", sizeof("\"" name_ "\":") - 1, offsetof(type_, member_), kind_, NULL, offsetof(type_, seen_)}
#define SCAN_IGNORE(name_) {"\"" name_ "\":", sizeof("\"" name_ "\":") - 1, 0, SCAN_SKIP, NULL, 0}
#define SCAN_NESTED(name_, table_) {"\"" name_ "\":", sizeof("\"" name_ "\":") - 1, 0, SCAN_OBJECT, &(table_), 0}
#define SCAN_TABLE(fields_) {(fields_), ARRAY_LEN(fields_)}

/* An accumulator update of a task that somebody may want: not one of the internal task metrics. */
struct scan_accumulable {
        int64_t id;
        struct sv name, update, value; /* data NULL: absent */
        bool internal, sql;
};

struct scan {
        struct arena arena;      /* unescaped strings */
        VEC(yyjson_doc *) trees; /* of lines that went that way */
        VEC(struct scan_accumulable) accumulables;
};

void scan_done(struct scan *s);
/* Forgets all lines. */
void scan_reset(struct scan *s);
/* Reads a line's object into `ret`; accumulables are added behind those of earlier lines. -EINVAL: the line is no JSON object. `err` says
 * where. */
MUST_USE int scan_line(struct scan *s, struct sv line, const struct scan_table *table, void *ret, struct err *err);
/* The line's tree, owned by the scan; NULL with `err` set when the line is no JSON. */
yyjson_val *scan_tree(struct scan *s, struct sv line, struct err *err);
/* Text of a number or string as Jackson's asText() has it; containers give "". In the arena where needed. */
struct sv scan_as_text(struct scan *s, yyjson_val *v);

#endif
