/* What store.c, store_layers.c and store_prune.c share. */
#ifndef FIRESTEEL_OCI_STORE_INTERNAL_H
#define FIRESTEEL_OCI_STORE_INTERNAL_H

#include "oci/store.h"

enum { LAYER_NAME_SIZE = 25 }; /* 24 digits: a hundred of them fit into the one page of a mount's options */

/* DIR/locks/NAME, held until the descriptor is closed. */
MUST_USE int oci_store_lock_named(const struct oci_store *s, const char *name, int operation, int *ret_fd, struct err *err);
/* The directory names of an image's layers, lowest first. */
void oci_store_chain(const struct oci_config *c, struct strv *ret);
/* "root", "mapped", "squashed". */
const char *oci_ids_name(enum oci_ids ids);
/* The directory of an unpacked layer is removed, whatever is in it. */
MUST_USE int oci_store_remove_layer(const struct oci_store *s, const char *ids, const char *name, struct err *err);
/* Manifest, configuration of a record; -ENOENT when something is missing. */
MUST_USE int oci_store_load(const struct oci_store *s, const char *manifest, struct oci_manifest *ret, struct oci_config *ret_config,
                            struct err *err);

#endif
