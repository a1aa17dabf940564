/* One container: from its spec to a bundle and a running shim, its end, its killing. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/ociroot.h"
#include "cluster/podrt/rootfs.h"
#include "codec/quantity.h"
#include "codec/sha256.h"

enum { CPU_PERIOD_US = 100000, MIN_CPU_SHARES = 2, MAX_OPEN_FILES = 1048576, TERMINATION_MESSAGE_MAX = 4096 };

void termination_done(struct termination *t) {
        free(t->message);
        free(t->container_id);
        *t = (struct termination){0};
}

void container_wait(struct container *c, const char *reason, const char *message) {
        c->state = CONTAINER_WAITING;
        c->waiting_reason = reason;
        free(c->waiting_message);
        c->waiting_message = message && message[0] ? xstrdup(message) : NULL;
        c->is_started = c->is_ready = false;
}

/* What is known now becomes lastState. */
static void remember_last(struct container *c) {
        if (!c->now.is_set)
                return;
        termination_done(&c->last);
        c->last = c->now;
        c->now = (struct termination){0};
}

/* ---- the job of a worker ---- */

struct start_job {
        struct container *container;
        struct bundle bundle;
        struct rootfs_spec rootfs;
        bool is_oci;
        struct ociroot_spec ociroot;
        struct strv layers;
        char *layers_dir, *image_name, *user, *manifest;
        int stop_signal;
        struct shim_spec shim;
        struct strv paths;
        char *dir, *log_path, *log_dir, *id, *oom_file, *hosts, *resolv, *hostname, *spark_home, *program, *termination_log;
        char *termination_path;
        bool has_stdin;
        struct procid started;
        int result;
        struct err err;
};

static void job_free(struct start_job *j) {
        bundle_done(&j->bundle);
        strv_done(&j->paths);
        strv_done(&j->layers);
        free(j->layers_dir);
        free(j->image_name);
        free(j->user);
        free(j->manifest);
        free(j->dir);
        free(j->log_path);
        free(j->log_dir);
        free(j->id);
        free(j->oom_file);
        free(j->hosts);
        free(j->resolv);
        free(j->hostname);
        free(j->spark_home);
        free(j->program);
        free(j->termination_log);
        free(j->termination_path);
        err_done(&j->err);
        free(j);
}

static int add_termination_log(struct start_job *j, struct err *err) {
        int r = fs_write(j->termination_log, SV_NULL, 0666, err);
        if (r < 0)
                return r;
        if (chmod(j->termination_log, 0666) < 0)
                return err_errno(err, -errno, "setting the mode of %s", j->termination_log);
        bundle_bind(&j->bundle, j->termination_path, j->termination_log, false);
        return 0;
}

/* What a later kubelet has to know of the image. */
static int note_image(const struct start_job *j, struct err *err) {
        AUTO(free) char *image = fs_join(j->dir, "image");
        AUTO(free) char *stop = fs_join(j->dir, "stop-signal");
        AUTO(free) char *number = xasprintf("%d", j->stop_signal);
        int r = fs_write(image, sv_of(j->manifest), 0600, err);
        return r < 0 || !j->stop_signal ? r : fs_write(stop, sv_of(number), 0600, err);
}

static int make_root(struct start_job *j, struct err *err) {
        if (!j->is_oci)
                return rootfs_make(&j->rootfs, &j->bundle, err);
        int r = ociroot_make(&j->ociroot, &j->bundle, err);
        return r < 0 ? r : note_image(j, err);
}

static void start_work(void *arg) {
        struct start_job *j = arg;
        struct err *err = &j->err;
        AUTO(free) char *config_path = fs_join(j->dir, "config.json");
        worker_umask();
        ociroot_release(j->dir); /* of a start that was not finished */
        int r = fs_remove_tree(j->dir, err);
        if (r == 0)
                r = fs_mkdirs(j->dir, 0755, err);
        if (r == 0)
                r = fs_mkdirs(j->log_dir, 0755, err);
        if (r == 0)
                r = make_root(j, err);
        if (r == 0)
                r = add_termination_log(j, err);
        if (r == 0) {
                AUTO(free) char *config = bundle_write(&j->bundle);
                r = fs_write(config_path, sv_of(config), 0600, err);
        }
        if (r == 0)
                r = shim_start(&j->shim, &j->started, err);
        if (r < 0)
                ociroot_release(j->dir);
        j->result = r;
}

