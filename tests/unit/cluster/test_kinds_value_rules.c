#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cluster/kinds/service_rules.h"
#include "cluster/kinds/value_rules.h"

static const char ip_message[] = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

static const char *only_message(const struct invalid *bad) { return bad->len == 1 ? bad->items[0].message : ""; }

static void reads_addresses_as_go_does(void **state) {
        unsigned char bytes[16];
        assert_int_equal(value_ip_parse("10.1.2.3", bytes), IP_V4);
        assert_int_equal(value_ip_parse("010.01.2.3", bytes), IP_V4);
        assert_int_equal(value_ip_parse("::ffff:1.2.3.4", bytes), IP_V4);
        assert_int_equal(value_ip_parse("2001:db8::1", bytes), IP_V6);
        assert_int_equal(value_ip_parse("fe80::1%eth0", bytes), IP_NONE);
        assert_int_equal(value_ip_parse("1.2.3", bytes), IP_NONE);
        assert_int_equal(value_ip_parse("1.2.3.256", bytes), IP_NONE);
        assert_int_equal(value_ip_parse("1.2.3.4.5", bytes), IP_NONE);
        assert_int_equal(value_ip_parse("", bytes), IP_NONE);
        assert_int_equal(value_ip_parse(NULL, bytes), IP_NONE);
}

