#include "history/history.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "history/history-internal.h"

/* ---- work ---- */

struct job {
        struct history *h;
        void (*work)(void *arg);
        void (*done)(void *arg);
        void *arg;
};

static void maybe_stopped(struct history *h) {
        if (h->stopping && h->busy == 0 && h->stopped) {
                void (*fn)(void *) = TAKE(h->stopped);
                fn(h->stopped_arg);
        }
}

static void on_work(void *arg) {
        struct job *j = arg;
        j->work(j->arg);
}

static void on_done(void *arg) {
        struct job *j = arg;
        struct history *h = j->h;
        h->busy--;
        j->done(j->arg);
        free(j);
        maybe_stopped(h);
}

void history_work(struct history *h, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
        struct job *j = NEW(struct job);
        *j = (struct job){h, work, done, arg};
        h->busy++;
        loop_work(h->loop, on_work, on_done, j);
}

/* ---- scans ---- */

struct scan_job {
        struct history *h;
        struct listing *before, *after;
        struct listing_options o;
        struct err err;
        int64_t took_us;
};

static void scan_work(void *arg) {
        struct scan_job *s = arg;
        int64_t start = clock_mono_us();
        if (listing_scan(s->h->store, s->before, &s->o, &s->after, &s->err) >= 0 && s->after->num_read && s->h->listing_path) {
                AUTO(err) struct err why = ERR_INIT;
                if (listing_save(s->after, s->h->listing_path, s->h->store->url, &why) < 0)
                        log_debug("keeping the listing: %s", err_message(&why));
        }
        s->took_us = clock_mono_us() - start;
}

static void drop_changed_models(struct history *h) {
        map_foreach(e, &h->models) {
                const struct log_record *r = map_get(&h->listing->by_log, e->key);
                const struct loaded *l = e->value;
                if (!r || r->signature != l->signature)
                        map_remove(&h->models, e->key);
        }
}

static void report_problems(const struct listing *l, const struct listing *before) {
        vec_foreach(it, &l->records) {
                const struct log_record *r = *it, *old = before ? map_get(&before->by_log, r->log) : NULL;
                if (r->problem && !(old && streq_null(old->problem, r->problem)))
                        log_warn("%s: %s", r->log, r->problem);
        }
}

/* Whoever started us by a visit wants to see what there is, not that nothing was looked for yet. */
static void let_in(struct history *h) {
        AUTO(err) struct err err = ERR_INIT;
        if (h->waiting_fd < 0 || h->stopping)
                return;
        if (http_server_adopt(h->http, TAKE_FD(h->waiting_fd), &err) < 0) {
                log_error("%s", err_message(&err));
                loop_stop(h->loop);
        }
}

static void scan_done(void *arg) {
        struct scan_job *s = arg;
        struct history *h = s->h;
        h->scanning = false;
        h->scanned = true;
        h->metrics.scans++;
        h->metrics.scan_us += (uint64_t)s->took_us;
        if (s->after) {
                h->metrics.logs_read += s->after->num_read;
                report_problems(s->after, s->before);
                if (s->after->num_read)
                        log_info("%zu applications in %zu logs; %zu logs read in %.2f s", s->after->num_apps, s->after->records.len, s->after->num_read,
                                 (double)s->took_us / 1e6);
                listing_unref(h->listing);
                h->listing = TAKE(s->after);
                drop_changed_models(h);
        } else {
                h->metrics.scan_errors++;
                log_warn("scanning %s: %s", h->store->url, err_message(&s->err));
        }
        listing_unref(s->before);
        err_done(&s->err);
        free(s);
        let_in(h);
        if (!h->stopping)
                timer_again(h->scan_timer, h->conf->update_interval_ms, 0);
}

void history_scan(struct history *h) {
        if (h->scanning || h->stopping)
                return;
        h->scanning = true;
        struct scan_job *s = NEW(struct scan_job);
        s->h = h;
        s->before = h->listing ? listing_ref(h->listing) : NULL;
        s->o = (struct listing_options){.fast_in_progress = h->conf->fast_in_progress, .end_chunk = h->conf->end_chunk,
                                        .max_new = (size_t)h->conf->batch_size, .now_ms = clock_now_ms()};
        history_work(h, scan_work, scan_done, s);
}

static void on_scan_timer(void *arg) { history_scan(arg); }
static void on_clean_timer(void *arg) { history_clean(arg); }

/* ---- models ---- */

struct waiter {
        void (*fn)(void *arg, struct history_model *m, const struct err *err);
        void *arg;
};

struct load {
        struct history *h;
        char *log;
        int64_t signature;
        struct history_model *model;
        struct err err;
        int64_t took_us;
        VEC(struct waiter) waiters;
};

static void loaded_free(void *p) {
        struct loaded *l = p;
        history_model_unref(l->model);
        free(l);
}