/* ---- filling it in ---- */

static int64_t resource_of(yyjson_val *spec, const char *kind, const char *name, bool milli) {
        struct quantity q;
        const char *text = json_get_str(yyjson_obj_get(yyjson_obj_get(spec, "resources"), kind), name);
        if (!text || quantity_parse(sv_of(text), &q, NULL) < 0)
                return 0;
        return milli ? quantity_milli(q) : quantity_value(q);
}

char *container_cgroup_file(const struct container *c, const char *controller, const char *file) {
        const struct kubelet *k = c->pod->kubelet;
        if (!k->has_cgroups || !c->id)
                return NULL;
        AUTO(free) char *group = xasprintf("%s/%s-%d", c->pod->cgroup, c->name, c->attempt);
        return cgroup_file(CGROUP_ROOT, k->o.isolation->cgroups, controller, group, file);
}

/* The kubelet's scores; values below zero want a privilege that servers often lack. */
static int oom_score(const struct container *c, yyjson_val *spec) {
        const char *qos = pod_qos(c->pod->object);
        if (streq(qos, "BestEffort"))
                return 1000;
        if (streq(qos, "Guaranteed"))
                return 0;
        int64_t request = resource_of(spec, "requests", "memory", false), total = c->pod->kubelet->node_memory_bytes;
        int64_t score = total > 0 ? 1000 - 1000 * request / total : 999;
        return score < 3 ? 3 : score > 999 ? 999 : (int)score;
}

static void set_resources(struct container *c, yyjson_val *spec, struct start_job *j) {
        struct kubelet *k = c->pod->kubelet;
        const struct isolation *i = k->o.isolation;
        struct bundle *b = &j->bundle;
        int64_t memory = resource_of(spec, "limits", "memory", false), cpu = resource_of(spec, "limits", "cpu", true),
                request = resource_of(spec, "requests", "cpu", true);
        struct rlimit files;
        b->has_cgroups = k->has_cgroups;
        b->has_cgroup_namespace = k->has_cgroups && i->cgroups == CGROUP_V2; /* as containerd: its own group is the container's root */
        if (b->has_cgroups) {
                b->cgroups_path = xasprintf("%s/%s-%d", c->pod->cgroup, c->name, c->attempt);
                if (i->limits_cpu) {
                        int64_t shares = request * 1024 / 1000;
                        b->cpu_shares = shares < MIN_CPU_SHARES ? MIN_CPU_SHARES : shares;
                        b->cpu_quota_us = cpu > 0 ? cpu * CPU_PERIOD_US / 1000 : 0;
                        b->cpu_period_us = CPU_PERIOD_US;
                }
        }
        if (i->limits_memory)
                b->memory_limit = memory;
        else
                j->shim.memory_limit = memory;
        if (memory > 0 && i->limits_memory)
                j->oom_file = container_cgroup_file(c, "memory", i->cgroups == CGROUP_V2 ? "memory.events" : "memory.oom_control");
        b->oom_score_adj = oom_score(c, spec);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0)
                b->max_open_files = files.rlim_max > MAX_OPEN_FILES ? MAX_OPEN_FILES : (int64_t)files.rlim_max;
}

static yyjson_val *security(const struct container *c, yyjson_val *spec, const char *key) {
        yyjson_val *own = yyjson_obj_get(yyjson_obj_get(spec, "securityContext"), key);
        return own ? own : yyjson_obj_get(object_at(c->pod->object, "/spec/securityContext"), key);
}

static void add_capabilities(struct strv *ret, yyjson_val *list) {
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(list, i, max, v) {
                const char *name = yyjson_get_str(v);
                if (name && (streq(name, "ALL") || str_starts(name, "CAP_")))
                        strv_add(ret, name);
                else if (name)
                        strv_addf(ret, "CAP_%s", name);
        }
}

