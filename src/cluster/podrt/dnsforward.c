#include "cluster/podrt/dnsforward.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "cluster/podrt/dnsalias.h"
#include "cluster/podrt/dnsserver.h"
#include "cluster/podrt/podnet.h"

enum { PACKET_MAX = 4096, HEADER = 12, ANSWER_MS = 3000, ROUNDS = 2, RESOLVERS_MAX = 3, RCODE_FAILED = 2 };

struct query {
        struct dnsforward *forward;
        struct query *prev, *next;
        struct sockaddr_in from;
        struct str packet;
        struct str asked; /* the client's packet, when `packet` asks for what the name stands for */
        char *alias;
        int tries;
        int fd; /* -1: being made */
        struct fdwatch *watch;
        struct timer *timer;
        bool is_dialing, is_over;
};

struct dnsforward {
        struct loop *loop;
        struct dialer *dialer;
        int fd;
        bool is_fixed;
        struct strv resolvers;
        struct timespec read_at; /* of resolv.conf */
        struct query *queries;
        size_t count;
        bool is_freed;
};

/* "1.2.3.4:53" into its parts. */
static bool split_resolver(const char *text, char ip[IPV4_SIZE], int *port) {
        const char *colon = strchr(text, ':');
        size_t len = colon ? (size_t)(colon - text) : strlen(text);
        int64_t number = 53;
        uint32_t unused;
        if (len >= IPV4_SIZE || (colon && (!sv_to_int64(sv_of(colon + 1), &number) || number < 1 || number > 65535)))
                return false;
        memcpy(ip, text, len);
        ip[len] = '\0';
        *port = (int)number;
        return ipv4_parse(ip, &unused);
}

bool resolver_is_valid(const char *text) {
        char ip[IPV4_SIZE];
        int port;
        return split_resolver(text, ip, &port);
}

static void read_resolv_conf(struct dnsforward *f) {
        AUTO(str) struct str text = STR_INIT(1 << 20);
        struct stat st;
        if (f->is_fixed || stat("/etc/resolv.conf", &st) < 0 ||
            (st.st_mtim.tv_sec == f->read_at.tv_sec && st.st_mtim.tv_nsec == f->read_at.tv_nsec) ||
            fs_read("/etc/resolv.conf", 1 << 20, &text, NULL) < 0)
                return;
        f->read_at = st.st_mtim;
        strv_done(&f->resolvers);
        f->resolvers = (struct strv){0};
        struct sv rest = str_sv(&text), line;
        while (sv_split(&rest, '\n', &line)) {
                line = sv_trim(line);
                if (!sv_starts(line, SV("nameserver")) || f->resolvers.len >= RESOLVERS_MAX)
                        continue;
                AUTO(free) char *address = sv_dup(sv_trim(sv_new(line.data + 10, line.len - 10)));
                if (resolver_is_valid(address) && !strchr(address, ':'))
                        strv_add(&f->resolvers, address);
        }
}

struct dnsforward *dnsforward_new(struct loop *l, struct dialer *dialer, const struct strv *resolvers, int fd) {
        struct dnsforward *f = NEW(struct dnsforward);
        *f = (struct dnsforward){.loop = l, .dialer = dialer, .fd = fd, .is_fixed = resolvers && resolvers->len};
        for (size_t i = 0; f->is_fixed && i < resolvers->len; i++)
                strv_add(&f->resolvers, resolvers->items[i]);
        return f;
}

/* A query that the dialer still works for stays until its answer. */
static void query_over(struct query *q) {
        struct dnsforward *f = q->forward;
        fdwatch_free(TAKE(q->watch));
        timer_free(TAKE(q->timer));
        if (q->fd >= 0)
                close(TAKE_FD(q->fd));
        q->is_over = true;
        if (q->is_dialing)
                return;
        if (q->prev)
                q->prev->next = q->next;
        else
                f->queries = q->next;
        if (q->next)
                q->next->prev = q->prev;
        f->count--;
        str_done(&q->packet);
        str_done(&q->asked);
        free(q->alias);
        free(q);
        if (f->is_freed && !f->count) {
                strv_done(&f->resolvers);
                free(f);
        }
}

void dnsforward_free(struct dnsforward *f) {
        if (!f)
                return;
        f->is_freed = true;
        if (!f->count) {
                strv_done(&f->resolvers);
                free(f);
                return;
        }
        for (struct query *q = f->queries, *next; q; q = next) {
                next = q->next;
                bool was_last = f->count == 1 && !q->is_dialing;
                query_over(q);
                if (was_last)
                        return;
        }
}

