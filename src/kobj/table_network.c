/* Rows of services and what surrounds them. */
#include "kobj/table-internal.h"

enum { LIST_SHOWN = 3 };

/* Up to three entries, then how many more there are. */
struct some {
        struct str text;
        size_t shown, count;
};

static void some_add(struct some *s, const char *text) {
        if (s->shown < LIST_SHOWN) {
                str_appendf(&s->text, "%s%s", s->shown ? "," : "", text);
                s->shown++;
        }
        s->count++;
}

static void some_print(struct table_row *r, struct some *s, const char *empty) {
        if (s->count > LIST_SHOWN)
                str_appendf(&s->text, " + %zu more...", s->count - LIST_SHOWN);
        table_text(r, s->text.len ? str_cstr(&s->text) : empty);
        str_done(&s->text);
}

/* The addresses of a load balancer, sorted and joined. */
static char *load_balancer(yyjson_val *object) {
        AUTO(strv) struct strv names = {0};
        size_t i, max;
        yyjson_val *v;
        yyjson_arr_foreach(json_at(object, "/status/loadBalancer/ingress"), i, max, v) {
                const char *ip = json_get_str(v, "ip"), *host = json_get_str(v, "hostname"), *name = ip && *ip ? ip : host;
                if (name && *name && !strv_has(&names, name))
                        strv_add(&names, name);
        }
        if (names.len)
                strv_sort(&names);
        return strv_join(&names, ",");
}

static void print_external_ip(struct table_row *r, yyjson_val *service) {
        const char *type = json_str_at(service, "/spec/type");
        AUTO(strv) struct strv ips = {0};
        size_t i, max;
        yyjson_val *v;
        if (streq_null(type, "ExternalName")) {
                table_text_at(r, service, "/spec/externalName", "");
                return;
        }
        bool balanced = streq_null(type, "LoadBalancer");
        AUTO(free) char *balancer = load_balancer(service);
        if (balanced && *balancer)
                strv_add(&ips, balancer);
        yyjson_arr_foreach(json_at(service, "/spec/externalIPs"), i, max, v) strv_add(&ips, yyjson_is_str(v) ? yyjson_get_str(v) : "");
        AUTO(free) char *text = strv_join(&ips, ",");
        bool known = balanced || streq_null(type, "ClusterIP") || streq_null(type, "NodePort");
        table_text(r, !known ? "<unknown>" : ips.len ? text : balanced ? "<pending>" : "<none>");
}

static void print_ports(struct table_row *r, yyjson_val *service) {
        AUTO(str) struct str text = STR_INIT(0);
        size_t i, max;
        yyjson_val *port;
        yyjson_arr_foreach(json_at(service, "/spec/ports"), i, max, port) {
                long long node_port = json_get_int(port, "nodePort", 0);
                const char *protocol = json_get_str(port, "protocol");
                str_appendf(&text, "%s%lld", i ? "," : "", (long long)json_get_int(port, "port", 0));
                if (node_port > 0)
                        str_appendf(&text, ":%lld", node_port);
                str_appendf(&text, "/%s", protocol ? protocol : "");
        }
        table_text(r, text.len ? str_cstr(&text) : "<none>");
}

void table_print_service(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_text_at(r, o, "/spec/type", "");
        table_text_at(r, o, "/spec/clusterIPs/0", "<none>");
        print_external_ip(r, o);
        print_ports(r, o);
        table_age(r, o);
        table_labels_at(r, o, "/spec/selector");
}

static void print_subset(struct some *s, yyjson_val *subset) {
        yyjson_val *ports = yyjson_obj_get(subset, "ports"), *addresses = yyjson_obj_get(subset, "addresses"), *port, *address;
        size_t i, j, max, jmax;
        if (!yyjson_arr_size(ports)) { /* headless services may have none */
                yyjson_arr_foreach(addresses, i, max, address) {
                        const char *ip = json_get_str(address, "ip");
                        some_add(s, ip ? ip : "");
                }
        }
        yyjson_arr_foreach(ports, i, max, port) {
                yyjson_arr_foreach(addresses, j, jmax, address) {
                        const char *ip = json_get_str(address, "ip");
                        bool v6 = ip && strchr(ip, ':');
                        AUTO(free) char *text = xasprintf("%s%s%s:%lld", v6 ? "[" : "", ip ? ip : "", v6 ? "]" : "",
                                                          (long long)json_get_int(port, "port", 0));
                        some_add(s, text);
                }
        }
}