static void says_what_is_special_about_an_address(void **state) {
        static const struct {
                const char *ip, *message; /* NULL: good */
        } cases[] = {
                {"1.2.3.4", NULL},
                {"2001:db8::1", NULL},
                {"224.0.1.1", NULL},
                {"0.0.0.0", "may not be unspecified (0.0.0.0)"},
                {"::", "may not be unspecified (0.0.0.0)"},
                {"127.9.9.9", "may not be in the loopback range (127.0.0.0/8, ::1/128)"},
                {"::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"},
                {"169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
                {"febf::1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"},
                {"224.0.0.9", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
                {"ff02::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"},
                {"x", "must be a valid IP address"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(invalid) struct invalid bad = {0};
                AUTO(free) char *expected = xasprintf("Invalid value: \"%s\": %s", cases[i].ip, cases[i].message ? cases[i].message : "");
                assert_int_equal(value_ip_not_special(cases[i].ip, "at", &bad), cases[i].message == NULL);
                assert_string_equal(only_message(&bad), cases[i].message ? expected : "");
        }
}

static void canonical_addresses_are_as_go_writes_them(void **state) {
        static const char *const cases[][2] = {
                {"1.2.3.4", NULL},
                {"2001:db8::1", NULL},
                {"01.2.3.4", "must not have leading 0s"},
                {"::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"},
                {"2001:DB8::1", "must be in canonical form (\"2001:db8::1\")"},
                {"x", ip_message},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(invalid) struct invalid bad = {0};
                AUTO(free) char *expected = xasprintf("Invalid value: \"%s\": %s", cases[i][0], cases[i][1] ? cases[i][1] : "");
                assert_int_equal(value_ip_canonical(cases[i][0], "at", &bad), cases[i][1] == NULL);
                assert_string_equal(only_message(&bad), cases[i][1] ? expected : "");
        }
}

static void networks_have_an_address_and_few_enough_bits(void **state) {
        static const char *const good[] = {"10.0.0.0/8", "10.0.0.1/32", "::/0", "2001:db8::/64", "0.0.0.0/0"};
        static const char *const wrong[] = {"",       "10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "/8", "10.0.0.0/-1", "10.0.0.0/8x",
                                            "::/129", "a/8"};
        AUTO(invalid) struct invalid none = {0};
        for (size_t i = 0; i < ARRAY_LEN(good); i++)
                assert_true(value_cidr(good[i], "at", &none));
        assert_int_equal(none.len, 0);
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
                AUTO(invalid) struct invalid bad = {0};
                assert_false(value_cidr(wrong[i], "at", &bad));
                assert_int_equal(bad.len, 1);
        }
}

static void percentages_are_digits_and_a_percent_sign(void **state) {
        static const struct {
                const char *json, *message; /* NULL: good */
        } cases[] = {
                {"5", NULL},
                {"\"7%\"", NULL},
                {"-1", "Invalid value: -1: must be greater than or equal to 0"},
                {"\"7\"",
                 "Invalid value: \"7\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
                 "validation is '[0-9]+%')"},
                {"\"101%\"", "Invalid value: \"101%\": must not be greater than 100%"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(invalid) struct invalid bad = {0};
                AUTO(json) yyjson_doc *doc = NULL;
                assert_int_equal(json_parse(sv_of(cases[i].json), &doc, NULL), 0);
                if (value_int_or_percent(yyjson_doc_get_root(doc), "at", &bad))
                        value_at_most_all(yyjson_doc_get_root(doc), "at", &bad);
                assert_string_equal(only_message(&bad), cases[i].message ? cases[i].message : "");
        }
}

/* The fields that are wrong, one after the other. */
static void assert_service_is_wrong_in(const char *spec, const char *fields) {
        AUTO(invalid) struct invalid bad = {0};
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(strv) struct strv found = {0};
        AUTO(free) char *text = xasprintf("{\"spec\":{\"sessionAffinity\":\"None\",%s}}", spec);
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        service_rules(yyjson_doc_get_root(doc), &bad);
        vec_foreach(item, &bad) strv_add(&found, item->field);
        AUTO(free) char *joined = strv_join(&found, " ");
        assert_string_equal(joined, fields);
}

static void names_each_wrong_field_of_a_service(void **state) {
        assert_service_is_wrong_in("\"type\":\"ClusterIP\",\"ports\":[{\"port\":1,\"protocol\":\"TCP\"}]", "");
        assert_service_is_wrong_in("\"type\":\"ClusterIP\"", "spec.ports");
        assert_service_is_wrong_in("\"type\":\"ClusterIP\",\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"]", "");
        assert_service_is_wrong_in(
                "\"type\":\"NodePort\",\"externalTrafficPolicy\":\"Local\",\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"]",
                "spec.clusterIPs[0]");
        assert_service_is_wrong_in(
                "\"type\":\"ClusterIP\",\"ports\":[{\"name\":\"a\",\"port\":1,\"protocol\":\"TCP\"},{\"name\":\"a\",\"port\":1,\"protocol\":\"TCP\"}]",
                "spec.ports[1].name spec.ports[1]");
        assert_service_is_wrong_in("\"type\":\"ExternalName\",\"ipFamilies\":[\"IPv4\"]", "spec.ipFamilies spec.externalName");
        assert_service_is_wrong_in(
                "\"type\":\"ExternalName\",\"externalName\":\"a.b.\",\"loadBalancerClass\":\"x\",\"healthCheckNodePort\":5",
                "spec.loadBalancerClass spec.healthCheckNodePort");
        assert_service_is_wrong_in(
                "\"type\":\"LoadBalancer\",\"externalTrafficPolicy\":\"Local\",\"ports\":[{\"port\":1,\"protocol\":\"TCP\"}],"
                "\"loadBalancerSourceRanges\":[\"1.2.3.0/24\",\"x\"],\"healthCheckNodePort\":70000",
                "spec.LoadBalancerSourceRanges[1] spec.healthCheckNodePort");
        assert_service_is_wrong_in(
                "\"type\":\"ClusterIP\",\"clusterIP\":\"10.0.0.1\",\"clusterIPs\":[\"10.0.0.1\",\"10.0.0.2\"],\"ipFamilies\":[\"IPv6\"],"
                "\"ports\":[{\"port\":1,\"protocol\":\"TCP\"}]",
                "spec.clusterIPs spec.clusterIPs[0]");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_addresses_as_go_does),
                cmocka_unit_test(says_what_is_special_about_an_address),
                cmocka_unit_test(canonical_addresses_are_as_go_writes_them),
                cmocka_unit_test(networks_have_an_address_and_few_enough_bits),
                cmocka_unit_test(percentages_are_digits_and_a_percent_sign),
                cmocka_unit_test(names_each_wrong_field_of_a_service),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
