/* Requests: who asks, what for, and the answer's way back. */
#include <openssl/crypto.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/base64.h"
#include "codec/sha256.h"
#include "history/http-internal.h"

/* ---- ends ---- */

static void append_json(struct str *s, const char *key, const char *value) {
        str_appendf(s, ",\"%s\":", key);
        struct jackson j = JACKSON_INIT(s);
        jackson_string(&j, value ? sv_of(value) : SV_NULL);
}

static void access_line(struct call *c, int status) {
        const struct http_request *r = http_request_of(c->x);
        AUTO(str) struct str line = STR_INIT(0);
        char date[40];
        jackson_format_date(clock_now_ms(), date);
        str_appendf(&line, "{\"time\":\"%s\",\"status\":%d,\"bytes\":%llu,\"us\":%lld", date, status, (unsigned long long)c->sent,
                    (long long)(clock_mono_us() - c->start_us));
        append_json(&line, "method", r->method);
        append_json(&line, "target", r->target);
        append_json(&line, "peer", r->peer_address);
        append_json(&line, "user", c->user);
        str_append_s(&line, "}\n");
        fwrite(line.data, 1, line.len, stdout);
        fflush(stdout);
}

void call_end(struct call *c, int status) {
        struct history_metrics *m = &c->h->metrics;
        m->requests[status / 100 < 6 ? status / 100 : 0]++;
        m->request_us += (uint64_t)(clock_mono_us() - c->start_us);
        m->bytes_sent += c->sent;
        if (c->h->o.access_log)
                access_line(c, status);
        http_release(c->x);
        zipstream_free(c->zip);
        vec_foreach(r, &c->found) log_record_unref(*r);
        vec_done(&c->found);
        history_model_unref(c->model);
        api_plan_done(&c->plan);
        listing_unref(c->listing);
        str_done(&c->a.body);
        free(c->user);
        free(c->password);
        free(c->groups);
        free(c->page);
        free(c);
}

void call_respond(struct call *c) {
        if (c->is_page && c->a.status >= 400)
                page_error(c->h->prefix, &c->a);
        c->sent = c->a.body.len;
        http_respond(c->x, c->a.status, c->a.content_type, str_sv(&c->a.body));
        call_end(c, c->a.status);
}

static void respond_error(struct call *c, int status, const char *text) {
        rest_error(&c->a, status, "%s", text);
        call_respond(c);
}

/* ---- applications ---- */

static void render_work(void *arg) {
        struct call *c = arg;
        if (c->page)
                page_app(c->plan.record, c->plan.key, c->page, &c->plan.query, &c->model->m, c->h->conf, c->h->redaction, c->h->prefix,
                         clock_now_ms(), &c->a.body);
        else
                api_answer(&c->plan, &c->model->m, &c->model->memo, &c->h->api, clock_now_ms(), &c->a);
}

static void render_done(void *arg) { call_respond(arg); }

static void look_for_it(struct call *c);

static void on_model(void *arg, struct history_model *m, const struct err *err) {
        struct call *c = arg;
        if (!m) {
                if (err->code == -ENOENT) {
                        rest_error(&c->a, 404, "no such app: %s", c->plan.key);
                        look_for_it(c); /* an application that ends gives its log another name */
                        return;
                }
                respond_error(c, 500, err_message(err));
                return;
        }
        c->model = history_model_ref(m);
        if (!c->page && api_answer_size(&c->plan, &m->m, &c->h->api) >= LARGE_ANSWER)
                large_answer(c);
        else
                history_work(c->h, render_work, render_done, c);
}

static bool may_see(struct call *c) {
        if (acl_allows(&c->h->acl, c->plan.record, c->user, c->groups))
                return true;
        rest_error(&c->a, 403, "user \"%s\" is not authorized", c->user);
        call_respond(c);
        return false;
}

/* ---- logs that came after the last scan (spark.history.fs.eventLog.rolling.onDemandLoadEnabled) ---- */

/* As Spark makes a file's name of an application's id. */
static char *file_name_of(const char *app_id) {
        char *name = xstrdup(app_id);
        for (char *p = name; *p; p++)
                *p = strchr(" :/", *p) ? '-' : strchr(".${}'\"", *p) ? '_' : *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
        return name;
}

