#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cluster/instance.h"

static char home[] = "/tmp/firesteel-test-XXXXXX";

static int set_up(void **state) {
        if (!mkdtemp(home))
                return -1;
        return setenv("XDG_STATE_HOME", home, 1);
}

static int tear_down(void **state) { return fs_remove_tree(home, NULL); }

static void open_prepared(const char *name, struct instance *ret) {
        assert_int_equal(instance_open(name, ret, NULL), 0);
        assert_int_equal(instance_prepare(ret, NULL), 0);
}

static void names_are_labels(void **state) {
        static const char *const bad[] = {"", "A", "a_b", "-a", "a-", "a/b", "..", "a.b", "an-instance-name-of-more-than-forty-characters"};
        AUTO(err) struct err err = ERR_INIT;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct instance none = {0};
                assert_int_equal(instance_open(bad[i], &none, &err), -EINVAL);
                assert_null(none.name);
        }
        AUTO(instance) struct instance i = {0};
        assert_int_equal(instance_open("spark-4-1", &i, NULL), 0);
        assert_true(str_ends(i.dir, "/firesteel/spark-4-1"));
        assert_false(instance_exists(&i));
}

static void a_directory_that_cannot_be_made_comes_with_a_remedy(void **state) {
        AUTO(instance) struct instance i = {0};
        AUTO(err) struct err err = ERR_INIT;
        setenv("XDG_STATE_HOME", "/proc/nowhere", 1);
        assert_int_equal(instance_open("x", &i, NULL), 0);
        assert_true(instance_prepare(&i, &err) < 0);
        assert_non_null(strstr(err.message, "/proc/nowhere"));
        setenv("XDG_STATE_HOME", home, 1);
}

static void the_environment_gives_new_instances_an_address(void **state) {
        AUTO(instance) struct instance i = {0};
        AUTO(instance_settings) struct instance_settings s = {0}, kept = {0};
        open_prepared("address", &i);
        setenv("FIRESTEEL_BIND", "127.7.7.7", 1);
        assert_int_equal(instance_load_settings(&i, &s, NULL), 0);
        assert_string_equal(s.bind, "127.7.7.7");
        assert_int_equal(instance_save_settings(&i, &s, NULL), 0);
        setenv("FIRESTEEL_BIND", "127.8.8.8", 1); /* too late for this one */
        assert_int_equal(instance_load_settings(&i, &kept, NULL), 0);
        assert_string_equal(kept.bind, "127.7.7.7");
        unsetenv("FIRESTEEL_BIND");
}

static void settings_survive(void **state) {
        AUTO(instance) struct instance i = {0};
        open_prepared("settings", &i);
        AUTO(instance_settings) struct instance_settings s = {0};
        assert_int_equal(instance_load_settings(&i, &s, NULL), 0);
        assert_string_equal(s.bind, "127.0.0.1");
        assert_int_equal(s.port, 0);
        s.port = 7000;
        s.memory_bytes = 8LL << 30;
        s.event_logs = xstrdup("/logs");
        s.history_port = -1;
        s.history_last_port = 18081;
        s.merged_into = xstrdup("/home/u/.kube/config");
        strv_add(&s.spark_homes, "/opt/spark");
        assert_int_equal(instance_save_settings(&i, &s, NULL), 0);
        AUTO(instance_settings) struct instance_settings back = {0};
        assert_int_equal(instance_load_settings(&i, &back, NULL), 0);
        assert_int_equal(back.port, 7000);
        assert_true(back.memory_bytes == 8LL << 30);
        assert_string_equal(back.event_logs, "/logs");
        assert_int_equal(back.history_port, -1);
        assert_int_equal(back.history_last_port, 18081);
        assert_string_equal(back.merged_into, "/home/u/.kube/config");
        assert_int_equal(back.spark_homes.len, 1);
}

static void broken_settings_name_the_file_and_the_line(void **state) {
        AUTO(instance) struct instance i = {0};
        AUTO(err) struct err err = ERR_INIT;
        open_prepared("broken", &i);
        AUTO(free) char *path = instance_path(&i, "instance.json");
        assert_int_equal(fs_write(path, SV("{\n \"port\": x}"), 0600, NULL), 0);
        AUTO(instance_settings) struct instance_settings s = {0};
        assert_int_equal(instance_load_settings(&i, &s, &err), -EINVAL);
        assert_non_null(strstr(err.message, "instance.json: line 2"));
        assert_non_null(err.hint);
}

static void the_lock_and_not_the_file_says_that_it_runs(void **state) {
        AUTO(instance) struct instance i = {0};
        open_prepared("lock", &i);
        const struct instance_server me = {.pid = getpid(),
                                           .start_ticks = process_start_ticks(getpid()),
                                           .bind = (char *)"127.0.0.1",
                                           .port = 1,
                                           .version = (char *)"1"};
        assert_int_equal(instance_write_server(&i, &me, NULL, NULL), 0);
        AUTO(instance_server) struct instance_server seen = {0};
        assert_int_equal(instance_running(&i, &seen, NULL), 0);

        int fd = -1;
        assert_int_equal(instance_lock(&i, &fd, NULL), 0);
        assert_int_equal(instance_running(&i, &seen, NULL), 1);
        assert_int_equal(seen.pid, getpid());
        assert_int_equal(seen.port, 1);
        int second = -1;
        assert_int_equal(instance_lock(&i, &second, NULL), -EBUSY);
        close(fd);
        assert_int_equal(instance_lock(&i, &fd, NULL), 0);
        close(fd);
}

