#include "kube/podlog.h"

#include "codec/ktime.h"
#include "codec/uri.h"
#include "kobj/meta.h"

enum { RETRY_MS = 1000, RETRY_MAX_MS = 10 * 1000 };

/* A time stamp in full: seconds and nanoseconds. */
struct stamp {
        int64_t seconds;
        int64_t nanos;
};

struct podlog {
        struct kube_client *client;
        struct podlog_options o;
        char *namespace_, *pod, *container;
        char *noted;             /* the last note, which is not said twice */
        struct kube_stream *stream;
        struct kube_call *look; /* at the pod, after the stream ended */
        struct timer *timer;
        struct str line;
        bool in_long_line;       /* the beginning of this line was handed out already */
        struct stamp last;       /* of the last line handed out */
        char *last_text;         /* the same as the server wrote it; NULL = none yet */
        int64_t at_last, skip;   /* lines handed out with that stamp; those still to be dropped after resuming */
        bool is_resuming;
        bool is_complete;        /* the last connection was ended by the server, not by an accident */
        bool was_over;           /* the pod, before that connection was made */
        bool has_data;           /* came by that connection */
        int64_t retry_ms;
        int depth;
        bool is_freed;
};

static void disconnect(struct podlog *p) {
        kube_stream_cancel(TAKE(p->stream));
        kube_call_cancel(TAKE(p->look));
        if (p->timer)
                timer_free(TAKE(p->timer));
}

static void destroy(struct podlog *p) {
        disconnect(p);
        str_done(&p->line);
        free(p->last_text);
        free(p->noted);
        free(p->namespace_);
        free(p->pod);
        free(p->container);
        free(p);
}

void podlog_free(struct podlog *p) {
        if (!p)
                return;
        p->is_freed = true;
        if (p->depth > 0)
                disconnect(p);
        else
                destroy(p);
}

static void leave(struct podlog *p) {
        if (--p->depth == 0 && p->is_freed)
                destroy(p);
}

static bool parse_stamp(struct sv text, struct stamp *ret) {
        int64_t us;
        if (!ktime_parse(text, &us))
                return false;
        int64_t nanos = 0, scale = 100 * 1000 * 1000;
        ssize_t dot = sv_find_char(text, '.');
        for (size_t i = dot < 0 ? text.len : (size_t)dot + 1; i < text.len && text.data[i] >= '0' && text.data[i] <= '9' && scale > 0;
             i++) {
                nanos += (text.data[i] - '0') * scale;
                scale /= 10;
        }
        ret->seconds = us / 1000000 - (us % 1000000 < 0);
        ret->nanos = nanos;
        return true;
}

static int stamp_cmp(const struct stamp *a, const struct stamp *b) {
        if (a->seconds != b->seconds)
                return a->seconds < b->seconds ? -1 : 1;
        return a->nanos == b->nanos ? 0 : a->nanos < b->nanos ? -1 : 1;
}

/* Was this line handed out before the connection broke? Also keeps the place for the next break. */
static bool seen_before(struct podlog *p, const struct stamp *stamp, struct sv text) {
        int order = p->last_text ? stamp_cmp(stamp, &p->last) : 1;
        if (p->is_resuming) {
                if (order < 0)
                        return true;
                if (order == 0 && p->skip > 0) {
                        p->skip--;
                        return true;
                }
                p->is_resuming = false;
        }
        if (order == 0) {
                p->at_last++;
                return false;
        }
        p->last = *stamp;
        p->at_last = 1;
        free(p->last_text);
        p->last_text = sv_dup(text);
        return false;
}

static void deliver(struct podlog *p, struct sv line) {
        if (line.len > 0 && line.data[line.len - 1] == '\r')
                line.len--;
        if (p->o.follow && !p->in_long_line) {
                ssize_t blank = sv_find_char(line, ' ');
                struct sv text = sv_new(line.data, blank < 0 ? line.len : (size_t)blank);
                struct stamp stamp;
                if (parse_stamp(text, &stamp)) {
                        if (seen_before(p, &stamp, text))
                                return;
                        size_t cut = text.len + (blank >= 0);
                        if (!p->o.timestamps)
                                line = sv_new(line.data + cut, line.len - cut);
                }
        }
        p->o.on_line(p->o.arg, line);
}

static void on_data(void *arg, struct sv data) {
        struct podlog *p = arg;
        p->depth++;
        p->retry_ms = 0;
        p->has_data = true;
        while (data.len > 0 && !p->is_freed) {
                ssize_t end = sv_find_char(data, '\n');
                struct sv piece = sv_new(data.data, end < 0 ? data.len : (size_t)end);
                data = sv_new(data.data + piece.len + (end >= 0), data.len - piece.len - (end >= 0));
                if (end >= 0 && p->line.len == 0) {
                        deliver(p, piece);
                        p->in_long_line = false;
                        continue;
                }
                if (p->line.len + piece.len > PODLOG_MAX_LINE && p->line.len > 0) {
                        deliver(p, str_sv(&p->line));
                        str_clear(&p->line);
                        p->in_long_line = true;
                }
                str_append_sv(&p->line, piece);
                if (end < 0 || p->is_freed)
                        continue;
                deliver(p, str_sv(&p->line));
                str_clear(&p->line);
                p->in_long_line = false;
        }
        leave(p);
}

static void end(struct podlog *p, const struct err *err) {
        p->depth++;
        if (p->line.len > 0 && !err) {
                deliver(p, str_sv(&p->line));
                str_clear(&p->line);
        }
        if (!p->is_freed)
                p->o.on_end(p->o.arg, err);
        leave(p);
}