static void take_log(struct call *c, size_t dir, const struct logstore_entry *e, const struct listing_options *o) {
        enum { MAX_FOUND = 32 };
        AUTO(event_log) struct event_log log = {0};
        AUTO(err) struct err err = ERR_INIT;
        struct logstore *s = c->h->stores.items[dir];
        if (c->found.len >= MAX_FOUND || event_log_probe(s, e, &log, &err) <= 0)
                return;
        struct log_record *r = log_record_read(s, (int64_t)dir, &log, o);
        if (streq_null(r->app_id, c->plan.app_id) && (!c->plan.attempt_id || streq_null(r->attempt_id, c->plan.attempt_id)))
                *vec_push(&c->found) = r;
        else
                log_record_unref(r);
}

/* Logs of one id begin with it: "ID", "ID_ATTEMPT", "ID.zstd.inprogress", "eventlog_v2_ID". */
static void find_in(struct call *c, size_t dir, const char *prefix, const struct listing_options *o) {
        AUTO(logstore_list) struct logstore_list list = {0};
        AUTO(err) struct err err = ERR_INIT;
        size_t n = strlen(prefix);
        if (logstore_list(c->h->stores.items[dir], "", prefix, &list, &err) < 0) {
                log_debug("looking for %s: %s", prefix, err_message(&err));
                return;
        }
        vec_foreach(e, &list.entries) {
                if (e->name[n] == 0 || e->name[n] == '_' || e->name[n] == '.')
                        take_log(c, dir, e, o);
        }
}

static void find_work(void *arg) {
        struct call *c = arg;
        struct listing_options o = {
                .fast_in_progress = c->h->conf->fast_in_progress, .end_chunk = c->h->conf->end_chunk, .now_ms = clock_now_ms()};
        AUTO(free) char *single = file_name_of(c->plan.app_id), *rolled = xasprintf("eventlog_v2_%s", single);
        if (!*c->plan.app_id)
                return;
        for (size_t i = 0; i < c->h->stores.len; i++) {
                if (!(c->dirs >> i & 1))
                        continue;
                find_in(c, i, single, &o);
                find_in(c, i, rolled, &o);
                if (!streq(single, c->plan.app_id) && !strchr(c->plan.app_id, '/'))
                        find_in(c, i, c->plan.app_id, &o);
        }
}

static void route(struct call *c);

/* What was found is listed from now on; the request begins anew. */
static void find_done(void *arg) {
        struct call *c = arg;
        if (c->found.len == 0) {
                call_respond(c);
                return;
        }
        history_add_records(c->h, c->found.items, c->found.len);
        history_scan(c->h);
        listing_unref(c->listing);
        c->listing = history_listing(c->h, c->dirs);
        api_plan_done(&c->plan);
        c->plan = (struct api_plan){0};
        str_clear(&c->a.body);
        c->a.status = 0;
        c->a.error_len = 0;
        free(TAKE(c->page));
        route(c);
}

/* The answer that there is no such application stands already. */
static void look_for_it(struct call *c) {
        if (c->looked || !c->h->conf->on_demand) {
                call_respond(c);
                return;
        }
        c->looked = true;
        history_store_work(c->h, find_work, find_done, c);
}

/* ---- logs ---- */

static void zip_more(void *arg);

static void zip_work(void *arg) {
        struct call *c = arg;
        AUTO(err) struct err err = ERR_INIT;
        str_clear(&c->a.body);
        int r = 1;
        if (!c->zip) {
                c->zip = zipstream_new();
                vec_foreach(log, &c->plan.logs) {
                        if (r > 0) {
                                r = zipstream_add(c->zip, c->h->stores.items[(*log)->dir], (*log)->log, (*log)->rolling, &err);
                                r = r < 0 ? r : 1;
                        }
                }
        }
        while (r > 0 && c->a.body.len < 1 << 20)
                r = zipstream_next(c->zip, &c->a.body, &err);
        c->a.status = r < 0 ? 503 : r == 0 ? 204 : 200; /* 204: that was all */
        if (r < 0)
                log_debug("zipping: %s", err_message(&err));
}

