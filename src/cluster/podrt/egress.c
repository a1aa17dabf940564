#include "cluster/podrt/egress.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/map.h"
#include "cluster/podrt/netlink.h"
#include "cluster/podrt/relay.h"
#include "net/stream.h"

enum {
        TABLE = 2952,
        PRIORITY = 1000,
        BACKLOG = 64,
        PACKETS_AT_ONCE = 64,
        PACKET_MAX = 65536,
        FLOW_IDLE_MS = 60000,
        SWEEP_MS = 10000,
        QUEUE_MAX = 8
};

struct port {
        struct egress *egress;
        int number, fd;
        struct fdwatch *watch;
};

struct flow {
        struct egress *egress;
        char *key;
        int outside, inside;
        struct fdwatch *watch;
        int64_t used_ms;
        bool is_dialing;
        VEC(struct str) queue; /* what came while the socket was made */
};

struct egress {
        struct loop *loop;
        struct dialer *dialer;
        struct podnet_ranges ranges;
        int packets, raw;
        struct nl nl;
        struct fdwatch *watch;
        struct timer *sweep;
        struct map ports; /* number -> struct port */
        struct map flows; /* "POD:PORT DST:PORT" -> struct flow */
        unsigned dials;
        bool is_freed;
        char *buffer;
};

/* ---- routing ---- */

static int rule(struct nl *nl, int type, const char *from, int port, struct err *err) {
        struct nlmsg m;
        struct fib_rule_hdr body = {.family = AF_INET, .action = FR_ACT_TO_TBL};
        nlmsg_begin(&m, type, type == RTM_NEWRULE ? NLM_F_CREATE : 0, &body, sizeof body);
        nlmsg_attr_u32(&m, FRA_TABLE, TABLE);
        nlmsg_attr_u32(&m, FRA_PRIORITY, PRIORITY);
        if (from) {
                const struct fib_rule_port_range range = {(uint16_t)port, (uint16_t)port};
                const uint8_t protocol = IPPROTO_TCP;
                nlmsg_attr_str(&m, FRA_IIFNAME, from);
                nlmsg_attr(&m, FRA_IP_PROTO, &protocol, sizeof protocol);
                nlmsg_attr(&m, FRA_DPORT_RANGE, &range, sizeof range);
        }
        return nl_request(nl, &m, err);
}

static int route(struct nl *nl, int type, uint32_t network, int prefix, struct err *err) {
        int lo = 0;
        int r = nl_link_index(nl, "lo", &lo, err);
        struct nlmsg m;
        struct rtmsg body = {.rtm_family = AF_INET,
                             .rtm_dst_len = (uint8_t)prefix,
                             .rtm_table = RT_TABLE_UNSPEC,
                             .rtm_protocol = RTPROT_STATIC,
                             .rtm_scope = type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
                             .rtm_type = (uint8_t)type};
        if (r < 0)
                return r;
        network = htonl(network);
        nlmsg_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body);
        nlmsg_attr_u32(&m, RTA_TABLE, TABLE);
        if (prefix)
                nlmsg_attr(&m, RTA_DST, &network, sizeof network);
        if (type == RTN_LOCAL)
                nlmsg_attr_u32(&m, RTA_OIF, (uint32_t)lo);
        return nl_request(nl, &m, err);
}

static int set_routes(struct egress *e, struct err *err) {
        while (rule(&e->nl, RTM_DELRULE, NULL, 0, NULL) == 0)
                ; /* of an earlier server */
        int r = route(&e->nl, RTN_LOCAL, 0, 0, err);
        /* Answers to pods and calls of services look further. */
        if (r == 0)
                r = route(&e->nl, RTN_THROW, e->ranges.pods.network, e->ranges.pods.prefix, err);
        if (r == 0)
                r = route(&e->nl, RTN_THROW, e->ranges.services.network, e->ranges.services.prefix, err);
        return r < 0 ? err_wrap(err, r, "routes for the pods' way out") : 0;
}

/* ---- TCP ---- */

struct out {
        struct egress *egress;
        int fd;
};

static void egress_unref(struct egress *e);

static void reset(int fd) {
        struct linger now = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
}

