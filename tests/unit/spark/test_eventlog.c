#include "spark/eventlog.h"

#include "unit/test.h"

struct replay {
        struct str image;
        struct appmodel m;
};

static const uint8_t fingerprint[AM_FINGERPRINT] = "of a test";

static int append(void *arg, const void *data, size_t len, struct err *err) {
        (void)err;
        str_append(arg, data, len);
        return 0;
}

static int header(void *arg, const void *data, size_t len, struct err *err) {
        (void)err;
        memcpy(((struct str *)arg)->data, data, len);
        return 0;
}

/* The image of text that arrives in steps. */
static struct str image(const char *text, size_t step, const struct eventlog_options *o, struct eventlog_batch *ahead) {
        struct str ret = STR_INIT(0);
        struct am_sink sink = {append, header, &ret};
        struct eventlog_options none = {0};
        AUTO(eventlog) struct eventlog *e = eventlog_new(&sink, o ? o : &none);
        for (size_t at = 0, len = strlen(text); at < len; at += step) {
                struct sv piece = sv_new(text + at, len - at < step ? len - at : step);
                if (ahead)
                        eventlog_batch_read(ahead, piece);
                if ((ahead ? eventlog_feed_batch(e, ahead, NULL) : eventlog_feed(e, piece, NULL)) <= 0)
                        break;
        }
        assert_true(eventlog_end_file(e, EVENTLOG_WHOLE, NULL, NULL) >= 0);
        assert_int_equal(eventlog_finish(e, fingerprint, NULL), 0);
        return ret;
}

/* Replays it; reading its lines ahead must make no difference. */
static void replay(struct replay *r, const char *text, size_t step, const struct eventlog_options *o) {
        AUTO(eventlog_batch) struct eventlog_batch *ahead = eventlog_batch_new();
        r->image = image(text, step, o, NULL);
        AUTO(str) struct str other = image(text, step, o, ahead);
        assert_int_equal(other.len, r->image.len);
        assert_memory_equal(other.data, r->image.data, other.len);
        assert_int_equal(appmodel_open(&r->m, r->image.data, r->image.len, fingerprint, NULL), 0);
}

#define STAGE(id, tasks)                                                                                                                  \
        "{\"Stage ID\":" #id ",\"Stage Attempt ID\":0,\"Stage Name\":\"s" #id "\",\"Number of Tasks\":" #tasks                            \
        ",\"RDD Info\":[],\"Parent IDs\":[],\"Details\":\"\",\"Submission Time\":10,\"Completion Time\":99,\"Accumulables\":[]}"
#define START "{\"Event\":\"SparkListenerApplicationStart\",\"App Name\":\"n\",\"App ID\":\"a\",\"Timestamp\":5,\"User\":\"u\"}\n"
#define JOB(id, stages)                                                                                                                    \
        "{\"Event\":\"SparkListenerJobStart\",\"Job ID\":" #id ",\"Submission Time\":10,\"Stage Infos\":[" stages "],\"Properties\":{}}\n"
#define SUBMIT(info) "{\"Event\":\"SparkListenerStageSubmitted\",\"Stage Info\":" info ",\"Properties\":{}}\n"
#define COMPLETE(info) "{\"Event\":\"SparkListenerStageCompleted\",\"Stage Info\":" info "}\n"
#define TASK_INFO(id, finish, killed)                                                                                                      \
        "{\"Task ID\":" #id ",\"Index\":" #id                                                                                              \
        ",\"Attempt\":0,\"Launch Time\":20,\"Executor ID\":\"1\",\"Host\":\"h\",\"Locality\":\"ANY\","                                     \
        "\"Speculative\":false,\"Getting Result Time\":0,\"Finish Time\":" #finish ",\"Failed\":false,\"Killed\":" killed                  \
        ",\"Accumulables\":[]}"
#define TASK_START(id)                                                                                                                     \
        "{\"Event\":\"SparkListenerTaskStart\",\"Stage ID\":1,\"Stage Attempt ID\":0,\"Task Info\":" TASK_INFO(id, 0, "false") "}\n"
#define TASK_END(id, reason, killed)                                                                                                         \
        "{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":1,\"Stage Attempt ID\":0,\"Task Type\":\"ResultTask\",\"Task End Reason\":" reason \
        ",\"Task Info\":" TASK_INFO(id, 50, killed) ",\"Task Metrics\":{\"Executor Run Time\":17,\"Result Size\":3,"                         \
                                                    "\"Input Metrics\":{\"Bytes Read\":1000,\"Records Read\":7}}}\n"
#define SUCCESS "{\"Reason\":\"Success\"}"
#define KILLED "{\"Reason\":\"TaskKilled\",\"Kill Reason\":\"not wanted\"}"

