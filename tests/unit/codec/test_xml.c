#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/xml.h"

static const char listing[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<s:ListBucketResult xmlns:s=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><!-- none -->"
        "<Contents><Key>a&amp;b &lt;&#xe4;&#8364;&#x1F600;&gt;</Key><ETag>&quot;abc&quot;</ETag><Size>3</Size></Contents>"
        "<Contents><Key><![CDATA[<raw>&]]></Key><Owner a='1' b=\">\"/></Contents></s:ListBucketResult>\n";

static void reads_a_listing(void **state) {
        AUTO(arena) struct arena a = {0};
        struct xml_node *root = NULL;
        assert_int_equal(xml_parse(sv_of(listing), &a, &root, NULL), 0);
        assert_true(sv_eqs(root->name, "ListBucketResult"));
        assert_string_equal(xml_text(root, "Name"), "b");
        const struct xml_node *c = xml_child(root, "Contents");
        assert_string_equal(xml_text(c, "Key"), "a&b <\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80>");
        assert_string_equal(xml_text(c, "ETag"), "\"abc\"");
        c = xml_next(root, c, "Contents");
        assert_string_equal(xml_text(c, "Key"), "<raw>&");
        assert_string_equal(xml_text(c, "Owner"), "");
        assert_null(xml_text(c, "Size"));
        assert_null(xml_next(root, c, "Contents"));
        int count = 0;
        xml_foreach(e, root, "Contents") count++;
        assert_int_equal(count, 2);
}

static void rejects_malformed_text(void **state) {
        const char *const texts[] = {
                "",
                "text",
                "<a>",
                "<a></b>",
                "<a><b></a></b>",
                "<a></a><b/>",
                "<a/>x",
                "<a b=c/>",
                "<a b='<'/>",
                "<a &/>",
                "<a>&nbsp;</a>",
                "<a>& </a>",
                "<a>&#0;</a>",
                "<a>&#xd800;</a>",
                "<a>&#x110000;</a>",
                "<a>&#;</a>",
                "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
                "<1/>",
                "< a/>",
                "<a",
                "<a b='x'c='y'/>",
                "<!-- x",
                "<a><![CDATA[x</a>",
                "<:/>",
                "<a:/>",
        };
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                AUTO(arena) struct arena a = {0};
                AUTO(err) struct err err = ERR_INIT;
                struct xml_node *root = NULL;
                if (xml_parse(sv_of(texts[i]), &a, &root, &err) >= 0)
                        fail_msg("taken: %s", texts[i]);
                assert_non_null(strstr(err_message(&err), "line 1 column"));
                assert_null(root);
        }
}

static void bounds_the_depth(void **state) {
        AUTO(str) struct str text = STR_INIT(0);
        for (int i = 0; i < 100000; i++)
                str_append_s(&text, "<a>");
        AUTO(arena) struct arena a = {0};
        AUTO(err) struct err err = ERR_INIT;
        struct xml_node *root;
        assert_int_equal(xml_parse(str_sv(&text), &a, &root, &err), -EINVAL);
        assert_non_null(strstr(err_message(&err), "too deeply"));
}

static void escapes_what_it_must(void **state) {
        AUTO(str) struct str out = STR_INIT(0);
        xml_append_escaped(&out, SV("<a&\"b'>"));
        assert_string_equal(str_cstr(&out), "&lt;a&amp;&quot;b&apos;&gt;");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_a_listing),
                cmocka_unit_test(rejects_malformed_text),
                cmocka_unit_test(bounds_the_depth),
                cmocka_unit_test(escapes_what_it_must),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
