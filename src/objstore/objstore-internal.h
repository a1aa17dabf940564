/* What the two backends share. An operation is on its store's list until it has answered or was cancelled. */
#ifndef FIRESTEEL_OBJSTORE_INTERNAL_H
#define FIRESTEEL_OBJSTORE_INTERNAL_H

#include "objstore/objstore.h"

struct s3;

typedef void (*page_fn)(void *arg, struct objstore_page *page, const struct err *err);
typedef void (*entry_fn)(void *arg, struct objstore_entry *entry, const struct err *err);
typedef void (*data_fn)(void *arg, struct str *data, const struct err *err);
typedef void (*plain_fn)(void *arg, const struct err *err);
typedef void (*progress_fn)(void *arg, int64_t sent, int64_t total);

enum op_kind { OP_LIST, OP_STAT, OP_READ, OP_PUT, OP_UPLOAD, OP_DELETE };

/* First member of each backend's operation. */
struct objstore_op {
        struct objstore *store; /* NULL: answered or cancelled */
        struct objstore_op *prev, *next;
        void (*cancel)(struct objstore_op *op); /* stops the work and frees; the list was left already */
        enum op_kind kind;
        union {
                page_fn page;
                entry_fn entry;
                data_fn data;
                plain_fn plain;
        } done;
        progress_fn progress;
        void *arg;
};

/* What an operation is to do; texts are borrowed. */
struct op_request {
        enum op_kind kind;
        const char *url;
        const struct objstore_list *list;
        int64_t offset;
        size_t length;
        const char *if_etag;
        struct sv data;
        const char *content_type;
        const char *path; /* of the file to upload */
};

struct op_result {
        struct objstore_page page;
        struct objstore_entry entry;
        struct str data;
};
void op_result_done(struct op_result *r);

struct objstore {
        struct loop *loop;
        struct objstore_options o;
        struct objstore_op *ops;
        struct s3 *s3; /* made when first needed */
};

void op_link(struct objstore *s, struct objstore_op *op);
void op_unlink(struct objstore_op *op);
/* Leaves the list, calls back (with the result's part that belongs to the kind, or the error). The caller frees the operation
 * afterwards, without touching the store, which may be gone. No effect on cancelled ones. */
void op_answer(struct objstore_op *op, struct op_result *result, const struct err *err);

/* The backends: fill in what is theirs, keep `head` (callbacks), answer later. */
struct objstore_op *file_start(struct objstore *s, const struct objstore_op *head, const struct op_request *q);
struct objstore_op *s3_start(struct objstore *s, const struct objstore_op *head, const struct op_request *q);
/* An operation that fails, later. Takes the error. */
struct objstore_op *failing_start(struct objstore *s, const struct objstore_op *head, struct err *err);
void s3_free(struct s3 *s3);

#endif
