#include "kube/client.h"

#include "kube/client-internal.h"
#include "net/proxy_env.h"

enum { PARSE_ON_LOOP_MAX = 64 * 1024, CALL_TIMEOUT_MS = 60 * 1000 };

const struct kube_retry KUBE_RETRY_DEFAULT = {.retries = 5, .first_ms = 200, .max_ms = 5000};
const struct kube_retry KUBE_RETRY_SPARK35 = {.retries = 3, .first_ms = 100, .max_ms = 3200, .broken_connections = true};
const struct kube_retry KUBE_RETRY_SPARK41 = {.retries = 3, .first_ms = 100, .max_ms = 3200};
const struct kube_retry KUBE_RETRY_NONE = {0};

void kube_request_done(struct kube_request *r) {
        free(r->path);
        free(r->query);
        str_done(&r->body);
        *r = (struct kube_request){0};
}

void kube_reply_done(struct kube_reply *r) {
        http_headers_done(&r->headers);
        str_done(&r->body);
        yyjson_doc_free(r->doc);
        *r = (struct kube_reply){0};
}

/* ---- the client ---- */

static int check_proxy(const char *proxy, struct err *err) {
        if (!proxy || str_starts(proxy, "http://"))
                return 0;
        return err_set(err, -ENOTSUP, "the proxy %s for the Kubernetes API is not supported (accepted: http://[user:password@]host:port)",
                       proxy);
}

int kube_client_new(struct loop *l, const struct kube_client_options *o, struct kube_client **ret, struct err *err) {
        AUTO(kube_client) struct kube_client *c = NEW(struct kube_client);
        c->loop = l;
        kube_access_copy(o->access, &c->access);
        c->credentials = kube_credentials_new(l, &c->access);
        c->retry = o->retry ? *o->retry : KUBE_RETRY_DEFAULT;
        c->user_agent = xstrdup(o->user_agent ? o->user_agent : "firesteel/" FIRESTEEL_VERSION);
        c->field_manager = xstrdup(o->field_manager ? o->field_manager : "firesteel");
        c->dry_run = o->dry_run;
        c->timeout_ms = o->timeout_ms ? o->timeout_ms : CALL_TIMEOUT_MS;
        c->max_idle = o->max_idle;
        int r = 0;
        if (c->access.proxy_url && *c->access.proxy_url)
                c->proxy_url = xstrdup(c->access.proxy_url);
        else
                r = proxy_env_for(c->access.server, &c->proxy_url, err);
        if (r >= 0)
                r = check_proxy(c->proxy_url, err);
        if (r < 0)
                return err_wrap(err, r, "server %s of %s", c->access.server, c->access.source);
        *ret = TAKE(c);
        return 0;
}

void kube_client_free(struct kube_client *c) {
        if (!c)
                return;
        http_client_free(c->http);
        vec_foreach(http, &c->old_http) {
                http_client_free(*http);
        }
        vec_done(&c->old_http);
        tls_context_free(c->tls);
        vec_foreach(tls, &c->old_tls) {
                tls_context_free(*tls);
        }
        vec_done(&c->old_tls);
        kube_credentials_free(c->credentials);
        kube_access_done(&c->access);
        free(c->user_agent);
        free(c->field_manager);
        free(c->proxy_url);
        free(c);
}

struct loop *kube_client_loop(struct kube_client *c) { return c->loop; }
const struct kube_access *kube_client_access(const struct kube_client *c) { return &c->access; }
const char *kube_client_namespace(const struct kube_client *c) { return c->access.namespace_ ? c->access.namespace_ : "default"; }
const char *kube_client_field_manager(const struct kube_client *c) { return *c->field_manager ? c->field_manager : NULL; }
bool kube_client_is_dry_run(const struct kube_client *c) { return c->dry_run; }

static int make_tls(const struct kube_client *c, struct tls_context **ret, struct err *err) {
        if (!str_starts(c->access.server, "https://")) {
                *ret = NULL;
                return 0;
        }
        struct tls_client_options o = {
                .ca_pem = str_sv(&c->access.ca_pem),
                .cert_pem = kube_credentials_cert(c->credentials),
                .key_pem = kube_credentials_key(c->credentials),
                .insecure = c->access.insecure,
                .server_name = c->access.tls_server_name,
        };
        int r = tls_client_new(&o, ret, err);
        return r < 0 ? err_wrap(err, r, "%s", c->access.source) : 0;
}

