/* What the kubelet says of images to the store. */
#include "unit/test.h"

#include "base/fs.h"
#include "cluster/podrt/imagepull.h"
#include "cluster/podrt/kubelet-internal.h"
#include "event/loop.h"

enum { ROUNDS = 300 };

/* How many blobs pruning takes once all that was said is written. */
static size_t pruned(struct loop *loop, const struct kubelet *k, struct image_pulls *pulls) {
        struct oci_prune_result gone = {0};
        loop_run(loop);
        assert_int_equal(k->jobs, 0);
        assert_int_equal(oci_store_prune(image_pulls_store(pulls), &(struct oci_prune_options){.all = true}, true, &gone, NULL), 0);
        oci_prune_result_done(&gone);
        return gone.blobs;
}

static void the_last_lease_is_the_one_that_stays(void **state) {
        AUTO(free) char *dir = xasprintf("%s/firesteel-images-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
        assert_non_null(mkdtemp(dir));
        AUTO(free) char *images = fs_join(dir, "images"), *instance = fs_join(dir, "instance");
        AUTO(loop) struct loop *loop = loop_new();
        struct kubelet kubelet = {0};
        const struct image_pulls_options o = {.kubelet = &kubelet, .loop = loop, .store_dir = images};
        struct image_pulls *pulls = image_pulls_new(&o);
        char digest[OCI_DIGEST_SIZE];
        AUTO(strv) struct strv none = {0}, used = {0};
        assert_int_equal(fs_mkdirs(instance, 0700, NULL), 0);
        for (int i = 0; i < ROUNDS; i++) {
                assert_int_equal(oci_store_put(image_pulls_store(pulls), SV("a manifest"), digest, NULL), 0);
                if (!used.len)
                        strv_add(&used, digest);
                image_pulls_lease(pulls, instance, &none);
                image_pulls_lease(pulls, instance, &used);
                assert_int_equal(pruned(loop, &kubelet, pulls), 0);
                image_pulls_lease(pulls, instance, &used);
                image_pulls_lease(pulls, instance, &none);
                assert_int_equal(pruned(loop, &kubelet, pulls), 1);
        }
        image_pulls_free(pulls);
        assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_lease_is_the_one_that_stays)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
