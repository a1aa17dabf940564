#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "cluster/addresses.h"

static struct object *service(const char *ip, int port) {
        AUTO(free) char *text =
                xasprintf("{\"metadata\":{\"name\":\"s\"},\"spec\":{\"clusterIPs\":[\"%s\"],\"ports\":[{\"nodePort\":%d}]}}", ip, port);
        yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        return object_new(NULL, 1, doc);
}

static void gives_every_address_once_and_none_that_is_reserved(void **state) {
        struct addresses *a;
        assert_int_equal(addresses_new("10.0.0.0/28", &a, NULL), 0);
        AUTO(free) char *first = addresses_first(a);
        assert_string_equal(first, "10.0.0.1");
        for (int i = 0; i < 13; i++) {
                AUTO(free) char *ip = addresses_pick(a);
                assert_non_null(ip);
                assert_false(addresses_is_taken(a, ip));
                assert_string_not_equal(ip, "10.0.0.0");
                assert_string_not_equal(ip, "10.0.0.1");
                assert_string_not_equal(ip, "10.0.0.15");
                AUTO(object) struct object *o = service(ip, 0);
                addresses_follow(a, o, NULL);
        }
        assert_null(addresses_pick(a));
        addresses_free(a);
}

static void follows_services_as_they_change_and_go(void **state) {
        struct addresses *a;
        assert_int_equal(addresses_new("10.96.0.0/16", &a, NULL), 0);
        AUTO(object) struct object *one = service("10.96.1.1", 30001), *two = service("10.96.1.2", 30002), *none = service("None", 0);
        addresses_follow(a, one, NULL);
        assert_true(addresses_is_taken(a, "10.96.1.1"));
        assert_true(addresses_port_is_taken(a, 30001));
        addresses_follow(a, two, one);
        assert_false(addresses_is_taken(a, "10.96.1.1"));
        assert_true(addresses_is_taken(a, "10.96.1.2"));
        addresses_follow(a, none, two);
        assert_false(addresses_port_is_taken(a, 30002));
        assert_false(addresses_is_taken(a, "None"));
        assert_true(addresses_contains(a, "10.96.255.255"));
        assert_false(addresses_contains(a, "10.97.0.1"));
        int port = addresses_pick_port(a);
        assert_true(port >= NODE_PORT_FIRST && port <= NODE_PORT_LAST);
        addresses_free(a);
}

static void refuses_networks_that_make_no_sense(void **state) {
        static const char *const bad[] = {"10.96.0.0", "10.96.0.0/7", "10.96.0.0/29", "x/16", "10.96.0.0/", "fd00::/64"};
        struct addresses *a;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(addresses_new(bad[i], &a, NULL), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_every_address_once_and_none_that_is_reserved),
                cmocka_unit_test(follows_services_as_they_change_and_go),
                cmocka_unit_test(refuses_networks_that_make_no_sense),
        };
        return cmocka_run_group_tests_name("cluster/addresses", tests, NULL, NULL);
}
