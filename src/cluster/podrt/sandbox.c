/* A pod's sandbox (directory, namespaces, address, hosts file) and its volumes: made before containers, removed after them. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/ociroot.h"
#include "codec/quantity.h"

enum { MOUNT_BACKOFF_FIRST_MS = 500, MOUNT_BACKOFF_MAX_MS = 8000, SANDBOX_RETRY_MS = 2000 };

void pod_save(const struct pod *p) {
        AUTO(free) char *path = fs_join(p->dir, "pod.json");
        AUTO(str) struct str text = STR_INIT(0);
        char address[IPV4_SIZE];
        ipv4_format(p->address, address);
        str_append_s(&text, "{\"namespace\":");
        json_append_quoted(&text, sv_of(p->ns));
        str_append_s(&text, ",\"name\":");
        json_append_quoted(&text, sv_of(p->name));
        str_appendf(&text, ",\"uid\":\"%s\",\"address\":\"%s\",\"link\":\"%s\",\"startTime\":%lld}\n", p->uid, address, p->link,
                    (long long)p->start_time_us);
        (void)!fs_write_atomic(path, str_sv(&text), 0600, NULL);
}

struct prepare {
        struct pod *pod;
        struct volume_plan *plan; /* NULL: only the sandbox */
        bool makes_sandbox;
        char *net_dir, *hosts, *hosts_text, *resolv_text, *hostname, *link;
        char *dir, *log_dir;
        uint32_t address;
        struct podnet_ranges ranges;
        int64_t cpu_shares;
        int result;
        struct err err;
        bool failed_in_volumes;
};

static void prepare_free(struct prepare *j) {
        volume_plan_free(j->plan);
        free(j->net_dir);
        free(j->hosts);
        free(j->hosts_text);
        free(j->resolv_text);
        free(j->hostname);
        free(j->link);
        free(j->dir);
        free(j->log_dir);
        err_done(&j->err);
        free(j);
}

static int write_pod_file(const char *dir, const char *name, const char *text, struct err *err) {
        AUTO(free) char *path = fs_join(dir, name);
        /* Written in place: containers have it bind-mounted. */
        return fs_write(path, sv_of(text), 0644, err);
}

static int make_sandbox(struct prepare *j, struct err *err) {
        int r = fs_mkdirs(j->dir, 0755, err);
        if (r < 0 || (r = fs_mkdirs(j->log_dir, 0755, err)) < 0)
                return r;
        if ((r = write_pod_file(j->dir, "hosts", j->hosts_text, err)) < 0 ||
            (r = write_pod_file(j->dir, "resolv.conf", j->resolv_text, err)) < 0 ||
            (r = write_pod_file(j->dir, "hostname", j->hostname, err)) < 0)
                return r;
        j->hostname[strcspn(j->hostname, "\n")] = '\0';
        pod_cgroup_make(j->pod->kubelet, j->pod->cgroup, j->cpu_shares);
        return podnet_create(j->net_dir, j->link, j->hostname, j->address, &j->ranges, err);
}

/* Without shares a whole instance would weigh as much as one process of the host when processors are scarce. */
void pod_cgroup_make(const struct kubelet *k, const char *cgroup, int64_t shares) {
        if (k->has_cgroups && k->o.isolation->limits_cpu)
                cgroup_make(CGROUP_ROOT, k->o.isolation->cgroups, cgroup, shares);
}

void worker_umask(void) {
        static __thread bool is_set;
        if (is_set)
                return;
        /* The mask belongs to what threads share; this one gets its own. */
        if (unshare(CLONE_FS) == 0)
                umask(022);
        is_set = true;
}

static void prepare_work(void *arg) {
        struct prepare *j = arg;
        worker_umask();
        if (j->plan) {
                j->result = volumes_apply(j->plan, &j->err);
                j->failed_in_volumes = j->result < 0;
        }
        if (j->result == 0 && j->makes_sandbox)
                j->result = make_sandbox(j, &j->err);
}

static void mount_failed(struct pod *p, const char *message) {
        /* The same words again are one event counted up; said again only with the back-off. */
        api_event(p->kubelet->api, p->object, "Warning", "FailedMount", "%s", message);
        free(p->last_mount_error);
        p->last_mount_error = xstrdup(message);
        p->mount_backoff_ms = p->mount_backoff_ms ? p->mount_backoff_ms * 2 : MOUNT_BACKOFF_FIRST_MS;
        if (p->mount_backoff_ms > MOUNT_BACKOFF_MAX_MS)
                p->mount_backoff_ms = MOUNT_BACKOFF_MAX_MS;
        pod_retry_in(p, p->mount_backoff_ms);
}

