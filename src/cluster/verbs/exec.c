/* exec and attach: a WebSocket whose binary messages begin with the number of a channel. */
#include "cluster/verbs/podstreams.h"
#include "codec/uri.h"
#include "net/ws.h"

enum { CH_STDIN = 0, CH_STDOUT = 1, CH_STDERR = 2, CH_STATUS = 3, CH_RESIZE = 4, CH_CLOSE = 255, MAX_MESSAGE = 1024 * 1024 };

struct exec {
        struct session session;
        struct ws *ws;
        struct pod_exec *exec;
        bool output_paused, input_paused;
};

static const struct pod_backend *backend(const struct exec *e) { return e->session.s->backend; }

static void exec_free(struct exec *e) {
        session_remove(&e->session);
        if (e->exec)
                backend(e)->exec_close(e->exec);
        free(e);
}

static void exec_end(struct session *session) {
        struct exec *e = (struct exec *)session;
        ws_close(e->ws, 1001, SV("the server ends"));
        exec_free(e);
}

static void send_channel(struct exec *e, unsigned char channel, struct sv data) {
        AUTO(str) struct str message = STR_INIT(0);
        str_append_c(&message, (char)channel);
        str_append_sv(&message, data);
        ws_send(e->ws, false, str_sv(&message));
        if (!e->output_paused && ws_pending(e->ws) > STREAM_MAX_PENDING) {
                e->output_paused = true;
                backend(e)->exec_pause(e->exec, true);
        }
}

static void on_stdout(void *arg, struct sv data) { send_channel(arg, CH_STDOUT, data); }
static void on_stderr(void *arg, struct sv data) { send_channel(arg, CH_STDERR, data); }

static void on_drain(void *arg) {
        struct exec *e = arg;
        if (e->output_paused) {
                e->output_paused = false;
                backend(e)->exec_pause(e->exec, false);
        }
}

static void on_stdin_drain(void *arg) {
        struct exec *e = arg;
        if (e->input_paused) {
                e->input_paused = false;
                ws_pause(e->ws, false);
        }
}

static void on_finished(void *arg, int exit_code, const struct err *err) {
        struct exec *e = arg;
        AUTO(str) struct str status = STR_INIT(0);
        if (err) {
                str_append_s(&status, "{\"metadata\":{},\"status\":\"Failure\",\"message\":");
                json_append_quoted(&status, sv_of(err_message(err)));
                str_append_s(&status, ",\"reason\":\"InternalError\",\"code\":500}");
        } else if (exit_code) {
                str_appendf(
                        &status,
                        "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code: exit status %d\","
                        "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
                        exit_code, exit_code);
        } else {
                str_append_s(&status, "{\"metadata\":{},\"status\":\"Success\"}");
        }
        e->output_paused = true; /* nothing more to pause */
        send_channel(e, CH_STATUS, str_sv(&status));
        ws_close(e->ws, 1000, SV_NULL);
        exec_free(e);
}

static void resize(struct exec *e, struct sv text) {
        AUTO(json) yyjson_doc *doc = NULL;
        if (json_parse(text, &doc, NULL) == 0)
                backend(e)->exec_resize(e->exec, (int)json_get_int(yyjson_doc_get_root(doc), "Width", 80),
                                        (int)json_get_int(yyjson_doc_get_root(doc), "Height", 24));
}

static void on_message(void *arg, bool is_text, struct sv message) {
        struct exec *e = arg;
        struct sv data;
        (void)is_text;

        if (message.len == 0)
                return;
        data = sv_new(message.data + 1, message.len - 1);
        switch ((unsigned char)message.data[0]) {
        case CH_STDIN:
                backend(e)->exec_stdin(e->exec, data);
                if (!e->input_paused && backend(e)->exec_stdin_pending(e->exec) > STREAM_MAX_PENDING) {
                        e->input_paused = true;
                        ws_pause(e->ws, true);
                }
                break;
        case CH_RESIZE:
                resize(e, data);
                break;
        case CH_CLOSE:
                if (data.len && (unsigned char)data.data[0] == CH_STDIN)
                        backend(e)->exec_stdin_end(e->exec);
                break;
        default: /* clients write to no other channel */
                break;
        }
}

static void on_close(void *arg, int code, struct sv reason) {
        struct exec *e = arg;
        (void)code, (void)reason;
        ws_free(e->ws);
        exec_free(e);
}

/* Every ?command=. */
static void commands(const struct request *q, struct strv *ret) {
        struct sv rest = sv_of(q->http->query), one;
        while (rest.data && sv_split(&rest, '&', &one)) {
                AUTO(str) struct str text = STR_INIT(0);
                if (sv_starts(one, SV("command=")) && uri_decode(sv_new(one.data + 8, one.len - 8), true, &text))
                        strv_add(ret, str_cstr(&text));
        }
}

int sub_exec(struct request *q, struct err *err) {
        static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io"};
        bool is_exec = streq(q->subresource, "exec");
        AUTO(object) struct object *pod = NULL;
        AUTO(free) char *container = NULL;
        AUTO(strv) struct strv argv = {0};
        struct pod_exec_options o = {0};
        const char *protocol = NULL;
        struct exec *e;
        int r = stream_find_pod(q, &pod, err);

        if (r == 0)
                r = stream_container(q, pod, &container, err);
        if (r == 0)
                r = stream_check_host(q, pod, err);
        if (r < 0)
                return r;
        commands(q, &argv);
        if (is_exec && argv.len == 0)
                return status_bad_request(err, "you must specify at least 1 command for the container");
        if (!ws_is_upgrade(q->http))
                return status_bad_request(err, "Upgrade request required");
        for (size_t i = 0; i < ARRAY_LEN(protocols) && !protocol; i++)
                if (ws_offers(q->http, protocols[i]))
                        protocol = protocols[i];
        if (!protocol)
                return status_bad_request(err,
                                          "none of the WebSocket protocols is supported: v5.channel.k8s.io or v4.channel.k8s.io is needed");
        o = (struct pod_exec_options){
                .container = container,
                .argv = is_exec ? (const char *const *)argv.items : NULL,
                .with_stdin = request_query_bool(q, "stdin"),
                .with_stdout = request_query_bool(q, "stdout"),
                .with_stderr = request_query_bool(q, "stderr"),
                .tty = request_query_bool(q, "tty"),
        };
        if (o.tty)
                o.with_stderr = false;
        e = NEW(struct exec);
        session_add(q->s, &e->session, exec_end);
        r = q->s->backend->exec_open(q->s->backend->self, pod, &o,
                                     &(struct pod_exec_events){on_stdout, on_stderr, on_finished, on_stdin_drain, e}, &e->exec, err);
        if (r < 0) {
                exec_free(e);
                return r;
        }
        e->ws = ws_accept(q->x, protocol, MAX_MESSAGE);
        if (!e->ws) {
                exec_free(e);
                return 0;
        }
        ws_set_events(e->ws, &(struct ws_events){.on_message = on_message, .on_close = on_close, .on_drain = on_drain, .arg = e});
        return 0;
}
