/* Runs one command in a container of its own instance and prints its address, its log and its exit record:
 *     run_container [--spark HOME] [--path DIR]... [--env K=V]... [--uid N] [--memory BYTES] [--dir DIR] COMMAND ARG...
 * Needs crun; as an ordinary user also user namespaces. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mount.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/rand.h"
#include "cluster/podrt/bundle.h"
#include "cluster/podrt/holder.h"
#include "cluster/podrt/isolation.h"
#include "cluster/podrt/rootfs.h"
#include "cluster/podrt/shim.h"

struct options {
        char *dir;
        const char *spark;
        struct strv paths, env;
        int64_t memory;
        uint32_t uid;
        bool keep;
};

static int die(struct err *err) {
        log_err(err);
        return 1;
}

static void wait_gone(const struct procid *p) {
        int fd = -1;
        if (procid_open(p, &fd, NULL) < 0)
                return;
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        (void)!poll(&poll_fd, 1, 600000);
        close(fd);
}

static int run(struct options *o, char **argv, struct err *err) {
        struct holder h = {0};
        struct holder_options ho = {.dir = o->dir, .ranges = PODNET_RANGES_DEFAULT};
        int64_t t0 = clock_mono_us();
        bool root = geteuid() == 0;
        int r = fs_mkdirs(o->dir, 0755, err);
        if (r < 0 || (r = holder_start(&ho, &h, err)) < 0 || (r = holder_enter(&h, err)) < 0)
                return r;
        int64_t t1 = clock_mono_us();
        AUTO(free) char *net = fs_join(o->dir, "pod-net");
        struct podnet_pool pool;
        uint32_t address = 0;
        podnet_pool_init(&pool, ho.ranges.pods);
        if ((r = podnet_pool_take(&pool, &address, err)) < 0 ||
            (r = podnet_create(net, "fs-test", "test-pod", address, &ho.ranges, err)) < 0)
                return r;
        int64_t t2 = clock_mono_us();
        char ip[IPV4_SIZE];
        ipv4_format(address, ip);
        AUTO(free) char *dir = fs_join(o->dir, "container");
        AUTO(free) char *hosts = fs_join(o->dir, "hosts");
        AUTO(free) char *hosts_text = xasprintf("127.0.0.1 localhost\n%s test-pod\n", ip);
        AUTO(free) char *log = fs_join(o->dir, "container.log");
        AUTO(free) char *runtime_root = fs_join(o->dir, "runtime");
        AUTO(free) char *runtime = fs_find_program("crun");
        AUTO(free) char *self = xcalloc(1, 4096);
        if (readlink("/proc/self/exe", self, 4095) < 0 || !runtime)
                return err_set(err, -ENOENT, "crun is not installed");
        if ((r = fs_mkdirs(dir, 0755, err)) < 0 || (r = fs_write(hosts, sv_of(hosts_text), 0644, err)) < 0)
                return r;
        AUTO(bundle) struct bundle b = {.is_in_user_namespace = !root, .has_cgroups = root, .uid = o->uid, .gid = o->uid};
        struct rootfs_spec rs = {.dir = dir,
                                 .has_overlay = true,
                                 .is_in_user_namespace = !root,
                                 .spark_home = o->spark,
                                 .paths = &o->paths,
                                 .hosts_file = hosts,
                                 .program = self,
                                 .uid = o->uid,
                                 .gid = o->uid};
        if ((r = rootfs_make(&rs, &b, err)) < 0)
                return r;
        for (char **a = argv; *a; a++)
                strv_add(&b.args, *a);
        strv_add(&b.env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        for (size_t i = 0; i < o->env.len; i++)
                strv_add(&b.env, o->env.items[i]);
        b.cwd = xstrdup(o->spark ? "/opt/spark/work-dir" : "/");
        b.namespace_dir = xstrdup(net);
        char id[17];
        rand_hex(id, 16);
        b.cgroups_path = xasprintf("/firesteel-test/%s", id);
        b.memory_limit = root ? o->memory : 0;
        AUTO(free) char *oom = root ? xasprintf("/sys/fs/cgroup/memory%s/memory.oom_control", b.cgroups_path) : NULL;
        AUTO(free) char *config = bundle_write(&b);
        AUTO(free) char *config_path = fs_join(dir, "config.json");
        if ((r = fs_write(config_path, sv_of(config), 0600, err)) < 0)
                return r;
        int64_t t3 = clock_mono_us();
        struct shim_spec spec = {.dir = dir,
                                 .id = id,
                                 .runtime = runtime,
                                 .runtime_root = runtime_root,
                                 .without_cgroups = !root,
                                 .log_path = log,
                                 .oom_file = oom,
                                 .memory_limit = root ? 0 : o->memory};
        struct procid shim = {0};
        if ((r = shim_start(&spec, &shim, err)) < 0)
                return r;
        int64_t t4 = clock_mono_us();
        printf("address %s; holder %.1f ms, network %.1f ms, bundle %.1f ms, start %.1f ms\n", ip, (double)(t1 - t0) / 1e3,
               (double)(t2 - t1) / 1e3, (double)(t3 - t2) / 1e3, (double)(t4 - t3) / 1e3);
        fflush(stdout);
        wait_gone(&shim);
        AUTO(shim_exit) struct shim_exit e = {0};
        if ((r = shim_read_exit(dir, &e, err)) < 0)
                return r;
        AUTO(str) struct str text = STR_INIT(0);
        (void)!fs_read(log, 0, &text, NULL);
        printf("%sexit %d signal %d oom %d after %.3f s%s%s\n", str_cstr(&text), e.exit_code, e.signal, e.is_oom,
               (double)(e.finished_us - e.started_us) / 1e6, e.error ? " error: " : "", e.error ? e.error : "");
        (void)!podnet_destroy(net, "fs-test", NULL);
        podnet_pool_done(&pool);
        return 0;
}

int main(int argc, char **argv) {
        int code;
        if (reexec_dispatch(argc, argv, &code))
                return code;
        struct options o = {0};
        int i = 1;
        for (; i + 1 < argc && str_starts(argv[i], "--"); i += 2) {
                if (streq(argv[i], "--spark"))
                        o.spark = argv[i + 1];
                else if (streq(argv[i], "--path"))
                        strv_add(&o.paths, argv[i + 1]);
                else if (streq(argv[i], "--env"))
                        strv_add(&o.env, argv[i + 1]);
                else if (streq(argv[i], "--uid"))
                        o.uid = (uint32_t)strtoul(argv[i + 1], NULL, 10);
                else if (streq(argv[i], "--memory"))
                        o.memory = strtoll(argv[i + 1], NULL, 10);
                else if (streq(argv[i], "--dir"))
                        o.dir = xstrdup(argv[i + 1]);
        }
        if (i >= argc) {
                fprintf(stderr, "run_container [OPTION VALUE]... COMMAND ARG...\n");
                return 2;
        }
        bool made = !o.dir;
        if (made) {
                char name[] = "/tmp/firesteel-run-XXXXXX";
                if (!mkdtemp(name))
                        return 1;
                o.dir = xstrdup(name);
        }
        struct err err = ERR_INIT;
        int r = run(&o, argv + i, &err);
        (void)!holder_stop(o.dir, NULL);
        if (r < 0)
                return die(&err);
        if (made)
                (void)!fs_remove_tree(o.dir, NULL);
        return 0;
}
