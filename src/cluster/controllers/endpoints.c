/* Endpoints and EndpointSlices: which pods stand behind a service. */
#include <stdlib.h>

#include "cluster/controllers/control.h"
#include "codec/ktime.h"
#include "kobj/selector.h"

#define SLICES "endpointslices.discovery.k8s.io"
#define MANAGED_BY "endpointslice.kubernetes.io/managed-by"
#define SERVICE_NAME "kubernetes.io/service-name"
#define HEADLESS "service.kubernetes.io/headless"

struct endpoints {
        struct control *c;
        struct queue *queue;
};

struct round {
        struct control *c;
        struct object *service;
        struct object_list pods; /* selected, with an address */
        bool headless, publish_all;
};

static int select_pods(struct round *r, struct err *err) {
        AUTO(selector) struct selector s = {0};
        AUTO(object_list) struct object_list all = {0};
        selector_from_map(object_at(r->service, "/spec/selector"), &s);
        int n = api_list(r->c->api, "pods", r->service->namespace, NULL, NULL, &all, err);
        if (n < 0)
                return n;
        vec_foreach(p, &all) {
                const char *ip = object_is_finished(*p) || !object_matches(*p, &s) ? NULL : object_str(*p, "/status/podIP");
                if (ip && *ip)
                        *vec_push(&r->pods) = object_ref(*p);
        }
        return 0;
}

/* The number behind a service port on one pod; -1 when its name is not among the pod's ports. */
static int64_t target_port(yyjson_val *port, yyjson_val *pod) {
        yyjson_val *target = yyjson_obj_get(port, "targetPort"), *c, *p;
        size_t i, max, j, jmax;
        if (yyjson_is_int(target) && yyjson_get_sint(target))
                return yyjson_get_sint(target);
        if (!yyjson_is_str(target))
                return json_get_int(port, "port", -1);
        const char *protocol = json_get_str(port, "protocol");
        yyjson_arr_foreach(json_at(pod, "/spec/containers"), i, max, c) {
                yyjson_arr_foreach(yyjson_obj_get(c, "ports"), j, jmax, p) {
                        const char *other = json_get_str(p, "protocol");
                        if (streq_null(json_get_str(p, "name"), yyjson_get_str(target)) &&
                            streq(other ? other : "TCP", protocol ? protocol : "TCP"))
                                return json_get_int(p, "containerPort", -1);
                }
        }
        return -1;
}

/* The ports of the service as they are on this pod, as Endpoints and slices both write them. */
static yyjson_mut_val *ports_on(struct round *r, yyjson_mut_doc *doc, yyjson_val *pod, bool slice) {
        yyjson_mut_val *out = yyjson_mut_arr(doc);
        yyjson_val *ports = object_at(r->service, "/spec/ports"), *port;
        size_t i, max;
        yyjson_arr_foreach(ports, i, max, port) {
                int64_t number = target_port(port, pod);
                const char *name = json_get_str(port, "name"), *protocol = json_get_str(port, "protocol"),
                           *app = json_get_str(port, "appProtocol");
                if (number < 0)
                        continue;
                yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, out);
                mjson_set_str(doc, o, "name", name && *name ? name : slice ? "" : NULL);
                mjson_set_int(doc, o, "port", number);
                mjson_set_str(doc, o, "protocol", protocol ? protocol : "TCP");
                mjson_set_str(doc, o, "appProtocol", app);
        }
        return out;
}

static void put_target(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct object *pod) {
        yyjson_mut_val *ref = mjson_obj(doc, o, "targetRef");
        mjson_set_str(doc, ref, "kind", "Pod");
        mjson_set_str(doc, ref, "namespace", pod->namespace);
        mjson_set_str(doc, ref, "name", pod->name);
        mjson_set_str(doc, ref, "uid", pod->uid);
}

static const char *hostname_in(const struct round *r, const struct object *pod) {
        const char *hostname = object_str(pod, "/spec/hostname");
        return hostname && *hostname && streq_null(object_str(pod, "/spec/subdomain"), r->service->name) ? hostname : NULL;
}

