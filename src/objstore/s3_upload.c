/* A file to S3: at once when it is small, else in parts, some at a time. Workers read and hash; the loop signs and sends.
 * Whatever fails, the parts that were sent are discarded, because S3 charges for them for ever. */
#include <fcntl.h>
#include <sys/stat.h>

#include "codec/sha256.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "objstore/s3-internal.h"

enum {
        SINGLE_PUT = 2 * OBJSTORE_PART,
        MAX_PARTS = 10000,
        AT_A_TIME = 4,
};

struct upload;

/* One part, or the whole of a small file. */
struct piece {
        struct upload *upload;
        int number; /* from 1; 0 = the whole */
        int64_t offset;
        size_t size;
        struct str data;
        char hash[SHA256_HEX_SIZE];
        struct err err;
        struct s3_request *request;
};

struct upload {
        struct objstore_op op;
        struct s3_bucket *bucket;
        char *key, *url, *path;
        int fd;
        int64_t size, sent;
        size_t part_size;
        int parts, next_part, finished_parts;
        char **etags; /* by part */
        char *upload_id;
        struct piece *pieces[AT_A_TIME];
        int workers; /* jobs that point here */
        struct s3_request *request; /* create, complete, abort */
        struct err failure;
        struct err open_error;
        bool cancelled;
};

/* ---- the end ---- */

static void piece_free(struct piece *p) {
        s3_request_cancel(p->request);
        str_done(&p->data);
        err_done(&p->err);
        free(p);
}

static void upload_free(struct upload *u) {
        if (u->workers > 0)
                return; /* the last one comes by here again */
        for (int i = 0; u->etags && i < u->parts; i++)
                free(u->etags[i]);
        free(u->etags);
        if (u->fd >= 0)
                close(u->fd);
        err_done(&u->failure);
        err_done(&u->open_error);
        free(u->upload_id);
        free(u->key);
        free(u->url);
        free(u->path);
        free(u);
}

static void finish(struct upload *u, const struct err *err) {
        op_answer(&u->op, NULL, err);
        upload_free(u);
}

/* Requests in flight end; what workers read is dropped when they come back. */
static void stop_pieces(struct upload *u) {
        for (int i = 0; i < AT_A_TIME; i++) {
                struct piece *p = u->pieces[i];
                if (p && p->request) {
                        u->pieces[i] = NULL;
                        piece_free(p);
                }
        }
}

static void on_aborted(void *arg, struct http_response *response, const struct err *err) {
        struct upload *u = arg;
        u->request = NULL;
        finish(u, &u->failure);
}

static char *upload_query(const char *upload_id, int part) {
        AUTO(str) struct str q = STR_INIT(0);
        if (part) {
                AUTO(free) char *number = xasprintf("%d", part);
                query_add(&q, "partNumber", number);
        }
        query_add(&q, "uploadId", upload_id);
        return str_take(&q);
}

static void abort_when_quiet(struct upload *u) {
        if (u->workers > 0 || u->request || u->cancelled)
                return;
        if (!u->upload_id) {
                finish(u, &u->failure);
                return;
        }
        AUTO(free) char *query = upload_query(u->upload_id, 0);
        struct s3_request_spec spec = {
                .bucket = u->bucket, .method = "DELETE", .key = u->key, .query = query, .url = u->url, .done = on_aborted, .arg = u};
        u->request = s3_request_start(&spec);
}

static void fail(struct upload *u, const struct err *err) {
        if (!u->failure.code) {
                err_http(&u->failure, err->code, err->http_status, err->reason, "%s", err_message(err));
                if (err->hint)
                        err_hint(&u->failure, "%s", err->hint);
        }
        stop_pieces(u);
        abort_when_quiet(u);
}

static void adopt_creation(struct upload *u);

