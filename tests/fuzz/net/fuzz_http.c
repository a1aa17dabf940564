/* A whole connection to the server: the input is what a client sends, its first byte how it is cut. Every request that the server
 * accepts is answered in one of several ways. */
#include "net/http_server.h"
#include "net/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct http_server *server;
static int port;
static struct stream *client;
static bool done;

static void up_data(void *arg, struct sv data) { stream_write(*(struct stream **)arg, data); }

static void up_end(void *arg, const struct err *err) {
        stream_free(*(struct stream **)arg);
        free(arg);
}

static void serve(struct http_exchange *x, const struct http_request *q, void *arg) {
        if (strlen(q->target) < strlen(q->path))
                abort();
        switch (q->path[0] ? q->path[1] : 0) {
        case 's':
                http_start(x, 200, "text/plain");
                http_write(x, q->body);
                http_finish(x);
                break;
        case 'a':
                http_start(x, 200, "text/plain");
                http_abort(x);
                break;
        case 'u': {
                struct stream **s = NEW(struct stream *);
                *s = http_upgrade(x, "test");
                struct stream_events ev = {.on_data = up_data, .on_end = up_end, .arg = s};
                stream_set_events(*s, &ev);
                break;
        }
        default:
                http_respond(x, 200, "text/plain", q->body);
        }
}

static void on_data(void *arg, struct sv data) {}
static void on_end(void *arg, const struct err *err) { done = true; }

static void on_connected(void *arg, struct stream *s, const struct err *err) {
        if (err)
                abort();
        client = s;
        done = true;
}

static void wait_done(void) {
        done = false;
        loop_run_until(loop, &done);
}

static void set_up(void) {
        loop = loop_new();
        struct http_server_options o = {.handler = serve, .max_body = 4096};
        server = http_server_new(loop, &o);
        if (http_server_listen(server, "127.0.0.1", 0, &port, NULL) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (!loop)
                set_up();
        if (size < 1 || size > 100000)
                return 0;
        stream_connect(loop, "127.0.0.1", port, NULL, 0, on_connected, NULL);
        wait_done();
        struct stream_events ev = {.on_data = on_data, .on_end = on_end};
        stream_set_events(client, &ev);
        size_t piece = data[0] ? data[0] * 4u : size;
        for (size_t at = 1; at < size; at += piece)
                stream_write(client, sv_new((const char *)data + at, size - at < piece ? size - at : piece));
        stream_shutdown(client);
        wait_done();
        stream_free(client);
        return 0;
}
