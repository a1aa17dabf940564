#include "cluster/podrt/netlink.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

void nlmsg_raw(struct nlmsg *m, const void *data, size_t len) {
        size_t padded = NLMSG_ALIGN(len);
        if (m->overflow || padded > sizeof m->data - m->len) {
                m->overflow = true;
                return;
        }
        if (len)
                memcpy(m->data + m->len, data, len);
        memset(m->data + m->len + len, 0, padded - len);
        m->len += padded;
}

void nlmsg_begin(struct nlmsg *m, int type, int flags, const void *body, size_t body_len) {
        struct nlmsghdr header = {.nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)};
        m->len = 0;
        m->overflow = false;
        nlmsg_raw(m, &header, sizeof header);
        nlmsg_raw(m, body, body_len);
}

void nlmsg_attr(struct nlmsg *m, int type, const void *data, size_t len) {
        struct rtattr attr = {.rta_type = (unsigned short)type, .rta_len = (unsigned short)RTA_LENGTH(len)};
        if (len > NLMSG_MAX) {
                m->overflow = true;
                return;
        }
        nlmsg_raw(m, &attr, sizeof attr);
        nlmsg_raw(m, data, len);
}

void nlmsg_attr_str(struct nlmsg *m, int type, const char *text) { nlmsg_attr(m, type, text, strlen(text) + 1); }
void nlmsg_attr_u32(struct nlmsg *m, int type, uint32_t value) { nlmsg_attr(m, type, &value, sizeof value); }

size_t nlmsg_nest(struct nlmsg *m, int type) {
        size_t at = m->len;
        nlmsg_attr(m, type, NULL, 0);
        return at;
}

void nlmsg_nest_end(struct nlmsg *m, size_t nest) {
        if (m->overflow)
                return;
        struct rtattr *attr = (struct rtattr *)(void *)(m->data + nest);
        attr->rta_len = (unsigned short)(m->len - nest);
}

int nl_open(struct nl *ret, struct err *err) {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        if (fd < 0)
                return err_errno(err, -errno, "opening a netlink socket");
        struct sockaddr_nl local = {.nl_family = AF_NETLINK};
        if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0) {
                int r = -errno;
                close(fd);
                return err_errno(err, r, "binding a netlink socket");
        }
        *ret = (struct nl){.fd = fd};
        return 0;
}

void nl_close(struct nl *nl) {
        if (nl->fd > 0)
                close(nl->fd);
        nl->fd = -1;
}

static int await_ack(struct nl *nl, uint32_t sequence, struct err *err) {
        _Alignas(8) unsigned char answer[16384];
        for (;;) {
                ssize_t n = recv(nl->fd, answer, sizeof answer, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, -errno, "reading from netlink");
                size_t left = (size_t)n;
                for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
                        if (h->nlmsg_seq != sequence || h->nlmsg_type != NLMSG_ERROR)
                                continue;
                        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
                                return err_set(err, -EPROTO, "short answer from netlink");
                        int code = ((struct nlmsgerr *)NLMSG_DATA(h))->error;
                        return code < 0 ? err_errno(err, code, "netlink") : 0;
                }
        }
}

int nl_request(struct nl *nl, struct nlmsg *m, struct err *err) {
        if (m->overflow)
                return err_set(err, -EMSGSIZE, "netlink message larger than %d bytes", NLMSG_MAX);
        struct nlmsghdr *header = (struct nlmsghdr *)(void *)m->data;
        header->nlmsg_len = (uint32_t)m->len;
        header->nlmsg_seq = ++nl->sequence;
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        for (;;) {
                if (sendto(nl->fd, m->data, m->len, 0, (struct sockaddr *)&kernel, sizeof kernel) >= 0)
                        break;
                if (errno != EINTR)
                        return err_errno(err, -errno, "writing to netlink");
        }
        return await_ack(nl, nl->sequence, err);
}

int nl_link_index(struct nl *nl, const char *name, int *ret, struct err *err) {
        struct nlmsg m;
        struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
        nlmsg_begin(&m, RTM_GETLINK, 0, &info, sizeof info);
        nlmsg_attr_str(&m, IFLA_IFNAME, name);
        if (m.overflow)
                return err_set(err, -EMSGSIZE, "interface name too long: %s", name);
        struct nlmsghdr *header = (struct nlmsghdr *)(void *)m.data;
        header->nlmsg_flags = NLM_F_REQUEST; /* the answer is the link itself or an error, without a further acknowledgement */
        header->nlmsg_len = (uint32_t)m.len;
        header->nlmsg_seq = ++nl->sequence;
        if (send(nl->fd, m.data, m.len, 0) < 0)
                return err_errno(err, -errno, "writing to netlink");
        _Alignas(8) unsigned char answer[32768];
        for (;;) {
                ssize_t n = recv(nl->fd, answer, sizeof answer, 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, -errno, "reading from netlink");
                size_t left = (size_t)n;
                struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer;
                if (!NLMSG_OK(h, left) || h->nlmsg_seq != nl->sequence)
                        continue;
                if (h->nlmsg_type == NLMSG_ERROR)
                        return err_errno(err, ((struct nlmsgerr *)NLMSG_DATA(h))->error, "interface %s", name);
                *ret = ((struct ifinfomsg *)NLMSG_DATA(h))->ifi_index;
                return 0;
        }
}

