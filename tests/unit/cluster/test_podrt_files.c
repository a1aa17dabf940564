/* The pure parts of the pod runtime that write and read files: bundles, logs, netlink messages, addresses, DNS packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "base/fs.h"
#include "cluster/podrt/bundle.h"
#include "cluster/podrt/crilog.h"
#include "cluster/podrt/dnsalias.h"
#include "cluster/podrt/netlink.h"
#include "cluster/podrt/podnet.h"
#include "codec/json.h"

/* ---- bundle ---- */

static yyjson_doc *written(const struct bundle *b) {
        AUTO(free) char *text = bundle_write(b);
        yyjson_doc *doc = NULL;
        assert_int_equal(json_parse(sv_of(text), &doc, NULL), 0);
        return doc;
}

static bool lists(yyjson_val *array, const char *text) {
        yyjson_val *v;
        size_t i, max;
        yyjson_arr_foreach(array, i, max, v) if (streq_null(yyjson_get_str(v), text)) return true;
        return false;
}

static void mounts_come_after_the_ones_above_them(void **state) {
        AUTO(bundle) struct bundle b = {0};
        bundle_bind(&b, "/opt/spark/conf", "/conf", false);
        bundle_bind(&b, "/opt/spark", "/spark", true);
        AUTO(json) yyjson_doc *doc = written(&b);
        yyjson_val *m, *mounts = json_at(yyjson_doc_get_root(doc), "/mounts");
        size_t i, max, above = 0, below = 0;
        yyjson_arr_foreach(mounts, i, max, m) {
                if (streq(json_get_str(m, "destination"), "/opt/spark"))
                        above = i;
                if (streq(json_get_str(m, "destination"), "/opt/spark/conf"))
                        below = i;
        }
        assert_true(above > 0 && above < below);
}

static void drop_all_leaves_only_what_is_added(void **state) {
        AUTO(bundle) struct bundle b = {0};
        AUTO(strv) struct strv caps = {0};
        strv_add(&b.drop_caps, "ALL");
        strv_add(&b.add_caps, "CAP_NET_BIND_SERVICE");
        bundle_capabilities(&b, &caps);
        assert_int_equal(caps.len, 1);
        assert_string_equal(caps.items[0], "CAP_NET_BIND_SERVICE");
}

static void default_capabilities_are_containerds(void **state) {
        AUTO(bundle) struct bundle b = {0};
        AUTO(strv) struct strv caps = {0};
        bundle_capabilities(&b, &caps);
        assert_int_equal(caps.len, 14);
        assert_true(strv_has(&caps, "CAP_CHOWN"));
        assert_false(strv_has(&caps, "CAP_SYS_ADMIN"));
}

static void another_user_has_no_effective_capabilities(void **state) {
        AUTO(bundle) struct bundle b = {.uid = 185};
        AUTO(json) yyjson_doc *doc = written(&b);
        assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(doc), "/process/capabilities/effective")), 0);
        assert_int_equal(yyjson_arr_size(json_at(yyjson_doc_get_root(doc), "/process/capabilities/bounding")), 14);
}

static void limits_are_written_only_with_control_groups(void **state) {
        AUTO(bundle) struct bundle b = {.memory_limit = 1 << 20, .cpu_quota_us = 50000, .cpu_period_us = 100000};
        AUTO(json) yyjson_doc *without = written(&b);
        assert_null(json_at(yyjson_doc_get_root(without), "/linux/resources"));
        b.has_cgroups = true;
        AUTO(json) yyjson_doc *with = written(&b);
        assert_int_equal(json_int_at(yyjson_doc_get_root(with), "/linux/resources/memory/limit", 0), 1 << 20);
        assert_int_equal(json_int_at(yyjson_doc_get_root(with), "/linux/resources/cpu/quota", 0), 50000);
}

