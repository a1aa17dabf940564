#include "../kube/fixture.h"

#include "submit/logcause.h"

static char *cause_in(const char *text) {
        AUTO(strv) struct strv log = {0};
        strv_split(&log, text, '\n');
        return log_cause(&log);
}
static void cause_is(const char *text, const char *expected) {
        AUTO(free) char *found = cause_in(text);
        if (!streq_null(found, expected))
                fail_msg("\"%s\" instead of \"%s\" in:\n%s", found ? found : "(none)", expected ? expected : "(none)", text);
}

/* logs/NAME-3.5.9.log and logs/NAME-4.1.4.log: the last lines of drivers that failed on purpose. */
static void recorded_is(const char *name, const char *expected) {
        static const char *const versions[] = {"3.5.9", "4.1.4"};
        for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
                AUTO(free) char *path = xasprintf("%s/unit/submit/logs/%s-%s.log", TEST_DATA, name, versions[i]);
                AUTO(free) char *text = read_text(path);
                AUTO(free) char *found = cause_in(text);
                if (!found || !str_starts(found, expected))
                        fail_msg("%s %s: %s", name, versions[i], found ? found : "(none)");
        }
}

static void an_error_of_python_is_named_whatever_times_out_afterwards(void **state) {
        recorded_is("shutdown-timeout", "ValueError: the file has 3 columns, 4 are wanted");
}

static void an_error_of_a_worker_is_the_workers(void **state) {
        recorded_is("worker", "ZeroDivisionError: integer division or modulo by zero");
}

static void an_error_of_sql_is_told_as_pyspark_tells_it(void **state) {
        recorded_is("sql", "pyspark.errors.exceptions.captured.NumberFormatException: [CAST_INVALID_INPUT] The value 'abc'");
}

static void of_a_chain_of_exceptions_the_last_ended_it(void **state) { recorded_is("chained", "RuntimeError: could not read settings"); }

/* The pieces of a recording, put together as they come when the thread that copies Python's output is late. */
static void a_traceback_may_come_after_the_shutdown_and_between_its_lines(void **state) {
        cause_is("26/11/23 08:31:34 INFO SparkContext: Invoking stop() from shutdown hook\n"
                 "Traceback (most recent call last):\n"
                 "  File \"/app/app.py\", line 22, in <module>\n"
                 "26/11/23 08:35:31 WARN ShutdownHookManager: ShutdownHook '' timeout, java.util.concurrent.TimeoutException\n"
                 "java.util.concurrent.TimeoutException\n"
                 "\tat java.base/java.util.concurrent.FutureTask.get(FutureTask.java:204)\n"
                 "    raise RuntimeError(\"x\")\n"
                 "RuntimeError: x\n"
                 "26/11/23 08:35:33 ERROR ShutdownHookManager: ShutdownHookManager shutdown forcefully after 1 seconds.",
                 "RuntimeError: x");
}

static void an_exception_of_the_main_thread_is_followed_to_its_cause(void **state) {
        cause_is(
                "INFO a\nException in thread \"main\" org.x.A: b\n\tat x.Exception(y)\nCaused by: java.B: c\n\tat z\nCaused by: java.C: d\n\tat q\n"
                "26/11/23 08:32:34 INFO ShutdownHookManager: done",
                "Caused by: java.C: d");
        cause_is(
                "26/11/23 08:32:34 ERROR Executor: Exception in task 0.0\njava.X: y\nCaused by: java.Y: z\nException in thread \"main\" org.x.A: b\n\tat q",
                "Exception in thread \"main\" org.x.A: b");
        /* That Python failed is no news. */
        cause_is("Traceback (most recent call last):\n  File \"x.py\", line 1\nValueError: bad value\n"
                 "Exception in thread \"main\" org.apache.spark.SparkUserAppException: User application exited with 1\n\tat q",
                 "ValueError: bad value");
}

