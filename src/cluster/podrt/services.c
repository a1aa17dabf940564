/* Services made real: relays on cluster addresses and node ports, hosts files of pods, a DNS server. All of it follows one table
 * (svctable.h), computed anew when a service, an endpoint or a pod's address changed. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "base/vec.h"
#include "cluster/podrt/dnsserver.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/relay.h"
#include "cluster/podrt/svctable.h"

#define CLUSTER_DOMAIN "cluster.local"
enum { RETRY_MS = 10000 };

/* One relay, and for a port of the host the way there. */
struct front {
        struct services *services;
        char *ns, *name; /* of the service */
        bool is_udp, is_dialing, is_gone, has_failed;
        struct relay *relay; /* NULL: not yet, or it failed */
};

struct services {
        struct kubelet *kubelet;
        struct svctable table;
        struct map fronts; /* "tcp IP:PORT", "udp host:PORT" -> struct front */
        struct timer *retry; /* of what has failed */
        struct dnsserver *dns;
        struct api_watch *service_watch, *slice_watch;
        bool is_posted, is_freed;
};

static void on_change(void *arg, const struct api_event *e) {
        (void)e;
        services_refresh(arg);
}

static bool resolve(void *arg, const char *name, struct strv *ret, char **ret_alias) {
        const struct services *s = arg;
        return svctable_resolve(&s->table, name, CLUSTER_DOMAIN, ret, ret_alias);
}

/* One that the dialer still works for stays until its answer. */
static void front_free(void *arg) {
        struct front *f = arg;
        relay_free(TAKE(f->relay));
        f->is_gone = true;
        if (f->is_dialing)
                return;
        free(f->ns);
        free(f->name);
        free(f);
}

struct services *services_new(struct kubelet *k) {
        struct services *s = NEW(struct services);
        *s = (struct services){.kubelet = k, .fronts = MAP_INIT(front_free)};
        s->service_watch = api_watch_start(k->api, "services", NULL, NULL, NULL, on_change, s);
        s->slice_watch = api_watch_start(k->api, "endpointslices.discovery.k8s.io", NULL, NULL, NULL, on_change, s);
        svctable_load(&s->table, k->api);
        if (k->o.holder)
                s->dns = dnsserver_new(k->o.loop, k->o.dns_address, k->o.has_no_egress ? NULL : k->o.dialer, k->o.resolvers, resolve, s);
        return s;
}

void services_free(struct services *s) {
        if (!s)
                return;
        api_watch_stop(s->service_watch);
        api_watch_stop(s->slice_watch);
        timer_free(TAKE(s->retry));
        map_done(&s->fronts);
        dnsserver_free(s->dns);
        svctable_done(&s->table);
        s->is_freed = true;
        if (!s->is_posted)
                free(s);
}

/* ---- relays ---- */

static void try_again(void *arg) {
        struct services *s = arg;
        timer_free(TAKE(s->retry));
        map_foreach(e, &s->fronts) if (((struct front *)e->value)->has_failed) map_remove(&s->fronts, e->key);
        services_refresh(s);
}

/* Said at the service, and tried again: whoever has the port may give it back. */
static void has_failed(struct front *f, const char *why) {
        struct services *s = f->services;
        const struct object *about = api_peek(s->kubelet->api, "services", f->ns, f->name);
        f->has_failed = true;
        if (about)
                api_event(s->kubelet->api, about, "Warning", "FailedToStartServicePort", "%s; tried again every %d s", why,
                          RETRY_MS / 1000);
        if (!s->retry)
                s->retry = timer_new(s->kubelet->o.loop, RETRY_MS, 0, try_again, s);
}

static void host_opened(void *arg, int fd, const struct err *err) {
        struct front *f = arg;
        f->is_dialing = false;
        if (f->is_gone) {
                if (fd >= 0)
                        close(fd);
                front_free(f);
        } else if (fd < 0) {
                has_failed(f, err_message(err));
        } else {
                struct kubelet *k = f->services->kubelet;
                f->relay = relay_new(k->o.loop, f->is_udp, fd, &k->o.ranges, k->o.dialer);
                services_refresh(f->services); /* it needs targets */
        }
}

/* An address inside, or of the host (address NULL). */
static void open_front(struct front *f, const char *address, int port) {
        struct kubelet *k = f->services->kubelet;
        if (!address) {
                f->is_dialing = true;
                dialer_listen(k->o.dialer, k->o.loop, f->is_udp, k->o.host_address, port, host_opened, f);
                return;
        }
        int fd = relay_socket(f->is_udp, address, port);
        if (fd < 0) {
                AUTO(free) char *why = xasprintf("%s port %d of %s: %s", f->is_udp ? "UDP" : "TCP", port, address, strerror(-fd));
                has_failed(f, why);
        } else {
                f->relay = relay_new(k->o.loop, f->is_udp, fd, &k->o.ranges, k->o.dialer);
        }
}