static void on_dialed(void *arg, int fd, const struct err *err) {
        struct out *o = arg;
        struct egress *e = o->egress;
        struct stream *inside = NULL, *outside = NULL;
        e->dials--;
        if (fd < 0 || e->is_freed) {
                reset(o->fd);
                if (fd >= 0)
                        close(fd);
        } else if (stream_adopt(e->loop, fd, &outside, NULL) < 0) {
                close(fd);
                reset(o->fd);
        } else if (stream_adopt(e->loop, o->fd, &inside, NULL) < 0) {
                stream_free(outside);
                reset(o->fd);
        } else {
                relay_join(inside, outside);
        }
        free(o);
        egress_unref(e);
}

static void on_connection(void *arg) {
        struct port *p = arg;
        struct egress *e = p->egress;
        for (int n = 0; n < BACKLOG; n++) {
                struct sockaddr_in to = {0};
                socklen_t len = sizeof to;
                int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0)
                        return;
                char ip[IPV4_SIZE];
                if (e->dials >= EGRESS_MAX_DIALS || getsockname(fd, (struct sockaddr *)&to, &len) < 0) {
                        reset(fd);
                        continue;
                }
                struct out *o = NEW(struct out);
                *o = (struct out){.egress = e, .fd = fd};
                e->dials++;
                ipv4_format(ntohl(to.sin_addr.s_addr), ip);
                dialer_connect(e->dialer, e->loop, ip, ntohs(to.sin_port), on_dialed, o);
        }
}

static int transparent_socket(int type, uint32_t address, int port) {
        int one = 1;
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = address};
        AUTO(fd) int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof one) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
            /* Beside the relays of services, which have addresses of their own. */
            setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static void port_free(void *arg) {
        struct port *p = arg;
        fdwatch_free(p->watch);
        close(p->fd);
        free(p);
}

static bool add_port(struct egress *e, int number) {
        if (e->ports.len >= EGRESS_MAX_PORTS)
                return false;
        AUTO(fd) int fd = transparent_socket(SOCK_STREAM, htonl(INADDR_ANY), number);
        if (fd < 0 || listen(fd, BACKLOG) < 0 || rule(&e->nl, RTM_NEWRULE, PODNET_BRIDGE, number, NULL) < 0 ||
            rule(&e->nl, RTM_NEWRULE, "lo", number, NULL) < 0)
                return false;
        struct port *p = NEW(struct port);
        *p = (struct port){.egress = e, .number = number, .fd = TAKE_FD(fd)};
        p->watch = fdwatch_new(e->loop, p->fd, on_connection, p);
        AUTO(free) char *key = xasprintf("%d", number);
        map_set(&e->ports, key, p);
        return true;
}

static uint32_t sum_words(uint32_t sum, const unsigned char *p, size_t len) {
        for (size_t i = 0; i + 1 < len; i += 2)
                sum += (uint32_t)p[i] << 8 | p[i + 1];
        return len % 2 ? sum + ((uint32_t)p[len - 1] << 8) : sum;
}

/* The kernel leaves checksums between its own devices to be done later; this packet comes from elsewhere now. */
static void set_tcp_checksum(unsigned char *packet, size_t header, size_t len) {
        unsigned char *tcp = packet + header;
        size_t tcp_len = len - header;
        tcp[16] = tcp[17] = 0;
        uint32_t sum = sum_words(IPPROTO_TCP + (uint32_t)tcp_len, packet + 12, 8);
        sum = sum_words(sum, tcp, tcp_len);
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        sum = ~sum & 0xffff;
        tcp[16] = (unsigned char)(sum >> 8);
        tcp[17] = (unsigned char)sum;
}

static void on_syn(struct egress *e, unsigned char *packet, size_t header, size_t len, uint32_t to) {
        int number = packet[header + 2] << 8 | packet[header + 3];
        char key[8];
        snprintf(key, sizeof key, "%d", number);
        if (!number || map_has(&e->ports, key) || !add_port(e, number))
                return;
        /* The kernel dropped this one: there was no rule yet. */
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(to)};
        set_tcp_checksum(packet, header, len);
        (void)!sendto(e->raw, packet, len, MSG_DONTWAIT, (struct sockaddr *)&a, sizeof a);
}

/* ---- UDP ---- */