static int set_user(struct container *c, yyjson_val *spec, const struct image *image, struct bundle *b, struct err *err) {
        struct kubelet *k = c->pod->kubelet;
        yyjson_val *uid = security(c, spec, "runAsUser"), *gid = security(c, spec, "runAsGroup"), *groups, *g;
        int64_t fs_group = object_int(c->pod->object, "/spec/securityContext/fsGroup", -1);
        size_t i, max;
        b->uid = uid ? (uint32_t)yyjson_get_uint(uid) : image->uid;
        b->gid = gid ? (uint32_t)yyjson_get_uint(gid) : uid ? 0 : image->gid;
        /* A name is only known when the image is mounted. */
        if (!uid && image->is_oci && image->user[0] && yyjson_get_bool(security(c, spec, "runAsNonRoot"))) {
                int64_t number;
                if (!sv_to_int64(sv_new(image->user, strcspn(image->user, ":")), &number))
                        return err_set(err, -EPERM,
                                       "container has runAsNonRoot and image has non-numeric user (%.*s), cannot verify user is non-root",
                                       (int)strcspn(image->user, ":"), image->user);
                b->uid = (uint32_t)number;
        }
        if (yyjson_get_bool(security(c, spec, "runAsNonRoot")) && b->uid == 0)
                return err_set(err, -EPERM, "container has runAsNonRoot and image will run as root (pod: \"%s_%s(%s)\", container: %s)",
                               c->pod->name, c->pod->ns, c->pod->uid, c->name);
        groups = object_at(c->pod->object, "/spec/securityContext/supplementalGroups");
        yyjson_arr_foreach(groups, i, max, g) *vec_push(&b->groups) = (uint32_t)yyjson_get_uint(g);
        if (fs_group >= 0)
                *vec_push(&b->groups) = (uint32_t)fs_group;
        if (k->o.holder->has_user_namespace && !k->o.holder->has_subordinate_ids) {
                /* Only one id exists in there. */
                if (uid && b->uid != 0)
                        container_event(
                                c, "Normal", "UserSquashed",
                                "runAsUser %u runs as the owner of the cluster: this user has no subordinate ids (/etc/subuid, /etc/subgid)",
                                b->uid);
                b->uid = b->gid = 0;
                b->groups.len = 0;
        }
        return 0;
}

/* Who the image says it is, for the look-up inside it. */
static void set_image_user(struct container *c, yyjson_val *spec, const struct image *image, struct start_job *j) {
        const struct holder *h = c->pod->kubelet->o.holder;
        yyjson_val *uid = security(c, spec, "runAsUser");
        if (h->has_user_namespace && !h->has_subordinate_ids)
                return;
        j->user = uid ? xasprintf("%u", j->bundle.uid) : xstrdup(image->user[0] ? image->user : "0");
}

static int set_security(struct container *c, yyjson_val *spec, const struct image *image, struct bundle *b, struct err *err) {
        yyjson_val *own = yyjson_obj_get(spec, "securityContext"), *caps = yyjson_obj_get(own, "capabilities");
        b->is_privileged = json_get_bool(own, "privileged", false);
        b->allows_new_privileges = json_get_bool(own, "allowPrivilegeEscalation", true) || b->is_privileged;
        b->is_readonly_root = json_get_bool(own, "readOnlyRootFilesystem", false);
        add_capabilities(&b->add_caps, yyjson_obj_get(caps, "add"));
        add_capabilities(&b->drop_caps, yyjson_obj_get(caps, "drop"));
        return set_user(c, spec, image, b, err);
}

static void add_strings(struct strv *ret, yyjson_val *list, const struct map *variables) {
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(list, i, max, v) {
                AUTO(str) struct str text = STR_INIT(0);
                expand_variables(yyjson_get_str(v) ? yyjson_get_str(v) : "", variables, &text);
                strv_take(ret, str_take(&text));
        }
}

static void add_all(struct strv *ret, const struct strv *items) {
        for (size_t i = 0; i < items->len; i++)
                strv_add(ret, items->items[i]);
}

