/* What the pod runtime decides about containers: Spark's commands, images, environments, hosts files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/fs.h"
#include "cluster/podrt/image.h"
#include "cluster/podrt/podenv.h"
#include "cluster/podrt/sparkcmd.h"
#include "cluster/podrt/svctable.h"
#include "spark/text.h"

static int index_of(const struct strv *v, const char *text) {
        for (size_t i = 0; i < v->len; i++)
                if (streq(v->items[i], text))
                        return (int)i;
        return -1;
}

/* ---- Spark's commands ---- */

struct home {
        char dir[32];
        struct strv env;
};

static void touch(const char *dir, const char *name, const char *text) {
        AUTO(free) char *path = fs_join(dir, name);
        AUTO(free) char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
        assert_int_equal(fs_mkdirs(parent, 0755, NULL), 0);
        assert_int_equal(fs_write(path, sv_of(text), 0644, NULL), 0);
}

static int make_home(void **state) {
        struct home *h = NEW(struct home);
        memcpy(h->dir, "/tmp/firesteel-home-XXXXXX", sizeof "/tmp/firesteel-home-XXXXXX");
        assert_non_null(mkdtemp(h->dir));
        touch(h->dir, "jars/spark-core_2.13-4.1.4.jar", "");
        touch(h->dir, "jars/slf4j-api-2.0.17.jar", "");
        touch(h->dir, "conf/spark.properties", "spark.driver.memory=700m\nspark.driver.extraJavaOptions=-Dfoo=bar -Dq=\"a b\"\n");
        touch(h->dir, "archive.jsa", "x");
        strv_addf(&h->env, "SPARK_HOME=%s", h->dir);
        strv_add(&h->env, "JAVA_HOME=/jdk");
        strv_add(&h->env, "SPARK_DRIVER_BIND_ADDRESS=10.0.0.9");
        strv_add(&h->env, "FIRESTEEL_SPARK_VERSION=4.1.4");
        *state = h;
        return 0;
}

static int drop_home(void **state) {
        struct home *h = *state;
        assert_int_equal(fs_remove_tree(h->dir, NULL), 0);
        strv_done(&h->env);
        free(h);
        return 0;
}

static void build(const struct home *h, struct sparkcmd *c, const char *first, const char *second, const char *third, const char *fourth) {
        const char *args[] = {first, second, third, fourth, NULL};
        AUTO(err) struct err err = ERR_INIT;
        int r = sparkcmd_build(args, (const char *const *)h->env.items, c, &err);
        if (r < 0)
                fail_msg("%s", err_message(&err));
}

static void the_drivers_command_is_the_launchers(void **state) {
        struct home *h = *state;
        AUTO(sparkcmd) struct sparkcmd c = {0};
        AUTO(free) char *option = xasprintf("--properties-file=%s/conf/spark.properties", h->dir);
        AUTO(free) char *path = xasprintf("%s/conf/:%s/jars/slf4j-api-2.0.17.jar:%s/jars/*", h->dir, h->dir, h->dir);
        build(h, &c, "driver", option, "local:///x.py", "7");
        assert_null(c.launcher_reason);
        assert_string_equal(c.argv.items[0], "/jdk/bin/java");
        assert_string_equal(c.argv.items[1], "-cp");
        assert_string_equal(c.argv.items[2], path);
        assert_string_equal(c.argv.items[3], "-Xmx700m");
        assert_string_equal(c.argv.items[4], "-Dfoo=bar");
        assert_string_equal(c.argv.items[5], "-Dq=a b");
        assert_string_equal(c.argv.items[6], "-XX:+IgnoreUnrecognizedVMOptions");
        int main_class = index_of(&c.argv, "org.apache.spark.deploy.SparkSubmit");
        assert_true(main_class > 0);
        assert_string_equal(c.argv.items[main_class - 1], "-Dderby.connection.requireAuthentication=false");
        assert_string_equal(c.argv.items[main_class + 2], "spark.driver.bindAddress=10.0.0.9");
        assert_string_equal(c.argv.items[c.argv.len - 1], "7");
}