static const char one_job[] = START JOB(0, STAGE(1, 3)) SUBMIT(STAGE(1, 3)) TASK_START(1) TASK_START(2) TASK_START(3) TASK_END(
        1, SUCCESS, "false") TASK_END(2, KILLED, "true")
        COMPLETE(STAGE(1, 3)) "{\"Event\":\"SparkListenerJobEnd\",\"Job ID\":0,\"Completion Time\":100,\"Job Result\":{\"Result\":\"JobSucceeded\"}}\n" TASK_END(
                3, SUCCESS, "false");

struct seen {
        int count;
        struct am_task tasks[8];
};

static int keep(void *arg, const struct am_task *t) {
        struct seen *s = arg;
        if (s->count < 8)
                s->tasks[s->count] = *t;
        s->count++;
        return 0;
}

TEST(a_job_s_life_is_added_up_however_the_text_arrives) {
        const size_t steps[] = {1, 7, 1000, SIZE_MAX / 2};
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
                struct replay r;
                replay(&r, one_job, steps[i], NULL);
                assert_int_equal(r.m.num_jobs, 1);
                const struct am_job *j = &r.m.jobs[0];
                assert_int_equal(j->status, AM_JOB_SUCCEEDED);
                assert_int_equal(j->num_tasks, 0); /* its stage was complete in the job's start already */
                assert_int_equal(j->completed_tasks, 2); /* the last task ended with its stage, after the job */
                assert_int_equal(j->killed_tasks, 1);
                const struct am_stage *s = appmodel_stage(&r.m, 1, 0);
                assert_non_null(s);
                assert_int_equal(s->status, AM_STAGE_COMPLETE);
                assert_int_equal(s->metrics[TM_RUN_TIME], 51);
                assert_int_equal(s->metrics[TM_INPUT_BYTES], 3000);
                assert_int_equal(s->first_launch_ms, 20);
                struct seen seen = {0};
                assert_int_equal(appmodel_tasks(&r.m, s, keep, &seen, NULL), 0);
                assert_int_equal(seen.count, 3);
                assert_int_equal(seen.tasks[1].status, AM_TASK_KILLED);
                assert_true(sv_eqs(am_sv(&r.m, seen.tasks[1].error), "not wanted"));
                assert_int_equal(seen.tasks[2].duration_ms, 30);
                assert_int_equal(seen.tasks[2].metrics[TM_INPUT_RECORDS], 7);
                assert_true(sv_eqs(am_sv(&r.m, seen.tasks[2].executor), "1"));
                str_done(&r.image);
        }
}

TEST(spaced_and_reordered_events_say_the_same) {
        /* The same task end, as no Spark writes it: the slow reader must find what the fast one finds. */
        static const char spaced[] = START JOB(0, STAGE(1, 1)) SUBMIT(STAGE(1, 1)) TASK_START(
                1) "{ \"Task Metrics\" : {\"Result Size\":3,\"Executor Run Time\": 1.7e1 }, \"Event\":\"SparkListenerTaskEnd\", \"Task Info\":"
                   "{\"Host\":\"\\u0068\",\"Task ID\":1,\"Executor ID\":\"1\",\"Finish Time\":50,\"Launch Time\":20,\"Index\":1,\"Locality\":\"ANY\"},"
                   "\"Unknown\":[{\"a\":\"]}\"}], \"Task End Reason\":{\"Reason\":\"Success\"},\"Stage ID\":1}\n";
        struct replay r;
        replay(&r, spaced, 4096, NULL);
        struct seen seen = {0};
        assert_int_equal(appmodel_tasks(&r.m, appmodel_stage(&r.m, 1, 0), keep, &seen, NULL), 0);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.tasks[0].metrics[TM_RUN_TIME], 17);
        assert_int_equal(seen.tasks[0].attempt, 1); /* Spark's default for logs that do not say */
        assert_true(sv_eqs(am_sv(&r.m, seen.tasks[0].host), "h"));
        str_done(&r.image);
}

TEST(the_time_of_a_resubmitted_task_counts_once_but_twice_in_35) {
        static const char lost[] = START
                "{\"Event\":\"SparkListenerExecutorAdded\",\"Timestamp\":6,\"Executor ID\":\"1\",\"Executor Info\":{\"Host\":\"h\",\"Total Cores\":1,\"Log Urls\":{}}}\n" JOB(
                        0, STAGE(1, 3)) SUBMIT(STAGE(1, 3)) TASK_START(1) TASK_END(1, SUCCESS, "false")
                        TASK_END(1, "{\"Reason\":\"Resubmitted\"}", "false");
        for (int as_35 = 0; as_35 <= 1; as_35++) {
                struct replay r;
                struct eventlog_options o = {.as_35 = as_35};
                replay(&r, lost, SIZE_MAX / 2, &o);
                assert_int_equal(r.m.num_executors, 1);
                assert_int_equal(r.m.executors[0].total_duration, as_35 ? 60 : 30);
                assert_int_equal(r.m.executors[0].failed_tasks, 1);
                assert_int_equal(r.m.executors[0].completed_tasks, 1);
                str_done(&r.image);
        }
}

