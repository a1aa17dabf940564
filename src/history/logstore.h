/* Where event logs lie: a directory of files, or a bucket. The History Server lists, reads ranges, and (the cleaner)
 * removes; it never writes there.
 *
 * Paths are relative to the store. Calls block: they belong on workers. A store may be used by several threads at once.
 */
#ifndef FIRESTEEL_HISTORY_LOGSTORE_H
#define FIRESTEEL_HISTORY_LOGSTORE_H

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"

struct logstore_list;
struct logstore_entry {
        char *name; /* owned */
        bool is_dir;
        int64_t size, mtime_ns;
        uint64_t inode;                 /* 0: the store's files do not grow, a change is another file */
        char *etag;                     /* owned; NULL: the store has none, size and time must do */
        struct logstore_list *children; /* owned; what is in a directory, where a store learns that with the list; else NULL */
};

struct logstore_list {
        VEC(struct logstore_entry) entries; /* in the order the store gives them */
};

void logstore_entry_done(struct logstore_entry *e);
DEFINE_AUTO_VALUE(logstore_entry, struct logstore_entry, logstore_entry_done)
void logstore_list_done(struct logstore_list *l);
DEFINE_AUTO_VALUE(logstore_list, struct logstore_list, logstore_list_done)

struct logstore;
struct logstore_file;

struct logstore_ops {
        int (*list)(struct logstore *s, const char *dir, const char *prefix, struct logstore_list *ret, struct err *err);
        int (*stat)(struct logstore *s, const char *path, struct logstore_entry *ret, struct err *err);
        int (*open)(struct logstore *s, const char *path, const char *etag, struct logstore_file **ret, struct err *err);
        ssize_t (*read)(struct logstore_file *f, int64_t offset, void *buf, size_t len, struct err *err);
        void (*close)(struct logstore_file *f);
        int (*remove)(struct logstore *s, const char *path, bool is_dir, struct err *err);
        void (*interrupt)(struct logstore *s); /* NULL: calls do not wait for anybody */
        void (*free)(struct logstore *s);
};

struct logstore {
        const struct logstore_ops *ops;
        char *url; /* as it was named: for messages */
};

/* "dir", "file:/dir", "file:///dir", "s3a://bucket/prefix" (s3, s3n). -ENOENT names the directory. `hadoop` (may be NULL): fs.s3a.*
 * settings; borrowed. */
MUST_USE int logstore_open(const char *url, const struct map *hadoop, struct logstore **ret, struct err *err);
/* logstore_s3.c */
struct logstore *logstore_s3_new(const char *url, const struct map *hadoop);
/* From any thread: calls under way and later ones fail with -EINTR soon. For stopping. */
void logstore_interrupt(struct logstore *s);
void logstore_free(struct logstore *s);
DEFINE_AUTO_PTR(logstore, struct logstore, logstore_free)

/* What is in `dir` ("": the root) under names that begin with `prefix` ("": everything). */
static inline MUST_USE int logstore_list(struct logstore *s, const char *dir, const char *prefix, struct logstore_list *ret,
                                         struct err *err) {
        return s->ops->list(s, dir, prefix, ret, err);
}
/* ret->name is left NULL. */
static inline MUST_USE int logstore_stat(struct logstore *s, const char *path, struct logstore_entry *ret, struct err *err) {
        return s->ops->stat(s, path, ret, err);
}
/* etag, where known: reads fail with -ESTALE once the object is another one. */
MUST_USE int logstore_file_open(struct logstore *s, const char *path, const char *etag, struct logstore_file **ret, struct err *err);
/* Up to len bytes at offset, 0 at the end. */
MUST_USE ssize_t logstore_file_read(struct logstore_file *f, int64_t offset, void *buf, size_t len, struct err *err);
void logstore_file_close(struct logstore_file *f);
DEFINE_AUTO_PTR(logstore_file, struct logstore_file, logstore_file_close)
static inline MUST_USE int logstore_remove(struct logstore *s, const char *path, bool is_dir, struct err *err) {
        return s->ops->remove(s, path, is_dir, err);
}

/* What every kind of file begins with. */
struct logstore_file {
        struct logstore *store;
};

#endif
