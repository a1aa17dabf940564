/* Names of images: what people write in `image:`.
 *
 *     busybox                          docker.io/library/busybox:latest
 *     localhost:5000/team/app:1.2      a registry, a repository, a tag
 *     quay.io/x/y@sha256:...           pinned by digest (a tag before it is kept for show and ignored)
 *     oci:/dir[:tag]                   an OCI image layout in a directory
 *     oci-archive:/file[:tag]          the same in a tar file
 *     docker-archive:/file[:tag]       what `docker save` writes
 *
 * Pure. The grammar is that of github.com/distribution/reference: lower-case path components of at most 255 bytes in all, tags of at most
 * 128 word characters; the first component is a registry when it has a dot or a colon or is "localhost".
 */
#ifndef FIRESTEEL_OCI_REFERENCE_H
#define FIRESTEEL_OCI_REFERENCE_H

#include "base/err.h"
#include "base/str.h"

enum oci_transport { OCI_REGISTRY, OCI_LAYOUT, OCI_ARCHIVE, OCI_DOCKER_ARCHIVE };

struct oci_reference {
        enum oci_transport transport;
        char *registry;   /* "docker.io", "localhost:5000"; NULL for files */
        char *repository; /* "library/busybox"; NULL for files */
        char *path;       /* of files; else NULL */
        char *tag;        /* NULL: none was given and a digest was, or a file's only image */
        char *digest;     /* "sha256:..." or NULL */
        char *name;       /* in full: "docker.io/library/busybox:latest", "docker.io/library/busybox@sha256:...", "oci:/dir:tag" */
};
void oci_reference_done(struct oci_reference *r);
DEFINE_AUTO_VALUE(oci_reference, struct oci_reference, oci_reference_done)
/* -EINVAL says what is wrong. */
MUST_USE int oci_reference_parse(const char *text, struct oci_reference *ret, struct err *err);
/* Whether text begins with one of the transports of files. */
bool oci_reference_is_file(const char *text);

enum { OCI_DIGEST_SIZE = 72 }; /* "sha256:" and 64 digits and a NUL */
/* "sha256:" and 64 lower-case hexadecimal digits: the only algorithm registries use. */
bool oci_digest_is_valid(const char *digest);
/* The digits. */
static inline const char *oci_digest_hex(const char *digest) { return digest + 7; }
/* Of bytes. */
void oci_digest_of(struct sv data, char ret[OCI_DIGEST_SIZE]);

#endif
