#include "spark/idmap.h"

#include "spark/select.h"
#include "unit/test.h"

TEST(removed_keys_leave_no_hole_behind) {
        struct idmap m = {0};
        static char values[5000];
        for (uint64_t i = 0; i < 5000; i++)
                idmap_set(&m, i * 64, &values[i]);
        for (uint64_t i = 0; i < 5000; i += 2)
                assert_ptr_equal(idmap_remove(&m, i * 64), &values[i]);
        for (uint64_t i = 0; i < 5000; i++)
                assert_ptr_equal(idmap_get(&m, i * 64), i % 2 ? &values[i] : NULL);
        assert_int_equal(m.len, 2500);
        assert_null(idmap_remove(&m, 0));
        idmap_done(&m);
}

TEST(sets_count_each_number_once) {
        struct idset s = {0};
        for (int turn = 0; turn < 2; turn++)
                for (uint64_t i = 0; i < 10000; i++)
                        assert_int_equal(idset_add(&s, i * 3), turn == 0);
        assert_int_equal(s.count, 10000);
        assert_true(idset_has(&s, 2999 * 3));
        assert_false(idset_has(&s, 1));
        idset_done(&s);
}

TEST(ascending_lists_stay_ascending) {
        struct intset s = {0};
        const int32_t in[] = {5, -1, 9, 5, 0};
        for (size_t i = 0; i < ARRAY_LEN(in); i++)
                intset_add(&s, in[i]);
        assert_int_equal(s.len, 4);
        assert_true(intset_remove(&s, 5));
        assert_false(intset_remove(&s, 5));
        assert_int_equal(s.items[0], -1);
        assert_int_equal(s.items[2], 9);
        intset_done(&s);
}

TEST(the_kth_smallest_is_where_sorting_would_put_it) {
        int64_t v[1000];
        for (size_t k = 0; k < 1000; k += 37) {
                for (size_t i = 0; i < 1000; i++)
                        v[i] = (int64_t)(i * 7919 % 1000) / 3;
                assert_int_equal(select_kth(v, 1000, k), (int64_t)k / 3);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(removed_keys_leave_no_hole_behind),
                cmocka_unit_test(sets_count_each_number_once),
                cmocka_unit_test(ascending_lists_stay_ascending),
                cmocka_unit_test(the_kth_smallest_is_where_sorting_would_put_it),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
