/* Layers on disk: a tar becomes a directory that overlayfs takes as a lower one, or is applied on top of what is there.
 *
 * Nothing in a tar reaches outside the directory: every path is walked component by component from a descriptor of the root; links on the
 * way (of this layer and of those below, of the files as a container would see them) are followed by hand with the image's root as "/",
 * `..` never leads above it, and what is opened in the end has no link in it (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS). `..`
 * in a name of the tar itself is refused, as are files in the way of directories. So `bin/tool` on a layer with `bin -> usr/bin` is
 * usr/bin/tool, with and without overlayfs. (containerd does so without overlayfs; with it the link is lost to a directory that hides what
 * it led to.)
 *
 * Whiteouts: `.wh.NAME` removes NAME of the layers below, `.wh..wh..opq` everything of them in its directory.
 *     UNPACK_OVERLAY   as overlayfs wants them: a character device 0/0, the attribute {trusted,user}.overlay.opaque
 *     UNPACK_APPLY     by removing what is there already
 *
 * What the caller may not do is left out where the kernel has no say for it: devices and owners inside a user namespace, attributes of
 * namespaces other than "user" and "security.capability". Setuid and setgid are kept.
 */
#ifndef FIRESTEEL_OCI_UNPACK_H
#define FIRESTEEL_OCI_UNPACK_H

#include "oci/tar.h"

enum unpack_mode { UNPACK_OVERLAY, UNPACK_APPLY };

struct unpack_options {
        enum unpack_mode mode;
        bool is_in_user_namespace; /* no devices; user.overlay instead of trusted.overlay */
        bool squash_owners;        /* only one id is mapped: files are all the caller's */
        const int *lower; /* UNPACK_OVERLAY: the layers below, lowest first; directories that this layer only passes through take */
        size_t lower_count;        /* owner and mode from there */
};

enum { UNPACK_MAX_ENTRIES = 4000000, UNPACK_MAX_LINKS = 40 };

/* dir_fd: an open directory, empty for UNPACK_OVERLAY. */
MUST_USE int unpack_layer(struct tar *t, int dir_fd, const struct unpack_options *o, struct err *err);

/* A path of a tar as it may be used: without leading "/" and "./", no empty or "." parts. NULL: it has a "..", or nothing is left
 * ("." is the root and gives ""). The caller frees. Pure. */
char *unpack_clean_path(const char *name);
/* Opens PATH below dir_fd, links followed but none leading out of it (they see dir_fd as the root). */
int unpack_open_in(int dir_fd, const char *path, int flags);

#endif
