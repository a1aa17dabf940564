#include "../kube/fake_api.h"

#include <fcntl.h>
#include <unistd.h>

#include "submit/batch.h"

/* What a batch said, a line each: "3 ok pi", "4 failed: ...", "5 warning: ...". */
struct told {
        struct str text;
        bool interrupted;
        int pipe;         /* after the first result this is written into it */
        const char *more; /* NULL = nothing */
};
static void on_result(void *arg, const struct batch_result *r) {
        struct told *t = arg;
        if (r->err) {
                str_appendf(&t->text, "%zu failed: %s\n", r->line, err_message(r->err));
        } else {
                assert_true(r->submission_id && r->app_id && r->namespace_ && r->pod);
                str_appendf(&t->text, "%zu ok %s in %s\n", r->line, r->app_name, r->namespace_);
        }
        if (t->more) {
                assert_true(fs_write_all(t->pipe, t->more, strlen(t->more)) >= 0);
                t->more = NULL;
                close(t->pipe);
        }
}
static void on_warning(void *arg, size_t line, const char *text) {
        str_appendf(&((struct told *)arg)->text, "%zu warning: %s\n", line, text);
}

/* Creates and deletes all it is asked to, but pods of an application whose name begins with "forbidden", and at once but for names that
 * begin with "slow". */
struct late {
        struct http_exchange *exchange;
        struct timer *timer;
};
static void answer_late(void *arg) {
        struct late *l = arg;
        answer(l->exchange, 201, "{\"metadata\":{\"name\":\"x\",\"uid\":\"u\"}}");
        timer_free(l->timer);
        free(l);
}
static void create_all(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        bool is_pod = streq(request->method, "POST") && str_ends(request->path, "/pods");
        if (is_pod && sv_find(request->body, SV("\"forbidden")) >= 0) {
                answer(x, 403, STATUS(403, "Forbidden", "not you"));
        } else if (is_pod && sv_find(request->body, SV("\"slow")) >= 0) {
                struct late *l = NEW(struct late);
                l->exchange = x;
                l->timer = timer_new(api->loop, 50, 0, answer_late, l);
        } else {
                answer(x, streq(request->method, "POST") ? 201 : 200, "{\"metadata\":{\"name\":\"x\",\"uid\":\"u\"}}");
        }
}

static const struct batch_options plain = {0};

/* Runs `lines`, one application a line, against the test's server. */
static int run_fd(struct fake_api *api, int fd, const struct batch_options *more, struct told *t, struct batch_counts *counts,
                  struct err *err) {
        AUTO(strv) struct strv common = {0};
        AUTO(free) char *master = xasprintf("k8s://%s", api->access.server);
        const char *const words[] = {"--master", master, "--conf", "spark.kubernetes.container.image=apache/spark:4.1.4"};
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                strv_add(&common, words[i]);
        if (!api->handler)
                api->handler = create_all;
        struct batch_options o = *more;
        o.loop = api->loop;
        o.fd = fd;
        o.common = &common;
        o.interrupted = &t->interrupted;
        o.on_result = on_result;
        o.on_warning = on_warning;
        o.arg = t;
        return batch_run(&o, counts, err);
}
static struct batch_counts run(void **state, const char *lines, const struct batch_options *more, const char *expected) {
        AUTO(free) char *path = write_file(((struct fake_api *)*state)->dir, "jobs", lines);
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        AUTO(str) struct str text = STR_INIT(0);
        struct told t = {.text = STR_INIT(0)};
        struct batch_counts counts = {0};
        ok(run_fd(*state, fd, more, &t, &counts, test_err()));
        str_append_sv(&text, str_sv(&t.text));
        str_done(&t.text);
        if (expected)
                assert_string_equal(str_cstr(&text), expected);
        return counts;
}
#define JOB(name) "--name " name " local:///a.py"

static void lines_are_command_lines(void **state) {
        struct batch_counts counts = run(state,
                                         "# what a shell script might hold\n"
                                         "\n"
                                         "--name plain local:///a.py 1 2\n"
                                         "  /opt/spark/bin/spark-submit --name 'with blanks' local:///a.py # and a comment\n"
                                         "firesteel submit --name ours -c spark.kubernetes.namespace=n local:///a.py\n"
                                         "--name last local:///a.py", /* without an end of line */
                                         &plain,
                                         "3 ok plain in default\n4 ok with blanks in default\n5 ok ours in n\n6 ok last in default\n");
        assert_int_equal(counts.submitted, 4);
        assert_int_equal(counts.failed, 0);
        assert_false(counts.stopped);
}

static void no_lines_are_no_jobs(void **state) {
        struct batch_counts counts = run(state, "# nothing\n\n", &plain, "");
        assert_int_equal(counts.submitted + counts.failed, 0);
        assert_int_equal(((struct fake_api *)*state)->requests.len, 0);
}

