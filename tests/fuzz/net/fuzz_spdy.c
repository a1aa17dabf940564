/* SPDY frames from a hostile peer, in pieces; our side replies, echoes, resets and goes away as the data say. */
#include "net/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct spdy *session;

static void output(void *arg, struct sv bytes) {
        if (bytes.len < 8)
                abort();
}

static void on_stream(void *arg, struct spdy_stream *s, const struct http_headers *headers) {
        const char *port = http_headers_get(headers, "port");
        if (port && port[0] == 'x')
                spdy_stream_reset(s, SPDY_RST_CANCEL);
        else if (port && port[0] == 'g')
                spdy_goaway(session);
        else
                spdy_stream_reply(s, headers);
}

static void on_data(void *arg, struct spdy_stream *s, struct sv data) {
        if (data.len == 0)
                abort();
        if (data.data[0] == 'f')
                spdy_free(TAKE(session));
        else if (data.data[0] == 'r')
                spdy_stream_reset(s, SPDY_RST_CANCEL);
        else
                spdy_stream_write(s, data);
}

static void on_end(void *arg, struct spdy_stream *s) { spdy_stream_finish(s); }
static void on_reset(void *arg, struct spdy_stream *s, int status) {}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < 2 || size > 200000)
                return 0;
        struct spdy_events ev = {.output = output, .on_stream = on_stream, .on_data = on_data, .on_end = on_end, .on_reset = on_reset};
        session = spdy_new(data[0] & 1, &ev);
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "streamtype", "data");
        struct spdy_stream *own = spdy_stream_open(session, &h, false);
        spdy_stream_write(own, SV("hello"));
        size_t piece = 1 + data[0] / 2;
        int r = 0;
        for (size_t at = 1; at < size && session && r == 0; at += piece)
                r = spdy_feed(session, sv_new((const char *)data + at, size - at < piece ? size - at : piece), NULL);
        spdy_free(TAKE(session));
        return 0;
}