static void prepare_done(void *arg) {
        struct prepare *j = arg;
        struct pod *p = j->pod;
        p->is_busy = false;
        p->jobs--;
        kubelet_job_done(p->kubelet);
        if (j->result < 0 && j->failed_in_volumes) {
                mount_failed(p, err_message(&j->err));
        } else if (j->result < 0) {
                api_event(p->kubelet->api, p->object, "Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: %s",
                          err_message(&j->err));
                podnet_pool_release(&p->kubelet->addresses, p->address);
                p->address = 0;
                p->ip[0] = '\0';
                pod_retry_in(p, SANDBOX_RETRY_MS);
        } else {
                if (j->plan) {
                        volume_plan_free(p->volumes);
                        p->volumes = TAKE(j->plan);
                        p->volumes_ready = true;
                        pod_plan_tokens(p);
                }
                if (j->makes_sandbox) {
                        p->has_sandbox = true;
                        pod_save(p);
                        services_update_hosts(p->kubelet->services, p); /* what changed while the worker was at it */
                }
        }
        prepare_free(j);
        if (p->volumes_stale) {
                p->volumes_stale = false;
                pod_refresh_volumes(p);
        }
        pod_sync(p);
}

/* search, nameserver, options: the policy's and what dnsConfig adds. With `Default`, too, names are asked for at our server, which asks the
 * host's resolvers: their addresses (127.0.0.53) may mean nothing in here. */
static char *resolv_text(const struct pod *p) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(str) struct str options = STR_INIT(0);
        const char *policy = object_str(p->object, "/spec/dnsPolicy");
        bool is_none = policy && streq(policy, "None"), is_default = policy && streq(policy, "Default");
        yyjson_val *config = object_at(p->object, "/spec/dnsConfig"), *v;
        size_t i, max;
        str_append_s(&text, "search");
        if (!is_none && !is_default)
                str_appendf(&text, " %s.svc.cluster.local svc.cluster.local cluster.local", p->ns);
        yyjson_arr_foreach(yyjson_obj_get(config, "searches"), i, max, v) str_appendf(&text, " %s", yyjson_get_str(v));
        if (streq(str_cstr(&text), "search"))
                str_clear(&text);
        else
                str_append_c(&text, '\n');
        if (!is_none)
                str_appendf(&text, "nameserver %s\n", p->kubelet->o.dns_address);
        yyjson_arr_foreach(yyjson_obj_get(config, "nameservers"), i, max, v) str_appendf(&text, "nameserver %s\n", yyjson_get_str(v));
        bool has_ndots = false;
        yyjson_arr_foreach(yyjson_obj_get(config, "options"), i, max, v) {
                const char *name = json_get_str(v, "name"), *value = json_get_str(v, "value");
                if (!name)
                        continue;
                has_ndots |= streq(name, "ndots");
                str_appendf(&options, " %s%s%s", name, value ? ":" : "", value ? value : "");
        }
        if (!has_ndots && !is_none && !is_default)
                str_append_s(&options, " ndots:5");
        if (options.len)
                str_appendf(&text, "options%s\n", str_cstr(&options));
        return str_take(&text);
}

/* The pod's host name: spec.hostname, else its name; 63 bytes of it. */
static char *hostname_text(const struct pod *p) {
        const char *name = object_str(p->object, "/spec/hostname");
        if (!name || !name[0])
                name = p->name;
        return xasprintf("%.63s\n", name);
}

static int64_t pod_cpu_shares(const struct object *o) {
        yyjson_val *c, *list = object_at(o, "/spec/containers");
        size_t i, max;
        int64_t milli = 0;
        yyjson_arr_foreach(list, i, max, c) {
                struct quantity q;
                const char *text = json_str_at(c, "/resources/requests/cpu");
                if (text && quantity_parse(sv_of(text), &q, NULL) == 0)
                        milli += quantity_milli(q);
        }
        return milli * 1024 / 1000;
}

static int take_address(struct pod *p) {
        struct err err = ERR_INIT;
        if (p->address)
                return 0;
        int r = podnet_pool_take(&p->kubelet->addresses, &p->address, &err);
        if (r < 0) {
                api_event(p->kubelet->api, p->object, "Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: %s",
                          err_message(&err));
                err_done(&err);
                pod_retry_in(p, SANDBOX_RETRY_MS);
                return r;
        }
        /* "Host network" is the instance's: the server's side of the bridge. */
        ipv4_format(p->uses_host_network ? cidr_address(p->kubelet->o.ranges.pods, 1) : p->address, p->ip);
        return 0;
}

static int plan_volumes(struct pod *p, struct volume_plan **ret) {
        struct err err = ERR_INIT;
        struct volume_env env = {.api = p->kubelet->api, .dir = p->dir};
        pod_facts(p, &env.facts);
        int r = volumes_plan(&env, p->object, ret, &err);
        if (r < 0)
                mount_failed(p, err_message(&err));
        err_done(&err);
        return r;
}

