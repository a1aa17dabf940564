#include "cluster/podrt/svctable.h"

#include <ctype.h>
#include <stdio.h>

static void endpoint_done(struct endpoint *e) {
        free(e->ip);
        free(e->hostname);
        vec_done(&e->ports);
}

void svctable_done(struct svctable *t) {
        vec_foreach(s, &t->list) {
                free(s->ns);
                free(s->name);
                free(s->ip);
                free(s->external_name);
                vec_foreach(p, &s->ports) free(p->name);
                vec_done(&s->ports);
                vec_foreach(e, &s->endpoints) endpoint_done(e);
                vec_done(&s->endpoints);
        }
        vec_done(&t->list);
}

/* ---- loading ---- */

static bool is_ready(const struct object *pod) {
        yyjson_val *c, *list = object_at(pod, "/status/conditions");
        size_t i, max;
        yyjson_arr_foreach(list, i, max, c)
                if (streq_null(json_get_str(c, "type"), "Ready"))
                        return streq_null(json_get_str(c, "status"), "True");
        return false;
}

/* targetPort: absent = the port itself, a number, or the name of a container's port. */
static int target_port(const struct object *pod, yyjson_val *port) {
        yyjson_val *target = yyjson_obj_get(port, "targetPort"), *c, *p;
        yyjson_val *containers = object_at(pod, "/spec/containers");
        size_t i, n, max, count;
        if (!target || (yyjson_is_int(target) && yyjson_get_int(target) == 0))
                return (int)json_get_int(port, "port", 0);
        if (yyjson_is_int(target))
                return (int)yyjson_get_int(target);
        yyjson_arr_foreach(containers, i, max, c) yyjson_arr_foreach(yyjson_obj_get(c, "ports"), n, count, p) if (
            streq_null(json_get_str(p, "name"), yyjson_get_str(target))) return (int)json_get_int(p, "containerPort", 0);
        int64_t number = 0;
        return sv_to_int64(sv_of(yyjson_get_str(target)), &number) ? (int)number : 0;
}

/* Only those on a node have an address: the many that wait are passed over without a look into their documents. */
static bool is_reachable(const struct object *pod) {
        const char *ip = object_is_active(pod) && *pod->node ? object_str(pod, "/status/podIP") : NULL;
        return ip && ip[0];
}

static bool has_labels(const struct object *pod, yyjson_val *selector) {
        yyjson_val *key, *value;
        size_t i, max;
        yyjson_obj_foreach(selector, i, max, key, value) {
                const char *label = object_label(pod, yyjson_get_str(key));
                if (!label || !streq(label, yyjson_is_str(value) ? yyjson_get_str(value) : ""))
                        return false;
        }
        return true;
}

/* pods: those that can be reached, listed once for all services. */
static void add_pods(struct svc *s, const struct object *service, const struct object_list *pods) {
        yyjson_val *selector = object_at(service, "/spec/selector"), *port;
        bool unready_too = object_bool(service, "/spec/publishNotReadyAddresses", false);
        size_t i, max;
        for (size_t n = 0; n < pods->len; n++) {
                const struct object *pod = pods->items[n];
                if (!streq(pod->namespace, s->ns) || !has_labels(pod, selector) || (!unready_too && !is_ready(pod)))
                        continue;
                const char *hostname = object_str(pod, "/spec/hostname");
                struct endpoint *e = vec_push(&s->endpoints);
                e->ip = xstrdup(object_str(pod, "/status/podIP"));
                e->hostname = hostname && streq_null(object_str(pod, "/spec/subdomain"), s->name) ? xstrdup(hostname) : NULL;
                yyjson_arr_foreach(object_at(service, "/spec/ports"), i, max, port) *vec_push(&e->ports) = target_port(pod, port);
        }
}

static int slice_port(const struct object *slice, const char *name) {
        yyjson_val *p, *ports = object_at(slice, "/ports");
        size_t i, max;
        yyjson_arr_foreach(ports, i, max, p) {
                const char *other = json_get_str(p, "name");
                if (streq(other ? other : "", name))
                        return (int)json_get_int(p, "port", 0);
        }
        return 0;
}

static void add_slices(struct svc *s, struct api *api) {
        AUTO(object_list) struct object_list slices = {0};
        AUTO(free) char *selector = xasprintf("kubernetes.io/service-name=%s", s->name);
        if (api_list(api, "endpointslices.discovery.k8s.io", s->ns, selector, NULL, &slices, NULL) < 0)
                return;
        for (size_t n = 0; n < slices.len; n++) {
                yyjson_val *e, *a, *list = object_at(slices.items[n], "/endpoints");
                size_t i, k, max, count;
                yyjson_arr_foreach(list, i, max, e) {
                        if (!json_bool_at(e, "/conditions/ready", true))
                                continue;
                        yyjson_arr_foreach(yyjson_obj_get(e, "addresses"), k, count, a) {
                                struct endpoint *out = vec_push(&s->endpoints);
                                out->ip = xstrdup(yyjson_get_str(a) ? yyjson_get_str(a) : "");
                                out->hostname = xstrdup_null(json_get_str(e, "hostname"));
                                vec_foreach(p, &s->ports) *vec_push(&out->ports) = slice_port(slices.items[n], p->name);
                        }
                }
        }
}

