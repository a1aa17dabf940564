#include "spark/jar.h"

#include <zlib.h>

#include "unit/test.h"

static void put16(struct str *s, unsigned n) {
        str_append_c(s, (char)n);
        str_append_c(s, (char)(n >> 8));
}

static void put32(struct str *s, uint32_t n) {
        put16(s, n & 0xffff);
        put16(s, n >> 16);
}

/* A local header and its data; deflated ones leave their sizes to a descriptor, as `jar` does. */
static void add_entry(struct str *s, const char *name, struct sv text, bool deflated) {
        unsigned char packed[4096];
        z_stream z = {
                .next_in = (unsigned char *)text.data, .avail_in = (unsigned)text.len, .next_out = packed, .avail_out = sizeof(packed)};
        assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        struct sv data = deflated ? sv_new((char *)packed, z.total_out) : text;
        deflateEnd(&z);
        str_append(s, "PK\3\4", 4);
        put16(s, 20);
        put16(s, deflated ? 8 : 0);
        put16(s, deflated ? 8 : 0);
        put32(s, 0);
        put32(s, 0);
        put32(s, deflated ? 0 : (uint32_t)data.len);
        put32(s, deflated ? 0 : (uint32_t)text.len);
        put16(s, (unsigned)strlen(name));
        put16(s, 0);
        str_append_s(s, name);
        str_append_sv(s, data);
        if (deflated) {
                str_append(s, "PK\7\10", 4);
                put32(s, 0);
                put32(s, (uint32_t)data.len);
                put32(s, (uint32_t)text.len);
        }
}

#define MANIFEST                                                                                                                           \
        SV("Manifest-Version: 1.0\r\nMain-Class: org.example.a.rather.long.package.na\r\n me.Main\r\nX: y\r\n\r\nName: a\r\nMain-Class: no\r\n")

TEST(reads_stored_and_deflated_manifests) {
        for (int deflated = 0; deflated < 2; deflated++) {
                AUTO(str) struct str jar = STR_INIT(0);
                AUTO(free) char *main = NULL;
                add_entry(&jar, "META-INF/MANIFEST.MF", MANIFEST, deflated);
                assert_int_equal(jar_main_class(str_sv(&jar), &main, NULL), 0);
                assert_string_equal(main, "org.example.a.rather.long.package.name.Main");
        }
}

TEST(looks_behind_the_directory_entry) {
        for (int deflated = 0; deflated < 2; deflated++) {
                AUTO(str) struct str jar = STR_INIT(0);
                AUTO(free) char *main = NULL;
                add_entry(&jar, "META-INF/", SV(""), deflated);
                add_entry(&jar, "meta-inf/manifest.mf", MANIFEST, true);
                assert_int_equal(jar_main_class(str_sv(&jar), &main, NULL), 0);
                assert_non_null(main);
        }
}

TEST(tells_a_missing_class_from_a_missing_manifest) {
        AUTO(str) struct str jar = STR_INIT(0), other = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        char *main = (char *)"untouched";
        add_entry(&jar, "META-INF/MANIFEST.MF", SV("Manifest-Version: 1.0\n"), true);
        assert_int_equal(jar_main_class(str_sv(&jar), &main, NULL), 0);
        assert_null(main);
        add_entry(&other, "a/B.class", SV("x"), false);
        assert_int_equal(jar_main_class(str_sv(&other), &main, &err), -EINVAL);
        assert_contains(err_message(&err), "not the first entry");
        assert_int_equal(jar_main_class(SV("#!/bin/sh\n"), &main, &err), -EINVAL);
        assert_contains(err_message(&err), "not a jar");
}

TEST(survives_every_truncation) {
        AUTO(str) struct str jar = STR_INIT(0);
        add_entry(&jar, "META-INF/", SV(""), true);
        add_entry(&jar, "META-INF/MANIFEST.MF", MANIFEST, true);
        size_t end_of_data = jar.len - 16;
        for (size_t n = 0; n < end_of_data; n++) {
                AUTO(free) char *main = NULL;
                assert_int_equal(jar_main_class(sv_new(jar.data, n), &main, NULL), -EINVAL);
        }
}

TEST(bounds_what_it_inflates) {
        AUTO(str) struct str jar = STR_INIT(0), big = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        char *main = NULL;
        for (int i = 0; i < JAR_MANIFEST_MAX / 16 + 1; i++)
                str_append_s(&big, "0123456789abcdef");
        add_entry(&jar, "META-INF/MANIFEST.MF", str_sv(&big), true);
        assert_int_equal(jar_main_class(str_sv(&jar), &main, &err), -EFBIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_stored_and_deflated_manifests), cmocka_unit_test(looks_behind_the_directory_entry),
                cmocka_unit_test(tells_a_missing_class_from_a_missing_manifest), cmocka_unit_test(survives_every_truncation),
                cmocka_unit_test(bounds_what_it_inflates),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