int kube_client_http_(struct kube_client *c, struct http_client **ret, struct err *err) {
        unsigned generation = kube_credentials_generation(c->credentials);
        if (c->http && c->generation == generation) {
                *ret = c->http;
                return 0;
        }
        struct tls_context *tls = NULL;
        int r = make_tls(c, &tls, err);
        if (r < 0)
                return r;
        if (c->http)
                *vec_push(&c->old_http) = c->http;
        if (c->tls)
                *vec_push(&c->old_tls) = c->tls;
        c->tls = tls;
        c->generation = generation;
        c->http = http_client_new(
                c->loop,
                &(struct http_client_options){.tls = tls, .proxy_url = c->proxy_url, .user_agent = c->user_agent, .max_idle = c->max_idle});
        *ret = c->http;
        return 0;
}

char *kube_client_url_(const struct kube_client *c, const char *path, const char *query) {
        return query && *query ? xasprintf("%s%s?%s", c->access.server, path, query) : xasprintf("%s%s", c->access.server, path);
}

void kube_client_headers_(const struct kube_client *c, const char *accept, const char *content_type, struct http_headers *ret) {
        if (accept)
                http_headers_add(ret, "Accept", accept);
        if (content_type)
                http_headers_add(ret, "Content-Type", content_type);
        const char *authorization = kube_credentials_authorization(c->credentials);
        if (authorization)
                http_headers_add(ret, "Authorization", authorization);
        const struct kube_access *a = &c->access;
        if (a->as_user)
                http_headers_add(ret, "Impersonate-User", a->as_user);
        if (a->as_uid)
                http_headers_add(ret, "Impersonate-Uid", a->as_uid);
        vec_foreach(group, &a->as_groups) {
                http_headers_add(ret, "Impersonate-Group", *group);
        }
}

/* ---- errors ---- */

static int code_of(int status, const char *reason) {
        switch (status) {
        case 401: return -EACCES;
        case 403: return -EPERM;
        case 404: return -ENOENT;
        case 408: case 504: return -ETIMEDOUT;
        case 409: return streq_null(reason, "AlreadyExists") ? -EEXIST : -EBUSY;
        case 410: return -ESTALE;
        case 429: return -EAGAIN;
        default: return status >= 500 ? -EREMOTEIO : -EINVAL;
        }
}

int kube_status_error(int status, struct sv body, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        if (json_parse(body, &doc, NULL) >= 0 && streq_null(json_get_str(yyjson_doc_get_root(doc), "kind"), "Status")) {
                yyjson_val *root = yyjson_doc_get_root(doc);
                const char *reason = json_get_str(root, "reason"), *message = json_get_str(root, "message");
                int code = code_of(status, reason);
                if (!message || !*message)
                        message = reason && *reason ? reason : http_status_text(status);
                (void)err_http(err, code, status, reason && *reason ? reason : NULL, "%s", message);
                yyjson_val *details = yyjson_obj_get(root, "details");
                if (err && details)
                        err->details = json_write(details, false, NULL);
                return code;
        }
        struct sv text = sv_trim(body);
        if (text.len > 300)
                text.len = 300;
        return err_http(err, code_of(status, NULL), status, NULL, "HTTP %d %s%s%.*s", status, http_status_text(status),
                        text.len ? ": " : "", SV_ARG(text));
}

void kube_client_explain_(const struct kube_client *c, struct err *err) {
        if (err->hint)
                return;
        if (err->http_status == 401)
                err_hint(err, "%s does not accept the credentials of %s", c->access.server, c->access.source);
}

int kube_client_transport_err_(const struct kube_client *c, const struct err *cause, struct err *err) {
        bool is_said = strstr(c->access.source, c->access.server); /* "server https://..." */
        int r = err_set(err, cause->code, "%s%s%s%s: %s", c->access.server, is_said ? "" : " (", is_said ? "" : c->access.source,
                        is_said ? "" : ")", err_message(cause));
        if (cause->hint)
                err_hint(err, "%s", cause->hint);
        else if (cause->code == -ECONNREFUSED)
                err_hint(err, "is the cluster running, and is its address still that?");
        return r;
}

bool kube_err_was_not_sent(const struct err *err) {
        static const int codes[] = {-ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH, -ENOENT, -EKEYREJECTED};
        for (size_t i = 0; !err->http_status && i < ARRAY_LEN(codes); i++)
                if (err->code == codes[i])
                        return true;
        return false;
}

