#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cluster/hostport.h"

static void names_the_owner_of_a_taken_port(void **state) {
        AUTO(fd) int fd = -1;
        int port, other = -1, unused;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(hostport_listen("127.0.0.1", 0, &fd, &port, NULL), 0);
        assert_true(port > 0);
        assert_int_equal(hostport_listen("127.0.0.1", port, &other, &unused, &err), -EADDRINUSE);
        AUTO(free) char *expected = xasprintf("port %d on 127.0.0.1 is taken by ", port);
        AUTO(free) char *process = xasprintf("(process %d)", (int)getpid());
        assert_true(str_starts(err.message, expected));
        assert_true(str_ends(err.message, process));
        assert_int_equal(other, -1);
}

static void nobody_owns_a_free_port(void **state) {
        AUTO(fd) int fd = -1;
        int port;
        assert_int_equal(hostport_listen("127.91.17.3", 0, &fd, &port, NULL), 0);
        close(fd);
        fd = -1;
        assert_null(hostport_owner("127.91.17.3", port));
}

static void addresses_have_ports_of_their_own(void **state) {
        AUTO(fd) int fd = -1, other = -1, all = -1;
        int port, unused;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(hostport_listen("127.91.17.1", 0, &fd, &port, NULL), 0);
        AUTO(free) char *owner = hostport_owner("127.91.17.1", port);
        assert_non_null(owner);
        assert_null(hostport_owner("127.91.17.2", port));
        assert_int_equal(hostport_listen("127.91.17.2", port, &other, &unused, NULL), 0);
        /* One of all addresses has each of them. */
        assert_int_equal(hostport_listen("0.0.0.0", 0, &all, &port, NULL), 0);
        AUTO(free) char *of_all = hostport_owner("127.91.17.2", port);
        assert_non_null(of_all);
}

static void refuses_what_is_no_address_of_ours(void **state) {
        AUTO(err) struct err err = ERR_INIT;
        int fd, port;
        assert_int_equal(hostport_listen("localhost", 0, &fd, &port, &err), -EINVAL);
        assert_int_equal(hostport_listen("192.0.2.1", 0, &fd, &port, &err), -EADDRNOTAVAIL);
        assert_string_equal(err.message, "192.0.2.1 is not an address of this machine");
}

static void tells_loopback_from_the_rest(void **state) {
        assert_true(hostport_is_loopback("127.0.0.1"));
        assert_true(hostport_is_loopback("127.98.0.3"));
        assert_false(hostport_is_loopback("0.0.0.0"));
        assert_false(hostport_is_loopback("10.0.0.1"));
        assert_false(hostport_is_loopback("localhost"));
        assert_false(hostport_is_loopback("127.0.0.1.evil"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_the_owner_of_a_taken_port),
                cmocka_unit_test(nobody_owns_a_free_port),
                cmocka_unit_test(addresses_have_ports_of_their_own),
                cmocka_unit_test(refuses_what_is_no_address_of_ours),
                cmocka_unit_test(tells_loopback_from_the_rest),
        };
        return cmocka_run_group_tests_name("cluster/hostport", tests, NULL, NULL);
}
