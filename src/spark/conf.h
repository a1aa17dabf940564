/* SparkConf: an ordered map of strings, read the way Spark reads it.
 *
 * conf_get() and conf_int_or() are SparkConf's plain getters: the text as it is. The others are Spark's registered entries: they know the
 * key's kind, unit, default, range and older name (spark/keys.h), and substitute ${spark.key}, ${env:NAME} and ${system:property} - so the
 * same key may read differently by the two ways, as in Spark. Texts returned belong to the conf and live as long as it does.
 *
 * Error messages are Spark's own, in the wording of the line (3.5 or 4.1); code -EINVAL. */
#ifndef FIRESTEEL_SPARK_CONF_H
#define FIRESTEEL_SPARK_CONF_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "spark/keys.h"

struct spark_conf {
        struct map entries; /* text -> text */
        struct spark_version version;
        const struct map *env; /* borrowed: for ${env:NAME} and ${system:user.name}; NULL = none */
        const char *user;      /* borrowed: ${system:user.name} */
        struct arena arena;    /* substituted texts */
};

void spark_conf_init(struct spark_conf *c, struct spark_version version);
void spark_conf_done(struct spark_conf *c);
DEFINE_AUTO_VALUE(spark_conf, struct spark_conf, spark_conf_done)
void conf_copy(struct spark_conf *dst, const struct spark_conf *src); /* dst initialised and empty */

/* The text itself, or that under the key's older name; NULL when neither is set. */
const char *conf_get(const struct spark_conf *c, const char *key);
bool conf_has(const struct spark_conf *c, const char *key);
void conf_set(struct spark_conf *c, const char *key, const char *value);
void conf_set_missing(struct spark_conf *c, const char *key, const char *value);
void conf_remove(struct spark_conf *c, const char *key);
#define conf_foreach(e, c) map_foreach(e, &(c)->entries)
/* The rest of the key after the prefix; NULL when it has another beginning. */
const char *key_after(const char *key, const char *prefix);

/* SparkConf.getInt: no substitution, no trimming. */
MUST_USE int conf_int_or(const struct spark_conf *c, const char *key, int otherwise, int *ret, struct err *err);

/* Entries. *ret is NULL when there is neither a value nor a default. */
MUST_USE int conf_string(struct spark_conf *c, const char *key, const char **ret, struct err *err);
MUST_USE int conf_bool(struct spark_conf *c, const char *key, bool *ret, struct err *err);
MUST_USE int conf_int(struct spark_conf *c, const char *key, int *ret, struct err *err);
MUST_USE int conf_long(struct spark_conf *c, const char *key, int64_t *ret, struct err *err); /* long, time and bytes in the key's unit */
MUST_USE int conf_double(struct spark_conf *c, const char *key, double *ret, struct err *err);
MUST_USE int conf_list(struct spark_conf *c, const char *key, struct strv *ret, struct err *err);

/* The texts that Spark's units accept. -EINVAL with Spark's words. Unit: what a plain number means; the result is in it too. */
MUST_USE int spark_parse_bytes(const char *text, enum spark_key_unit unit, int64_t *ret, struct err *err);
MUST_USE int spark_parse_time(const char *text, enum spark_key_unit unit, int64_t *ret, struct err *err);
/* Java's Integer.parseInt, Long.parseLong and Double.parseDouble as far as ASCII goes. */
bool java_parse_int(const char *text, int *ret);
bool java_parse_long(const char *text, int64_t *ret);
bool java_parse_double(const char *text, double *ret);
/* Double.toString. */
void java_format_double(double value, char ret[32]);
/* Java's String.split: trailing empty parts are dropped. */
void java_split(const char *text, char separator, struct strv *ret);
/* Utils.stringToSeq: split at commas, trimmed, empty ones dropped. */
void spark_string_to_seq(const char *text, struct strv *ret);

/* ${...} references replaced; the input itself when there are none. */
MUST_USE int conf_substitute(struct spark_conf *c, const char *text, const char **ret, struct err *err);

#endif
