/* Pod templates: read the way Spark's Kubernetes client reads them.
 *
 * YAML 1.2 scalars (`yes` is text), then the Pod's own types: numbers and booleans where the model has text become text, empty lists and
 * maps go, unknown fields stay as they are. Documents are bounded in depth and in nodes. */
#ifndef FIRESTEEL_SPARK_TEMPLATE_H
#define FIRESTEEL_SPARK_TEMPLATE_H

#include "codec/json.h"
#include "spark/inputs.h"
#include "spark/versions.h"

enum { TEMPLATE_MAX_NODES = 100000, TEMPLATE_MAX_DEPTH = 100 };

/* The text of the template named by a path or a file: or local: URI. */
MUST_USE int template_text(const struct submission_inputs *in, const char *name, bool strict, struct str *ret, struct err *err);

/* Reads the template into `doc`; takes the driver's container out of the pod: the named one, else (with a warning) the first, else a new
 * one. */
MUST_USE int template_load(enum spark_line line, const struct submission_inputs *in, const char *name, const char *container,
                           yyjson_mut_doc *doc, yyjson_mut_val **ret_pod, yyjson_mut_val **ret_container, struct strv *warnings,
                           struct err *err);

/* One YAML document, and the Pod's types applied to it; for tests and fuzzing. */
MUST_USE int template_parse(enum spark_line line, struct sv text, yyjson_mut_doc *doc, yyjson_mut_val **ret, struct err *err);

#endif
