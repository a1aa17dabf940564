#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/documents.h"
#include "kobj/meta.h"

/* An object with a body of about `size` bytes. */
static struct object *make(const char *name, size_t size) {
        AUTO(free) char *text = xasprintf("{\"metadata\":{\"name\":\"%s\",\"namespace\":\"ns\"},\"data\":\"%0*d\"}", name, (int)size, 7);
        yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        return object_new(NULL, 1, doc);
}

/* As the store keeps it: no reference but that of the text. */
static struct object *stored(struct documents *d, const char *name, size_t size) {
        struct object *o = make(name, size);
        documents_adopt(d, o);
        object_hold(o);
        object_unref(o);
        return o;
}

static void stop(void *arg) { loop_stop(arg); }

/* The loop comes round once. */
static void turn(struct loop *l) {
        struct timer *t = timer_new(l, 1, 0, stop, l);
        loop_run(l);
        timer_free(t);
}

static size_t count(const struct documents *d) {
        struct documents_stats s;
        documents_stats(d, &s);
        return s.count;
}

static void knows_what_objects_are_searched_by_without_the_document(void **state) {
        static const char text[] =
                "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\",\"uid\":\"u\",\"creationTimestamp\":\"1970-01-01T00:00:02Z\","
                "\"labels\":{\"app\":\"x\",\"empty\":\"\"},\"ownerReferences\":[{\"kind\":\"Node\",\"name\":\"n\",\"uid\":\"1\"},"
                "{\"kind\":\"Job\",\"name\":\"j\",\"uid\":\"2\",\"controller\":true}]},\"spec\":{\"nodeName\":\"here\"},\"status\":{\"phase\":\"Failed\"}}";
        struct loop *l = loop_new();
        struct documents *d = documents_new(l, 1 << 20);
        AUTO(selector) struct selector app = {0}, other = {0}, none = {0};
        yyjson_doc *doc = NULL;
        (void)state;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        assert_int_equal(selector_parse(sv_of("app in (x,y),!missing,empty"), &app, NULL), 0);
        assert_int_equal(selector_parse(sv_of("app!=x"), &other, NULL), 0);
        AUTO(object) struct object *o = object_new(NULL, 1, doc);
        documents_adopt(d, o);
        object_rest(o, 1);
        assert_int_equal(count(d), 0);
        assert_string_equal(o->name, "p");
        assert_string_equal(o->namespace, "ns");
        assert_string_equal(o->uid, "u");
        assert_string_equal(object_label(o, "app"), "x");
        assert_string_equal(object_label(o, "empty"), "");
        assert_null(object_label(o, "missing"));
        assert_true(object_matches(o, &app));
        assert_false(object_matches(o, &other));
        assert_true(object_matches(o, &none));
        assert_string_equal(o->owner_kind, "Job");
        assert_string_equal(o->owner_name, "j");
        assert_true(object_is_controlled_by(o, "2"));
        assert_false(object_is_controlled_by(o, "1"));
        assert_true(o->has_owners);
        assert_string_equal(o->node, "here");
        assert_true(object_is_finished(o));
        assert_false(object_is_deleting(o));
        assert_false(object_is_active(o));
        assert_int_equal(o->created_ms, 2000);
        assert_int_equal(count(d), 0); /* nothing of all this was parsed for */
        assert_string_equal(meta_kind(object_root(o)), "Pod");
        assert_int_equal(count(d), 1);
        assert_string_equal(object_text(o).data, text);
        documents_free(d);
        loop_free(l);
}

static void what_an_object_lacks_is_empty(void **state) {
        (void)state;
        yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(sv_of("{\"metadata\":{\"labels\":{\"a\":1}},\"spec\":{\"nodeName\":3},\"status\":null}"), &doc, NULL),
                         0);
        AUTO(object) struct object *o = object_new(NULL, 1, doc);
        assert_string_equal(o->name, "");
        assert_string_equal(o->namespace, "");
        assert_string_equal(o->uid, "");
        assert_string_equal(o->node, "");
        assert_string_equal(o->phase, "");
        assert_null(o->owner_uid);
        assert_null(object_controller(o));
        assert_false(o->has_owners);
        assert_int_equal(o->n_labels, 0);
        assert_null(object_label(o, "a"));
        assert_int_equal(o->created_ms, 0);
}

