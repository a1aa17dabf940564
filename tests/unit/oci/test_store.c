#include "fixture.h"

#include <fcntl.h>

#include "oci/store.h"

static int make_store(void **state) {
        AUTO(free) char *dir = temporary_directory();
        struct oci_store *s = NEW(struct oci_store);
        *state = s;
        return oci_store_open(dir, s, NULL);
}

static int remove_store(void **state) {
        struct oci_store *s = *state;
        int r = fs_remove_tree(s->dir, NULL);
        oci_store_done(s);
        free(s);
        return r;
}

/* A blob as it would come from a registry. */
static void put_pieces(struct oci_store *s, struct sv text, struct oci_descriptor *ret) {
        AUTO(oci_ingest) struct oci_ingest *i = NULL;
        char digest[OCI_DIGEST_SIZE];
        oci_digest_of(text, digest);
        *ret = (struct oci_descriptor){.digest = xstrdup(digest), .size = (int64_t)text.len};
        int r = oci_ingest_begin(s, ret, &i, NULL);
        if (r == 1)
                return;
        assert_int_equal(r, 0);
        ok(oci_ingest_write(i, text, err));
        ok(oci_ingest_commit(i, err));
}

static void an_interrupted_blob_goes_on(void **state) {
        struct oci_store *s = *state;
        char digest[OCI_DIGEST_SIZE];
        AUTO(oci_ingest) struct oci_ingest *first = NULL, *second = NULL, *other = NULL;
        oci_digest_of(SV("hello world"), digest);
        struct oci_descriptor d = {.digest = digest, .size = 11};
        ok(oci_ingest_begin(s, &d, &first, err));
        ok(oci_ingest_write(first, SV("hello "), err));
        assert_int_equal(oci_ingest_begin(s, &d, &other, NULL), -EAGAIN);
        assert_int_equal(oci_ingest_commit(first, NULL), -EBADMSG);
        oci_ingest_free(TAKE(first));
        ok(oci_ingest_begin(s, &d, &second, err));
        assert_int_equal(oci_ingest_have(second), 6);
        ok(oci_ingest_write(second, SV("world"), err));
        assert_false(oci_store_has_blob(s, &d));
        ok(oci_ingest_commit(second, err));
        assert_true(oci_store_has_blob(s, &d));
        assert_int_equal(oci_ingest_begin(s, &d, &other, NULL), 1);
}

static void a_wrong_blob_is_thrown_away(void **state) {
        struct oci_store *s = *state;
        char digest[OCI_DIGEST_SIZE];
        AUTO(oci_ingest) struct oci_ingest *i = NULL;
        AUTO(err) struct err why = ERR_INIT;
        oci_digest_of(SV("right"), digest);
        struct oci_descriptor d = {.digest = digest, .size = 5};
        ok(oci_ingest_begin(s, &d, &i, err));
        assert_int_equal(oci_ingest_write(i, SV("too long"), NULL), -EBADMSG);
        ok(oci_ingest_write(i, SV("wrong"), err));
        assert_int_equal(oci_ingest_commit(i, &why), -EBADMSG);
        assert_non_null(strstr(err_message(&why), "not what was asked for"));
        oci_ingest_free(TAKE(i));
        ok(oci_ingest_begin(s, &d, &i, err));
        assert_int_equal(oci_ingest_have(i), 0);
}

/* An image of one layer with one file. */
static void put_image(struct oci_store *s, const char *name, const char *word) {
        AUTO(str) struct str tar = STR_INIT(0);
        AUTO(oci_descriptor) struct oci_descriptor layer = {0}, config = {0};
        char manifest[OCI_DIGEST_SIZE];
        tar_add(&tar, '0', "etc/word", NULL, 0644, sv_of(word));
        tar_end(&tar);
        put_pieces(s, str_sv(&tar), &layer);
        AUTO(free) char *config_text = xasprintf("{\"config\":{\"Cmd\":[\"%s\"]},\"rootfs\":{\"diff_ids\":[\"%s\"]}}", word, layer.digest);
        put_pieces(s, sv_of(config_text), &config);
        AUTO(free) char *text = xasprintf("{\"config\":{\"digest\":\"%s\",\"size\":%lld},\"layers\":[{\"digest\":\"%s\",\"size\":%lld}]}",
                                          config.digest, (long long)config.size, layer.digest, (long long)layer.size);
        ok(oci_store_put(s, sv_of(text), manifest, err));
        ok(oci_store_tag(s, name, manifest, manifest, "file", err));
}

static void find(struct oci_store *s, const char *name, struct oci_image *ret, int expected) {
        AUTO(oci_reference) struct oci_reference r = {0};
        ok(oci_reference_parse(name, &r, err));
        assert_int_equal(oci_store_find(s, &r, ret, NULL), expected);
}

