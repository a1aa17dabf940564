/* What `firesteel submit` looks at before anything is sent, and the original leaves to the API server or to nobody: names, labels,
 * annotations and quantities in the objects, and secrets in the configuration. Pure. */
#ifndef FIRESTEEL_SUBMIT_CHECK_H
#define FIRESTEEL_SUBMIT_CHECK_H

#include "spark/submission.h"

/* -EINVAL for the first thing that an API server would refuse, in its words, with the key that it comes from. */
MUST_USE int check_objects(const struct submission *s, struct err *err);
/* Adds a warning that names the keys whose values look like secrets and go into a ConfigMap as they are (spark.redaction.regex's words). */
void check_secrets(const struct spark_conf *conf, const char *namespace_, struct strv *warnings);

#endif
