#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kobj/invalid.h"
#include "kobj/names.h"

#define LABEL_TEXT                                                                                                                           \
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric " \
        "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define SUBDOMAIN_TEXT                                                                                                                     \
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "   \
        "alphanumeric character (e.g. 'example.com', regex used for validation is "                                                        \
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define NAME_PART                                                                                                                          \
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. " \
        "'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* Messages joined with "|"; "" is a valid name. Texts are the real server's. */
static const struct {
        name_check_fn *check;
        const char *value, *messages;
} cases[] = {
        {name_check_dns1123_label, "a", ""},
        {name_check_dns1123_label, "0-9", ""},
        {name_check_dns1123_label, X63, ""},
        {name_check_dns1123_label, X63 "x", "must be no more than 63 characters"},
        {name_check_dns1123_label, "", LABEL_TEXT},
        {name_check_dns1123_label, "-a", LABEL_TEXT},
        {name_check_dns1123_label, "a-", LABEL_TEXT},
        {name_check_dns1123_label, "Bad_C", LABEL_TEXT},
        {name_check_dns1123_label, "a.b", "must not contain dots"},
        {name_check_dns1123_subdomain, "a.b-c.d", ""},
        {name_check_dns1123_subdomain, "a..b", SUBDOMAIN_TEXT},
        {name_check_dns1123_subdomain, "a.", SUBDOMAIN_TEXT},
        {name_check_dns1123_subdomain, "Bad_Name", SUBDOMAIN_TEXT},
        {name_check_dns1123_subdomain, X63 "x", ""},
        {name_check_dns1123_subdomain, X63 X63 X63 X63 "xx", "must be no more than 253 characters"},
        {name_check_dns1035_label, "abc-1", ""},
        {name_check_dns1035_label, "1abc",
         "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an "
         "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"},
        {name_check_dns1035_label, X63 "x", "must be no more than 63 characters"},
        {name_check_qualified, "app", ""},
        {name_check_qualified, "example.com/App_1.x", ""},
        {name_check_qualified, "-bad-", NAME_PART},
        {name_check_qualified, "/x", "prefix part must be non-empty"},
        {name_check_qualified, "x/", "name part must be non-empty|" NAME_PART},
        {name_check_qualified, "A/b", "prefix part " SUBDOMAIN_TEXT},
        {name_check_qualified, X63 "x", "name part must be no more than 63 characters"},
        {name_check_qualified, "a/b/c",
         "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
         "'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS "
         "subdomain prefix and '/' (e.g. 'example.com/MyName')"},
        {name_check_label_value, "", ""},
        {name_check_label_value, "A_b-c.d", ""},
        {name_check_label_value, X63 "x", "must be no more than 63 characters"},
        {name_check_label_value, "bad value!",
         "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
         "character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"},
        {name_check_config_key, "spark.properties", ""},
        {name_check_config_key, "bad key",
         "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used "
         "for validation is '[-._a-zA-Z0-9]+')"},
        {name_check_config_key, "..", "must not be '..'"},
        {name_check_config_key, ".", "must not be '.'"},
        {name_check_config_key, "..data", "must not start with '..'"},
        {name_check_env_var, "SPARK_HOME", ""},
        {name_check_env_var, "a=b", "a valid environment variable name must consist only of printable ASCII characters other than '='"},
        {name_check_env_var, "", "environment variable name must be non-empty"},
        {name_check_env_var, "\xc3\xa9",
         "a valid environment variable name must consist only of printable ASCII characters other than '='"},
        {name_check_port_name, "driver-rpc-port", ""},
        {name_check_port_name, "driver-rpc-ports", "must be no more than 15 characters"},
        {name_check_port_name, "1--",
         "must contain at least one letter (a-z)|must not contain consecutive hyphens|must not begin or end with a hyphen"},
        {name_check_path_segment, "system:node", ""},
        {name_check_path_segment, "a/b%", "may not contain '/'|may not contain '%'"},
        {name_check_path_segment, "..", "may not be '..'"},
};

static void gives_the_messages_of_the_real_server(void **state) {
        (void)state;
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(strv) struct strv messages = {0};
                size_t n = cases[i].check(sv_of(cases[i].value), &messages);
                AUTO(free) char *joined = strv_join(&messages, "|");
                assert_string_equal(joined, cases[i].messages);
                assert_int_equal(n, messages.len);
                assert_int_equal(cases[i].check(sv_of(cases[i].value), NULL), n);
        }
}

static void generated_names_fit_into_a_label(void **state) {
        (void)state;
        AUTO(free) char *a = name_generate("spark-", "x7k2p");
        assert_string_equal(a, "spark-x7k2p");
        AUTO(free) char *b = name_generate(X63 X63, "x7k2p");
        assert_int_equal(strlen(b), 63);
        assert_string_equal(b + 58, "x7k2p");
}

static void a_prefix_may_end_with_a_dash(void **state) {
        (void)state;
        assert_int_equal(name_check_prefix(name_check_dns1123_subdomain, SV("g-"), NULL), 0);
        assert_int_equal(name_check_dns1123_subdomain(SV("g-"), NULL), 1);
        assert_int_equal(name_check_prefix(name_check_dns1123_subdomain, SV("G-"), NULL), 0); /* the real server masks two characters */
        assert_int_equal(name_check_prefix(name_check_dns1123_subdomain, SV("Gx-"), NULL), 1);
        assert_int_equal(name_check_prefix(name_check_path_segment, SV(".."), NULL), 0);
}

static void field_errors_become_a_422_with_causes(void **state) {
        (void)state;
        AUTO(invalid) struct invalid bad = {0};
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(invalid_err(&bad, "", "Pod", "p", &err), 0);
        invalid_required(&bad, "spec.containers", "%s", "");
        assert_int_equal(invalid_err(&bad, "", "Pod", "p", &err), -EINVAL);
        assert_int_equal(err.http_status, 422);
        assert_string_equal(err.reason, "Invalid");
        assert_string_equal(err.message, "Pod \"p\" is invalid: spec.containers: Required value");
        assert_string_equal(
                err.details,
                "{\"name\":\"p\",\"kind\":\"Pod\",\"causes\":[{\"reason\":\"FieldValueRequired\",\"message\":\"Required value\",\"field\":"
                "\"spec.containers\"}]}");
        invalid_not_supported(&bad, "spec.restartPolicy", "Sometimes", (const char *const[]){"Always", "Never", NULL});
        assert_int_equal(invalid_err(&bad, "batch", "Job", "", &err), -EINVAL);
        assert_string_equal(err.message,
                            "Job.batch \"\" is invalid: [spec.containers: Required value, spec.restartPolicy: Unsupported value: "
                            "\"Sometimes\": supported values: \"Always\", \"Never\"]");
        AUTO(free) char *quoted = invalid_quote("a\"\\\n\x01\xc3\xa9\xff");
        assert_string_equal(quoted, "\"a\\\"\\\\\\n\\x01\xc3\xa9\\xff\"");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_the_messages_of_the_real_server),
                cmocka_unit_test(generated_names_fit_into_a_label),
                cmocka_unit_test(a_prefix_may_end_with_a_dash),
                cmocka_unit_test(field_errors_become_a_422_with_causes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