static void zip_gone(void *arg) { ((struct call *)arg)->answered = false; }

static void zip_done(void *arg) {
        struct call *c = arg;
        bool failed = c->a.status == 503, last = c->a.status == 204;
        if (!c->answered && c->sent) { /* the peer has gone */
                call_end(c, 200);
                return;
        }
        if (!c->answered) {
                if (failed) {
                        AUTO(free) char *text = xasprintf("Event logs are not available for app: %s.", c->plan.app_id);
                        respond_error(c, 503, text);
                        return;
                }
                AUTO(free) char *name = xasprintf("attachment; filename=eventLogs-%s%s%s.zip", c->plan.app_id,
                                                  c->plan.attempt_id ? "-" : "", c->plan.attempt_id ? c->plan.attempt_id : "");
                for (char *p = name; *p; p++)
                        if (*p == '\r' || *p == '\n')
                                *p = '_';
                http_set_header(c->x, "Content-Disposition", name);
                http_on_gone(c->x, zip_gone, c);
                http_start(c->x, 200, "application/octet-stream");
                c->answered = true;
        }
        if (failed) {
                http_abort(c->x);
                call_end(c, 503);
                return;
        }
        c->sent += c->a.body.len;
        http_write(c->x, str_sv(&c->a.body));
        if (last) {
                http_finish(c->x);
                call_end(c, 200);
        } else if (http_pending(c->x) > 4 << 20) {
                http_on_drain(c->x, zip_more, c);
        } else {
                history_store_work(c->h, zip_work, zip_done, c);
        }
}

static void zip_more(void *arg) {
        struct call *c = arg;
        history_store_work(c->h, zip_work, zip_done, c);
}

/* ---- routing ---- */

/* The rest of `path` after a prefix that ends at a slash or the end; NULL when it does not begin so. */
static const char *below(const char *path, const char *prefix) {
        size_t n = strlen(prefix);
        if (strncmp(path, prefix, n) != 0 || (path[n] && path[n] != '/'))
                return NULL;
        return path[n] ? path + n + 1 : path + n;
}

static void api_request(struct call *c, const char *path, const struct http_request *r) {
        api_plan(c->listing, &c->h->api, path, r->path, r->query, clock_now_ms(), &c->plan, &c->a);
        switch (c->plan.outcome) {
        case API_NEEDS_MODEL:
                if (may_see(c))
                        history_with_model(c->h, c->plan.record, on_model, c);
                break;
        case API_NOT_LISTED:
                look_for_it(c);
                break;
        case API_LOGS:
                if (may_see(c))
                        history_store_work(c->h, zip_work, zip_done, c);
                break;
        default:
                call_respond(c);
                break;
        }
}

/* /history/ID[/ATTEMPT][/TAB[/]] */
static void app_page(struct call *c, const char *path, const struct http_request *r) {
        static const char *const tabs[] = {"jobs", "stages", "stage", "storage", "environment", "executors", "sql", "SQL"};
        AUTO(strv) struct strv s = {0};
        c->is_page = true;
        struct sv rest = sv_of(path), part;
        while (sv_split(&rest, '/', &part))
                if (part.len)
                        strv_take(&s, rest_percent_decode(part, false));
        c->plan.app_id = xstrdup(s.len ? s.items[0] : "");
        const struct listed_app *app = listing_app(c->listing, c->plan.app_id);
        rest_query_parse(&c->plan.query, r->query);
        size_t at = 1;
        if (app && at < s.len) {
                c->plan.record = listing_attempt(app, s.items[at]);
                at += c->plan.record ? 1 : 0;
        }
        if (app && !c->plan.record)
                c->plan.record = app->attempts[0];
        if (!app || s.len > at + 3) {
                rest_error(&c->a, 404, "Application %s not found.", c->plan.app_id);
                if (app || !s.len)
                        call_respond(c);
                else
                        look_for_it(c);
                return;
        }
        const char *tab = at < s.len ? s.items[at] : "jobs";
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(tabs); i++)
                known = known || streq(tabs[i], tab);
        c->page = xstrdup(known ? tab : "jobs");
        c->plan.key = c->plan.record->attempt_id ? xasprintf("%s/%s", s.items[0], c->plan.record->attempt_id) : xstrdup(s.items[0]);
        c->a.status = 200;
        c->a.content_type = "text/html;charset=utf-8";
        if (may_see(c))
                history_with_model(c->h, c->plan.record, on_model, c);
}

