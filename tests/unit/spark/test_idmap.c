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
        static int64_t v[5000];
        static const size_t sizes[] = {1, 2, 1000, 5000}, equal[] = {1, 3, 5000}; /* how many numbers are equal */
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
                for (size_t e = 0; e < ARRAY_LEN(equal); e++)
                        for (size_t k = 0; k < sizes[s]; k += 37) {
                                size_t n = sizes[s];
                                for (size_t i = 0; i < n; i++)
                                        v[i] = (int64_t)(i * 7919 % n / equal[e]);
                                assert_int_equal(select_kth(v, n, k), k / equal[e]);
                                for (size_t i = 0; i < n; i++)
                                        assert_true(i < k ? v[i] <= v[k] : v[i] >= v[k]);
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