static int set_command(yyjson_val *spec, const struct image *image, const struct map *variables, struct bundle *b, struct err *err) {
        yyjson_val *command = yyjson_obj_get(spec, "command"), *args = yyjson_obj_get(spec, "args");
        bool has_command = command && yyjson_arr_size(command), has_args = args && yyjson_arr_size(args);
        if (has_command)
                add_strings(&b->args, command, variables);
        else
                add_all(&b->args, &image->entrypoint);
        if (has_args)
                add_strings(&b->args, args, variables);
        else if (!has_command)
                add_all(&b->args, &image->command);
        if (!b->args.len)
                return err_set(err, -EINVAL, "no command specified");
        const char *dir = json_get_str(spec, "workingDir");
        b->cwd = xstrdup(dir && dir[0] ? dir : image->working_dir);
        return 0;
}

/* Annotations of the pod that choose how Spark is started. */
static void add_spark_choices(const struct container *c, const struct image *image, struct map *variables, struct bundle *b) {
        static const struct {
                const char *annotation, *value, *variable, *setting;
        } choices[] = {{"firesteel.io/jvm-profile", "short", "FIRESTEEL_JVM_PROFILE", "short"},
                       {"firesteel.io/launcher", "stock", "FIRESTEEL_SPARK_LAUNCHER", "1"}};
        if (!image->spark_home)
                return;
        for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
                const char *value = object_annotation(c->pod->object, choices[i].annotation);
                if (value && streq(value, choices[i].value) && !map_has(variables, choices[i].variable))
                        map_set(variables, choices[i].variable, xstrdup(choices[i].setting));
        }
        AUTO(free) char *archive = archives_find(c->pod->kubelet->archives, image);
        if (archive && !map_has(variables, "FIRESTEEL_CLASS_ARCHIVE")) {
                map_set(variables, "FIRESTEEL_CLASS_ARCHIVE", xstrdup(ARCHIVE_IN_POD));
                bundle_bind(b, ARCHIVE_IN_POD, archive, true);
                AUTO(free) char *python = archives_python(archive);
                if (python)
                        bundle_bind(b, ARCHIVE_PYTHON_IN_POD, python, true);
        }
}

static int set_mounts(struct container *c, yyjson_val *spec, const struct map *variables, struct bundle *b, struct err *err) {
        yyjson_val *m, *list = yyjson_obj_get(spec, "volumeMounts");
        size_t i, max;
        yyjson_arr_foreach(list, i, max, m) {
                AUTO(free) char *source = NULL;
                const char *path = json_get_str(m, "mountPath");
                mode_t mask = umask(022);
                int r = volumes_mount_source(c->pod->volumes, m, variables, &source, err);
                umask(mask);
                if (r < 0)
                        return r;
                AUTO(free) char *absolute = path && path[0] == '/' ? xstrdup(path) : xasprintf("/%s", path ? path : "");
                bundle_bind(b, absolute, source, json_get_bool(m, "readOnly", false));
        }
        return 0;
}

/* spark.eventLog.enabled=true is then all that the History Server of the instance (historian.h) wants. */
static void add_event_logs(const struct container *c, const struct image *image, struct bundle *b) {
        static const char place[] = "/tmp/spark-events"; /* the default of spark.eventLog.dir */
        if (!image->spark_home || !c->pod->kubelet->event_logs)
                return;
        vec_foreach(m, &b->mounts) {
                size_t len = strlen(m->destination);
                if (strncmp(place, m->destination, len) == 0 && (place[len] == '/' || !place[len]))
                        return; /* the pod has a volume there */
        }
        bundle_bind(b, place, c->pod->kubelet->event_logs, false);
}

