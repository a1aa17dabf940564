#include "cluster/podrt/archive.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "cluster/podrt/kubelet-internal.h"
#include "cluster/podrt/rootfs.h"
#include "cluster/podrt/sparkcmd.h"
#include "codec/sha256.h"

enum { IDLE_MS = 3000, MAX_FAILURES = 2 };

/* What drivers and executors do: SQL, a shuffle, Python workers, files, and the Kubernetes client up to an answer (401). Each part
 * may fail without harm; what was loaded until then is in the archive. */
static const char warm_up[] =
        "import os\n"
        "from pyspark.sql import SparkSession\n"
        "s = SparkSession.builder.appName('warm-up').getOrCreate()\n"
        "sc = s.sparkContext\n"
        "def part(f):\n"
        "    try:\n"
        "        f()\n"
        "    except Exception as e:\n"
        "        print('skipped:', type(e).__name__)\n"
        "part(lambda: sc.parallelize(range(100), 2).map(lambda x: (x % 3, x)).reduceByKey(lambda a, b: a + b).collect())\n"
        "df = s.range(1000).selectExpr('id', 'id % 7 as k', 'cast(id as string) as t')\n"
        "part(lambda: df.groupBy('k').count().orderBy('k').collect())\n"
        "part(lambda: df.join(df.groupBy('k').count(), 'k').where('k > 2').show(3))\n"
        "df.createOrReplaceTempView('v')\n"
        "part(lambda: s.sql('select k, sum(id) n, max(t) m from v group by k having n > 1 order by n').collect())\n"
        "part(lambda: df.write.mode('overwrite').parquet('/tmp/warm/p'))\n"
        "part(lambda: s.read.parquet('/tmp/warm/p').where('k = 1').count())\n"
        "part(lambda: df.limit(5).write.mode('overwrite').json('/tmp/warm/j'))\n"
        "part(lambda: s.read.json('/tmp/warm/j').count())\n"
        "part(lambda: df.limit(5).write.mode('overwrite').csv('/tmp/warm/c'))\n"
        "j = sc._jvm\n"
        "loader = j.java.lang.Thread.currentThread().getContextClassLoader()\n"
        "for c in ['org.apache.spark.scheduler.cluster.k8s.KubernetesClusterManager',\n"
        "          'org.apache.spark.scheduler.cluster.k8s.KubernetesClusterSchedulerBackend',\n"
        "          'org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend',\n"
        "          'org.apache.spark.scheduler.cluster.k8s.ExecutorPodsAllocator',\n"
        "          'org.apache.spark.scheduler.cluster.k8s.ExecutorPodsLifecycleManager',\n"
        "          'org.apache.spark.scheduler.cluster.k8s.ExecutorPodsWatchSnapshotSource',\n"
        "          'org.apache.spark.scheduler.cluster.k8s.ExecutorPodsPollingSnapshotSource',\n"
        "          'org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBuilder',\n"
        "          'org.apache.spark.deploy.k8s.features.BasicExecutorFeatureStep',\n"
        "          'org.apache.spark.deploy.k8s.SparkKubernetesClientFactory',\n"
        "          'org.apache.spark.executor.CoarseGrainedExecutorBackend',\n"
        "          'org.apache.spark.storage.BlockManagerMasterEndpoint']:\n"
        "    part(lambda: j.java.lang.Class.forName(c, True, loader))\n"
        "def client():\n"
        "    k = j.io.fabric8.kubernetes.client\n"
        "    config = k.ConfigBuilder().withMasterUrl(os.environ['FIRESTEEL_API']).withTrustCerts(True).withRequestRetryBackoffLimit(0).build()\n"
        "    c = k.KubernetesClientBuilder().withConfig(config).build()\n"
        "    pod = j.io.fabric8.kubernetes.api.model.PodBuilder().withNewMetadata().withName('x').endMetadata().withNewSpec().endSpec().build()\n"
        "    text = k.utils.Serialization.asJson(pod)\n"
        "    k.utils.Serialization.unmarshal(text)\n"
        "    try:\n"
        "        c.pods().inNamespace('default').list()\n"
        "    finally:\n"
        "        c.close()\n"
        "part(client)\n"
        "s.stop()\n"
        /* Byte code that is not compared with its source: the times in a zip file depend on the time zone of whoever reads it. */
        "def library():\n"
        "    import copy, py_compile, shutil, tempfile, zipfile\n"
        "    os.umask(0o022)\n"
        "    source, target = '/opt/spark/python/lib', '/archive/python'\n"
        "    os.mkdir(target)\n"
        "    for name in os.listdir(source):\n"
        "        if not name.endswith('.zip'):\n"
        "            shutil.copy(f'{source}/{name}', target)\n"
        "            continue\n"
        "        with zipfile.ZipFile(f'{source}/{name}') as z, zipfile.ZipFile(f'{target}/{name}', 'w') as out, tempfile.TemporaryDirectory() as scratch:\n"
        "            for item in z.infolist():\n"
        "                out.writestr(copy.copy(item), z.read(item))\n"
        "                if item.filename.endswith('.py'):\n"
        "                    code = scratch + '/code'\n"
        "                    if py_compile.compile(z.extract(item, scratch), code, f'{source}/{name}/{item.filename}', quiet=2,\n"
        "                                          invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH):\n"
        "                        out.write(code, item.filename + 'c')\n"
        "    os.rename(target, target + '.done')\n"
        "part(library)\n";

