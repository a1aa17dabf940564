#include "unit/test.h"

TEST(wrapping_puts_the_context_before_the_message) {
        AUTO(err) struct err e = ERR_INIT;
        assert_int_equal(err_errno(&e, -ENOENT, "/x"), -ENOENT);
        assert_int_equal(err_wrap(&e, -ENOENT, "reading %s", "conf"), -ENOENT);
        assert_string_equal(err_message(&e), "reading conf: /x: No such file or directory");
}

TEST(wrapping_keeps_status_and_reason) {
        AUTO(err) struct err e = ERR_INIT;
        int r = err_http(&e, -EEXIST, 409, "AlreadyExists", "pods \"a\" already exists");
        r = err_wrap(&e, r, "creating the driver");
        assert_int_equal(r, -EEXIST);
        assert_int_equal(e.http_status, 409);
        assert_string_equal(e.reason, "AlreadyExists");
}

TEST(a_missing_error_object_is_allowed) {
        assert_int_equal(err_set(NULL, -EINVAL, "x"), -EINVAL);
        assert_int_equal(err_wrap(NULL, -EIO, "y"), -EIO);
        err_hint(NULL, "z");
}

TEST(moving_leaves_the_source_empty) {
        AUTO(err) struct err a = ERR_INIT, b = ERR_INIT;
        err_set(&a, -EPERM, "old");
        int r = err_set(&b, -EIO, "new");
        assert_int_equal(err_move(&a, &b), r);
        assert_string_equal(a.message, "new");
        assert_null(b.message);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(wrapping_puts_the_context_before_the_message),
                cmocka_unit_test(wrapping_keeps_status_and_reason),
                cmocka_unit_test(a_missing_error_object_is_allowed),
                cmocka_unit_test(moving_leaves_the_source_empty),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