static void an_archive_moves_the_jars_to_the_front(void **state) {
        struct home *h = *state;
        AUTO(sparkcmd) struct sparkcmd c = {0};
        AUTO(free) char *path = xasprintf("%s/jars/slf4j-api-2.0.17.jar:%s/jars/*:%s/conf/", h->dir, h->dir, h->dir);
        strv_addf(&h->env, "FIRESTEEL_CLASS_ARCHIVE=%s/archive.jsa", h->dir);
        build(h, &c, "driver", "local:///x.py", NULL, NULL);
        int cp = index_of(&c.argv, "-cp");
        assert_string_equal(c.argv.items[cp + 1], path);
        assert_true(index_of(&c.argv, "-Xshare:auto") > 0);
        assert_true(index_of(&c.argv, "-Xmx1g") > 0); /* the default */
}

static void what_is_not_certain_goes_to_the_launcher(void **state) {
        struct home *h = *state;
        static const struct {
                const char *args[4];
                const char *env;
        } cases[] = {{{"driver", "--unheard-of", "x", NULL}, NULL},
                     {{"driver", "--conf", "spark.driver.extraJavaOptions=-Xmx5g", "local:///x.py"}, NULL},
                     {{"driver", "--properties-file", "/nowhere", "local:///x.py"}, NULL},
                     {{"driver", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"}, NULL},
                     {{"driver", "local:///x.py", NULL, NULL}, "FIRESTEEL_SPARK_LAUNCHER=1"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(sparkcmd) struct sparkcmd c = {0};
                AUTO(free) char *program = xasprintf("%s/bin/spark-submit", h->dir);
                if (cases[i].env)
                        strv_add(&h->env, cases[i].env);
                build(h, &c, cases[i].args[0], cases[i].args[1], cases[i].args[2], cases[i].args[3]);
                assert_non_null(c.launcher_reason);
                assert_string_equal(c.argv.items[0], program);
                assert_string_equal(c.argv.items[1], "--conf");
        }
}

static void the_executors_options_are_in_numeric_order(void **state) {
        struct home *h = *state;
        AUTO(sparkcmd) struct sparkcmd c = {0};
        static const char *const more[] = {
                "SPARK_JAVA_OPT_10=-Dten",    "SPARK_JAVA_OPT_2=-Dtwo",     "SPARK_DRIVER_URL=spark://d",     "SPARK_EXECUTOR_ID=3",
                "SPARK_EXECUTOR_CORES=1",     "SPARK_APPLICATION_ID=app",   "SPARK_EXECUTOR_POD_IP=10.0.0.4", "SPARK_RESOURCE_PROFILE_ID=0",
                "SPARK_EXECUTOR_POD_NAME=ex", "SPARK_EXECUTOR_MEMORY=512m", "SPARK_CLASSPATH=/user.jar"};
        for (size_t i = 0; i < ARRAY_LEN(more); i++)
                strv_add(&h->env, more[i]);
        build(h, &c, "executor", NULL, NULL, NULL);
        assert_true(index_of(&c.argv, "-Dtwo") < index_of(&c.argv, "-Dten"));
        assert_true(index_of(&c.argv, "-Xms512m") > 0);
        AUTO(free) char *path = xasprintf("%s/conf:/user.jar:%s/jars/*:.", h->dir, h->dir);
        assert_string_equal(c.argv.items[index_of(&c.argv, "-cp") + 1], path);
        assert_string_equal(c.argv.items[index_of(&c.argv, "--executor-id") + 1], "3");
        assert_string_equal(c.argv.items[c.argv.len - 1], "ex");
}

static void an_executor_without_its_variables_says_which(void **state) {
        struct home *h = *state;
        AUTO(sparkcmd) struct sparkcmd c = {0};
        AUTO(err) struct err err = ERR_INIT;
        const char *args[] = {"executor", NULL};
        assert_int_equal(sparkcmd_build(args, (const char *const *)h->env.items, &c, &err), -EINVAL);
        assert_non_null(strstr(err_message(&err), "SPARK_DRIVER_URL"));
}

static void other_commands_pass_through(void **state) {
        struct home *h = *state;
        AUTO(sparkcmd) struct sparkcmd c = {0};
        build(h, &c, "sh", "-c", "echo driver", NULL);
        assert_int_equal(c.argv.len, 3);
        assert_string_equal(c.argv.items[2], "echo driver");
}

static void option_strings_are_split_as_the_launcher_does(void **state) {
        AUTO(strv) struct strv v = {0};
        assert_true(java_options_split("  -Da='x y'  \"-Db=\\\"z\\\"\" -Dc=\\  ''", &v));
        assert_int_equal(v.len, 4);
        assert_string_equal(v.items[0], "-Da=x y");
        assert_string_equal(v.items[1], "-Db=\"z\"");
        assert_string_equal(v.items[2], "-Dc= ");
        assert_string_equal(v.items[3], "");
        AUTO(strv) struct strv bad = {0};
        assert_false(java_options_split("-Da='x", &bad));
}

/* ---- images ---- */

static char *make_java(const struct home *h, const char *name, const char *version) {
        char *dir = fs_join(h->dir, name);
        AUTO(free) char *bin = fs_join(dir, "bin");
        AUTO(free) char *program = fs_join(bin, "java");
        AUTO(free) char *release = fs_join(dir, "release");
        AUTO(free) char *text = xasprintf("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"%s\"\n", version);
        assert_int_equal(fs_mkdirs(bin, 0755, NULL), 0);
        assert_int_equal(fs_write(program, SV("#!/bin/sh\n"), 0755, NULL), 0);
        assert_int_equal(fs_write(release, sv_of(text), 0644, NULL), 0);
        return dir;
}

static void only_a_java_that_spark_supports_is_taken(void **state) {
        struct home *h = *state;
        AUTO(free) char *eight = make_java(h, "java-8", "1.8.0_412");
        AUTO(free) char *eleven = make_java(h, "java-11", "11.0.23");
        AUTO(free) char *newer = make_java(h, "java-21", "21.0.7");
        const char *dirs[] = {h->dir, NULL}, *unfit[] = {eight, "/nonexistent", eleven, NULL}, *fit[] = {eleven, newer, NULL},
                   *none[] = {NULL};
        struct image_store store;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(image) struct image image = {0};
        image_store_init(&store, &(struct image_store_options){.spark_dirs = dirs, .java_homes = unfit});
        assert_int_equal(image_resolve(&store, "apache/spark:4.1.4", &image, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), "needs Java 17 or 21, and there is only Java 8 in "));
        assert_non_null(strstr(err_message(&err), "Java 11 in "));
        image_store_done(&store);
        image_store_init(&store, &(struct image_store_options){.spark_dirs = dirs, .java_homes = none});
        err_clear(&err);
        assert_int_equal(image_resolve(&store, "apache/spark:4.1.4", &image, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), "no Java was found"));
        image_store_done(&store);
        image_store_init(&store, &(struct image_store_options){.spark_dirs = dirs, .java_homes = fit});
        assert_true(str_ends(store.java_home, "/java-21"));
        assert_int_equal(image_resolve(&store, "apache/spark:4.1.4", &image, NULL), 0);
        image_store_done(&store);
}

static void images_are_found_by_name_and_version(void **state) {
        struct home *h = *state;
        struct image_store store;
        const char *dirs[] = {h->dir, NULL};
        AUTO(free) char *java = make_java(h, "java", "17.0.15");
        const char *javas[] = {java, NULL};
        image_store_init(&store, &(struct image_store_options){.spark_dirs = dirs, .java_homes = javas});
        static const struct {
                const char *reference, *version;
                uint32_t uid;
        } good[] = {{"apache/spark:4.1.4", "4.1.4", 185},
                    {"docker.io/apache/spark:4.1.4-scala2.13-java17-python3-ubuntu", "4.1.4", 185},
                    {"docker.io/library/spark:4.1", "4.1.4", 185},
                    {"spark", "4.1.4", 185},
                    {"firesteel/spark:4.1.0", "4.1.4", 0},
                    {"busybox:1.36", NULL, 0}};
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
                AUTO(image) struct image image = {0};
                assert_int_equal(image_resolve(&store, good[i].reference, &image, NULL), 0);
                assert_true(streq_null(image.spark_version, good[i].version));
                assert_int_equal(image.uid, good[i].uid);
                assert_int_equal(image.note != NULL, streq(good[i].reference, "firesteel/spark:4.1.0"));
        }
        AUTO(err) struct err err = ERR_INIT;
        AUTO(image) struct image none = {0};
        assert_int_equal(image_resolve(&store, "apache/spark:3.5.9", &none, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), "installed: 4.1.4"));
        assert_int_equal(image_resolve(&store, "quay.io/apache/spark:4.1.4", &none, NULL), -ENOENT);
        assert_int_equal(image_resolve(&store, "a b", &none, NULL), -EINVAL);
        assert_int_equal(image_resolve(&store, "", &none, NULL), -EINVAL);
        image_store_done(&store);
}

