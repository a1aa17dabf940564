#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/fs.h"
#include "cluster/registry.h"
#include "cluster/store.h"

struct fixture {
        struct loop *loop;
        char dir[32];
        char *path;
        struct resource resource;
};

static int make(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        strncpy(f->dir, "/tmp/store-XXXXXX", sizeof(f->dir) - 1);
        assert_non_null(mkdtemp(f->dir));
        f->path = fs_join(f->dir, "db");
        f->resource.storage = &f->resource;
        *state = f;
        return 0;
}

static int unmake(void **state) {
        struct fixture *f = *state;
        loop_free(f->loop);
        assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
        free(f->path);
        free(f);
        return 0;
}

static struct object *object(struct fixture *f, struct store *s, const char *ns, const char *name, const char *data) {
        AUTO(free) char *text = xasprintf("{\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},\"data\":\"%s\"}", name, ns, data);
        yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        return object_new(&f->resource, store_next_revision(s), doc);
}

static void put(struct fixture *f, struct store *s, const char *name, const char *data) {
        store_put(s, store_collection(s, "things"), object(f, s, "ns", name, data));
}

static void drop(struct fixture *f, struct store *s, const char *name) {
        store_remove(s, store_collection(s, "things"), object(f, s, "ns", name, "last"));
}

struct seen {
        struct strv lines;
        size_t wanted;
        bool done;
        int code; /* of the waiter's error */
};

static void note(void *arg, const struct store_event *e) {
        static const char *const names[] = {"ADDED", "MODIFIED", "DELETED"};
        struct seen *seen = arg;
        strv_addf(&seen->lines, "%s %s %s", names[e->change], e->object->name, object_str(e->object, "/data"));
        seen->done = seen->lines.len >= seen->wanted;
}

static void note_synced(void *arg, uint64_t revision) {
        struct seen *seen = arg;
        (void)revision;
        strv_add(&seen->lines, "SYNCED");
        seen->done = seen->lines.len >= seen->wanted;
}

static void note_durable(void *arg, const struct err *err) {
        struct seen *seen = arg;
        seen->code = err ? err->code : 0;
        seen->done = true;
}

static void wait_durable(struct fixture *f, struct store *s, int expected) {
        struct seen seen = {0};
        store_when_durable(s, store_revision(s), note_durable, &seen);
        loop_run_until(f->loop, &seen.done);
        assert_int_equal(seen.code, expected);
}

static struct watcher *watch(struct store *s, const char *ns, bool resume, uint64_t since, struct seen *seen) {
        struct watcher *w = NULL;
        struct watcher_events ev = {note, note_synced, seen};
        assert_int_equal(store_watch(s, store_collection(s, "things"), ns, resume, since, &ev, &w, NULL), 0);
        return w;
}

static void keeps_objects_ordered_by_namespace_and_name(void **state) {
        struct fixture *f = *state;
        struct store *s;
        struct collection *c;
        size_t begin, end;
        assert_int_equal(store_new(f->loop, NULL, 0, &s, NULL), 0);
        c = store_collection(s, "things");
        static const char *const places[][2] = {{"b", "2"}, {"a", "9"}, {"b", "1"}, {"c", "0"}, {"b", "3"}};
        for (size_t i = 0; i < ARRAY_LEN(places); i++)
                store_put(s, c, object(f, s, places[i][0], places[i][1], "x"));
        begin = collection_range(c, "b", &end);
        assert_int_equal(begin, 1);
        assert_int_equal(end, 4);
        assert_string_equal(c->items[1]->name, "1");
        assert_string_equal(c->items[3]->name, "3");
        assert_int_equal(collection_after(c, "b", "2"), 3);
        assert_null(collection_find(c, "a", "1"));
        assert_string_equal(collection_find(c, "c", "0")->namespace, "c");
        store_free(s);
}