static void set_files(struct container *c, yyjson_val *spec, const struct image *image, struct start_job *j) {
        struct pod *p = c->pod;
        struct kubelet *k = p->kubelet;
        j->dir = container_dir(c, c->attempt);
        j->log_path = container_log(c, c->attempt);
        j->log_dir = xstrndup(j->log_path, (size_t)(strrchr(j->log_path, '/') - j->log_path));
        j->hosts = fs_join(p->dir, "hosts");
        j->resolv = fs_join(p->dir, "resolv.conf");
        j->hostname = fs_join(p->dir, "hostname");
        j->spark_home = xstrdup_null(image->spark_home);
        j->program = image->spark_home ? xstrdup(k->program) : NULL;
        j->termination_log = fs_join(j->dir, "termination-log");
        const char *path = json_get_str(spec, "terminationMessagePath");
        j->termination_path = xstrdup(path && path[0] == '/' ? path : "/dev/termination-log");
        add_all(&j->paths, &image->paths);
        j->rootfs = (struct rootfs_spec){.dir = j->dir,
                                         .has_overlay = k->o.isolation->has_overlay,
                                         .is_in_user_namespace = k->o.holder->has_user_namespace,
                                         .spark_home = j->spark_home,
                                         .paths = &j->paths,
                                         .hosts_file = j->hosts,
                                         .resolv_file = j->resolv,
                                         .hostname_file = j->hostname,
                                         .program = j->program,
                                         .uid = j->bundle.uid,
                                         .gid = j->bundle.gid};
        j->shim = (struct shim_spec){.program = k->program,
                                     .dir = j->dir,
                                     .id = j->id,
                                     .runtime = k->o.isolation->runtime,
                                     .runtime_root = k->runtime_root,
                                     .without_cgroups = !k->has_cgroups,
                                     .log_path = j->log_path,
                                     .oom_file = j->oom_file,
                                     .memory_limit = j->shim.memory_limit,
                                     .has_stdin = j->has_stdin,
                                     .is_stdin_once = json_get_bool(spec, "stdinOnce", false),
                                     .has_terminal = j->bundle.has_terminal};
}

static void set_oci_files(struct container *c, yyjson_val *spec, const struct image *image, struct start_job *j) {
        struct kubelet *k = c->pod->kubelet;
        j->is_oci = true;
        add_all(&j->layers, &image->layers);
        j->layers_dir = xstrdup_null(image->layers_dir);
        j->image_name = xstrdup(json_get_str(spec, "image"));
        j->manifest = xstrdup(image->manifest);
        j->stop_signal = image->stop_signal;
        set_image_user(c, spec, image, j);
        j->ociroot = (struct ociroot_spec){.dir = j->dir,
                                           .layers_dir = j->layers_dir,
                                           .layers = &j->layers,
                                           .is_in_user_namespace = k->o.holder->has_user_namespace,
                                           .store = image_pulls_store(k->pulls),
                                           .reference = j->image_name,
                                           .ids = image->ids,
                                           .hosts_file = j->hosts,
                                           .resolv_file = j->resolv,
                                           .hostname_file = j->hostname,
                                           .user = j->user,
                                           .keeps_gid = security(c, spec, "runAsGroup") != NULL};
}

static char *make_id(const struct container *c) {
        AUTO(free) char *text = xasprintf("%s/%s/%d", c->pod->uid, c->name, c->attempt);
        char hex[SHA256_HEX_SIZE];
        sha256_hex(sv_of(text), hex);
        return xstrdup(hex);
}

/* An ephemeral container may see the processes of another one. */
static int join_target(const struct container *c, yyjson_val *spec, struct bundle *b, struct err *err) {
        const char *name = c->is_ephemeral ? json_get_str(spec, "targetContainerName") : NULL;
        const struct container *target = name ? pod_container(c->pod, name) : NULL;
        if (!name || !name[0])
                return 0;
        if (!target || target->state != CONTAINER_RUNNING)
                return err_set(err, -EAGAIN, "unable to find target container \"%s\"", name);
        b->pid_namespace = xasprintf("/proc/%d/ns/pid", (int)target->process.pid);
        return 0;
}

