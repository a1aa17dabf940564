#include "codec/base64.h"

#include <errno.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct sv data, const char *alphabet, bool pad, struct str *out) {
        if (!str_reserve(out, data.len / 3 * 4 + 4))
                return;
        const unsigned char *p = (const unsigned char *)data.data;
        size_t i = 0;
        for (; i + 3 <= data.len; i += 3) {
                uint32_t n = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
                str_append(out, (char[]){alphabet[n >> 18], alphabet[n >> 12 & 63], alphabet[n >> 6 & 63], alphabet[n & 63]}, 4);
        }
        size_t left = data.len - i;
        if (left == 0)
                return;
        uint32_t n = (uint32_t)p[i] << 16 | (left == 2 ? (uint32_t)p[i + 1] << 8 : 0);
        char tail[4] = {alphabet[n >> 18], alphabet[n >> 12 & 63], left == 2 ? alphabet[n >> 6 & 63] : '=', '='};
        str_append(out, tail, pad ? 4 : left + 1);
}

void base64_encode(struct sv data, struct str *out) { encode(data, standard, true, out); }
void base64url_encode(struct sv data, struct str *out) { encode(data, url_safe, false, out); }

static int digit(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

int base64_decode(struct sv text, struct str *out) {
        AUTO(str) struct str decoded = STR_INIT(0);
        uint32_t bits = 0;
        size_t digits = 0, padding = 0;
        for (size_t i = 0; i < text.len; i++) {
                char c = text.data[i];
                if (c == '\n' || c == '\r')
                        continue;
                if (c == '=') {
                        padding++;
                        continue;
                }
                int d = digit(c);
                if (d < 0 || padding)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t)d;
                if (++digits % 4 == 0)
                        str_append(&decoded, (char[]){(char)(bits >> 16), (char)(bits >> 8), (char)bits}, 3);
        }
        size_t left = digits % 4;
        if (left == 1 || (padding && (digits + padding) % 4 != 0) || padding > 2)
                return -EINVAL;
        if (left == 2)
                str_append_c(&decoded, (char)(bits >> 4));
        else if (left == 3)
                str_append(&decoded, (char[]){(char)(bits >> 10), (char)(bits >> 2)}, 2);
        str_append_sv(out, str_sv(&decoded));
        return 0;
}
