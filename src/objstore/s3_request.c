/* One request to S3: credentials, signature, sending, and again when that may help. */
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/rand.h"
#include "codec/sha256.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "objstore/s3-internal.h"

enum {
        BACKOFF_MS = 200,
        MAX_BACKOFF_MS = 20 * 1000,
        TIMEOUT_MS = 5 * 60 * 1000, /* a part of some megabytes over a slow line */
};

struct s3_request {
        struct s3_bucket *bucket;
        char *method, *key, *query, *url;
        struct http_headers headers;
        struct str body;
        char body_hash[SHA256_HEX_SIZE];
        size_t max_answer;
        void (*done)(void *arg, struct http_response *response, const struct err *err);
        void *arg;

        int attempt;
        bool region_corrected, credentials_refreshed;
        bool is_posted, is_cancelled;
        struct http_call *call;
        struct timer *timer;
};

static void begin(struct s3_request *r);

static void request_free(struct s3_request *r) {
        timer_free(r->timer);
        http_headers_done(&r->headers);
        str_done(&r->body);
        free(r->method);
        free(r->key);
        free(r->query);
        free(r->url);
        free(r);
}

void s3_request_cancel(struct s3_request *r) {
        if (!r)
                return;
        http_call_cancel(TAKE(r->call));
        aws_chain_forget(r->bucket->chain, r);
        if (r->is_posted)
                r->is_cancelled = true;
        else
                request_free(r);
}

void s3_request_hand_over(struct s3_request *r, void (*done)(void *arg, struct http_response *response, const struct err *err), void *arg) {
        r->done = done;
        r->arg = arg;
}

static void finish(struct s3_request *r, struct http_response *response, const struct err *err) {
        void (*done)(void *, struct http_response *, const struct err *) = r->done;
        void *arg = r->arg;
        request_free(r);
        done(arg, response, err);
}

/* ---- what S3 said ---- */

struct complaint {
        struct arena arena;
        const char *code, *message, *region;
};

static void complaint_cleanup_(struct complaint *c) { arena_done(&c->arena); }

static void read_complaint(const struct http_response *response, struct complaint *c) {
        struct xml_node *root = NULL;
        if (response->body.len && xml_parse(str_sv(&response->body), &c->arena, &root, NULL) == 0 && sv_eqs(root->name, "Error")) {
                c->code = xml_text(root, "Code");
                c->message = xml_text(root, "Message");
                c->region = xml_text(root, "Region");
        }
        const char *header = http_headers_get(&response->headers, "x-amz-bucket-region");
        if (header)
                c->region = header;
}

static int errno_of(int status) {
        switch (status) {
        case 404:
                return -ENOENT;
        case 401:
        case 403:
                return -EACCES;
        case 412:
                return -ESTALE;
        case 416:
                return -ERANGE;
        case 429:
        case 503:
                return -EBUSY;
        default:
                return status >= 500 ? -EREMOTEIO : -EINVAL;
        }
}

static void explain(const struct s3_request *r, const struct http_response *response, const struct complaint *c, struct err *err) {
        int status = response->status;
        const char *code = c->code, *said = c->message;
        if (status == 404)
                err_http(err, -ENOENT, status, code,
                         streq_null(code, "NoSuchBucket") ? "%s: there is no such bucket" : "%s: there is no such object", r->url);
        else if (status == 412)
                err_http(err, -ESTALE, status, code, "%s has changed", r->url);
        else
                err_http(err, errno_of(status), status, code, "%s: %s%s%s%s", r->url, said ? said : http_status_text(status),
                         code ? " (" : "", code ? code : "", code ? ")" : "");
        if (streq_null(code, "SignatureDoesNotMatch"))
                err_hint(err, "the secret key is wrong, or a proxy changes requests");
        else if (streq_null(code, "InvalidAccessKeyId"))
                err_hint(err, "the access key is unknown at %s; for another service than AWS set fs.s3a.endpoint", r->bucket->authority);
        else if (streq_null(code, "RequestTimeTooSkewed"))
                err_hint(err, "the clock of this machine is wrong");
        else if (status == 403 && r->bucket->is_anonymous)
                err_hint(err, "the bucket is not public; unset fs.s3a.aws.credentials.provider to sign requests");
}

/* ---- again ---- */

static void posted_begin(void *arg) {
        struct s3_request *r = arg;
        r->is_posted = false;
        if (r->is_cancelled)
                request_free(r);
        else
                begin(r);
}

static void on_backoff(void *arg) {
        struct s3_request *r = arg;
        timer_free(TAKE(r->timer));
        begin(r);
}

/* Twice as long each time, of which half is random so that many clients do not come back at once. */
static bool try_again(struct s3_request *r) {
        if (++r->attempt >= r->bucket->attempts)
                return false;
        int64_t ms = r->attempt < 8 ? (int64_t)BACKOFF_MS << (r->attempt - 1) : MAX_BACKOFF_MS;
        ms = ms > MAX_BACKOFF_MS ? MAX_BACKOFF_MS : ms;
        ms = ms / 2 + (int64_t)(rand_u64() % (uint64_t)(ms / 2 + 1));
        r->timer = timer_new(r->bucket->s3->loop, ms, 0, on_backoff, r);
        return true;
}

static bool may_pass(int status, const char *code) {
        static const char *const passing[] = {"RequestTimeout",   "InternalError",        "SlowDown",
                                              "OperationAborted", "RequestTimeTooSkewed", NULL};
        return status == 429 || status == 500 || status == 502 || status == 503 || status == 504 || str_is_one_of(code, passing);
}

