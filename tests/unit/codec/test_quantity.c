#include "codec/quantity.h"

#include "unit/test.h"

TEST(canonical_forms_are_kubernetes_own) {
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"0.2", "200m"},   {"1024Mi", "1Gi"},  {"1.5Gi", "1536Mi"},    {"1000m", "1"},     {"1408Mi", "1408Mi"},
                {"100", "100"},    {"1e3", "1e3"},     {"8E", "8E"},           {"0", "0"},         {"-5m", "-5m"},
                {"1000000", "1M"}, {"1500k", "1500k"}, {"0.5Ki", "512"},       {"1Ki", "1Ki"},     {"123456789", "123456789"},
                {"1.0", "1"},      {"1n", "1n"},       {"0.0000000001", "1n"}, {"10e-3", "10e-3"}, {"512Mi", "512Mi"},
                {"2.50", "2500m"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(err) struct err e = ERR_INIT;
                struct quantity q;
                if (quantity_parse(sv_of(cases[i].in), &q, &e) < 0)
                        fail_msg("%s: %s", cases[i].in, err_message(&e));
                char text[64];
                quantity_format(q, text);
                assert_string_equal(text, cases[i].out);
        }
}

TEST(bad_quantities_are_refused_with_kubernetes_messages) {
        struct quantity q;
        AUTO(err) struct err e = ERR_INIT;
        assert_int_equal(quantity_parse(SV("abc"), &q, &e), -EINVAL);
        assert_string_equal(err_message(&e), "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
        assert_int_equal(quantity_parse(SV("1ii"), &q, &e), -EINVAL);
        assert_string_equal(err_message(&e), "unable to parse quantity's suffix");
        const char *bad[] = {"", "-", ".", "1 Gi", "1Gi ", "Mi", "1.2.3", "1KiB"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(quantity_parse(sv_of(bad[i]), &q, NULL), -EINVAL);
}

TEST(values_round_up_and_saturate) {
        struct quantity q;
        assert_int_equal(quantity_parse(SV("1100m"), &q, NULL), 0);
        assert_int_equal(quantity_value(q), 2);
        assert_int_equal(quantity_milli(q), 1100);
        assert_int_equal(quantity_parse(SV("99999999999999999999999Ei"), &q, NULL), 0);
        assert_true(quantity_value(q) == INT64_MAX);
}

TEST(sums_keep_the_first_format) {
        struct quantity a, b;
        assert_int_equal(quantity_parse(SV("1Gi"), &a, NULL), 0);
        assert_int_equal(quantity_parse(SV("512Mi"), &b, NULL), 0);
        char text[64];
        quantity_format(quantity_add(a, b), text);
        assert_string_equal(text, "1536Mi");
        quantity_format(quantity_sub(a, a), text);
        assert_string_equal(text, "0");
        assert_true(quantity_cmp(a, b) > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(canonical_forms_are_kubernetes_own),
                cmocka_unit_test(bad_quantities_are_refused_with_kubernetes_messages),
                cmocka_unit_test(values_round_up_and_saturate),
                cmocka_unit_test(sums_keep_the_first_format),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
