/* A server for other people's clients: echo, streams, WebSockets, and enough of a Kubernetes API for `kubectl port-forward`, which
 * connects to ports of this machine. `peer [DIRECTORY]`: with a directory it speaks TLS and writes ca.pem there.
 * Prints its port, runs until its standard input ends. */
#include <fcntl.h>
#include <stdio.h>

#include "base/fs.h"
#include "codec/uri.h"
#include "net/http_server.h"
#include "net/spdy.h"
#include "net/stream.h"
#include "net/ws.h"

static struct loop *loop;

/* ---- WebSocket echo ---- */

static void echo_message(void *arg, bool is_text, struct sv message) { ws_send(*(struct ws **)arg, is_text, message); }

static void echo_closed(void *arg, int code, struct sv reason) {
        struct ws **w = arg;
        ws_free(*w);
        free(w);
}

static void serve_echo(struct http_exchange *x) {
        struct ws **w = NEW(struct ws *);
        *w = ws_accept(x, NULL, 0);
        if (!*w) {
                free(w);
                return;
        }
        struct ws_events ev = {.on_message = echo_message, .on_close = echo_closed, .arg = w};
        ws_set_events(*w, &ev);
}

/* ---- port-forward: SPDY in a WebSocket ---- */

struct forward {
        struct ws *ws;
        struct spdy *spdy;
        struct pipe *pipes; /* those still open */
};

struct pipe {
        struct pipe *next;
        struct forward *forward;
        struct spdy_stream *spdy;
        struct stream_connecting *connecting;
        struct stream *socket;
        struct str early;
        bool early_end;
};

static void forward_output(void *arg, struct sv bytes) { ws_send(((struct forward *)arg)->ws, false, bytes); }

static void socket_data(void *arg, struct sv data) { spdy_stream_write(((struct pipe *)arg)->spdy, data); }

static void pipe_free(struct pipe *p) {
        struct pipe **at = &p->forward->pipes;
        while (*at != p)
                at = &(*at)->next;
        *at = p->next;
        stream_connect_cancel(p->connecting);
        stream_free(p->socket);
        str_done(&p->early);
        free(p);
}

static void socket_end(void *arg, const struct err *err) {
        struct pipe *p = arg;
        spdy_stream_set_data(p->spdy, NULL);
        spdy_stream_finish(p->spdy);
        pipe_free(p);
}

static void connected(void *arg, struct stream *s, const struct err *err) {
        struct pipe *p = arg;
        p->connecting = NULL;
        if (err) {
                fprintf(stderr, "%s\n", err_message(err));
                spdy_stream_reset(p->spdy, SPDY_RST_CANCEL);
                pipe_free(p);
                return;
        }
        p->socket = s;
        struct stream_events ev = {.on_data = socket_data, .on_end = socket_end, .arg = p};
        stream_set_events(s, &ev);
        stream_write(s, str_sv(&p->early));
        if (p->early_end)
                stream_shutdown(s);
}

static void forward_stream(void *arg, struct spdy_stream *s, const struct http_headers *headers) {
        const char *type = http_headers_get(headers, "streamtype");
        const char *port = http_headers_get(headers, "port");
        int64_t number;
        if (!type || !port || !sv_to_int64(sv_of(port), &number)) {
                spdy_stream_reset(s, SPDY_RST_PROTOCOL_ERROR);
                return;
        }
        spdy_stream_reply(s, NULL);
        if (streq(type, "error")) {
                spdy_stream_finish(s); /* no error to tell */
                return;
        }
        struct pipe *p = NEW(struct pipe);
        p->forward = arg;
        p->next = p->forward->pipes;
        p->forward->pipes = p;
        p->spdy = s;
        spdy_stream_set_data(s, p);
        p->connecting = stream_connect(loop, "127.0.0.1", (int)number, NULL, 120000, connected, p);
}

static void forward_data(void *arg, struct spdy_stream *s, struct sv data) {
        struct pipe *p = spdy_stream_data(s);
        if (p && p->socket)
                stream_write(p->socket, data);
        else if (p)
                str_append_sv(&p->early, data);
}

static void forward_end(void *arg, struct spdy_stream *s) {
        struct pipe *p = spdy_stream_data(s);
        if (p && p->socket)
                stream_shutdown(p->socket);
        else if (p)
                p->early_end = true;
}

static void forward_reset(void *arg, struct spdy_stream *s, int status) {
        struct pipe *p = spdy_stream_data(s);
        if (p)
                pipe_free(p);
}

static void forward_message(void *arg, bool is_text, struct sv message) {
        struct forward *f = arg;
        AUTO(err) struct err err = ERR_INIT;
        if (spdy_feed(f->spdy, message, &err) < 0)
                fprintf(stderr, "%s\n", err_message(&err));
}

static void forward_closed(void *arg, int code, struct sv reason) {
        struct forward *f = arg;
        while (f->pipes) /* whose server may not have closed yet */
                pipe_free(f->pipes);
        ws_free(f->ws);
        spdy_free(f->spdy);
        free(f);
}