/* `up` waits for the lock while `reset` takes the directory away, lock and all: what it then gets must be the lock that others ask for. */
static void who_waits_while_the_instance_is_removed_gets_the_new_lock(void **state) {
        AUTO(instance) struct instance i = {0};
        open_prepared("removed", &i);
        int held = -1, said[2];
        assert_int_equal(instance_lock_command(&i, &held, NULL), 0);
        assert_int_equal(pipe(said), 0);
        pid_t pid = fork();
        if (pid == 0) {
                AUTO(err) struct err err = ERR_INIT;
                int fd = -1, r;
                struct stat mine, named;
                close(held);
                if (write(said[1], "w", 1) != 1)
                        _exit(1);
                while ((r = instance_lock_command(&i, &fd, &err)) == -ENOENT && instance_prepare(&i, NULL) == 0)
                        err_clear(&err);
                AUTO(free) char *path = instance_path(&i, "command.lock");
                _exit(r == 0 && fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino ? 0 : 2);
        }
        char c;
        assert_int_equal(read(said[0], &c, 1), 1);
        usleep(20000); /* most likely it waits by now; if not, there is nothing to see */
        assert_int_equal(fs_remove_tree(i.dir, NULL), 0);
        close(held);
        int status = 1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        close(said[0]);
        close(said[1]);
}

static void a_server_that_has_not_described_itself_is_starting(void **state) {
        AUTO(instance) struct instance i = {0};
        open_prepared("starting", &i);
        AUTO(fd) int fd = -1;
        assert_int_equal(instance_lock(&i, &fd, NULL), 0);
        AUTO(instance_server) struct instance_server seen = {0};
        assert_int_equal(instance_running(&i, &seen, NULL), 2);
        /* The description of one that died, whose number another process now has. */
        const struct instance_server dead = {
                .pid = getpid(), .start_ticks = 1, .bind = (char *)"127.0.0.1", .port = 1, .version = (char *)"1"};
        assert_int_equal(instance_write_server(&i, &dead, NULL, NULL), 0);
        assert_int_equal(instance_running(&i, &seen, NULL), 2);
}

static void the_lock_ends_with_its_process(void **state) {
        AUTO(instance) struct instance i = {0};
        open_prepared("killed", &i);
        int ready[2];
        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork();
        if (pid == 0) {
                int fd;
                char c = instance_lock(&i, &fd, NULL) == 0 ? 'y' : 'n';
                if (write(ready[1], &c, 1) == 1)
                        pause();
                _exit(0);
        }
        char c = 0;
        assert_int_equal(read(ready[0], &c, 1), 1);
        assert_int_equal(c, 'y');
        AUTO(instance_server) struct instance_server seen = {0};
        assert_int_equal(instance_running(&i, &seen, NULL), 2);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_int_equal(instance_running(&i, &seen, NULL), 0);
        close(ready[0]);
        close(ready[1]);
}

static void one_that_is_being_killed_does_not_run(void **state) {
        pid_t pid = fork();
        if (pid == 0) {
                pause();
                _exit(0);
        }
        assert_int_not_equal(process_start_ticks(pid), 0);
        kill(pid, SIGKILL);
        assert_int_equal(process_start_ticks(pid), 0);
        waitpid(pid, NULL, 0);
        assert_int_equal(process_start_ticks(pid), 0);
}

static void a_zombie_does_not_run(void **state) {
        pid_t pid = fork();
        if (pid == 0)
                _exit(0);
        siginfo_t info;
        assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(process_start_ticks(pid), 0);
        waitpid(pid, NULL, 0);
}

static void lists_what_there_is(void **state) {
        AUTO(strv) struct strv names = {0};
        AUTO(instance) struct instance i = {0};
        open_prepared("listed", &i);
        AUTO(free) char *stray = xasprintf("%s/firesteel/Not-An-Instance", home);
        assert_int_equal(fs_mkdirs(stray, 0700, NULL), 0);
        assert_true(instance_names(&names, NULL) >= 1);
        assert_true(strv_has(&names, "listed"));
        assert_false(strv_has(&names, "Not-An-Instance"));
}

static void start_times_tell_processes_apart(void **state) {
        assert_true(process_start_ticks(getpid()) > 0);
        assert_true(process_start_ticks(getpid()) >= process_start_ticks(getppid()));
        assert_int_equal(process_start_ticks(0x7ffffffe), 0);
}

int main(void) {
        unsetenv("FIRESTEEL_BIND");
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_labels),
                cmocka_unit_test(a_directory_that_cannot_be_made_comes_with_a_remedy),
                cmocka_unit_test(the_environment_gives_new_instances_an_address),
                cmocka_unit_test(settings_survive),
                cmocka_unit_test(broken_settings_name_the_file_and_the_line),
                cmocka_unit_test(the_lock_and_not_the_file_says_that_it_runs),
                cmocka_unit_test(who_waits_while_the_instance_is_removed_gets_the_new_lock),
                cmocka_unit_test(a_server_that_has_not_described_itself_is_starting),
                cmocka_unit_test(the_lock_ends_with_its_process),
                cmocka_unit_test(one_that_is_being_killed_does_not_run),
                cmocka_unit_test(a_zombie_does_not_run),
                cmocka_unit_test(lists_what_there_is),
                cmocka_unit_test(start_times_tell_processes_apart),
        };
        return cmocka_run_group_tests_name("cluster/instance", tests, set_up, tear_down);
}
