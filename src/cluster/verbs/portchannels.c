/* portforward over plain WebSocket channels (v4.channel.k8s.io), as the Python client and browsers speak it: for the i-th port named in the
 * query channel 2i carries the bytes and channel 2i+1 what went wrong; each begins with the port's number, two bytes, little endian. There
 * is one connection a port, made at once. */
#include "cluster/verbs/podstreams.h"
#include "net/ws.h"

enum { MAX_PORTS = 16, MAX_MESSAGE = 1024 * 1024 };

struct channels;

struct channel {
        struct channels *all;
        int port;
        unsigned char number; /* of the data channel */
        bool dialing, ended;
        struct stream *pod; /* NULL until connected and after its end */
        struct str early;   /* what the client wrote before that */
};

struct channels {
        struct session session;
        struct ws *ws;
        struct object *target;
        struct channel items[MAX_PORTS];
        size_t len;
        unsigned dials; /* under way: the memory stays until they have answered */
        bool ended, paused;
};

static void channels_free(struct channels *c) {
        for (size_t i = 0; i < c->len; i++)
                str_done(&c->items[i].early);
        object_unref(c->target);
        free(c);
}

static void channels_close(struct channels *c) {
        if (c->ended)
                return;
        c->ended = true;
        session_remove(&c->session);
        if (c->ws)
                ws_close(TAKE(c->ws), 1000, SV_NULL);
        for (size_t i = 0; i < c->len; i++)
                if (c->items[i].pod)
                        stream_free(TAKE(c->items[i].pod));
        if (c->dials == 0)
                channels_free(c);
}

static void channels_end(struct session *session) { channels_close((struct channels *)session); }

static void send_on(struct channels *c, unsigned char number, struct sv data) {
        AUTO(str) struct str frame = STR_INIT(0);
        str_append_c(&frame, (char)number);
        str_append_sv(&frame, data);
        ws_send(c->ws, false, str_sv(&frame));
}

static void channel_ended(struct channel *h) {
        struct channels *c = h->all;
        h->ended = true;
        for (size_t i = 0; i < c->len; i++)
                if (!c->items[i].ended)
                        return;
        channels_close(c);
}

static void pause_all(struct channels *c, bool paused) {
        c->paused = paused;
        for (size_t i = 0; i < c->len; i++)
                if (c->items[i].pod)
                        stream_pause(c->items[i].pod, paused);
}

static void pod_data(void *arg, struct sv data) {
        struct channel *h = arg;
        send_on(h->all, h->number, data);
        if (!h->all->paused && ws_pending(h->all->ws) > STREAM_MAX_PENDING)
                pause_all(h->all, true);
}

static void pod_ended(void *arg, const struct err *err) {
        struct channel *h = arg;
        (void)err;
        stream_free(TAKE(h->pod));
        channel_ended(h);
}

static void dialed(void *arg, struct stream *s, const struct err *err) {
        struct channel *h = arg;
        struct channels *c = h->all;

        h->dialing = false;
        c->dials--;
        if (c->ended) {
                if (s)
                        stream_free(s);
                if (c->dials == 0)
                        channels_free(c);
                return;
        }
        if (!s) {
                AUTO(free) char *why =
                        xasprintf("error forwarding port %d to pod %s, uid : %s", h->port, c->target->name, err_message(err));
                send_on(c, (unsigned char)(h->number + 1), sv_of(why));
                channel_ended(h);
                return;
        }
        h->pod = s;
        stream_set_events(s, &(struct stream_events){.on_data = pod_data, .on_end = pod_ended, .arg = h});
        if (h->early.len)
                stream_write(s, str_sv(&h->early));
        str_clear(&h->early);
}

static void on_message(void *arg, bool is_text, struct sv message) {
        struct channels *c = arg;
        struct channel *h;
        (void)is_text;
        if (message.len == 0 || (unsigned char)message.data[0] % 2 || (size_t)((unsigned char)message.data[0] / 2) >= c->len)
                return; /* nobody listens on error channels, or on those of no port */
        h = &c->items[(unsigned char)message.data[0] / 2];
        message = sv_new(message.data + 1, message.len - 1);
        if (h->pod)
                stream_write(h->pod, message);
        else if (h->dialing)
                str_append_sv(&h->early, message);
        if (str_overflowed(&h->early))
                channels_close(c);
}

static void on_close(void *arg, int code, struct sv reason) {
        struct channels *c = arg;
        (void)code, (void)reason;
        ws_free(TAKE(c->ws));
        channels_close(c);
}

static void on_drain(void *arg) {
        struct channels *c = arg;
        if (c->paused)
                pause_all(c, false);
}

static int parse_ports(struct request *q, struct channels *c, struct err *err) {
        AUTO(free) char *text = request_query(q, "ports");
        struct sv rest = sv_of(text ? text : ""), one;
        while (sv_split(&rest, ',', &one)) {
                int64_t port;
                if (!sv_to_int64(one, &port) || port < 1 || port > 65535)
                        return status_bad_request(err, "query parameter `ports`: \"%.*s\" is no port (1 to 65535)", SV_ARG(one));
                if (c->len == MAX_PORTS)
                        return status_bad_request(err, "query parameter `ports`: more than %d ports", MAX_PORTS);
                c->items[c->len] = (struct channel){.all = c, .port = (int)port, .number = (unsigned char)(2 * c->len)};
                c->items[c->len++].early.max = STREAM_MAX_PENDING;
        }
        return c->len ? 0 : status_bad_request(err, "query parameter `ports` is required");
}

int portforward_channels(struct request *q, struct object *pod, struct err *err) {
        struct channels *c = NEW(struct channels);
        int r = parse_ports(q, c, err);

        if (r == 0)
                c->ws = ws_accept(q->x, PORT_CHANNELS_PROTOCOL, MAX_MESSAGE);
        if (r < 0 || !c->ws) {
                channels_free(c);
                return r;
        }
        c->target = object_ref(pod);
        session_add(q->s, &c->session, channels_end);
        ws_set_events(c->ws, &(struct ws_events){.on_message = on_message, .on_close = on_close, .on_drain = on_drain, .arg = c});
        c->dials = (unsigned)c->len;
        for (size_t i = 0; i < c->len; i++) {
                struct channel *h = &c->items[i];
                const char number[2] = {(char)(h->port & 0xff), (char)(h->port >> 8)};
                send_on(c, h->number, sv_new(number, sizeof(number)));
                send_on(c, (unsigned char)(h->number + 1), sv_new(number, sizeof(number)));
                h->dialing = true;
        }
        for (size_t i = 0; i < c->len; i++)
                q->s->backend->dial(q->s->backend->self, c->target, c->items[i].port, dialed, &c->items[i]);
        return 0;
}
