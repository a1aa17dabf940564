#include "history/replay.h"

#include "history/index.h"
#include "unit/history/fixture.h"

static unsigned seed = 7;

static uint32_t some(uint32_t below) {
        seed = seed * 1664525 + 1013904223;
        return below ? (seed >> 8) % below : 0;
}

/* The image by a replay that goes on must be, byte for byte, that of a replay from the beginning. Says whether one went on. */
static bool same_image(const char *log_name, struct replays *kept) {
        AUTO(event_log) struct event_log log = {0};
        AUTO(err) struct err err = ERR_INIT;
        AUTO(history_model) struct history_model *on = NULL, *anew = NULL;
        const struct eventlog_options o = {.retained_tasks = 40, .retained_stages = 12, .retained_jobs = 10, .retained_executions = 4};
        assert_int_equal(event_log_find(store, log_name, &log, &err), 1);
        assert_int_equal(history_model_load(store, &log, NULL, &o, kept, &on, &err), 0);
        assert_int_equal(history_model_load(store, &log, NULL, &o, NULL, &anew, &err), 0);
        assert_int_equal(on->map_size, anew->map_size);
        assert_memory_equal(on->map, anew->map, anew->map_size);
        return on->stats.continued;
}

/* Writes a log in pieces of random size. Returns how often the replay went on. */
static size_t grow(const char *recording, const char *name, const char *finished) {
        AUTO(str) struct str all = STR_INIT(0);
        recorded(recording, &all);
        struct replays kept;
        size_t continued = 0;
        replays_init(&kept);
        kept.min_log = 0;
        put(name, SV(""), false);
        for (size_t at = 0; at < all.len;) {
                size_t n = 1 + some((uint32_t)all.len / 12);
                n = some(8) == 0 ? 1 : n;
                n = n < all.len - at ? n : all.len - at;
                put(name, sv_new(all.data + at, n), true);
                at += n;
                continued += same_image(name, &kept);
        }
        AUTO(free) char *from = xasprintf("%s/%s", dir, name), *to = xasprintf("%s/%s", dir, finished);
        assert_int_equal(rename(from, to), 0);
        assert_true(same_image(finished, &kept)); /* the name alone has changed */
        assert_int_equal(kept.list.len, 0);
        replays_done(&kept);
        return continued;
}

TEST(a_plain_log_goes_on_where_it_ended) { assert_true(grow("local-1795229498210", "app.inprogress", "app") >= 8); }
TEST(an_lz4_log_goes_on_where_it_ended) { assert_true(grow("local-1795229716723.lz4", "app.lz4.inprogress", "app.lz4") >= 8); }
TEST(an_lzf_log_goes_on_where_it_ended) { assert_true(grow("local-1795230270125.lzf", "app.lzf.inprogress", "app.lzf") >= 8); }
TEST(a_snappy_log_goes_on_where_it_ended) {
        assert_true(grow("eventlog_v2_local-1795229966871/events_1_local-1795229966871.snappy", "app.snappy.inprogress", "app.snappy") >=
                    8);
}
TEST(a_zstd_log_goes_on_where_it_ended) {
        assert_true(grow("eventlog_v2_local-1795230144077/events_1_local-1795230144077.zstd", "app.zstd.inprogress", "app.zstd") >= 8);
}

TEST(a_rolled_log_goes_on_from_part_to_part) {
        AUTO(str) struct str all = STR_INIT(0);
        recorded("local-1795229498210", &all);
        struct replays kept;
        size_t continued = 0, part = 0, parts = 0;
        replays_init(&kept);
        kept.min_log = 0;
        put("eventlog_v2_app/appstatus_app.inprogress", SV(""), false);
        for (size_t at = 0; at < all.len;) {
                if (at >= part) { /* files are changed between lines */
                        part += all.len / 5;
                        parts++;
                }
                AUTO(free) char *name = xasprintf("eventlog_v2_app/events_%zu_app", parts);
                size_t n = 1 + some((uint32_t)all.len / 15);
                n = n < all.len - at ? n : all.len - at;
                if (at + n >= part) {
                        const char *nl = memchr(all.data + at + n - 1, '\n', all.len - (at + n - 1));
                        n = nl ? (size_t)(nl + 1 - (all.data + at)) : all.len - at;
                }
                put(name, sv_new(all.data + at, n), true);
                at += n;
                continued += same_image("eventlog_v2_app", &kept);
        }
        assert_true(parts >= 4 && continued >= 10);
        AUTO(free) char *from = xasprintf("%s/eventlog_v2_app/appstatus_app.inprogress", dir),
                        *to = xasprintf("%s/eventlog_v2_app/appstatus_app", dir);
        assert_int_equal(rename(from, to), 0);
        assert_true(same_image("eventlog_v2_app", &kept));
        replays_done(&kept);
}

TEST(a_log_that_was_replaced_is_read_from_its_beginning) {
        AUTO(str) struct str all = STR_INIT(0);
        recorded("local-1795229498210", &all);
        struct replays kept;
        replays_init(&kept);
        kept.min_log = 0;
        put("app.inprogress", sv_new(all.data, all.len / 2), false);
        assert_false(same_image("app.inprogress", &kept));
        put("app.inprogress", sv_new(all.data, all.len / 3), false); /* shorter */
        assert_false(same_image("app.inprogress", &kept));
        put("other", sv_new(all.data, all.len), false); /* another file in its place */
        AUTO(free) char *from = xasprintf("%s/other", dir), *to = xasprintf("%s/app.inprogress", dir);
        assert_int_equal(rename(from, to), 0);
        assert_false(same_image("app.inprogress", &kept));
        put("app.inprogress", SV("no event\nno event\n"), true);
        same_image("app.inprogress", &kept);
        assert_int_equal(kept.list.len, 0); /* what comes after a malformed line does not count */
        replays_done(&kept);
}

TEST(no_more_replays_are_kept_than_there_is_room_for) {
        AUTO(str) struct str all = STR_INIT(0);
        recorded("local-1795229498210", &all);
        struct replays kept;
        replays_init(&kept);
        put("small.inprogress", sv_new(all.data, all.len), false);
        same_image("small.inprogress", &kept);
        assert_int_equal(kept.list.len, 0);
        kept.min_log = 0;
        for (int i = 0; i < REPLAYS_MAX + 3; i++) {
                AUTO(free) char *name = xasprintf("app-%d.inprogress", i);
                put(name, sv_new(all.data, all.len / 2), false);
                same_image(name, &kept);
        }
        assert_int_equal(kept.list.len, REPLAYS_MAX);
        replays_trim(&kept, INT64_MAX / 2);
        assert_int_equal(kept.list.len, 0);
        replays_done(&kept);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIR(a_plain_log_goes_on_where_it_ended),
                IN_DIR(an_lz4_log_goes_on_where_it_ended),
                IN_DIR(an_lzf_log_goes_on_where_it_ended),
                IN_DIR(a_snappy_log_goes_on_where_it_ended),
                IN_DIR(a_zstd_log_goes_on_where_it_ended),
                IN_DIR(a_rolled_log_goes_on_from_part_to_part),
                IN_DIR(a_log_that_was_replaced_is_read_from_its_beginning),
                IN_DIR(no_more_replays_are_kept_than_there_is_room_for),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
