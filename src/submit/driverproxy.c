#include "submit/driverproxy.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "codec/ktime.h"
#include "codec/uri.h"
#include "kube/verbs.h"

#define MACHINE "firesteel.dev/machine"
#define PROCESS "firesteel.dev/process"
#define RENEWED "firesteel.dev/renewed"

static const struct kube_resource slices = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", false};
static const struct kube_resource endpoints = {"", "v1", "endpoints", "Endpoints", false};

/* ---- this machine ---- */

/* A UDP socket that is connected sends nothing, but has asked the routing table. */
static int source_address(const struct addrinfo *to, char *ret, size_t size) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        AUTO(fd) int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, to->ai_addr, to->ai_addrlen) < 0 || getsockname(fd, (struct sockaddr *)&from, &len) < 0)
                return -errno;
        int r = getnameinfo((struct sockaddr *)&from, len, ret, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
        return r ? -EHOSTUNREACH : 0;
}

int driver_proxy_address(const char *server, char **ret, struct err *err) {
        AUTO(uri) struct uri u = {0};
        int parsed = uri_parse(server, &u, err);
        if (parsed < 0)
                return parsed;
        const char *host = u.host ? u.host : "";
        struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list = NULL;
        int code = getaddrinfo(host, "443", &hints, &list);
        if (code)
                return err_set(err, -EHOSTUNREACH, "cannot find the address of this machine that reaches %s: %s", host, gai_strerror(code));
        char text[INET6_ADDRSTRLEN + 20];
        int r = -EHOSTUNREACH;
        for (struct addrinfo *a = list; a && r < 0; a = a->ai_next)
                r = source_address(a, text, sizeof(text));
        freeaddrinfo(list);
        if (r < 0)
                return err_errno(err, r, "cannot find the address of this machine that reaches %s", host);
        *ret = xstrdup(text);
        return 0;
}

/* This boot of this machine, and the process numbers that are valid in it: containers have their own. */
static char *this_machine(void) {
        AUTO(str) struct str boot = STR_INIT(256);
        char space[64] = "";
        if (fs_read("/proc/sys/kernel/random/boot_id", 256, &boot, NULL) < 0 || readlink("/proc/self/ns/pid", space, sizeof(space) - 1) < 0)
                return NULL;
        struct sv id = sv_trim(str_sv(&boot));
        return xasprintf("%.*s %s", SV_ARG(id), space);
}

/* "PID START": a number that is used again has another start. NULL when there is no such process, or only its remains. */
static char *process_text(long pid) {
        AUTO(free) char *path = xasprintf("/proc/%ld/stat", pid);
        AUTO(str) struct str stat = STR_INIT(4096);
        if (fs_read(path, 4096, &stat, NULL) < 0)
                return NULL;
        const char *at = strrchr(str_cstr(&stat), ')'); /* the name before it may hold anything */
        if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
                return NULL;
        for (int field = 2; field < 22 && at; field++)
                at = strchr(at + 1, ' ');
        return at ? xasprintf("%ld %.*s", pid, (int)strcspn(at + 1, " "), at + 1) : NULL;
}

/* ---- objects ---- */

static yyjson_mut_val *new_object(yyjson_mut_doc *doc, const char *version, const char *kind, const struct driver_proxy *p) {
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, o);
        mjson_set_str(doc, o, "apiVersion", version);
        mjson_set_str(doc, o, "kind", kind);
        yyjson_mut_val *meta = mjson_obj(doc, o, "metadata"), *labels = mjson_obj(doc, meta, "labels");
        mjson_set_str(doc, meta, "name", p->name);
        mjson_set_str(doc, labels, DRIVER_PROXY_LABEL, p->name);
        mjson_set_str(doc, labels, "app.kubernetes.io/managed-by", "firesteel");
        return o;
}

static void add_owner_process(yyjson_mut_doc *doc, yyjson_mut_val *service) {
        AUTO(free) char *machine = this_machine(), *process = process_text(getpid());
        char now[KTIME_SIZE];
        ktime_format(clock_now_ms(), now);
        yyjson_mut_val *notes = mjson_obj(doc, mjson_obj(doc, service, "metadata"), "annotations");
        mjson_set_str(doc, notes, MACHINE, machine);
        mjson_set_str(doc, notes, PROCESS, process);
        mjson_set_str(doc, notes, RENEWED, now);
}

