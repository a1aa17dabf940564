#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cluster/podrt/proctree.h"

enum { SIZE = 64 << 20, STACK = 64 << 10 };

#ifndef __SANITIZE_THREAD__
static int wait_for_end(void *arg) {
        for (;;)
                pause();
        return 0;
}

/* A process with SIZE bytes of its own, which starts another: a fork, or one in the same memory as between vfork and exec. */
static pid_t start_two(int clone_flags, int ready_fd) {
        pid_t pid = fork();
        if (pid)
                return pid;
        setpgid(0, 0);
        char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(memory, 1, SIZE);
        if (memory == MAP_FAILED || stack == MAP_FAILED || clone(wait_for_end, stack + STACK, clone_flags | SIGCHLD, NULL) < 0 ||
            write(ready_fd, "x", 1) != 1)
                _exit(1);
        wait_for_end(NULL);
        _exit(0);
}

static void check(int clone_flags) {
        int ends[2];
        char c;
        assert_int_equal(pipe(ends), 0);
        pid_t pid = start_two(clone_flags, ends[1]);
        close(ends[1]);
        assert_int_equal(read(ends[0], &c, 1), 1);
        close(ends[0]);
        struct proctree_usage cheap;
        int64_t exact = 0;
        assert_int_equal(proctree_usage(pid, &cheap), 0);
        assert_int_equal(proctree_memory(pid, &exact), 0);
        assert_int_equal(cheap.processes, 2);
        assert_true(cheap.memory_bytes >= 2LL * SIZE);
        assert_true(exact >= SIZE);
        assert_true(cheap.memory_bytes - exact >= SIZE / 10 * 9);
        kill(-pid, SIGKILL); /* both */
        waitpid(pid, NULL, 0);
}

static void what_forked_processes_share_counts_once(void **state) { check(0); }
static void a_process_before_its_exec_is_its_parent(void **state) { check(CLONE_VM); }
#endif

static void nothing_is_known_of_what_is_gone(void **state) {
        int64_t bytes = 0;
        struct proctree_usage use;
        pid_t pid = fork();
        if (pid == 0)
                _exit(0);
        waitpid(pid, NULL, 0);
        assert_int_equal(proctree_usage(pid, &use), -ESRCH);
        assert_int_equal(proctree_memory(pid, &bytes), -ESRCH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_THREAD__ /* it loses its way in a child that clone() made */
                cmocka_unit_test(what_forked_processes_share_counts_once),
                cmocka_unit_test(a_process_before_its_exec_is_its_parent),
#endif
                cmocka_unit_test(nothing_is_known_of_what_is_gone),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