static void load_work(void *arg) {
        struct load *l = arg;
        struct history *h = l->h;
        AUTO(event_log) struct event_log log = {0};
        int64_t start = clock_mono_us();
        struct eventlog_options o = history_conf_retention(h->conf);
        int r = event_log_find(h->store, l->log, &log, &l->err);
        if (r == 0)
                r = err_set(&l->err, -ENOENT, "%s is no log any more", l->log);
        if (r > 0)
                r = history_model_load(h->store, &log, h->index_dir, &o, &l->model, &l->err);
        if (r >= 0 && l->model->was_built && h->index_dir)
                history_index_trim(h->index_dir, h->conf->max_disk);
        l->took_us = clock_mono_us() - start;
}

static void trim_models(struct history *h) {
        while (h->models.len > (size_t)(h->conf->retained_applications > 1 ? h->conf->retained_applications : 1)) {
                const char *oldest = NULL;
                uint64_t used = UINT64_MAX;
                map_foreach(e, &h->models) {
                        const struct loaded *l = e->value;
                        if (l->used < used) {
                                used = l->used;
                                oldest = e->key;
                        }
                }
                map_remove(&h->models, oldest);
        }
}

static void load_done(void *arg) {
        struct load *l = arg;
        struct history *h = l->h;
        h->metrics.loads++;
        h->metrics.load_us += (uint64_t)l->took_us;
        map_take(&h->loads, l->log);
        if (l->model) {
                if (l->model->was_built) {
                        h->metrics.loads_built++;
                        h->metrics.log_bytes += l->model->m.app->bytes;
                        log_info("%s: %.1f MB of events in %.2f s", l->log, (double)l->model->m.app->bytes / 1e6, l->model->build_s);
                }
                struct loaded *kept = NEW(struct loaded);
                *kept = (struct loaded){history_model_ref(l->model), l->signature, ++h->uses};
                map_set(&h->models, l->log, kept);
                trim_models(h);
        } else {
                h->metrics.load_errors++;
                log_warn("loading %s: %s", l->log, err_message(&l->err));
        }
        vec_foreach(w, &l->waiters) w->fn(w->arg, l->model, &l->err);
        vec_done(&l->waiters);
        history_model_unref(l->model);
        err_done(&l->err);
        free(l->log);
        free(l);
}

void history_with_model(struct history *h, const struct log_record *r, void (*fn)(void *arg, struct history_model *m, const struct err *err), void *arg) {
        struct loaded *kept = map_get(&h->models, r->log);
        if (kept && kept->signature == r->signature) {
                kept->used = ++h->uses;
                fn(arg, kept->model, NULL);
                return;
        }
        struct load *l = map_get(&h->loads, r->log);
        if (!l) {
                l = NEW(struct load);
                l->h = h;
                l->log = xstrdup(r->log);
                l->signature = r->signature;
                map_set(&h->loads, l->log, l);
                history_work(h, load_work, load_done, l);
        }
        *vec_push(&l->waiters) = (struct waiter){fn, arg};
}

/* ---- start ---- */

static void split_list(const char *text, struct strv *ret) {
        struct sv rest = sv_of(text), item;
        while (text && sv_split(&rest, ',', &item)) {
                item = sv_trim(item);
                if (item.len)
                        strv_add_n(ret, item.data, item.len);
        }
}

/* Where indexes and the listing are kept: the configured place, else the user's cache. None is no failure. */
static char *choose_index_dir(const struct history_conf *c) {
        AUTO(free) char *dir = NULL;
        const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        if (c->store_path)
                dir = xstrdup(c->store_path);
        else if (cache && *cache)
                dir = xasprintf("%s/firesteel/history", cache);
        else if (home && *home)
                dir = xasprintf("%s/.cache/firesteel/history", home);
        AUTO(err) struct err err = ERR_INIT;
        if (!dir || fs_mkdirs(dir, 0700, &err) < 0 || access(dir, W_OK) < 0) {
                log_warn("indexes are kept in memory only: %s", !dir ? "no HOME and no spark.history.store.path" : err.code ? err_message(&err) : strerror(errno));
                return NULL;
        }
        return TAKE(dir);
}

static int open_tls(struct history *h, struct err *err) {
        const struct history_conf *c = h->conf;
        if (!c->tls)
                return 0;
        if (!c->tls_cert || !c->tls_key)
                return err_set(err, -EINVAL, "spark.ssl.historyServer.enabled needs spark.ssl.historyServer.certChain and .privateKey (PEM files)");
        AUTO(str) struct str cert = STR_INIT(0), key = STR_INIT(0);
        int r = fs_read(c->tls_cert, 1 << 20, &cert, err);
        if (r >= 0)
                r = fs_read(c->tls_key, 1 << 20, &key, err);
        if (r >= 0)
                r = tls_server_new(&(struct tls_server_options){.cert_pem = str_sv(&cert), .key_pem = str_sv(&key)}, &h->tls, err);
        return r;
}

