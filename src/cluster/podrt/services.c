/* Services made real: relays on cluster addresses, hosts files of pods, a DNS server. All of it follows one table (svctable.h),
 * computed anew when a service, an endpoint or a pod's address changed. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "cluster/podrt/dnsserver.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/relay.h"
#include "cluster/podrt/svctable.h"

#define CLUSTER_DOMAIN "cluster.local"

struct services {
        struct kubelet *kubelet;
        struct svctable table;
        struct map relays; /* "IP:PORT" -> struct relay */
        struct dnsserver *dns;
        struct api_watch *service_watch, *slice_watch;
        bool is_posted, is_freed;
};

static void on_change(void *arg, const struct api_event *e) {
        (void)e;
        services_refresh(arg);
}

static bool resolve(void *arg, const char *name, struct strv *ret) {
        const struct services *s = arg;
        return svctable_resolve(&s->table, name, CLUSTER_DOMAIN, ret);
}

static void free_relay(void *r) { relay_free(r); }

struct services *services_new(struct kubelet *k) {
        struct services *s = NEW(struct services);
        *s = (struct services){.kubelet = k, .relays = MAP_INIT(free_relay)};
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
        map_done(&s->relays);
        dnsserver_free(s->dns);
        svctable_done(&s->table);
        s->is_freed = true;
        if (!s->is_posted)
                free(s);
}

/* ---- relays ---- */

static void update_relays(struct services *s) {
        struct kubelet *k = s->kubelet;
        struct map wanted = MAP_INIT(NULL);
        vec_foreach(svc, &s->table.list) {
                if (!svc->ip || streq(svc->ip, k->o.api_address))
                        continue;
                for (size_t n = 0; n < svc->ports.len; n++) {
                        const struct svc_port *port = &svc->ports.items[n];
                        if (!port->is_tcp)
                                continue;
                        AUTO(free) char *key = xasprintf("%s:%d", svc->ip, port->number);
                        struct relay *r = map_get(&s->relays, key);
                        if (!r && (r = relay_new(k->o.loop, svc->ip, port->number, &k->o.ranges, k->o.dialer)))
                                map_set(&s->relays, key, r);
                        if (!r)
                                continue;
                        map_set(&wanted, key, r);
                        relay_clear_targets(r);
                        vec_foreach(e, &svc->endpoints) if (n < e->ports.len && e->ports.items[n] > 0) relay_add_target(r, e->ip, e->ports.items[n]);
                }
        }
        map_foreach(e, &s->relays) if (!map_has(&wanted, e->key)) map_remove(&s->relays, e->key);
        map_done(&wanted);
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

static void update_hosts(struct services *s) {
        map_foreach(entry, &s->kubelet->pods) {
                struct pod *p = entry->value;
                if (!p->has_sandbox || p->is_cleaned || p->is_finished)
                        continue;
                AUTO(free) char *path = fs_join(p->dir, "hosts");
                AUTO(str) struct str text = STR_INIT(0);
                AUTO(str) struct str old = STR_INIT(16 << 20);
                services_hosts(s, p, &text);
                /* A few hundred bytes in the page cache: not worth a worker. In place, because containers have the file bind-mounted. */
                if (fs_read(path, 16 << 20, &old, NULL) == 0 && sv_eq(str_sv(&old), str_sv(&text)))
                        continue;
                (void)!fs_write(path, str_sv(&text), 0644, NULL);
        }
}

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
