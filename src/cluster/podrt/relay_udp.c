/* UDP: what one client sends from one port is a session with one target, which has a socket of its own; answers go back from the relay's
 * address. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "cluster/podrt/relay-internal.h"

enum { PACKETS_AT_ONCE = 64, SWEEP_MS = 10000, QUEUE_MAX = 8 };

struct session {
        struct relay *relay;
        char *key;
        struct sockaddr_in client;
        struct relay_target target;
        int fd; /* connected with the target; -1: being made */
        struct fdwatch *watch;
        int64_t used_ms;
        bool is_dialing, is_over;
        VEC(struct str) queue; /* what came while the socket was made */
};

/* One that the dialer still works for stays until its answer. */
static void session_free(void *arg) {
        struct session *s = arg;
        fdwatch_free(TAKE(s->watch));
        if (s->fd >= 0)
                close(TAKE_FD(s->fd));
        s->is_over = true;
        if (s->is_dialing)
                return;
        vec_foreach(q, &s->queue) str_done(q);
        vec_done(&s->queue);
        free(s->target.ip);
        free(s->key);
        free(s);
}

static void on_answer(void *arg) {
        struct session *s = arg;
        char *buffer = loop_scratch(s->relay->loop);
        for (int n = 0; n < PACKETS_AT_ONCE; n++) {
                ssize_t len = recv(s->fd, buffer, LOOP_SCRATCH, MSG_DONTWAIT);
                if (len < 0)
                        return; /* refused, perhaps: the client is not told, as behind a real cluster address */
                s->used_ms = clock_mono_ms();
                (void)!sendto(s->relay->fd, buffer, (size_t)len, MSG_DONTWAIT, (struct sockaddr *)&s->client, sizeof s->client);
        }
}

static void opened(struct session *s, int fd) {
        s->fd = fd;
        s->watch = fdwatch_new(s->relay->loop, fd, on_answer, s);
        vec_foreach(q, &s->queue) {
                (void)!send(fd, str_cstr(q), q->len, MSG_DONTWAIT);
                str_done(q);
        }
        s->queue.len = 0;
}

static void dialed(void *arg, int fd, const struct err *err) {
        struct session *s = arg;
        s->is_dialing = false;
        if (s->is_over) {
                if (fd >= 0)
                        close(fd);
                session_free(s);
        } else if (fd < 0) {
                map_remove(&s->relay->sessions, s->key);
        } else {
                opened(s, fd);
        }
}

static int connect_inside(const struct relay_target *t) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)t->port)};
        AUTO(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || inet_pton(AF_INET, t->ip, &a.sin_addr) != 1 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
                return -1;
        return TAKE_FD(fd);
}

static void drop_idlest(struct relay *r) {
        const struct session *idlest = NULL;
        map_foreach(e, &r->sessions) {
                const struct session *s = e->value;
                if (!idlest || s->used_ms < idlest->used_ms)
                        idlest = s;
        }
        AUTO(free) char *key = xstrdup_null(idlest ? idlest->key : NULL);
        if (key)
                map_remove(&r->sessions, key);
}

static void on_sweep(void *arg) {
        struct relay *r = arg;
        int64_t now_ms = clock_mono_ms();
        map_foreach(e, &r->sessions) {
                const struct session *s = e->value;
                if (!s->is_dialing && now_ms - s->used_ms > RELAY_IDLE_MS)
                        map_remove(&r->sessions, e->key);
        }
        if (!r->sessions.len)
                timer_free(TAKE(r->sweep));
}

static struct session *session_new(struct relay *r, const char *key, const struct sockaddr_in *client) {
        const struct relay_target *t = &r->targets.items[relay_pick(r, ntohl(client->sin_addr.s_addr))];
        bool is_near = relay_is_inside(&r->ranges, t->ip) || !r->dialer;
        int fd = is_near ? connect_inside(t) : -1;
        if (is_near && fd < 0)
                return NULL;
        if (r->sessions.len >= RELAY_MAX_SESSIONS)
                drop_idlest(r);
        struct session *s = NEW(struct session);
        *s = (struct session){
                .relay = r, .key = xstrdup(key), .client = *client, .target = {xstrdup(t->ip), t->port}, .fd = -1, .is_dialing = !is_near};
        map_set(&r->sessions, key, s);
        if (!r->sweep)
                r->sweep = timer_new(r->loop, SWEEP_MS, SWEEP_MS, on_sweep, r);
        if (is_near)
                opened(s, fd);
        else
                dialer_udp(r->dialer, r->loop, t->ip, t->port, dialed, s);
        return s;
}

static void on_packet(void *arg) {
        struct relay *r = arg;
        char *buffer = loop_scratch(r->loop);
        for (int n = 0; n < PACKETS_AT_ONCE; n++) {
                struct sockaddr_in from = {0};
                socklen_t from_len = sizeof from;
                char key[32], ip[IPV4_SIZE];
                ssize_t len = recvfrom(r->fd, buffer, LOOP_SCRATCH, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
                if (len < 0)
                        return;
                ipv4_format(ntohl(from.sin_addr.s_addr), ip);
                snprintf(key, sizeof key, "%s:%d", ip, ntohs(from.sin_port));
                struct session *s = map_get(&r->sessions, key);
                if (!s && (!r->targets.len || !(s = session_new(r, key, &from))))
                        continue;
                s->used_ms = clock_mono_ms();
                if (s->fd >= 0)
                        (void)!send(s->fd, buffer, (size_t)len, MSG_DONTWAIT);
                else if (s->queue.len < QUEUE_MAX)
                        str_append(vec_push(&s->queue), buffer, (size_t)len);
        }
}

void relay_udp_start(struct relay *r) {
        r->sessions = MAP_INIT(session_free);
        r->watch = fdwatch_new(r->loop, r->fd, on_packet, r);
}

/* A client must not go on talking to a pod that is gone. */
void relay_udp_targets_changed(struct relay *r) {
        map_foreach(e, &r->sessions) {
                const struct session *s = e->value;
                bool is_there = false;
                vec_foreach(t, &r->targets) is_there |= t->port == s->target.port && streq(t->ip, s->target.ip);
                if (!is_there)
                        map_remove(&r->sessions, e->key);
        }
}

void relay_udp_end(struct relay *r) {
        map_done(&r->sessions);
        timer_free(TAKE(r->sweep));
}
