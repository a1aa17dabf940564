#include "base/map.h"

#include <stdio.h>

#include "unit/test.h"

TEST(entries_are_walked_in_the_order_of_insertion) {
        AUTO(map) struct map m = MAP_INIT(free);
        map_set(&m, "z", xstrdup("1"));
        map_set(&m, "a", xstrdup("2"));
        map_set(&m, "z", xstrdup("3")); /* keeps its place */
        AUTO(str) struct str walked = STR_INIT(0);
        map_foreach(e, &m) str_appendf(&walked, "%s=%s ", e->key, (char *)e->value);
        assert_string_equal(str_cstr(&walked), "z=3 a=2 ");
}

TEST(many_insertions_and_removals_keep_every_other_key) {
        AUTO(map) struct map m = MAP_INIT(NULL);
        char key[32];
        for (uintptr_t round = 0; round < 3; round++) {
                for (uintptr_t i = 0; i < 2000; i++) {
                        snprintf(key, sizeof key, "key-%zu", (size_t)i);
                        map_set(&m, key, (void *)(i + 1));
                }
                for (uintptr_t i = 0; i < 2000; i += 2) {
                        snprintf(key, sizeof key, "key-%zu", (size_t)i);
                        assert_true(map_remove(&m, key));
                        assert_false(map_remove(&m, key));
                }
        }
        assert_int_equal(m.len, 1000);
        for (uintptr_t i = 0; i < 2000; i++) {
                snprintf(key, sizeof key, "key-%zu", (size_t)i);
                assert_ptr_equal(map_get(&m, key), i % 2 ? (void *)(i + 1) : NULL);
        }
}

TEST(a_key_is_not_its_prefix) {
        AUTO(map) struct map m = MAP_INIT(NULL);
        map_set_n(&m, "abcdef", 3, (void *)1);
        assert_true(map_has(&m, "abc"));
        assert_false(map_has(&m, "abcd"));
        assert_ptr_equal(map_get_n(&m, "abcxyz", 3), (void *)1);
        assert_false(map_has(&m, ""));
}

TEST(taking_a_value_does_not_destroy_it) {
        AUTO(map) struct map m = MAP_INIT(free);
        map_set(&m, "k", xstrdup("v"));
        AUTO(free) char *v = map_take(&m, "k");
        assert_string_equal(v, "v");
        assert_int_equal(m.len, 0);
        assert_null(map_take(&m, "k"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(entries_are_walked_in_the_order_of_insertion),
                cmocka_unit_test(many_insertions_and_removals_keep_every_other_key),
                cmocka_unit_test(a_key_is_not_its_prefix),
                cmocka_unit_test(taking_a_value_does_not_destroy_it),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