static void what_python_only_mentions_is_not_what_ended_it(void **state) {
        cause_is(
                "Traceback (most recent call last):\n  File \"x.py\", line 1\nValueError: bad value\n"
                "Exception ignored in atexit callback: <function f>\nTraceback (most recent call last):\n  File \"y.py\", line 2\nConnectionError: gone\n"
                "Exception in thread Thread-4 (run):\nTraceback (most recent call last):\n  File \"y.py\", line 2\nOSError: closed",
                "ValueError: bad value");
}

static void what_was_logged_is_taken_when_nothing_else_is_there(void **state) {
        cause_is(
                "26/11/23 08:32:30 ERROR TaskSetManager: Task 0 failed\njava.lang.RuntimeException: a\n\tat b\nCaused by: java.io.IOException: no space\n\tat c\n"
                "26/11/23 08:32:34 INFO SparkContext: Invoking stop() from shutdown hook\n"
                "26/11/23 08:32:44 WARN ShutdownHookManager: ShutdownHook '' timeout, java.util.concurrent.TimeoutException\njava.util.concurrent.TimeoutException\n\tat d",
                "Caused by: java.io.IOException: no space");
        cause_is(
                "26/11/23 08:32:44 WARN ShutdownHookManager: ShutdownHook '' timeout, java.util.concurrent.TimeoutException\njava.util.concurrent.TimeoutException\n\tat d",
                "java.util.concurrent.TimeoutException");
        cause_is(
                "python3: can't open file '/app/none.py': [Errno 2] No such file or directory\n26/11/23 08:32:44 INFO ShutdownHookManager: Shutdown hook called",
                "python3: can't open file '/app/none.py': [Errno 2] No such file or directory");
        cause_is("  File \"/app/a.py\", line 1\n    def (\n        ^\nSyntaxError: invalid syntax", "SyntaxError: invalid syntax");
        /* The beginning of the traceback is too far back. */
        cause_is(
                "  File \"/app/a.py\", line 1\npy4j.protocol.Py4JJavaError: An error occurred while calling o1.f.\n: org.x.A: b\n\tat c\nCaused by: org.x.B: d\n\tat e",
                "Caused by: org.x.B: d");
}

static void no_error_no_cause(void **state) {
        cause_is("", NULL);
        cause_is("26/11/23 08:32:30 INFO SparkContext: all is well\n\tat java.lang.Exception", NULL);
        cause_is("Traceback (most recent call last):", NULL); /* cut off */
}

static void calls_into_the_jvm_name_what_it_said(void **state) {
        cause_is(
                "Traceback (most recent call last):\n  File \"a.py\", line 1\npy4j.protocol.Py4JJavaError: An error occurred while calling o1.load.\n"
                ": java.io.FileNotFoundException: No such file: s3a://b/x\n\tat c\n\tat d\n",
                "java.io.FileNotFoundException: No such file: s3a://b/x");
}

static void long_lines_are_cut(void **state) {
        AUTO(str) struct str text = STR_INIT(0);
        str_append_s(&text, "Traceback (most recent call last):\nValueError: ");
        for (int i = 0; i < LOGCAUSE_MAX; i++)
                str_append_c(&text, 'x');
        AUTO(free) char *found = cause_in(str_cstr(&text));
        assert_int_equal(strlen(found), LOGCAUSE_MAX + 3);
        assert_true(str_ends(found, "x..."));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_dir(an_error_of_python_is_named_whatever_times_out_afterwards),
                with_dir(an_error_of_a_worker_is_the_workers),
                with_dir(an_error_of_sql_is_told_as_pyspark_tells_it),
                with_dir(of_a_chain_of_exceptions_the_last_ended_it),
                with_dir(a_traceback_may_come_after_the_shutdown_and_between_its_lines),
                with_dir(an_exception_of_the_main_thread_is_followed_to_its_cause),
                with_dir(what_python_only_mentions_is_not_what_ended_it),
                with_dir(what_was_logged_is_taken_when_nothing_else_is_there),
                with_dir(no_error_no_cause),
                with_dir(calls_into_the_jvm_name_what_it_said),
                with_dir(long_lines_are_cut),
        };
        return cmocka_run_group_tests_name("submit/logcause", tests, NULL, NULL);
}