struct wanted {
        char *path; /* of the finished archive */
        struct image image;
        int failures;
        bool is_done;
};

struct archives {
        struct kubelet *kubelet;
        char *dir;
        bool is_off;
        struct map wanted; /* by path; struct wanted, owned */
        struct timer *idle;
        struct making *making;
};

/* ---- which one ---- */

static void wanted_free(void *arg) {
        struct wanted *w = arg;
        free(w->path);
        image_done(&w->image);
        free(w);
}

/* What an archive depends on: the jars (names, sizes and times are checked by the JVM one by one) and the JVM itself. */
static char *archive_path(const struct archives *a, const struct image *image) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(free) char *jars = fs_join(image->spark_home, "jars");
        AUTO(free) char *release = fs_join(a->kubelet->images.java_home, "release");
        struct stat st = {0};
        (void)!stat(jars, &st);
        str_appendf(&text, "2 %s %lld %s\n", image->spark_home, (long long)st.st_mtime, a->kubelet->images.java_home);
        (void)!fs_read(release, 65536, &text, NULL);
        char hex[SHA256_HEX_SIZE];
        sha256_hex(str_sv(&text), hex);
        return xasprintf("%s/spark-%s-%.16s.jsa", a->dir, image->spark_version, hex);
}

static void copy_list(struct strv *to, const struct strv *from) {
        for (size_t i = 0; i < from->len; i++)
                strv_add(to, from->items[i]);
}

char *archives_python(const char *archive) {
        AUTO(free) char *dir = xasprintf("%s.python", archive);
        return fs_is_dir(dir) ? TAKE(dir) : NULL;
}

char *archives_find(struct archives *a, const struct image *image) {
        if (a->is_off || !image->spark_home || !a->kubelet->images.java_home || !sparkcmd_module_options(image->spark_version))
                return NULL;
        AUTO(free) char *path = archive_path(a, image);
        if (access(path, R_OK) == 0)
                return TAKE(path);
        if (!map_has(&a->wanted, path)) {
                struct wanted *w = NEW(struct wanted);
                w->path = xstrdup(path);
                w->image.spark_home = xstrdup(image->spark_home);
                w->image.spark_version = xstrdup(image->spark_version);
                copy_list(&w->image.paths, &image->paths);
                copy_list(&w->image.env, &image->env);
                map_set(&a->wanted, path, w);
        }
        return NULL;
}

/* ---- making one ---- */

struct making {
        struct archives *archives;
        struct wanted *wanted;
        char *dir, *net_dir, *log, *id, *scratch;
        uint32_t address;
        struct podnet_ranges ranges;
        struct bundle bundle;
        struct procid shim;
        struct fdwatch *watch;
        int watch_fd, result;
        bool is_starting, is_given_up;
        int exit_code;
};

static void add_command(struct making *m) {
        const struct image *image = &m->wanted->image;
        struct strv *argv = &m->bundle.args;
        AUTO(str) struct str cp = STR_INIT(0);
        strv_addf(argv, "%s/bin/java", m->archives->kubelet->images.java_home);
        strv_add(argv, "-XX:ArchiveClassesAtExit=/archive/classes.jsa");
        strv_add(argv, "-Xlog:cds=off");
        strv_add(argv, "-Xlog:cds+dynamic=off");
        /* The same jars under the paths they have in pods. The file name of slf4j is looked up on the host. */
        sparkcmd_jars(image->spark_home, image->spark_version, &cp);
        struct sv rest = str_sv(&cp), part;
        AUTO(str) struct str inside = STR_INIT(0);
        while (sv_split(&rest, ':', &part)) {
                AUTO(free) char *entry = sv_dup(part);
                str_appendf(&inside, "%s/opt/spark%s", inside.len ? ":" : "", entry + strlen(image->spark_home));
        }
        strv_add(argv, "-cp");
        strv_add(argv, str_cstr(&inside));
        strv_add(argv, "-Xmx1g");
        for (const char *const *o = sparkcmd_module_options(image->spark_version); *o; o++)
                strv_add(argv, *o);
        static const char *const rest_of_it[] = {"org.apache.spark.deploy.SparkSubmit",
                                                 "--master",
                                                 "local[2]",
                                                 "--conf",
                                                 "spark.ui.enabled=false",
                                                 "--conf",
                                                 "spark.driver.bindAddress=127.0.0.1",
                                                 "--conf",
                                                 "spark.driver.host=127.0.0.1",
                                                 "/archive/warm_up.py"};
        for (size_t i = 0; i < ARRAY_LEN(rest_of_it); i++)
                strv_add(argv, rest_of_it[i]);
}

