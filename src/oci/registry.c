#include "oci/registry.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/rand.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/uri.h"
#include "event/loop.h"
#include "net/http_client.h"
#include "net/proxy_env.h"

enum {
        ATTEMPTS = 5,
        REDIRECTS = 5,
        LAYERS_AT_ONCE = 3,
        BACKOFF_FIRST_MS = 200,
        BACKOFF_MAX_MS = 10000,
        RETRY_AFTER_MAX_MS = 60000,
        LOCK_POLL_MS = 200,
        TOKEN_MAX_BYTES = 1 << 20,
        IDLE_MS = 60000
};

static const char accepted[] = OCI_TYPE_MANIFEST ", " OCI_TYPE_INDEX ", " OCI_TYPE_DOCKER_MANIFEST ", " OCI_TYPE_DOCKER_LIST;

struct pull {
        const struct oci_pull_options *o;
        const struct oci_store *store;
        const struct oci_reference *reference;
        struct loop *loop;
        struct http_client *direct, *proxied;
        char *base;             /* "https://host:port" */
        char *authorization;    /* header's value; NULL: none so far */
        char *challenge;        /* the last WWW-Authenticate */
        int64_t fetched, have, total;
        size_t layers_done, layers;
        bool wake;              /* a layer needs the outer loop: it is done, or wants a new token */
};

/* ---- addresses ---- */

static void host_of(const char *registry, struct str *ret) {
        struct sv v = sv_of(registry);
        ssize_t colon = sv_rfind_char(v, ':');
        if (v.len && v.data[0] == '[') {
                ssize_t end = sv_find_char(v, ']');
                str_append(ret, v.data + 1, end > 0 ? (size_t)end - 1 : 0);
        } else {
                str_append(ret, v.data, colon < 0 ? v.len : (size_t)colon);
        }
}

