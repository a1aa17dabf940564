#include "kube/watch.h"

#include "base/clock.h"
#include "base/rand.h"
#include "codec/uri.h"
#include "kobj/meta.h"

enum {
        BACKOFF_FIRST_MS = 200,
        BACKOFF_MAX_MS = 30 * 1000,
        STEADY_MS = 5 * 1000, /* a connection that held this long was a good one */
        TIMEOUT_MIN_S = 300,
        TIMEOUT_SPREAD_S = 300, /* so that many watchers do not all come back at once */
        TIMEOUT_MARGIN_S = 30,
};

struct kube_watch {
        struct kube_client *client;
        struct kube_watch_options o;
        char *namespace_, *label_selector, *field_selector;
        char *resource_version; /* NULL: from the beginning */
        bool websocket;
        struct kube_stream *stream;
        struct kube_ws_connecting *connecting;
        struct ws *ws;
        struct timer *timer;
        struct str line; /* of a plain stream: what came after the last newline */
        int64_t backoff_ms, connected_ms;
        bool is_up, is_stopped;
        int depth; /* callbacks under way */
        bool is_freed;
};

static void disconnect(struct kube_watch *w) {
        kube_stream_cancel(TAKE(w->stream));
        kube_ws_cancel(TAKE(w->connecting));
        if (w->ws)
                ws_free(TAKE(w->ws));
        str_clear(&w->line);
}

static void destroy(struct kube_watch *w) {
        disconnect(w);
        if (w->timer)
                timer_free(w->timer);
        free(w->namespace_);
        free(w->label_selector);
        free(w->field_selector);
        free(w->resource_version);
        str_done(&w->line);
        free(w);
}

void kube_watch_free(struct kube_watch *w) {
        if (!w)
                return;
        if (w->depth > 0) {
                w->is_freed = true;
                disconnect(w);
                return;
        }
        destroy(w);
}

/* Around everything that calls back, so that a callback may free the watch. leave() is false when it did. */
static void enter(struct kube_watch *w) { w->depth++; }
static bool leave(struct kube_watch *w) {
        w->depth--;
        if (!w->is_freed)
                return true;
        if (w->depth == 0)
                destroy(w);
        return false;
}

static void connect_now(void *arg);

static void connect_later(struct kube_watch *w, int64_t delay_ms) {
        if (w->timer)
                timer_free(w->timer);
        w->timer = timer_new(kube_client_loop(w->client), delay_ms, 0, connect_now, w);
}

static void set_up(struct kube_watch *w, bool is_up, const struct err *why) {
        if (w->is_up == is_up)
                return;
        w->is_up = is_up;
        if (is_up)
                w->connected_ms = clock_mono_ms();
        if (w->o.on_connection)
                w->o.on_connection(w->o.arg, is_up, why);
}

static int64_t next_delay(struct kube_watch *w) {
        if (w->connected_ms && clock_mono_ms() - w->connected_ms >= STEADY_MS)
                w->backoff_ms = 0;
        w->connected_ms = 0;
        int64_t delay = w->backoff_ms;
        w->backoff_ms = delay == 0 ? BACKOFF_FIRST_MS : delay * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : delay * 2;
        return delay == 0 ? 0 : delay / 2 + (int64_t)(rand_u64() % (uint64_t)delay);
}

static void expired(struct kube_watch *w) {
        free(TAKE(w->resource_version));
        if (!w->o.on_expired) {
                connect_later(w, next_delay(w));
                return;
        }
        w->is_stopped = true;
        w->o.on_expired(w->o.arg);
}

/* Can another try bring another answer? */
static bool is_final(const struct err *err) {
        switch (err->http_status) {
        case 400: case 401: case 403: case 404: case 405: case 422: return true;
        default: return false;
        }
}

/* The connection ended, properly (err NULL) or not. */
static void ended(struct kube_watch *w, const struct err *err) {
        enter(w);
        disconnect(w);
        set_up(w, false, err);
        if (w->is_freed || w->is_stopped) {
                (void)leave(w);
                return;
        }
        if (err && err->http_status == 410) {
                expired(w);
        } else if (err && is_final(err)) {
                w->is_stopped = true;
                w->o.on_error(w->o.arg, err);
        } else {
                int64_t delay = next_delay(w);
                connect_later(w, err && delay < BACKOFF_FIRST_MS ? BACKOFF_FIRST_MS : delay);
        }
        (void)leave(w);
}

static bool event_type(const char *name, enum kube_event_type *ret) {
        static const char *const names[] = {[KUBE_ADDED] = "ADDED", [KUBE_MODIFIED] = "MODIFIED", [KUBE_DELETED] = "DELETED"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (streq_null(name, names[i])) {
                        *ret = (enum kube_event_type)i;
                        return true;
                }
        }
        return false;
}

static void error_event(struct kube_watch *w, yyjson_val *status) {
        AUTO(err) struct err err = ERR_INIT;
        size_t len;
        AUTO(free) char *text = json_write(status, false, &len);
        (void)kube_status_error((int)json_get_int(status, "code", 500), sv_new(text, len), &err);
        ended(w, &err);
}

/* One event. False: the watch is gone, or this connection is. */
static bool take_event(struct kube_watch *w, struct sv text) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(err) struct err err = ERR_INIT;
        int r = json_parse(text, &doc, &err);
        if (r < 0) {
                err_wrap(&err, r, "a watch event");
                ended(w, &err);
                return false;
        }
        yyjson_val *root = yyjson_doc_get_root(doc), *object = yyjson_obj_get(root, "object");
        const char *type_name = json_get_str(root, "type");
        if (streq_null(type_name, "ERROR")) {
                error_event(w, object);
                return false;
        }
        const char *version = meta_resource_version(object);
        if (version) {
                char *copy = xstrdup(version);
                free(w->resource_version);
                w->resource_version = copy;
        }
        enum kube_event_type type;
        if (!event_type(type_name, &type)) /* BOOKMARK, and what later servers may invent */
                return true;
        enter(w);
        w->o.on_event(w->o.arg, type, object);
        return leave(w);
}

