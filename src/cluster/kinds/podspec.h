/* Pod specs: defaults and rules, shared by pods and everything that has a pod template. */
#ifndef FIRESTEEL_CLUSTER_KINDS_PODSPEC_H
#define FIRESTEEL_CLUSTER_KINDS_PODSPEC_H

#include "cluster/hooks.h"

/* is_pod false: a template, whose defaults are fewer (no requests from limits, no enableServiceLinks). */
void podspec_default(yyjson_mut_doc *doc, yyjson_mut_val *spec, bool is_pod);
/* `path` is where the spec stands: "spec" or "spec.template.spec". */
void podspec_validate(yyjson_val *spec, const char *path, struct invalid *bad);
/* A template under `parent`: its metadata and spec. */
void template_default(yyjson_mut_doc *doc, yyjson_mut_val *template);
void template_validate(yyjson_val *template, const char *path, struct invalid *bad);
/* That of a StatefulSet, which gives each pod a hostname and a subdomain of its own: those of the template may be anything (Spark's have
 * capitals). */
void template_validate_stateful(yyjson_val *template, const char *path, struct invalid *bad);
/* "Guaranteed", "Burstable" or "BestEffort". */
const char *podspec_qos(yyjson_mut_val *spec);
/* A node selector, and one of its terms, as Go writes its structure in messages; the caller's. */
char *node_selector_show(yyjson_val *selector);
char *node_selector_term_show(yyjson_val *term);
void tolerations_validate(yyjson_val *tolerations, const char *path, struct invalid *bad);
/* Names and values of labels; also of node selectors and of service selectors. */
void labels_validate(yyjson_val *labels, const char *path, struct invalid *bad);
/* A LabelSelector object. */
void label_selector_validate(yyjson_val *selector, const char *path, struct invalid *bad);

#endif
