#include "fixture.h"

static struct tar *open_memory(struct memory *m, const struct str *text, size_t step) {
        *m = (struct memory){.rest = str_sv(text), .step = step};
        return tar_new(memory_read, m);
}

static void entries_come_in_order_with_their_data(void **state) {
        AUTO(str) struct str text = STR_INIT(0);
        tar_add(&text, '5', "./d/", NULL, 0755, SV_NULL);
        tar_add(&text, '0', "d/file", NULL, 04711, SV("hello"));
        tar_add(&text, '2', "d/link", "file", 0777, SV_NULL);
        tar_add(&text, '1', "d/hard", "d/file", 0644, SV_NULL);
        tar_end(&text);
        for (size_t step = 0; step < 3; step++) {
                struct memory m;
                const struct tar_entry *e = NULL;
                char data[16];
                AUTO(tar) struct tar *t = open_memory(&m, &text, step * 7);
                assert_int_equal(tar_next(t, &e, NULL), 1);
                assert_string_equal(e->name, "./d");
                assert_int_equal(e->type, TAR_DIRECTORY);
                assert_int_equal(tar_next(t, &e, NULL), 1);
                assert_int_equal(e->mode, 04711);
                assert_int_equal(e->mtime_s, 1700000000);
                assert_int_equal(tar_read(t, data, 3, NULL), 3);
                assert_int_equal(tar_read(t, data + 3, 13, NULL), 2);
                assert_int_equal(tar_read(t, data, 13, NULL), 0);
                assert_memory_equal(data, "hello", 5);
                assert_int_equal(tar_next(t, &e, NULL), 1);
                assert_string_equal(e->target, "file");
                assert_int_equal(tar_next(t, &e, NULL), 1);
                assert_int_equal(e->type, TAR_HARDLINK);
                assert_int_equal(tar_next(t, &e, NULL), 0);
                assert_int_equal(tar_next(t, &e, NULL), 0);
        }
}

static void long_names_come_from_pax_and_gnu_headers(void **state) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(str) struct str pax = STR_INIT(0);
        char name[301], record[400];
        memset(name, 'n', 300);
        name[300] = '\0';
        snprintf(record, sizeof record, " path=%s\n", name);
        str_appendf(&pax, "%zu%s", strlen(record) + 3, record);
        str_append_s(&pax, "31 SCHILY.xattr.user.key=value\n");
        str_append_s(&pax, "18 uid=4294967293\n");
        tar_add(&text, 'x', "PaxHeaders", NULL, 0644, str_sv(&pax));
        tar_add(&text, '0', "short", NULL, 0644, SV("a"));
        tar_add(&text, 'L', "././@LongLink", NULL, 0, sv_new(name, 301));
        tar_add(&text, '2', "short", "target", 0777, SV_NULL);
        tar_end(&text);
        struct memory m;
        const struct tar_entry *e = NULL;
        AUTO(tar) struct tar *t = open_memory(&m, &text, 0);
        ok(tar_next(t, &e, err));
        assert_string_equal(e->name, name);
        assert_int_equal(e->uid, 4294967293);
        assert_int_equal(e->xattrs.len, 1);
        assert_string_equal(e->xattrs.items[0].name, "user.key");
        assert_string_equal(str_cstr(&e->xattrs.items[0].value), "value");
        ok(tar_next(t, &e, err));
        assert_string_equal(e->name, name);
        assert_int_equal(e->xattrs.len, 0);
        assert_int_equal(tar_next(t, &e, NULL), 0);
}

static void damage_is_told(void **state) {
        AUTO(str) struct str text = STR_INIT(0);
        struct memory m;
        const struct tar_entry *e = NULL;
        tar_add(&text, '0', "file", NULL, 0644, SV("some data that is longer"));
        {
                AUTO(str) struct str part = STR_INIT(0);
                str_append(&part, text.data, 520);
                AUTO(tar) struct tar *t = open_memory(&m, &part, 0);
                assert_int_equal(tar_next(t, &e, NULL), 1);
                assert_int_equal(tar_next(t, &e, NULL), -EBADMSG);
        }
        text.data[3] ^= 1;
        AUTO(tar) struct tar *t = open_memory(&m, &text, 0);
        AUTO(err) struct err why = ERR_INIT;
        assert_int_equal(tar_next(t, &e, &why), -EBADMSG);
        assert_non_null(strstr(err_message(&why), "checksum"));
}

static void pax_headers_that_lie_are_refused(void **state) {
        static const char *const bad[] = {"5 a=b\n",        "7 a=b\n",       "6 a=b", "99999999999999999999 a=b\n", "x a=b\n", "0 =\n",
                                          "12 size=-1\n\n", "14 size=a12\n", "3 \n"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                AUTO(str) struct str text = STR_INIT(0);
                struct memory m;
                const struct tar_entry *e = NULL;
                tar_add(&text, 'x', "p", NULL, 0644, sv_of(bad[i]));
                tar_add(&text, '0', "f", NULL, 0644, SV("x"));
                tar_end(&text);
                AUTO(tar) struct tar *t = open_memory(&m, &text, 0);
                if (tar_next(t, &e, NULL) != -EBADMSG)
                        fail_msg("accepted: %s", bad[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(entries_come_in_order_with_their_data),
                                           cmocka_unit_test(long_names_come_from_pax_and_gnu_headers), cmocka_unit_test(damage_is_told),
                                           cmocka_unit_test(pax_headers_that_lie_are_refused)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
