/* java.util.Properties: the text format of spark-defaults.conf and of the driver's spark.properties.
 *
 * Reading: comments (# and !), continued lines, `key=value`, `key: value`, `key value`, escapes \t \n \r \f \uXXXX, any other
 * escaped sign is itself. The last of equal keys wins. Bytes that are not UTF-8 become U+FFFD, as in Java's reader.
 * Writing: as Properties.store(Writer): non-ASCII stays, `= : # ! \`, controls and blanks (all of a key's, the first of a value's) are
 * escaped. */
#ifndef FIRESTEEL_SPARK_PROPERTIES_H
#define FIRESTEEL_SPARK_PROPERTIES_H

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"

/* Into a map of owned texts. -EINVAL, with the line's number, on a malformed \uXXXX. */
MUST_USE int properties_parse(struct sv text, struct map *ret, struct err *err);
/* One "key=value\n". */
void properties_append(struct str *out, const char *key, const char *value);
/* "#comment\n#date\n", the date as java.util.Date prints it, in UTC. */
void properties_append_header(struct str *out, const char *comment, int64_t time_ms);

#endif