static void add_ports(yyjson_mut_doc *doc, yyjson_mut_val *ports, const struct driver_proxy *p) {
        const struct {
                const char *name;
                int number;
        } all[] = {{"driver-rpc-port", p->driver_port}, {"blockmanager", p->block_port}, {"spark-ui", p->ui_port}};
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
                yyjson_mut_val *port = yyjson_mut_arr_add_obj(doc, ports);
                mjson_set_str(doc, port, "name", all[i].name);
                mjson_set_int(doc, port, "port", all[i].number);
                mjson_set_str(doc, port, "protocol", "TCP");
        }
}

/* So that the cluster removes these with the Service, whoever removes that. */
static void add_owner(yyjson_mut_doc *doc, yyjson_mut_val *o, yyjson_val *service) {
        yyjson_mut_val *ref = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, mjson_obj(doc, o, "metadata"), "ownerReferences"));
        mjson_set_str(doc, ref, "apiVersion", "v1");
        mjson_set_str(doc, ref, "kind", "Service");
        mjson_set_str(doc, ref, "name", json_str_at(service, "/metadata/name"));
        mjson_set_str(doc, ref, "uid", json_str_at(service, "/metadata/uid"));
}

static int create_service(struct kube_client *c, const struct driver_proxy *p, yyjson_doc **ret, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *o = new_object(doc, "v1", "Service", p);
        if (!p->is_lasting)
                add_owner_process(doc, o);
        add_ports(doc, mjson_arr(doc, mjson_obj(doc, o, "spec"), "ports"), p);
        return kube_create(c, &KUBE_SERVICES, p->namespace_, o, ret, err);
}

static int create_slice(struct kube_client *c, const struct driver_proxy *p, yyjson_val *service, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *o = new_object(doc, "discovery.k8s.io/v1", "EndpointSlice", p), *labels = mjson_at(o, "/metadata/labels");
        mjson_set_str(doc, labels, "kubernetes.io/service-name", p->name);
        mjson_set_str(doc, labels, "endpointslice.kubernetes.io/managed-by", "firesteel");
        add_owner(doc, o, service);
        mjson_set_str(doc, o, "addressType", strchr(p->address, ':') ? "IPv6" : "IPv4");
        yyjson_mut_val *e = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, o, "endpoints"));
        mjson_add_str(doc, mjson_arr(doc, e, "addresses"), p->address);
        mjson_set_bool(doc, mjson_obj(doc, e, "conditions"), "ready", true);
        add_ports(doc, mjson_arr(doc, o, "ports"), p);
        return kube_create(c, &slices, p->namespace_, o, NULL, err);
}

static int create_endpoints(struct kube_client *c, const struct driver_proxy *p, yyjson_val *service, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *o = new_object(doc, "v1", "Endpoints", p);
        add_owner(doc, o, service);
        yyjson_mut_val *subset = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, o, "subsets"));
        mjson_set_str(doc, yyjson_mut_arr_add_obj(doc, mjson_arr(doc, subset, "addresses")), "ip", p->address);
        add_ports(doc, mjson_arr(doc, subset, "ports"), p);
        return kube_create(c, &endpoints, p->namespace_, o, NULL, err);
}

int driver_proxy_create(struct kube_client *c, const struct driver_proxy *p, struct err *err) {
        AUTO(json) yyjson_doc *service = NULL;
        AUTO(err) struct err why = ERR_INIT;
        int r = create_service(c, p, &service, &why);
        if (r < 0) {
                if (why.http_status == 409)
                        err_hint(&why, "another driver may use it; take another name, or remove it: firesteel proxy --driver %s --delete",
                                 p->name);
                err_wrap(&why, r, "creating the driver proxy %s:%s", p->namespace_, p->name);
                return err_move(err, &why);
        }
        r = create_slice(c, p, yyjson_doc_get_root(service), &why);
        if (r < 0 && why.http_status == 404) {
                err_clear(&why);
                r = create_endpoints(c, p, yyjson_doc_get_root(service), &why);
        }
        if (r >= 0)
                return 0;
        AUTO(err) struct err left = ERR_INIT;
        err_wrap(&why, r, "leading the driver proxy %s:%s to %s", p->namespace_, p->name, p->address);
        if (driver_proxy_remove(c, p->namespace_, p->name, &left) < 0)
                err_hint(&why, "the Service %s was left behind: %s", p->name, err_message(&left));
        else if (why.http_status == 422)
                err_hint(&why, "name an address of this machine that pods can reach: --driver-address ADDRESS");
        return err_move(err, &why);
}

