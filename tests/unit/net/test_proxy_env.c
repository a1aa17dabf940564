#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "net/proxy_env.h"

#define ok(call) assert_int_equal((call), 0)

/* Rows of golang.org/x/net/http/httpproxy's behaviour. */
static void no_proxy_covers_as_in_go(void **state) {
        static const struct {
                const char *list, *host;
                int port, excluded;
        } cases[] = {
                {"example.com", "example.com", 443, 1},     {"example.com", "api.example.com", 443, 1},
                {"example.com", "badexample.com", 443, 0},  {".example.com", "example.com", 443, 0},
                {".example.com", "a.example.com", 443, 1},  {"*.example.com", "a.example.com", 443, 1},
                {"example.com:6443", "example.com", 443, 0}, {"example.com:6443", "example.com", 6443, 1},
                {"10.0.0.0/8", "10.1.2.3", 6443, 1},        {"10.0.0.0/8", "11.1.2.3", 6443, 0},
                {"192.168.1.1", "192.168.1.1", 80, 1},      {"192.168.1.1:81", "192.168.1.1", 80, 0},
                {"fd00::/8", "fd12::1", 443, 1},            {"[fd12::1]:443", "fd12::1", 443, 1},
                {"a, b ,EXAMPLE.com", "Example.COM", 1, 1}, {"*", "anything", 1, 1},
                {"", "a", 1, 0},                            {".", "a", 1, 0},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                if (proxy_env_excludes(cases[i].list, cases[i].host, cases[i].port) != cases[i].excluded)
                        fail_msg("NO_PROXY=%s %s:%d", cases[i].list, cases[i].host, cases[i].port);
        }
}

static void chooses_by_scheme_and_spares_loopback(void **state) {
        setenv("HTTPS_PROXY", "proxy:3128", 1);
        setenv("http_proxy", "http://plain:1", 1);
        unsetenv("HTTP_PROXY");
        setenv("NO_PROXY", "internal", 1);
        static const struct {
                const char *url, *proxy;
        } cases[] = {
                {"https://k8s:6443", "http://proxy:3128"}, {"http://k8s", "http://plain:1"}, {"https://api.internal", NULL},
                {"https://127.0.0.1:6443", NULL},          {"https://localhost", NULL},      {"https://[::1]:6443", NULL},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                AUTO(free) char *proxy = NULL;
                ok(proxy_env_for(cases[i].url, &proxy, NULL));
                if (!streq_null(proxy, cases[i].proxy))
                        fail_msg("%s: %s", cases[i].url, proxy ? proxy : "(none)");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(no_proxy_covers_as_in_go),
                cmocka_unit_test(chooses_by_scheme_and_spares_loopback),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