static void flow_free(void *arg) {
        struct flow *f = arg;
        fdwatch_free(f->watch);
        if (f->outside >= 0)
                close(f->outside);
        if (f->inside >= 0)
                close(f->inside);
        vec_foreach(s, &f->queue) str_done(s);
        vec_done(&f->queue);
        free(f->key);
        free(f);
}

static void on_reply(void *arg) {
        struct flow *f = arg;
        struct egress *e = f->egress;
        for (int n = 0; n < PACKETS_AT_ONCE; n++) {
                ssize_t len = recv(f->outside, e->buffer, PACKET_MAX, MSG_DONTWAIT);
                if (len < 0)
                        return; /* refused outside: as silent as on a real network with a filter */
                f->used_ms = clock_mono_ms();
                (void)!send(f->inside, e->buffer, (size_t)len, MSG_DONTWAIT);
        }
}

static void on_udp_ready(void *arg, int fd, const struct err *err) {
        struct flow *f = arg;
        struct egress *e = f->egress;
        f->is_dialing = false;
        e->dials--;
        if (fd < 0 || e->is_freed) {
                if (fd >= 0)
                        close(fd);
                if (e->is_freed)
                        flow_free(f);
                else
                        map_remove(&e->flows, f->key);
                egress_unref(e);
                return;
        }
        f->outside = fd;
        f->watch = fdwatch_new(e->loop, fd, on_reply, f);
        vec_foreach(s, &f->queue) {
                (void)!send(fd, str_cstr(s), s->len, MSG_DONTWAIT);
                str_done(s);
        }
        f->queue.len = 0;
}

static struct flow *flow_new(struct egress *e, const char *key, uint32_t from, int from_port, uint32_t to, int to_port) {
        struct sockaddr_in pod = {.sin_family = AF_INET, .sin_port = htons((uint16_t)from_port), .sin_addr.s_addr = htonl(from)};
        char ip[IPV4_SIZE];
        if (e->flows.len >= EGRESS_MAX_FLOWS || e->dials >= EGRESS_MAX_DIALS)
                return NULL;
        AUTO(fd) int inside = transparent_socket(SOCK_DGRAM, htonl(to), to_port);
        if (inside < 0 || connect(inside, (struct sockaddr *)&pod, sizeof pod) < 0)
                return NULL;
        struct flow *f = NEW(struct flow);
        *f = (struct flow){.egress = e, .key = xstrdup(key), .outside = -1, .inside = TAKE_FD(inside), .is_dialing = true};
        map_set(&e->flows, key, f);
        e->dials++;
        ipv4_format(to, ip);
        dialer_udp(e->dialer, e->loop, ip, to_port, on_udp_ready, f);
        return f;
}

static void on_datagram(struct egress *e, const unsigned char *packet, size_t header, size_t len, uint32_t from, uint32_t to) {
        const unsigned char *udp = packet + header;
        int from_port = udp[0] << 8 | udp[1], to_port = udp[2] << 8 | udp[3];
        size_t udp_len = (size_t)udp[4] << 8 | udp[5];
        char key[64];
        if (udp_len < 8 || udp_len > len - header || !to_port)
                return;
        snprintf(key, sizeof key, "%x:%d %x:%d", from, from_port, to, to_port);
        struct flow *f = map_get(&e->flows, key);
        if (!f && !(f = flow_new(e, key, from, from_port, to, to_port)))
                return;
        f->used_ms = clock_mono_ms();
        if (f->outside >= 0) {
                (void)!send(f->outside, udp + 8, udp_len - 8, MSG_DONTWAIT);
        } else if (f->queue.len < QUEUE_MAX) {
                struct str *s = vec_push(&f->queue);
                str_append(s, udp + 8, udp_len - 8);
        }
}

static void on_sweep(void *arg) {
        struct egress *e = arg;
        int64_t now = clock_mono_ms();
        map_foreach(x, &e->flows) {
                const struct flow *f = x->value;
                if (!f->is_dialing && now - f->used_ms > FLOW_IDLE_MS)
                        map_remove(&e->flows, x->key);
        }
}

/* ---- packets ---- */

static bool is_outside(const struct egress *e, uint32_t a) {
        unsigned first = a >> 24;
        return first != 0 && first != 127 && first < 224 && !cidr_contains(e->ranges.pods, a) && !cidr_contains(e->ranges.services, a);
}

