#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/option.h"

static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct option table[] = {
        {"follow", 'f', OPTION_SWITCH, NULL, "go on"},
        {"quiet", 'q', OPTION_SWITCH, NULL, "say less"},
        {"namespace", 'n', OPTION_STRING, "NS", "namespace"},
        {"port", 'p', OPTION_INT, "PORT", "port", "6443", .min = 1, .max = 65535},
        {"conf", 'c', OPTION_LIST, "K=V", "setting"},
        {"colour", 0, OPTION_CHOICE, "COLOUR", "colour", "red", colours},
        {"wait", 0, OPTION_DURATION, "TIME", "how long", "30s"},
        {0},
};

#define PARSE(stop, ret, err, ...)                                                                                                         \
        ({                                                                                                                                 \
                static const char *const argv_[] = {__VA_ARGS__};                                                                          \
                option_parse(table, (int)ARRAY_LEN(argv_), (char **)argv_, stop, ret, err);                                                \
        })

static void takes_every_form_of_a_value(void **state) {
        AUTO(options) struct options o = {0};
        assert_int_equal(PARSE(false, &o, NULL, "--namespace", "a", "-p80", "-c", "x=1", "--conf=y=2", "-c=z=3"), 0);
        assert_string_equal(option_str(&o, "namespace"), "a");
        assert_int_equal(option_int(&o, "port"), 80);
        const char *const *list;
        assert_int_equal(option_list(&o, "conf", &list), 3);
        assert_string_equal(list[0], "x=1");
        assert_string_equal(list[1], "y=2");
        assert_string_equal(list[2], "z=3");
}

static void fills_in_defaults_without_counting_them_as_given(void **state) {
        AUTO(options) struct options o = {0};
        assert_int_equal(option_parse(table, 0, NULL, false, &o, NULL), 0);
        assert_int_equal(option_int(&o, "port"), 6443);
        assert_string_equal(option_str(&o, "colour"), "red");
        assert_int_equal(option_int(&o, "wait"), 30000);
        assert_false(option_given(&o, "port"));
        assert_null(option_str(&o, "namespace"));
}

static void bundles_short_switches(void **state) {
        AUTO(options) struct options o = {0};
        assert_int_equal(PARSE(false, &o, NULL, "-fqn", "x", "--quiet=false"), 0);
        assert_true(option_on(&o, "follow"));
        assert_false(option_on(&o, "quiet"));
        assert_string_equal(option_str(&o, "namespace"), "x");
}

static void refuses_abbreviations_and_suggests_the_name(void **state) {
        AUTO(err) struct err err = ERR_INIT;
        struct options o;
        assert_int_equal(PARSE(false, &o, &err, "--names", "x"), -EINVAL);
        assert_string_equal(err.message, "unknown option --names");
        assert_string_equal(err.hint, "did you mean --namespace?");
        err_clear(&err);
        assert_int_equal(PARSE(false, &o, &err, "--pots=1"), -EINVAL);
        assert_string_equal(err.hint, "did you mean --port?");
}

static void refuses_bad_values_and_says_what_is_accepted(void **state) {
        AUTO(err) struct err err = ERR_INIT;
        struct options o;
        assert_int_equal(PARSE(false, &o, &err, "--port", "web"), -EINVAL);
        assert_string_equal(err.message, "--port takes a number, not \"web\"");
        err_clear(&err);
        assert_int_equal(PARSE(false, &o, &err, "-p", "65536"), -EINVAL);
        assert_string_equal(err.message, "-p must be between 1 and 65535, not 65536");
        err_clear(&err);
        assert_int_equal(PARSE(false, &o, &err, "--colour", "geen"), -EINVAL);
        assert_string_equal(err.message, "--colour must be red, green or blue, not \"geen\"");
        assert_string_equal(err.hint, "did you mean green?");
        err_clear(&err);
        assert_int_equal(PARSE(false, &o, &err, "--namespace"), -EINVAL);
        assert_string_equal(err.message, "--namespace needs a value");
        err_clear(&err);
        assert_int_equal(PARSE(false, &o, &err, "--wait", "soon"), -EINVAL);
        assert_string_equal(err.message, "--wait takes a duration such as 30s, 5m or 1h30m, not \"soon\"");
}

static void leaves_alone_what_follows_the_first_positional_argument(void **state) {
        AUTO(options) struct options o = {0};
        assert_int_equal(PARSE(true, &o, NULL, "-f", "app.py", "--port", "-q"), 0);
        assert_int_equal(o.args.len, 3);
        assert_string_equal(o.args.items[1], "--port");
        assert_null(o.args.items[3]);
        assert_false(option_on(&o, "quiet"));
}

static void two_dashes_end_the_options(void **state) {
        AUTO(options) struct options o = {0};
        assert_int_equal(PARSE(false, &o, NULL, "a", "--", "-f", "--"), 0);
        assert_int_equal(o.args.len, 3);
        assert_string_equal(o.args.items[1], "-f");
        assert_string_equal(o.args.items[2], "--");
}

static void a_single_dash_is_an_argument(void **state) {
        AUTO(options) struct options o = {0};
        assert_int_equal(PARSE(false, &o, NULL, "-"), 0);
        assert_int_equal(o.args.len, 1);
}

static void help_ends_the_reading(void **state) {
        AUTO(options) struct options o = {0};
        assert_int_equal(PARSE(false, &o, NULL, "-f", "--help", "--nonsense"), 0);
        assert_true(o.help);
}

static void suggests_only_what_is_near(void **state) {
        static const char *const names[] = {"submit", "status", "local", NULL};
        assert_string_equal(option_did_you_mean("sbumit", names), "submit");
        assert_string_equal(option_did_you_mean("stat", names), "status");
        assert_null(option_did_you_mean("frobnicate", names));
        assert_null(option_did_you_mean("x", names));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(takes_every_form_of_a_value),
                cmocka_unit_test(fills_in_defaults_without_counting_them_as_given),
                cmocka_unit_test(bundles_short_switches),
                cmocka_unit_test(refuses_abbreviations_and_suggests_the_name),
                cmocka_unit_test(refuses_bad_values_and_says_what_is_accepted),
                cmocka_unit_test(leaves_alone_what_follows_the_first_positional_argument),
                cmocka_unit_test(two_dashes_end_the_options),
                cmocka_unit_test(a_single_dash_is_an_argument),
                cmocka_unit_test(help_ends_the_reading),
                cmocka_unit_test(suggests_only_what_is_near),
        };
        return cmocka_run_group_tests_name("cli/option", tests, NULL, NULL);
}
