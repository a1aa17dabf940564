/* Files, URLs and the life of operations; S3 itself is tests/integration/objstore. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>

#include <cmocka.h>

#include "base/fs.h"
#include "objstore/objstore.h"

struct fixture {
        struct loop *loop;
        struct objstore *store;
        char dir[64];
        int answers;
        int code;
        bool done;
};

static const char *no_env(void *arg, const char *name) { return NULL; }

static int set_up(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        struct objstore_options o = {.env = no_env};
        f->store = objstore_new(f->loop, &o);
        snprintf(f->dir, sizeof f->dir, "/tmp/test-objstore-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *f = *state;
        objstore_free(f->store);
        loop_free(f->loop);
        assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
        free(f);
        return 0;
}

static void put(struct fixture *f, const char *name, const char *text) {
        AUTO(free) char *path = fs_join(f->dir, name);
        assert_int_equal(objstore_put_wait(f->store, path, sv_of(text), NULL, NULL), 0);
}

static void lists_files_as_s3_lists_keys(void **state) {
        struct fixture *f = *state;
        put(f, "logs/app-1", "one");
        put(f, "logs/app-2", "two!");
        put(f, "logs/dir/part", "x");
        put(f, "logs/zoo", "x");
        AUTO(free) char *url = xasprintf("file://%s/logs/app", f->dir);
        struct objstore_list q = {.url = url};
        AUTO(objstore_page) struct objstore_page page = {0};
        assert_int_equal(objstore_list_wait(f->store, &q, &page, NULL), 0);
        assert_int_equal(page.entries.len, 2);
        assert_true(str_starts(page.entries.items[1].url, "file:///tmp/"));
        assert_true(str_ends(page.entries.items[1].url, "/logs/app-2"));
        assert_int_equal(page.entries.items[1].size, 4);
        assert_non_null(page.entries.items[1].etag);
        assert_null(page.next);
}

static void pages_continue_where_they_ended(void **state) {
        struct fixture *f = *state;
        for (int i = 0; i < 7; i++) {
                char name[16];
                snprintf(name, sizeof name, "%d", i);
                put(f, name, name);
        }
        AUTO(free) char *url = xasprintf("%s/", f->dir);
        AUTO(free) char *token = NULL;
        int seen = 0;
        do {
                struct objstore_list q = {.url = url, .max = 3, .token = token};
                AUTO(objstore_page) struct objstore_page page = {0};
                assert_int_equal(objstore_list_wait(f->store, &q, &page, NULL), 0);
                for (size_t i = 0; i < page.entries.len; i++)
                        assert_int_equal(page.entries.items[i].url[strlen(page.entries.items[i].url) - 1], '0' + seen++);
                free(token);
                token = TAKE(page.next);
        } while (token);
        assert_int_equal(seen, 7);
}

static void lists_nothing_where_nothing_is(void **state) {
        struct fixture *f = *state;
        struct objstore_list q = {.url = "file:///nonexistent/dir/"};
        AUTO(objstore_page) struct objstore_page page = {0};
        assert_int_equal(objstore_list_wait(f->store, &q, &page, NULL), 0);
        assert_int_equal(page.entries.len, 0);
}

static void reads_ranges(void **state) {
        struct fixture *f = *state;
        put(f, "file", "0123456789");
        AUTO(free) char *path = fs_join(f->dir, "file");
        AUTO(str) struct str data = STR_INIT(0);
        assert_int_equal(objstore_read_wait(f->store, path, 2, 3, NULL, &data, NULL), 0);
        assert_string_equal(str_cstr(&data), "234");
        str_clear(&data);
        assert_int_equal(objstore_read_wait(f->store, path, 8, 100, NULL, &data, NULL), 0);
        assert_string_equal(str_cstr(&data), "89");
        str_clear(&data);
        assert_int_equal(objstore_read_wait(f->store, path, 100, 100, NULL, &data, NULL), 0);
        assert_int_equal(data.len, 0);
        assert_int_equal(objstore_read_wait(f->store, path, 0, 0, NULL, &data, NULL), -EINVAL);
        assert_int_equal(objstore_read_wait(f->store, path, -1, 5, NULL, &data, NULL), -EINVAL);
        assert_int_equal(objstore_read_wait(f->store, "/nonexistent", 0, 5, NULL, &data, NULL), -ENOENT);
}

static void on_data(void *arg, struct str *data, const struct err *err) {
        struct fixture *f = arg;
        f->answers++;
        f->code = err ? err->code : 0;
        f->done = true;
}

static void notices_another_etag(void **state) {
        struct fixture *f = *state;
        put(f, "file", "one");
        AUTO(free) char *path = fs_join(f->dir, "file");
        AUTO(objstore_entry) struct objstore_entry e = {0};
        assert_int_equal(objstore_stat_wait(f->store, path, &e, NULL), 0);
        objstore_read(f->store, path, 0, 10, e.etag, on_data, f);
        loop_run_until(f->loop, &f->done);
        assert_int_equal(f->code, 0);
        put(f, "file", "other");
        f->done = false;
        objstore_read(f->store, path, 0, 10, e.etag, on_data, f);
        loop_run_until(f->loop, &f->done);
        assert_int_equal(f->code, -ESTALE);
}

static void cancelled_operations_do_not_answer(void **state) {
        struct fixture *f = *state;
        objstore_cancel(objstore_read(f->store, "/etc/passwd", 0, 10, NULL, on_data, f));
        objstore_cancel(objstore_read(f->store, "gopher://x/", 0, 10, NULL, on_data, f));
        objstore_cancel(objstore_read(f->store, "s3a://bucket/key", 0, 10, NULL, on_data, f));
        objstore_read(f->store, "/etc/passwd", 0, 10, NULL, on_data, f); /* under way when the store goes */
        objstore_read(f->store, "s3a://bucket/key", 0, 10, NULL, on_data, f);
        objstore_free(f->store);
        loop_run(f->loop);
        assert_int_equal(f->answers, 0);
        f->store = objstore_new(f->loop, NULL);
}

static void refuses_what_it_does_not_know(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        AUTO(objstore_entry) struct objstore_entry e = {0};
        const char *const urls[] = {"hdfs://a/b",   "relative",        "s3a://",        "s3a:///key",
                                    "s3a://bucket", "s3a://bu cket/k", "file://host/x", ""};
        for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
                assert_int_equal(objstore_stat_wait(f->store, urls[i], &e, &err), -EINVAL);
        assert_true(objstore_knows("s3://b/k"));
        assert_true(objstore_knows("file:/x"));
        assert_false(objstore_knows("hdfs://x"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(lists_files_as_s3_lists_keys),
                TEST(pages_continue_where_they_ended),
                TEST(lists_nothing_where_nothing_is),
                TEST(reads_ranges),
                TEST(notices_another_etag),
                TEST(cancelled_operations_do_not_answer),
                TEST(refuses_what_it_does_not_know),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