static void trims_to_the_budget_when_the_loop_comes_round(void **state) {
        struct loop *l = loop_new();
        struct documents *d = documents_new(l, 20000);
        struct object *all[16];
        (void)state;
        for (size_t i = 0; i < 16; i++)
                all[i] = stored(d, "o", 1000);
        const char *borrowed = object_str(all[0], "/metadata/name");
        assert_int_equal(count(d), 16); /* nothing is taken from whoever is at work */
        assert_string_equal(borrowed, "o");
        turn(l);
        struct documents_stats s;
        documents_stats(d, &s);
        assert_in_range(s.bytes, 1, 20000);
        assert_in_range(s.count, 1, 15);
        for (size_t i = 0; i < 16; i++)
                assert_string_equal(object_str(all[i], "/metadata/namespace"), "ns"); /* parsed again */
        assert_int_equal(count(d), 16);
        for (size_t i = 0; i < 16; i++)
                object_release(all[i]);
        assert_int_equal(count(d), 0);
        documents_free(d);
        loop_free(l);
}

static void keeps_the_document_of_who_is_held(void **state) {
        struct loop *l = loop_new();
        struct documents *d = documents_new(l, 1); /* room for none */
        (void)state;
        struct object *held = object_ref(stored(d, "held", 10)), *other = stored(d, "other", 10);
        const char *borrowed = object_str(held, "/metadata/name");
        turn(l);
        assert_int_equal(count(d), 1);
        assert_string_equal(borrowed, "held");
        object_rest(held, 0); /* not ours: stays */
        assert_int_equal(count(d), 1);
        object_rest(held, 1);
        assert_int_equal(count(d), 0);
        assert_string_equal(object_str(held, "/metadata/name"), "held");
        object_unref(held);
        turn(l); /* over the budget from when it was parsed again */
        assert_int_equal(count(d), 0);
        object_release(held);
        object_release(other);
        documents_free(d);
        loop_free(l);
}

static void gives_what_was_used_another_round(void **state) {
        struct loop *l = loop_new();
        struct documents *d = documents_new(l, 40000);
        struct object *often, *once[40];
        (void)state;
        often = stored(d, "often", 1000);
        for (size_t i = 0; i < 40; i++) {
                once[i] = stored(d, "once", 1000);
                assert_string_equal(object_str(often, "/metadata/name"), "often");
                turn(l);
        }
        assert_non_null(often->doc);
        for (size_t i = 0; i < 40; i++)
                object_release(once[i]);
        object_release(often);
        documents_free(d);
        loop_free(l);
}

static void a_look_leaves_nothing_behind(void **state) {
        struct loop *l = loop_new();
        struct documents *d = documents_new(l, 1 << 20);
        struct object *o = stored(d, "o", 10);
        (void)state;
        object_rest(o, 0);
        {
                AUTO(object_view) struct object_view v = object_view(o);
                assert_string_equal(meta_name(v.root), "o");
        }
        assert_int_equal(count(d), 0);
        yyjson_val *root = object_root(o);
        AUTO(object_view) struct object_view v = object_view(o);
        assert_ptr_equal(v.root, root); /* the one that is there */
        object_release(o);
        documents_free(d);
        loop_free(l);
}

static void objects_outlive_the_cache_and_those_without_one_keep_theirs(void **state) {
        struct loop *l = loop_new();
        struct documents *d = documents_new(l, 1);
        struct object *o = object_ref(stored(d, "o", 10)), *alone = make("alone", 10);
        (void)state;
        object_release(o);
        object_rest(alone, 1);
        assert_non_null(alone->doc);
        documents_free(d);
        loop_free(l);
        assert_string_equal(object_str(o, "/metadata/name"), "o");
        object_unref(o);
        object_unref(alone);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(knows_what_objects_are_searched_by_without_the_document),
                cmocka_unit_test(what_an_object_lacks_is_empty),
                cmocka_unit_test(trims_to_the_budget_when_the_loop_comes_round),
                cmocka_unit_test(keeps_the_document_of_who_is_held),
                cmocka_unit_test(gives_what_was_used_another_round),
                cmocka_unit_test(a_look_leaves_nothing_behind),
                cmocka_unit_test(objects_outlive_the_cache_and_those_without_one_keep_theirs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