/* Groups of pods with the same port numbers: one subset or slice each. */
struct group {
        char *ports; /* JSON */
        yyjson_mut_val *value;
        struct object_list pods;
};

struct groups {
        struct group *items;
        size_t len, cap;
};

static void groups_done(struct groups *g) {
        vec_foreach(one, g) {
                free(one->ports);
                object_list_done(&one->pods);
        }
        vec_done(g);
}
DEFINE_AUTO_VALUE(groups, struct groups, groups_done)

static void group_pods(struct round *r, yyjson_mut_doc *doc, bool slice, struct groups *ret) {
        bool has_ports = yyjson_arr_size(object_at(r->service, "/spec/ports"));
        vec_foreach(p, &r->pods) {
                yyjson_mut_val *ports = ports_on(r, doc, object_root(*p), slice);
                AUTO(free) char *text = mjson_write(ports, false, NULL);
                struct group *found = NULL;
                if (has_ports && !yyjson_mut_arr_size(ports))
                        continue;
                vec_foreach(g, ret) found = streq(g->ports, text) ? g : found;
                if (!found) {
                        found = vec_push(ret);
                        found->ports = TAKE(text);
                        found->value = ports;
                }
                *vec_push(&found->pods) = object_ref(*p);
        }
}

/* Labels of the service go over; our own are added. */
static void copy_labels(struct round *r, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        yyjson_val *labels = meta_labels(object_root(r->service));
        if (labels)
                mjson_set(doc, mmeta_make(doc, root), "labels", yyjson_val_mut_copy(doc, labels));
        if (r->headless)
                mmeta_set_label(doc, root, HEADLESS, "");
}

static void note_time(struct round *r, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        char now[KTIME_SIZE];
        ktime_format(clock_now_ms(), now);
        mmeta_set_annotation(doc, root, "endpoints.kubernetes.io/last-change-trigger-time", now);
}

/* ---- Endpoints ---- */

static yyjson_mut_val *make_subsets(struct round *r, yyjson_mut_doc *doc) {
        AUTO(groups) struct groups groups = {0};
        yyjson_mut_val *subsets = yyjson_mut_arr(doc);
        group_pods(r, doc, false, &groups);
        vec_foreach(g, &groups) {
                yyjson_mut_val *subset = yyjson_mut_obj(doc);
                vec_foreach(p, &g->pods) {
                        bool ready = pod_is_ready(object_root(*p)), going = object_is_deleting(*p);
                        if (going && !r->publish_all)
                                continue;
                        yyjson_mut_val *o = yyjson_mut_arr_add_obj(
                                doc, mjson_arr(doc, subset, ready || r->publish_all ? "addresses" : "notReadyAddresses"));
                        mjson_set_str(doc, o, "ip", object_str(*p, "/status/podIP"));
                        mjson_set_str(doc, o, "hostname", hostname_in(r, *p));
                        mjson_set_str(doc, o, "nodeName", object_str(*p, "/spec/nodeName"));
                        put_target(doc, o, *p);
                }
                if (!yyjson_mut_obj_size(subset))
                        continue;
                if (yyjson_mut_arr_size(g->value))
                        mjson_set(doc, subset, "ports", g->value);
                yyjson_mut_arr_append(subsets, subset);
        }
        return subsets;
}

static int write_endpoints(struct round *r, struct err *err) {
        struct object *found = api_peek(r->c->api, "endpoints", r->service->namespace, r->service->name);
        AUTO(object) struct object *old = found ? object_ref(found) : NULL;
        AUTO(mjson) yyjson_mut_doc *doc = old ? object_edit(old) : yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = old ? yyjson_mut_doc_get_root(doc) : yyjson_mut_obj(doc), *subsets = make_subsets(r, doc);
        mmeta_set(doc, root, "name", r->service->name);
        mmeta_set(doc, root, "namespace", r->service->namespace);
        copy_labels(r, doc, root);
        mmeta_set_label(doc, root, "endpoints.kubernetes.io/managed-by", "endpoint-controller");
        if (yyjson_mut_arr_size(subsets))
                mjson_set(doc, root, "subsets", subsets);
        else
                mjson_remove(root, "subsets");
        AUTO(json) yyjson_doc *now = mjson_freeze(root);
        yyjson_val *wanted = yyjson_doc_get_root(now);
        if (old && json_equal(meta_labels(wanted), meta_labels(object_root(old))) &&
            json_equal(yyjson_obj_get(wanted, "subsets"), object_at(old, "/subsets")))
                return 0;
        note_time(r, doc, root);
        mmeta_set(doc, root, "resourceVersion", NULL);
        return old ? api_update(r->c->api, "endpoints", root, NULL, err)
                   : api_create(r->c->api, "endpoints", r->service->namespace, root, NULL, err);
}

