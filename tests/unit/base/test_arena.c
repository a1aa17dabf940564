#include "base/arena.h"

#include "unit/test.h"

TEST(allocations_are_aligned_zeroed_and_survive_growth) {
        AUTO(arena) struct arena a = {0};
        char *first = arena_strdup(&a, "first");
        for (int i = 0; i < 2000; i++) {
                unsigned char *p = arena_alloc(&a, 33);
                assert_int_equal((uintptr_t)p % 16, 0);
                assert_int_equal(p[0] | p[32], 0);
                memset(p, 0xff, 33);
        }
        arena_alloc(&a, 1 << 20);
        assert_string_equal(first, "first");
        assert_string_equal(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
}

TEST(a_reset_arena_keeps_one_block_and_hands_out_zeroes) {
        AUTO(arena) struct arena a = {0};
        memset(arena_alloc(&a, 100), 1, 100);
        arena_reset(&a);
        assert_true(a.allocated > 0);
        assert_int_equal(*(char *)arena_alloc(&a, 100), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(allocations_are_aligned_zeroed_and_survive_growth),
                cmocka_unit_test(a_reset_arena_keeps_one_block_and_hands_out_zeroes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
