#include "history/zipstream.h"

#include <zlib.h>

#include "unit/history/fixture.h"

static uint64_t le(const char *p, size_t bytes) {
        uint64_t v = 0;
        for (size_t i = bytes; i-- > 0;)
                v = v << 8 | (uint8_t)p[i];
        return v;
}

/* Unpacks the member of that name as the central directory describes it. False: there is none. */
static bool unpack(const struct str *zip, const char *name, struct str *ret) {
        const char *end = zip->data + zip->len - 22, *end64 = end - 20 - 56;
        assert_int_equal(le(end, 4), 0x06054b50);
        assert_int_equal(le(end64, 4), 0x06064b50);
        const char *p = zip->data + le(end64 + 48, 8);
        for (uint64_t i = 0, count = le(end64 + 32, 8); i < count; i++) {
                assert_int_equal(le(p, 4), 0x02014b50);
                size_t name_len = le(p + 28, 2), extra_len = le(p + 30, 2);
                const char *extra = p + 46 + name_len;
                if (name_len == strlen(name) && memcmp(p + 46, name, name_len) == 0) {
                        uint64_t size = le(extra + 4, 8), packed = le(extra + 12, 8), offset = le(extra + 20, 8);
                        const char *local = zip->data + offset, *data = local + 30 + le(local + 26, 2) + le(local + 28, 2);
                        assert_int_equal(le(local, 4), 0x04034b50);
                        if (le(p + 10, 2) == 0)
                                return true; /* a folder */
                        str_reserve(ret, size + 1);
                        z_stream z = {.next_in = (Bytef *)data,
                                      .avail_in = (uInt)packed,
                                      .next_out = (Bytef *)ret->data,
                                      .avail_out = (uInt)size + 1};
                        assert_int_equal(inflateInit2(&z, -15), Z_OK);
                        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
                        inflateEnd(&z);
                        assert_int_equal(z.total_out, size);
                        ret->len = size;
                        assert_int_equal(crc32(0, (const Bytef *)ret->data, (uInt)size), le(p + 16, 4));
                        assert_int_equal(le(data + packed, 4), 0x08074b50);
                        return true;
                }
                p = extra + extra_len;
        }
        return false;
}

static int all_of(struct zipstream *z, struct str *ret, struct err *err) {
        int r;
        while ((r = zipstream_next(z, ret, err)) > 0)
                ;
        return r;
}

TEST(files_and_folders_come_out_as_they_went_in) {
        AUTO(str) struct str large = STR_INIT(0), zip = STR_INIT(0), got = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        for (int i = 0; i < 300000; i++)
                str_appendf(&large, "line %d\n", i * 79);
        put("one", str_sv(&large), false);
        put("eventlog_v2_app/appstatus_app", SV(""), false);
        put("eventlog_v2_app/events_1_app.zstd", SV("packed already"), false);
        put("eventlog_v2_app/.events_1_app.zstd.crc", SV("x"), false);
        AUTO(zipstream) struct zipstream *z = zipstream_new();
        assert_int_equal(zipstream_add(z, store, "one", false, &err), 0);
        assert_int_equal(zipstream_add(z, store, "eventlog_v2_app", true, &err), 0);
        assert_int_equal(all_of(z, &zip, &err), 0);
        assert_true(zip.len < large.len); /* text is deflated */
        assert_true(unpack(&zip, "one", &got));
        assert_int_equal(got.len, large.len);
        assert_memory_equal(got.data, large.data, large.len);
        str_clear(&got);
        assert_true(unpack(&zip, "eventlog_v2_app/", &got));
        assert_true(unpack(&zip, "eventlog_v2_app/appstatus_app", &got));
        assert_int_equal(got.len, 0);
        assert_true(unpack(&zip, "eventlog_v2_app/events_1_app.zstd", &got));
        assert_memory_equal(got.data, "packed already", 14);
        assert_false(unpack(&zip, "eventlog_v2_app/.events_1_app.zstd.crc", &got));
}

TEST(a_log_that_is_gone_is_named) {
        AUTO(str) struct str zip = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        put("one", SV("x"), false);
        AUTO(zipstream) struct zipstream *z = zipstream_new();
        assert_int_equal(zipstream_add(z, store, "none", false, &err), -ENOENT);
        err_clear(&err);
        assert_int_equal(zipstream_add(z, store, "one", false, &err), 0);
        AUTO(free) char *path = xasprintf("%s/one", dir);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(all_of(z, &zip, &err), -ENOENT);
        assert_contains(err_message(&err), "one");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                IN_DIR(files_and_folders_come_out_as_they_went_in),
                IN_DIR(a_log_that_is_gone_is_named),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