static enum oci_ids ids_here(void) { return getuid() == 0 ? OCI_IDS_ROOT : OCI_IDS_SQUASHED; }

static void images_are_found_by_tag_and_by_digest(void **state) {
        struct oci_store *s = *state;
        AUTO(oci_image) struct oci_image a = {0}, b = {0}, none = {0};
        put_image(s, "docker.io/library/x:1", "one");
        find(s, "x:1", &a, 0);
        assert_string_equal(a.config.command.items[0], "one");
        AUTO(free) char *pinned = xasprintf("x@%s", a.record.digest);
        find(s, pinned, &b, 0);
        find(s, "y:1", &none, -ENOENT);
}

static void layers_are_unpacked_once_and_pruned_when_unused(void **state) {
        struct oci_store *s = *state;
        AUTO(oci_image) struct oci_image a = {0};
        AUTO(free) char *dir = NULL, *again = NULL;
        AUTO(strv) struct strv layers = {0}, same = {0}, used = {0};
        AUTO(oci_prune_result) struct oci_prune_result gone = {0};
        put_image(s, "docker.io/library/x:1", "one");
        put_image(s, "docker.io/library/y:1", "two");
        find(s, "x:1", &a, 0);
        ok(oci_store_unpack(s, &a, ids_here(), &dir, &layers, err));
        ok(oci_store_unpack(s, &a, ids_here(), &again, &same, err));
        assert_int_equal(layers.len, 1);
        assert_string_equal(layers.items[0], same.items[0]);
        AUTO(free) char *file = xasprintf("%s/%s/etc/word", dir, layers.items[0]);
        AUTO(str) struct str word = STR_INIT(0);
        ok(fs_read(file, 0, &word, err));
        assert_string_equal(str_cstr(&word), "one");
        /* A pod of an instance that exists uses x. */
        strv_add(&used, a.record.manifest);
        ok(oci_store_lease(s, s->dir, &used, err));
        ok(oci_store_prune(s, &(struct oci_prune_options){.all = true}, true, &gone, err));
        assert_int_equal(gone.images.len, 1);
        assert_string_equal(gone.images.items[0], "docker.io/library/y:1");
        assert_true(fs_exists(file));
        strv_done(&used);
        ok(oci_store_lease(s, s->dir, &used, err));
        oci_prune_result_done(&gone);
        gone = (struct oci_prune_result){0};
        /* No lease yet, but found just now: a pod may be about to start from it. */
        ok(oci_store_prune(s, &(struct oci_prune_options){.all = true, .keep_bytes = 1, .min_age_ms = 3600000}, true, &gone, err));
        assert_int_equal(gone.images.len, 0);
        assert_true(fs_exists(file));
        ok(oci_store_prune(s, &(struct oci_prune_options){.all = true}, true, &gone, err));
        assert_int_equal(gone.layers, 1);
        assert_int_equal(gone.blobs, 3);
        assert_false(fs_exists(file));
}

static void prune_waits_for_nobody_unless_told(void **state) {
        struct oci_store *s = *state;
        AUTO(fd) int hold = -1;
        struct oci_prune_result gone = {0};
        ok(oci_store_lock(s, false, true, &hold, err));
        assert_int_equal(oci_store_prune(s, &(struct oci_prune_options){0}, false, &gone, NULL), -EBUSY);
}

static void a_layer_that_is_not_what_the_configuration_tells_is_refused(void **state) {
        struct oci_store *s = *state;
        AUTO(oci_image) struct oci_image a = {0};
        AUTO(free) char *dir = NULL;
        AUTO(strv) struct strv layers = {0};
        AUTO(err) struct err why = ERR_INIT;
        put_image(s, "docker.io/library/x:1", "one");
        find(s, "x:1", &a, 0);
        a.config.diff_ids.items[0][10] ^= 1;
        assert_int_equal(oci_store_unpack(s, &a, ids_here(), &dir, &layers, &why), -EBADMSG);
        assert_non_null(strstr(err_message(&why), "configuration tells"));
        assert_int_equal(layers.len, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(an_interrupted_blob_goes_on, make_store, remove_store),
                cmocka_unit_test_setup_teardown(a_wrong_blob_is_thrown_away, make_store, remove_store),
                cmocka_unit_test_setup_teardown(images_are_found_by_tag_and_by_digest, make_store, remove_store),
                cmocka_unit_test_setup_teardown(layers_are_unpacked_once_and_pruned_when_unused, make_store, remove_store),
                cmocka_unit_test_setup_teardown(prune_waits_for_nobody_unless_told, make_store, remove_store),
                cmocka_unit_test_setup_teardown(a_layer_that_is_not_what_the_configuration_tells_is_refused, make_store, remove_store),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
