/* The configuration keys that Spark registers, with their kinds, units, defaults and ranges, for both lines;
 * the prefixes below which users choose names; and the nearest known key to a misspelt one. */
#ifndef FIRESTEEL_SPARK_KEYS_H
#define FIRESTEEL_SPARK_KEYS_H

#include "spark/versions.h"

enum spark_key_kind {
        SPARK_KEY_STRING,
        SPARK_KEY_BOOL,
        SPARK_KEY_INT,
        SPARK_KEY_LONG,
        SPARK_KEY_DOUBLE,
        SPARK_KEY_TIME,
        SPARK_KEY_BYTES,
        SPARK_KEY_LIST, /* comma-separated, trimmed, empty ones dropped */
};
enum spark_key_unit {
        SPARK_UNIT_NONE,
        SPARK_UNIT_US,
        SPARK_UNIT_MS,
        SPARK_UNIT_SECONDS,
        SPARK_UNIT_MINUTES,
        SPARK_UNIT_BYTE,
        SPARK_UNIT_KIB,
        SPARK_UNIT_MIB,
};
enum spark_key_min { SPARK_MIN_NONE, SPARK_MIN_ZERO, SPARK_MIN_POSITIVE };
enum { SPARK_KEY_IN_35 = 1 << SPARK_3_5, SPARK_KEY_IN_41 = 1 << SPARK_4_1 };

struct spark_key {
        const char *name;
        enum spark_key_kind kind;
        enum spark_key_unit unit; /* what a plain number means, and what the value is converted to */
        unsigned char versions;   /* SPARK_KEY_IN_... */
        enum spark_key_min min;
        bool upper;              /* values are compared in upper case */
        const char *default_35;  /* NULL = none; "=key" = the value of that key */
        const char *default_41;
        const char *requirement; /* Spark's own words for a value outside the range */
        const char *values;      /* the accepted values, separated by ", "; NULL = any */
        const char *alternative; /* an older name that still works */
};
extern const struct spark_key spark_keys[];
extern const size_t spark_keys_len;

/* NULL when Spark registers no such key in any line. */
const struct spark_key *spark_key_find(const char *name);
/* In this line only. */
const struct spark_key *spark_key_in(enum spark_line line, const char *name);
const char *spark_key_default(const struct spark_key *k, enum spark_line line);
/* Is this a key of one of the open families (spark.kubernetes.driver.label.<name>, spark.hadoop.<anything>, ...)? */
bool spark_key_has_prefix(const char *name);
/* What a misspelt key was probably meant to be: the nearest registered key of this line, or the nearest family with the last part as the
 * user wrote it (NAME where there is none). Caller frees; NULL when nothing is near. */
char *spark_key_nearest(enum spark_line line, const char *name);

#endif