void table_print_endpoint(struct table_row *r, yyjson_val *o) {
        struct some s = {0};
        yyjson_val *subsets = yyjson_obj_get(o, "subsets"), *subset;
        size_t i, max;
        table_name(r, o);
        yyjson_arr_foreach(subsets, i, max, subset) print_subset(&s, subset);
        some_print(r, &s, yyjson_arr_size(subsets) ? "" : "<none>");
        table_age(r, o);
}

void table_print_endpoint_slice(struct table_row *r, yyjson_val *o) {
        struct some ports = {0}, endpoints = {0};
        size_t i, j, max, jmax;
        yyjson_val *v, *address;
        table_name(r, o);
        table_text_at(r, o, "/addressType", "");
        yyjson_arr_foreach(yyjson_obj_get(o, "ports"), i, max, v) {
                yyjson_val *port = yyjson_obj_get(v, "port");
                const char *name = json_get_str(v, "name");
                AUTO(free) char *text = port ? xasprintf("%lld", (long long)yyjson_get_sint(port)) : xstrdup(name ? name : "*");
                some_add(&ports, text);
        }
        some_print(r, &ports, "<unset>");
        yyjson_arr_foreach(yyjson_obj_get(o, "endpoints"), i, max, v) {
                yyjson_arr_foreach(yyjson_obj_get(v, "addresses"), j, jmax, address)
                        some_add(&endpoints, yyjson_is_str(address) ? yyjson_get_str(address) : "");
        }
        some_print(r, &endpoints, "<unset>");
        table_age(r, o);
}

static void print_hosts(struct table_row *r, yyjson_val *ingress) {
        yyjson_val *rules = json_at(ingress, "/spec/rules"), *rule;
        AUTO(str) struct str text = STR_INIT(0);
        size_t i, max, shown = 0;
        bool more = false;
        yyjson_arr_foreach(rules, i, max, rule) {
                const char *host = json_get_str(rule, "host");
                more = more || shown == LIST_SHOWN;
                if (!more && host && *host)
                        str_appendf(&text, "%s%s", shown++ ? "," : "", host);
        }
        if (more)
                str_appendf(&text, " + %zu more...", yyjson_arr_size(rules) - LIST_SHOWN);
        table_text(r, shown ? str_cstr(&text) : "*");
}

void table_print_ingress(struct table_row *r, yyjson_val *o) {
        AUTO(free) char *address = load_balancer(o);
        table_name(r, o);
        table_text_at(r, o, "/spec/ingressClassName", "<none>");
        print_hosts(r, o);
        table_text(r, address);
        table_text(r, yyjson_arr_size(json_at(o, "/spec/tls")) ? "80, 443" : "80");
        table_age(r, o);
}

void table_print_ingress_class(struct table_row *r, yyjson_val *o) {
        yyjson_val *parameters = json_at(o, "/spec/parameters");
        const char *group = json_get_str(parameters, "apiGroup"), *kind = json_get_str(parameters, "kind"),
                   *name = json_get_str(parameters, "name");
        table_name(r, o);
        table_text_at(r, o, "/spec/controller", "");
        if (parameters)
                table_textf(r, "%s%s%s/%s", kind ? kind : "", group ? "." : "", group ? group : "", name ? name : "");
        else
                table_text(r, "<none>");
        table_age(r, o);
}

void table_print_network_policy(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        if (json_at(o, "/spec/podSelector"))
                table_selector_at(r, o, "/spec/podSelector");
        else
                table_text(r, "<none>");
        table_age(r, o);
}
