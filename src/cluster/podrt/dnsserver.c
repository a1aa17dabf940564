#include "cluster/podrt/dnsserver.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "cluster/podrt/dnsalias.h"
#include "cluster/podrt/dnsforward.h"

enum { HEADER = 12, TTL_S = 5, CLASS_IN = 1, RCODE_NAME = 3, RCODE_REFUSED = 5, PACKETS_AT_ONCE = 64 };

struct dnsserver {
        int fd;
        struct dnsforward *forward; /* NULL: names outside are refused */
        struct fdwatch *watch;
        dnsserver_resolve *resolve;
        void *arg;
};

static unsigned u16(const unsigned char *p) { return (unsigned)p[0] << 8 | p[1]; }

bool dns_parse(struct sv packet, struct dns_query *ret) {
        const unsigned char *p = (const unsigned char *)packet.data;
        struct dns_query q = {0};
        size_t at = HEADER, out = 0;
        if (packet.len < HEADER || u16(p + 4) != 1 || (p[2] & 0x80))
                return false;
        q.id = (uint16_t)u16(p);
        q.flags = (uint16_t)u16(p + 2);
        for (;;) {
                if (at >= packet.len)
                        return false;
                size_t len = p[at++];
                if (len == 0)
                        break;
                /* No compression in a question. */
                if (len > 63 || at + len > packet.len || out + len + 1 >= sizeof q.name)
                        return false;
                if (out)
                        q.name[out++] = '.';
                for (size_t i = 0; i < len; i++) {
                        if (p[at + i] <= ' ' || p[at + i] == '.')
                                return false;
                        q.name[out++] = (char)p[at + i];
                }
                at += len;
        }
        if (at + 4 > packet.len || u16(p + at + 2) != CLASS_IN)
                return false;
        q.type = (uint16_t)u16(p + at);
        q.question_len = at + 4 - HEADER;
        *ret = q;
        return true;
}

static void put16(struct str *s, unsigned v) {
        char b[2] = {(char)(v >> 8), (char)v};
        str_append(s, b, 2);
}

void dns_answer(struct sv packet, const struct dns_query *q, int rcode, const struct strv *addresses, struct str *ret) {
        size_t count = q->type == DNS_A && rcode == 0 ? addresses->len : 0, room = (DNS_MAX_PACKET - HEADER - q->question_len) / 16;
        if (count > room)
                count = room;
        put16(ret, q->id);
        put16(ret, 0x8400 | (q->flags & 0x0100) | 0x0080 | (unsigned)rcode); /* answer, authoritative, recursion as asked */
        put16(ret, 1);
        put16(ret, (unsigned)count);
        put16(ret, 0);
        put16(ret, 0);
        str_append(ret, packet.data + HEADER, q->question_len);
        for (size_t i = 0; i < count; i++) {
                unsigned char ip[4] = {0};
                inet_pton(AF_INET, addresses->items[i], ip);
                put16(ret, 0xc000 | HEADER); /* the name of the question */
                put16(ret, DNS_A);
                put16(ret, CLASS_IN);
                put16(ret, 0);
                put16(ret, TTL_S);
                put16(ret, 4);
                str_append(ret, ip, 4);
        }
}

/* The name stands for another: inside, or one that the host's resolvers know. False: theirs is the answer. */
static bool answer_alias(struct dnsserver *s, struct sv packet, const struct dns_query *q, char *alias, const struct sockaddr_in *from,
                         struct str *ret) {
        AUTO(strv) struct strv addresses = {0};
        AUTO(free) char *further = NULL;
        size_t len = strlen(alias);
        if (len && alias[len - 1] == '.')
                alias[len - 1] = '\0';
        bool is_inside = s->resolve(s->arg, alias, &addresses, &further); /* one that stands for yet another is the client's to ask for */
        if (!is_inside && s->forward && dnsforward_ask_alias(s->forward, packet, alias, from))
                return false;
        if (!dnsalias_answer(packet, q, alias, &addresses, ret)) {
                str_clear(ret);
                dns_answer(packet, q, RCODE_NAME, &addresses, ret);
        }
        return true;
}

static void on_packet(void *arg) {
        struct dnsserver *s = arg;
        for (int n = 0; n < PACKETS_AT_ONCE; n++) {
                char data[DNS_MAX_PACKET * 2];
                struct sockaddr_in from;
                socklen_t from_len = sizeof from;
                ssize_t len = recvfrom(s->fd, data, sizeof data, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
                if (len < 0)
                        return;
                struct dns_query q;
                struct sv packet = sv_new(data, (size_t)len);
                if (!dns_parse(packet, &q))
                        continue;
                AUTO(strv) struct strv addresses = {0};
                AUTO(str) struct str answer = STR_INIT(DNS_MAX_PACKET);
                AUTO(free) char *alias = NULL;
                bool known = s->resolve(s->arg, q.name, &addresses, &alias);
                bool ours = str_ends(q.name, ".cluster.local");
                if (alias) {
                        if (answer_alias(s, packet, &q, alias, &from, &answer))
                                (void)!sendto(s->fd, answer.data, answer.len, MSG_DONTWAIT, (struct sockaddr *)&from, from_len);
                        continue;
                }
                if (!known && !ours && s->forward && dnsforward_ask(s->forward, packet, &from))
                        continue;
                dns_answer(packet, &q, known ? 0 : ours ? RCODE_NAME : RCODE_REFUSED, &addresses, &answer);
                (void)!sendto(s->fd, answer.data, answer.len, MSG_DONTWAIT, (struct sockaddr *)&from, from_len);
        }
}

struct dnsserver *dnsserver_new(struct loop *l, const char *address, struct dialer *dialer, const struct strv *resolvers,
                                dnsserver_resolve *resolve, void *arg) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(53)};
        if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
                return NULL;
        AUTO(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
                return NULL;
        struct dnsserver *s = NEW(struct dnsserver);
        *s = (struct dnsserver){.fd = TAKE_FD(fd), .resolve = resolve, .arg = arg};
        s->watch = fdwatch_new(l, s->fd, on_packet, s);
        if (dialer)
                s->forward = dnsforward_new(l, dialer, resolvers, s->fd);
        return s;
}

void dnsserver_free(struct dnsserver *s) {
        if (!s)
                return;
        dnsforward_free(s->forward);
        fdwatch_free(s->watch);
        close(s->fd);
        free(s);
}