/* ---- calls ---- */

struct parse_job {
        struct kube_call *call; /* NULL: cancelled */
        struct str body;
        yyjson_doc *doc;
        struct err err;
        int result;
};

struct kube_call {
        struct kube_client *client;
        struct kube_request request;
        void (*done)(void *arg, struct kube_reply *reply, const struct err *err);
        void *arg;
        struct http_call *http; /* under way */
        struct timer *timer;    /* waiting */
        struct parse_job *parsing;
        struct kube_reply reply; /* while its body is parsed */
        int tries;
        bool waits_for_credentials, has_refreshed, wants_refresh;
};

static void call_free(struct kube_call *call) {
        if (call->http)
                http_call_cancel(call->http);
        if (call->timer)
                timer_free(call->timer);
        if (call->waits_for_credentials)
                kube_credentials_forget(call->client->credentials, call);
        if (call->parsing)
                call->parsing->call = NULL;
        kube_reply_done(&call->reply);
        kube_request_done(&call->request);
        free(call);
}

void kube_call_cancel(struct kube_call *call) {
        if (call)
                call_free(call);
}

static void finish(struct kube_call *call, struct kube_reply *reply, struct err *err) {
        void (*done)(void *, struct kube_reply *, const struct err *) = call->done;
        void *arg = call->arg;
        if (err)
                kube_client_explain_(call->client, err);
        struct kube_reply taken = {0};
        if (reply) {
                taken = *reply;
                *reply = (struct kube_reply){0};
        }
        call_free(call);
        done(arg, err ? NULL : &taken, err);
        kube_reply_done(&taken);
}

static void begin(void *arg);

static void wait_then_begin(struct kube_call *call, int64_t delay_ms) {
        if (call->timer)
                timer_free(call->timer);
        call->timer = timer_new(call->client->loop, delay_ms, 0, begin, call);
}

static int64_t retry_after_ms(const struct http_response *response) {
        const char *text = response ? http_headers_get(&response->headers, "Retry-After") : NULL;
        int64_t seconds;
        if (!text || !sv_to_int64(sv_trim(sv_of(text)), &seconds) || seconds < 0)
                return 0;
        return seconds > KUBE_MAX_RETRY_AFTER_MS / 1000 ? KUBE_MAX_RETRY_AFTER_MS : seconds * 1000;
}

/* Waits and tries again; false when the policy allows no more. */
static bool try_again(struct kube_call *call, const struct http_response *response) {
        const struct kube_retry *retry = &call->client->retry;
        if (call->request.no_retry || call->tries > retry->retries)
                return false;
        int64_t delay = retry->first_ms;
        for (int i = 1; i < call->tries && delay < retry->max_ms; i++)
                delay *= 2;
        if (delay > retry->max_ms)
                delay = retry->max_ms;
        int64_t asked = retry_after_ms(response);
        wait_then_begin(call, asked > delay ? asked : delay);
        return true;
}

static bool is_read(const char *method) { return streq(method, "GET") || streq(method, "HEAD"); }

static void parse_work(void *arg) {
        struct parse_job *job = arg;
        job->result = json_parse(str_sv(&job->body), &job->doc, &job->err);
}

static void parse_done(void *arg) {
        struct parse_job *job = arg;
        struct kube_call *call = job->call;
        if (call) {
                call->parsing = NULL;
                if (job->result >= 0) {
                        call->reply.doc = TAKE(job->doc);
                        finish(call, &call->reply, NULL);
                } else {
                        err_wrap(&job->err, job->result, "%s%s answered something that is not JSON", call->client->access.server,
                                 call->request.path);
                        finish(call, NULL, &job->err);
                }
        }
        yyjson_doc_free(job->doc);
        str_done(&job->body);
        err_done(&job->err);
        free(job);
}

static void take_success(struct kube_call *call, struct http_response *response) {
        call->reply.status = response->status;
        call->reply.headers = response->headers;
        response->headers = (struct http_headers){0};
        if (call->request.is_raw || response->body.len == 0) {
                call->reply.body = response->body;
                response->body = (struct str){0};
                finish(call, &call->reply, NULL);
                return;
        }
        struct parse_job *job = NEW(struct parse_job);
        job->call = call;
        job->body = response->body;
        response->body = (struct str){0};
        call->parsing = job;
        if (job->body.len > PARSE_ON_LOOP_MAX) {
                loop_work(call->client->loop, parse_work, parse_done, job);
                return;
        }
        parse_work(job);
        parse_done(job);
}