static void one_bad_line_does_not_stop_the_others(void **state) {
        struct batch_counts counts = run(state,
                                         JOB("good") "\n"
                                                     "--name 'open local:///a.py\n"
                                                     "--kill x\n"
                                                     "--deploy-mode client local:///a.py\n"
                                                     "--name without-application\n"
                                                     "--namee x local:///a.py\n" JOB("better") "\n",
                                         &plain, NULL);
        assert_int_equal(counts.submitted, 2);
        assert_int_equal(counts.failed, 5);
}

static void what_is_wrong_is_said_of_its_line(void **state) {
        run(state, "--deploy-mode client local:///a.py\n", &plain,
            "1 failed: a batch submits in cluster mode only; a driver in client mode is started by itself\n");
        run(state, "\n--status x\n", &plain,
            "2 failed: a batch only submits: --kill, --status, --help and --version have no place in it\n");
        run(state, "-c spark.kubernetes.driver.lable.x=1 " JOB("a") "\n", &plain,
            "1 warning: spark.kubernetes.driver.lable.x is not a key that Spark knows; did you mean spark.kubernetes.driver.label.x?\n1 ok a in default\n");
}

static void a_refusal_is_told_and_what_was_made_for_it_removed(void **state) {
        struct fake_api *api = *state;
        struct batch_counts counts = run(state, JOB("forbidden") "\n" JOB("fine") "\n", &plain, NULL);
        assert_int_equal(counts.submitted, 1);
        assert_int_equal(counts.failed, 1);
        size_t services = 0, maps = 0;
        vec_foreach(r, &api->requests) {
                services += str_starts(*r, "DELETE /api/v1/namespaces/default/services/forbidden-");
                maps += str_starts(*r, "DELETE /api/v1/namespaces/default/configmaps/spark-drv-");
                assert_false(str_starts(*r, "DELETE /api/v1/namespaces/default/services/fine-"));
                assert_false(str_starts(*r, "DELETE /api/v1/namespaces/default/pods/")); /* there was none */
        }
        assert_int_equal(services, 1);
        assert_int_equal(maps, 1);
}

static void results_come_in_the_order_of_the_lines(void **state) {
        run(state, JOB("slow-1") "\n" JOB("quick-2") "\n--oops\n" JOB("quick-4") "\n", &plain,
            "1 ok slow-1 in default\n2 ok quick-2 in default\n3 failed: Unrecognized option: --oops\n4 ok quick-4 in default\n");
}

static void one_at_a_time_when_asked(void **state) {
        struct fake_api *api = *state;
        run(state, JOB("slow-1") "\n" JOB("slow-2") "\n", &(struct batch_options){.in_flight = 1},
            "1 ok slow-1 in default\n2 ok slow-2 in default\n");
        /* The second one's first request comes after the last of the first. */
        size_t pods = 0, last_first = 0, first_second = 0;
        for (size_t i = 0; i < api->bodies.len; i++) {
                if (strstr(api->bodies.items[i], "slow-2") && !first_second)
                        first_second = i;
                if (str_ends(api->requests.items[i], "/pods?fieldManager=firesteel") && ++pods == 1)
                        last_first = i;
        }
        assert_int_equal(pods, 2);
        assert_true(first_second > last_first);
}

static void a_first_failure_may_end_it(void **state) {
        struct batch_counts counts =
                run(state, JOB("a") "\n--oops\n" JOB("b") "\n" JOB("c") "\n", &(struct batch_options){.fail_fast = true},
                    "1 ok a in default\n2 failed: Unrecognized option: --oops\n");
        assert_true(counts.stopped);
        assert_int_equal(counts.submitted, 1);
        assert_int_equal(counts.failed, 1);
}

static void options_of_the_batch_hold_for_every_line(void **state) {
        run(state, JOB("a") "\n-c spark.kubernetes.namespace=m " JOB("b") "\n", &(struct batch_options){.job = {.namespace_ = "n"}},
            "1 ok a in n\n2 failed: --namespace n and spark.kubernetes.namespace=m contradict each other\n");
        run(state, "-c spark.mine=1 " JOB("a") "\n", &(struct batch_options){.job = {.strict = true}},
            "1 failed: spark.mine is not a key that Spark knows\n");
}

static void clusters_have_a_maximum(void **state) {
        AUTO(str) struct str lines = STR_INIT(0);
        for (int i = 0; i <= BATCH_CLUSTERS_MAX; i++)
                str_appendf(&lines, "-c spark.kubernetes.authenticate.submission.oauthToken=t%d %s\n", i, JOB("a"));
        struct batch_counts counts = run(state, str_cstr(&lines), &plain, NULL);
        assert_int_equal(counts.submitted, BATCH_CLUSTERS_MAX);
        assert_int_equal(counts.failed, 1);
}

