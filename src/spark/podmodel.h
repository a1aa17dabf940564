/* The types of a Pod's fields, as far as they change what is written: Spark reads templates into the typed model of its Kubernetes client
 * and writes that out again. */
#ifndef FIRESTEEL_SPARK_PODMODEL_H
#define FIRESTEEL_SPARK_PODMODEL_H

#include "codec/json.h"
#include "spark/versions.h"

/* In place: text fields become text, numbers numbers, booleans booleans; nulls, empty lists and empty maps of known fields go. -EINVAL
 * names the field whose value is of the wrong type. */
MUST_USE int podmodel_apply(enum spark_line line, yyjson_mut_doc *doc, yyjson_mut_val *pod, struct err *err);

#endif