static void upload_cancel(struct objstore_op *op) {
        struct upload *u = (struct upload *)op;
        u->cancelled = true;
        if (u->request && !u->upload_id)
                adopt_creation(u);
        s3_request_cancel(TAKE(u->request));
        stop_pieces(u);
        if (u->upload_id)
                s3_abandon_upload(u->bucket, u->key, u->upload_id, u->url);
        upload_free(u);
}

/* ---- reading, on workers ---- */

static int read_piece(int fd, struct piece *p, struct err *err) {
        if (!str_reserve(&p->data, p->size))
                return err_set(err, -ENOMEM, "no memory for %zu bytes", p->size);
        while (p->data.len < p->size) {
                ssize_t n = pread(fd, p->data.data + p->data.len, p->size - p->data.len, p->offset + (off_t)p->data.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, -errno, "%s", p->upload->path);
                if (n == 0)
                        return err_set(err, -EIO, "%s became shorter while it was sent", p->upload->path);
                p->data.len += (size_t)n;
        }
        if (p->size)
                p->data.data[p->data.len] = '\0';
        sha256_hex(str_sv(&p->data), p->hash);
        return 0;
}

static void work_piece(void *arg) {
        struct piece *p = arg;
        if (read_piece(p->upload->fd, p, &p->err) < 0 && !p->err.code)
                p->err.code = -EIO;
}

static int open_file(struct upload *u, struct err *err) {
        struct stat st;
        u->fd = open(u->path, O_RDONLY | O_CLOEXEC);
        if (u->fd < 0 || fstat(u->fd, &st) < 0)
                return err_errno(err, -errno, "%s", u->path);
        if (!S_ISREG(st.st_mode))
                return err_set(err, -EINVAL, "%s is not a file", u->path);
        u->size = st.st_size;
        return 0;
}

static void work_open(void *arg) {
        struct upload *u = arg;
        if (open_file(u, &u->open_error) < 0 && !u->open_error.code)
                u->open_error.code = -EIO;
}

/* ---- sending ---- */

static void start_pieces(struct upload *u);

static void on_completed(void *arg, struct http_response *response, const struct err *err) {
        struct upload *u = arg;
        u->request = NULL;
        if (err)
                fail(u, err);
        else
                finish(u, NULL);
}

static void complete(struct upload *u) {
        AUTO(str) struct str body = STR_INIT(0);
        str_append_s(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (int i = 0; i < u->parts; i++) {
                str_appendf(&body, "<Part><PartNumber>%d</PartNumber><ETag>", i + 1);
                xml_append_escaped(&body, sv_of(u->etags[i]));
                str_append_s(&body, "</ETag></Part>");
        }
        str_append_s(&body, "</CompleteMultipartUpload>");
        AUTO(free) char *query = upload_query(u->upload_id, 0);
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "Content-Type", "application/xml");
        struct s3_request_spec spec = {.bucket = u->bucket,
                                       .method = "POST",
                                       .key = u->key,
                                       .query = query,
                                       .headers = &h,
                                       .body = &body,
                                       .url = u->url,
                                       .done = on_completed,
                                       .arg = u};
        u->request = s3_request_start(&spec);
}

static void report_progress(struct upload *u, size_t sent) {
        u->sent += (int64_t)sent;
        if (u->op.progress && u->op.store)
                u->op.progress(u->op.arg, u->sent, u->size);
}

static void on_sent(void *arg, struct http_response *response, const struct err *err) {
        struct piece *p = arg;
        struct upload *u = p->upload;
        p->request = NULL;
        for (int i = 0; i < AT_A_TIME; i++) {
                if (u->pieces[i] == p)
                        u->pieces[i] = NULL;
        }
        int number = p->number;
        size_t size = p->size;
        piece_free(p);
        if (err) {
                fail(u, err);
                return;
        }
        const char *etag = http_headers_get(&response->headers, "ETag");
        if (number && !etag) {
                AUTO(err) struct err e = ERR_INIT;
                err_set(&e, -EPROTO, "%s: S3 gave no ETag for a part", u->url);
                fail(u, &e);
                return;
        }
        if (number)
                u->etags[number - 1] = xstrdup(etag);
        u->finished_parts++;
        bool was_all = u->finished_parts == (number ? u->parts : 1);
        u->workers++; /* the callback may cancel us */
        report_progress(u, size);
        u->workers--;
        if (u->cancelled)
                upload_free(u);
        else if (!number)
                finish(u, NULL);
        else if (was_all)
                complete(u);
        else
                start_pieces(u);
}

