#include "history/pipeline.h"

#include "unit/history/fixture.h"

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

/* How the reading of a log ended, and what came of it. */
struct outcome {
        int code;
        char *why;
        uint64_t bytes;
        struct str image;
};

static struct outcome replay(const char *name, unsigned helpers) {
        struct outcome o = {.image = STR_INIT(0)};
        struct am_sink sink = {append, header, &o.image};
        /* Small limits, so that the order of events decides what is kept. */
        const struct eventlog_options options = {
                .retained_tasks = 40, .retained_stages = 12, .retained_jobs = 10, .retained_executions = 4};
        AUTO(event_log) struct event_log log = {0};
        AUTO(err) struct err err = ERR_INIT;
        AUTO(eventlog) struct eventlog *e = eventlog_new(&sink, &options);
        assert_int_equal(event_log_find(store, name, &log, &err), 1);
        for (size_t i = 0; i < log.files.len && (i == 0 || o.code > 0); i++) {
                AUTO(log_text) struct log_text *t = NULL;
                assert_int_equal(log_text_open(store, &log.files.items[i], 0, &t, &err), 0);
                o.code = pipeline_feed(t, e, helpers, &o.bytes, &err);
                assert_true(eventlog_end_file(e, log_text_truncated(t) ? EVENTLOG_TRUNCATED : EVENTLOG_WHOLE, NULL, &err) >= 0);
        }
        o.why = xstrdup(err_message(&err));
        assert_int_equal(eventlog_finish(e, fingerprint, &err), 0);
        return o;
}

/* With helpers everything is, byte for byte, what it is without. Returns the code. */
static int same_with_helpers(const char *name, const char *why) {
        struct outcome alone = replay(name, 0);
        assert_contains(alone.why, why);
        assert_true(alone.image.len > 1000);
        for (unsigned helpers = 1; helpers <= PIPELINE_MAX_HELPERS; helpers += PIPELINE_MAX_HELPERS - 1) {
                struct outcome o = replay(name, helpers);
                assert_int_equal(o.code, alone.code);
                assert_string_equal(o.why, alone.why);
                if (alone.code != 0) /* who stops early has fetched more, or less */
                        assert_int_equal(o.bytes, alone.bytes);
                assert_int_equal(o.image.len, alone.image.len);
                assert_memory_equal(o.image.data, alone.image.data, o.image.len);
                free(o.why);
                str_done(&o.image);
        }
        free(alone.why);
        str_done(&alone.image);
        return alone.code;
}

/* Puts a recording into the directory, several times over: applications that run again, with all their numbers. */
static void put_times(const char *recording, const char *name, int times, struct sv between) {
        AUTO(str) struct str log = STR_INIT(0);
        recorded(recording, &log);
        put(name, SV(""), false);
        for (int i = 0; i < times; i++) {
                put(name, str_sv(&log), true);
                put(name, i + 1 < times ? between : SV(""), true);
        }
}

#define PLAIN "local-1795229498210"
#define LZ4 "local-1795229716723.lz4"
#define LZF "local-1795230270125.lzf"
#define SNAPPY "eventlog_v2_local-1795229966871/events_1_local-1795229966871.snappy"
#define ZSTD "eventlog_v2_local-1795230144077/events_1_local-1795230144077.zstd"

TEST(a_log_of_each_codec_gives_the_same_model) {
        static const struct {
                const char *recording, *name;
        } logs[] = {{PLAIN, "app"}, {LZ4, "app.lz4"}, {LZF, "app.lzf"}, {SNAPPY, "app.snappy"}, {ZSTD, "app.zstd"}};
        for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
                put_times(logs[i].recording, logs[i].name, 3, SV(""));
                assert_int_equal(same_with_helpers(logs[i].name, ""), 1);
        }
}

TEST(a_rolled_log_gives_the_same_model) {
        put("eventlog_v2_app/appstatus_app", SV(""), false);
        put_times(ZSTD, "eventlog_v2_app/events_1_app.zstd", 2, SV(""));
        put_times(PLAIN, "eventlog_v2_app/events_2_app", 2, SV(""));
        put_times(LZ4, "eventlog_v2_app/events_3_app.lz4", 2, SV(""));
        assert_int_equal(same_with_helpers("eventlog_v2_app", ""), 1);
}

TEST(a_damaged_log_gives_what_is_before_the_damage) {
        put_times(LZ4, "app.lz4", 2, SV("LZ4Block no block at all"));
        assert_int_equal(same_with_helpers("app.lz4", "damaged"), -EBADMSG);
        put_times(SNAPPY, "app.snappy", 2, SV("\xff\xff\xff\xff"));
        assert_int_equal(same_with_helpers("app.snappy", "damaged"), -EBADMSG);
        put_times(LZF, "app.lzf", 2, SV("ZZ"));
        assert_int_equal(same_with_helpers("app.lzf", "damaged"), -EBADMSG);
        put_times(ZSTD, "app.zstd", 2, SV("no frame"));
        assert_int_equal(same_with_helpers("app.zstd", "damaged"), -EBADMSG);
}

TEST(a_log_that_stops_in_the_middle_gives_what_is_there) {
        AUTO(str) struct str log = STR_INIT(0);
        recorded(LZ4, &log);
        for (int i = 0; i < 2; i++)
                put("app.lz4", str_sv(&log), i > 0);
        put("app.lz4", sv_new(log.data, log.len / 2), true);
        assert_int_equal(same_with_helpers("app.lz4", ""), 1);
}

TEST(nothing_counts_behind_a_malformed_line) {
        put_times(PLAIN, "app", 2, SV("no event\n"));
        assert_int_equal(same_with_helpers("app", ""), 0);
        put_times(PLAIN, "broken", 2, SV("{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":\n\n"));
        assert_int_equal(same_with_helpers("broken", ""), 0);
}

TEST(a_line_may_be_longer_than_a_piece) {
        AUTO(str) struct str line = STR_INIT(0);
        str_append_s(&line, "{\"Event\":\"SparkListenerEnvironmentUpdate\",\"JVM Information\":{},\"Spark Properties\":{\"spark.long\":\"");
        while (line.len < 3 * PIPELINE_TEXT)
                str_append_s(&line, "a value of many words, ");
        str_append_s(&line, "\"}}\n");
        put_times(PLAIN, "app", 2, str_sv(&line));
        assert_int_equal(same_with_helpers("app", ""), 1);
}

TEST(there_are_no_more_helpers_than_processors) {
        unsigned mine = pipeline_reserve(INT64_MAX), others = pipeline_reserve(INT64_MAX);
        assert_true(mine <= PIPELINE_MAX_HELPERS);
        assert_int_equal(others, 0);
        pipeline_release(mine);
        assert_int_equal(pipeline_reserve(PIPELINE_MIN_FILE - 1), 0);
        assert_int_equal(pipeline_reserve(PIPELINE_MIN_FILE), mine);
        pipeline_release(mine);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIR(a_log_of_each_codec_gives_the_same_model),
                IN_DIR(a_rolled_log_gives_the_same_model),
                IN_DIR(a_damaged_log_gives_what_is_before_the_damage),
                IN_DIR(a_log_that_stops_in_the_middle_gives_what_is_there),
                IN_DIR(nothing_counts_behind_a_malformed_line),
                IN_DIR(a_line_may_be_longer_than_a_piece),
                cmocka_unit_test(there_are_no_more_helpers_than_processors),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
