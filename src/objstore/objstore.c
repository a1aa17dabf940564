#include "objstore/objstore.h"

#include <stdlib.h>

#include "objstore/objstore-internal.h"
#include "objstore/s3-internal.h"

enum { SETTLE_MS = 10 * 1000 };

void objstore_entry_done(struct objstore_entry *e) {
        free(e->url);
        free(e->etag);
}

void objstore_page_done(struct objstore_page *p) {
        vec_foreach(e, &p->entries) objstore_entry_done(e);
        vec_done(&p->entries);
        free(p->next);
}

void op_result_done(struct op_result *r) {
        objstore_page_done(&r->page);
        objstore_entry_done(&r->entry);
        str_done(&r->data);
}

/* ---- operations ---- */

void op_link(struct objstore *s, struct objstore_op *op) {
        op->store = s;
        op->prev = NULL;
        op->next = s->ops;
        if (s->ops)
                s->ops->prev = op;
        s->ops = op;
}

void op_unlink(struct objstore_op *op) {
        if (!op->store)
                return;
        if (op->prev)
                op->prev->next = op->next;
        else
                op->store->ops = op->next;
        if (op->next)
                op->next->prev = op->prev;
        op->store = NULL;
}

void op_answer(struct objstore_op *op, struct op_result *result, const struct err *err) {
        if (!op->store)
                return;
        op_unlink(op);
        switch (op->kind) {
        case OP_LIST:
                op->done.page(op->arg, err ? NULL : &result->page, err);
                break;
        case OP_STAT:
                op->done.entry(op->arg, err ? NULL : &result->entry, err);
                break;
        case OP_READ:
                op->done.data(op->arg, err ? NULL : &result->data, err);
                break;
        default:
                op->done.plain(op->arg, err);
        }
}

void objstore_cancel(struct objstore_op *op) {
        if (!op || !op->store)
                return;
        op_unlink(op);
        op->cancel(op);
}

struct failing {
        struct objstore_op op;
        struct err err;
};

static void failing_cancel(struct objstore_op *op) { /* freed by the post */ }

static void posted_failure(void *arg) {
        struct failing *f = arg;
        op_answer(&f->op, NULL, &f->err);
        err_done(&f->err);
        free(f);
}

struct objstore_op *failing_start(struct objstore *s, const struct objstore_op *head, struct err *err) {
        struct failing *f = NEW(struct failing);
        f->op = *head;
        f->op.cancel = failing_cancel;
        err_move(&f->err, err);
        op_link(s, &f->op);
        loop_post(s->loop, posted_failure, f);
        return &f->op;
}

/* ---- the store ---- */

static const char *default_env(void *arg, const char *name) { return getenv(name); }

struct objstore *objstore_new(struct loop *l, const struct objstore_options *o) {
        struct objstore *s = NEW(struct objstore);
        s->loop = l;
        if (o)
                s->o = *o;
        if (!s->o.env)
                s->o.env = default_env;
        return s;
}

static void on_settled(void *arg) { *(bool *)arg = true; }

void objstore_settle(struct objstore *s, int64_t timeout_ms) {
        if (!s->s3 || !s->s3->orphans.len)
                return;
        bool settled = false;
        struct timer *limit = timer_new(s->loop, timeout_ms, 0, on_settled, &settled);
        s->s3->settled = &settled;
        loop_run_until(s->loop, &settled);
        s->s3->settled = NULL;
        timer_free(limit);
}

void objstore_free(struct objstore *s) {
        if (!s)
                return;
        while (s->ops)
                objstore_cancel(s->ops);
        s3_free(s->s3);
        free(s);
}

static bool is_s3(const char *url) { return str_starts(url, "s3a://") || str_starts(url, "s3://") || str_starts(url, "s3n://"); }
static bool is_file(const char *url) { return str_starts(url, "file:/") || url[0] == '/'; }

bool objstore_knows(const char *url) { return is_s3(url) || is_file(url); }

static struct objstore_op *start(struct objstore *s, const struct objstore_op *head, const struct op_request *q) {
        if (is_s3(q->url))
                return s3_start(s, head, q);
        if (is_file(q->url))
                return file_start(s, head, q);
        AUTO(err) struct err err = ERR_INIT;
        err_set(&err, -EINVAL, "%s: only s3a:, s3:, s3n: and file: URLs and absolute paths are understood", q->url);
        return failing_start(s, head, &err);
}

struct objstore_op *objstore_list(struct objstore *s, const struct objstore_list *q, page_fn done, void *arg) {
        struct objstore_op head = {.kind = OP_LIST, .done.page = done, .arg = arg};
        struct op_request r = {.kind = OP_LIST, .url = q->url, .list = q};
        return start(s, &head, &r);
}

struct objstore_op *objstore_stat(struct objstore *s, const char *url, entry_fn done, void *arg) {
        struct objstore_op head = {.kind = OP_STAT, .done.entry = done, .arg = arg};
        struct op_request r = {.kind = OP_STAT, .url = url};
        return start(s, &head, &r);
}