static int prepare_bundle(struct making *m, struct err *err) {
        struct kubelet *k = m->archives->kubelet;
        AUTO(free) char *script = fs_join(m->scratch, "warm_up.py");
        AUTO(free) char *config_path = fs_join(m->dir, "config.json");
        int r = fs_remove_tree(m->dir, err);
        if (r < 0 || (r = fs_mkdirs(m->dir, 0755, err)) < 0 || (r = fs_mkdirs(m->scratch, 0755, err)) < 0)
                return r;
        AUTO(free) char *hosts = fs_join(m->scratch, "hosts");
        if ((r = fs_write(script, SV(warm_up), 0644, err)) < 0 ||
            (r = fs_write(hosts, SV("127.0.0.1\tlocalhost archive\n"), 0644, err)) < 0)
                return r;
        struct rootfs_spec spec = {.dir = m->dir,
                                   .has_overlay = k->o.isolation->has_overlay,
                                   .is_in_user_namespace = k->o.holder->has_user_namespace,
                                   .spark_home = m->wanted->image.spark_home,
                                   .paths = &m->wanted->image.paths,
                                   .hosts_file = hosts};
        if ((r = rootfs_make(&spec, &m->bundle, err)) < 0)
                return r;
        bundle_bind(&m->bundle, "/archive", m->scratch, false);
        AUTO(free) char *config = bundle_write(&m->bundle);
        return fs_write(config_path, sv_of(config), 0600, err);
}

static void making_work(void *arg) {
        struct making *m = arg;
        struct kubelet *k = m->archives->kubelet;
        worker_umask();
        m->result = prepare_bundle(m, NULL);
        if (m->result == 0)
                m->result = podnet_create(m->net_dir, "fsarchive", "archive", m->address, &m->ranges, NULL);
        pod_cgroup_make(k, m->bundle.cgroups_path, 2);
        struct shim_spec spec = {.program = k->program,
                                 .dir = m->dir,
                                 .id = m->id,
                                 .runtime = k->o.isolation->runtime,
                                 .runtime_root = k->runtime_root,
                                 .without_cgroups = !k->has_cgroups,
                                 .log_path = m->log};
        if (m->result == 0)
                m->result = shim_start(&spec, &m->shim, NULL);
}

static void keep_python(const struct making *m) {
        AUTO(free) char *made = fs_join(m->scratch, "python.done");
        AUTO(free) char *kept = xasprintf("%s.python", m->wanted->path);
        (void)!fs_remove_tree(kept, NULL); /* of one that was given up between the two */
        if (fs_is_dir(made) && rename(made, kept) < 0)
                log_debug("%s: %s", kept, strerror(errno));
}

static void finish_work(void *arg) {
        struct making *m = arg;
        AUTO(shim_exit) struct shim_exit e = {.exit_code = 255};
        AUTO(free) char *made = fs_join(m->scratch, "classes.jsa");
        struct stat st;
        if (m->shim.pid > 0)
                waitpid(m->shim.pid, NULL, 0);
        m->exit_code = shim_read_exit(m->dir, &e, NULL) == 0 ? e.exit_code : 255;
        m->result = -EIO;
        if (access(m->wanted->path, R_OK) == 0) {
                m->result = 0; /* another instance was faster, and its pods may have it in use */
        } else if (m->exit_code == 0 && stat(made, &st) == 0 && st.st_size > 0 && chmod(made, 0644) == 0) {
                /* First the library: who finds the archive finds both. */
                keep_python(m);
                m->result = rename(made, m->wanted->path) == 0 ? 0 : -errno;
        }
        (void)!podnet_destroy(m->net_dir, "fsarchive", NULL);
        (void)!fs_remove_tree(m->dir, NULL);
        (void)!fs_remove_tree(m->scratch, NULL);
}

static void making_free(struct making *m) {
        free(m->dir);
        free(m->net_dir);
        free(m->log);
        free(m->id);
        free(m->scratch);
        bundle_done(&m->bundle);
        free(m);
}