/* ---- slices ---- */

static void put_endpoint(struct round *r, yyjson_mut_doc *doc, yyjson_mut_val *list, const struct object *pod) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list), *conditions;
        bool serving = pod_is_ready(object_root(pod)), going = object_is_deleting(pod);
        mjson_add_str(doc, mjson_arr(doc, o, "addresses"), object_str(pod, "/status/podIP"));
        conditions = mjson_obj(doc, o, "conditions");
        mjson_set_bool(doc, conditions, "ready", r->publish_all || (serving && !going));
        mjson_set_bool(doc, conditions, "serving", serving);
        mjson_set_bool(doc, conditions, "terminating", going);
        mjson_set_str(doc, o, "hostname", hostname_in(r, pod));
        mjson_set_str(doc, o, "nodeName", object_str(pod, "/spec/nodeName"));
        put_target(doc, o, pod);
}

static void fill_slice(struct round *r, yyjson_mut_doc *doc, yyjson_mut_val *root, const struct group *g) {
        yyjson_mut_val *endpoints = yyjson_mut_arr(doc);
        mmeta_set(doc, root, "namespace", r->service->namespace);
        copy_labels(r, doc, root);
        mmeta_set_label(doc, root, SERVICE_NAME, r->service->name);
        mmeta_set_label(doc, root, MANAGED_BY, "endpointslice-controller.k8s.io");
        mjson_set_str(doc, root, "addressType", "IPv4");
        for (size_t i = 0; g && i < g->pods.len; i++)
                put_endpoint(r, doc, endpoints, g->pods.items[i]);
        bool has_ports = g && yyjson_mut_arr_size(g->value); /* empty lists are stored as null, see slice_defaults */
        mjson_set(doc, root, "endpoints", yyjson_mut_arr_size(endpoints) ? endpoints : yyjson_mut_null(doc));
        mjson_set(doc, root, "ports", has_ports ? yyjson_mut_val_mut_copy(doc, g->value) : yyjson_mut_null(doc));
}

static int write_slice(struct round *r, struct object *old, const struct group *g, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = old ? object_edit(old) : yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = old ? yyjson_mut_doc_get_root(doc) : yyjson_mut_obj(doc);
        fill_slice(r, doc, root, g);
        if (old) {
                AUTO(json) yyjson_doc *now = mjson_freeze(root);
                if (json_equal(yyjson_doc_get_root(now), object_root(old)))
                        return 0;
        } else {
                AUTO(free) char *prefix = xasprintf("%s-", r->service->name);
                mmeta_set(doc, root, "generateName", prefix);
                mmeta_add_owner(doc, root, object_root(r->service), true, true);
        }
        note_time(r, doc, root);
        mmeta_set(doc, root, "resourceVersion", NULL);
        return old ? api_update(r->c->api, SLICES, root, NULL, err) : api_create(r->c->api, SLICES, r->service->namespace, root, NULL, err);
}

static void own_slices(struct control *c, const char *ns, const char *service, struct object_list *ret) {
        AUTO(free) char *labels = xasprintf(SERVICE_NAME "=%s," MANAGED_BY "=endpointslice-controller.k8s.io", service);
        if (api_list(c->api, SLICES, ns, labels, NULL, ret, NULL) < 0)
                ret->len = 0;
}

