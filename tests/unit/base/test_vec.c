#include "base/vec.h"

#include "unit/test.h"

TEST(pushed_items_are_zeroed_and_kept_in_order) {
        struct pair {
                int a, b;
        };
        VEC(struct pair) v = {0};
        for (int i = 0; i < 100; i++)
                vec_push(&v)->a = i;
        assert_int_equal(v.len, 100);
        vec_remove(&v, 0);
        assert_int_equal(v.items[0].a, 1);
        assert_int_equal(v.items[98].a, 99);
        assert_int_equal(v.items[98].b, 0);
        vec_done(&v);
}

TEST(string_vectors_stay_terminated_sort_and_join) {
        AUTO(strv) struct strv v = {0};
        strv_split(&v, "c,a,b", ',');
        strv_addf(&v, "%d", 4);
        assert_null(v.items[v.len]);
        strv_sort(&v);
        AUTO(free) char *joined = strv_join(&v, "|");
        assert_string_equal(joined, "4|a|b|c");
        assert_true(strv_has(&v, "b"));
        assert_false(strv_has(&v, "x"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pushed_items_are_zeroed_and_kept_in_order),
                cmocka_unit_test(string_vectors_stay_terminated_sort_and_join),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
