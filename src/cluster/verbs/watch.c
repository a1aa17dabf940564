/* Watches over HTTP: a chunked stream of events, or a WebSocket with one text message an event. */
#include "base/rand.h"
#include "cluster/session.h"
#include "cluster/verbs/verbs.h"
#include "kobj/meta.h"
#include "kobj/typed.h"
#include "net/ws.h"

enum {
        MAX_PENDING_BYTES = 32 * 1024 * 1024, /* a client that reads more slowly than this is cut off, and lists again */
        BOOKMARK_MS = 60 * 1000,
        DEFAULT_TIMEOUT_S = 1800, /* to twice that, at random */
        MAX_WS_MESSAGE = 64 * 1024,
        SEND_BYTES = 32 * 1024, /* more than this does not wait for the end of the turn */
};

struct watch {
        struct session session;
        struct http_exchange *x; /* NULL over WebSocket */
        struct ws *ws;
        struct watcher *watcher;
        const struct resource *res;
        struct list_query query;
        enum answer_form form;
        enum table_object include;
        bool columns_sent, bookmarks, initial_end;
        uint64_t sent; /* revision the client knows */
        /* Events of this turn of the loop: what one commit brings goes out as one piece, not as a record and a system call each. */
        struct str unsent;
        struct watch *next_unsent, **unsent_link; /* of the server's list; not in it: NULL */
        struct timer *timeout, *bookmark;
};

static void unlist(struct watch *w) {
        if (!w->unsent_link)
                return;
        *w->unsent_link = w->next_unsent;
        if (w->next_unsent)
                w->next_unsent->unsent_link = w->unsent_link;
        w->unsent_link = NULL;
}

static void watch_free(struct watch *w) {
        session_remove(&w->session);
        unlist(w);
        str_done(&w->unsent);
        store_watch_stop(w->watcher);
        timer_free(w->timeout);
        timer_free(w->bookmark);
        list_query_done(&w->query);
        free(w);
}

static void watch_end(struct session *session) {
        struct watch *w = (struct watch *)session;
        if (w->ws) {
                ws_close(w->ws, 1000, SV_NULL);
        } else {
                http_write(w->x, str_sv(&w->unsent));
                http_finish(w->x);
        }
        watch_free(w);
}

static void cut_off(struct watch *w) {
        if (w->ws)
                ws_free(w->ws);
        else
                http_abort(w->x);
        watch_free(w);
}

/* False when the client was cut off, and `w` is gone. */
static bool send_unsent(struct watch *w) {
        unlist(w);
        http_write(w->x, str_sv(&w->unsent));
        str_done(&w->unsent);
        if (http_pending(w->x) <= MAX_PENDING_BYTES)
                return true;
        cut_off(w);
        return false;
}

static void send_all(void *arg) {
        struct apiserver *s = arg;
        while (s->unsent_watches)
                send_unsent(s->unsent_watches);
}

static void list_unsent(struct watch *w) {
        struct apiserver *s = w->session.s;
        if (w->unsent_link)
                return;
        if (!s->send_watches)
                s->send_watches = timer_new(s->loop, 0, 0, send_all, s);
        else if (!s->unsent_watches)
                timer_again(s->send_watches, 0, 0);
        w->next_unsent = s->unsent_watches;
        w->unsent_link = &s->unsent_watches;
        if (w->next_unsent)
                w->next_unsent->unsent_link = &w->next_unsent;
        s->unsent_watches = w;
}

/* The same. */
static bool send_text(struct watch *w, struct str *text) {
        if (!w->ws) {
                str_append_sv(&w->unsent, str_sv(text));
                str_append_c(&w->unsent, '\n');
                if (w->unsent.len >= SEND_BYTES)
                        return send_unsent(w);
                list_unsent(w);
                return true;
        }
        ws_send(w->ws, true, str_sv(text));
        if (ws_pending(w->ws) <= MAX_PENDING_BYTES)
                return true;
        cut_off(w);
        return false;
}

static bool send_event(struct watch *w, const char *type, struct object *o) {
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "{\"type\":\"%s\",\"object\":", type);
        form_object(w->res, w->form, !w->columns_sent, w->include, o, &text);
        str_append_c(&text, '}');
        w->columns_sent = true;
        if (o->revision > w->sent)
                w->sent = o->revision;
        return send_text(w, &text);
}

/* An object of the kind with nothing but a version, as this client sees objects of the kind. */
static bool send_bookmark(struct watch *w, uint64_t revision, bool initial_end) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *zero = typed_zero(doc, w->res->schema), *root = yyjson_mut_is_obj(zero) ? zero : yyjson_mut_obj(doc);
        char version[24];

        snprintf(version, sizeof(version), "%llu", (unsigned long long)revision);
        mjson_set_str(doc, root, "kind", w->res->kind);
        mjson_set_str(doc, root, "apiVersion", w->res->api_version);
        mmeta_set(doc, root, "resourceVersion", version);
        if (initial_end)
                mmeta_set_annotation(doc, root, "k8s.io/initial-events-end", "true");
        AUTO(object) struct object *o = object_new(w->res, revision, mjson_freeze(root));
        str_append_s(&text, "{\"type\":\"BOOKMARK\",\"object\":");
        form_object(w->res, w->form, false, w->include, o, &text);
        str_append_c(&text, '}');
        w->sent = revision;
        return send_text(w, &text);
}

/* What no longer matches is shown as it was when it did, with the version of the change. */
static void send_departure(struct watch *w, const struct store_event *e) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(e->old);
        mjson_set_str(doc, mmeta_of(yyjson_mut_doc_get_root(doc)), "resourceVersion", meta_resource_version(object_root(e->object)));
        AUTO(object) struct object *shown = object_new(e->old->resource, e->revision, mjson_freeze(yyjson_mut_doc_get_root(doc)));
        send_event(w, "DELETED", shown);
}

