#include "spark/submission.h"
#include "unit/test.h"

struct world {
        struct spark_conf conf;
        struct submission_app app;
        struct submission_inputs in;
        struct submission_ids ids;
};

static void world_init(struct world *w) {
        *w = (struct world){.ids = {.seed = {1, 2}, .now_ms = 1767323045678}};
        spark_conf_init(&w->conf, spark_version_newest());
        submission_inputs_init(&w->in);
        w->in.cwd = xstrdup("/home/u");
        w->in.user = xstrdup("u");
        w->app.kind = APP_JAVA;
        w->app.main_class = xstrdup("a.B");
        w->app.resource = xstrdup("local:///opt/x.jar");
        conf_set(&w->conf, "spark.app.name", "pi");
        conf_set(&w->conf, "spark.kubernetes.container.image", "img");
}

static void world_done(struct world *w) {
        spark_conf_done(&w->conf);
        submission_app_done(&w->app);
        submission_inputs_done(&w->in);
}
DEFINE_AUTO_VALUE(world, struct world, world_done)

static int build(struct world *w, struct submission **ret, struct err *err) {
        return submission_build(&(struct submission_request){.conf = &w->conf, .app = &w->app, .in = &w->in, .ids = w->ids}, ret, err);
}

static char *text_of(struct submission *s) {
        AUTO(mjson) yyjson_mut_doc *list = submission_list(s);
        return mjson_write(yyjson_mut_doc_get_root(list), false, NULL);
}

TEST(gives_equal_objects_for_equal_arguments) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *a = NULL, *b = NULL, *c = NULL;
        world_init(&w);
        assert_int_equal(build(&w, &a, NULL), 0);
        assert_int_equal(build(&w, &b, NULL), 0);
        AUTO(free) char *x = text_of(a), *y = text_of(b);
        assert_string_equal(x, y);
        w.ids.seed[0] = 9;
        assert_int_equal(build(&w, &c, NULL), 0);
        assert_string_not_equal(a->app_id, c->app_id);
        assert_string_not_equal(a->pod_name, c->pod_name);
}

TEST(does_not_change_the_configuration) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *s = NULL;
        world_init(&w);
        size_t before = w.conf.entries.len;
        assert_int_equal(build(&w, &s, NULL), 0);
        assert_int_equal(w.conf.entries.len, before);
}

TEST(puts_service_first_and_properties_last) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *s = NULL;
        world_init(&w);
        assert_int_equal(build(&w, &s, NULL), 0);
        assert_int_equal(s->resources.len, 2);
        assert_string_equal(s->resources.items[0].kind, "Service");
        assert_string_equal(s->resources.items[1].plural, "configmaps");
        assert_true(str_starts(s->pod_name, "pi-"));
        assert_string_equal(mjson_str_at(s->pod, "/metadata/name"), s->pod_name);
}

TEST(stamps_owners_once) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *s = NULL;
        world_init(&w);
        assert_int_equal(build(&w, &s, NULL), 0);
        submission_set_owner(s, "first");
        submission_set_owner(s, "second");
        vec_foreach(o, &s->resources) {
                assert_int_equal(yyjson_mut_arr_size(mjson_at(o->body, "/metadata/ownerReferences")), 1);
                assert_string_equal(mjson_str_at(o->body, "/metadata/ownerReferences/0/uid"), "second");
                assert_string_equal(mjson_str_at(o->body, "/metadata/ownerReferences/0/name"), s->pod_name);
        }
        assert_null(mjson_at(s->pod, "/metadata/ownerReferences"));
}

TEST(plans_uploads_in_order) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *s = NULL;
        world_init(&w);
        inputs_add_file(&w.in, "/home/u/a.txt")->kind = INPUT_FILE;
        inputs_add_file(&w.in, "/home/u/l.jar")->kind = INPUT_FILE;
        conf_set(&w.conf, "spark.kubernetes.file.upload.path", "s3a://b/up");
        conf_set(&w.conf, "spark.files", "http://h/x,file:/home/u/a.txt");
        conf_set(&w.conf, "spark.jars", "file:/home/u/l.jar");
        assert_int_equal(build(&w, &s, NULL), 0);
        assert_int_equal(s->uploads.list.len, 2);
        assert_string_equal(s->uploads.list.items[0].source, "/home/u/l.jar");
        assert_string_equal(s->uploads.list.items[1].source, "/home/u/a.txt");
        assert_true(str_starts(s->uploads.list.items[1].target, "s3a://b/up/spark-upload-"));
        assert_true(str_ends(s->uploads.list.items[1].target, "/a.txt"));
}

TEST(explains_a_missing_upload_path) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *s = NULL;
        AUTO(err) struct err err = ERR_INIT;
        world_init(&w);
        conf_set(&w.conf, "spark.files", "file:/home/u/a.txt");
        assert_int_equal(build(&w, &s, &err), -EINVAL);
        assert_string_equal(err_message(&err), "Please specify spark.kubernetes.file.upload.path property.");
        assert_contains(err.hint, "/home/u/a.txt");
        assert_null(s);
}

TEST(refuses_reserved_labels) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *s = NULL;
        AUTO(err) struct err err = ERR_INIT;
        world_init(&w);
        conf_set(&w.conf, "spark.kubernetes.driver.label.spark-role", "x");
        assert_int_equal(build(&w, &s, &err), -EINVAL);
        assert_contains(err_message(&err), "spark-role is not allowed");
}

TEST(shortens_service_names_with_a_warning) {
        AUTO(world) struct world w;
        AUTO(submission) struct submission *s = NULL;
        world_init(&w);
        conf_set(&w.conf, "spark.app.name", "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn");
        assert_int_equal(build(&w, &s, NULL), 0);
        assert_true(str_starts(s->resources.items[0].name, "spark-"));
        assert_int_equal(s->warnings.len, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_equal_objects_for_equal_arguments), cmocka_unit_test(does_not_change_the_configuration),
                cmocka_unit_test(puts_service_first_and_properties_last),  cmocka_unit_test(stamps_owners_once),
                cmocka_unit_test(plans_uploads_in_order),                  cmocka_unit_test(explains_a_missing_upload_path),
                cmocka_unit_test(refuses_reserved_labels),                 cmocka_unit_test(shortens_service_names_with_a_warning),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