static int fill_job(struct container *c, yyjson_val *spec, const struct image *image, struct start_job *j, struct err *err) {
        struct kubelet *k = c->pod->kubelet;
        struct bundle *b = &j->bundle;
        struct pod_facts facts;
        AUTO(map) struct map variables = MAP_INIT(free);
        pod_facts(c->pod, &facts);
        int r = container_env(k->api, c->pod->object, spec, &facts, &image->env, &variables, err);
        if (r < 0 || (r = set_security(c, spec, image, b, err)) < 0)
                return r;
        add_spark_choices(c, image, &variables, b);
        map_foreach(e, &variables) strv_addf(&b->env, "%s=%s", e->key, (char *)e->value);
        if ((r = set_command(spec, image, &variables, b, err)) < 0 || (r = set_mounts(c, spec, &variables, b, err)) < 0)
                return r;
        add_event_logs(c, image, b);
        b->namespace_dir = fs_join(c->pod->dir, "ns");
        if ((r = join_target(c, spec, b, err)) < 0)
                return r;
        b->shares_host_network = c->pod->uses_host_network;
        b->is_in_user_namespace = k->o.holder->has_user_namespace;
        j->has_stdin = json_get_bool(spec, "stdin", false);
        b->has_terminal = json_get_bool(spec, "tty", false);
        if (b->has_terminal && !map_has(&variables, "TERM"))
                strv_add(&b->env, "TERM=xterm");
        j->id = xstrdup(c->id);
        set_resources(c, spec, j);
        set_files(c, spec, image, j);
        if (image->is_oci)
                set_oci_files(c, spec, image, j);
        return 0;
}

/* ---- starting ---- */

static void start_failed(struct container *c, const struct err *err) {
        AUTO(free) char *message = xasprintf("%s", err_message(err));
        container_event(c, "Warning", "Failed", "Error: %s", message);
        remember_last(c);
        container_wait(c, "CreateContainerError", message);
        c->next_start_ms = clock_mono_ms() + BACKOFF_FIRST_MS;
        pod_retry_in(c->pod, BACKOFF_FIRST_MS);
}

/* Until postStart is done the container does not count as started: no probes, not ready. One that fails ends the container. */
static void on_post_start(struct container *c, bool ok, const char *why) {
        if (c->state == CONTAINER_RUNNING && !c->killing && ok) {
                probes_start(c);
        } else if (c->state == CONTAINER_RUNNING && !ok) {
                container_event(c, "Warning", "FailedPostStartHook", "PostStartHook failed: %s", why);
                container_kill(c, object_int(c->pod->object, "/spec/terminationGracePeriodSeconds", 30), "FailedPostStartHook");
        }
        pod_sync(c->pod);
}

static void start_done(void *arg) {
        struct start_job *j = arg;
        struct container *c = j->container;
        struct pod *p = c->pod;
        c->is_starting = false;
        p->jobs--;
        kubelet_job_done(p->kubelet);
        if (j->result < 0) {
                start_failed(c, &j->err);
        } else {
                struct shim_started started;
                container_event(c, "Normal", "Created", "Container created");
                c->shim = j->started;
                if (shim_read_started(j->dir, &started, NULL) == 0) {
                        c->process = started.proc;
                        c->started_us = started.started_us;
                        remember_last(c);
                        c->state = CONTAINER_RUNNING;
                        c->is_started = c->is_ready = false;
                        c->killing = false;
                        c->usage_at_us = 0;
                        container_event(c, "Normal", "Started", "Container started");
                        if (!container_hook(c, "postStart", 0, on_post_start))
                                probes_start(c);
                }
                container_watch(c);
        }
        job_free(j);
        pod_sync(p);
}

