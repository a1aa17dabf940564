#include "codec/compress.h"

#include <lz4.h>
#include <xxhash.h>
#include <zstd.h>

#include "unit/test.h"

struct input {
        struct sv data;
        size_t at, step;
};

static ssize_t more(void *arg, void *buf, size_t cap, struct err *err) {
        struct input *in = arg;
        (void)err;
        size_t n = in->data.len - in->at;
        n = n < in->step ? n : in->step;
        n = n < cap ? n : cap;
        if (n)
                memcpy(buf, in->data.data + in->at, n);
        in->at += n;
        return (ssize_t)n;
}

/* All text of a stream that arrives in steps; the last code of decompressor_next(). */
static int decode(enum compress_codec codec, struct sv data, size_t step, uint64_t limit, struct str *ret, bool *ret_truncated,
                  struct err *err) {
        struct input in = {data, 0, step};
        AUTO(decompressor) struct decompressor *d = decompressor_new(codec, more, &in, limit);
        struct sv piece;
        int r;
        str_clear(ret);
        while ((r = decompressor_next(d, &piece, err)) > 0)
                str_append_sv(ret, piece);
        *ret_truncated = decompressor_truncated(d);
        return r;
}

static void sample(struct str *s) {
        for (int i = 0; i < 20000; i++)
                str_appendf(s, "{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":%d,\"Random\":%u}\n", i / 10, (unsigned)i * 2654435761u);
}

static void put32(struct str *s, uint32_t v, bool big) {
        for (int i = 0; i < 4; i++)
                str_append_c(s, (char)(v >> (big ? 24 - 8 * i : 8 * i)));
}

static void lz4_stream(struct str *out, struct sv text) {
        for (size_t at = 0; at < text.len; at += 32768) {
                size_t n = text.len - at < 32768 ? text.len - at : 32768;
                char packed[40000];
                int m = LZ4_compress_default(text.data + at, packed, (int)n, sizeof(packed));
                str_append_s(out, "LZ4Block");
                str_append_c(out, 0x20 | 5);
                put32(out, (uint32_t)m, false);
                put32(out, (uint32_t)n, false);
                put32(out, XXH32(text.data + at, n, 0x9747b28c) & 0x0fffffff, false);
                str_append(out, packed, (size_t)m);
        }
        str_append_s(out, "LZ4Block");
        str_append_c(out, 0x10 | 5);
        put32(out, 0, false);
        put32(out, 0, false);
        put32(out, 0, false);
}

/* Literals only, which every decoder must take. */
static void snappy_block(struct str *out, struct sv text) {
        struct str b = STR_INIT(0);
        for (size_t v = text.len; ; v >>= 7) {
                str_append_c(&b, (char)(v >= 0x80 ? v | 0x80 : v));
                if (v < 0x80)
                        break;
        }
        str_append_c(&b, (char)(61 << 2));
        str_append_c(&b, (char)(text.len - 1));
        str_append_c(&b, (char)((text.len - 1) >> 8));
        str_append_sv(&b, text);
        put32(out, (uint32_t)b.len, true);
        str_append_sv(out, str_sv(&b));
        str_done(&b);
}

static void snappy_stream(struct str *out, struct sv text) {
        str_append(out, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
        for (size_t at = 0; at < text.len; at += 32768)
                snappy_block(out, sv_new(text.data + at, text.len - at < 32768 ? text.len - at : 32768));
}

static void lzf_stream(struct str *out, struct sv text) {
        for (size_t at = 0; at < text.len; at += 60000) {
                size_t n = text.len - at < 60000 ? text.len - at : 60000;
                str_append(out, "ZV\0", 3);
                str_append_c(out, (char)(n >> 8));
                str_append_c(out, (char)n);
                str_append(out, text.data + at, n);
        }
}

static void zstd_stream(struct str *out, struct sv text) {
        size_t bound = ZSTD_compressBound(text.len);
        char *packed = xmalloc(bound);
        size_t n = ZSTD_compress(packed, bound, text.data, text.len, 1);
        assert_false(ZSTD_isError(n));
        str_append(out, packed, n);
        free(packed);
}

static const struct {
        enum compress_codec codec;
        void (*write)(struct str *out, struct sv text);
} streams[] = {{COMPRESS_ZSTD, zstd_stream}, {COMPRESS_LZ4, lz4_stream}, {COMPRESS_SNAPPY, snappy_stream}, {COMPRESS_LZF, lzf_stream}};

TEST(concatenated_streams_give_their_texts_however_they_arrive) {
        AUTO(str) struct str text = STR_INIT(0), twice = STR_INIT(0), got = STR_INIT(0);
        bool truncated;
        sample(&text);
        str_append_sv(&twice, str_sv(&text));
        str_append_sv(&twice, str_sv(&text));
        for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
                AUTO(str) struct str packed = STR_INIT(0);
                streams[i].write(&packed, str_sv(&text));
                streams[i].write(&packed, str_sv(&text));
                const size_t steps[] = {SIZE_MAX, 4096, 777};
                for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
                        assert_int_equal(decode(streams[i].codec, str_sv(&packed), steps[k], 0, &got, &truncated, NULL), 0);
                        assert_false(truncated);
                        assert_true(sv_eq(str_sv(&got), str_sv(&twice)));
                }
        }
}