static int write_slices(struct round *r, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *work = yyjson_mut_doc_new(NULL);
        AUTO(groups) struct groups groups = {0};
        AUTO(object_list) struct object_list old = {0};
        group_pods(r, work, true, &groups);
        own_slices(r->c, r->service->namespace, r->service->name, &old);
        size_t wanted = groups.len ? groups.len : 1; /* a placeholder when nothing matches */
        for (size_t i = 0; i < wanted; i++) {
                int e = write_slice(r, i < old.len ? old.items[i] : NULL, i < groups.len ? &groups.items[i] : NULL, err);
                if (e < 0)
                        return e;
        }
        for (size_t i = wanted; i < old.len; i++) {
                AUTO(err) struct err why = ERR_INIT;
                int e = api_delete(r->c->api, SLICES, old.items[i]->namespace, old.items[i]->name, NULL, &why);
                if (e < 0 && why.http_status != 404)
                        return err_move(err, &why);
        }
        return 0;
}

/* ---- services ---- */

static int clean_up(struct endpoints *s, const char *ns, const char *name, struct err *err) {
        struct object *left = api_peek(s->c->api, "endpoints", ns, name);
        AUTO(err) struct err why = ERR_INIT;
        if (!left || !streq_null(object_label(left, "endpoints.kubernetes.io/managed-by"), "endpoint-controller"))
                return 0;
        int e = api_delete(s->c->api, "endpoints", ns, name, NULL, &why);
        return e < 0 && why.http_status != 404 ? err_move(err, &why) : 0;
}

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct endpoints *s = arg;
        struct object *found = api_peek(s->c->api, "services", ns, name);
        AUTO(object) struct object *service = found ? object_ref(found) : NULL;
        if (!service)
                return clean_up(s, ns, name, err);
        if (object_is_deleting(service) || !yyjson_obj_size(object_at(service, "/spec/selector")) ||
            streq_null(object_str(service, "/spec/type"), "ExternalName"))
                return 0;
        struct round r = {.c = s->c, .service = service, .headless = streq_null(object_str(service, "/spec/clusterIP"), "None"),
                          .publish_all = object_bool(service, "/spec/publishNotReadyAddresses", false)};
        int e = select_pods(&r, err);
        if (e >= 0)
                e = write_endpoints(&r, err);
        if (e >= 0)
                e = write_slices(&r, err);
        object_list_done(&r.pods);
        return e < 0 ? e : 0;
}

static void add_services_of(struct endpoints *s, const struct object *pod) {
        AUTO(object_list) struct object_list all = {0};
        if (api_list(s->c->api, "services", pod->namespace, NULL, NULL, &all, NULL) < 0)
                return;
        vec_foreach(service, &all) {
                AUTO(selector) struct selector selector = {0};
                selector_from_map(object_at(*service, "/spec/selector"), &selector);
                if (selector.len && object_matches(pod, &selector))
                        queue_add_object(s->queue, *service);
        }
}

static void on_pod(void *arg, const struct api_event *e) {
        if (e->object)
                add_services_of(arg, e->object);
        if (e->old && !json_equal(meta_labels(object_root(e->old)), meta_labels(object_root(e->object))))
                add_services_of(arg, e->old);
}

/* What somebody else changed or deleted comes back. */
static void on_result(void *arg, const struct api_event *e) {
        struct endpoints *s = arg;
        if (e->type != API_DELETED)
                return;
        const char *service = object_label(e->object, SERVICE_NAME);
        queue_add(s->queue, e->object->namespace, service ? service : e->object->name);
}

static void *start(struct control *c) {
        struct endpoints *s = NEW(struct endpoints);
        s->c = c;
        s->queue = queue_new(c->api, "endpoints", reconcile, s);
        api_watch_start(c->api, "services", NULL, NULL, NULL, queue_on_object, s->queue);
        api_watch_start(c->api, "pods", NULL, NULL, NULL, on_pod, s);
        api_watch_start(c->api, "endpoints", NULL, NULL, NULL, on_result, s);
        api_watch_start(c->api, SLICES, NULL, NULL, NULL, on_result, s);
        return s;
}

static void stop(void *state) {
        struct endpoints *s = state;
        queue_free(s->queue);
        free(s);
}

const struct controller controller_endpoints = {"endpoints", "endpoint-controller", start, stop};
