/* Small rules about texts: names that Spark derives for Kubernetes, and UTF-8. */
#ifndef FIRESTEEL_SPARK_TEXT_H
#define FIRESTEEL_SPARK_TEXT_H

#include "base/str.h"
#include "base/vec.h"

/* "<app name>-<id>" made a DNS label: trimmed, lower case, other signs become one dash, no leading dash or digit. No limit of length. */
char *spark_name_prefix(const char *app_name, const char *id);
/* The same for the label spark-app-name: cut to 63, one dash cut at either end; may be empty. */
char *spark_app_name_label(const char *app_name);
/* {{APP_ID}} and {{EXECUTOR_ID}} replaced. */
char *spark_substitute_ids(const char *text, const char *app_id, const char *executor_id);
char *text_replace_all(const char *text, const char *what, const char *by);

/* Splits as Spark's launcher splits texts of Java options: blanks, quotes ' and ", \ before " and \ . False on an unfinished quote. */
bool java_options_split(const char *text, struct strv *ret);

/* Whom Hadoop takes `full` for: "bob" of bob, bob/host@REALM and the like. NULL where it throws. */
char *hadoop_short_name(const char *full);

/* The number of UTF-16 units, Java's String.length. */
size_t utf16_length(struct sv text);

#endif
