/* Any bytes as each of the log codecs: text comes out, or an error, or a truncated end; never more than the limit, always the same. */
#include "codec/compress.h"

struct input {
        const uint8_t *data;
        size_t len, at, step;
};

static ssize_t more(void *arg, void *buf, size_t cap, struct err *err) {
        struct input *in = arg;
        (void)err;
        size_t n = in->len - in->at;
        n = n < in->step ? n : in->step;
        n = n < cap ? n : cap;
        if (n)
                memcpy(buf, in->data + in->at, n);
        in->at += n;
        return (ssize_t)n;
}

/* cut: how much there is at first; the rest comes after the end was met (0: all is there). */
static uint64_t run(enum compress_codec codec, const uint8_t *data, size_t size, size_t step, size_t cut, int *ret_code) {
        enum { LIMIT = 8 << 20 };
        struct input in = {data, cut ? cut : size, 0, step};
        AUTO(decompressor) struct decompressor *d = decompressor_new(codec, more, &in, LIMIT);
        AUTO(err) struct err err = ERR_INIT;
        struct sv piece;
        uint64_t hash = 1469598103934665603ull, total = 0;
        int r;
        for (;;) {
                r = decompressor_next(d, &piece, &err);
                if (r == 0 && in.len < size && decompressor_resume(d)) {
                        in.len = size;
                        continue;
                }
                if (r <= 0)
                        break;
                total += piece.len;
                for (size_t i = 0; i < piece.len; i++)
                        hash = (hash ^ (uint8_t)piece.data[i]) * 1099511628211ull;
        }
        if (total > LIMIT || (r < 0 && !err.message))
                abort();
        *ret_code = r == 0 && in.len < size ? 1 : r; /* 1: it could not go on */
        return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const enum compress_codec codecs[] = {COMPRESS_ZSTD, COMPRESS_LZ4, COMPRESS_SNAPPY, COMPRESS_LZF, COMPRESS_NONE};
        if (size < 1)
                return 0;
        enum compress_codec codec = codecs[data[0] % ARRAY_LEN(codecs)];
        int whole, parts, resumed;
        size_t cut = size > 2 ? 1 + data[1] * (size - 2) / 256 : 0;
        uint64_t a = run(codec, data + 1, size - 1, SIZE_MAX, 0, &whole), b = run(codec, data + 1, size - 1, 7, 0, &parts);
        uint64_t c = run(codec, data + 1, size - 1, SIZE_MAX, cut, &resumed);
        /* However the bytes arrive, the text is the same. (What zstd hands out before it meets damage may differ, and with that whether the
         * damage or the limit is met first.) */
        if ((whole == 0) != (parts == 0) || (whole == 0 && a != b))
                abort();
        /* Nor does it matter that a part came later, where the decoder says that it can go on. */
        if (whole == 0 && resumed != 1 && (resumed != 0 || a != c))
                abort();
        return 0;
}