static bool corrects_region(struct s3_request *r, int status, const struct complaint *c) {
        if (r->region_corrected || !c->region || streq(c->region, r->bucket->region) || (status != 301 && status != 307 && status != 400))
                return false;
        r->region_corrected = true;
        s3_bucket_set_region(r->bucket, c->region);
        return true;
}

static bool refreshes_credentials(struct s3_request *r, const struct complaint *c) {
        static const char *const expired[] = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", NULL};
        if (r->credentials_refreshed || !str_is_one_of(c->code, expired))
                return false;
        r->credentials_refreshed = true;
        aws_chain_expire(r->bucket->chain);
        return true;
}

static void on_answer(void *arg, struct http_response *response, const struct err *err) {
        struct s3_request *r = arg;
        r->call = NULL;
        if (err) {
                /* Wrong certificates and unknown hosts do not become right by waiting. */
                bool may_help = err->code != -EKEYREJECTED && err->code != -EINVAL && err->code != -EMSGSIZE && err->code != -ENOENT;
                if (may_help && try_again(r))
                        return;
                AUTO(err) struct err e = ERR_INIT;
                err_set(&e, err->code == -ENOENT ? -EHOSTUNREACH : err->code, "%s: %s", r->url, err_message(err));
                finish(r, NULL, &e);
                return;
        }
        AUTO(complaint) struct complaint c = {0};
        bool ok = response->status / 100 == 2;
        /* Completing an upload answers 200 before it knows, and may then say that it failed. */
        if (!ok || (response->body.len && streq(r->method, "POST")))
                read_complaint(response, &c);
        if (ok && !c.code) {
                finish(r, response, NULL);
                return;
        }
        if (corrects_region(r, response->status, &c) || refreshes_credentials(r, &c)) {
                begin(r);
                return;
        }
        if (may_pass(response->status, c.code) && try_again(r))
                return;
        AUTO(err) struct err e = ERR_INIT;
        if (ok)
                response->status = 500;
        explain(r, response, &c, &e);
        finish(r, NULL, &e);
}

/* ---- sending ---- */

static void append_url(const struct s3_request *r, struct str *path, char **ret_host) {
        const struct s3_bucket *b = r->bucket;
        str_append_s(path, b->base_path);
        str_append_c(path, '/');
        if (b->path_style) {
                str_append_s(path, b->name);
                if (*r->key)
                        str_append_c(path, '/');
                *ret_host = xstrdup(b->authority);
        } else {
                *ret_host = xasprintf("%s.%s", b->name, b->authority);
        }
        uri_encode(sv_of(r->key), true, path);
}

static void send_request(struct s3_request *r, const struct aws_credentials *credentials) {
        const struct s3_bucket *b = r->bucket;
        AUTO(str) struct str path = STR_INIT(0);
        AUTO(free) char *host = NULL;
        append_url(r, &path, &host);
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "Host", host);
        vec_foreach(e, &r->headers.list) http_headers_add(&h, e->name, e->value);
        if (credentials) {
                struct sigv4_keys keys = {credentials->access_key, credentials->secret_key, credentials->session_token, b->region, "s3"};
                struct sigv4_request q = {.method = r->method, .path = str_cstr(&path), .query = r->query};
                sigv4_sign(&keys, &q, clock_now_ms(), r->body_hash, &h, NULL);
        }
        AUTO(free) char *url = xasprintf("%s://%s%s%s%s", b->scheme, host, str_cstr(&path), r->query ? "?" : "", r->query ? r->query : "");
        struct http_call_options o = {
                .method = r->method,
                .url = url,
                .headers = &h,
                .body = str_sv(&r->body),
                .timeout_ms = TIMEOUT_MS,
                .max_body = r->max_answer,
                .on_done = on_answer,
                .arg = r,
        };
        r->call = http_call_start(b->s3->http, &o);
}

static void on_credentials(void *arg, const struct aws_credentials *credentials, const struct err *err) {
        struct s3_request *r = arg;
        if (!err) {
                send_request(r, credentials);
                return;
        }
        AUTO(err) struct err e = ERR_INIT;
        err_set(&e, err->code, "%s: %s", r->url, err_message(err));
        if (err->hint)
                err_hint(&e, "%s", err->hint);
        finish(r, NULL, &e);
}

static void begin(struct s3_request *r) {
        if (r->bucket->is_anonymous)
                send_request(r, NULL);
        else
                aws_chain_get(r->bucket->chain, on_credentials, r);
}

struct s3_request *s3_request_start(const struct s3_request_spec *spec) {
        struct s3_request *r = NEW(struct s3_request);
        r->bucket = spec->bucket;
        r->method = xstrdup(spec->method);
        r->key = xstrdup(spec->key);
        r->query = xstrdup_null(spec->query);
        r->url = xstrdup(spec->url);
        if (spec->headers)
                vec_foreach(h, &spec->headers->list) http_headers_add(&r->headers, h->name, h->value);
        if (spec->body) {
                r->body = *spec->body;
                *spec->body = STR_INIT(0);
        }
        if (spec->body_hash)
                memcpy(r->body_hash, spec->body_hash, sizeof r->body_hash);
        else
                sha256_hex(str_sv(&r->body), r->body_hash);
        r->max_answer = spec->max_answer;
        r->done = spec->done;
        r->arg = spec->arg;
        r->is_posted = true;
        loop_post(r->bucket->s3->loop, posted_begin, r);
        return r;
}