static void containers_of_a_pod_share_its_namespaces(void **state) {
        AUTO(bundle) struct bundle b = {.namespace_dir = xstrdup("/pods/u/ns")};
        AUTO(json) yyjson_doc *doc = written(&b);
        yyjson_val *n, *list = json_at(yyjson_doc_get_root(doc), "/linux/namespaces");
        size_t i, max, shared = 0;
        yyjson_arr_foreach(list, i, max, n) {
                const char *type = json_get_str(n, "type"), *path = json_get_str(n, "path");
                if (streq(type, "network"))
                        assert_string_equal(path, "/pods/u/ns/net");
                if (streq(type, "pid") || streq(type, "mount"))
                        assert_null(path);
                shared += path != NULL;
        }
        assert_int_equal(shared, 3);
}

static void privileged_means_no_filter_and_no_masks(void **state) {
        AUTO(bundle) struct bundle b = {.is_privileged = true};
        AUTO(json) yyjson_doc *doc = written(&b);
        assert_null(json_at(yyjson_doc_get_root(doc), "/linux/seccomp"));
        assert_null(json_at(yyjson_doc_get_root(doc), "/linux/maskedPaths"));
        AUTO(bundle) struct bundle plain = {0};
        AUTO(json) yyjson_doc *other = written(&plain);
        assert_true(lists(json_at(yyjson_doc_get_root(other), "/linux/seccomp/syscalls/0/names"), "mount"));
        assert_true(lists(json_at(yyjson_doc_get_root(other), "/linux/maskedPaths"), "/proc/kcore"));
}

/* ---- logs ---- */

struct logfile {
        char dir[32];
        char *path;
        struct crilog log;
};