static void add_service(struct svctable *t, const struct object *o, const struct object_list *pods, struct api *api) {
        const char *ip = object_str(o, "/spec/clusterIP"), *type = object_str(o, "/spec/type");
        yyjson_val *port, *ports = object_at(o, "/spec/ports");
        size_t i, max;
        struct svc *s = vec_push(&t->list);
        s->ns = xstrdup(o->namespace);
        s->name = xstrdup(o->name);
        s->ip = ip && ip[0] && !streq(ip, "None") ? xstrdup(ip) : NULL;
        if (type && streq(type, "ExternalName")) {
                s->external_name = xstrdup_null(object_str(o, "/spec/externalName"));
                return;
        }
        s->is_sticky = streq_null(object_str(o, "/spec/sessionAffinity"), "ClientIP");
        yyjson_arr_foreach(ports, i, max, port) {
                const char *protocol = json_get_str(port, "protocol"), *name = json_get_str(port, "name");
                struct svc_port *p = vec_push(&s->ports);
                p->name = xstrdup(name ? name : "");
                p->number = (int)json_get_int(port, "port", 0);
                p->node_port = (int)json_get_int(port, "nodePort", 0);
                p->protocol = !protocol || streq(protocol, "TCP") ? SVC_TCP : streq(protocol, "UDP") ? SVC_UDP : SVC_SCTP;
        }
        yyjson_val *selector = object_at(o, "/spec/selector");
        if (selector && yyjson_obj_size(selector))
                add_pods(s, o, pods);
        else
                add_slices(s, api);
}

void svctable_load(struct svctable *t, struct api *api) {
        AUTO(object_list) struct object_list list = {0};
        AUTO(object_list) struct object_list all = {0};
        AUTO(object_list) struct object_list pods = {0};
        if (api_list(api, "services", NULL, NULL, NULL, &list, NULL) < 0 || api_list(api, "pods", NULL, NULL, NULL, &all, NULL) < 0)
                return;
        vec_foreach(pod, &all)
                if (is_reachable(*pod))
                        *vec_push(&pods) = object_ref(*pod);
        for (size_t i = 0; i < list.len; i++)
                add_service(t, list.items[i], &pods, api);
}

/* ---- hosts ---- */

static void add_line(struct str *out, const char *ip, const struct svc *s, const char *ns, const char *domain) {
        str_appendf(out, "%s\t%s.%s.svc.%s %s.%s.svc %s.%s", ip, s->name, s->ns, domain, s->name, s->ns, s->name, s->ns);
        if (streq(ns, s->ns))
                str_appendf(out, " %s", s->name);
        str_append_c(out, '\n');
}

static void add_host_line(struct str *out, const struct endpoint *e, const struct svc *s, const char *ns, const char *domain) {
        if (!e->hostname)
                return;
        str_appendf(out, "%s\t%s.%s.%s.svc.%s %s.%s.%s.svc %s.%s.%s", e->ip, e->hostname, s->name, s->ns, domain, e->hostname, s->name,
                    s->ns, e->hostname, s->name, s->ns);
        if (streq(ns, s->ns))
                str_appendf(out, " %s.%s", e->hostname, s->name);
        str_append_c(out, '\n');
}

static void add_aliases(struct str *out, yyjson_val *aliases) {
        yyjson_val *a, *name;
        size_t i, n, max, count;
        yyjson_arr_foreach(aliases, i, max, a) {
                const char *ip = json_get_str(a, "ip");
                if (!ip)
                        continue;
                str_append_s(out, ip);
                yyjson_arr_foreach(yyjson_obj_get(a, "hostnames"), n, count, name)
                        str_appendf(out, "\t%s", yyjson_get_str(name) ? yyjson_get_str(name) : "");
                str_append_c(out, '\n');
        }
}

void svctable_hosts(const struct svctable *t, const struct hosts_pod *p, const char *domain, struct str *out) {
        const char *host = p->hostname && p->hostname[0] ? p->hostname : p->name;
        str_append_s(out, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        if (p->ip && p->ip[0]) {
                str_appendf(out, "%s\t", p->ip);
                if (p->subdomain && p->subdomain[0])
                        str_appendf(out, "%.63s.%s.%s.svc.%s ", host, p->subdomain, p->ns, domain);
                str_appendf(out, "%.63s\n", host);
        }
        if (p->aliases && yyjson_arr_size(p->aliases)) {
                str_append_s(out, "\n# Entries added by HostAliases.\n");
                add_aliases(out, p->aliases);
        }
        if (t->list.len)
                str_append_s(out, "\n# Services.\n");
        vec_foreach(s, &t->list) {
                if (s->ip)
                        add_line(out, s->ip, s, p->ns, domain);
                vec_foreach(e, &s->endpoints) {
                        if (!s->ip && !s->external_name)
                                add_line(out, e->ip, s, p->ns, domain);
                        add_host_line(out, e, s, p->ns, domain);
                }
        }
}

bool svctable_resolve(const struct svctable *t, const char *name, const char *domain, struct strv *ret, char **ret_alias) {
        AUTO(free) char *suffix = xasprintf(".svc.%s", domain);
        AUTO(free) char *lower = xstrdup(name);
        for (char *p = lower; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        if (!str_ends(lower, suffix))
                return false;
        lower[strlen(lower) - strlen(suffix)] = '\0';
        size_t before = ret->len;
        vec_foreach(s, &t->list) {
                AUTO(free) char *full = xasprintf("%s.%s", s->name, s->ns);
                AUTO(free) char *below = xasprintf(".%s", full);
                if (streq(lower, full)) {
                        if (s->external_name)
                                *ret_alias = xstrdup(s->external_name);
                        else if (s->ip)
                                strv_add(ret, s->ip);
                        else
                                vec_foreach(e, &s->endpoints) strv_add(ret, e->ip);
                        return true;
                }
                if (str_ends(lower, below)) {
                        lower[strlen(lower) - strlen(below)] = '\0';
                        vec_foreach(e, &s->endpoints) if (e->hostname && streq(e->hostname, lower)) strv_add(ret, e->ip);
                        return ret->len > before;
                }
        }
        return false;
}