static void give_up(struct query *q) {
        struct dns_query parsed;
        struct strv none = {0};
        AUTO(str) struct str answer = STR_INIT(DNS_MAX_PACKET);
        struct sv asked = str_sv(q->alias ? &q->asked : &q->packet);
        if (dns_parse(asked, &parsed)) {
                dns_answer(asked, &parsed, RCODE_FAILED, &none, &answer);
                (void)!sendto(q->forward->fd, answer.data, answer.len, MSG_DONTWAIT, (struct sockaddr *)&q->from, sizeof q->from);
        }
        query_over(q);
}

static void try_next(struct query *q);

static void on_answer(void *arg) {
        struct query *q = arg;
        char data[PACKET_MAX];
        ssize_t n = recv(q->fd, data, sizeof data, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n < 0) { /* refused: nobody is there */
                try_next(q);
                return;
        }
        /* The same number, and an answer. */
        if (n < HEADER || memcmp(data, q->packet.data, 2) != 0 || !(data[2] & 0x80))
                return;
        if (q->alias) {
                struct dns_query parsed;
                AUTO(str) struct str answer = STR_INIT(DNS_MAX_PACKET);
                if (!dns_parse(str_sv(&q->asked), &parsed) ||
                    !dnsalias_translate(str_sv(&q->asked), &parsed, q->alias, sv_new(data, (size_t)n), &answer)) {
                        try_next(q);
                        return;
                }
                (void)!sendto(q->forward->fd, answer.data, answer.len, MSG_DONTWAIT, (struct sockaddr *)&q->from, sizeof q->from);
        } else {
                (void)!sendto(q->forward->fd, data, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&q->from, sizeof q->from);
        }
        query_over(q);
}

static void on_late(void *arg) {
        struct query *q = arg;
        try_next(q);
}

static void on_socket(void *arg, int fd, const struct err *err) {
        struct query *q = arg;
        q->is_dialing = false;
        if (q->is_over || fd < 0) {
                if (fd >= 0)
                        close(fd);
                if (q->is_over)
                        query_over(q);
                else
                        try_next(q);
                return;
        }
        q->fd = fd;
        q->watch = fdwatch_new(q->forward->loop, fd, on_answer, q);
        (void)!send(fd, q->packet.data, q->packet.len, MSG_DONTWAIT);
}

static void try_next(struct query *q) {
        struct dnsforward *f = q->forward;
        char ip[IPV4_SIZE];
        int port;
        fdwatch_free(TAKE(q->watch));
        timer_free(TAKE(q->timer));
        if (q->fd >= 0)
                close(TAKE_FD(q->fd));
        if (q->is_dialing)
                return;
        if (!f->resolvers.len || q->tries >= ROUNDS * (int)f->resolvers.len ||
            !split_resolver(f->resolvers.items[(size_t)q->tries++ % f->resolvers.len], ip, &port)) {
                give_up(q);
                return;
        }
        q->timer = timer_new(f->loop, ANSWER_MS, 0, on_late, q);
        q->is_dialing = true;
        dialer_udp(f->dialer, f->loop, ip, port, on_socket, q);
}

/* NULL: too much is under way, or there is nobody to ask. */
static struct query *query_new(struct dnsforward *f, struct sv packet, const struct sockaddr_in *from) {
        if (f->count >= DNSFORWARD_MAX || packet.len > PACKET_MAX)
                return NULL;
        read_resolv_conf(f);
        if (!f->resolvers.len)
                return NULL;
        struct query *q = NEW(struct query);
        *q = (struct query){.forward = f, .from = *from, .fd = -1, .next = f->queries};
        str_append_sv(&q->packet, packet);
        if (f->queries)
                f->queries->prev = q;
        f->queries = q;
        f->count++;
        return q;
}

bool dnsforward_ask(struct dnsforward *f, struct sv packet, const struct sockaddr_in *from) {
        struct query *q = query_new(f, packet, from);
        if (q)
                try_next(q);
        return q != NULL;
}

bool dnsforward_ask_alias(struct dnsforward *f, struct sv packet, const char *name, const struct sockaddr_in *from) {
        struct dns_query parsed;
        AUTO(str) struct str other = STR_INIT(DNS_MAX_PACKET);
        if (!dns_parse(packet, &parsed) || !dnsalias_query(&parsed, name, &other))
                return false;
        struct query *q = query_new(f, str_sv(&other), from);
        if (!q)
                return false;
        str_append_sv(&q->asked, packet);
        q->alias = xstrdup(name);
        try_next(q);
        return true;
}