static void finish_done(void *arg) {
        struct making *m = arg;
        struct archives *a = m->archives;
        struct kubelet *k = a->kubelet;
        podnet_pool_release(&k->addresses, m->address);
        m->wanted->is_done = m->result == 0;
        if (m->result < 0 && !m->is_given_up)
                m->wanted->failures++;
        a->making = NULL;
        making_free(m);
        if (!k->is_stopping)
                archives_idle(a);
        kubelet_job_done(k);
}

static void finish(struct making *m) {
        m->archives->kubelet->jobs++;
        loop_work(m->archives->kubelet->o.loop, finish_work, finish_done, m);
}

static void on_end(void *arg) {
        struct making *m = arg;
        fdwatch_free(TAKE(m->watch));
        close(TAKE_FD(m->watch_fd));
        finish(m);
}

static void stop(struct making *m) {
        m->is_given_up = true;
        if (m->watch_fd >= 0)
                syscall(SYS_pidfd_send_signal, m->watch_fd, SIGTERM, NULL, 0);
}

static void making_started(void *arg) {
        struct making *m = arg;
        kubelet_job_done(m->archives->kubelet);
        m->is_starting = false;
        if (m->result < 0 || procid_open(&m->shim, &m->watch_fd, NULL) < 0) {
                finish(m);
                return;
        }
        m->watch = fdwatch_new(m->archives->kubelet->o.loop, m->watch_fd, on_end, m);
        if (m->is_given_up)
                stop(m);
}

static void make(struct archives *a, struct wanted *w) {
        struct kubelet *k = a->kubelet;
        uint32_t address = 0;
        if (podnet_pool_take(&k->addresses, &address, NULL) < 0)
                return;
        struct making *m = NEW(struct making);
        /* Instances of one name may share the place for archives and differ in their own. */
        char mine[SHA256_HEX_SIZE];
        sha256_hex(sv_of(k->dir), mine);
        *m = (struct making){.archives = a,
                             .wanted = w,
                             .dir = fs_join(k->dir, "archive"),
                             .net_dir = fs_join(k->dir, "archive-ns"),
                             .log = fs_join(k->dir, "archive.log"),
                             .id = xasprintf("archive-%s", k->node_name),
                             .scratch = xasprintf("%s.%.16s", w->path, mine),
                             .address = address,
                             .ranges = k->o.ranges,
                             .watch_fd = -1,
                             .is_starting = true};
        struct bundle *b = &m->bundle;
        b->cwd = xstrdup("/tmp");
        b->namespace_dir = xstrdup(m->net_dir);
        b->is_in_user_namespace = k->o.holder->has_user_namespace;
        b->has_cgroups = k->has_cgroups;
        b->cpu_shares = 2;
        b->cgroups_path = xasprintf("%s/firesteel/%s/archive", k->o.isolation->cgroup_base, k->node_name);
        copy_list(&b->env, &w->image.env);
        strv_add(&b->env, "HOME=/root");
        strv_addf(&b->env, "FIRESTEEL_API=https://%s", k->o.api_address);
        add_command(m);
        a->making = m;
        k->jobs++;
        loop_work(k->o.loop, making_work, making_started, m);
}

static void on_idle(void *arg) {
        struct archives *a = arg;
        timer_free(TAKE(a->idle));
        if (a->making || a->kubelet->is_stopping)
                return;
        map_foreach(e, &a->wanted) {
                struct wanted *w = e->value;
                if (w->is_done || w->failures >= MAX_FAILURES)
                        continue;
                if (access(w->path, R_OK) == 0)
                        w->is_done = true;
                else {
                        make(a, w);
                        return;
                }
        }
}

void archives_idle(struct archives *a) {
        if (!a->idle && !a->making && a->wanted.len)
                a->idle = timer_new(a->kubelet->o.loop, IDLE_MS, 0, on_idle, a);
}

void archives_busy(struct archives *a) {
        timer_free(TAKE(a->idle));
        if (a->making)
                stop(a->making);
}

bool archives_are_busy(const struct archives *a) { return a->making != NULL; }

struct archives *archives_new(struct kubelet *k) {
        struct archives *a = NEW(struct archives);
        const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *off = getenv("FIRESTEEL_CLASS_ARCHIVES");
        *a = (struct archives){.kubelet = k, .wanted = MAP_INIT(wanted_free), .is_off = (off && streq(off, "0")) || !k->o.holder};
        a->dir = cache && cache[0] ? xasprintf("%s/firesteel/archives", cache)
                 : home && home[0] ? xasprintf("%s/.cache/firesteel/archives", home)
                                   : fs_join(k->dir, "archives");
        if (fs_mkdirs(a->dir, 0755, NULL) < 0)
                a->is_off = true;
        return a;
}

void archives_free(struct archives *a) {
        if (!a)
                return;
        timer_free(a->idle);
        map_done(&a->wanted);
        free(a->dir);
        free(a);
}