static void a_watch_begins_with_the_state_and_continues_with_changes(void **state) {
        struct fixture *f = *state;
        struct seen seen = {.wanted = 5};
        struct store *s;
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        put(f, s, "a", "1");
        struct watcher *w = watch(s, "ns", false, 0, &seen);
        put(f, s, "a", "2");
        put(f, s, "b", "1");
        drop(f, s, "a");
        store_put(s, store_collection(s, "things"), object(f, s, "elsewhere", "z", "1"));
        assert_int_equal(seen.lines.len, 0);
        loop_run_until(f->loop, &seen.done);
        AUTO(free) char *all = strv_join(&seen.lines, ", ");
        assert_string_equal(all, "ADDED a 1, SYNCED, MODIFIED a 2, ADDED b 1, DELETED a last");
        store_watch_stop(w);
        strv_done(&seen.lines);
        store_free(s);
}

static void nobody_hears_of_a_change_before_it_is_durable(void **state) {
        struct fixture *f = *state;
        struct seen seen = {.wanted = 2};
        struct store *s;
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        watch(s, NULL, false, 0, &seen);
        put(f, s, "a", "1");
        assert_true(store_durable_revision(s) < store_revision(s));
        loop_run_until(f->loop, &seen.done);
        assert_int_equal(store_durable_revision(s), store_revision(s));
        strv_done(&seen.lines);
        store_free(s);
}

static void resumes_after_a_revision_and_says_when_it_is_too_old(void **state) {
        struct fixture *f = *state;
        struct seen seen = {.wanted = 2};
        AUTO(err) struct err err = ERR_INIT;
        struct watcher_events ev = {note, note_synced, &seen};
        struct watcher *w = NULL;
        struct store *s;
        uint64_t middle;
        assert_int_equal(store_new(f->loop, NULL, 4, &s, NULL), 0);
        for (int i = 0; i < 4; i++)
                put(f, s, "a", "early");
        middle = store_revision(s);
        put(f, s, "b", "1");
        put(f, s, "c", "1");
        wait_durable(f, s, 0);
        watch(s, NULL, true, middle, &seen);
        loop_run_until(f->loop, &seen.done);
        AUTO(free) char *all = strv_join(&seen.lines, ", ");
        assert_string_equal(all, "ADDED b 1, ADDED c 1");
        assert_int_equal(store_watch(s, store_collection(s, "things"), NULL, true, 1, &ev, &w, &err), -ESTALE);
        assert_int_equal(err.http_status, 410);
        assert_string_equal(err.reason, "Expired");
        strv_done(&seen.lines);
        store_free(s);
}

static void a_watcher_may_stop_itself_and_others_while_it_is_called(void **state) {
        struct fixture *f = *state;
        struct store *s;
        assert_int_equal(store_new(f->loop, NULL, 0, &s, NULL), 0);
        struct seen first = {.wanted = 1}, second = {.wanted = 1};
        struct watcher *a = watch(s, NULL, false, 0, &first);
        watch(s, NULL, false, 0, &second);
        loop_run_until(f->loop, &first.done);
        store_watch_stop(a);
        first.done = second.done = false;
        second.wanted = 2;
        put(f, s, "x", "1");
        loop_run_until(f->loop, &second.done);
        assert_int_equal(first.lines.len, 1);
        assert_int_equal(second.lines.len, 2);
        strv_done(&first.lines);
        strv_done(&second.lines);
        store_free(s);
}

static void a_reopened_store_has_everything_and_continues_counting(void **state) {
        struct fixture *f = *state;
        struct store *s;
        uint64_t revision;
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        put(f, s, "a", "1");
        put(f, s, "b", "1");
        put(f, s, "a", "2");
        drop(f, s, "b");
        wait_durable(f, s, 0);
        revision = store_revision(s);
        store_free(s);

        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        assert_int_equal(store_load(s, store_collection(s, "things"), &f->resource, NULL), 0);
        assert_int_equal(store_collection(s, "things")->len, 1);
        assert_string_equal(object_str(collection_find(store_collection(s, "things"), "ns", "a"), "/data"), "2");
        assert_int_equal(store_revision(s), revision);
        assert_int_equal(store_oldest_revision(s), revision);
        store_free(s);
}

