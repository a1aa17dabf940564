#include <arpa/inet.h>
#include <sys/socket.h>

#include "cluster/podrt/relay-internal.h"
#include "net/stream.h"

enum { BACKLOG = 256, HIGH_WATER = 256 * 1024, CONNECT_MS = 10000, TRIES = 3 };

/* ---- targets ---- */

static uint64_t rank(uint32_t client, const struct relay_target *t) {
        uint64_t h = 0xcbf29ce484222325ULL ^ client; /* FNV-1a */
        for (const char *p = t->ip; *p; p++)
                h = (h ^ (unsigned char)*p) * 0x100000001b3ULL;
        h = (h ^ (unsigned)t->port) * 0x100000001b3ULL;
        return h ^ h >> 32;
}

size_t relay_pick(struct relay *r, uint32_t client) {
        size_t best = 0;
        if (!r->is_sticky)
                return r->next++ % r->targets.len;
        for (size_t i = 1; i < r->targets.len; i++)
                if (rank(client, &r->targets.items[i]) > rank(client, &r->targets.items[best]))
                        best = i;
        return best;
}

bool relay_is_inside(const struct podnet_ranges *ranges, const char *ip) {
        uint32_t address = 0;
        return ipv4_parse(ip, &address) && (cidr_contains(ranges->pods, address) || cidr_contains(ranges->services, address));
}

/* ---- a pair of joined streams ---- */

struct joint;
struct side {
        struct joint *joint;
        struct stream *stream;
        struct side *other;
        bool ended, paused; /* paused: the other takes too slowly */
};
struct joint {
        struct side a, b;
};

static void joint_free(struct joint *j) {
        stream_free(j->a.stream);
        stream_free(j->b.stream);
        free(j);
}

static void side_data(void *arg, struct sv data) {
        struct side *s = arg;
        stream_write(s->other->stream, data);
        if (stream_pending(s->other->stream) > HIGH_WATER) {
                s->paused = true;
                stream_pause(s->stream, true);
        }
}

static void side_end(void *arg, const struct err *err) {
        struct side *s = arg;
        s->ended = true;
        if (err || s->other->ended)
                joint_free(s->joint);
        else
                stream_shutdown(s->other->stream);
}

static void side_drain(void *arg) {
        struct side *s = arg;
        if (s->other->paused && !s->other->ended) {
                s->other->paused = false;
                stream_pause(s->other->stream, false);
        }
}

void relay_join(struct stream *a, struct stream *b) {
        struct joint *j = NEW(struct joint);
        j->a = (struct side){.joint = j, .stream = a, .other = &j->b};
        j->b = (struct side){.joint = j, .stream = b, .other = &j->a};
        stream_set_events(a, &(struct stream_events){.on_data = side_data, .on_end = side_end, .on_drain = side_drain, .arg = &j->a});
        stream_set_events(b, &(struct stream_events){.on_data = side_data, .on_end = side_end, .on_drain = side_drain, .arg = &j->b});
}

/* ---- accepting ---- */

/* One accepted connection looking for a target. The relay may go away meanwhile: what is needed is copied. */
struct attempt {
        struct loop *loop;
        int fd;
        struct dialer *dialer;
        struct podnet_ranges ranges;
        VEC(struct relay_target) targets; /* in the order to try */
        size_t at;
};

static void attempt_free(struct attempt *a) {
        if (a->fd >= 0)
                close(a->fd);
        vec_foreach(t, &a->targets) free(t->ip);
        vec_done(&a->targets);
        free(a);
}

static void try_next(struct attempt *a);

static void connected(void *arg, struct stream *s, const struct err *err) {
        struct attempt *a = arg;
        (void)err;
        if (!s) {
                try_next(a);
                return;
        }
        struct stream *client = NULL;
        if (stream_adopt(a->loop, a->fd, &client, NULL) < 0) {
                stream_free(s);
        } else {
                a->fd = -1;
                relay_join(client, s);
        }
        attempt_free(a);
}

static void dialed(void *arg, int fd, const struct err *err) {
        struct attempt *a = arg;
        struct stream *s = NULL;
        if (fd >= 0 && stream_adopt(a->loop, fd, &s, NULL) < 0)
                close(fd);
        connected(a, s, err);
}

static void try_next(struct attempt *a) {
        if (a->at >= a->targets.len || a->at >= TRIES) {
                /* Nobody there: the client sees a reset, as from a service without endpoints. */
                struct linger reset = {.l_onoff = 1};
                setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
                attempt_free(a);
                return;
        }
        const struct relay_target *t = &a->targets.items[a->at++];
        if (relay_is_inside(&a->ranges, t->ip) || !a->dialer)
                stream_connect(a->loop, t->ip, t->port, NULL, CONNECT_MS, connected, a);
        else
                dialer_connect(a->dialer, a->loop, t->ip, t->port, dialed, a);
}

static void on_connection(void *arg) {
        struct relay *r = arg;
        for (int n = 0; n < BACKLOG; n++) {
                struct sockaddr_in from = {0};
                socklen_t len = sizeof from;
                int fd = accept4(r->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0)
                        return;
                struct attempt *a = NEW(struct attempt);
                *a = (struct attempt){.loop = r->loop, .fd = fd, .dialer = r->dialer, .ranges = r->ranges};
                size_t first = r->targets.len ? relay_pick(r, ntohl(from.sin_addr.s_addr)) : 0;
                for (size_t i = 0; i < r->targets.len; i++) {
                        const struct relay_target *t = &r->targets.items[(first + i) % r->targets.len];
                        *vec_push(&a->targets) = (struct relay_target){xstrdup(t->ip), t->port};
                }
                try_next(a);
        }
}

/* ---- life ---- */

int relay_socket(bool is_udp, const char *address, int port) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int one = 1;
        if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
                return -EINVAL;
        AUTO(fd) int fd = socket(AF_INET, (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (!is_udp) {
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
                setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one); /* egress.h listens on the same ports of all other addresses */
        }
        if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || (!is_udp && listen(fd, BACKLOG) < 0))
                return -errno;
        return TAKE_FD(fd);
}

struct relay *relay_new(struct loop *l, bool is_udp, int fd, const struct podnet_ranges *ranges, struct dialer *dialer) {
        struct relay *r = NEW(struct relay);
        *r = (struct relay){.loop = l, .is_udp = is_udp, .fd = fd, .ranges = *ranges, .dialer = dialer};
        if (is_udp)
                relay_udp_start(r);
        else
                r->watch = fdwatch_new(l, r->fd, on_connection, r);
        return r;
}

static void clear_targets(struct relay *r) {
        vec_foreach(t, &r->targets) free(t->ip);
        r->targets.len = 0;
}

void relay_set_targets(struct relay *r, const struct relay_target *targets, size_t count, bool is_sticky) {
        clear_targets(r);
        for (size_t i = 0; i < count; i++)
                *vec_push(&r->targets) = (struct relay_target){xstrdup(targets[i].ip), targets[i].port};
        r->is_sticky = is_sticky;
        if (r->is_udp)
                relay_udp_targets_changed(r);
}

void relay_free(struct relay *r) {
        if (!r)
                return;
        if (r->is_udp)
                relay_udp_end(r);
        fdwatch_free(r->watch);
        close(r->fd);
        clear_targets(r);
        vec_done(&r->targets);
        free(r);
}