static void on_packet(void *arg) {
        struct egress *e = arg;
        for (int n = 0; n < PACKETS_AT_ONCE; n++) {
                unsigned char *p = (unsigned char *)e->buffer;
                ssize_t got = recv(e->packets, p, PACKET_MAX, MSG_DONTWAIT);
                if (got < 0)
                        return;
                size_t header = (size_t)(p[0] & 15) * 4, len = (size_t)p[2] << 8 | p[3];
                if (got < 28 || p[0] >> 4 != 4 || header < 20 || len > (size_t)got || len < header + 8 || ((p[6] & 0x3f) | p[7]))
                        continue; /* damaged, or a fragment */
                uint32_t from = (uint32_t)p[12] << 24 | (uint32_t)p[13] << 16 | (uint32_t)p[14] << 8 | p[15];
                uint32_t to = (uint32_t)p[16] << 24 | (uint32_t)p[17] << 16 | (uint32_t)p[18] << 8 | p[19];
                if (!cidr_contains(e->ranges.pods, from) || !is_outside(e, to))
                        continue;
                if (p[9] == IPPROTO_UDP)
                        on_datagram(e, p, header, len, from, to);
                else if (p[9] == IPPROTO_TCP && len >= header + 20)
                        on_syn(e, p, header, len, to);
        }
}

/* Only what comes from pods, and of TCP only what begins a connection. */
static int set_filter(int fd) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 7),
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 6, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 4),
                BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
                BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
                BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, 0),
                BPF_STMT(BPF_RET | BPF_K, PACKET_MAX),
        };
        struct sock_fprog program = {ARRAY_LEN(code), code};
        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

static int open_sockets(struct egress *e, struct err *err) {
        int index = 0, r = nl_link_index(&e->nl, PODNET_BRIDGE, &index, err);
        if (r < 0)
                return r;
        /* Protocol 0 until the filter is there: nothing arrives before. */
        e->packets = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        e->raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
        struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = index};
        if (e->packets < 0 || e->raw < 0 || set_filter(e->packets) < 0 || bind(e->packets, (struct sockaddr *)&a, sizeof a) < 0)
                return err_errno(err, -errno, "sockets for the pods' way out");
        return 0;
}

static void egress_unref(struct egress *e) {
        if (e->is_freed && !e->dials)
                free(e);
}

void egress_free(struct egress *e) {
        if (!e)
                return;
        timer_free(e->sweep);
        fdwatch_free(e->watch);
        if (e->packets >= 0)
                close(e->packets);
        if (e->raw >= 0)
                close(e->raw);
        if (e->nl.fd >= 0) {
                while (rule(&e->nl, RTM_DELRULE, NULL, 0, NULL) == 0)
                        ;
                nl_close(&e->nl);
        }
        map_done(&e->ports);
        map_foreach(x, &e->flows) {
                struct flow *f = x->value;
                if (!f->is_dialing)
                        flow_free(f); /* else the dialer's answer does it */
        }
        e->flows.free_value = NULL;
        map_done(&e->flows);
        free(e->buffer);
        e->is_freed = true;
        egress_unref(e);
}

int egress_new(struct loop *l, struct dialer *dialer, const struct podnet_ranges *ranges, struct egress **ret, struct err *err) {
        struct egress *e = NEW(struct egress);
        *e = (struct egress){.loop = l,
                             .dialer = dialer,
                             .ranges = *ranges,
                             .packets = -1,
                             .raw = -1,
                             .nl = {.fd = -1},
                             .ports = MAP_INIT(port_free),
                             .flows = MAP_INIT(flow_free),
                             .buffer = xmalloc(PACKET_MAX)};
        int r = nl_open(&e->nl, err);
        if (r == 0)
                r = set_routes(e, err);
        if (r == 0)
                r = open_sockets(e, err);
        if (r < 0) {
                egress_free(e);
                return r;
        }
        e->watch = fdwatch_new(l, e->packets, on_packet, e);
        e->sweep = timer_new(l, SWEEP_MS, SWEEP_MS, on_sweep, e);
        *ret = e;
        return 0;
}