int nl_add_bridge(struct nl *nl, const char *name, struct err *err) {
        struct nlmsg m;
        struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
        nlmsg_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
        nlmsg_attr_str(&m, IFLA_IFNAME, name);
        size_t link = nlmsg_nest(&m, IFLA_LINKINFO);
        nlmsg_attr_str(&m, IFLA_INFO_KIND, "bridge");
        nlmsg_nest_end(&m, link);
        int r = nl_request(nl, &m, err);
        return r < 0 ? err_wrap(err, r, "adding bridge %s", name) : 0;
}

int nl_add_veth(struct nl *nl, const char *name, int master, const char *peer_name, int peer_netns_fd, struct err *err) {
        struct nlmsg m;
        struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
        nlmsg_begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
        nlmsg_attr_str(&m, IFLA_IFNAME, name);
        nlmsg_attr_u32(&m, IFLA_MASTER, (uint32_t)master);
        size_t link = nlmsg_nest(&m, IFLA_LINKINFO);
        nlmsg_attr_str(&m, IFLA_INFO_KIND, "veth");
        size_t data = nlmsg_nest(&m, IFLA_INFO_DATA);
        size_t peer = nlmsg_nest(&m, VETH_INFO_PEER);
        /* Not up yet: the kernel opens it before it knows its other end. */
        struct ifinfomsg peer_info = {.ifi_family = AF_UNSPEC};
        nlmsg_raw(&m, &peer_info, sizeof peer_info);
        nlmsg_attr_str(&m, IFLA_IFNAME, peer_name);
        nlmsg_attr_u32(&m, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
        nlmsg_nest_end(&m, peer);
        nlmsg_nest_end(&m, data);
        nlmsg_nest_end(&m, link);
        int r = nl_request(nl, &m, err);
        return r < 0 ? err_wrap(err, r, "adding veth pair %s", name) : 0;
}

int nl_delete_link(struct nl *nl, const char *name, struct err *err) {
        struct nlmsg m;
        struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
        struct err e = ERR_INIT;
        nlmsg_begin(&m, RTM_DELLINK, 0, &info, sizeof info);
        nlmsg_attr_str(&m, IFLA_IFNAME, name);
        int r = nl_request(nl, &m, &e);
        if (r < 0 && r != -ENODEV) {
                err_move(err, &e);
                return err_wrap(err, r, "deleting interface %s", name);
        }
        err_done(&e);
        return 0;
}

int nl_link_up(struct nl *nl, int index, struct err *err) {
        struct nlmsg m;
        struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
        nlmsg_begin(&m, RTM_NEWLINK, 0, &info, sizeof info);
        return nl_request(nl, &m, err);
}

int nl_add_address(struct nl *nl, int index, uint32_t address, int prefix, struct err *err) {
        struct nlmsg m;
        struct ifaddrmsg body = {.ifa_family = AF_INET, .ifa_prefixlen = (uint8_t)prefix, .ifa_index = (uint32_t)index};
        nlmsg_begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body);
        nlmsg_attr(&m, IFA_LOCAL, &address, sizeof address);
        nlmsg_attr(&m, IFA_ADDRESS, &address, sizeof address);
        int r = nl_request(nl, &m, err);
        return r < 0 ? err_wrap(err, r, "adding an address") : 0;
}

int nl_add_default_route(struct nl *nl, uint32_t gateway, struct err *err) {
        struct nlmsg m;
        struct rtmsg body = {.rtm_family = AF_INET,
                             .rtm_table = RT_TABLE_MAIN,
                             .rtm_protocol = RTPROT_STATIC,
                             .rtm_scope = RT_SCOPE_UNIVERSE,
                             .rtm_type = RTN_UNICAST};
        nlmsg_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body);
        nlmsg_attr(&m, RTA_GATEWAY, &gateway, sizeof gateway);
        int r = nl_request(nl, &m, err);
        return r < 0 ? err_wrap(err, r, "adding the default route") : 0;
}

int nl_add_local_range(struct nl *nl, uint32_t network, int prefix, struct err *err) {
        int lo = 0;
        int r = nl_link_index(nl, "lo", &lo, err);
        if (r < 0)
                return r;
        struct nlmsg m;
        struct rtmsg body = {.rtm_family = AF_INET,
                             .rtm_dst_len = (uint8_t)prefix,
                             .rtm_table = RT_TABLE_LOCAL,
                             .rtm_protocol = RTPROT_STATIC,
                             .rtm_scope = RT_SCOPE_HOST,
                             .rtm_type = RTN_LOCAL};
        nlmsg_begin(&m, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body);
        nlmsg_attr(&m, RTA_DST, &network, sizeof network);
        nlmsg_attr_u32(&m, RTA_OIF, (uint32_t)lo);
        r = nl_request(nl, &m, err);
        return r < 0 ? err_wrap(err, r, "making the service range local") : 0;
}