static void what_is_not_durable_yet_is_committed_when_the_store_is_freed(void **state) {
        struct fixture *f = *state;
        struct store *s;
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        for (int i = 0; i < 50; i++) {
                char name[8];
                snprintf(name, sizeof(name), "n%d", i);
                put(f, s, name, "x");
        }
        store_free(s);
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        assert_int_equal(store_load(s, store_collection(s, "things"), &f->resource, NULL), 0);
        assert_int_equal(store_collection(s, "things")->len, 50);
        store_free(s);
}

static void a_damaged_database_is_set_aside_and_named(void **state) {
        struct fixture *f = *state;
        AUTO(err) struct err err = ERR_INIT;
        struct store *s = NULL;
        assert_int_equal(fs_write(f->path, SV("this is no database, and long enough that nobody takes it for an empty one"), 0600, NULL),
                         0);
        assert_int_equal(store_new(f->loop, f->path, 0, &s, &err), -EUCLEAN);
        assert_non_null(strstr(err.message, "/db.corrupt-"));
        assert_non_null(err.hint);
        assert_false(fs_exists(f->path));
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        store_free(s);
}

/* A file system that takes no more: the process's own limit on file sizes stands for a full disk. */
static void a_failed_commit_takes_back_everything_since(void **state) {
        struct fixture *f = *state;
        struct rlimit before, tight;
        struct store *s;
        struct seen seen = {.wanted = 100};
        AUTO(str) struct str big = STR_INIT(0);

        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        put(f, s, "kept", "old");
        wait_durable(f, s, 0);
        watch(s, NULL, false, 0, &seen);
        wait_durable(f, s, 0);
        for (int i = 0; i < 200000; i++)
                str_append_c(&big, 'x');
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before);
        tight = before;
        tight.rlim_cur = 64 * 1024;
        setrlimit(RLIMIT_FSIZE, &tight);
        put(f, s, "kept", "new");
        put(f, s, "big", str_cstr(&big));
        drop(f, s, "kept");
        put(f, s, "other", "1");
        struct seen waiting = {0};
        store_when_durable(s, store_revision(s), note_durable, &waiting);
        loop_run_until(f->loop, &waiting.done);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_true(waiting.code < 0);
        assert_null(collection_find(store_collection(s, "things"), "ns", "big"));
        assert_null(collection_find(store_collection(s, "things"), "ns", "other"));
        assert_non_null(collection_find(store_collection(s, "things"), "ns", "kept"));
        /* and it goes on */
        put(f, s, "later", "1");
        wait_durable(f, s, 0);
        store_free(s);
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        assert_int_equal(store_load(s, store_collection(s, "things"), &f->resource, NULL), 0);
        assert_null(collection_find(store_collection(s, "things"), "ns", "big"));
        assert_non_null(collection_find(store_collection(s, "things"), "ns", "later"));
        assert_non_null(collection_find(store_collection(s, "things"), "ns", "kept"));
        for (size_t i = 0; i < seen.lines.len; i++)
                assert_null(strstr(seen.lines.items[i], "big"));
        strv_done(&seen.lines);
        store_free(s);
}

struct writer {
        struct fixture *f;
        struct store *s;
        int out;
        int next;
};

static void acknowledged(void *arg, const struct err *err);

static void write_more(struct writer *w) {
        char name[16];
        snprintf(name, sizeof(name), "n%06d", w->next);
        put(w->f, w->s, name, "x");
        store_when_durable(w->s, store_revision(w->s), acknowledged, w);
}

static void acknowledged(void *arg, const struct err *err) {
        struct writer *w = arg;
        if (err || fs_write_all(w->out, &w->next, sizeof(w->next)) < 0)
                _exit(1);
        w->next++;
        write_more(w);
}

