#include "kube/podexec.h"

#include "codec/uri.h"
#include "kube/verbs.h"

/* The channels of v5.channel.k8s.io: the first byte of every message. */
enum { CHANNEL_STDIN = 0, CHANNEL_STDOUT = 1, CHANNEL_STDERR = 2, CHANNEL_STATUS = 3, CHANNEL_RESIZE = 4, CHANNEL_CLOSE = 255 };

enum { WRITE_PIECE = 32 * 1024 };

struct podexec {
        struct podexec_options o;
        struct kube_ws_connecting *connecting;
        struct ws *ws;
        bool is_over;
        int depth;
        bool is_freed;
};

static void destroy(struct podexec *p) {
        kube_ws_cancel(p->connecting);
        if (p->ws)
                ws_free(p->ws);
        free(p);
}

void podexec_free(struct podexec *p) {
        if (!p)
                return;
        p->is_freed = true;
        if (p->depth == 0)
                destroy(p);
}

static void leave(struct podexec *p) {
        if (--p->depth == 0 && p->is_freed)
                destroy(p);
}

static void finish(struct podexec *p, int exit_code, const struct err *err) {
        if (p->is_over || p->is_freed)
                return;
        p->is_over = true;
        p->depth++;
        p->o.on_exit(p->o.arg, exit_code, err);
        leave(p);
}

/* The Status that ends it: Success, or NonZeroExitCode with the code among its causes, or what else went wrong. */
static void take_status(struct podexec *p, struct sv text) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(err) struct err err = ERR_INIT;
        int r = json_parse(text, &doc, &err);
        if (r < 0) {
                err_wrap(&err, r, "the status of the command");
                finish(p, -1, &err);
                return;
        }
        yyjson_val *root = yyjson_doc_get_root(doc), *cause;
        if (streq_null(json_get_str(root, "status"), "Success")) {
                finish(p, 0, NULL);
                return;
        }
        size_t i, n;
        yyjson_arr_foreach(json_at(root, "/details/causes"), i, n, cause) {
                int64_t code;
                const char *message = json_get_str(cause, "message");
                if (streq_null(json_get_str(cause, "reason"), "ExitCode") && message && sv_to_int64(sv_of(message), &code)) {
                        finish(p, (int)code, NULL);
                        return;
                }
        }
        const char *message = json_get_str(root, "message");
        (void)err_http(&err, -EREMOTEIO, (int)json_get_int(root, "code", 0), json_get_str(root, "reason"), "%s",
                       message ? message : "the command failed");
        finish(p, -1, &err);
}

static void on_message(void *arg, bool is_text, struct sv message) {
        struct podexec *p = arg;
        if (message.len == 0 || p->is_over)
                return;
        unsigned char channel = (unsigned char)message.data[0];
        struct sv data = sv_new(message.data + 1, message.len - 1);
        p->depth++;
        if (channel == CHANNEL_STATUS)
                take_status(p, data);
        else if ((channel == CHANNEL_STDOUT || channel == CHANNEL_STDERR) && data.len > 0)
                p->o.on_output(p->o.arg, channel == CHANNEL_STDERR, data);
        leave(p);
}

static void on_close(void *arg, int code, struct sv reason) {
        struct podexec *p = arg;
        AUTO(err) struct err err = ERR_INIT;
        (void)err_set(&err, -ECONNRESET, "the connection to the command ended before its exit code came (WebSocket code %d%s%.*s)", code,
                      reason.len ? ": " : "", SV_ARG(reason));
        finish(p, -1, &err);
}

static void on_drain(void *arg) {
        struct podexec *p = arg;
        if (!p->o.on_drain)
                return;
        p->depth++;
        p->o.on_drain(p->o.arg);
        leave(p);
}

static void on_connected(void *arg, struct ws *w, const char *protocol, const struct err *cause) {
        struct podexec *p = arg;
        p->connecting = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (cause) {
                finish(p, -1, cause);
                return;
        }
        p->ws = w;
        if (!protocol) {
                (void)err_set(&err, -EPROTO, "the server does not speak v5.channel.k8s.io (Kubernetes 1.29 or later does)");
                finish(p, -1, &err);
                return;
        }
        p->depth++;
        ws_set_events(w, &(struct ws_events){.on_message = on_message, .on_close = on_close, .on_drain = on_drain, .arg = p});
        if (p->o.on_ready)
                p->o.on_ready(p->o.arg);
        leave(p);
}

struct podexec *podexec_start(struct kube_client *c, const struct podexec_options *o) {
        static const char *const protocols[] = {"v5.channel.k8s.io", NULL};
        struct podexec *p = NEW(struct podexec);
        p->o = *o;
        AUTO(str) struct str query = STR_INIT(0);
        for (const char *const *a = o->argv; a && *a; a++)
                query_add(&query, "command", *a);
        query_add(&query, "container", o->container);
        query_add(&query, "stdin", o->has_stdin ? "true" : NULL);
        query_add(&query, "stdout", "true");
        query_add(&query, "stderr", o->tty ? NULL : "true"); /* a terminal has one output */
        query_add(&query, "tty", o->tty ? "true" : NULL);
        AUTO(free) char *path = kube_path(&KUBE_PODS, o->namespace_, o->pod, o->argv ? "exec" : "attach");
        p->connecting = kube_ws_connect(c, path, str_cstr(&query), protocols, PODEXEC_MAX_MESSAGE, on_connected, p);
        return p;
}

static void send_channel(struct podexec *p, unsigned char channel, struct sv data) {
        if (!p->ws || p->is_over)
                return;
        AUTO(str) struct str message = STR_INIT(0);
        str_append_c(&message, (char)channel);
        str_append_sv(&message, data);
        ws_send(p->ws, false, str_sv(&message));
}

void podexec_write(struct podexec *p, struct sv data) {
        while (data.len > 0) {
                size_t piece = data.len < WRITE_PIECE ? data.len : WRITE_PIECE;
                send_channel(p, CHANNEL_STDIN, sv_new(data.data, piece));
                data = sv_new(data.data + piece, data.len - piece);
        }
}

size_t podexec_pending(const struct podexec *p) { return p->ws ? ws_pending(p->ws) : 0; }

void podexec_close_stdin(struct podexec *p) {
        static const char channel = CHANNEL_STDIN;
        send_channel(p, CHANNEL_CLOSE, sv_new(&channel, 1));
}

void podexec_resize(struct podexec *p, int columns, int rows) {
        AUTO(free) char *size = xasprintf("{\"Width\":%d,\"Height\":%d}", columns, rows);
        send_channel(p, CHANNEL_RESIZE, sv_of(size));
}
