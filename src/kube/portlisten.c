#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kube/portforward.h"
#include "net/stream.h"

enum { BACKLOG = 64, MAX_RELAYS = 256, MAX_EARLY = 1024 * 1024, MAX_PENDING = 1024 * 1024 };

struct relay {
        struct portlisten *owner;
        struct stream *local;
        struct portforward_conn *remote; /* NULL: waiting for a session */
        struct str early;                /* what came before there was one */
        bool local_ended, remote_ended;
};

struct portlisten {
        struct loop *loop;
        int fd;
        struct fdwatch *watch;
        struct portforward *forward;
        int pod_port;
        VEC(struct relay *) relays;
        void (*on_error)(void *arg, const struct err *err);
        void *arg;
};

static void relay_free(struct relay *r) {
        struct portlisten *p = r->owner;
        for (size_t i = 0; i < p->relays.len; i++) {
                if (p->relays.items[i] == r) {
                        vec_remove(&p->relays, i);
                        break;
                }
        }
        portforward_close(r->remote);
        stream_free(r->local);
        str_done(&r->early);
        free(r);
}

static void on_remote_data(void *arg, struct sv data) {
        struct relay *r = arg;
        stream_write(r->local, data);
        if (stream_pending(r->local) > MAX_PENDING)
                portforward_pause(r->remote, true);
}

static void on_remote_drain(void *arg) {
        struct relay *r = arg;
        if (portforward_pending(r->remote) < MAX_PENDING)
                stream_pause(r->local, false);
}

static void on_remote_end(void *arg) {
        struct relay *r = arg;
        r->remote_ended = true;
        stream_shutdown(r->local);
        if (r->local_ended)
                relay_free(r);
}

static void on_remote_error(void *arg, const struct err *err) {
        struct relay *r = arg;
        struct portlisten *p = r->owner;
        if (p->on_error)
                p->on_error(p->arg, err);
        relay_free(r);
}

/* False: the relay is gone. */
static bool connect_relay(struct relay *r) {
        struct portlisten *p = r->owner;
        r->remote = portforward_open(p->forward, p->pod_port,
                                     &(struct portforward_events){.on_data = on_remote_data,
                                                                  .on_end = on_remote_end,
                                                                  .on_error = on_remote_error,
                                                                  .on_drain = on_remote_drain,
                                                                  .arg = r});
        if (!r->remote) {
                relay_free(r);
                return false;
        }
        if (r->early.len > 0)
                portforward_write(r->remote, str_sv(&r->early));
        str_done(&r->early);
        if (r->local_ended)
                portforward_finish(r->remote);
        return true;
}

static void on_local_data(void *arg, struct sv data) {
        struct relay *r = arg;
        if (r->remote) {
                portforward_write(r->remote, data);
                if (portforward_pending(r->remote) > MAX_PENDING)
                        stream_pause(r->local, true);
                return;
        }
        str_append_sv(&r->early, data);
        if (str_overflowed(&r->early)) /* a client that writes so much without an answer finds none */
                relay_free(r);
}

static void on_local_drain(void *arg) {
        struct relay *r = arg;
        if (r->remote)
                portforward_pause(r->remote, false);
}

static void on_local_end(void *arg, const struct err *err) {
        struct relay *r = arg;
        r->local_ended = true;
        if (err || r->remote_ended) {
                relay_free(r);
                return;
        }
        if (r->remote) /* else what it said waits for a session */
                portforward_finish(r->remote);
}

static void on_connection(void *arg) {
        struct portlisten *p = arg;
        int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return;
        if (p->relays.len >= MAX_RELAYS) {
                close(fd);
                return;
        }
        struct stream *local;
        AUTO(err) struct err err = ERR_INIT;
        if (stream_adopt(p->loop, fd, &local, &err) < 0) {
                close(fd);
                if (p->on_error)
                        p->on_error(p->arg, &err);
                return;
        }
        struct relay *r = NEW(struct relay);
        r->owner = p;
        r->early = STR_INIT(MAX_EARLY);
        r->local = local;
        *vec_push(&p->relays) = r;
        if (p->forward && !connect_relay(r))
                return;
        stream_set_events(r->local,
                          &(struct stream_events){.on_data = on_local_data, .on_end = on_local_end, .on_drain = on_local_drain, .arg = r});
}

int portlisten_new(struct loop *l, const char *address, int port, struct portlisten **ret, int *ret_port, struct err *err) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
                return err_set(err, -EINVAL, "%s is not an IPv4 address", address);
        AUTO(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int one = 1;
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
                return err_errno(err, -errno, "making a socket");
        if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, BACKLOG) < 0)
                return err_errno(err, -errno, "listening on %s port %d", address, port);
        socklen_t len = sizeof at;
        if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
                return err_errno(err, -errno, "asking for the port");
        struct portlisten *p = NEW(struct portlisten);
        p->loop = l;
        p->fd = TAKE_FD(fd);
        p->watch = fdwatch_new(l, p->fd, on_connection, p);
        *ret = p;
        *ret_port = ntohs(at.sin_port);
        return 0;
}

void portlisten_set(struct portlisten *p, struct portforward *f, int pod_port) {
        p->forward = f;
        p->pod_port = pod_port;
        if (!f)
                return;
        for (size_t i = p->relays.len; i-- > 0;) {
                if (!p->relays.items[i]->remote)
                        (void)connect_relay(p->relays.items[i]);
        }
}

void portlisten_on_error(struct portlisten *p, void (*fn)(void *arg, const struct err *err), void *arg) {
        p->on_error = fn;
        p->arg = arg;
}

void portlisten_free(struct portlisten *p) {
        if (!p)
                return;
        while (p->relays.len > 0)
                relay_free(p->relays.items[p->relays.len - 1]);
        vec_done(&p->relays);
        fdwatch_free(p->watch);
        close(p->fd);
        free(p);
}