static void acknowledged_writes_survive_kill_9(void **state) {
        struct fixture *f = *state;
        int fds[2], last = -1, got, status;
        struct store *s;
        pid_t child;

        assert_int_equal(pipe(fds), 0);
        child = fork();
        if (child == 0) {
                struct writer w = {.f = f, .out = fds[1]};
                f->loop = loop_new();
                if (store_new(f->loop, f->path, 0, &w.s, NULL) < 0)
                        _exit(1);
                write_more(&w);
                loop_run(f->loop);
                _exit(1);
        }
        close(fds[1]);
        while (last < 100 && read(fds[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
                last = got;
        kill(child, SIGKILL);
        while (read(fds[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
                last = got;
        close(fds[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_true(last >= 100);
        assert_int_equal(store_new(f->loop, f->path, 0, &s, NULL), 0);
        assert_int_equal(store_load(s, store_collection(s, "things"), &f->resource, NULL), 0);
        for (int i = 0; i <= last; i++) {
                char name[16];
                snprintf(name, sizeof(name), "n%06d", i);
                assert_non_null(collection_find(store_collection(s, "things"), "ns", name));
        }
        store_free(s);
}

static char *names_at(struct store *s, uint64_t revision) {
        AUTO(object_list) struct object_list list = {0};
        AUTO(str) struct str out = STR_INIT(0);
        assert_int_equal(store_snapshot(s, store_collection(s, "things"), "ns", revision, &list, NULL), 0);
        for (size_t i = 0; i < list.len; i++)
                str_appendf(&out, "%s=%s ", list.items[i]->name, object_str(list.items[i], "/data"));
        return str_take(&out);
}

static void shows_what_was_there_at_an_earlier_revision(void **state) {
        struct fixture *f = *state;
        struct store *s;
        uint64_t at[5];
        static const char *const wanted[] = {"a=1 b=1 ", "a=2 b=1 ", "a=2 ", "a=2 c=1 ", "a=2 b=3 c=1 "};
        assert_int_equal(store_new(f->loop, NULL, 4, &s, NULL), 0);
        put(f, s, "a", "1");
        put(f, s, "b", "1");
        at[0] = store_revision(s);
        put(f, s, "a", "2");
        at[1] = store_revision(s);
        wait_durable(f, s, 0); /* some changes in the ring, some not durable yet */
        drop(f, s, "b");
        at[2] = store_revision(s);
        put(f, s, "c", "1");
        at[3] = store_revision(s);
        store_put(s, store_collection(s, "things"), object(f, s, "other", "x", "1"));
        put(f, s, "b", "3");
        at[4] = store_revision(s);
        for (int durable = 0; durable < 2; durable++) {
                for (size_t i = durable ? 2 : 0; i < ARRAY_LEN(at); i++) {
                        AUTO(free) char *names = names_at(s, at[i]);
                        assert_string_equal(names, wanted[i]);
                }
                wait_durable(f, s, 0);
        }
        AUTO(object_list) struct object_list none = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(store_snapshot(s, store_collection(s, "things"), "ns", at[0], &none, &err), -ESTALE); /* the ring holds four */
        assert_int_equal(err.http_status, 410);
        assert_int_equal(none.len, 0);
        store_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(keeps_objects_ordered_by_namespace_and_name, make, unmake),
                cmocka_unit_test_setup_teardown(a_watch_begins_with_the_state_and_continues_with_changes, make, unmake),
                cmocka_unit_test_setup_teardown(nobody_hears_of_a_change_before_it_is_durable, make, unmake),
                cmocka_unit_test_setup_teardown(resumes_after_a_revision_and_says_when_it_is_too_old, make, unmake),
                cmocka_unit_test_setup_teardown(shows_what_was_there_at_an_earlier_revision, make, unmake),
                cmocka_unit_test_setup_teardown(a_watcher_may_stop_itself_and_others_while_it_is_called, make, unmake),
                cmocka_unit_test_setup_teardown(a_reopened_store_has_everything_and_continues_counting, make, unmake),
                cmocka_unit_test_setup_teardown(what_is_not_durable_yet_is_committed_when_the_store_is_freed, make, unmake),
                cmocka_unit_test_setup_teardown(a_damaged_database_is_set_aside_and_named, make, unmake),
                cmocka_unit_test_setup_teardown(a_failed_commit_takes_back_everything_since, make, unmake),
                cmocka_unit_test_setup_teardown(acknowledged_writes_survive_kill_9, make, unmake),
        };
        return cmocka_run_group_tests_name("cluster/store", tests, NULL, NULL);
}
