/* The operations on S3 that are one request: list, stat, read, put, delete. */
#include <stdio.h>

#include "codec/ktime.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "objstore/s3-internal.h"

struct s3_op {
        struct objstore_op op;
        struct s3_request *request;
        char *url; /* of the object; of the bucket with its slash when listing */
};

static void s3_op_free(struct s3_op *f) {
        free(f->url);
        free(f);
}

static void s3_op_cancel(struct objstore_op *op) {
        struct s3_op *f = (struct s3_op *)op;
        s3_request_cancel(f->request);
        s3_op_free(f);
}

static char *unquoted(const char *etag) {
        struct sv v = sv_of(etag);
        if (v.len >= 2 && v.data[0] == '"' && v.data[v.len - 1] == '"')
                v = sv_new(v.data + 1, v.len - 2);
        return sv_dup(v);
}

static int64_t parse_iso(const char *text) {
        int64_t us = 0;
        return text && ktime_parse(sv_of(text), &us) ? us / 1000 : 0;
}

/* Fri, 02 Jan 2026 03:04:05 GMT */
static int64_t parse_http_date(const char *text) {
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        int day, year, hour, minute, second;
        char name[4];
        if (!text || sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, name, &year, &hour, &minute, &second) != 6)
                return 0;
        const char *at = strlen(name) == 3 ? strstr(months, name) : NULL;
        return at ? ktime_from_civil(year, (int)(at - months) / 3 + 1, day, hour, minute, second) * 1000 : 0;
}

/* ---- answers ---- */

static int compare_entries(const void *a, const void *b) {
        return strcmp(((const struct objstore_entry *)a)->url, ((const struct objstore_entry *)b)->url);
}

static int parse_page(const struct s3_op *f, struct sv text, struct objstore_page *ret, struct err *err) {
        AUTO(arena) struct arena a = {0};
        struct xml_node *root;
        int r = xml_parse(text, &a, &root, err);
        if (r < 0)
                return r;
        if (!sv_eqs(root->name, "ListBucketResult"))
                return err_set(err, -EPROTO, "the answer is a <%.*s>, not a listing", SV_ARG(root->name));
        xml_foreach(c, root, "Contents") {
                const char *key = xml_text(c, "Key"), *size = xml_text(c, "Size"), *etag = xml_text(c, "ETag");
                int64_t n = 0;
                if (!key || !size || !sv_to_int64(sv_of(size), &n))
                        return err_set(err, -EPROTO, "the listing has an object without key or size");
                *vec_push(&ret->entries) = (struct objstore_entry){.url = xasprintf("%s%s", f->url, key),
                                                                   .size = n,
                                                                   .mtime_ms = parse_iso(xml_text(c, "LastModified")),
                                                                   .etag = etag ? unquoted(etag) : NULL};
        }
        xml_foreach(c, root, "CommonPrefixes") {
                const char *prefix = xml_text(c, "Prefix");
                if (prefix)
                        *vec_push(&ret->entries) = (struct objstore_entry){.url = xasprintf("%s%s", f->url, prefix), .is_prefix = true};
        }
        if (ret->entries.len)
                qsort(ret->entries.items, ret->entries.len, sizeof *ret->entries.items, compare_entries);
        const char *truncated = xml_text(root, "IsTruncated"), *next = xml_text(root, "NextContinuationToken");
        if (truncated && streq(truncated, "true") && next && *next)
                ret->next = xstrdup(next);
        return 0;
}

static int fill_entry(const struct s3_op *f, const struct http_response *response, struct objstore_entry *e, struct err *err) {
        const char *size = http_headers_get(&response->headers, "Content-Length"), *etag = http_headers_get(&response->headers, "ETag");
        if (!size || !sv_to_int64(sv_of(size), &e->size))
                return err_set(err, -EPROTO, "the answer does not say the size");
        e->url = xstrdup(f->url);
        e->mtime_ms = parse_http_date(http_headers_get(&response->headers, "Last-Modified"));
        e->etag = etag ? unquoted(etag) : NULL;
        return 0;
}

