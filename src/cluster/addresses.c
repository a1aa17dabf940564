#include "cluster/addresses.h"

#include <arpa/inet.h>

#include "base/map.h"
#include "base/rand.h"
#include "cluster/edit.h"

struct addresses {
        char *cidr;
        uint32_t base, size;
        struct map ips, ports; /* text -> count of Services as pointer */
};

static char *format(uint32_t ip) {
        return xasprintf("%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

static bool parse_ip(const char *text, uint32_t *ret) {
        struct in_addr in;
        if (!text || inet_pton(AF_INET, text, &in) != 1)
                return false;
        *ret = ntohl(in.s_addr);
        return true;
}

int addresses_new(const char *cidr, struct addresses **ret, struct err *err) {
        const char *slash = strchr(cidr, '/');
        AUTO(free) char *ip = slash ? xstrndup(cidr, (size_t)(slash - cidr)) : NULL;
        struct addresses *a;
        uint32_t base;
        int64_t bits;

        if (!slash || !parse_ip(ip, &base) || !sv_to_int64(sv_of(slash + 1), &bits) || bits < 8 || bits > 28)
                return err_set(err, -EINVAL, "service network \"%s\": an IPv4 network like 10.96.0.0/16 (8 to 28 bits) is expected", cidr);
        a = NEW(struct addresses);
        a->cidr = xstrdup(cidr);
        a->size = 1u << (32 - bits);
        a->base = base & ~(a->size - 1);
        *ret = a;
        return 0;
}

void addresses_free(struct addresses *a) {
        if (!a)
                return;
        map_done(&a->ips);
        map_done(&a->ports);
        free(a->cidr);
        free(a);
}

static void count(struct map *m, const char *key, int by) {
        intptr_t n = (intptr_t)map_get(m, key) + by;
        if (n > 0)
                map_set(m, key, (void *)n);
        else
                map_remove(m, key);
}

static void use_port(struct addresses *a, int64_t number, int by) {
        char key[16];
        snprintf(key, sizeof(key), "%d", (int)number);
        if (number)
                count(&a->ports, key, by);
}

static void each_use(struct addresses *a, struct object *service, int by) {
        EACH(ip, i, object_at(service, "/spec/clusterIPs")) {
                if (yyjson_get_str(ip) && !streq(yyjson_get_str(ip), "None"))
                        count(&a->ips, yyjson_get_str(ip), by);
        }
        EACH(port, k, object_at(service, "/spec/ports")) use_port(a, json_get_int(port, "nodePort", 0), by);
        use_port(a, json_int_at(object_root(service), "/spec/healthCheckNodePort", 0), by);
}

void addresses_follow(struct addresses *a, struct object *now, struct object *before) {
        if (now)
                each_use(a, now, 1);
        if (before)
                each_use(a, before, -1);
}

bool addresses_is_taken(const struct addresses *a, const char *ip) { return map_has(&a->ips, ip); }

bool addresses_contains(const struct addresses *a, const char *ip) {
        uint32_t n;
        return parse_ip(ip, &n) && n >= a->base && n < a->base + a->size;
}

char *addresses_first(const struct addresses *a) { return format(a->base + 1); }

char *addresses_pick(struct addresses *a) {
        uint32_t usable = a->size - 3, start = (uint32_t)(rand_u64() % usable);
        for (uint32_t i = 0; i < usable; i++) {
                AUTO(free) char *ip = format(a->base + 2 + (start + i) % usable);
                if (!map_has(&a->ips, ip))
                        return TAKE(ip);
        }
        return NULL;
}

bool addresses_port_is_taken(const struct addresses *a, int port) {
        char key[16];
        snprintf(key, sizeof(key), "%d", port);
        return map_has(&a->ports, key);
}

int addresses_pick_port(const struct addresses *a) {
        int count_all = NODE_PORT_LAST - NODE_PORT_FIRST + 1, start = (int)(rand_u64() % (unsigned)count_all);
        for (int i = 0; i < count_all; i++) {
                int port = NODE_PORT_FIRST + (start + i) % count_all;
                if (!addresses_port_is_taken(a, port))
                        return port;
        }
        return 0;
}