static void lines_have_a_maximum_and_what_was_read_counts(void **state) {
        AUTO(str) struct str lines = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        str_append_s(&lines, JOB("a") "\n--name ");
        for (int i = 0; i < BATCH_LINE_MAX / 8 + 1; i++)
                str_append_s(&lines, "aaaaaaaa");
        AUTO(free) char *path = write_file(((struct fake_api *)*state)->dir, "jobs", str_cstr(&lines));
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct told t = {.text = STR_INIT(0)};
        struct batch_counts counts = {0};
        assert_int_equal(run_fd(*state, fd, &plain, &t, &counts, &err), -E2BIG);
        assert_non_null(strstr(err_message(&err), "line 2 has more than"));
        assert_int_equal(counts.submitted, 1);
        str_done(&t.text);
}

static void a_directory_has_no_lines(void **state) {
        AUTO(fd) int fd = open("/", O_RDONLY | O_CLOEXEC);
        AUTO(err) struct err err = ERR_INIT;
        struct told t = {.text = STR_INIT(0)};
        struct batch_counts counts = {0};
        assert_int_equal(run_fd(*state, fd, &plain, &t, &counts, &err), -EISDIR);
        assert_true(str_starts(err_message(&err), "reading line 1"));
        str_done(&t.text);
}

/* ---- a pipe, whose lines come when they come ---- */

static void lines_of_a_pipe_are_taken_as_they_come(void **state) {
        struct fake_api *api = *state;
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        /* The rest of the second line is written when the first one's result is told: who waited for it would wait for ever. */
        const char *first = JOB("one") "\n--name tw";
        struct told t = {.text = STR_INIT(0), .pipe = ends[1], .more = "o local:///a.py\n"};
        struct batch_counts counts = {0};
        assert_true(fs_write_all(ends[1], first, strlen(first)) >= 0);
        ok(run_fd(api, ends[0], &plain, &t, &counts, test_err()));
        assert_string_equal(str_cstr(&t.text), "1 ok one in default\n2 ok two in default\n");
        assert_int_equal(counts.submitted, 2);
        close(ends[0]);
        str_done(&t.text);
}

/* ---- Ctrl-C ---- */

/* The pod's creation gets no answer. */
static void interrupt_at_pod(struct fake_api *api, struct http_exchange *x, const struct http_request *request) {
        struct told *t = api->arg;
        if (!streq(request->method, "POST") || !str_ends(request->path, "/pods")) {
                create_all(api, x, request);
                return;
        }
        t->interrupted = true;
        loop_stop(api->loop);
}

static void an_interrupt_takes_back_what_is_on_its_way_and_starts_nothing(void **state) {
        struct fake_api *api = *state;
        AUTO(free) char *path = write_file(api->dir, "jobs", JOB("a") "\n" JOB("b") "\n" JOB("c") "\n");
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct told t = {.text = STR_INIT(0)};
        struct batch_counts counts = {0};
        api->handler = interrupt_at_pod;
        api->arg = &t;
        ok(run_fd(api, fd, &(struct batch_options){.in_flight = 1}, &t, &counts, test_err()));
        assert_true(counts.stopped);
        assert_int_equal(counts.submitted + counts.failed, 1);
        assert_null(strstr(str_cstr(&t.text), "\n2 "));
        vec_foreach(b, &api->bodies) assert_null(strstr(*b, "\"c\""));
        str_done(&t.text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                with_api(lines_are_command_lines),
                with_api(no_lines_are_no_jobs),
                with_api(one_bad_line_does_not_stop_the_others),
                with_api(what_is_wrong_is_said_of_its_line),
                with_api(a_refusal_is_told_and_what_was_made_for_it_removed),
                with_api(results_come_in_the_order_of_the_lines),
                with_api(one_at_a_time_when_asked),
                with_api(a_first_failure_may_end_it),
                with_api(options_of_the_batch_hold_for_every_line),
                with_api(clusters_have_a_maximum),
                with_api(lines_have_a_maximum_and_what_was_read_counts),
                with_api(a_directory_has_no_lines),
                with_api(lines_of_a_pipe_are_taken_as_they_come),
                with_api(an_interrupt_takes_back_what_is_on_its_way_and_starts_nothing),
        };
        /* What a machine happens to be set to must not decide. */
        unsetenv("SPARK_HOME");
        unsetenv("SPARK_CONF_DIR");
        unsetenv("FIRESTEEL_SPARK_VERSION");
        return cmocka_run_group_tests_name("submit/batch", tests, NULL, NULL);
}
