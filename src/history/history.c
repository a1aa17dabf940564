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
        struct lane *lane; /* NULL: none */
};

/* However short an interval is asked for ("500ms" is none: Spark counts seconds). */
enum { MIN_INTERVAL_MS = 1000 };
/* Of the twelve workers that the command asks for. */
enum { MAX_STORE_JOBS = 6, MAX_AUTH_JOBS = 2 };

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
        if (j->lane && j->lane->queue.len) {
                struct job *next = j->lane->queue.items[0];
                vec_remove(&j->lane->queue, 0);
                loop_work(h->loop, on_work, on_done, next);
        } else if (j->lane) {
                j->lane->busy--;
        }
        j->done(j->arg);
        free(j);
        maybe_stopped(h);
}

void history_hold(struct history *h) { h->busy++; }

void history_release(struct history *h) {
        h->busy--;
        maybe_stopped(h);
}

static struct job *job_new(struct history *h, void (*work)(void *arg), void (*done)(void *arg), void *arg, struct lane *lane) {
        struct job *j = NEW(struct job);
        *j = (struct job){h, work, done, arg, lane};
        h->busy++;
        return j;
}

void history_work(struct history *h, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
        loop_work(h->loop, on_work, on_done, job_new(h, work, done, arg, NULL));
}

void history_lane_work(struct history *h, struct lane *lane, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
        struct job *j = job_new(h, work, done, arg, lane);
        if (lane->busy >= lane->max) {
                *vec_push(&lane->queue) = j;
                return;
        }
        lane->busy++;
        loop_work(h->loop, on_work, on_done, j);
}

/* ---- scans ---- */

struct scan_job {
        struct history *h;
        struct listing *before, *after;
        struct listing_options o;
        int64_t took_us;
};