void container_start_with(struct container *c, yyjson_val *spec, const struct image *image) {
        struct pod *p = c->pod;
        struct err err = ERR_INIT;
        c->pull_backoff_ms = 0;
        c->next_pull_ms = 0;
        free(c->image_id);
        c->image_id = xstrdup(image->id);
        if (!streq_null(c->image_manifest, image->manifest)) {
                free(c->image_manifest);
                c->image_manifest = xstrdup_null(image->manifest);
                kubelet_lease_images(p->kubelet);
        }
        if (c->now.is_set || c->last.is_set)
                c->attempt++;
        free(c->id);
        c->id = make_id(c);
        struct start_job *j = NEW(struct start_job);
        j->container = c;
        int r = fill_job(c, spec, image, j, &err);
        if (r < 0) {
                AUTO(free) char *message = xstrdup(err_message(&err));
                container_event(c, "Warning", "Failed", "Error: %s", message);
                remember_last(c);
                container_wait(c, "CreateContainerConfigError", message);
                c->next_start_ms = clock_mono_ms() + 2000;
                pod_retry_in(p, 2000);
                free(TAKE(c->id));
                err_done(&err);
                job_free(j);
                return;
        }
        if (c->now.is_set) {
                c->restarts++;
                remember_last(c);
        }
        container_wait(c, "ContainerCreating", NULL);
        c->is_starting = true;
        archives_busy(p->kubelet->archives);
        p->jobs++;
        p->kubelet->jobs++;
        loop_work(p->kubelet->o.loop, start_work, start_done, j);
}

/* ---- the end ---- */

static char *termination_message(struct container *c, yyjson_val *spec, const struct shim_exit *e) {
        AUTO(free) char *dir = container_dir(c, c->attempt);
        AUTO(free) char *file = fs_join(dir, "termination-log");
        AUTO(str) struct str text = STR_INIT(1 << 20);
        if (e->error)
                return xstrdup(e->error);
        (void)!fs_read(file, 1 << 20, &text, NULL);
        const char *policy = json_get_str(spec, "terminationMessagePolicy");
        if (!text.len && policy && streq(policy, "FallbackToLogsOnError") && e->exit_code != 0) {
                AUTO(free) char *log = container_log(c, c->attempt);
                AUTO(str) struct str all = STR_INIT(64 << 20);
                (void)!fs_read(log, 64 << 20, &all, NULL);
                struct sv rest = str_sv(&all), line;
                while (sv_split(&rest, '\n', &line)) {
                        /* TIME STREAM TAG TEXT */
                        struct sv part = line, word;
                        for (int i = 0; i < 3 && part.data; i++)
                                sv_split(&part, ' ', &word);
                        if (part.data) {
                                str_append_sv(&text, part);
                                str_append_c(&text, '\n');
                        }
                }
                if (text.len > 2048)
                        str_consume(&text, text.len - 2048);
        }
        if (text.len > TERMINATION_MESSAGE_MAX)
                str_truncate(&text, TERMINATION_MESSAGE_MAX);
        return text.len ? str_take(&text) : NULL;
}

static const char *reason_of(const struct shim_exit *e) {
        if (e->error && !e->started_us)
                return "StartError";
        if (e->is_oom)
                return "OOMKilled";
        return e->exit_code == 0 ? "Completed" : "Error";
}

static void note_end(struct container *c) {
        struct pod *p = c->pod;
        AUTO(free) char *dir = container_dir(c, c->attempt);
        AUTO(shim_exit) struct shim_exit e = {0};
        yyjson_val *spec = container_spec(c);
        if (shim_read_exit(dir, &e, NULL) < 0) {
                /* The shim was killed: nobody saw the end. The processes must not stay. */
                e = (struct shim_exit){.exit_code = 137, .signal = SIGKILL, .started_us = c->started_us, .finished_us = clock_now_us(),
                                       .error = xstrdup("the process that kept the container was killed")};
                int fd = -1;
                if (procid_open(&c->process, &fd, NULL) == 0) {
                        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
                        close(fd);
                }
                (void)!shim_write_exit(dir, &e, NULL);
        }
        probes_stop(c);
        timer_free(TAKE(c->kill_timer));
        bool never_ran = e.error && !e.started_us;
        if (never_ran)
                container_event(c, "Warning", "Failed", "Error: %s", e.error);
        remember_last(c);
        c->now = (struct termination){.is_set = true,
                                      .exit_code = e.exit_code,
                                      .signal = e.signal,
                                      .reason = reason_of(&e),
                                      .message = termination_message(c, spec, &e),
                                      .started_us = e.started_us,
                                      .finished_us = e.finished_us,
                                      .container_id = xasprintf("crun://%s", c->id)};
        ociroot_release(dir);
        c->state = CONTAINER_TERMINATED;
        c->is_started = c->is_ready = c->killing = false;
        c->process = (struct procid){0};
        int64_t ran_ms = (e.finished_us - e.started_us) / 1000;
        if (c->backoff_ms && ran_ms > BACKOFF_RESET_MS)
                c->backoff_ms = 0;
        (void)p;
}