void pod_prepare(struct pod *p) {
        struct volume_plan *plan = NULL;
        /* As the kubelet: volumes first, then the sandbox. Fields of volumes may name the address, so it is chosen before. */
        if (take_address(p) < 0 || (!p->volumes_ready && plan_volumes(p, &plan) < 0))
                return;
        struct prepare *j = NEW(struct prepare);
        *j = (struct prepare){.pod = p,
                              .plan = plan,
                              .makes_sandbox = !p->has_sandbox,
                              .net_dir = fs_join(p->dir, "ns"),
                              .resolv_text = resolv_text(p),
                              .hostname = hostname_text(p),
                              .link = xstrdup(p->link),
                              .dir = xstrdup(p->dir),
                              .log_dir = xstrdup(p->log_dir),
                              .address = p->address,
                              .ranges = p->kubelet->o.ranges,
                              .cpu_shares = pod_cpu_shares(p->object)};
        AUTO(str) struct str hosts = STR_INIT(0);
        services_hosts(p->kubelet->services, p, &hosts);
        j->hosts_text = str_take(&hosts);
        p->is_busy = true;
        p->jobs++;
        p->kubelet->jobs++;
        loop_work(p->kubelet->o.loop, prepare_work, prepare_done, j);
}

/* ---- refreshing volumes of a running pod ---- */

static void on_token_age(void *arg) {
        struct pod *p = arg;
        timer_free(TAKE(p->token_timer));
        if (p->is_busy)
                p->token_timer = timer_new(p->kubelet->o.loop, 1000, 0, on_token_age, p);
        else
                pod_refresh_volumes(p);
}

/* At four fifths of its life, as the kubelet. */
void pod_plan_tokens(struct pod *p) {
        timer_free(TAKE(p->token_timer));
        if (!p->volumes || !p->volumes->token_expires_s)
                return;
        int64_t left_ms = p->volumes->token_expires_s * 1000 - clock_now_ms();
        p->token_timer = timer_new(p->kubelet->o.loop, left_ms > 2000 ? left_ms * 4 / 5 : 1600, 0, on_token_age, p);
}

void pod_refresh_volumes(struct pod *p) {
        struct volume_plan *plan = NULL;
        struct volume_env env = {.api = p->kubelet->api, .dir = p->dir};
        if (p->is_busy) {
                p->volumes_stale = true; /* looked at again when the worker is back */
                return;
        }
        if (!p->volumes_ready || p->is_finished || p->is_ending)
                return;
        pod_facts(p, &env.facts);
        if (volumes_plan(&env, p->object, &plan, NULL) < 0)
                return; /* a source that went away leaves the files as they are */
        struct prepare *j = NEW(struct prepare);
        *j = (struct prepare){.pod = p, .plan = plan};
        p->is_busy = true;
        p->jobs++;
        p->kubelet->jobs++;
        loop_work(p->kubelet->o.loop, prepare_work, prepare_done, j);
}

/* ---- removal ---- */

struct cleanup {
        struct kubelet *kubelet;
        char *dir, *net_dir, *log_dir, *cgroup, *link;
        uint32_t address;
        bool and_files;
};

static void cleanup_work(void *arg) {
        struct cleanup *j = arg;
        (void)!podnet_destroy(j->net_dir, j->link, NULL);
        if (j->cgroup)
                cgroup_remove(CGROUP_ROOT, j->cgroup);
        ociroot_release_all(j->dir);
        if (j->and_files) {
                volumes_remove(j->dir);
                (void)!fs_remove_tree(j->dir, NULL);
                (void)!fs_remove_tree(j->log_dir, NULL);
        }
}

static void cleanup_done(void *arg) {
        struct cleanup *j = arg;
        kubelet_job_done(j->kubelet);
        if (j->address)
                podnet_pool_release(&j->kubelet->addresses, j->address);
        free(j->dir);
        free(j->net_dir);
        free(j->log_dir);
        free(j->cgroup);
        free(j->link);
        free(j);
}

void pod_cleanup(struct pod *p, bool and_files) {
        struct cleanup *j = NEW(struct cleanup);
        *j = (struct cleanup){.kubelet = p->kubelet,
                              .dir = xstrdup(p->dir),
                              .net_dir = fs_join(p->dir, "ns"),
                              .log_dir = xstrdup(p->log_dir),
                              .cgroup = p->kubelet->has_cgroups ? xstrdup(p->cgroup) : NULL,
                              .link = xstrdup(p->link),
                              .address = p->address,
                              .and_files = and_files};
        p->address = 0;
        p->is_cleaned = true;
        p->kubelet->jobs++;
        loop_work(p->kubelet->o.loop, cleanup_work, cleanup_done, j);
}