static void list_page(struct call *c, const struct http_request *r) {
        rest_query_parse(&c->plan.query, r->query);
        AUTO(str) struct str dirs = STR_INIT(0);
        for (size_t i = 0; i < c->h->stores.len; i++)
                if (c->dirs >> i & 1)
                        str_appendf(&dirs, "%s%s", dirs.len ? ", " : "", c->h->stores.items[i]->url);
        struct page_request p = {c->h, c->listing, &c->plan.query, c->user, str_cstr(&dirs)};
        c->a.status = 200;
        c->a.content_type = "text/html;charset=utf-8";
        page_list(&p, &c->a.body);
        call_respond(c);
}

static void route(struct call *c) {
        const struct http_request *r = http_request_of(c->x);
        const char *rest, *path = c->path;
        if (streq(path, "/") || !*path) {
                list_page(c, r);
        } else if ((rest = below(path, "/api/v1"))) {
                api_request(c, rest, r);
        } else if ((rest = below(path, "/history"))) {
                app_page(c, rest, r);
        } else if (streq(path, "/healthz") || streq(path, "/readyz")) {
                bool ready = c->h->scanned || c->h->listing->num_apps || path[1] == 'h';
                respond_error(c, ready ? 200 : 503, ready ? "ok\n" : "the first scan of the logs is not done\n");
        } else if (streq(path, "/metrics")) {
                history_write_metrics(c->h, &c->a.body);
                c->a.status = 200;
                c->a.content_type = "text/plain; version=0.0.4; charset=utf-8";
                call_respond(c);
        } else {
                rest_html_error(&c->a, 404, r->path);
                call_respond(c);
        }
}

/* Headers about the user count only when they come from this machine or a proxy named as trusted. */
static bool is_trusted(const struct history *h, const char *peer) {
        struct sv address = sv_of(peer);
        ssize_t colon = sv_rfind_char(address, ':');
        if (colon >= 0)
                address.len = (size_t)colon;
        if (address.len > 1 && address.data[0] == '[' && address.data[address.len - 1] == ']')
                address = sv_new(address.data + 1, address.len - 2);
        if (sv_starts(address, SV("127.")) || sv_eqs(address, "::1") || sv_starts(address, SV("::ffff:127.")))
                return true;
        for (size_t i = 0; h->o.trusted && i < h->o.trusted->len; i++)
                if (sv_eqs(address, h->o.trusted->items[i]))
                        return true;
        return false;
}

