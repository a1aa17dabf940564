#include "cluster/podrt/podnet.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "cluster/podrt/netlink.h"

bool ipv4_parse(const char *text, uint32_t *ret) {
        struct in_addr a;
        if (inet_pton(AF_INET, text, &a) != 1)
                return false;
        *ret = ntohl(a.s_addr);
        return true;
}

void ipv4_format(uint32_t address, char ret[IPV4_SIZE]) {
        snprintf(ret, IPV4_SIZE, "%u.%u.%u.%u", address >> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
}

bool cidr_contains(struct cidr c, uint32_t address) {
        uint32_t mask = c.prefix ? ~0U << (32 - c.prefix) : 0;
        return (address & mask) == c.network;
}

int cidr_parse(const char *text, struct cidr *ret, struct err *err) {
        const char *slash = strchr(text, '/');
        int64_t prefix = 0;
        uint32_t network = 0;
        AUTO(free) char *address = slash ? xstrndup(text, (size_t)(slash - text)) : NULL;
        if (!slash || !ipv4_parse(address, &network) || !sv_to_int64(sv_of(slash + 1), &prefix))
                return err_set(err, -EINVAL, "\"%s\" is not an IPv4 range such as 10.244.0.0/16", text);
        if (prefix < 8 || prefix > 28)
                return err_set(err, -EINVAL, "\"%s\": the prefix length must be from 8 to 28", text);
        struct cidr c = {network, (int)prefix};
        if (!cidr_contains(c, network))
                return err_set(err, -EINVAL, "\"%s\" has bits set after the first %d", text, (int)prefix);
        *ret = c;
        return 0;
}

int podnet_init(const struct podnet_ranges *ranges, struct err *err) {
        AUTO(nl) struct nl nl = {.fd = -1};
        int index = 0;
        int r = nl_open(&nl, err);
        if (r < 0)
                return r;
        if ((r = nl_link_index(&nl, "lo", &index, err)) < 0 || (r = nl_link_up(&nl, index, err)) < 0)
                return err_wrap(err, r, "bringing up the loopback interface");
        if ((r = nl_add_bridge(&nl, PODNET_BRIDGE, err)) < 0 || (r = nl_link_index(&nl, PODNET_BRIDGE, &index, err)) < 0)
                return r;
        if ((r = nl_add_address(&nl, index, htonl(cidr_address(ranges->pods, 1)), ranges->pods.prefix, err)) < 0)
                return r;
        if ((r = nl_link_up(&nl, index, err)) < 0)
                return err_wrap(err, r, "bringing up the bridge");
        return nl_add_local_range(&nl, htonl(ranges->services.network), ranges->services.prefix, err);
}

void podnet_pool_init(struct podnet_pool *p, struct cidr range) {
        *p = (struct podnet_pool){.range = range, .next = 2, .used = xcalloc(cidr_size(range) / 8 + 1, 1)};
}

void podnet_pool_done(struct podnet_pool *p) {
        free(p->used);
        p->used = NULL;
}

static bool pool_is_used(const struct podnet_pool *p, uint32_t n) { return p->used[n / 8] & (1 << (n % 8)); }

int podnet_pool_take(struct podnet_pool *p, uint32_t *ret, struct err *err) {
        uint32_t size = cidr_size(p->range);
        for (uint32_t tries = 0; tries < size; tries++) {
                /* Not the network, the gateway nor the broadcast address. */
                if (p->next < 2 || p->next >= size - 1)
                        p->next = 2;
                uint32_t n = p->next++;
                if (pool_is_used(p, n))
                        continue;
                p->used[n / 8] |= (unsigned char)(1 << (n % 8));
                *ret = cidr_address(p->range, n);
                return 0;
        }
        return err_set(err, -ENOSPC, "no pod address is free; all of the pod range are in use");
}

void podnet_pool_mark(struct podnet_pool *p, uint32_t address) {
        if (!cidr_contains(p->range, address))
                return;
        uint32_t n = address - p->range.network;
        p->used[n / 8] |= (unsigned char)(1 << (n % 8));
        if (n >= p->next)
                p->next = n + 1;
}

void podnet_pool_release(struct podnet_pool *p, uint32_t address) {
        if (!cidr_contains(p->range, address))
                return;
        uint32_t n = address - p->range.network;
        p->used[n / 8] &= (unsigned char)~(1 << (n % 8));
}

static const struct {
        const char *name;
        int flag;
} shared_namespaces[] = {{"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}};

enum { SHARED = sizeof shared_namespaces / sizeof shared_namespaces[0] };

/* The thread's own namespaces, to come back to. */
struct home {
        int fd[SHARED];
};

static void home_done(struct home *h) {
        for (int i = 0; i < SHARED; i++)
                if (h->fd[i] >= 0)
                        close(h->fd[i]);
}
DEFINE_AUTO_VALUE(home, struct home, home_done)

static int home_open(struct home *h, struct err *err) {
        for (int i = 0; i < SHARED; i++)
                h->fd[i] = -1;
        for (int i = 0; i < SHARED; i++) {
                char path[64];
                snprintf(path, sizeof path, "/proc/thread-self/ns/%s", shared_namespaces[i].name);
                h->fd[i] = open(path, O_RDONLY | O_CLOEXEC);
                if (h->fd[i] < 0)
                        return err_errno(err, -errno, "%s", path);
        }
        return 0;
}

static void home_return(const struct home *h) {
        for (int i = 0; i < SHARED; i++)
                if (setns(h->fd[i], shared_namespaces[i].flag) < 0)
                        abort(); /* a worker left in a pod's namespace would serve later requests there */
}

static int pin_namespaces(const char *dir, struct err *err) {
        for (int i = 0; i < SHARED; i++) {
                AUTO(free) char *pin = fs_join(dir, shared_namespaces[i].name);
                char self[64];
                snprintf(self, sizeof self, "/proc/thread-self/ns/%s", shared_namespaces[i].name);
                int r = fs_write(pin, SV_NULL, 0600, err);
                if (r < 0)
                        return r;
                if (mount(self, pin, NULL, MS_BIND, NULL) < 0)
                        return err_errno(err, -errno, "keeping the pod's %s namespace at %s", shared_namespaces[i].name, pin);
        }
        return 0;
}

static int configure_inside(struct nl *inside, uint32_t address, const struct podnet_ranges *ranges, struct err *err) {
        int lo = 0, eth = 0;
        int r = nl_link_index(inside, "lo", &lo, err);
        if (r < 0 || (r = nl_link_up(inside, lo, err)) < 0 || (r = nl_link_index(inside, "eth0", &eth, err)) < 0)
                return r;
        if ((r = nl_add_address(inside, eth, htonl(address), ranges->pods.prefix, err)) < 0)
                return r;
        if ((r = nl_link_up(inside, eth, err)) < 0)
                return r;
        return nl_add_default_route(inside, htonl(cidr_address(ranges->pods, 1)), err);
}

/* Unprivileged processes of a pod may listen on any port and ping, as containerd sets it up. Kernels without the knob just lack it. */
static void relax_sysctls(void) {
        (void)!fs_write("/proc/sys/net/ipv4/ip_unprivileged_port_start", SV("0"), 0644, NULL);
        (void)!fs_write("/proc/sys/net/ipv4/ping_group_range", SV("0 2147483647"), 0644, NULL);
}

int podnet_create(const char *dir, const char *link, const char *hostname, uint32_t address, const struct podnet_ranges *ranges,
                  struct err *err) {
        AUTO(nl) struct nl outside = {.fd = -1};
        AUTO(nl) struct nl inside = {.fd = -1};
        AUTO(home) struct home home;
        int bridge = 0;
        int r = home_open(&home, err);
        if (r < 0 || (r = fs_mkdirs(dir, 0700, err)) < 0 || (r = nl_open(&outside, err)) < 0)
                return r;
        if ((r = nl_link_index(&outside, PODNET_BRIDGE, &bridge, err)) < 0)
                return r;
        if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
                return err_errno(err, -errno, "making the pod's namespaces");
        r = pin_namespaces(dir, err);
        if (r == 0 && sethostname(hostname, strlen(hostname)) < 0)
                r = err_errno(err, -errno, "setting the pod's host name");
        if (r == 0) {
                relax_sysctls();
                r = nl_open(&inside, err);
        }
        home_return(&home);
        AUTO(free) char *pin = fs_join(dir, "net");
        AUTO(fd) int netns = r == 0 ? open(pin, O_RDONLY | O_CLOEXEC) : -1;
        if (r == 0 && netns < 0)
                r = err_errno(err, -errno, "%s", pin);
        if (r == 0)
                r = nl_add_veth(&outside, link, bridge, "eth0", netns, err);
        if (r == 0)
                r = configure_inside(&inside, address, ranges, err);
        if (r < 0)
                (void)!podnet_destroy(dir, link, NULL);
        return r < 0 ? err_wrap(err, r, "setting up the pod's network") : 0;
}

int podnet_destroy(const char *dir, const char *link, struct err *err) {
        for (int i = 0; i < SHARED; i++) {
                AUTO(free) char *pin = fs_join(dir, shared_namespaces[i].name);
                umount2(pin, MNT_DETACH); /* not mounted is fine */
                unlink(pin);
        }
        rmdir(dir);
        AUTO(nl) struct nl nl = {.fd = -1};
        int r = nl_open(&nl, err);
        return r < 0 ? r : nl_delete_link(&nl, link, err);
}

int podnet_socket(const char *dir, int type, int *ret_fd, struct err *err) {
        AUTO(free) char *pin = fs_join(dir, "net");
        AUTO(fd) int there = open(pin, O_RDONLY | O_CLOEXEC);
        if (there < 0)
                return err_errno(err, -errno, "%s", pin);
        AUTO(fd) int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        if (here < 0)
                return err_errno(err, -errno, "/proc/thread-self/ns/net");
        if (setns(there, CLONE_NEWNET) < 0)
                return err_errno(err, -errno, "entering the pod's network namespace");
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        int r = fd < 0 ? -errno : 0;
        if (setns(here, CLONE_NEWNET) < 0)
                abort();
        if (r < 0)
                return err_errno(err, r, "making a socket in the pod's network namespace");
        *ret_fd = fd;
        return 0;
}