struct objstore_op *objstore_read(struct objstore *s, const char *url, int64_t offset, size_t length, const char *if_etag, data_fn done,
                                  void *arg) {
        struct objstore_op head = {.kind = OP_READ, .done.data = done, .arg = arg};
        struct op_request r = {.kind = OP_READ, .url = url, .offset = offset, .length = length, .if_etag = if_etag};
        if (length == 0 || length > OBJSTORE_MAX_READ || offset < 0 || offset > INT64_MAX - (int64_t)length) {
                AUTO(err) struct err err = ERR_INIT;
                err_set(&err, -EINVAL, "%s: between 1 byte and %d MiB are read at a time", url, OBJSTORE_MAX_READ >> 20);
                return failing_start(s, &head, &err);
        }
        return start(s, &head, &r);
}

struct objstore_op *objstore_put(struct objstore *s, const char *url, struct sv data, const char *content_type, plain_fn done, void *arg) {
        struct objstore_op head = {.kind = OP_PUT, .done.plain = done, .arg = arg};
        struct op_request r = {.kind = OP_PUT, .url = url, .data = data, .content_type = content_type};
        if (data.len > OBJSTORE_MAX_READ) {
                AUTO(err) struct err err = ERR_INIT;
                err_set(&err, -EFBIG, "%s: at most %d MiB are put at a time", url, OBJSTORE_MAX_READ >> 20);
                return failing_start(s, &head, &err);
        }
        return start(s, &head, &r);
}

struct objstore_op *objstore_upload(struct objstore *s, const char *path, const char *url, progress_fn progress, plain_fn done, void *arg) {
        struct objstore_op head = {.kind = OP_UPLOAD, .done.plain = done, .progress = progress, .arg = arg};
        struct op_request r = {.kind = OP_UPLOAD, .url = url, .path = path};
        return start(s, &head, &r);
}

struct objstore_op *objstore_delete(struct objstore *s, const char *url, plain_fn done, void *arg) {
        struct objstore_op head = {.kind = OP_DELETE, .done.plain = done, .arg = arg};
        struct op_request r = {.kind = OP_DELETE, .url = url};
        return start(s, &head, &r);
}

/* ---- waiting ---- */

struct waiting {
        bool done;
        int result;
        struct err *err;
        struct objstore_page *page;
        struct objstore_entry *entry;
        struct str *data;
        progress_fn progress;
        void *arg;
};

static void waited(struct waiting *w, const struct err *err) {
        w->done = true;
        if (!err)
                return;
        w->result = err_http(w->err, err->code, err->http_status, err->reason, "%s", err_message(err));
        if (err->hint)
                err_hint(w->err, "%s", err->hint);
}

static void waited_page(void *arg, struct objstore_page *page, const struct err *err) {
        struct waiting *w = arg;
        if (page) {
                *w->page = *page;
                *page = (struct objstore_page){0};
        }
        waited(w, err);
}

static void waited_entry(void *arg, struct objstore_entry *entry, const struct err *err) {
        struct waiting *w = arg;
        if (entry) {
                *w->entry = *entry;
                *entry = (struct objstore_entry){0};
        }
        waited(w, err);
}

static void waited_data(void *arg, struct str *data, const struct err *err) {
        struct waiting *w = arg;
        if (data)
                str_append_sv(w->data, str_sv(data));
        waited(w, err);
}

static void waited_plain(void *arg, const struct err *err) { waited(arg, err); }

static void waited_progress(void *arg, int64_t sent, int64_t total) {
        struct waiting *w = arg;
        w->progress(w->arg, sent, total);
}

static int wait_for(struct objstore *s, struct objstore_op *op, struct waiting *w) {
        loop_run_until(s->loop, &w->done);
        if (!w->done) {
                objstore_cancel(op);
                objstore_settle(s, SETTLE_MS);
                return err_set(w->err, -EINTR, "interrupted");
        }
        return w->result;
}

int objstore_list_wait(struct objstore *s, const struct objstore_list *q, struct objstore_page *ret, struct err *err) {
        struct waiting w = {.err = err, .page = ret};
        return wait_for(s, objstore_list(s, q, waited_page, &w), &w);
}

int objstore_stat_wait(struct objstore *s, const char *url, struct objstore_entry *ret, struct err *err) {
        struct waiting w = {.err = err, .entry = ret};
        return wait_for(s, objstore_stat(s, url, waited_entry, &w), &w);
}

int objstore_read_wait(struct objstore *s, const char *url, int64_t offset, size_t length, const char *if_etag, struct str *ret,
                       struct err *err) {
        struct waiting w = {.err = err, .data = ret};
        return wait_for(s, objstore_read(s, url, offset, length, if_etag, waited_data, &w), &w);
}

int objstore_put_wait(struct objstore *s, const char *url, struct sv data, const char *content_type, struct err *err) {
        struct waiting w = {.err = err};
        return wait_for(s, objstore_put(s, url, data, content_type, waited_plain, &w), &w);
}

int objstore_upload_wait(struct objstore *s, const char *path, const char *url, progress_fn progress, void *arg, struct err *err) {
        struct waiting w = {.err = err, .progress = progress, .arg = arg};
        return wait_for(s, objstore_upload(s, path, url, progress ? waited_progress : NULL, waited_plain, &w), &w);
}

int objstore_delete_wait(struct objstore *s, const char *url, struct err *err) {
        struct waiting w = {.err = err};
        return wait_for(s, objstore_delete(s, url, waited_plain, &w), &w);
}