static void set_security_headers(struct history *h, struct http_exchange *x) {
        const struct history_conf *c = h->conf;
        http_set_header(x, "Cache-Control", "no-cache, no-store, must-revalidate");
        if (c->allow_framing_from) {
                AUTO(free) char *text = xasprintf("ALLOW-FROM %s", c->allow_framing_from);
                http_set_header(x, "X-Frame-Options", text);
        } else {
                http_set_header(x, "X-Frame-Options", "SAMEORIGIN");
        }
        http_set_header(x, "X-XSS-Protection", c->xss_protection);
        if (c->content_type_options)
                http_set_header(x, "X-Content-Type-Options", "nosniff");
        if (c->hsts && h->tls)
                http_set_header(x, "Strict-Transport-Security", c->hsts);
        http_set_header(x, "Content-Security-Policy",
                        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'");
        http_set_header(x, "Referrer-Policy", "no-referrer");
}

/* ---- who asks ---- */

/* A header that was checked a while ago need not be checked again: hashes are slow on purpose. */
struct admitted {
        int64_t until_ms;
        uint64_t generation;
};
enum { ADMITTED_MS = 60 * 1000, MAX_ADMITTED = 1000 };

static void begin(struct call *c) {
        struct history *h = c->h;
        const struct http_request *r = http_request_of(c->x);
        c->dirs = history_visible(h, c->user, c->groups);
        c->listing = history_listing(h, c->dirs);
        if (!streq(r->method, "GET") && !streq(r->method, "HEAD")) {
                http_set_header(c->x, "Allow", "GET, HEAD");
                rest_html_error(&c->a, 405, r->path);
                call_respond(c);
                return;
        }
        route(c);
}

static void refuse(struct call *c) {
        http_set_header(c->x, "WWW-Authenticate", "Basic realm=\"History Server\", charset=\"UTF-8\"");
        respond_error(c, 401, "Who are you? Give a user and a password.");
}

/* "Basic dXNlcjpwYXNz" */
static bool parse_basic(const char *header, char **ret_user, char **ret_password) {
        AUTO(str) struct str text = STR_INIT(4096);
        if (!header || strncasecmp(header, "Basic ", 6) != 0 || base64_decode(sv_trim(sv_of(header + 6)), &text) < 0 ||
            str_overflowed(&text))
                return false;
        const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
        if (!colon || memchr(text.data, 0, text.len))
                return false;
        *ret_user = xstrndup(text.data, (size_t)(colon - text.data));
        *ret_password = xstrdup(colon + 1);
        return true;
}

static char *admission_key(const char *header) {
        char *hex = xmalloc(2 * SHA256_SIZE + 1);
        sha256_hex(sv_of(header), hex);
        return hex;
}

static void auth_work(void *arg) {
        struct call *c = arg;
        c->generation = htpasswd_generation(c->h->htpasswd);
        c->ok = htpasswd_check(c->h->htpasswd, c->user, c->password);
}

static void auth_done(void *arg) {
        struct call *c = arg;
        struct map *admitted = &c->h->admitted;
        OPENSSL_cleanse(c->password, strlen(c->password));
        if (!c->ok) {
                free(TAKE(c->user));
                refuse(c);
                return;
        }
        if (admitted->len >= MAX_ADMITTED)
                map_clear(admitted);
        AUTO(free) char *key = admission_key(http_headers_get(&http_request_of(c->x)->headers, "Authorization"));
        struct admitted *a = NEW(struct admitted);
        *a = (struct admitted){clock_now_ms() + ADMITTED_MS, c->generation};
        map_set(admitted, key, a);
        begin(c);
}

static void authenticate(struct call *c) {
        const char *header = http_headers_get(&http_request_of(c->x)->headers, "Authorization");
        if (!parse_basic(header, &c->user, &c->password)) {
                refuse(c);
                return;
        }
        AUTO(free) char *key = admission_key(header);
        const struct admitted *a = map_get(&c->h->admitted, key);
        if (a && a->until_ms > clock_now_ms() && a->generation == htpasswd_generation(c->h->htpasswd))
                begin(c);
        else
                history_lane_work(c->h, &c->h->auth_lane, auth_work, auth_done, c);
}

static bool is_probe(const char *path) { return streq(path, "/healthz") || streq(path, "/readyz"); }

void history_on_request(struct http_exchange *x, const struct http_request *r, void *arg) {
        struct history *h = arg;
        struct call *c = NEW(struct call);
        c->h = h;
        c->x = x;
        c->start_us = clock_mono_us();
        http_hold(x);
        set_security_headers(h, x);
        if (is_trusted(h, r->peer_address ? r->peer_address : "")) {
                c->user = xstrdup_null(h->o.user_header ? http_headers_get(&r->headers, h->o.user_header) : NULL);
                c->groups = xstrdup_null(h->o.group_header ? http_headers_get(&r->headers, h->o.group_header) : NULL);
        }
        const char *path = *h->prefix ? below(r->path, h->prefix) : r->path;
        if (path && *h->prefix)
                path = *path ? path - 1 : "/";
        if (!path) /* probes do not know the prefix */
                path = is_probe(r->path) || streq(r->path, "/metrics") ? r->path : "/no-such-path";
        c->path = path;
        if (h->htpasswd && !c->user && !is_probe(path))
                authenticate(c);
        else
                begin(c);
}