TEST(a_stream_cut_in_a_block_gives_what_came_before_and_says_so) {
        AUTO(str) struct str text = STR_INIT(0), got = STR_INIT(0);
        bool truncated;
        sample(&text);
        for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
                AUTO(str) struct str packed = STR_INIT(0);
                streams[i].write(&packed, str_sv(&text));
                str_truncate(&packed, packed.len * 6 / 10);
                assert_int_equal(decode(streams[i].codec, str_sv(&packed), SIZE_MAX, 0, &got, &truncated, NULL), 0);
                assert_true(truncated);
                assert_true(got.len > 0 && got.len < text.len);
                assert_memory_equal(got.data, text.data, got.len);
        }
}

TEST(output_past_the_limit_is_refused) {
        AUTO(str) struct str bomb = STR_INIT(0), packed = STR_INIT(0), got = STR_INIT(0);
        AUTO(err) struct err err = ERR_INIT;
        bool truncated;
        for (int i = 0; i < 1 << 20; i++)
                str_append(&bomb, "aaaaaaaaaaaaaaaa", 16);
        zstd_stream(&packed, str_sv(&bomb));
        assert_true(packed.len < 10000);
        assert_int_equal(decode(COMPRESS_ZSTD, str_sv(&packed), SIZE_MAX, 1 << 20, &got, &truncated, &err), -EFBIG);
        assert_contains(err_message(&err), "1048576");
        assert_true(got.len <= 1 << 20);
}

TEST(damage_is_an_error_that_names_codec_and_place) {
        AUTO(str) struct str text = STR_INIT(0), got = STR_INIT(0);
        bool truncated;
        sample(&text);
        AUTO(str) struct str packed = STR_INIT(0);
        lz4_stream(&packed, str_sv(&text));
        packed.data[17] ^= 1; /* the first checksum */
        AUTO(err) struct err err = ERR_INIT;
        assert_int_equal(decode(COMPRESS_LZ4, str_sv(&packed), SIZE_MAX, 0, &got, &truncated, &err), -EBADMSG);
        assert_contains(err_message(&err), "lz4 stream is damaged at byte");
        assert_contains(err_message(&err), "checksum");
        const struct sv garbage = SV("this is no stream at all, of no codec that is known");
        for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
                AUTO(err) struct err why = ERR_INIT;
                assert_int_equal(decode(streams[i].codec, garbage, SIZE_MAX, 0, &got, &truncated, &why), -EBADMSG);
                assert_int_equal(got.len, 0);
        }
}

TEST(raw_snappy_copies_overlap_and_stay_within_bounds) {
        char out[16];
        size_t len;
        /* 12 bytes: literal "ab", then ten bytes from two back. */
        struct sv block = sv_new("\x0c\x04""ab\x19\x02", 6);
        assert_true(snappy_raw_length(block, &len));
        assert_int_equal(len, 12);
        assert_true(snappy_raw_decode(block, out, 12));
        assert_memory_equal(out, "abababababab", 12);
        assert_false(snappy_raw_decode(sv_new("\x0c\x04""ab\x19\x03", 6), out, 12)); /* from before the beginning */
        assert_false(snappy_raw_decode(sv_new("\x0b\x04""ab\x19\x02", 6), out, 11)); /* past the end */
        assert_false(snappy_raw_decode(sv_new("\x0c\x04""ab\x19", 5), out, 12));     /* cut */
        assert_false(snappy_raw_length(sv_new("\xff\xff\xff\xff\xff\xff", 6), &len));
}

TEST(raw_lzf_copies_overlap_and_stay_within_bounds) {
        char out[16];
        struct sv block = sv_new("\x01""ab\xe0\x01\x01", 6); /* "ab", then 7 + 1 + 2 bytes from two back */
        assert_true(lzf_raw_decode(block, out, 12));
        assert_memory_equal(out, "abababababab", 12);
        assert_false(lzf_raw_decode(block, out, 11));
        assert_false(lzf_raw_decode(sv_new("\x01""ab\xe0\x01\x02", 6), out, 12));
        assert_false(lzf_raw_decode(sv_new("\x05""ab", 3), out, 6));
}

TEST(codec_names_are_spark_s) {
        enum compress_codec c;
        assert_true(compress_codec_parse(SV("zstd"), &c) && c == COMPRESS_ZSTD);
        assert_true(compress_codec_parse(SV(""), &c) && c == COMPRESS_NONE);
        assert_false(compress_codec_parse(SV("gz"), &c));
        assert_string_equal(compress_codec_name(COMPRESS_LZF), "lzf");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(concatenated_streams_give_their_texts_however_they_arrive),
                cmocka_unit_test(a_stream_cut_in_a_block_gives_what_came_before_and_says_so),
                cmocka_unit_test(output_past_the_limit_is_refused),
                cmocka_unit_test(damage_is_an_error_that_names_codec_and_place),
                cmocka_unit_test(raw_snappy_copies_overlap_and_stay_within_bounds),
                cmocka_unit_test(raw_lzf_copies_overlap_and_stay_within_bounds),
                cmocka_unit_test(codec_names_are_spark_s),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