static void on_shim_end(void *arg) {
        struct container *c = arg;
        fdwatch_free(TAKE(c->watch));
        close(TAKE_FD(c->watch_fd));
        if (c->shim.pid > 0)
                waitpid(c->shim.pid, NULL, WNOHANG); /* ours unless adopted */
        c->shim = (struct procid){0};
        note_end(c);
        pod_sync(c->pod);
}

static void end_seen(void *arg) {
        struct container *c = arg;
        if (c->shim.pid > 0)
                waitpid(c->shim.pid, NULL, 0);
        c->shim = (struct procid){0};
        note_end(c);
        c->is_starting = false;
        c->pod->jobs--;
        pod_sync(c->pod);
}

void container_watch(struct container *c) {
        int fd = -1;
        if (procid_open(&c->shim, &fd, NULL) < 0) {
                /* Already gone: its record is there. Told from the loop, like any end. */
                c->is_starting = true;
                c->pod->jobs++;
                loop_post(c->pod->kubelet->o.loop, end_seen, c);
                return;
        }
        c->watch_fd = fd;
        c->watch = fdwatch_new(c->pod->kubelet->o.loop, fd, on_shim_end, c);
}

/* ---- killing ---- */

static void signal_container(struct container *c, int signal_number) {
        int fd = -1;
        if (procid_open(&c->process, &fd, NULL) < 0)
                return;
        syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0);
        close(fd);
}

static void on_grace_over(void *arg) {
        struct container *c = arg;
        timer_free(TAKE(c->kill_timer));
        signal_container(c, SIGKILL);
}

/* What the image wants to be told to end with. */
static int stop_signal(const struct container *c) {
        AUTO(free) char *dir = container_dir(c, c->attempt);
        AUTO(free) char *file = fs_join(dir, "stop-signal");
        AUTO(str) struct str text = STR_INIT(16);
        int64_t number;
        return fs_exists(file) && fs_read(file, 16, &text, NULL) == 0 && sv_to_int64(str_sv(&text), &number) ? (int)number : SIGTERM;
}

static void terminate(struct container *c) {
        int64_t left = c->kill_deadline_ms - clock_mono_ms();
        signal_container(c, left > 0 ? stop_signal(c) : SIGKILL);
        if (left > 0 && !c->kill_timer)
                c->kill_timer = timer_new(c->pod->kubelet->o.loop, left, 0, on_grace_over, c);
}

static void on_pre_stop(struct container *c, bool ok, const char *why) {
        if (!ok)
                container_event(c, "Warning", "FailedPreStopHook", "PreStopHook failed: %s", why);
        if (c->state == CONTAINER_RUNNING)
                terminate(c);
        pod_sync(c->pod);
}

void container_kill(struct container *c, int64_t grace_s, const char *reason) {
        int64_t deadline = clock_mono_ms() + (grace_s > 0 ? grace_s * 1000 : 0);
        if (c->state != CONTAINER_RUNNING)
                return;
        if (c->killing) {
                /* Asked again with less time. */
                if (deadline < c->kill_deadline_ms) {
                        c->kill_deadline_ms = deadline;
                        if (c->kill_timer)
                                timer_again(c->kill_timer, grace_s > 0 ? grace_s * 1000 : 0, 0);
                        else
                                terminate(c);
                }
                return;
        }
        c->killing = true;
        c->kill_reason = reason;
        c->kill_deadline_ms = deadline;
        container_event(c, "Normal", "Killing", "%s", reason);
        probes_stop(c);
        /* preStop runs within the grace period; whatever happens to it, the container is then told to end. */
        if (grace_s <= 0 || !container_hook(c, "preStop", grace_s * 1000, on_pre_stop))
                terminate(c);
}
