#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cluster/token.h"

static struct tokens *make(void) {
        struct tokens *t = NULL;
        assert_int_equal(tokens_new(SV_NULL, NULL, &t, NULL), 0);
        return t;
}

static char *issue(struct tokens *t, int64_t lifetime_s, int64_t *ret_expires) {
        static const char *const audiences[] = {"a", "b", NULL};
        char *token = NULL;
        struct token_request r = {.ns = "ns", .account = "sa", .account_uid = "u1", .audiences = audiences, .lifetime_s = lifetime_s,
                                  .bound_kind = "Pod", .bound_name = "p", .bound_uid = "u2"};
        assert_int_equal(tokens_issue(t, &r, &token, ret_expires, NULL), 0);
        return token;
}

static int64_t now_s(void) { return clock_now_ms() / 1000; }

static void what_is_issued_verifies_and_says_the_same(void **state) {
        struct tokens *t = make();
        int64_t expires;
        AUTO(free) char *token = issue(t, 600, &expires);
        AUTO(token_claims) struct token_claims c = {0};
        assert_int_equal(tokens_verify(t, sv_of(token), now_s(), &c, NULL), 0);
        assert_string_equal(c.ns, "ns");
        assert_string_equal(c.account, "sa");
        assert_string_equal(c.account_uid, "u1");
        assert_string_equal(c.pod, "p");
        assert_string_equal(c.pod_uid, "u2");
        assert_int_equal(c.audiences.len, 2);
        assert_int_equal(c.expires_s, expires);
        tokens_free(t);
}

static void refuses_changed_expired_and_foreign_tokens(void **state) {
        struct tokens *t = make(), *other = make();
        int64_t expires;
        AUTO(free) char *token = issue(t, 600, &expires), *foreign = issue(other, 600, &expires);
        AUTO(token_claims) struct token_claims c = {0};
        assert_int_equal(tokens_verify(t, sv_of(foreign), now_s(), &c, NULL), -EACCES);
        assert_int_equal(tokens_verify(t, sv_of(token), now_s() + 601, &c, NULL), -EACCES);
        for (size_t i = 0; i + 1 < strlen(token); i += 7) {
                char before = token[i];
                token[i] = before == 'A' ? 'B' : 'A';
                if (tokens_verify(t, sv_of(token), now_s(), &c, NULL) == 0)
                        fail_msg("character %zu of %zu may be changed from %c to %c", i, strlen(token), before, token[i]);
                token[i] = before;
        }
        tokens_free(t);
        tokens_free(other);
}

static void the_header_does_not_choose_the_algorithm(void **state) {
        struct tokens *t = make();
        AUTO(token_claims) struct token_claims c = {0};
        /* {"alg":"none"} with any payload and no signature */
        assert_true(tokens_verify(t, SV("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0."), now_s(), &c, NULL) < 0);
        assert_int_equal(tokens_verify(t, SV("nope"), now_s(), &c, NULL), -EINVAL);
        assert_int_equal(tokens_verify(t, SV(""), now_s(), &c, NULL), -EINVAL);
        assert_int_equal(tokens_verify(t, SV("a.b.c.d"), now_s(), &c, NULL), -EINVAL);
        tokens_free(t);
}

static void keys_survive_as_text_and_are_published(void **state) {
        AUTO(free) char *pem = NULL, *token = NULL;
        AUTO(token_claims) struct token_claims c = {0};
        AUTO(str) struct str jwks = STR_INIT(0);
        struct tokens *a, *b;
        int64_t expires;
        assert_int_equal(tokens_make_key(&pem, NULL), 0);
        assert_int_equal(tokens_new(sv_of(pem), "https://i", &a, NULL), 0);
        assert_int_equal(tokens_new(sv_of(pem), "https://i", &b, NULL), 0);
        token = issue(a, 600, &expires);
        assert_int_equal(tokens_verify(b, sv_of(token), now_s(), &c, NULL), 0);
        tokens_jwks(a, &jwks);
        assert_non_null(strstr(str_cstr(&jwks), "\"crv\":\"P-256\""));
        assert_null(strstr(str_cstr(&jwks), "\"d\""));
        tokens_free(a);
        tokens_free(b);
        assert_true(tokens_new(SV("no key"), NULL, &a, NULL) < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_issued_verifies_and_says_the_same),
                cmocka_unit_test(refuses_changed_expired_and_foreign_tokens),
                cmocka_unit_test(the_header_does_not_choose_the_algorithm),
                cmocka_unit_test(keys_survive_as_text_and_are_published),
        };
        return cmocka_run_group_tests_name("cluster/token", tests, NULL, NULL);
}
