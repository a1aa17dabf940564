#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>

#include "event/loop.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static int run(const struct child_spec *spec, struct str *out, struct str *err_out) {
        int code = -1;
        AUTO(err) struct err err = ERR_INIT;
        if (child_run(spec, &code, out, err_out, &err) < 0)
                fail_msg("%s", err_message(&err));
        return code;
}

static void collects_output_and_exit_code(void **state) {
        AUTO(str) struct str out = STR_INIT(0);
        AUTO(str) struct str errors = STR_INIT(0);
        struct child_spec spec = {.argv = ARGV("sh", "-c", "cat; echo oops >&2; exit 7"), .stdin_text = SV("hello")};
        assert_int_equal(run(&spec, &out, &errors), 7);
        assert_string_equal(str_cstr(&out), "hello");
        assert_string_equal(str_cstr(&errors), "oops\n");
}

static void passes_environment_and_directory(void **state) {
        AUTO(str) struct str out = STR_INIT(0);
        struct child_spec spec = {.argv = ARGV("/bin/sh", "-c", "echo $A; pwd"), .env = ARGV("A=b", "PATH=/usr/bin:/bin"), .cwd = "/"};
        assert_int_equal(run(&spec, &out, NULL), 0);
        assert_string_equal(str_cstr(&out), "b\n/\n");
}

static void bounds_what_it_collects(void **state) {
        AUTO(str) struct str out = STR_INIT(0);
        struct child_spec spec = {.argv = ARGV("sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"), .max_output = 1000};
        assert_int_equal(run(&spec, &out, NULL), 0);
        assert_int_equal(out.len, 1000);
}

static void feeds_much_to_those_who_do_not_read(void **state) {
        AUTO(free) char *data = xcalloc(1, 1 << 20);
        struct child_spec spec = {.argv = ARGV("true"), .stdin_text = sv_new(data, 1 << 20)};
        assert_int_equal(run(&spec, NULL, NULL), 0);
}

static void names_programs_and_directories_that_are_missing(void **state) {
        AUTO(err) struct err err = ERR_INIT;
        struct child_spec spec = {.argv = ARGV("no-such-program-here")};
        assert_int_equal(child_run(&spec, NULL, NULL, NULL, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), "no-such-program-here"));
        spec = (struct child_spec){.argv = ARGV("true"), .cwd = "/no/such/dir"};
        assert_int_equal(child_run(&spec, NULL, NULL, NULL, &err), -ENOENT);
        assert_non_null(strstr(err_message(&err), "/no/such/dir"));
}

struct killed {
        bool done;
        int exit_code, signal;
};

static void on_done(void *arg, const struct child_result *result) {
        struct killed *k = arg;
        k->done = true;
        k->exit_code = result->exit_code;
        k->signal = result->signal;
}

/* The grandchild holds the pipes: only a signal to the whole group ends it. */
static void kills_the_whole_group(void **state) {
        AUTO(loop) struct loop *l = loop_new();
        struct killed k = {0};
        struct child *c = NULL;
        struct child_spec spec = {.argv = ARGV("sh", "-c", "sleep 1000 & wait")};
        assert_int_equal(child_start(l, &spec, on_done, &k, &c, NULL), 0);
        assert_true(child_pid(c) > 0);
        child_kill(c, SIGKILL);
        loop_run_until(l, &k.done);
        assert_int_equal(k.exit_code, 128 + SIGKILL);
        assert_int_equal(k.signal, SIGKILL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(collects_output_and_exit_code),
                cmocka_unit_test(passes_environment_and_directory),
                cmocka_unit_test(bounds_what_it_collects),
                cmocka_unit_test(feeds_much_to_those_who_do_not_read),
                cmocka_unit_test(names_programs_and_directories_that_are_missing),
                cmocka_unit_test(kills_the_whole_group),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
