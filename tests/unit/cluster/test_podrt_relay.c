/* Relays on loopback: clients and targets are plain sockets, the relay has a loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "cluster/podrt/relay.h"

enum { TARGETS = 3 };

struct fixture {
        struct loop *loop;
        int targets[TARGETS], listeners[TARGETS];
        struct relay_target list[TARGETS];
        struct relay *relay;
        int port; /* the relay's */
        bool flag;
};

static int port_of(int fd) {
        struct sockaddr_in a;
        socklen_t len = sizeof a;
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
        return ntohs(a.sin_port);
}

static int set_up(void **state) {
        struct fixture *f = NEW(struct fixture);
        f->loop = loop_new();
        for (int i = 0; i < TARGETS; i++) {
                f->targets[i] = relay_socket(true, "127.0.0.1", 0);
                f->listeners[i] = relay_socket(false, "127.0.0.1", 0);
                assert_true(f->targets[i] >= 0 && f->listeners[i] >= 0);
        }
        *state = f;
        return 0;
}

static void wake(void *arg) { ((struct fixture *)arg)->flag = true; }

/* Until a packet or a connection is there, with the relay working meanwhile. */
static void wait_for(struct fixture *f, int fd) {
        struct fdwatch *w = fdwatch_new(f->loop, fd, wake, f);
        f->flag = false;
        loop_run_until(f->loop, &f->flag);
        fdwatch_free(w);
}

static int tear_down(void **state) {
        struct fixture *f = *state;
        relay_free(f->relay);
        for (int i = 0; i < TARGETS; i++) {
                close(f->targets[i]);
                close(f->listeners[i]);
                free(f->list[i].ip);
        }
        loop_free(f->loop);
        free(f);
        return 0;
}

static void start(struct fixture *f, bool is_udp, size_t count, bool is_sticky) {
        const struct podnet_ranges ranges = PODNET_RANGES_DEFAULT;
        int fd = relay_socket(is_udp, "127.0.0.1", 0);
        assert_true(fd >= 0);
        f->port = port_of(fd);
        f->relay = relay_new(f->loop, is_udp, fd, &ranges, NULL);
        for (int i = 0; i < TARGETS; i++)
                f->list[i] = (struct relay_target){xstrdup("127.0.0.1"), port_of(is_udp ? f->targets[i] : f->listeners[i])};
        relay_set_targets(f->relay, f->list, count, is_sticky);
}

static int client_new(const struct fixture *f, const char *address, bool is_udp) {
        struct sockaddr_in from = {.sin_family = AF_INET},
                           to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
        assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
        return fd;
}

