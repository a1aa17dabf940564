/* One face for files and S3: list, stat, ranged read, put, upload, delete. URLs name things:
 *
 *     s3a://bucket/key  s3://bucket/key  s3n://bucket/key        S3 and what speaks like it (MinIO, Ceph, moto)
 *     file:///path  file:/path  /path                            files
 *
 * All calls return at once and answer from the loop, exactly once, unless cancelled; nothing blocks the loop (disks are read on
 * workers). Loop thread only. The _wait calls at the end run the loop, for commands.
 *
 * Failures: -ENOENT (no such object, bucket or file), -EACCES (refused), -ESTALE (another ETag than demanded), -EINVAL (bad URL
 * or configuration), else what went wrong. 5xx, 429, broken connections and expired credentials are retried with back-off
 * (fs.s3a.attempts.maximum, 5 by default), which an upload's parts do each on their own.
 *
 * Configuration is S3A's: fs.s3a.KEY, and before it fs.s3a.bucket.BUCKET.KEY, for access.key, secret.key, session.token, endpoint,
 * endpoint.region, path.style.access, connection.ssl.enabled, attempts.maximum, aws.credentials.provider, assumed.role.arn,
 * assumed.role.session.name, encryption.algorithm (SSE-S3, SSE-KMS) and encryption.key. What is not set comes from AWS's environment
 * variables and profile files; the chain is in credentials.h.
 *
 * Limits: a read or put of OBJSTORE_MAX_READ bytes, OBJSTORE_MAX_PAGE entries a page. */
#ifndef FIRESTEEL_OBJSTORE_OBJSTORE_H
#define FIRESTEEL_OBJSTORE_OBJSTORE_H

#include "event/loop.h"
#include "net/tls.h"
#include "base/vec.h"

enum {
        OBJSTORE_MAX_PAGE = 1000,
        OBJSTORE_MAX_READ = 64 * 1024 * 1024,
        OBJSTORE_PART = 8 * 1024 * 1024, /* smallest part of an upload; larger files are sent in parts */
};

struct objstore;
struct objstore_op;

struct objstore_options {
        /* The value of an fs.s3a.* key, or NULL when it is not set. May be NULL. Asked during later calls, too. */
        const char *(*conf)(void *arg, const char *key);
        /* An environment variable; NULL = getenv(). */
        const char *(*env)(void *arg, const char *name);
        void *arg;
        struct tls_context *tls; /* for https; NULL = the system's authorities; borrowed */
        const char *proxy_url;   /* NULL = none */
};

struct objstore *objstore_new(struct loop *l, const struct objstore_options *o);
/* Cancels what is under way, without answers. */
void objstore_free(struct objstore *s);
DEFINE_AUTO_PTR(objstore, struct objstore, objstore_free)

/* No answer after this. An upload's parts are discarded (aborted) in the background; objstore_settle() waits for that. */
void objstore_cancel(struct objstore_op *op);
/* Runs the loop until what cancelled uploads left on the servers is discarded, at most so long. */
void objstore_settle(struct objstore *s, int64_t timeout_ms);

struct objstore_entry {
        char *url;
        int64_t size;
        int64_t mtime_ms; /* 0 when unknown (prefixes) */
        char *etag;       /* without quotes; for files one made of inode, size and time; NULL for prefixes */
        bool is_prefix;   /* a "directory": its URL ends with a slash */
};
void objstore_entry_done(struct objstore_entry *e);
DEFINE_AUTO_VALUE(objstore_entry, struct objstore_entry, objstore_entry_done)

struct objstore_page {
        VEC(struct objstore_entry) entries; /* by name */
        char *next;                         /* token of the next page; NULL: this was the last */
};
void objstore_page_done(struct objstore_page *p);
DEFINE_AUTO_VALUE(objstore_page, struct objstore_page, objstore_page_done)

struct objstore_list {
        const char *url;   /* everything whose URL begins so: "s3a://b/dir/" lists a directory, "s3a://b/dir/app-" some of it */
        bool is_recursive; /* else what is below a further slash is one entry, a prefix */
        size_t max;        /* of one page; 0 = OBJSTORE_MAX_PAGE */
        const char *token; /* `next` of the page before; NULL = from the start */
};
/* The page may be taken by moving it. A place without entries is an empty page, with files also when it does not exist. */
struct objstore_op *objstore_list(struct objstore *s, const struct objstore_list *q,
                                  void (*done)(void *arg, struct objstore_page *page, const struct err *err), void *arg);

/* An object or a file (or, with files, a directory). The entry may be taken by moving it. */
struct objstore_op *objstore_stat(struct objstore *s, const char *url,
                                  void (*done)(void *arg, struct objstore_entry *entry, const struct err *err), void *arg);

/* Bytes from `offset` on, at most `length` (not 0); fewer at the end, none behind it. if_etag: only when it is still that one
 * (-ESTALE otherwise); NULL = whatever it is. The data may be taken by moving it. */
struct objstore_op *objstore_read(struct objstore *s, const char *url, int64_t offset, size_t length, const char *if_etag,
                                  void (*done)(void *arg, struct str *data, const struct err *err), void *arg);

/* Replaces the whole object; data is copied. content_type NULL = application/octet-stream. Directories of files are made. */
struct objstore_op *objstore_put(struct objstore *s, const char *url, struct sv data, const char *content_type,
                                 void (*done)(void *arg, const struct err *err), void *arg);

/* Sends a file, in parts when it is large. progress may be NULL. On failure nothing is left behind. */
struct objstore_op *objstore_upload(struct objstore *s, const char *path, const char *url,
                                    void (*progress)(void *arg, int64_t sent, int64_t total),
                                    void (*done)(void *arg, const struct err *err), void *arg);

/* An object that is not there is no error. Files: also an empty directory. */
struct objstore_op *objstore_delete(struct objstore *s, const char *url, void (*done)(void *arg, const struct err *err), void *arg);

/* Is this a URL that objstore understands? */
bool objstore_knows(const char *url);

MUST_USE int objstore_list_wait(struct objstore *s, const struct objstore_list *q, struct objstore_page *ret, struct err *err);
MUST_USE int objstore_stat_wait(struct objstore *s, const char *url, struct objstore_entry *ret, struct err *err);
MUST_USE int objstore_read_wait(struct objstore *s, const char *url, int64_t offset, size_t length, const char *if_etag, struct str *ret,
                                struct err *err);
MUST_USE int objstore_put_wait(struct objstore *s, const char *url, struct sv data, const char *content_type, struct err *err);
/* progress's argument is the caller's. Interrupted (-EINTR), it discards the parts that were sent before it returns. */
MUST_USE int objstore_upload_wait(struct objstore *s, const char *path, const char *url,
                                  void (*progress)(void *arg, int64_t sent, int64_t total), void *arg, struct err *err);
MUST_USE int objstore_delete_wait(struct objstore *s, const char *url, struct err *err);

#endif