static int open_log(void **state) {
        struct logfile *f = NEW(struct logfile);
        memcpy(f->dir, "/tmp/firesteel-log-XXXXXX", sizeof "/tmp/firesteel-log-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        f->path = fs_join(f->dir, "0.log");
        assert_int_equal(crilog_open(f->path, 100000, 2, &f->log, NULL), 0);
        *state = f;
        return 0;
}

static int close_log(void **state) {
        struct logfile *f = *state;
        crilog_close(&f->log);
        assert_int_equal(fs_remove_tree(f->dir, NULL), 0);
        free(f->path);
        free(f);
        return 0;
}

static void lines_are_written_whole_with_time_and_stream(void **state) {
        struct logfile *f = *state;
        AUTO(str) struct str text = STR_INIT(0);
        crilog_write(&f->log, CRILOG_STDOUT, SV("hel"), 1000000);
        crilog_write(&f->log, CRILOG_STDERR, SV("oops\n"), 2000000);
        crilog_write(&f->log, CRILOG_STDOUT, SV("lo\nrest"), 3000005);
        crilog_flush(&f->log, 4000000);
        assert_int_equal(fs_read(f->path, 0, &text, NULL), 0);
        assert_string_equal(str_cstr(&text), "1970-01-01T00:00:02.000000000Z stderr F oops\n"
                                             "1970-01-01T00:00:03.000005000Z stdout F hello\n"
                                             "1970-01-01T00:00:04.000000000Z stdout P rest\n");
}

static void a_line_without_end_is_cut_into_pieces(void **state) {
        struct logfile *f = *state;
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(free) char *big = xmalloc(CRILOG_MAX_LINE + 10);
        memset(big, 'x', CRILOG_MAX_LINE + 10);
        crilog_write(&f->log, CRILOG_STDOUT, sv_new(big, CRILOG_MAX_LINE + 10), 0);
        crilog_write(&f->log, CRILOG_STDOUT, SV("\n"), 0);
        assert_int_equal(fs_read(f->path, 0, &text, NULL), 0);
        struct sv rest = str_sv(&text), line;
        struct crilog_line l;
        assert_true(sv_split(&rest, '\n', &line) && crilog_parse(line, &l));
        assert_true(l.is_partial);
        assert_int_equal(l.text.len, CRILOG_MAX_LINE);
        assert_true(sv_split(&rest, '\n', &line) && crilog_parse(line, &l));
        assert_false(l.is_partial);
        assert_int_equal(l.text.len, 10);
}

static void a_full_log_is_rotated_and_the_oldest_goes(void **state) {
        struct logfile *f = *state;
        AUTO(free) char *line = xmalloc(10001);
        memset(line, 'y', 10000);
        line[10000] = '\n';
        for (int i = 0; i < 45; i++)
                crilog_write(&f->log, CRILOG_STDOUT, sv_new(line, 10001), 0);
        AUTO(free) char *first = xasprintf("%s.1", f->path);
        AUTO(free) char *second = xasprintf("%s.2", f->path);
        AUTO(free) char *third = xasprintf("%s.3", f->path);
        struct stat st;
        assert_int_equal(stat(f->path, &st), 0);
        assert_true(st.st_size <= 100000);
        assert_true(fs_exists(first) && fs_exists(second));
        assert_false(fs_exists(third));
}

static void other_lines_are_no_log_lines(void **state) {
        static const char *const bad[] = {"",
                                          "hello",
                                          "2026-01-01T00:00:00Z stdout",
                                          "2026-01-01T00:00:00Z stdout F",
                                          "2026-01-01T00:00:00Z stdin F x",
                                          "2026-01-01T00:00:00Z stdout X x",
                                          "2026-01-01T00:00:00Z stdout FX x",
                                          "yesterday stdout F x"};
        struct crilog_line l;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(crilog_parse(sv_of(bad[i]), &l));
        assert_true(crilog_parse(SV("2026-01-01T00:00:00.5Z stderr F:tag "), &l));
        assert_int_equal(l.text.len, 0);
        assert_int_equal(l.stream, CRILOG_STDERR);
}

/* ---- network ---- */

static void nested_attributes_have_the_length_of_all_they_hold(void **state) {
        struct nlmsg m;
        struct ifinfomsg info = {0};
        nlmsg_begin(&m, RTM_NEWLINK, 0, &info, sizeof info);
        size_t nest = nlmsg_nest(&m, IFLA_LINKINFO);
        nlmsg_attr_str(&m, IFLA_INFO_KIND, "bridge");
        nlmsg_nest_end(&m, nest);
        const struct rtattr *outer = (const struct rtattr *)(const void *)(m.data + NLMSG_LENGTH(sizeof info));
        assert_int_equal(outer->rta_type, IFLA_LINKINFO);
        assert_int_equal(outer->rta_len, RTA_LENGTH(0) + RTA_SPACE(sizeof "bridge"));
        assert_int_equal(m.len % NLMSG_ALIGNTO, 0);
        assert_false(m.overflow);
}

static void a_message_that_grows_too_long_is_not_sent(void **state) {
        struct nlmsg m;
        struct ifinfomsg info = {0};
        char big[NLMSG_MAX] = {0};
        nlmsg_begin(&m, RTM_NEWLINK, 0, &info, sizeof info);
        nlmsg_attr(&m, IFLA_IFNAME, big, sizeof big);
        assert_true(m.overflow);
        struct nl nl = {.fd = -1};
        assert_int_equal(nl_request(&nl, &m, NULL), -EMSGSIZE);
}

static void ranges_are_checked(void **state) {
        struct cidr c;
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(cidr_parse("10.244.0.0/16", &c, NULL), 0);
        assert_true(cidr_contains(c, 0x0af4ffff));
        assert_false(cidr_contains(c, 0x0af50000));
        assert_int_equal(cidr_parse("10.244.1.0/16", &c, &err), -EINVAL);
        assert_string_equal(err_message(&err), "\"10.244.1.0/16\" has bits set after the first 16");
        static const char *const bad[] = {"", "10.0.0.0", "10.0.0.0/7", "10.0.0.0/29", "10.0.0/16", "10.0.0.0/16x", "a/16"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_int_equal(cidr_parse(bad[i], &c, NULL), -EINVAL);
}

static void addresses_are_given_in_turn_and_end_some_time(void **state) {
        struct podnet_pool p;
        uint32_t a, b, c;
        podnet_pool_init(&p, (struct cidr){0x0a000000, 28});
        assert_int_equal(podnet_pool_take(&p, &a, NULL), 0);
        assert_int_equal(a, 0x0a000002); /* not the network nor the gateway */
        podnet_pool_release(&p, a);
        assert_int_equal(podnet_pool_take(&p, &b, NULL), 0);
        assert_int_equal(b, 0x0a000003); /* one just freed is not used again at once */
        podnet_pool_mark(&p, 0x0a000004);
        assert_int_equal(podnet_pool_take(&p, &c, NULL), 0);
        assert_int_equal(c, 0x0a000005);
        int more = 0;
        while (podnet_pool_take(&p, &c, NULL) == 0)
                more++;
        assert_int_equal(more, 16 - 3 - 3); /* neither network, gateway, broadcast nor the three in use */
        podnet_pool_done(&p);
}

/* ---- DNS ---- */

static const char question[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03svc\x02ns\x03svc\x07"
                               "cluster\x05local\x00\x00\x01\x00\x01";

static void a_question_is_read_and_answered(void **state) {
        struct sv packet = sv_new(question, sizeof question - 1);
        struct dns_query q;
        assert_true(dns_parse(packet, &q));
        assert_string_equal(q.name, "svc.ns.svc.cluster.local");
        assert_int_equal(q.type, DNS_A);
        AUTO(strv) struct strv addresses = {0};
        AUTO(str) struct str out = STR_INIT(DNS_MAX_PACKET);
        strv_add(&addresses, "10.244.0.7");
        dns_answer(packet, &q, 0, &addresses, &out);
        assert_int_equal(out.len, packet.len + 16);
        assert_memory_equal(out.data, "\x12\x34\x85\x80\x00\x01\x00\x01", 8);
        assert_memory_equal(out.data + out.len - 4, "\x0a\xf4\x00\x07", 4);
}

static void cut_and_twisted_questions_are_dropped(void **state) {
        struct dns_query q;
        for (size_t len = 0; len < sizeof question - 1; len++)
                assert_false(dns_parse(sv_new(question, len), &q));
        char bad[sizeof question];
        memcpy(bad, question, sizeof bad);
        bad[12] = (char)0xc0; /* a pointer in the question */
        assert_false(dns_parse(sv_new(bad, sizeof bad - 1), &q));
        memcpy(bad, question, sizeof bad);
        bad[2] = (char)0x81; /* an answer */
        assert_false(dns_parse(sv_new(bad, sizeof bad - 1), &q));
}

/* ---- names that stand for others ---- */

/* The answer to an A query of "a.b" has the alias and two addresses, with names that are pointers. */
static const char resolved[] = "\x12\x34\x81\x80\x00\x01\x00\x03\x00\x00\x00\x00" "\x01" "a\x01" "b\x00\x00\x01\x00\x01"
                               "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x0a\x00\x04\x01" "c\xc0\x0e"
                               "\xc0\x21\x00\x01\x00\x01\x00\x00\x00\x0a\x00\x04\xc0\x00\x02\x01"
                               "\xc0\x21\x00\x01\x00\x01\x00\x00\x00\x0a\x00\x04\xc0\x00\x02\x02";

static void what_a_name_stands_for_is_asked(void **state) {
        struct dns_query q, other;
        AUTO(str) struct str out = STR_INIT(DNS_MAX_PACKET), none = STR_INIT(DNS_MAX_PACKET), dotted = STR_INIT(DNS_MAX_PACKET);
        assert_true(dns_parse(sv_new(question, sizeof question - 1), &q));
        assert_true(dnsalias_query(&q, "db.example.com", &out));
        assert_true(dns_parse(str_sv(&out), &other));
        assert_string_equal(other.name, "db.example.com");
        assert_int_equal(other.type, DNS_A);
        assert_int_equal(other.id, 0x1234);
        assert_true(dnsalias_query(&q, "db.example.com.", &dotted));
        assert_true(sv_eq(str_sv(&out), str_sv(&dotted)));
        static const char *const bad[] = {"", ".", "a..b", ".a", "0123456789012345678901234567890123456789012345678901234567890123.com"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                assert_false(dnsalias_query(&q, bad[i], &none));
}

static void the_answer_has_alias_and_addresses(void **state) {
        struct sv packet = sv_new(question, sizeof question - 1);
        struct dns_query q;
        AUTO(str) struct str out = STR_INIT(DNS_MAX_PACKET), inside = STR_INIT(DNS_MAX_PACKET);
        AUTO(strv) struct strv addresses = {0};
        assert_true(dns_parse(packet, &q));
        assert_true(dnsalias_translate(packet, &q, "a.b", sv_new(resolved, sizeof resolved - 1), &out));
        /* Question, CNAME a.b, and two A whose owner is the name in the CNAME. */
        assert_int_equal(out.len, packet.len + 12 + 5 + 2 * 16);
        assert_memory_equal(out.data, "\x12\x34\x85\x80\x00\x01\x00\x03\x00\x00\x00\x00", 12);
        assert_memory_equal(out.data + packet.len, "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x05\x01" "a\x01" "b", 17);
        char owner[2] = {(char)0xc0, (char)(packet.len + 12)};
        assert_memory_equal(out.data + packet.len + 17, owner, 2);
        assert_memory_equal(out.data + out.len - 4, "\xc0\x00\x02\x02", 4);
        strv_add(&addresses, "192.0.2.1");
        strv_add(&addresses, "192.0.2.2");
        assert_true(dnsalias_answer(packet, &q, "a.b", &addresses, &inside));
        assert_true(sv_eq(str_sv(&out), str_sv(&inside)));
}

static void damaged_answers_are_not_translated(void **state) {
        struct sv packet = sv_new(question, sizeof question - 1);
        struct dns_query q;
        assert_true(dns_parse(packet, &q));
        for (size_t len = 0; len < sizeof resolved - 1; len++) {
                AUTO(str) struct str out = STR_INIT(DNS_MAX_PACKET);
                AUTO(free) char *cut = xmalloc(len + 1); /* of its own size, for the sanitizer */
                memcpy(cut, resolved, len);
                assert_false(dnsalias_translate(packet, &q, "a.b", sv_new(cut, len), &out));
        }
        /* One who claims more than fits gets an answer that does. */
        AUTO(str) struct str many = STR_INIT(0), out = STR_INIT(DNS_MAX_PACKET);
        str_append(&many, resolved, sizeof resolved - 1);
        for (int i = 0; i < 97; i++)
                str_append(&many, resolved + sizeof resolved - 17, 16);
        many.data[7] = 100;
        assert_true(dnsalias_translate(packet, &q, "a.b", str_sv(&many), &out));
        assert_true(out.len <= DNS_MAX_PACKET);
        assert_false(str_overflowed(&out));
}

int main(void) {
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(mounts_come_after_the_ones_above_them),
            cmocka_unit_test(what_a_name_stands_for_is_asked),
            cmocka_unit_test(the_answer_has_alias_and_addresses),
            cmocka_unit_test(damaged_answers_are_not_translated),
            cmocka_unit_test(drop_all_leaves_only_what_is_added),
            cmocka_unit_test(default_capabilities_are_containerds),
            cmocka_unit_test(another_user_has_no_effective_capabilities),
            cmocka_unit_test(limits_are_written_only_with_control_groups),
            cmocka_unit_test(containers_of_a_pod_share_its_namespaces),
            cmocka_unit_test(privileged_means_no_filter_and_no_masks),
            cmocka_unit_test_setup_teardown(lines_are_written_whole_with_time_and_stream, open_log, close_log),
            cmocka_unit_test_setup_teardown(a_line_without_end_is_cut_into_pieces, open_log, close_log),
            cmocka_unit_test_setup_teardown(a_full_log_is_rotated_and_the_oldest_goes, open_log, close_log),
            cmocka_unit_test(other_lines_are_no_log_lines),
            cmocka_unit_test(nested_attributes_have_the_length_of_all_they_hold),
            cmocka_unit_test(a_message_that_grows_too_long_is_not_sent),
            cmocka_unit_test(ranges_are_checked),
            cmocka_unit_test(addresses_are_given_in_turn_and_end_some_time),
            cmocka_unit_test(a_question_is_read_and_answered),
            cmocka_unit_test(cut_and_twisted_questions_are_dropped),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