static void on_answer(void *arg, struct http_response *response, const struct err *cause) {
        struct kube_call *call = arg;
        call->http = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (cause) {
                bool may_repeat = is_read(call->request.method) || cause->code == -ECONNREFUSED || call->client->retry.broken_connections;
                bool curable = cause->code == -ECONNRESET || cause->code == -EPIPE || cause->code == -ECONNREFUSED;
                if (may_repeat && curable && try_again(call, NULL))
                        return;
                (void)kube_client_transport_err_(call->client, cause, &err);
                finish(call, NULL, &err);
                return;
        }
        int status = response->status;
        if (status >= 200 && status < 300) {
                take_success(call, response);
                return;
        }
        if (status == 401 && !call->has_refreshed && kube_credentials_can_refresh(call->client->credentials)) {
                call->has_refreshed = call->wants_refresh = true;
                call->tries--;
                wait_then_begin(call, 0);
                return;
        }
        if ((status == 429 || status >= 500) && try_again(call, response))
                return;
        (void)kube_status_error(status, str_sv(&response->body), &err);
        finish(call, NULL, &err);
}

static void send_request(struct kube_call *call) {
        AUTO(err) struct err err = ERR_INIT;
        struct http_client *http = NULL;
        int r = kube_client_http_(call->client, &http, &err);
        if (r < 0) {
                finish(call, NULL, &err);
                return;
        }
        const struct kube_request *q = &call->request;
        AUTO(http_headers) struct http_headers headers = {0};
        kube_client_headers_(call->client, q->accept ? q->accept : "application/json", q->content_type, &headers);
        AUTO(free) char *url = kube_client_url_(call->client, q->path, q->query);
        call->tries++;
        call->http = http_call_start(http, &(struct http_call_options){
                .method = q->method,
                .url = url,
                .headers = &headers,
                .body = str_sv(&q->body),
                .has_body = q->content_type != NULL,
                .timeout_ms = q->timeout_ms ? q->timeout_ms : call->client->timeout_ms,
                .max_body = KUBE_MAX_BODY,
                .on_done = on_answer,
                .arg = call,
        });
}

static void on_credentials(void *arg, const struct err *cause) {
        struct kube_call *call = arg;
        call->waits_for_credentials = false;
        if (!cause) {
                send_request(call);
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        err_copy(&err, cause);
        finish(call, NULL, &err);
}

static void begin(void *arg) {
        struct kube_call *call = arg;
        timer_free(TAKE(call->timer));
        bool refresh = call->wants_refresh;
        call->wants_refresh = false;
        call->waits_for_credentials = true;
        kube_credentials_get(call->client->credentials, refresh, on_credentials, call);
}

static void copy_request(const struct kube_request *from, struct kube_request *to) {
        *to = *from;
        to->path = xstrdup(from->path);
        to->query = xstrdup_null(from->query);
        to->body = STR_INIT(0);
        str_append_sv(&to->body, str_sv(&from->body));
}

struct kube_call *kube_call_start(struct kube_client *c, const struct kube_request *request,
                                  void (*done)(void *arg, struct kube_reply *reply, const struct err *err), void *arg) {
        struct kube_call *call = NEW(struct kube_call);
        call->client = c;
        call->done = done;
        call->arg = arg;
        copy_request(request, &call->request);
        wait_then_begin(call, 0);
        return call;
}

struct waiting {
        bool is_done;
        struct kube_reply reply;
        struct err err;
};

static void on_waited(void *arg, struct kube_reply *reply, const struct err *err) {
        struct waiting *w = arg;
        w->is_done = true;
        if (err) {
                err_copy(&w->err, err);
        } else {
                w->reply = *reply;
                *reply = (struct kube_reply){0};
        }
}

int kube_call_wait(struct kube_client *c, const struct kube_request *request, struct kube_reply *ret, struct err *err) {
        struct waiting w = {0};
        struct kube_call *call = kube_call_start(c, request, on_waited, &w);
        loop_run_until(c->loop, &w.is_done);
        if (!w.is_done) { /* somebody stopped the loop: an interrupt */
                kube_call_cancel(call);
                return err_set(err, -EINTR, "interrupted while waiting for %s", c->access.server);
        }
        if (w.err.code < 0)
                return err_move(err, &w.err);
        *ret = w.reply;
        return 0;
}
