#include "history/listing.h"

#include <sys/stat.h>

#include "unit/history/fixture.h"

static void write_file(const char *name, const char *text, int mtime_s) {
        put(name, sv_of(text), false);
        AUTO(free) char *path = xasprintf("%s/%s", dir, name);
        assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[2]){{mtime_s, 0}, {mtime_s, 0}}, 0), 0);
}

#define ENV "{\"Event\":\"SparkListenerEnvironmentUpdate\",\"JVM Information\":{},\"Spark Properties\":{\"spark.ui.view.acls\":\"bob\"}}\n"
#define START(id, more)                                                                                                                    \
        "{\"Event\":\"SparkListenerApplicationStart\",\"App Name\":\"n\",\"App ID\":\"" id "\",\"Timestamp\":1000,\"User\":\"ann\"" more   \
        "}\n"
#define END "{\"Event\":\"SparkListenerApplicationEnd\",\"Timestamp\":4000}\n"

static const struct listing_options options = {.fast_in_progress = true, .end_chunk = 1 << 20, .now_ms = 9999};

static struct listing *scan(const struct listing *before) { return listing_scan(&store, 1, before, &options); }

static const struct log_record *record(const struct listing *l, const char *key) {
        const struct log_record *r = map_get(&l->by_log, key);
        assert_non_null(r);
        return r;
}

TEST(says_of_each_log_what_its_events_say) {
        write_file("app-1", ENV START("app-1", "") END, 50);
        write_file("app-2_1", ENV START("app-2", ",\"App Attempt ID\":\"1\"") END, 60);
        write_file("app-2_2.inprogress", ENV START("app-2", ",\"App Attempt ID\":\"2\""), 70);
        AUTO(listing) struct listing *l = scan(NULL);
        assert_int_equal(l->num_apps, 2);
        assert_int_equal(l->num_read, 3);
        const struct log_record *r = record(l, "0/app-1");
        assert_true(r->completed && r->start_ms == 1000 && r->end_ms == 4000 && r->duration_ms == 3000 && r->last_updated_ms == 50000);
        assert_string_equal(r->view_acls, "bob");
        assert_string_equal(r->user, "ann");
        const struct listed_app *app = listing_app(l, "app-2");
        assert_int_equal(app->count, 2);
        assert_false(listing_attempt(app, "2")->completed);
        assert_true(listing_attempt(app, "1")->completed);
        assert_null(listing_attempt(app, NULL));
}

TEST(reads_only_what_has_changed) {
        write_file("app-1", ENV START("app-1", "") END, 50);
        write_file("app-2", ENV START("app-2", ""), 50);
        AUTO(listing) struct listing *first = scan(NULL);
        write_file("app-2", ENV START("app-2", "") END, 51);
        AUTO(listing) struct listing *second = scan(first);
        assert_int_equal(second->num_read, 1);
        assert_ptr_equal(record(first, "0/app-1"), record(second, "0/app-1"));
        assert_true(record(second, "0/app-2")->completed);
        assert_false(record(first, "0/app-2")->completed);
}

TEST(many_logs_are_read_by_several_threads_to_the_same_end) {
        for (int i = 0; i < 200; i++) {
                AUTO(free) char *name = xasprintf("app-%d", i);
                AUTO(free) char *text = xasprintf(START("%s", "") END, name);
                write_file(name, text, 100 + i);
        }
        AUTO(listing) struct listing *l = scan(NULL);
        assert_int_equal(l->num_read, 200);
        assert_int_equal(l->num_apps, 200);
        /* Newest log first, whichever thread was quickest. */
        for (size_t i = 1; i < l->records.len; i++)
                assert_true(l->records.items[i - 1]->mtime_ms > l->records.items[i]->mtime_ms);
}

TEST(what_cannot_be_read_stands_there_with_its_reason) {
        write_file("broken.zstd", "no zstd frame at all", 50);
        write_file("empty", "", 50);
        write_file("strange.txt", "x", 50);
        write_file("eventlog_v2_gap/events_1_gap", START("gap", ""), 50);
        write_file("eventlog_v2_gap/events_3_gap", END, 50);
        write_file("eventlog_v2_gap/appstatus_gap", "", 50);
        AUTO(listing) struct listing *l = scan(NULL);
        assert_int_equal(l->num_apps, 0);
        assert_non_null(strstr(record(l, "0/broken.zstd")->problem, "damaged"));
        assert_string_equal(record(l, "0/empty")->problem, "it is empty");
        assert_non_null(strstr(record(l, "0/strange.txt")->problem, "unknown codec"));
        assert_non_null(strstr(record(l, "0/eventlog_v2_gap")->problem, "part 1 is followed by part 3"));
        /* None of them will be different without a change. */
        AUTO(listing) struct listing *again = scan(l);
        assert_int_equal(again->num_read, 0);
}