bool oci_registry_is_loopback(const char *registry) {
        AUTO(str) struct str host = STR_INIT(512);
        struct in_addr v4;
        host_of(registry, &host);
        const char *h = str_cstr(&host);
        return streq(h, "localhost") || streq(h, "::1") || (inet_pton(AF_INET, h, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127);
}

static bool may_be_plain(const struct pull *p) {
        return oci_registry_is_loopback(p->reference->registry) || (p->o->insecure && strv_has(p->o->insecure, p->reference->registry));
}

static const char *server_of(const char *registry) { return streq(registry, "docker.io") ? "registry-1.docker.io" : registry; }

static struct http_client *client_for(struct pull *p, const char *url) {
        AUTO(free) char *proxy = NULL;
        if (proxy_env_for(url, &proxy, NULL) < 0 || !proxy) {
                if (!p->direct)
                        p->direct = http_client_new(p->loop, &(struct http_client_options){0});
                return p->direct;
        }
        if (!p->proxied)
                p->proxied = http_client_new(p->loop, &(struct http_client_options){.proxy_url = proxy});
        return p->proxied;
}

static bool same_origin(const char *a, const char *b) {
        AUTO(uri) struct uri x = {0}, y = {0};
        if (uri_parse(a, &x, NULL) < 0 || uri_parse(b, &y, NULL) < 0)
                return false;
        return streq_null(x.scheme, y.scheme) && streq_null(x.host, y.host) && x.port == y.port;
}

/* Where a redirect leads; NULL when it must not be followed. */
static char *redirect_target(const char *from, const char *location) {
        AUTO(uri) struct uri base = {0}, to = {0};
        if (!location || uri_parse(from, &base, NULL) < 0)
                return NULL;
        if (str_starts(location, "//"))
                return xasprintf("%s:%s", base.scheme, location);
        if (location[0] == '/') {
                const char *authority = strstr(from, "://") + 3;
                return xasprintf("%s://%.*s%s", base.scheme, (int)strcspn(authority, "/?#"), authority, location);
        }
        if (uri_parse(location, &to, NULL) < 0 || !to.scheme || !to.host)
                return NULL;
        if (!streq(to.scheme, "https") && !(streq(to.scheme, "http") && streq(base.scheme, "http")))
                return NULL;
        return xstrdup(location);
}

static int64_t backoff_ms(int tries) {
        int64_t ms = BACKOFF_FIRST_MS;
        for (int i = 1; i < tries && ms < BACKOFF_MAX_MS; i++)
                ms *= 2;
        return ms + (int64_t)(rand_u64() % (uint64_t)ms);
}

static int64_t retry_after_ms(const struct http_headers *h) {
        const char *text = http_headers_get(h, "Retry-After");
        int64_t s;
        if (!text || !sv_to_int64(sv_of(text), &s) || s < 0)
                return 0;
        return s > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : s * 1000;
}

static bool is_passing(int status) { return status == 429 || status == 408 || status >= 500; }

/* Whether a failed call is worth another. What the certificate is, it stays. */
static bool is_transient(const struct err *err) {
        return err->code != -EINVAL && err->code != -EACCES && err->code != -EPERM && err->code != -EFBIG && err->code != -EPROTO &&
               err->code != -ECONNREFUSED;
}

struct nap {
        bool over;
};
static void on_nap(void *arg) { ((struct nap *)arg)->over = true; }

static void nap(struct pull *p, int64_t ms) {
        struct nap n = {0};
        struct timer *t = timer_new(p->loop, ms, 0, on_nap, &n);
        loop_run_until(p->loop, &n.over);
        timer_free(t);
}

/* ---- what a registry says ---- */

/* {"errors":[{"code":"DENIED","message":"..."}]} */
static char *words_of(const struct http_response *response) {
        AUTO(json) yyjson_doc *doc = NULL;
        if (json_parse(str_sv(&response->body), &doc, NULL) < 0)
                return xstrdup("");
        const char *message = json_str_at(yyjson_doc_get_root(doc), "/errors/0/message"),
                   *code = json_str_at(yyjson_doc_get_root(doc), "/errors/0/code");
        if (!message || !*message)
                message = json_get_str(yyjson_doc_get_root(doc), "details");
        return message && *message ? xasprintf(": %.500s", message) : code ? xasprintf(": %.100s", code) : xstrdup("");
}

static int status_error(const struct pull *p, const char *what, const struct http_response *response, struct err *err) {
        AUTO(free) char *words = words_of(response);
        const char *name = p->reference->name;
        int status = response->status;
        if (status == 404) {
                err_set(err, -ENOENT, "%s: not found%s", name, words);
                err_hint(err, "check the name and the tag; registries also answer this for what one may not see");
                return -ENOENT;
        }
        if (status == 401 || status == 403) {
                err_set(err, -EACCES, "%s: pull access denied, repository does not exist or may require authorization%s", name, words);
                err_hint(err, "give the pod an imagePullSecret, or log in with \"docker login %s\"", p->reference->registry);
                return -EACCES;
        }
        return err_set(err, status == 429 ? -EBUSY : -EIO, "%s: %s answered %d %s to the request for %s%s", name, p->base, status,
                       http_status_text(status), what, words);
}

/* ---- tokens ---- */

static int call(struct pull *p, const char *method, const char *url, const struct http_headers *headers, struct sv body, size_t max,
                struct http_response *ret, struct err *err) {
        const struct http_call_options o = {
                .method = method, .url = url, .headers = headers, .body = body, .timeout_ms = IDLE_MS, .max_body = max};
        return http_call_wait(client_for(p, url), p->loop, &o, ret, err);
}

static void set_basic(char **slot, const struct oci_login *login) {
        AUTO(free) char *both = xasprintf("%s:%s", login->user, login->password ? login->password : "");
        AUTO(str) struct str text = STR_INIT(0);
        base64_encode(sv_of(both), &text);
        free(*slot);
        *slot = xasprintf("Basic %s", str_cstr(&text));
}

static int read_token(struct pull *p, const struct oci_challenge *c, const struct http_response *response, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        if (response->status == 401 || response->status == 403) {
                AUTO(free) char *words = words_of(response);
                err_set(err, -EACCES, "%s: %s refused the credentials%s", p->reference->name, c->realm, words);
                err_hint(err, "check the imagePullSecret, or log in again with \"docker login %s\"", p->reference->registry);
                return -EACCES;
        }
        if (response->status != 200)
                return err_set(err, is_passing(response->status) ? -EAGAIN : -EIO, "%s: %s answered %d %s to the request for a token",
                               p->reference->name, c->realm, response->status, http_status_text(response->status));
        if (json_parse(str_sv(&response->body), &doc, NULL) < 0)
                return err_set(err, -EIO, "%s: %s did not answer with JSON", p->reference->name, c->realm);
        const char *token = json_get_str(yyjson_doc_get_root(doc), "token");
        if (!token || !*token)
                token = json_get_str(yyjson_doc_get_root(doc), "access_token");
        if (!token || !*token || strpbrk(token, "\r\n"))
                return err_set(err, -EIO, "%s: %s answered without a token", p->reference->name, c->realm);
        free(p->authorization);
        p->authorization = xasprintf("Bearer %s", token);
        return 0;
}

/* A token service on this machine, on the host of a registry that may be plain, or one that was named as such. */
static bool realm_may_be_plain(const struct pull *p, const char *realm) {
        const char *authority = strstr(realm, "://") + 3;
        AUTO(free) char *where = xstrndup(authority, strcspn(authority, "/?#"));
        AUTO(str) struct str theirs = STR_INIT(512), ours = STR_INIT(512);
        if (strchr(where, '@'))
                return false;
        host_of(where, &theirs);
        host_of(p->reference->registry, &ours);
        return oci_registry_is_loopback(where) || (p->o->insecure && strv_has(p->o->insecure, where)) ||
               (may_be_plain(p) && streq(str_cstr(&theirs), str_cstr(&ours)));
}

static int fetch_token(struct pull *p, const struct oci_challenge *c, const struct oci_login *login, struct err *err) {
        AUTO(free) char *own_scope = xasprintf("repository:%s:pull", p->reference->repository);
        const char *scope = c->scope ? c->scope : own_scope;
        AUTO(str) struct str query = STR_INIT(0);
        AUTO(http_headers) struct http_headers headers = {0};
        AUTO(http_response) struct http_response response = {0};
        AUTO(free) char *url = NULL;
        int r;
        /* Credentials do not travel in the clear because a registry says so. */
        if (str_starts(c->realm, "http://") && !realm_may_be_plain(p, c->realm))
                return err_set(err, -EPERM, "%s: the registry sends for a token to %s, which is not https; refused", p->reference->name,
                               c->realm);
        if (c->service)
                query_add(&query, "service", c->service);
        query_add(&query, "scope", scope);
        if (login && login->identity_token) {
                query_add(&query, "grant_type", "refresh_token");
                query_add(&query, "client_id", "firesteel");
                query_add(&query, "refresh_token", login->identity_token);
                http_headers_add(&headers, "Content-Type", "application/x-www-form-urlencoded");
                r = call(p, "POST", c->realm, &headers, str_sv(&query), TOKEN_MAX_BYTES, &response, err);
        } else {
                AUTO(free) char *basic = NULL;
                if (login && login->user) {
                        set_basic(&basic, login);
                        query_add(&query, "account", login->user);
                        http_headers_add(&headers, "Authorization", basic);
                }
                url = xasprintf("%s%c%s", c->realm, strchr(c->realm, '?') ? '&' : '?', str_cstr(&query));
                r = call(p, "GET", url, &headers, SV_NULL, TOKEN_MAX_BYTES, &response, err);
        }
        if (r < 0)
                return err_wrap(err, r, "%s: a token from %s", p->reference->name, c->realm);
        return read_token(p, c, &response, err);
}

/* Answers the registry's challenge. -EACCES when there is nothing to answer it with. */
static int authenticate(struct pull *p, struct err *err) {
        AUTO(oci_challenge) struct oci_challenge c = {0};
        struct oci_login asked = {0};
        if (!p->challenge || !oci_challenge_parse(p->challenge, &c))
                return err_set(err, -EACCES, "%s: the registry wants an authorization of an unknown kind (\"%.200s\")", p->reference->name,
                               p->challenge ? p->challenge : "");
        const struct oci_login *login =
                p->o->logins ? oci_logins_find(p->o->logins, p->reference->registry, p->reference->repository) : NULL;
        if (login && login->helper) {
                /* A helper that knows nothing leaves us anonymous, as in docker. */
                login = oci_login_ask_helper(login->helper, p->reference->registry, &asked, NULL) == 0 ? &asked : NULL;
        }
        int r = 0;
        if (login && login->registry_token) {
                free(p->authorization);
                p->authorization = xasprintf("Bearer %s", login->registry_token);
        } else if (c.is_bearer) {
                r = fetch_token(p, &c, login, err);
        } else if (login && login->user) {
                set_basic(&p->authorization, login);
        } else {
                err_set(err, -EACCES, "%s: authorization failed: no basic auth credentials", p->reference->name);
                err_hint(err, "give the pod an imagePullSecret, or log in with \"docker login %s\"", p->reference->registry);
                r = -EACCES;
        }
        oci_login_done(&asked);
        return r;
}

static void keep_challenge(struct pull *p, const struct http_headers *h) {
        const char *text = http_headers_get(h, "WWW-Authenticate");
        /* Several may come; Bearer is what registries mean. */
        for (size_t i = 0; i < h->list.len; i++)
                if (sv_ieq(sv_of(h->list.items[i].name), SV("WWW-Authenticate")) &&
                    sv_ieq(sv_new(h->list.items[i].value, strcspn(h->list.items[i].value, " ")), SV("Bearer")))
                        text = h->list.items[i].value;
        free(p->challenge);
        p->challenge = xstrdup_null(text);
}

/* ---- small documents ---- */

static int try_get(struct pull *p, const char *url, const char *accept, size_t max, struct http_response *ret, struct err *err) {
        AUTO(free) char *at = xstrdup(url);
        bool asked = false;
        for (int redirects = 0;;) {
                AUTO(http_headers) struct http_headers headers = {0};
                AUTO(http_response) struct http_response response = {0};
                if (accept)
                        http_headers_add(&headers, "Accept", accept);
                if (p->authorization && same_origin(at, p->base))
                        http_headers_add(&headers, "Authorization", p->authorization);
                int r = call(p, "GET", at, &headers, SV_NULL, max, &response, err);
                if (r < 0)
                        return r;
                if (response.status == 401 && !asked && same_origin(at, p->base)) {
                        asked = true;
                        keep_challenge(p, &response.headers);
                        if ((r = authenticate(p, err)) < 0)
                                return r;
                        continue;
                }
                if (response.status >= 301 && response.status <= 308 && response.status != 304) {
                        char *next = redirect_target(at, http_headers_get(&response.headers, "Location"));
                        if (!next || ++redirects > REDIRECTS) {
                                free(next);
                                return err_set(err, -EPERM, "%s: %s redirects to \"%s\"; refused", p->reference->name, at,
                                               http_headers_get(&response.headers, "Location")
                                                       ? http_headers_get(&response.headers, "Location")
                                                       : "");
                        }
                        free(at);
                        at = next;
                        continue;
                }
                *ret = response;
                response = (struct http_response){0};
                return 0;
        }
}

/* With retries; 200 or an error. */
static int get(struct pull *p, const char *url, const char *what, const char *accept, size_t max, struct http_response *ret,
               struct err *err) {
        int attempts = p->o->attempts ? p->o->attempts : ATTEMPTS;
        for (int tries = 1;; tries++) {
                AUTO(http_response) struct http_response response = {0};
                AUTO(err) struct err why = ERR_INIT;
                int64_t wait = backoff_ms(tries);
                int r = try_get(p, url, accept, max, &response, &why);
                if (r == 0 && response.status == 200) {
                        *ret = response;
                        response = (struct http_response){0};
                        return 0;
                }
                bool again = r < 0 ? is_transient(&why) : is_passing(response.status);
                if (again && tries < attempts) {
                        int64_t told = r == 0 ? retry_after_ms(&response.headers) : 0;
                        nap(p, told > wait ? told : wait);
                        continue;
                }
                if (r < 0)
                        return err_move(err, &why);
                return status_error(p, what, &response, err);
        }
}

/* ---- layers ---- */

struct fetch {
        struct pull *p;
        const struct oci_descriptor *d;
        struct oci_ingest *ingest;
        struct http_call *call;
        struct timer *timer;
        char *url;
        int tries, redirects, status, bad_digests;
        bool is_done, wants_token, has_new_token;
        struct err failure;
};

static void fetch_begin(void *arg);
static void fetch_request(struct fetch *f);

static void fetch_over(struct fetch *f) {
        oci_ingest_free(TAKE(f->ingest));
        f->is_done = true;
        f->p->wake = true;
}

static void tell(struct pull *p) {
        if (p->o->progress)
                p->o->progress(p->o->arg, p->layers_done, p->layers, p->have, p->total);
}

static void on_fetch_timer(void *arg) {
        struct fetch *f = arg;
        timer_free(TAKE(f->timer));
        fetch_begin(f);
}

static void fetch_later(struct fetch *f, int64_t ms) { f->timer = timer_new(f->p->loop, ms, 0, on_fetch_timer, f); }

/* From the beginning of the chain of redirects: signed addresses expire. */
static void fetch_again(struct fetch *f, int64_t at_least_ms) {
        int attempts = f->p->o->attempts ? f->p->o->attempts : ATTEMPTS;
        if (++f->tries >= attempts) {
                fetch_over(f);
                return;
        }
        err_clear(&f->failure);
        free(TAKE(f->url));
        f->redirects = 0;
        int64_t wait = backoff_ms(f->tries);
        fetch_later(f, wait > at_least_ms ? wait : at_least_ms);
}

static void on_layer_headers(void *arg, const struct http_response *response) {
        struct fetch *f = arg;
        f->status = response->status;
        int64_t have = oci_ingest_have(f->ingest);
        if (!have || (f->status != 200 && f->status != 206))
                return;
        AUTO(free) char *expected = xasprintf("bytes %lld-", (long long)have);
        const char *range = http_headers_get(&response->headers, "Content-Range");
        /* A server may ignore the range and send all of it. */
        if (f->status == 200 || !range || !str_starts(range, expected)) {
                if (f->status == 206)
                        err_set(&f->failure, -EIO, "layer %s: the registry sent another part (\"%s\") than asked for", f->d->digest,
                                range ? range : "");
                f->p->have -= have;
                if (oci_ingest_restart(f->ingest, f->failure.code ? NULL : &f->failure) < 0)
                        return;
        }
}

static void on_layer_data(void *arg, struct sv data) {
        struct fetch *f = arg;
        if (f->failure.code || (f->status != 200 && f->status != 206))
                return;
        if (oci_ingest_write(f->ingest, data, &f->failure) < 0)
                return;
        f->p->fetched += (int64_t)data.len;
        f->p->have += (int64_t)data.len;
        tell(f->p);
}

static void layer_came(struct fetch *f) {
        struct err why = ERR_INIT;
        int64_t have = oci_ingest_have(f->ingest);
        int r = oci_ingest_commit(f->ingest, &why);
        if (r == 0) {
                f->p->layers_done++;
                tell(f->p);
                fetch_over(f);
                return;
        }
        if (have < f->d->size && r == -EBADMSG) {
                /* Ended early: what is there counts, the rest is asked for. */
                fetch_again(f, 0);
                if (f->is_done)
                        err_move(&f->failure, &why);
        } else if (r == -EBADMSG && f->bad_digests++ == 0) {
                f->p->have -= have;
                oci_ingest_free(TAKE(f->ingest));
                fetch_again(f, 0);
                if (f->is_done)
                        err_move(&f->failure, &why);
        } else {
                err_move(&f->failure, &why);
                fetch_over(f);
        }
        err_done(&why);
}

static void follow(struct fetch *f, const struct http_response *response) {
        const char *location = http_headers_get(&response->headers, "Location");
        char *next = redirect_target(f->url, location);
        if (!next || ++f->redirects > REDIRECTS) {
                free(next);
                err_set(&f->failure, -EPERM, "layer %s: %s redirects to \"%s\"; refused", f->d->digest, f->url, location ? location : "");
                fetch_over(f);
                return;
        }
        free(f->url);
        f->url = next;
        fetch_request(f);
}

static void on_layer_done(void *arg, struct http_response *response, const struct err *err) {
        struct fetch *f = arg;
        struct pull *p = f->p;
        f->call = NULL;
        if (f->failure.code) { /* of the disk, or a wrong size: no other answer helps */
                fetch_over(f);
                return;
        }
        if (err) {
                struct err why = ERR_INIT;
                err_copy(&why, err);
                bool again = is_transient(err);
                if (again)
                        fetch_again(f, 0);
                else
                        fetch_over(f);
                if (f->is_done)
                        err_move(&f->failure, &why);
                err_done(&why);
                return;
        }
        int status = response->status;
        if (status == 200 || status == 206) {
                layer_came(f);
        } else if (status >= 301 && status <= 308 && status != 304) {
                follow(f, response);
        } else if (status == 401 && !f->has_new_token && same_origin(f->url, p->base)) {
                keep_challenge(p, &response->headers);
                f->wants_token = true;
                p->wake = true;
        } else if (status == 416) {
                p->have -= oci_ingest_have(f->ingest);
                if (oci_ingest_restart(f->ingest, &f->failure) < 0)
                        fetch_over(f);
                else
                        fetch_again(f, 0);
                if (f->is_done && !f->failure.code)
                        err_set(&f->failure, -EIO, "layer %s: the registry refuses every range", f->d->digest);
        } else {
                AUTO(free) char *what = xasprintf("layer %s", f->d->digest);
                if (is_passing(status))
                        fetch_again(f, retry_after_ms(&response->headers));
                else
                        fetch_over(f);
                if (f->is_done)
                        status_error(p, what, response, &f->failure);
        }
}

static void fetch_request(struct fetch *f) {
        struct pull *p = f->p;
        AUTO(http_headers) struct http_headers headers = {0};
        int64_t have = oci_ingest_have(f->ingest);
        if (p->authorization && same_origin(f->url, p->base))
                http_headers_add(&headers, "Authorization", p->authorization);
        if (have > 0)
                http_headers_addf(&headers, "Range", "bytes=%lld-", (long long)have);
        f->status = 0;
        const struct http_call_options o = {.method = "GET",
                                            .url = f->url,
                                            .headers = &headers,
                                            .timeout_ms = IDLE_MS,
                                            .on_headers = on_layer_headers,
                                            .on_data = on_layer_data,
                                            .on_done = on_layer_done,
                                            .arg = f};
        f->call = http_call_start(client_for(p, f->url), &o);
}

static void fetch_begin(void *arg) {
        struct fetch *f = arg;
        struct pull *p = f->p;
        if (!f->ingest) {
                struct err why = ERR_INIT;
                int r = oci_ingest_begin(p->store, f->d, &f->ingest, &why);
                if (r == -EAGAIN) {
                        fetch_later(f, LOCK_POLL_MS);
                } else if (r == 1) {
                        p->layers_done++;
                        p->have += f->d->size;
                        tell(p);
                        fetch_over(f);
                } else if (r < 0) {
                        err_move(&f->failure, &why);
                        fetch_over(f);
                } else {
                        p->have += oci_ingest_have(f->ingest);
                }
                err_done(&why);
                if (r != 0)
                        return;
        }
        if (!f->url)
                f->url = xasprintf("%s/v2/%s/blobs/%s", p->base, p->reference->repository, f->d->digest);
        /* All of it may be there from before: only the check is missing. */
        if (oci_ingest_have(f->ingest) == f->d->size && f->d->size > 0)
                layer_came(f);
        else
                fetch_request(f);
}

static void fetch_done(struct fetch *f) {
        if (f->call)
                http_call_cancel(f->call);
        timer_free(f->timer);
        oci_ingest_free(f->ingest);
        free(f->url);
        err_done(&f->failure);
}

/* 1 when all are done, 0 when some are not, negative at the first failure. */
static int look_at(struct pull *p, struct fetch *fetches, size_t count, size_t *started, struct err *err) {
        size_t running = 0, done = 0;
        for (size_t i = 0; i < *started; i++) {
                struct fetch *f = &fetches[i];
                if (f->failure.code)
                        return err_move(err, &f->failure);
                if (f->wants_token) {
                        int r = f->has_new_token ? 0 : authenticate(p, err);
                        if (r < 0)
                                return r;
                        f->wants_token = false;
                        f->has_new_token = true;
                        fetch_request(f);
                }
                done += f->is_done;
                running += !f->is_done;
        }
        while (*started < count && running < LAYERS_AT_ONCE) {
                fetch_begin(&fetches[(*started)++]);
                running++;
        }
        return done == count;
}

static int fetch_blobs(struct pull *p, const struct oci_descriptor *const *blobs, size_t count, struct err *err) {
        struct fetch *fetches = xcalloc(count, sizeof *fetches);
        size_t started = 0;
        int r = 0;
        for (size_t i = 0; i < count; i++)
                fetches[i] = (struct fetch){.p = p, .d = blobs[i]};
        p->wake = true;
        while (r == 0) {
                loop_run_until(p->loop, &p->wake);
                if (!p->wake) {
                        r = err_set(err, -EINTR, "interrupted");
                        break;
                }
                p->wake = false;
                size_t before = started;
                r = look_at(p, fetches, count, &started, err);
                /* What was started may have been done on the spot. */
                if (r == 0 && started > before)
                        p->wake = true;
        }
        for (size_t i = 0; i < started; i++)
                fetch_done(&fetches[i]);
        free(fetches);
        return r < 0 ? r : 0;
}

/* ---- the whole ---- */

/* Registries on loopback addresses mostly speak plain HTTP, and some do not. */
static int choose_base(struct pull *p, struct err *err) {
        const char *server = server_of(p->reference->registry);
        p->base = xasprintf("https://%s", server);
        if (!may_be_plain(p))
                return 0;
        AUTO(free) char *plain = xasprintf("http://%s", server);
        AUTO(free) char *probe = xasprintf("%s/v2/", plain);
        AUTO(http_response) struct http_response response = {0};
        AUTO(err) struct err why = ERR_INIT;
        int r = call(p, "GET", probe, NULL, SV_NULL, 64 << 10, &response, &why);
        if (r == -ECONNREFUSED)
                return err_move(err, &why);
        /* "client sent an HTTP request to an HTTPS server", or no HTTP at all. */
        if ((r == 0 && response.status != 400) || (r < 0 && is_transient(&why) && why.code == -ETIMEDOUT)) {
                free(p->base);
                p->base = TAKE(plain);
        }
        return 0;
}

static int get_manifest(struct pull *p, const char *which, struct http_response *ret, char digest[OCI_DIGEST_SIZE], struct err *err) {
        AUTO(free) char *url = xasprintf("%s/v2/%s/manifests/%s", p->base, p->reference->repository, which);
        int r = get(p, url, "the manifest", accepted, OCI_MAX_MANIFEST_BYTES, ret, err);
        if (r < 0)
                return r;
        oci_digest_of(str_sv(&ret->body), digest);
        p->fetched += (int64_t)ret->body.len;
        if (oci_digest_is_valid(which) && !streq(which, digest)) {
                http_response_done(ret);
                return err_set(err, -EBADMSG, "%s: the registry sent a manifest with the digest %s for %s", p->reference->name, digest,
                               which);
        }
        return 0;
}

/* The manifest of this machine in ret_text; what the name stands for in result->digest. */
static int resolve(struct pull *p, struct str *ret_text, struct oci_pull_result *result, struct err *err) {
        AUTO(http_response) struct http_response first = {0}, second = {0};
        enum oci_manifest_kind kind;
        AUTO(oci_descriptor) struct oci_descriptor chosen = {0};
        int r = get_manifest(p, p->reference->digest ? p->reference->digest : p->reference->tag, &first, result->digest, err);
        if (r < 0)
                return r;
        r = oci_manifest_kind(str_sv(&first.body), http_headers_get(&first.headers, "Content-Type"), &kind, err);
        if (r == 0 && kind == OCI_KIND_INDEX)
                r = oci_index_choose(str_sv(&first.body), oci_platform_here(), &chosen, err);
        if (r < 0)
                return err_wrap(err, r, "%s", p->reference->name);
        char unused[OCI_DIGEST_SIZE];
        if ((r = oci_store_put(p->store, str_sv(&first.body), unused, err)) < 0)
                return r;
        if (kind == OCI_KIND_MANIFEST) {
                memcpy(result->manifest, result->digest, OCI_DIGEST_SIZE);
                *ret_text = first.body;
                first.body = STR_INIT(0);
                return 0;
        }
        r = get_manifest(p, chosen.digest, &second, result->manifest, err);
        if (r < 0 || (r = oci_store_put(p->store, str_sv(&second.body), unused, err)) < 0)
                return r;
        *ret_text = second.body;
        second.body = STR_INIT(0);
        return 0;
}

static int pull_it(struct pull *p, struct oci_pull_result *result, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(oci_manifest) struct oci_manifest m = {0};
        int r = choose_base(p, err);
        if (r < 0 || (r = resolve(p, &text, result, err)) < 0)
                return r;
        if ((r = oci_manifest_parse(str_sv(&text), &m, err)) < 0)
                return err_wrap(err, r, "%s", p->reference->name);
        const struct oci_descriptor *blobs[OCI_MAX_LAYERS + 1] = {&m.config};
        size_t count = 1;
        result->size = p->total = m.config.size;
        vec_foreach(d, &m.layers) {
                bool is_twice = false; /* empty layers often are the same one */
                for (size_t i = 0; i < count; i++)
                        is_twice |= streq(blobs[i]->digest, d->digest);
                result->size += d->size;
                if (is_twice)
                        continue;
                p->total += d->size;
                blobs[count++] = d;
        }
        p->layers = count;
        if ((r = fetch_blobs(p, blobs, count, err)) < 0)
                return err_wrap(err, r, "%s", p->reference->name);
        return oci_store_tag(p->store, p->reference->name, result->digest, result->manifest, "registry", err);
}

int oci_pull(const struct oci_pull_options *o, const struct oci_store *store, const struct oci_reference *reference,
             struct oci_pull_result *ret, struct err *err) {
        struct oci_pull_result result = {0};
        AUTO(fd) int hold = -1;
        if (reference->transport != OCI_REGISTRY)
                return err_set(err, -EINVAL, "%s is a file, not in a registry", reference->name);
        int r = oci_store_lock(store, false, true, &hold, err);
        if (r < 0)
                return r;
        if (o->unless_present) {
                AUTO(oci_image) struct oci_image image = {0};
                if (oci_store_find(store, reference, &image, NULL) == 0) {
                        memcpy(ret->digest, image.record.digest, OCI_DIGEST_SIZE);
                        memcpy(ret->manifest, image.record.manifest, OCI_DIGEST_SIZE);
                        ret->size = image.record.size;
                        ret->fetched = 0;
                        ret->was_present = true;
                        return 0;
                }
        }
        struct pull p = {.o = o, .store = store, .reference = reference, .loop = loop_new()};
        r = pull_it(&p, &result, err);
        result.fetched = p.fetched;
        if (p.direct)
                http_client_free(p.direct);
        if (p.proxied)
                http_client_free(p.proxied);
        loop_free(p.loop);
        free(p.base);
        free(p.authorization);
        free(p.challenge);
        if (r < 0)
                return r;
        *ret = result;
        return 0;
}