static void note(struct podlog *p, const char *fmt, ...) PRINTF(2, 3);
static void note(struct podlog *p, const char *fmt, ...) {
        if (!p->o.on_note)
                return;
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        if (streq_null(p->noted, text))
                return;
        free(p->noted);
        p->noted = xstrdup(text);
        p->depth++;
        p->o.on_note(p->o.arg, text);
        leave(p);
}

static void connect_now(void *arg);

/* Waiting for a container is no trouble: only breaks back off. */
static void connect_later(struct podlog *p, bool is_broken) {
        p->retry_ms = !is_broken ? RETRY_MS : p->retry_ms == 0 ? RETRY_MS : p->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : p->retry_ms * 2;
        p->timer = timer_new(kube_client_loop(p->client), p->retry_ms, 0, connect_now, p);
}

/* The container's state in the pod: has it ended for good, and if it waits, for what? */
static bool pod_is_over(yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase");
        return streq_null(phase, "Succeeded") || streq_null(phase, "Failed");
}

static const char *waiting_reason(yyjson_val *pod) {
        size_t i, n;
        yyjson_val *status;
        yyjson_arr_foreach(json_at(pod, "/status/containerStatuses"), i, n, status) {
                const char *reason = json_str_at(status, "/state/waiting/reason");
                if (reason)
                        return reason;
        }
        return json_str_at(meta_condition(pod, "PodScheduled"), "/reason");
}

static void on_looked(void *arg, struct kube_reply *reply, const struct err *err) {
        struct podlog *p = arg;
        p->look = NULL;
        if (err && err->http_status == 404) {
                end(p, NULL); /* deleted: what was written was read */
                return;
        }
        if (err && err->http_status != 0 && err->http_status < 500) {
                end(p, err);
                return;
        }
        p->depth++;
        yyjson_val *pod = reply ? yyjson_doc_get_root(reply->doc) : NULL;
        if (pod && pod_is_over(pod) && (p->is_complete || p->o.previous)) {
                end(p, NULL);
        } else if (pod && pod_is_over(pod) && !p->was_over) { /* it ended, or began and ended, after that connection: read the rest */
                p->was_over = true;
                p->timer = timer_new(kube_client_loop(p->client), 0, 0, connect_now, p);
        } else if (pod && pod_is_over(pod)) {
                connect_later(p, true);
        } else {
                const char *reason = waiting_reason(pod);
                if (err)
                        note(p, "lost the connection: %s", err_message(err));
                else if (reason && !p->last_text)
                        note(p, "waiting for %s: %s", p->pod, reason);
                if (!p->is_freed)
                        connect_later(p, err != NULL);
        }
        leave(p);
}

static void look_at_pod(struct podlog *p) {
        AUTO(kube_request) struct kube_request q = {0};
        kube_make_get(&KUBE_PODS, p->namespace_, p->pod, &q);
        p->look = kube_call_start(p->client, &q, on_looked, p);
}

static void on_stream_end(void *arg, const struct err *err) {
        struct podlog *p = arg;
        p->stream = NULL;
        if (!p->o.follow) {
                end(p, err);
                return;
        }
        if (!err && p->line.len > 0) { /* a last line without a newline; after a break it comes again whole */
                p->depth++;
                deliver(p, str_sv(&p->line));
                bool freed = p->is_freed;
                str_clear(&p->line);
                leave(p);
                if (freed)
                        return;
        }
        str_clear(&p->line);
        p->in_long_line = false;
        /* 400: the container has not started; nothing: the pod may not have a node yet. The pod says whether it ever will. It may have come
         * and gone before it is asked. */
        p->is_complete = p->was_over ? !err || err->http_status == 400 : !err && p->has_data;
        if (err && err->http_status && err->http_status != 400 && err->http_status < 500) {
                end(p, err);
                return;
        }
        look_at_pod(p);
}

static void connect_now(void *arg) {
        struct podlog *p = arg;
        if (p->timer)
                timer_free(TAKE(p->timer));
        AUTO(str) struct str query = STR_INIT(0);
        query_add(&query, "container", p->container);
        p->has_data = false;
        p->is_resuming = p->last_text != NULL;
        p->skip = p->at_last;
        if (p->o.follow) {
                query_add(&query, "follow", "true");
                query_add(&query, "timestamps", "true");
        } else if (p->o.timestamps) {
                query_add(&query, "timestamps", "true");
        }
        if (p->o.previous)
                query_add(&query, "previous", "true");
        if (p->is_resuming) {
                query_add(&query, "sinceTime", p->last_text);
        } else {
                AUTO(free) char *since = xasprintf("%lld", (long long)p->o.since_seconds);
                AUTO(free) char *tail = xasprintf("%lld", (long long)p->o.tail_lines);
                query_add(&query, "sinceSeconds", p->o.since_seconds > 0 ? since : NULL);
                query_add(&query, "tailLines", p->o.tail_lines >= 0 ? tail : NULL);
        }
        AUTO(free) char *path = kube_path(&KUBE_PODS, p->namespace_, p->pod, "log");
        struct kube_request q = {.method = "GET", .path = path, .query = query.data, .accept = "*/*"};
        p->stream = kube_stream_start(p->client, &q, &(struct kube_stream_events){.on_data = on_data, .on_end = on_stream_end, .arg = p});
}

struct podlog *podlog_start(struct kube_client *c, const struct podlog_options *o) {
        struct podlog *p = NEW(struct podlog);
        p->client = c;
        p->o = *o;
        p->namespace_ = xstrdup(o->namespace_);
        p->pod = xstrdup(o->pod);
        p->container = xstrdup_null(o->container);
        p->line = STR_INIT(0);
        connect_now(p);
        return p;
}