static int take_socket(struct history *h, struct err *err) {
        struct sockaddr_in a;
        socklen_t len = sizeof a;
        if (getsockname(h->o.listen_fd, (struct sockaddr *)&a, &len) < 0)
                return err_errno(err, -errno, "descriptor %d is no socket", h->o.listen_fd);
        h->waiting_fd = h->o.listen_fd;
        h->port = ntohs(a.sin_port);
        return 0;
}

static int listen_on(struct history *h, struct err *err) {
        AUTO(strv) struct strv addresses = {0};
        split_list(h->o.bind, &addresses);
        h->http = http_server_new(h->loop, &(struct http_server_options){.tls = h->tls, .max_body = 1 << 16, .handler = history_on_request, .arg = h});
        if (h->o.listen_fd > 2)
                return take_socket(h, err);
        h->port = (int)(h->tls && h->conf->tls_port ? h->conf->tls_port : h->tls ? h->conf->port + 400 : h->conf->port);
        for (size_t i = 0; i < addresses.len; i++) {
                int r = http_server_listen(h->http, addresses.items[i], h->port, &h->port, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static char *clean_prefix(const char *text) {
        if (!text || !*text)
                return xstrdup("");
        AUTO(free) char *p = xasprintf("%s%s", text[0] == '/' ? "" : "/", text);
        while (*p && p[strlen(p) - 1] == '/')
                p[strlen(p) - 1] = 0;
        return TAKE(p);
}

static int prepare(struct history *h, struct err *err) {
        struct history_conf *c = h->conf;
        const char *proxy = getenv("APPLICATION_WEB_PROXY_BASE");
        int r = logstore_open(c->log_dir, &c->hadoop, &h->store, err);
        if (r >= 0)
                r = redaction_new(c->redaction, &h->redaction, err);
        if (r >= 0)
                r = open_tls(h, err);
        if (r < 0)
                return r;
        h->prefix = clean_prefix(proxy && *proxy ? proxy : c->proxy_base);
        h->acl.enabled = c->acls;
        split_list(c->admin_acls, &h->acl.admins);
        split_list(c->admin_groups, &h->acl.admin_groups);
        struct passwd *pw = getpwuid(geteuid());
        h->acl.own_user = xstrdup_null(pw ? pw->pw_name : NULL);
        h->api = (struct api_settings){c->executor_log_url, c->executor_log_url_incomplete, h->redaction, c->is_api_35};
        h->index_dir = choose_index_dir(c);
        if (h->index_dir) {
                AUTO(err) struct err why = ERR_INIT;
                AUTO(free) char *path = history_index_path(h->index_dir, h->store, "listing");
                h->listing_path = xasprintf("%.*s.listing", (int)(strlen(path) - strlen(".index")), path);
                if (listing_load(h->listing_path, h->store->url, &h->listing, &why) < 0 && why.code != -ENOENT)
                        log_debug("%s", err_message(&why));
        }
        if (!h->listing) { /* an empty one until the first scan is done */
                h->listing = NEW(struct listing);
                h->listing->refs = 1;
        }
        return 0;
}

int history_start(struct loop *l, const struct history_options *o, struct history **ret, struct err *err) {
        struct history *h = NEW(struct history);
        *h = (struct history){.loop = l, .o = *o, .conf = o->conf, .models = MAP_INIT(loaded_free), .loads = MAP_INIT(NULL), .waiting_fd = -1, .started_ms = clock_now_ms()};
        int r = prepare(h, err);
        if (r >= 0)
                r = listen_on(h, err);
        if (r < 0) {
                history_free(h);
                return r;
        }
        h->scan_timer = timer_new(l, 0, 0, on_scan_timer, h);
        if (h->conf->cleaner)
                h->clean_timer = timer_new(l, 0, h->conf->clean_interval_ms, on_clean_timer, h);
        *ret = h;
        return 0;
}

int history_port(const struct history *h) { return h->port; }

static void on_http_stopped(void *arg) {
        struct history *h = arg;
        h->busy--;
        maybe_stopped(h);
}

void history_stop(struct history *h, void (*done)(void *arg), void *arg) {
        h->stopping = true;
        h->stopped = done;
        h->stopped_arg = arg;
        timer_free(TAKE(h->scan_timer));
        timer_free(TAKE(h->clean_timer));
        h->busy++;
        http_server_stop(h->http, 5000, on_http_stopped, h);
}

void history_free(struct history *h) {
        if (!h)
                return;
        http_server_free(h->http);
        if (h->waiting_fd >= 0)
                close(h->waiting_fd);
        timer_free(h->scan_timer);
        timer_free(h->clean_timer);
        map_done(&h->models);
        map_done(&h->loads);
        listing_unref(h->listing);
        tls_context_free(h->tls);
        redaction_free(h->redaction);
        acl_done(&h->acl);
        logstore_free(h->store);
        free(h->index_dir);
        free(h->listing_path);
        free(h->prefix);
        free(h);
}
