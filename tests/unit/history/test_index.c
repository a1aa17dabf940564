#include "history/index.h"

#include <sys/stat.h>

#include "spark/appmodel-internal.h"
#include "unit/history/fixture.h"

static char *indexes;

static int make_dirs(void **state) {
        int r = make_dir(state);
        indexes = r < 0 ? NULL : xasprintf("%s/indexes", dir);
        return r < 0 || mkdir(indexes, 0700) < 0 ? -1 : 0;
}

static int remove_dirs(void **state) {
        free(TAKE(indexes));
        return remove_dir(state);
}

static void write_log(const char *name, int jobs) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        AUTO(free) char *path = xasprintf("%s/%s", dir, name);
        str_append_s(&text,
                     "{\"Event\":\"SparkListenerApplicationStart\",\"App Name\":\"n\",\"App ID\":\"a\",\"Timestamp\":5,\"User\":\"u\"}\n");
        for (int i = 0; i < jobs; i++)
                str_appendf(
                        &text,
                        "{\"Event\":\"SparkListenerJobStart\",\"Job ID\":%d,\"Submission Time\":10,\"Stage Infos\":[],\"Properties\":{}}\n"
                        "{\"Event\":\"SparkListenerJobEnd\",\"Job ID\":%d,\"Completion Time\":20,\"Job Result\":{\"Result\":\"JobSucceeded\"}}\n",
                        i, i);
        assert_int_equal(fs_write_atomic(path, str_sv(&text), 0600, &err), 0);
}

static struct history_model *load(const char *name, const struct eventlog_options *o) {
        AUTO(event_log) struct event_log log = {0};
        AUTO(err) struct err err = ERR_INIT;
        struct eventlog_options none = {0};
        struct history_model *m;
        assert_int_equal(event_log_find(store, name, &log, &err), 1);
        assert_int_equal(history_model_load(store, &log, indexes, o ? o : &none, NULL, &m, &err), 0);
        return m;
}

static bool was_built(const char *name, uint32_t jobs, const struct eventlog_options *o) {
        AUTO(history_model) struct history_model *m = load(name, o);
        assert_int_equal(m->m.num_jobs, jobs);
        return m->was_built;
}

TEST(a_log_is_replayed_once) {
        write_log("app", 3);
        assert_true(was_built("app", 3, NULL));
        assert_false(was_built("app", 3, NULL));
        write_log("app", 4);
        assert_true(was_built("app", 4, NULL));
        const struct eventlog_options few = {.retained_jobs = 2};
        assert_true(was_built("app", 2, &few)); /* what is kept of the log is another question */
        assert_false(was_built("app", 2, &few));
}

TEST(every_damage_is_noticed_and_repaired) {
        AUTO(free) char *path = history_index_path(indexes, store, "app");
        AUTO(str) struct str whole = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        write_log("app", 3);
        assert_true(was_built("app", 3, NULL));
        assert_true(fs_read(path, 1 << 20, &whole, &err) >= 0);
        const struct am_header *h = (const struct am_header *)whole.data;
        assert_true(whole.len > h->cold_offset);
        for (size_t i = 0; i < whole.len; i += i < sizeof(*h) ? 1 : 7) {
                if (i >= sizeof(*h) && i < h->cold_offset)
                        continue; /* rows have checksums of their own, looked at when they are read; padding has none */
                AUTO(str) struct str copy = STR_INIT(0);
                str_append_sv(&copy, str_sv(&whole));
                copy.data[i] = (char)(copy.data[i] ^ 0x20);
                assert_int_equal(fs_write_atomic(path, str_sv(&copy), 0600, &err), 0);
                assert_true(was_built("app", 3, NULL));
        }
        for (size_t n = 0; n < whole.len; n += 1 + n / 5) {
                assert_int_equal(fs_write_atomic(path, sv_new(whole.data, n), 0600, &err), 0);
                assert_true(was_built("app", 3, NULL));
        }
        assert_false(was_built("app", 3, NULL));
}

TEST(an_index_of_another_version_or_log_is_made_again) {
        AUTO(free) char *path = history_index_path(indexes, store, "app"), *other = history_index_path(indexes, store, "other");
        AUTO(str) struct str whole = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        write_log("app", 3);
        write_log("other", 5);
        assert_true(was_built("app", 3, NULL));
        assert_true(fs_read(path, 1 << 20, &whole, &err) >= 0);
        assert_int_equal(fs_write_atomic(other, str_sv(&whole), 0600, &err), 0);
        assert_true(was_built("other", 5, NULL));
        ((struct am_header *)whole.data)->version--;
        assert_int_equal(fs_write_atomic(path, str_sv(&whole), 0600, &err), 0);
        assert_true(was_built("app", 3, NULL));
}

TEST(without_a_place_for_them_indexes_live_in_memory) {
        write_log("app", 3);
        assert_int_equal(rmdir(indexes), 0);
        AUTO(history_model) struct history_model *m = load("app", NULL);
        assert_true(m->was_built && m->m.num_jobs == 3);
}

TEST(a_model_in_use_outlives_its_file_and_its_memory) {
        AUTO(free) char *path = history_index_path(indexes, store, "app");
        write_log("app", 3);
        AUTO(history_model) struct history_model *m = load("app", NULL);
        assert_int_equal(unlink(path), 0);
        history_model_rest(m);
        assert_int_equal(m->m.num_jobs, 3);
        assert_int_equal(m->m.jobs[2].id, 2);
}

TEST(the_longest_unused_indexes_go_first) {
        AUTO(free) char *old = history_index_path(indexes, store, "old"), *new = history_index_path(indexes, store, "new"),
                        *left = xasprintf("%s/x.index.123.tmp", indexes);
        struct stat st;
        AUTO(err) struct err err = ERR_INIT;
        write_log("old", 3);
        write_log("new", 3);
        assert_true(was_built("old", 3, NULL));
        assert_true(was_built("new", 3, NULL));
        assert_int_equal(fs_write_atomic(left, SV("x"), 0600, &err), 0);
        assert_int_equal(utimensat(AT_FDCWD, old, (struct timespec[2]){{1000, 0}, {1000, 0}}, 0), 0);
        assert_int_equal(stat(new, &st), 0);
        history_index_trim(indexes, st.st_size + 10);
        assert_int_equal(access(old, F_OK), -1);
        assert_int_equal(access(new, F_OK), 0);
        assert_int_equal(access(left, F_OK), 0); /* somebody may be writing it */
        assert_int_equal(utimensat(AT_FDCWD, left, (struct timespec[2]){{1000, 0}, {1000, 0}}, 0), 0);
        history_index_trim(indexes, 0);
        assert_int_equal(access(new, F_OK), -1);
        assert_int_equal(access(left, F_OK), -1);
}

#define IN_DIRS(f) cmocka_unit_test_setup_teardown(f, make_dirs, remove_dirs)

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIRS(a_log_is_replayed_once),
                IN_DIRS(every_damage_is_noticed_and_repaired),
                IN_DIRS(an_index_of_another_version_or_log_is_made_again),
                IN_DIRS(without_a_place_for_them_indexes_live_in_memory),
                IN_DIRS(a_model_in_use_outlives_its_file_and_its_memory),
                IN_DIRS(the_longest_unused_indexes_go_first),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
