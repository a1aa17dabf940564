/* The Main-Class of a jar, from its first bytes.
 *
 * Spark reads jars as a stream and takes the manifest only where the first entry (or the second, after META-INF/) is it; so does this.
 * Everything is bounded: at most JAR_MANIFEST_MAX bytes are inflated. */
#ifndef FIRESTEEL_SPARK_JAR_H
#define FIRESTEEL_SPARK_JAR_H

#include "base/err.h"
#include "base/str.h"

enum { JAR_MANIFEST_MAX = 1024 * 1024 };

/* 0 and the class; 0 and NULL when the manifest names none; -EINVAL when this is no jar or its manifest does not come first. The caller
 * frees. */
MUST_USE int jar_main_class(struct sv head, char **ret, struct err *err);

#endif
