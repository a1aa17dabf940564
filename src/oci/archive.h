/* Images in files: OCI layouts (a directory, or a tar of one) and what `docker save` writes; tars may be compressed.
 *
 * Everything goes through the store: blobs are copied and checked against their digests, so that pods run from a file as from a registry,
 * and the file may go away afterwards.
 */
#ifndef FIRESTEEL_OCI_ARCHIVE_H
#define FIRESTEEL_OCI_ARCHIVE_H

#include "oci/store.h"

struct oci_loaded {
        char *name;
        char digest[OCI_DIGEST_SIZE];
};
struct oci_loads {
        VEC(struct oci_loaded) list;
};
void oci_loads_done(struct oci_loads *l);
DEFINE_AUTO_VALUE(oci_loads, struct oci_loads, oci_loads_done)

/* The image that a reference of a file names, under that name. */
MUST_USE int oci_import(const struct oci_store *s, const struct oci_reference *reference, struct err *err);
/* Everything in a file or directory under the names that it tells itself (an image without a name is -EINVAL unless `name` is given, which
 * is for the only image there). Which of the three forms it is, is found out. */
MUST_USE int oci_load(const struct oci_store *s, const char *path, const char *name, struct oci_loads *ret, struct err *err);

#endif