static void scan_work(void *arg) {
        struct scan_job *s = arg;
        int64_t start = clock_mono_us();
        s->after = listing_scan(s->h->stores.items, s->h->stores.len, s->before, &s->o);
        if (s->after->num_read && s->h->listing_path) {
                AUTO(err) struct err why = ERR_INIT;
                if (listing_save(s->after, s->h->listing_path, s->h->store_urls, &why) < 0)
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

static void set_listing(struct history *h, struct listing *l) {
        listing_unref(h->listing);
        h->listing = l;
        map_clear(&h->views);
}

static void report_problems(const struct listing *l, const struct listing *before) {
        for (size_t i = 0; i < l->dir_problems.len; i++) {
                const char *why = l->dir_problems.items[i],
                           *old = before && i < before->dir_problems.len ? before->dir_problems.items[i] : "";
                if (*why && !streq(why, old))
                        log_warn("listing the logs failed; what was known stays: %s", why);
                else if (!*why && *old)
                        log_info("the logs can be listed again");
        }
        vec_foreach(it, &l->records) {
                const struct log_record *r = *it, *old = before ? map_get(&before->by_log, r->key) : NULL;
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
        bool failed = false;
        for (size_t i = 0; i < s->after->dir_problems.len; i++)
                failed = failed || *s->after->dir_problems.items[i];
        h->metrics.scan_errors += failed;
        h->metrics.logs_read += s->after->num_read;
        report_problems(s->after, s->before);
        if (s->after->num_read)
                log_info("%zu applications in %zu logs; %zu logs read in %.2f s", s->after->num_apps, s->after->records.len,
                         s->after->num_read, (double)s->took_us / 1e6);
        replays_trim(&h->replays, clock_now_ms());
        set_listing(h, TAKE(s->after));
        drop_changed_models(h);
        listing_unref(s->before);
        free(s);
        let_in(h);
        if (h->scan_again)
                history_scan(h);
        else if (!h->stopping)
                timer_again(h->scan_timer, h->conf->update_interval_ms > MIN_INTERVAL_MS ? h->conf->update_interval_ms : MIN_INTERVAL_MS,
                            0);
}

void history_scan(struct history *h) {
        h->scan_again = h->scanning;
        if (h->scanning || h->stopping)
                return;
        h->scanning = true;
        struct scan_job *s = NEW(struct scan_job);
        s->h = h;
        s->before = h->listing ? listing_ref(h->listing) : NULL;
        s->o = (struct listing_options){.fast_in_progress = h->conf->fast_in_progress, .end_chunk = h->conf->end_chunk,
                                        .max_new = (size_t)h->conf->batch_size, .now_ms = clock_now_ms()};
        history_store_work(h, scan_work, scan_done, s);
}

/* ---- who may see what ---- */

static bool is_reader(const struct strv *readers, const char *user, const char *groups) {
        for (size_t i = 0; i < readers->len; i++) {
                const char *reader = readers->items[i];
                struct sv rest = sv_of(groups), group;
                if (streq(reader, "*") || streq(reader, user))
                        return true;
                while (reader[0] == '@' && groups && sv_split(&rest, ',', &group))
                        if (sv_eqs(sv_trim(group), reader + 1))
                                return true;
        }
        return false;
}

uint64_t history_visible(const struct history *h, const char *user, const char *groups) {
        uint64_t visible = 0;
        for (size_t i = 0; i < h->dirs.len; i++) {
                const struct log_dir *d = &h->dirs.items[i];
                if (!d->restricted || (user && (is_reader(&d->readers, user, groups) || is_reader(&h->acl.admins, user, groups))))
                        visible |= UINT64_C(1) << i;
        }
        return visible;
}

static void view_free(void *l) { listing_unref(l); }

struct listing *history_listing(struct history *h, uint64_t dirs) {
        char key[24];
        bool all = true;
        for (size_t i = 0; i < h->dirs.len; i++)
                all = all && dirs >> i & 1;
        if (all)
                return listing_ref(h->listing);
        snprintf(key, sizeof(key), "%llx", (unsigned long long)dirs);
        struct listing *view = map_get(&h->views, key);
        if (!view) {
                view = listing_view(h->listing, dirs);
                map_set(&h->views, key, view);
        }
        return listing_ref(view);
}

void history_add_records(struct history *h, struct log_record *const *records, size_t count) {
        set_listing(h, listing_with(h->listing, records, count));
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
        char *key, *log;
        struct logstore *store;
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
        int r = event_log_find(l->store, l->log, &log, &l->err);
        if (r == 0)
                r = err_set(&l->err, -ENOENT, "%s is no log any more", l->log);
        if (r > 0)
                r = history_model_load(l->store, &log, h->index_dir, &o, &h->replays, &l->model, &l->err);
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
        map_take(&h->loads, l->key);
        if (l->model) {
                if (l->model->was_built) {
                        h->metrics.loads_built++;
                        h->metrics.loads_continued += l->model->stats.continued;
                        h->metrics.log_bytes += l->model->stats.log_bytes;
                        log_info("%s: %.1f MB of events in %.2f s", l->log, (double)l->model->stats.log_bytes / 1e6, l->model->build_s);
                }
                struct loaded *kept = NEW(struct loaded);
                *kept = (struct loaded){history_model_ref(l->model), l->signature, ++h->uses};
                map_set(&h->models, l->key, kept);
                trim_models(h);
        } else {
                h->metrics.load_errors++;
                log_warn("loading %s: %s", l->log, err_message(&l->err));
        }
        vec_foreach(w, &l->waiters) w->fn(w->arg, l->model, &l->err);
        vec_done(&l->waiters);
        history_model_unref(l->model);
        err_done(&l->err);
        free(l->key);
        free(l->log);
        free(l);
}

void history_with_model(struct history *h, const struct log_record *r,
                        void (*fn)(void *arg, struct history_model *m, const struct err *err), void *arg) {
        struct loaded *kept = map_get(&h->models, r->key);
        if (kept && kept->signature == r->signature) {
                kept->used = ++h->uses;
                fn(arg, kept->model, NULL);
                return;
        }
        struct load *l = map_get(&h->loads, r->key);
        if (!l) {
                l = NEW(struct load);
                l->h = h;
                l->key = xstrdup(r->key);
                l->log = xstrdup(r->log);
                l->store = h->stores.items[r->dir];
                l->signature = r->signature;
                map_set(&h->loads, l->key, l);
                history_store_work(h, load_work, load_done, l);
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
                log_warn("indexes are kept in memory only: %s", !dir       ? "no HOME and no spark.history.store.path"
                                                                : err.code ? err_message(&err)
                                                                           : strerror(errno));
                return NULL;
        }
        return TAKE(dir);
}

static int open_tls(struct history *h, struct err *err) {
        const struct history_conf *c = h->conf;
        if (!c->tls)
                return 0;
        if (!c->tls_cert || !c->tls_key)
                return err_set(err, -EINVAL,
                               "spark.ssl.historyServer.enabled needs spark.ssl.historyServer.certChain and .privateKey (PEM files)");
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
        h->http = http_server_new(
                h->loop, &(struct http_server_options){.tls = h->tls, .max_body = 1 << 16, .handler = history_on_request, .arg = h});
        if (h->o.listen_fd > 2)
                return take_socket(h, err);
        /* As Spark counts; of no port in particular none in particular. */
        h->port = (int)(h->tls && h->conf->tls_port ? h->conf->tls_port : h->tls && h->conf->port ? h->conf->port + 400 : h->conf->port);
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

static int open_stores(struct history *h, struct err *err) {
        AUTO(strv) struct strv urls = {0};
        AUTO(str) struct str all = STR_INIT(0);
        split_list(h->conf->log_dir, &urls);
        if (urls.len == 0 || urls.len > LISTING_MAX_DIRS)
                return err_set(err, -EINVAL, "spark.history.fs.logDirectory names %zu directories; between 1 and %d are served", urls.len,
                               LISTING_MAX_DIRS);
        for (size_t i = 0; i < urls.len; i++) {
                struct logstore *s;
                int r = logstore_open(urls.items[i], &h->conf->hadoop, &s, err);
                if (r < 0)
                        return r;
                *vec_push(&h->stores) = s;
                *vec_push(&h->dirs) = (struct log_dir){0};
                str_appendf(&all, "%s%s", i ? ", " : "", s->url);
        }
        h->store_urls = str_take(&all);
        return 0;
}

/* "DIR=ann,@staff;DIR2=*" */
static int set_readers(struct history *h, struct err *err) {
        struct sv rest = sv_of(h->conf->readers), item;
        while (h->conf->readers && sv_split(&rest, ';', &item)) {
                item = sv_trim(item);
                ssize_t eq = sv_rfind_char(item, '=');
                if (item.len == 0)
                        continue;
                if (eq < 0)
                        return err_set(err, -EINVAL, "readers \"%.*s\": it has no \"=\"; give DIR=USER,@GROUP,...", SV_ARG(item));
                struct log_dir *d = NULL;
                for (size_t i = 0; i < h->stores.len; i++)
                        if (sv_eqs(sv_trim(sv_new(item.data, (size_t)eq)), h->stores.items[i]->url))
                                d = &h->dirs.items[i];
                if (!d)
                        return err_set(err, -EINVAL, "readers \"%.*s\": that is none of the log directories (%s)", SV_ARG(item),
                                       h->store_urls);
                AUTO(free) char *users = xstrndup(item.data + eq + 1, item.len - (size_t)eq - 1);
                d->restricted = true;
                split_list(users, &d->readers);
        }
        return 0;
}

static int prepare(struct history *h, struct err *err) {
        struct history_conf *c = h->conf;
        const char *proxy = getenv("APPLICATION_WEB_PROXY_BASE");
        int r = open_stores(h, err);
        if (r >= 0)
                r = set_readers(h, err);
        if (r >= 0)
                r = redaction_new(history_conf_redaction(c), &h->redaction, err);
        if (r >= 0 && c->htpasswd)
                r = htpasswd_open(c->htpasswd, &h->htpasswd, err);
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
                h->listing_path = history_listing_path(h->index_dir, h->store_urls);
                if (listing_load(h->listing_path, h->store_urls, &h->listing, &why) < 0 && why.code != -ENOENT)
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
        *h = (struct history){.loop = l,
                              .o = *o,
                              .conf = o->conf,
                              .models = MAP_INIT(loaded_free),
                              .loads = MAP_INIT(NULL),
                              .views = MAP_INIT(view_free),
                              .store_lane = {.max = MAX_STORE_JOBS},
                              .auth_lane = {.max = MAX_AUTH_JOBS},
                              .admitted = MAP_INIT(free),
                              .waiting_fd = -1,
                              .started_ms = clock_now_ms()};
        replays_init(&h->replays);
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
        vec_foreach(s, &h->stores) logstore_interrupt(*s);
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
        replays_done(&h->replays);
        map_done(&h->views);
        listing_unref(h->listing);
        tls_context_free(h->tls);
        redaction_free(h->redaction);
        acl_done(&h->acl);
        vec_foreach(s, &h->stores) logstore_free(*s);
        vec_done(&h->stores);
        vec_foreach(d, &h->dirs) strv_done(&d->readers);
        vec_done(&h->dirs);
        vec_done(&h->store_lane.queue);
        vec_done(&h->auth_lane.queue);
        map_done(&h->admitted);
        htpasswd_free(h->htpasswd);
        vec_done(&h->large_queue);
        free(h->store_urls);
        free(h->index_dir);
        free(h->listing_path);
        free(h->prefix);
        free(h);
}