static void on_answer(void *arg, struct http_response *response, const struct err *err) {
        struct s3_op *f = arg;
        struct op_result result = {0};
        AUTO(err) struct err e = ERR_INIT;
        int r = 0;
        if (err && f->op.kind == OP_READ && err->http_status == 416)
                err = NULL; /* behind the end there is nothing */
        else if (err && f->op.kind == OP_DELETE && err->code == -ENOENT && !streq_null(err->reason, "NoSuchBucket"))
                err = NULL;
        else if (!err && f->op.kind == OP_LIST)
                r = parse_page(f, str_sv(&response->body), &result.page, &e);
        else if (!err && f->op.kind == OP_STAT)
                r = fill_entry(f, response, &result.entry, &e);
        else if (!err && f->op.kind == OP_READ) {
                result.data = response->body;
                response->body = STR_INIT(0);
                result.data.max = 0;
        }
        if (r < 0)
                err_wrap(&e, r, "%s", f->url);
        op_answer(&f->op, &result, r < 0 ? &e : err);
        op_result_done(&result);
        s3_op_free(f);
}

/* ---- requests ---- */

static void list_query(const struct objstore_list *q, const char *prefix, struct str *out) {
        query_add(out, "list-type", "2");
        size_t max = q->max && q->max < OBJSTORE_MAX_PAGE ? q->max : OBJSTORE_MAX_PAGE;
        AUTO(free) char *number = xasprintf("%zu", max);
        query_add(out, "max-keys", number);
        if (*prefix)
                query_add(out, "prefix", prefix);
        if (!q->is_recursive)
                query_add(out, "delimiter", "/");
        query_add(out, "continuation-token", q->token);
}

static const char *const methods[] = {[OP_LIST] = "GET", [OP_STAT] = "HEAD", [OP_READ] = "GET", [OP_PUT] = "PUT", [OP_DELETE] = "DELETE"};

static void fill_spec(const struct op_request *q, const char *key, struct s3_request_spec *spec, struct http_headers *headers,
                      struct str *query, struct str *body) {
        spec->method = methods[q->kind];
        spec->key = key;
        spec->headers = headers;
        switch (q->kind) {
        case OP_LIST:
                list_query(q->list, key, query);
                spec->key = "";
                spec->query = str_cstr(query);
                break;
        case OP_READ:
                http_headers_addf(headers, "Range", "bytes=%lld-%lld", (long long)q->offset,
                                  (long long)(q->offset + (int64_t)q->length - 1));
                if (q->if_etag)
                        http_headers_addf(headers, "If-Match", "\"%s\"", q->if_etag);
                spec->max_answer = q->length > 64 * 1024 ? q->length : 64 * 1024; /* an error's text may be longer */
                break;
        case OP_PUT:
                http_headers_add(headers, "Content-Type", q->content_type ? q->content_type : "application/octet-stream");
                s3_bucket_encrypt(spec->bucket, headers);
                str_append_sv(body, q->data);
                spec->body = body;
                break;
        default:
                break;
        }
}

static struct objstore_op *start(struct objstore *s, const struct objstore_op *head, const struct op_request *q, struct s3_bucket *b,
                                 const char *key) {
        struct s3_op *f = NEW(struct s3_op);
        f->op = *head;
        f->op.cancel = s3_op_cancel;
        struct sv scheme = sv_new(q->url, (size_t)(strstr(q->url, "://") - q->url));
        f->url = q->kind == OP_LIST ? xasprintf("%.*s://%s/", SV_ARG(scheme), b->name) : xstrdup(q->url);
        AUTO(http_headers) struct http_headers headers = {0};
        AUTO(str) struct str query = STR_INIT(0);
        AUTO(str) struct str body = STR_INIT(0);
        struct s3_request_spec spec = {.bucket = b, .url = q->url, .done = on_answer, .arg = f};
        fill_spec(q, key, &spec, &headers, &query, &body);
        op_link(s, &f->op);
        f->request = s3_request_start(&spec);
        return &f->op;
}

struct objstore_op *s3_start(struct objstore *s, const struct objstore_op *head, const struct op_request *q) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *bucket = NULL;
        AUTO(free) char *key = NULL;
        struct s3_bucket *b = NULL;
        if (!s->s3)
                s->s3 = s3_new(s);
        int r = s3_url_parse(q->url, &bucket, &key, &err);
        if (r == 0 && q->kind != OP_LIST && !*key)
                r = err_set(&err, -EINVAL, "%s names a bucket, not an object", q->url);
        if (r == 0)
                r = s3_bucket_find(s->s3, bucket, &b, &err);
        if (r < 0)
                return failing_start(s, head, &err);
        return q->kind == OP_UPLOAD ? s3_upload_start(s, head, q, b, key) : start(s, head, q, b, key);
}