int driver_proxy_renew(struct kube_client *c, const char *namespace_, const char *name, struct err *err) {
        char now[KTIME_SIZE];
        ktime_format(clock_now_ms(), now);
        AUTO(free) char *body = xasprintf("{\"metadata\":{\"annotations\":{\"" RENEWED "\":\"%s\"}}}", now);
        return kube_patch(c, &KUBE_SERVICES, namespace_, name, NULL, KUBE_PATCH_MERGE, sv_of(body), NULL, err);
}

static int remove_one(struct kube_client *c, const struct kube_resource *r, const char *namespace_, const char *name, struct err *err) {
        AUTO(err) struct err why = ERR_INIT;
        int code = kube_delete(c, r, namespace_, name, &KUBE_DELETE_OPTIONS, NULL, &why);
        return code >= 0 || why.http_status == 404 ? 0 : err_move(err, &why);
}

int driver_proxy_remove(struct kube_client *c, const char *namespace_, const char *name, struct err *err) {
        AUTO(json) yyjson_doc *service = NULL;
        int r = kube_get(c, &KUBE_SERVICES, namespace_, name, &service, err);
        if (r < 0)
                return r;
        yyjson_val *labels = json_at(yyjson_doc_get_root(service), "/metadata/labels");
        if (!json_get_str(labels, DRIVER_PROXY_LABEL))
                return err_set(err, -EINVAL, "Service %s:%s is no driver proxy: it has no label " DRIVER_PROXY_LABEL, namespace_, name);
        r = remove_one(c, &KUBE_SERVICES, namespace_, name, err);
        if (r < 0)
                return err_wrap(err, r, "removing the driver proxy %s:%s", namespace_, name);
        /* Its owner's removal takes the slice along too, only later: that this one may be forbidden does no harm. */
        remove_one(c, &slices, namespace_, name, NULL);
        return 0;
}

/* ---- orphans ---- */

static bool is_orphan(yyjson_val *service, const char *machine) {
        yyjson_val *notes = json_at(service, "/metadata/annotations");
        const char *its = json_get_str(notes, MACHINE), *process = json_get_str(notes, PROCESS), *renewed = json_get_str(notes, RENEWED);
        if (!process || !renewed)
                return false;
        if (its && machine && streq(its, machine)) {
                AUTO(free) char *now = process_text(strtol(process, NULL, 10));
                return !now || !streq(now, process);
        }
        int64_t at_us;
        return ktime_parse(sv_of(renewed), &at_us) && clock_now_ms() - at_us / 1000 > DRIVER_PROXY_STALE_MS;
}

int driver_proxy_orphans(struct kube_client *c, const char *namespace_, struct strv *ret, struct err *err) {
        AUTO(json) yyjson_doc *list = NULL;
        int r = kube_list(c, &KUBE_SERVICES, namespace_, &(struct kube_list_options){.label_selector = DRIVER_PROXY_LABEL}, &list, err);
        if (r < 0)
                return err_wrap(err, r, "listing driver proxies");
        AUTO(free) char *machine = this_machine();
        yyjson_val *service, *items = yyjson_obj_get(yyjson_doc_get_root(list), "items");
        size_t i, max;
        yyjson_arr_foreach(items, i, max, service) {
                if (is_orphan(service, machine))
                        strv_addf(ret, "%s/%s", json_str_at(service, "/metadata/namespace"), json_str_at(service, "/metadata/name"));
        }
        return 0;
}