TEST(a_failure_that_may_pass_is_tried_again) {
        write_file("app-1", ENV START("app-1", "") END, 50);
        AUTO(listing) struct listing *l = scan(NULL);
        struct log_record *r = map_get(&l->by_log, "0/app-1");
        r->retry = true; /* as when the store was out of reach */
        AUTO(listing) struct listing *again = scan(l);
        assert_int_equal(again->num_read, 1);
        assert_false(record(again, "0/app-1")->retry);
}

TEST(a_directory_that_cannot_be_listed_keeps_what_was_known) {
        write_file("app-1", ENV START("app-1", "") END, 50);
        AUTO(listing) struct listing *l = scan(NULL);
        AUTO(free) char *moved = xasprintf("%s-moved", dir);
        assert_int_equal(rename(dir, moved), 0);
        AUTO(listing) struct listing *without = scan(l);
        assert_int_equal(rename(moved, dir), 0);
        assert_int_equal(without->num_apps, 1);
        assert_non_null(strstr(without->dir_problems.items[0], dir));
        AUTO(listing) struct listing *after = scan(without);
        assert_string_equal(after->dir_problems.items[0], "");
        assert_int_equal(after->num_read, 0);
}

TEST(records_found_between_scans_join_and_views_hide_directories) {
        write_file("app-1", ENV START("app-1", "") END, 50);
        struct logstore *twice[] = {store, store};
        AUTO(listing) struct listing *l = listing_scan(twice, 2, NULL, &options);
        assert_int_equal(l->records.len, 2); /* the same name in two directories is two logs */
        assert_int_equal(l->num_apps, 1);
        AUTO(listing) struct listing *one = listing_view(l, 2);
        assert_int_equal(one->records.len, 1);
        assert_int_equal(record(one, "1/app-1")->dir, 1);
        AUTO(listing) struct listing *none = listing_view(l, 0);
        assert_int_equal(none->num_apps, 0);
        write_file("app-2", ENV START("app-2", "") END, 50);
        AUTO(event_log) struct event_log log = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(event_log_find(store, "app-2", &log, &err), 1);
        struct log_record *found = log_record_read(store, 0, &log, &options);
        AUTO(listing) struct listing *more = listing_with(l, &found, 1);
        AUTO(listing) struct listing *still = listing_with(more, &found, 1);
        log_record_unref(found);
        assert_int_equal(more->num_apps, 2);
        assert_int_equal(still->records.len, 3);
}

TEST(is_kept_in_a_file_that_damage_does_not_pass) {
        write_file("app-1", ENV START("app-1", "") END, 50);
        write_file("empty", "", 50);
        AUTO(listing) struct listing *l = scan(NULL), *loaded = NULL;
        AUTO(free) char *path = xasprintf("%s/x.listing", dir);
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(listing_save(l, path, "url", &err), 0);
        assert_int_equal(listing_load(path, "url", &loaded, &err), 0);
        assert_int_equal(loaded->num_apps, 1);
        assert_string_equal(record(loaded, "0/empty")->problem, "it is empty");
        assert_string_equal(record(loaded, "0/app-1")->view_acls, "bob");
        AUTO(str) struct str whole = STR_INIT(0);
        assert_true(fs_read(path, 1 << 20, &whole, &err) >= 0);
        struct listing *bad = NULL;
        assert_int_equal(listing_load(path, "another url", &bad, &err), -EBADMSG);
        err_clear(&err);
        for (size_t i = 0; i < whole.len; i++) {
                AUTO(str) struct str copy = STR_INIT(0);
                str_append_sv(&copy, str_sv(&whole));
                copy.data[i] = (char)(copy.data[i] ^ 0x10);
                assert_int_equal(fs_write_atomic(path, str_sv(&copy), 0600, &err), 0);
                assert_int_equal(listing_load(path, "url", &bad, &err), -EBADMSG);
                err_clear(&err);
                assert_int_equal(fs_write_atomic(path, sv_new(whole.data, i), 0600, &err), 0);
                assert_int_equal(listing_load(path, "url", &bad, &err), -EBADMSG);
                err_clear(&err);
        }
        assert_null(bad);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIR(says_of_each_log_what_its_events_say),
                IN_DIR(reads_only_what_has_changed),
                IN_DIR(many_logs_are_read_by_several_threads_to_the_same_end),
                IN_DIR(what_cannot_be_read_stands_there_with_its_reason),
                IN_DIR(a_failure_that_may_pass_is_tried_again),
                IN_DIR(a_directory_that_cannot_be_listed_keeps_what_was_known),
                IN_DIR(records_found_between_scans_join_and_views_hide_directories),
                IN_DIR(is_kept_in_a_file_that_damage_does_not_pass),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
