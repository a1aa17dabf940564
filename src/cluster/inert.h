/* What is stored and served but does nothing here. Whoever writes such an object is told so in a Warning header, which kubectl and Helm
 * print: silence would look like success. docs/local.md has the same list. */
#ifndef FIRESTEEL_CLUSTER_INERT_H
#define FIRESTEEL_CLUSTER_INERT_H

#include "cluster/registry.h"

/* Appends the warnings about an object that is being written. */
void inert_warn(const struct resource *res, yyjson_val *object, struct strv *warnings);

#endif