static void send_piece(struct upload *u, struct piece *p) {
        AUTO(free) char *query = p->number ? upload_query(u->upload_id, p->number) : NULL;
        AUTO(http_headers) struct http_headers h = {0};
        if (!p->number) {
                http_headers_add(&h, "Content-Type", "application/octet-stream");
                s3_bucket_encrypt(u->bucket, &h);
        }
        struct s3_request_spec spec = {.bucket = u->bucket,
                                       .method = "PUT",
                                       .key = u->key,
                                       .query = query,
                                       .headers = &h,
                                       .body = &p->data,
                                       .body_hash = p->hash,
                                       .url = u->url,
                                       .done = on_sent,
                                       .arg = p};
        p->request = s3_request_start(&spec);
}

static void on_piece_read(void *arg) {
        struct piece *p = arg;
        struct upload *u = p->upload;
        u->workers--;
        if (!u->cancelled && !u->failure.code && !p->err.code) {
                send_piece(u, p);
                return;
        }
        for (int i = 0; i < AT_A_TIME; i++) {
                if (u->pieces[i] == p)
                        u->pieces[i] = NULL;
        }
        AUTO(err) struct err err = ERR_INIT;
        err_move(&err, &p->err);
        piece_free(p);
        if (u->cancelled)
                upload_free(u);
        else if (err.code)
                fail(u, &err);
        else
                abort_when_quiet(u);
}

static void start_piece(struct upload *u, int slot, int number) {
        struct piece *p = NEW(struct piece);
        p->upload = u;
        p->number = number;
        p->offset = number ? (int64_t)(number - 1) * (int64_t)u->part_size : 0;
        int64_t left = u->size - p->offset;
        p->size = number && left > (int64_t)u->part_size ? u->part_size : (size_t)left;
        u->pieces[slot] = p;
        u->workers++;
        loop_work(u->bucket->s3->loop, work_piece, on_piece_read, p);
}

static void start_pieces(struct upload *u) {
        for (int i = 0; i < AT_A_TIME && u->next_part <= u->parts; i++) {
                if (!u->pieces[i])
                        start_piece(u, i, u->next_part++);
        }
}

static int parse_upload_id(const struct http_response *response, char **ret, struct err *err) {
        AUTO(arena) struct arena a = {0};
        struct xml_node *root = NULL;
        int r = xml_parse(str_sv(&response->body), &a, &root, err);
        if (r < 0)
                return r;
        const char *id = xml_text(root, "UploadId");
        if (!id || !*id)
                return err_set(err, -EPROTO, "S3 gave no UploadId");
        *ret = xstrdup(id);
        return 0;
}

static void on_created(void *arg, struct http_response *response, const struct err *err) {
        struct upload *u = arg;
        u->request = NULL;
        if (err) {
                fail(u, err);
                return;
        }
        AUTO(err) struct err e = ERR_INIT;
        int r = parse_upload_id(response, &u->upload_id, &e);
        if (r < 0) {
                err_wrap(&e, r, "%s", u->url);
                fail(u, &e);
                return;
        }
        start_pieces(u);
}

