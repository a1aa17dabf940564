/* Control groups on directories that look like the kernel's. What the kernel itself does with them: tests/integration/cgroup_v2.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "cluster/podrt/cgroup.h"

static int set_up(void **state) {
        char name[] = "/tmp/firesteel-cgroup-XXXXXX";
        assert_non_null(mkdtemp(name));
        *state = xstrdup(name);
        return 0;
}

static int tear_down(void **state) {
        int r = fs_remove_tree(*state, NULL);
        free(*state);
        return r;
}

static void put(const char *root, const char *path, const char *text) {
        AUTO(free) char *file = fs_join(root, path), *dir = xstrndup(file, (size_t)(strrchr(file, '/') - file));
        assert_int_equal(fs_mkdirs(dir, 0755, NULL), 0);
        assert_int_equal(fs_write(file, sv_of(text), 0644, NULL), 0);
}

static void assert_file(const char *root, const char *path, const char *text) {
        AUTO(free) char *file = fs_join(root, path);
        AUTO(str) struct str found = STR_INIT(0);
        assert_int_equal(fs_read(file, 0, &found, NULL), 0);
        assert_string_equal(str_cstr(&found), text);
}

/* A group of version 2 with the files of one. */
static void put_group(const char *root, const char *path, const char *controllers, const char *procs) {
        AUTO(free) char *c = xasprintf("%s/cgroup.controllers", path), *s = xasprintf("%s/cgroup.subtree_control", path),
                        *p = xasprintf("%s/cgroup.procs", path), *w = xasprintf("%s/cpu.weight", path);
        put(root, c, controllers);
        put(root, s, "\n");
        put(root, p, procs);
        put(root, w, "100\n");
}

#define NOBODY 65534
static const int movable[] = {4711, 4712, 0};

static void root_on_version_2_turns_controllers_on(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        put_group(*state, ".", "cpuset cpu io memory hugetlb pids rdma misc\n", "1\n2\n");
        cgroup_probe(*state, true, SV("0::/\n"), movable, &r);
        assert_int_equal(r.mode, CGROUP_V2);
        assert_true(r.has_memory && r.has_cpu && !r.base);
        assert_file(*state, "cgroup.subtree_control", "+cpu +memory +pids");
}

static void what_is_on_already_is_not_written(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        put_group(*state, ".", "cpu memory pids\n", "1\n");
        put(*state, "cgroup.subtree_control", "cpu memory pids\n");
        cgroup_probe(*state, true, SV("0::/init.scope\n"), movable, &r);
        assert_true(r.has_memory && r.has_cpu);
        assert_file(*state, "cgroup.subtree_control", "cpu memory pids\n");
}

static void a_hierarchy_without_controllers_limits_nothing(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        put_group(*state, ".", "hugetlb\n", "1\n");
        cgroup_probe(*state, true, SV("0::/\n"), movable, &r);
        assert_int_equal(r.mode, CGROUP_V2);
        assert_false(r.has_memory || r.has_cpu);
}

static void root_on_version_1_has_hierarchies(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        put(*state, "memory/cgroup.procs", "");
        put(*state, "cpu/cgroup.procs", "");
        cgroup_probe(*state, true, SV("4:memory:/x\n1:cpu:/\n0::/\n"), movable, &r);
        assert_int_equal(r.mode, CGROUP_V1);
        assert_true(r.has_memory && r.has_cpu);
        cgroup_probe(*state, false, SV("4:memory:/x\n1:cpu:/\n0::/\n"), movable, &r);
        assert_int_equal(r.mode, CGROUP_NONE);
}

#define SCOPE "user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope"

static void an_ordinary_user_uses_a_delegated_group(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        put_group(*state, ".", "cpu memory pids\n", "");
        put_group(*state, SCOPE, "cpu memory pids\n", "4711\n4712\n");
        put_group(*state, SCOPE "/firesteel-server", "", "");
        cgroup_probe(*state, false, SV("1:name=systemd:/" SCOPE "\n0::/" SCOPE "\n"), movable, &r);
        assert_int_equal(r.mode, CGROUP_V2);
        assert_true(r.has_memory && r.has_cpu);
        assert_string_equal(r.base, "/" SCOPE);
        /* First out of the group, then the controllers; the last process written is what a plain file keeps. */
        assert_file(*state, SCOPE "/firesteel-server/cgroup.procs", "4712");
        assert_file(*state, SCOPE "/cgroup.subtree_control", "+cpu +memory +pids");
}

static void a_server_that_moved_before_finds_its_group_again(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        put_group(*state, ".", "cpu memory pids\n", "");
        put_group(*state, SCOPE, "memory pids\n", "");
        put_group(*state, SCOPE "/firesteel-server", "", "4711\n");
        cgroup_probe(*state, false, SV("0::/" SCOPE "/firesteel-server\n"), movable, &r);
        assert_string_equal(r.base, "/" SCOPE);
        assert_true(r.has_memory && !r.has_cpu);
}

static void a_group_with_other_processes_is_left_alone(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        put_group(*state, ".", "cpu memory pids\n", "");
        put_group(*state, SCOPE, "cpu memory pids\n", "4711\n900\n");
        cgroup_probe(*state, false, SV("0::/" SCOPE "\n"), movable, &r);
        assert_int_equal(r.mode, CGROUP_NONE);
        assert_null(r.base);
        assert_file(*state, SCOPE "/cgroup.procs", "4711\n900\n");
        assert_file(*state, SCOPE "/cgroup.subtree_control", "\n");
}