static void too_large(struct kube_watch *w) {
        AUTO(err) struct err err = ERR_INIT;
        (void)err_set(&err, -EMSGSIZE, "a watch event is larger than %d MiB", KUBE_WATCH_MAX_EVENT / (1024 * 1024));
        ended(w, &err);
}

static void on_stream_data(void *arg, struct sv data) {
        struct kube_watch *w = arg;
        enter(w);
        while (data.len > 0 && w->stream) {
                ssize_t end = sv_find_char(data, '\n');
                struct sv piece = sv_new(data.data, end < 0 ? data.len : (size_t)end);
                data = sv_new(data.data + piece.len + (end >= 0), data.len - piece.len - (end >= 0));
                if (end >= 0 && w->line.len == 0) { /* the common case: whole events, not copied */
                        if (sv_trim(piece).len > 0 && !take_event(w, piece))
                                break;
                        continue;
                }
                str_append_sv(&w->line, piece);
                if (str_overflowed(&w->line)) {
                        too_large(w);
                        break;
                }
                if (end < 0)
                        break;
                AUTO(str) struct str line = w->line;
                w->line = STR_INIT(KUBE_WATCH_MAX_EVENT);
                if (!take_event(w, str_sv(&line)))
                        break;
        }
        (void)leave(w);
}

static void on_stream_open(void *arg, const struct http_response *response) {
        struct kube_watch *w = arg;
        enter(w);
        set_up(w, true, NULL);
        (void)leave(w);
}

static void on_stream_end(void *arg, const struct err *err) {
        struct kube_watch *w = arg;
        w->stream = NULL;
        ended(w, err);
}

static void on_ws_message(void *arg, bool is_text, struct sv message) { (void)take_event(arg, message); }

static void on_ws_close(void *arg, int code, struct sv reason) {
        struct kube_watch *w = arg;
        if (code == 1000) {
                ended(w, NULL);
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        (void)err_set(&err, -ECONNRESET, "the connection broke (WebSocket code %d%s%.*s)", code, reason.len ? ": " : "", SV_ARG(reason));
        ended(w, &err);
}

static void connect_stream(struct kube_watch *w, char *path, char *query, int64_t timeout_ms) {
        struct kube_request q = {.method = "GET", .path = path, .query = query, .timeout_ms = timeout_ms};
        w->stream = kube_stream_start(w->client, &q, &(struct kube_stream_events){
                .on_open = on_stream_open,
                .on_data = on_stream_data,
                .on_end = on_stream_end,
                .arg = w,
        });
}

static void on_ws_connected(void *arg, struct ws *ws, const char *protocol, const struct err *err) {
        struct kube_watch *w = arg;
        w->connecting = NULL;
        if (err) {
                /* Something between us and the server does not do WebSockets: a plain stream will do. */
                if (err->http_status && err->http_status != 401 && err->http_status != 403 && err->http_status != 404 &&
                    err->http_status != 410 && err->http_status != 429 && err->http_status < 500) {
                        w->websocket = false;
                        connect_later(w, 0);
                        return;
                }
                ended(w, err);
                return;
        }
        w->ws = ws;
        enter(w);
        ws_set_events(ws, &(struct ws_events){.on_message = on_ws_message, .on_close = on_ws_close, .arg = w});
        set_up(w, true, NULL);
        (void)leave(w);
}

static void connect_now(void *arg) {
        struct kube_watch *w = arg;
        timer_free(TAKE(w->timer));
        AUTO(free) char *path = kube_path(w->o.resource, w->namespace_, NULL, NULL);
        AUTO(str) struct str query = STR_INIT(0);
        query_add(&query, "allowWatchBookmarks", "true");
        query_add(&query, "fieldSelector", w->field_selector);
        query_add(&query, "labelSelector", w->label_selector);
        query_add(&query, "resourceVersion", w->resource_version);
        int64_t timeout_ms = -1;
        if (!w->o.no_timeout) {
                int seconds = TIMEOUT_MIN_S + (int)(rand_u64() % TIMEOUT_SPREAD_S);
                AUTO(free) char *text = xasprintf("%d", seconds);
                query_add(&query, "timeoutSeconds", text);
                timeout_ms = (seconds + TIMEOUT_MARGIN_S) * 1000;
        }
        query_add(&query, "watch", "true");
        if (w->websocket)
                w->connecting = kube_ws_connect(w->client, path, str_cstr(&query), NULL, KUBE_WATCH_MAX_EVENT, on_ws_connected, w);
        else
                connect_stream(w, path, query.data, timeout_ms);
}

struct kube_watch *kube_watch_start(struct kube_client *c, const struct kube_watch_options *o) {
        struct kube_watch *w = NEW(struct kube_watch);
        w->client = c;
        w->o = *o;
        w->namespace_ = xstrdup_null(o->namespace_);
        w->label_selector = xstrdup_null(o->label_selector);
        w->field_selector = xstrdup_null(o->field_selector);
        w->resource_version = xstrdup_null(o->resource_version);
        w->websocket = o->websocket;
        w->line = STR_INIT(KUBE_WATCH_MAX_EVENT);
        connect_later(w, 0);
        return w;
}

void kube_watch_resume(struct kube_watch *w, const char *resource_version) {
        free(w->resource_version);
        w->resource_version = xstrdup_null(resource_version);
        w->is_stopped = false;
        connect_later(w, next_delay(w));
}