/* ---- environments ---- */

static void variables_expand_as_in_kubernetes(void **state) {
        AUTO(map) struct map m = MAP_INIT(NULL);
        map_set(&m, "A", (void *)(uintptr_t) "1");
        map_set(&m, "B_C", (void *)(uintptr_t) "$(A)");
        static const struct {
                const char *text, *wanted;
        } cases[] = {{"$(A)", "1"},     {"x$(A)y$(A)", "x1y1"}, {"$(NONE)", "$(NONE)"}, {"$$(A)", "$(A)"}, {"$(B_C)", "$(A)"},
                     {"$(A", "$(A"},    {"$A", "$A"},           {"$", "$"},             {"$$", "$"},       {"$()", "$()"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(str) struct str out = STR_INIT(0);
                expand_variables(cases[i].text, &m, &out);
                assert_string_equal(str_cstr(&out), cases[i].wanted);
        }
}

static void fields_come_from_the_pod_and_the_node(void **state) {
        AUTO(json) yyjson_doc *doc = NULL;
        static const char text[] =
                "{\"metadata\":{\"name\":\"p\",\"labels\":{\"b\":\"2\",\"a\":\"x\\\"y\"}},\"spec\":{\"serviceAccountName\":\"sa\"}}";
        assert_int_equal(json_parse(SV(text), &doc, NULL), 0);
        struct object pod = {.doc = doc, .namespace = "ns", .name = "p", .uid = "u"};
        struct pod_facts facts = {.pod_ip = "10.0.0.5", .host_ip = "10.0.0.1", .node_name = "n"};
        static const struct {
                const char *path, *wanted;
        } cases[] = {{"metadata.name", "p"},
                     {"status.podIP", "10.0.0.5"},
                     {"metadata.labels['b']", "2"},
                     {"metadata.labels", "a=\"x\\\"y\"\nb=\"2\""},
                     {"metadata.annotations['z']", ""},
                     {"spec.serviceAccountName", "sa"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(str) struct str out = STR_INIT(0);
                assert_int_equal(field_value(&pod, &facts, cases[i].path, &out, NULL), 0);
                assert_string_equal(str_cstr(&out), cases[i].wanted);
        }
        AUTO(str) struct str out = STR_INIT(0);
        assert_int_equal(field_value(&pod, &facts, "metadata.nothing", &out, NULL), -EINVAL);
}

static void resources_are_divided_and_rounded_up(void **state) {
        AUTO(json) yyjson_doc *doc = NULL;
        struct pod_facts facts = {.node_cpu_milli = 2000, .node_memory_bytes = 1 << 30};
        assert_int_equal(json_parse(SV("{\"resources\":{\"limits\":{\"cpu\":\"1500m\"}}}"), &doc, NULL), 0);
        static const struct {
                const char *ref, *wanted;
        } cases[] = {{"{\"resource\":\"limits.cpu\"}", "2"},
                     {"{\"resource\":\"limits.cpu\",\"divisor\":\"1m\"}", "1500"},
                     {"{\"resource\":\"limits.memory\",\"divisor\":\"1Mi\"}", "1024"},
                     {"{\"resource\":\"requests.memory\"}", "0"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(json) yyjson_doc *r = NULL;
                AUTO(str) struct str out = STR_INIT(0);
                assert_int_equal(json_parse(sv_of(cases[i].ref), &r, NULL), 0);
                assert_int_equal(resource_value(yyjson_doc_get_root(doc), &facts, yyjson_doc_get_root(r), &out, NULL), 0);
                assert_string_equal(str_cstr(&out), cases[i].wanted);
        }
}

/* ---- names ---- */

static struct svc *add_svc(struct svctable *t, const char *name, const char *ip) {
        struct svc *s = vec_push(&t->list);
        s->ns = xstrdup("ns");
        s->name = xstrdup(name);
        s->ip = xstrdup_null(ip);
        return s;
}

static void hosts_name_services_as_the_cluster_does(void **state) {
        AUTO(svctable) struct svctable t = {0};
        AUTO(str) struct str out = STR_INIT(0);
        add_svc(&t, "web", "10.96.0.7");
        struct svc *headless = add_svc(&t, "db", NULL);
        struct endpoint *e = vec_push(&headless->endpoints);
        e->ip = xstrdup("10.244.0.9");
        e->hostname = xstrdup("db-0");
        struct hosts_pod p = {.ns = "ns", .name = "me", .ip = "10.244.0.5"};
        svctable_hosts(&t, &p, "cluster.local", &out);
        const char *text = str_cstr(&out);
        assert_non_null(strstr(text, "10.244.0.5\tme\n"));
        assert_non_null(strstr(text, "10.96.0.7\tweb.ns.svc.cluster.local web.ns.svc web.ns web\n"));
        assert_non_null(strstr(text, "10.244.0.9\tdb.ns.svc.cluster.local db.ns.svc db.ns db\n"));
        assert_non_null(strstr(text, "10.244.0.9\tdb-0.db.ns.svc.cluster.local db-0.db.ns.svc db-0.db.ns db-0.db\n"));
        /* From another namespace the short name is not there. */
        AUTO(str) struct str other = STR_INIT(0);
        p.ns = "elsewhere";
        svctable_hosts(&t, &p, "cluster.local", &other);
        assert_non_null(strstr(str_cstr(&other), "10.96.0.7\tweb.ns.svc.cluster.local web.ns.svc web.ns\n"));
}

static void names_resolve_to_the_same_addresses(void **state) {
        AUTO(svctable) struct svctable t = {0};
        AUTO(strv) struct strv found = {0};
        AUTO(free) char *alias = NULL;
        add_svc(&t, "web", "10.96.0.7");
        assert_true(svctable_resolve(&t, "WEB.ns.svc.cluster.local", "cluster.local", &found, &alias));
        assert_int_equal(found.len, 1);
        assert_string_equal(found.items[0], "10.96.0.7");
        assert_false(svctable_resolve(&t, "web.ns.svc.example.org", "cluster.local", &found, &alias));
        assert_false(svctable_resolve(&t, "none.ns.svc.cluster.local", "cluster.local", &found, &alias));
        assert_false(svctable_resolve(&t, "x.web.ns.svc.cluster.local", "cluster.local", &found, &alias));
        assert_null(alias);
        add_svc(&t, "elsewhere", NULL)->external_name = xstrdup("db.example.com");
        assert_true(svctable_resolve(&t, "elsewhere.ns.svc.cluster.local", "cluster.local", &found, &alias));
        assert_string_equal(alias, "db.example.com");
        assert_int_equal(found.len, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(the_drivers_command_is_the_launchers, make_home, drop_home),
            cmocka_unit_test_setup_teardown(an_archive_moves_the_jars_to_the_front, make_home, drop_home),
            cmocka_unit_test_setup_teardown(what_is_not_certain_goes_to_the_launcher, make_home, drop_home),
            cmocka_unit_test_setup_teardown(the_executors_options_are_in_numeric_order, make_home, drop_home),
            cmocka_unit_test_setup_teardown(an_executor_without_its_variables_says_which, make_home, drop_home),
            cmocka_unit_test_setup_teardown(other_commands_pass_through, make_home, drop_home),
            cmocka_unit_test(option_strings_are_split_as_the_launcher_does),
            cmocka_unit_test_setup_teardown(images_are_found_by_name_and_version, make_home, drop_home),
            cmocka_unit_test_setup_teardown(only_a_java_that_spark_supports_is_taken, make_home, drop_home),
            cmocka_unit_test(variables_expand_as_in_kubernetes),
            cmocka_unit_test(fields_come_from_the_pod_and_the_node),
            cmocka_unit_test(resources_are_divided_and_rounded_up),
            cmocka_unit_test(hosts_name_services_as_the_cluster_does),
            cmocka_unit_test(names_resolve_to_the_same_addresses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
