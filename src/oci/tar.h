/* A pull parser for tar: POSIX ustar, pax (path, linkpath, size, uid, gid, mtime, SCHILY.xattr.*), GNU long names and base-256 numbers,
 * and the old form before ustar. One entry at a time, its data read by the caller or skipped.
 *
 *     tar_new(read, arg)
 *     while ((r = tar_next(t, &e, err)) > 0)
 *             if (e->type == TAR_FILE) ... tar_read(t, buf, cap, err)
 *     tar_free(t)
 *
 * Names are as written: whoever unpacks decides what is safe. Sparse files are -ENOTSUP (image layers have none). Limits: names and link
 * targets of TAR_MAX_NAME bytes, pax headers of TAR_MAX_PAX bytes, TAR_MAX_XATTRS attributes a file.
 * Source: POSIX.1-2017 "pax", the GNU tar manual's "Basic Tar Format".
 */
#ifndef FIRESTEEL_OCI_TAR_H
#define FIRESTEEL_OCI_TAR_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

enum { TAR_MAX_NAME = 4096, TAR_MAX_PAX = 1 << 20, TAR_MAX_XATTRS = 64, TAR_MAX_XATTR_BYTES = 64 << 10 };

enum tar_type { TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCK, TAR_DIRECTORY, TAR_FIFO };

struct tar_xattr {
        char *name;
        struct str value; /* bytes */
};

struct tar_entry {
        enum tar_type type;
        char *name;   /* never empty; trailing slashes are gone */
        char *target; /* of links; NULL otherwise */
        mode_t mode;  /* permission bits, setuid, setgid, sticky */
        int64_t uid, gid, size;
        int64_t mtime_s;
        unsigned major, minor;
        VEC(struct tar_xattr) xattrs;
};

struct tar;
/* read: up to cap bytes, 0 at the end, negative errno with err set. */
struct tar *tar_new(ssize_t (*read)(void *arg, void *buf, size_t cap, struct err *err), void *arg);
void tar_free(struct tar *t);
DEFINE_AUTO_PTR(tar, struct tar, tar_free)
/* 1 and the next entry (valid until the next call), 0 at the end, -EBADMSG when it is no tar or is cut off. */
MUST_USE int tar_next(struct tar *t, const struct tar_entry **ret, struct err *err);
/* Data of the current entry; 0 at its end. */
MUST_USE ssize_t tar_read(struct tar *t, void *buf, size_t cap, struct err *err);
/* Where the current entry's data begins, counted in bytes of the tar. */
uint64_t tar_offset(const struct tar *t);

#endif