static void a_group_of_somebody_else_is_not_delegated(void **state) {
        AUTO(cgroup_rights) struct cgroup_rights r = {0};
        AUTO(free) char *group = fs_join(*state, "session.scope"), *control = fs_join(group, "cgroup.subtree_control"),
                        *procs = fs_join(group, "cgroup.procs"), *server = fs_join(group, "firesteel-server/cgroup.procs");
        put_group(*state, ".", "cpu memory pids\n", "");
        put_group(*state, "session.scope", "cpu memory pids\n", "4711\n");
        put(*state, "session.scope/firesteel-server/cgroup.procs", "");
        uid_t user = geteuid();
        if (user == 0) { /* who may write everything does not see whose it is */
                assert_int_equal(chmod(*state, 0755), 0);
                assert_int_equal(chown(group, NOBODY, NOBODY), 0);
                assert_int_equal(chown(procs, NOBODY, NOBODY), 0);
                assert_int_equal(chown(server, NOBODY, NOBODY), 0);
                assert_int_equal(setresuid(NOBODY, NOBODY, 0), 0);
        } else {
                assert_int_equal(chmod(control, 0444), 0);
        }
        cgroup_probe(*state, false, SV("0::/session.scope\n"), movable, &r);
        assert_int_equal(setresuid(user, user, user), 0);
        assert_int_equal(r.mode, CGROUP_NONE);
}

static void groups_get_their_weight_and_those_above_the_controllers(void **state) {
        put_group(*state, ".", "cpu memory pids\n", "");
        put_group(*state, "firesteel", "cpu memory pids\n", "");
        put_group(*state, "firesteel/default", "cpu memory pids\n", "");
        put_group(*state, "firesteel/default/uid", "cpu memory pids\n", "");
        cgroup_make(*state, CGROUP_V2, "/firesteel/default/uid", 1024);
        assert_file(*state, "firesteel/cgroup.subtree_control", "+cpu +memory +pids");
        assert_file(*state, "firesteel/default/cgroup.subtree_control", "+cpu +memory +pids");
        assert_file(*state, "firesteel/default/uid/cgroup.subtree_control", "\n"); /* the runtime's to do */
        assert_file(*state, "firesteel/default/uid/cpu.weight", "39");
        cgroup_make(*state, CGROUP_V2, "/firesteel/default/uid", 0);
        assert_file(*state, "firesteel/default/uid/cpu.weight", "1");
        cgroup_make(*state, CGROUP_V2, "/firesteel/default/uid", 262144);
        assert_file(*state, "firesteel/default/uid/cpu.weight", "10000");
        put(*state, "cpu/firesteel/default/cpu.shares", "1024\n");
        cgroup_make(*state, CGROUP_V1, "/firesteel/default", 205);
        assert_file(*state, "cpu/firesteel/default/cpu.shares", "205");
}

static void only_empty_groups_are_removed(void **state) {
        AUTO(free) char *empty = fs_join(*state, "memory/firesteel/a"), *full = fs_join(*state, "firesteel/a");
        put(*state, "firesteel/a/container/cgroup.procs", "");
        assert_int_equal(fs_mkdirs(empty, 0755, NULL), 0);
        cgroup_remove(*state, "/firesteel/a");
        assert_false(fs_exists(empty));
        assert_true(fs_exists(full));
}

static void files_are_found_in_both_versions(void **state) {
        AUTO(free) char *one = cgroup_file("/sys/fs/cgroup", CGROUP_V1, "memory", "/firesteel/i/u/c-0", "memory.oom_control");
        AUTO(free) char *two = cgroup_file("/sys/fs/cgroup", CGROUP_V2, "memory", "/" SCOPE "/firesteel/i/u/c-0", "memory.events");
        assert_string_equal(one, "/sys/fs/cgroup/memory/firesteel/i/u/c-0/memory.oom_control");
        assert_string_equal(two, "/sys/fs/cgroup/" SCOPE "/firesteel/i/u/c-0/memory.events");
}

static void kills_for_memory_are_counted_by_the_kernel(void **state) {
        static const struct {
                const char *text;
                bool killed;
        } cases[] = {{"low 0\nhigh 0\nmax 37\noom 1\noom_kill 1\noom_group_kill 0\n", true},
                     {"low 0\nhigh 0\nmax 37\noom 1\noom_kill 0\noom_group_kill 0\n", false},
                     {"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", true},
                     {"oom_kill_disable 1\nunder_oom 0\noom_kill 0\n", false},
                     {"oom_kill many\n", false},
                     {"", false}};
        AUTO(free) char *file = fs_join(*state, "memory.events");
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                put(*state, "memory.events", cases[i].text);
                assert_int_equal(cgroup_oom_killed(file), cases[i].killed);
        }
        assert_false(cgroup_oom_killed(""));
        assert_false(cgroup_oom_killed("/nowhere/memory.events"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(root_on_version_2_turns_controllers_on),
                TEST(what_is_on_already_is_not_written),
                TEST(a_hierarchy_without_controllers_limits_nothing),
                TEST(root_on_version_1_has_hierarchies),
                TEST(an_ordinary_user_uses_a_delegated_group),
                TEST(a_server_that_moved_before_finds_its_group_again),
                TEST(a_group_with_other_processes_is_left_alone),
                TEST(a_group_of_somebody_else_is_not_delegated),
                TEST(groups_get_their_weight_and_those_above_the_controllers),
                TEST(only_empty_groups_are_removed),
                TEST(files_are_found_in_both_versions),
                TEST(kills_for_memory_are_counted_by_the_kernel),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