TEST(a_malformed_line_ends_the_replay_unless_it_is_the_last_of_a_running_log) {
        struct replay r;
        replay(&r, START "{\"Event\":\"SparkListenerJobSt", 4096, &(struct eventlog_options){.in_progress = true});
        assert_true(r.m.app->flags & AM_TRUNCATED);
        assert_false(r.m.app->flags & AM_STOPPED_EARLY);
        str_done(&r.image);
        replay(&r, START "nonsense\n" JOB(0, STAGE(1, 1)), 4096, &(struct eventlog_options){.in_progress = true});
        assert_true(r.m.app->flags & AM_STOPPED_EARLY);
        AUTO(free) char *problem = sv_dup(am_sv(&r.m, r.m.app->problem));
        assert_contains(problem, "line 2 is no event");
        assert_int_equal(r.m.num_jobs, 0);
        str_done(&r.image);
}

TEST(of_too_many_tasks_those_that_ended_first_go) {
        AUTO(str) struct str text = STR_INIT(0);
        str_append_s(&text, START JOB(0, STAGE(1, 100)) SUBMIT(STAGE(1, 100)));
        for (int i = 0; i < 60; i++) {
                str_appendf(
                        &text,
                        "{\"Event\":\"SparkListenerTaskStart\",\"Stage ID\":1,\"Stage Attempt ID\":0,\"Task Info\":{\"Task ID\":%d,\"Index\":%d,\"Launch Time\":%d}}\n",
                        i, i, i);
                str_appendf(
                        &text,
                        "{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":1,\"Stage Attempt ID\":0,\"Task End Reason\":{\"Reason\":\"Success\"},"
                        "\"Task Info\":{\"Task ID\":%d,\"Index\":%d,\"Launch Time\":%d,\"Finish Time\":%d}}\n",
                        i, i, i, i + 5);
        }
        struct replay r;
        replay(&r, str_cstr(&text), 4096, &(struct eventlog_options){.retained_tasks = 20});
        struct seen seen = {0};
        const struct am_stage *s = appmodel_stage(&r.m, 1, 0);
        assert_int_equal(appmodel_tasks(&r.m, s, keep, &seen, NULL), 0);
        assert_int_equal(s->completed_tasks, 60);
        assert_in_range(seen.count, 18, 20);
        assert_int_equal(seen.tasks[0].id, 60 - seen.count);
        str_done(&r.image);
}

TEST(an_image_of_something_else_or_damaged_is_refused) {
        struct replay r;
        replay(&r, one_job, 4096, NULL);
        static const uint8_t other[AM_FINGERPRINT] = "another";
        struct appmodel m;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(appmodel_open(&m, r.image.data, r.image.len, other, &err), -EBADMSG);
        assert_contains(err_message(&err), "the log has changed");
        assert_int_equal(appmodel_open(&m, r.image.data, r.image.len - 8, fingerprint, &err), -EBADMSG);
        r.image.data[r.image.len - 20] ^= 1;
        assert_int_equal(appmodel_open(&m, r.image.data, r.image.len, fingerprint, &err), -EBADMSG);
        r.image.data[r.image.len - 20] ^= 1;
        assert_int_equal(appmodel_open(&m, r.image.data, r.image.len, fingerprint, &err), 0);
        r.image.data[m.segments[0].offset + 5] ^= 1; /* rows are checked when they are read */
        struct seen seen = {0};
        err_clear(&err);
        assert_int_equal(appmodel_tasks(&m, appmodel_stage(&m, 1, 0), keep, &seen, &err), -EBADMSG);
        assert_contains(err_message(&err), "checksum");
        str_done(&r.image);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_job_s_life_is_added_up_however_the_text_arrives),
                cmocka_unit_test(spaced_and_reordered_events_say_the_same),
                cmocka_unit_test(the_time_of_a_resubmitted_task_counts_once_but_twice_in_35),
                cmocka_unit_test(a_malformed_line_ends_the_replay_unless_it_is_the_last_of_a_running_log),
                cmocka_unit_test(of_too_many_tasks_those_that_ended_first_go),
                cmocka_unit_test(an_image_of_something_else_or_damaged_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