static void on_opened(void *arg) {
        struct upload *u = arg;
        u->workers--;
        if (u->cancelled) {
                upload_free(u);
                return;
        }
        if (u->open_error.code) {
                fail(u, &u->open_error);
                return;
        }
        if (u->size <= SINGLE_PUT) {
                start_piece(u, 0, 0);
                return;
        }
        u->part_size = OBJSTORE_PART;
        while ((u->size + (int64_t)u->part_size - 1) / (int64_t)u->part_size > MAX_PARTS)
                u->part_size *= 2;
        u->parts = (int)((u->size + (int64_t)u->part_size - 1) / (int64_t)u->part_size);
        u->etags = xcalloc((size_t)u->parts, sizeof *u->etags);
        u->next_part = 1;
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "Content-Type", "application/octet-stream");
        s3_bucket_encrypt(u->bucket, &h);
        struct s3_request_spec spec = {.bucket = u->bucket,
                                       .method = "POST",
                                       .key = u->key,
                                       .query = "uploads=",
                                       .headers = &h,
                                       .url = u->url,
                                       .done = on_created,
                                       .arg = u};
        u->request = s3_request_start(&spec);
}

struct objstore_op *s3_upload_start(struct objstore *s, const struct objstore_op *head, const struct op_request *q, struct s3_bucket *b,
                                    const char *key) {
        struct upload *u = NEW(struct upload);
        u->op = *head;
        u->op.cancel = upload_cancel;
        u->bucket = b;
        u->key = xstrdup(key);
        u->url = xstrdup(q->url);
        u->path = xstrdup(q->path);
        u->fd = -1;
        op_link(s, &u->op);
        u->workers = 1;
        loop_work(s->loop, work_open, on_opened, u);
        return &u->op;
}

/* ---- orphans ---- */

struct s3_orphan {
        struct s3 *s3;
        struct s3_request *request;
        /* of an upload that is still being created */
        struct s3_bucket *bucket;
        char *key, *url;
};

static struct s3_orphan *orphan_new(struct s3_bucket *b) {
        struct s3_orphan *o = NEW(struct s3_orphan);
        o->s3 = b->s3;
        o->bucket = b;
        *vec_push(&b->s3->orphans) = o;
        return o;
}

static void orphan_free(struct s3_orphan *o) {
        free(o->key);
        free(o->url);
        free(o);
}

static void orphan_ended(struct s3_orphan *o) {
        struct s3 *s3 = o->s3;
        for (size_t i = 0; i < s3->orphans.len; i++) {
                if (s3->orphans.items[i] == o) {
                        vec_remove(&s3->orphans, i);
                        break;
                }
        }
        orphan_free(o);
        if (!s3->orphans.len && s3->settled)
                *s3->settled = true;
}

static void on_abandoned(void *arg, struct http_response *response, const struct err *err) { orphan_ended(arg); }

void s3_abandon_upload(struct s3_bucket *b, const char *key, const char *upload_id, const char *url) {
        struct s3_orphan *o = orphan_new(b);
        AUTO(free) char *query = upload_query(upload_id, 0);
        struct s3_request_spec spec = {
                .bucket = b, .method = "DELETE", .key = key, .query = query, .url = url, .done = on_abandoned, .arg = o};
        o->request = s3_request_start(&spec);
}

/* Now it has an id by which it can be discarded. */
static void on_created_in_vain(void *arg, struct http_response *response, const struct err *err) {
        struct s3_orphan *o = arg;
        AUTO(free) char *id = NULL;
        if (!err && parse_upload_id(response, &id, NULL) == 0)
                s3_abandon_upload(o->bucket, o->key, id, o->url);
        orphan_ended(o);
}

static void adopt_creation(struct upload *u) {
        struct s3_orphan *o = orphan_new(u->bucket);
        o->key = xstrdup(u->key);
        o->url = xstrdup(u->url);
        o->request = TAKE(u->request);
        s3_request_hand_over(o->request, on_created_in_vain, o);
}

void s3_orphans_free(struct s3 *s3) {
        vec_foreach(o, &s3->orphans) {
                s3_request_cancel((*o)->request);
                orphan_free(*o);
        }
        vec_done(&s3->orphans);
}
