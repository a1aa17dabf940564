/* Pruning the store of images from a command: also what belongs to subordinate ids, which an ordinary user may remove only as the root of a
 * user namespace. Needs no server. */
#ifndef FIRESTEEL_CLUSTER_PODRT_IMAGEPRUNE_H
#define FIRESTEEL_CLUSTER_PODRT_IMAGEPRUNE_H

#include "oci/store.h"

/* As oci_store_prune(), waiting. The caller has no threads. */
MUST_USE int image_prune(const struct oci_store *s, const struct oci_prune_options *o, struct oci_prune_result *ret, struct err *err);

#endif
