#include "cluster/bootstrap.h"

#include "base/log.h"
#include "cluster/addresses.h"
#include "cluster/rbac.h"

#define ROOT_CA "kube-root-ca.crt"
#define ROOT_CA_NOTE                                                                                                                           \
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or " \
        "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."

static int ensure(struct api *as, const char *resource, const char *ns, const char *name, struct err *err, const char *fmt, ...)
        PRINTF(6, 7);
static int ensure(struct api *as, const char *resource, const char *ns, const char *name, struct err *err, const char *fmt, ...) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(mjson) yyjson_mut_doc *edit = NULL;
        va_list ap;
        int r;

        if (api_peek(as, resource, ns, name))
                return 0;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        r = json_parse(sv_of(text), &doc, err);
        if (r < 0)
                return r;
        edit = json_thaw(yyjson_doc_get_root(doc));
        return api_create(as, resource, ns, yyjson_mut_doc_get_root(edit), NULL, err);
}

static int ensure_service(struct apiserver *s, struct err *err) {
        AUTO(free) char *ip = addresses_first(s->addresses);
        int r = ensure(
                s->self, "services", "default", "kubernetes", err,
                "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"component\":\"apiserver\",\"provider\":\"kubernetes\"}},\"spec\":{\"clusterIP\":\"%s\","
                "\"ports\":[{\"name\":\"https\",\"port\":443,\"targetPort\":%d}]}}",
                ip, s->advertise_port);
        if (r == 0)
                r = ensure(
                        s->self, "endpoints", "default", "kubernetes", err,
                        "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"endpointslice.kubernetes.io/skip-mirror\":\"true\"}},"
                        "\"subsets\":[{\"addresses\":[{\"ip\":\"%s\"}],\"ports\":[{\"name\":\"https\",\"port\":%d,\"protocol\":\"TCP\"}]}]}",
                        s->advertise_address, s->advertise_port);
        if (r == 0)
                r = ensure(
                        s->self, "endpointslices.discovery.k8s.io", "default", "kubernetes", err,
                        "{\"metadata\":{\"name\":\"kubernetes\",\"labels\":{\"kubernetes.io/service-name\":\"kubernetes\"}},\"addressType\":\"IPv4\","
                        "\"endpoints\":[{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":true}}],"
                        "\"ports\":[{\"name\":\"https\",\"port\":%d,\"protocol\":\"TCP\"}]}",
                        s->advertise_address, s->advertise_port);
        return r;
}

int bootstrap(struct apiserver *s, struct err *err) {
        static const char *const namespaces[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
        static const struct {
                const char *name, *text;
                int value;
        } classes[] = {
                {"system-cluster-critical",
                 "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.", 2000000000},
                {"system-node-critical", "Used for system critical pods that must not be moved from their current node.", 2000001000},
        };
        int r = 0;

        for (size_t i = 0; i < ARRAY_LEN(namespaces) && r == 0; i++)
                r = ensure(s->self, "namespaces", NULL, namespaces[i], err, "{\"metadata\":{\"name\":\"%s\"}}", namespaces[i]);
        for (size_t i = 0; i < ARRAY_LEN(classes) && r == 0; i++)
                r = ensure(s->self, "priorityclasses.scheduling.k8s.io", NULL, classes[i].name, err,
                           "{\"metadata\":{\"name\":\"%s\"},\"value\":%d,\"description\":\"%s\"}", classes[i].name, classes[i].value,
                           classes[i].text);
        if (r == 0)
                r = ensure_service(s, err);
        if (r == 0)
                r = rbac_bootstrap(s, err);
        return r;
}

/* Each namespace's own, and aggregated roles kept up to date. */

struct accounts {
        struct apiserver *s;
        struct api *api;
};

static void equip(struct accounts *a, struct object *ns) {
        AUTO(err) struct err why = ERR_INIT;
        AUTO(str) struct str ca = STR_INIT(0);
        int r = ensure(a->api, "serviceaccounts", ns->name, "default", &why, "{\"metadata\":{\"name\":\"default\"}}");

        json_append_quoted(&ca, sv_of(a->s->ca_cert_pem ? a->s->ca_cert_pem : ""));
        if (r == 0)
                r = ensure(a->api, "configmaps", ns->name, ROOT_CA, &why,
                           "{\"metadata\":{\"name\":\"" ROOT_CA "\",\"annotations\":{\"kubernetes.io/description\":\"" ROOT_CA_NOTE
                           "\"}},\"data\":{\"ca.crt\":%s}}",
                           str_cstr(&ca));
        if (r < 0)
                log_debug("equipping namespace %s: %s", ns->name, err_message(&why));
}

static void on_namespace(void *arg, const struct api_event *e) {
        if ((e->type == API_ADDED || e->type == API_MODIFIED) && !object_is_deleting(e->object))
                equip(arg, e->object);
}

/* What was deleted comes back, as long as its namespace stays. */
static void on_own(void *arg, const struct api_event *e) {
        struct accounts *a = arg;
        struct object *ns;
        if (e->type != API_DELETED)
                return;
        ns = api_peek(a->api, "namespaces", NULL, e->object->namespace);
        if (ns && !object_is_deleting(ns))
                equip(a, ns);
}

static void on_role(void *arg, const struct api_event *e) {
        struct accounts *a = arg;
        if (e->type != API_SYNCED)
                rbac_aggregate(a->s);
}

struct accounts *accounts_new(struct apiserver *s) {
        struct accounts *a = NEW(struct accounts);
        a->s = s;
        a->api = api_new(s, "service-account-controller");
        api_watch_start(a->api, "namespaces", NULL, NULL, NULL, on_namespace, a);
        api_watch_start(a->api, "serviceaccounts", NULL, NULL, "metadata.name=default", on_own, a);
        api_watch_start(a->api, "configmaps", NULL, NULL, "metadata.name=" ROOT_CA, on_own, a);
        api_watch_start(a->api, "clusterroles.rbac.authorization.k8s.io", NULL, NULL, NULL, on_role, a);
        return a;
}

void accounts_free(struct accounts *a) {
        if (!a)
                return;
        api_free(a->api);
        free(a);
}
