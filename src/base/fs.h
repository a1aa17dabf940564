/* Files, whole ones: read, write so that a crash leaves the old or the new text, walk, remove. */
#ifndef FIRESTEEL_BASE_FS_H
#define FIRESTEEL_BASE_FS_H

#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"

/* Reads a whole file into `ret` (appended). More than `max` bytes is -EFBIG; 0 means no limit. */
MUST_USE int fs_read(const char *path, size_t max, struct str *ret, struct err *err);
/* Writes to a temporary file beside it, syncs, renames. */
MUST_USE int fs_write_atomic(const char *path, struct sv text, mode_t mode, struct err *err);
/* Creates or truncates, without the sync: for files that can be made again. */
MUST_USE int fs_write(const char *path, struct sv text, mode_t mode, struct err *err);
/* Replaces `to` with the text of `from`, inside the kernel and shared where the file system can; without a sync. */
MUST_USE int fs_copy(const char *from, const char *to, mode_t mode, struct err *err);
/* mkdir -p. */
MUST_USE int fs_mkdirs(const char *path, mode_t mode, struct err *err);
/* rm -rf that never follows links nor crosses into another file system; absent is fine. */
MUST_USE int fs_remove_tree(const char *path, struct err *err);
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
/* dir/name, without doubling the slash; an absolute name is returned as it is. */
char *fs_join(const char *dir, const char *name);
/* The part after the last slash. */
const char *fs_basename(const char *path);
/* The absolute path with `~` and `.`/`..` resolved textually. */
char *fs_absolute(const char *path);
/* The program's path, searched in PATH; NULL when there is none. */
char *fs_find_program(const char *name);
/* writev-style "all or an error" on a descriptor. */
MUST_USE int fs_write_all(int fd, const void *data, size_t len);

#endif