struct targets {
        VEC(struct relay_target) list;
};

static void want(struct services *s, struct map *wanted, const struct svc *svc, const struct svc_port *port, const char *address,
                 int number, const struct targets *t) {
        AUTO(free) char *key = xasprintf("%s %s:%d", port->protocol == SVC_UDP ? "udp" : "tcp", address ? address : "host", number);
        struct front *f = map_get(&s->fronts, key);
        if (!f) {
                f = NEW(struct front);
                *f = (struct front){.services = s, .ns = xstrdup(svc->ns), .name = xstrdup(svc->name), .is_udp = port->protocol == SVC_UDP};
                map_set(&s->fronts, key, f);
                open_front(f, address, number);
        }
        map_set(wanted, key, f);
        if (f->relay)
                relay_set_targets(f->relay, t->list.items, t->list.len, svc->is_sticky);
}

static void want_port(struct services *s, struct map *wanted, const struct svc *svc, size_t n) {
        const struct kubelet_options *o = &s->kubelet->o;
        const struct svc_port *port = &svc->ports.items[n];
        struct targets t = {0};
        char node[IPV4_SIZE];
        vec_foreach(e, &svc->endpoints)
                if (n < e->ports.len && e->ports.items[n] > 0)
                        *vec_push(&t.list) = (struct relay_target){e->ip, e->ports.items[n]};
        want(s, wanted, svc, port, svc->ip, port->number, &t);
        if (port->node_port) {
                ipv4_format(cidr_address(o->ranges.pods, 1), node);
                want(s, wanted, svc, port, node, port->node_port, &t);
                if (o->dialer && o->host_address)
                        want(s, wanted, svc, port, NULL, port->node_port, &t);
        }
        vec_done(&t.list);
}

static void update_relays(struct services *s) {
        const struct kubelet_options *o = &s->kubelet->o;
        AUTO(map) struct map wanted = MAP_INIT(NULL);
        vec_foreach(svc, &s->table.list) {
                if (!svc->ip || streq(svc->ip, o->api_address))
                        continue;
                for (size_t n = 0; n < svc->ports.len; n++) {
                        const struct svc_port *port = &svc->ports.items[n];
                        bool is_dns = port->protocol == SVC_UDP && port->number == 53 && streq(svc->ip, o->dns_address);
                        if (port->protocol != SVC_SCTP && !is_dns)
                                want_port(s, &wanted, svc, n);
                }
        }
        map_foreach(e, &s->fronts) if (!map_has(&wanted, e->key)) map_remove(&s->fronts, e->key);
}

/* ---- hosts ---- */

void services_hosts(const struct services *s, const struct pod *p, struct str *ret) {
        struct hosts_pod h = {.ns = p->ns,
                              .name = p->name,
                              .ip = p->ip,
                              .hostname = object_str(p->object, "/spec/hostname"),
                              .subdomain = object_str(p->object, "/spec/subdomain"),
                              .aliases = object_at(p->object, "/spec/hostAliases")};
        svctable_hosts(&s->table, &h, CLUSTER_DOMAIN, ret);
}

void services_update_hosts(const struct services *s, const struct pod *p) {
        if (!p->has_sandbox || p->is_cleaned || p->is_finished)
                return;
        AUTO(free) char *path = fs_join(p->dir, "hosts");
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(str) struct str old = STR_INIT(16 << 20);
        services_hosts(s, p, &text);
        /* A few hundred bytes in the page cache: not worth a worker. In place, because containers have the file bind-mounted. */
        if (fs_read(path, 16 << 20, &old, NULL) == 0 && sv_eq(str_sv(&old), str_sv(&text)))
                return;
        (void)!fs_write(path, str_sv(&text), 0644, NULL);
}

static void update_hosts(struct services *s) { map_foreach(entry, &s->kubelet->pods) services_update_hosts(s, entry->value); }

static void refresh(void *arg) {
        struct services *s = arg;
        s->is_posted = false;
        if (s->is_freed) {
                free(s);
                return;
        }
        svctable_done(&s->table);
        svctable_load(&s->table, s->kubelet->api);
        if (s->kubelet->o.holder)
                update_relays(s);
        update_hosts(s);
}

void services_refresh(struct services *s) {
        if (!s || s->is_posted)
                return;
        s->is_posted = true;
        loop_post(s->kubelet->o.loop, refresh, s);
}