static void on_event(void *arg, const struct store_event *e) {
        struct watch *w = arg;
        bool now = e->change != STORE_DELETED && list_query_matches(&w->query, e->object);
        bool before = e->change != STORE_ADDED && list_query_matches(&w->query, e->old ? e->old : e->object);

        if (now)
                send_event(w, before ? "MODIFIED" : "ADDED", e->object);
        else if (before && e->change == STORE_DELETED)
                send_event(w, "DELETED", e->object);
        else if (before)
                send_departure(w, e);
}

static void on_synced(void *arg, uint64_t revision) {
        struct watch *w = arg;
        if (w->initial_end && w->bookmarks)
                send_bookmark(w, revision, true);
        else if (revision > w->sent)
                w->sent = revision;
}

static void on_bookmark(void *arg) {
        struct watch *w = arg;
        uint64_t now = store_durable_revision(w->session.s->store);
        if (now > w->sent)
                send_bookmark(w, now, false);
}

static void on_timeout(void *arg) {
        struct watch *w = arg;
        uint64_t now = store_durable_revision(w->session.s->store);
        if (w->bookmarks && now > w->sent && !send_bookmark(w, now, false))
                return;
        watch_end(&w->session);
}

static void on_gone(void *arg) { watch_free(arg); }

static void on_ws_message(void *arg, bool is_text, struct sv message) { (void)arg, (void)is_text, (void)message; }
static void on_ws_close(void *arg, int code, struct sv reason) {
        struct watch *w = arg;
        (void)code, (void)reason;
        ws_free(w->ws);
        watch_free(w);
}

/* A watch that cannot begin is told so inside the stream, as the real server's watch cache does. */
static void send_error(struct watch *w, const struct err *err) {
        AUTO(str) struct str text = STR_INIT(0), status = STR_INIT(0);
        status_write(err, &status);
        str_append_s(&text, "{\"type\":\"ERROR\",\"object\":");
        str_append(&text, status.data, status.len - 1);
        str_append_c(&text, '}');
        if (send_text(w, &text))
                watch_end(&w->session);
}

static int parse_start(struct request *q, struct watch *w, bool *ret_resume, uint64_t *ret_since, int64_t *ret_timeout, struct err *err) {
        AUTO(free) char *labels = request_query(q, "labelSelector"), *fields = request_query(q, "fieldSelector"),
                         *version = request_query(q, "resourceVersion"), *initial = request_query(q, "sendInitialEvents");
        int64_t since = 0;
        int r;

        if (q->name) { /* /watch/namespaces/NS/pods/NAME, the old form */
                free(fields);
                fields = xasprintf("metadata.name=%s", q->name);
        }
        r = list_query_parse(q->res, labels, fields, &w->query, err);

        if (r == 0)
                r = list_options_check(q, err);
        if (r < 0)
                return r;
        if (version && *version && (!sv_to_int64(sv_of(version), &since) || since < 0))
                return status_internal(err, "resourceVersion: Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": invalid syntax",
                                       version, version);
        if (!request_query_int(q, "timeoutSeconds", 0, ret_timeout))
                return bad_number(q, "timeoutSeconds", err);
        if (*ret_timeout <= 0)
                *ret_timeout = DEFAULT_TIMEOUT_S + (int64_t)(rand_u64() % DEFAULT_TIMEOUT_S);
        w->bookmarks = request_query_bool(q, "allowWatchBookmarks");
        w->initial_end = initial && streq(initial, "true");
        *ret_resume = since > 0 && !w->initial_end;
        if (initial && streq(initial, "false") && since == 0) {
                *ret_resume = true;
                since = (int64_t)store_revision(q->s->store);
        }
        *ret_since = (uint64_t)since;
        return 0;
}

static bool begin_answer(struct request *q, struct watch *w) {
        if (ws_is_upgrade(q->http)) {
                w->ws = ws_accept(q->x, NULL, MAX_WS_MESSAGE);
                if (!w->ws)
                        return false;
                ws_set_events(w->ws, &(struct ws_events){.on_message = on_ws_message, .on_close = on_ws_close, .arg = w});
                return true;
        }
        w->x = q->x;
        http_on_gone(q->x, on_gone, w);
        http_start(q->x, 200, "application/json");
        return true;
}

int verb_watch(struct request *q, struct err *err) {
        struct watch *w = NEW(struct watch);
        struct watcher_events ev = {on_event, on_synced, w};
        AUTO(err) struct err why = ERR_INIT;
        uint64_t since = 0;
        int64_t timeout_s = 0;
        bool resume = false;
        int r;

        w->res = q->res;
        w->form = q->form;
        w->include = request_include(q);
        r = parse_start(q, w, &resume, &since, &timeout_s, err);
        if (r < 0) {
                list_query_done(&w->query);
                free(w);
                return r;
        }
        session_add(q->s, &w->session, watch_end);
        if (!begin_answer(q, w)) {
                watch_free(w);
                return 0;
        }
        r = store_watch(q->s->store, q->res->objects, resource_is_namespaced(q->res) ? q->ns : NULL, resume, since, &ev, &w->watcher, &why);
        if (r < 0) {
                send_error(w, &why);
                return 0;
        }
        w->sent = since;
        w->timeout = timer_new(q->s->loop, timeout_s * 1000, 0, on_timeout, w);
        if (w->bookmarks)
                w->bookmark = timer_new(q->s->loop, BOOKMARK_MS, BOOKMARK_MS, on_bookmark, w);
        return 0;
}