static void serve_forward(struct http_exchange *x, const struct http_request *q) {
        static const char protocol[] = "SPDY/3.1+portforward.k8s.io";
        struct ws *w = ws_accept(x, ws_offers(q, protocol) ? protocol : NULL, 0);
        if (!w)
                return;
        struct forward *f = NEW(struct forward);
        f->ws = w;
        struct spdy_events se = {.output = forward_output,
                                 .on_stream = forward_stream,
                                 .on_data = forward_data,
                                 .on_end = forward_end,
                                 .on_reset = forward_reset,
                                 .arg = f};
        f->spdy = spdy_new(true, &se);
        struct ws_events we = {.on_message = forward_message, .on_close = forward_closed, .arg = f};
        ws_set_events(w, &we);
}

/* ---- pages ---- */

struct page {
        const char *path, *type, *text;
};

static const struct page pages[] = {
        {"/hello", "application/json", "{\"hello\":\"world\"}\n"},
        {"/api", "application/json", "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}"},
        {"/apis", "application/json", "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[]}"},
        {"/api/v1", "application/json",
         "{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":[{\"name\":\"pods\",\"singularName\":\"pod\",\"namespaced\":true,\"kind\":\"Pod\","
         "\"verbs\":[\"get\",\"list\"]}]}"},
        {"/api/v1/namespaces/default/pods/web", "application/json",
         "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{\"containers\":[{\"name\":\"c\"}]},"
         "\"status\":{\"phase\":\"Running\"}}"},
};

static void respond_big(struct http_exchange *x, const char *query) {
        AUTO(free) char *text = query_get(query ? query : "", "size");
        int64_t size = 0;
        if (!text || !sv_to_int64(sv_of(text), &size) || size < 0 || size > 1 << 30) {
                http_respond(x, 400, "text/plain", SV("size=N\n"));
                return;
        }
        AUTO(free) char *data = xmalloc((size_t)size);
        memset(data, 'x', (size_t)size);
        http_respond(x, 200, "application/octet-stream", sv_new(data, (size_t)size));
}

static void handle(struct http_exchange *x, const struct http_request *q, void *arg) {
        for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
                if (streq(q->path, pages[i].path)) {
                        http_respond(x, 200, pages[i].type, sv_of(pages[i].text));
                        return;
                }
        }
        if (streq(q->path, "/echo")) {
                http_respond(x, 200, "application/octet-stream", q->body);
        } else if (streq(q->path, "/big")) {
                respond_big(x, q->query);
        } else if (streq(q->path, "/watch")) {
                http_start(x, 200, "application/json");
                http_write(x, SV("{\"type\":\"ADDED\"}\n"));
        } else if (streq(q->path, "/ten")) {
                http_start(x, 200, "text/plain");
                for (int i = 0; i < 10; i++)
                        http_write(x, SV("line\n"));
                http_finish(x);
        } else if (streq(q->path, "/ws")) {
                serve_echo(x);
        } else if (str_ends(q->path, "/portforward")) {
                serve_forward(x, q);
        } else {
                http_respond(x, 404, "text/plain", SV("no such page\n"));
        }
}

static int make_tls(const char *directory, struct tls_context **ret, struct err *err) {
        AUTO(free) char *ca = NULL;
        AUTO(free) char *ca_key = NULL;
        AUTO(free) char *cert = NULL;
        AUTO(free) char *key = NULL;
        struct tls_cert_request req = {.common_name = "peer",
                                       .dns_names = (const char *const[]){"localhost", NULL},
                                       .ip_addresses = (const char *const[]){"127.0.0.1", NULL},
                                       .days = 1,
                                       .is_server = true};
        int r = tls_make_ca("peer's authority", 1, &ca, &ca_key, err);
        if (r >= 0)
                r = tls_make_cert(sv_of(ca), sv_of(ca_key), &req, &cert, &key, err);
        if (r < 0)
                return r;
        AUTO(free) char *path = fs_join(directory, "ca.pem");
        r = fs_write(path, sv_of(ca), 0644, err);
        struct tls_server_options o = {.cert_pem = sv_of(cert), .key_pem = sv_of(key), .client_ca_pem = sv_of(ca)};
        return r < 0 ? r : tls_server_new(&o, ret, err);
}

static void on_input(void *arg) {
        char c;
        if (read(0, &c, 1) <= 0)
                loop_stop(loop);
}

int main(int argc, char **argv) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(tls_context) struct tls_context *tls = NULL;
        if (argc > 1 && make_tls(argv[1], &tls, &err) < 0) {
                fprintf(stderr, "%s\n", err_message(&err));
                return 1;
        }
        loop = loop_new();
        struct http_server_options o = {.tls = tls, .handler = handle, .max_connections = 100000};
        struct http_server *s = http_server_new(loop, &o);
        int port;
        if (http_server_listen(s, "127.0.0.1", 0, &port, &err) < 0) {
                fprintf(stderr, "%s\n", err_message(&err));
                return 1;
        }
        printf("%d\n", port);
        fflush(stdout);
        struct fdwatch *input = fdwatch_new(loop, 0, on_input, NULL);
        loop_run(loop);
        fdwatch_free(input);
        http_server_free(s);
        loop_free(loop);
        return 0;
}