/* Sends, lets the target that got it answer, and says which one that was. */
static int ask(struct fixture *f, int client) {
        char text[64];
        assert_int_equal(send(client, "ask", 3, 0), 3);
        struct fdwatch *w[TARGETS];
        f->flag = false;
        for (int i = 0; i < TARGETS; i++)
                w[i] = fdwatch_new(f->loop, f->targets[i], wake, f);
        loop_run_until(f->loop, &f->flag);
        for (int i = 0; i < TARGETS; i++)
                fdwatch_free(w[i]);
        for (int i = 0; i < TARGETS; i++) {
                struct sockaddr_in from;
                socklen_t len = sizeof from;
                ssize_t n = recvfrom(f->targets[i], text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
                if (n < 0)
                        continue;
                assert_int_equal(n, 3);
                assert_int_equal(sendto(f->targets[i], "answer", 6, 0, (struct sockaddr *)&from, len), 6);
                wait_for(f, client);
                /* The client is connected with the relay: an answer from another address would not arrive. */
                assert_int_equal(recv(client, text, sizeof text, MSG_DONTWAIT), 6);
                return i;
        }
        return -1;
}

static void udp_goes_to_the_targets_in_turn_and_back(void **state) {
        struct fixture *f = *state;
        bool seen[TARGETS] = {0};
        start(f, true, TARGETS, false);
        for (int n = 0; n < TARGETS; n++) {
                AUTO(fd) int client = client_new(f, "127.0.0.1", true);
                int first = ask(f, client);
                assert_in_range(first, 0, TARGETS - 1);
                assert_int_equal(ask(f, client), first);
                seen[first] = true;
        }
        assert_true(seen[0] && seen[1] && seen[2]);
}

static void a_udp_session_leaves_a_target_that_goes(void **state) {
        struct fixture *f = *state;
        start(f, true, 1, false);
        AUTO(fd) int client = client_new(f, "127.0.0.1", true);
        assert_int_equal(ask(f, client), 0);
        relay_set_targets(f->relay, f->list + 1, 1, false);
        assert_int_equal(ask(f, client), 1);
}

static void sticky_clients_stay_when_another_target_goes(void **state) {
        struct fixture *f = *state;
        int chosen[40];
        bool seen[TARGETS] = {0};
        start(f, true, TARGETS, true);
        for (int n = 0; n < 40; n++) {
                char address[IPV4_SIZE];
                snprintf(address, sizeof address, "127.0.1.%d", n + 1);
                AUTO(fd) int client = client_new(f, address, true);
                AUTO(fd) int again = client_new(f, address, true);
                chosen[n] = ask(f, client);
                assert_int_equal(ask(f, again), chosen[n]);
                seen[chosen[n]] = true;
        }
        assert_true(seen[0] && seen[1] && seen[2]);
        relay_set_targets(f->relay, f->list + 1, TARGETS - 1, true);
        for (int n = 0; n < 40; n++) {
                char address[IPV4_SIZE];
                snprintf(address, sizeof address, "127.0.1.%d", n + 1);
                AUTO(fd) int client = client_new(f, address, true);
                int now = ask(f, client);
                if (chosen[n] != 0)
                        assert_int_equal(now, chosen[n]);
        }
}

static int open_files(void) {
        int count = 0;
        for (int fd = 0; fd < 4096; fd++)
                count += fcntl(fd, F_GETFD) >= 0;
        return count;
}

static void udp_sessions_have_a_limit(void **state) {
        struct fixture *f = *state;
        struct rlimit limit;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        start(f, true, 1, false);
        int before = open_files();
        for (int n = 0; n < RELAY_MAX_SESSIONS + 50; n++) {
                AUTO(fd) int client = client_new(f, "127.0.0.1", true);
                assert_int_equal(ask(f, client), 0);
        }
        assert_in_range(open_files() - before, RELAY_MAX_SESSIONS - 50, RELAY_MAX_SESSIONS);
}

static void without_targets_connections_are_reset(void **state) {
        struct fixture *f = *state;
        start(f, false, 0, false);
        AUTO(fd) int connection = client_new(f, "127.0.0.1", false);
        char byte;
        wait_for(f, connection);
        assert_int_equal(recv(connection, &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, ECONNRESET);
}

static void tcp_tries_the_next_target_when_one_refuses(void **state) {
        struct fixture *f = *state;
        start(f, false, TARGETS, false);
        close(f->listeners[0]);
        close(f->listeners[1]);
        f->listeners[0] = f->listeners[1] = -1;
        for (int n = 0; n < TARGETS; n++) {
                AUTO(fd) int client = client_new(f, "127.0.0.1", false);
                wait_for(f, f->listeners[2]);
                AUTO(fd) int served = accept(f->listeners[2], NULL, NULL);
                assert_true(served >= 0);
                assert_int_equal(send(served, "hello", 5, 0), 5);
                wait_for(f, client);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(udp_goes_to_the_targets_in_turn_and_back),
                TEST(a_udp_session_leaves_a_target_that_goes),
                TEST(sticky_clients_stay_when_another_target_goes),
                TEST(udp_sessions_have_a_limit),
                TEST(without_targets_connections_are_reset),
                TEST(tcp_tries_the_next_target_when_one_refuses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
