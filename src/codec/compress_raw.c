/* The raw block formats of snappy (format_description.txt of the project) and LZF: back references into the text
 * written so far, literals in between. */
#include "codec/compress.h"

static bool varint32(const uint8_t **p, const uint8_t *end, uint32_t *ret) {
        uint64_t v = 0;
        for (unsigned shift = 0; shift < 35 && *p < end; shift += 7) {
                uint8_t b = *(*p)++;
                v |= (uint64_t)(b & 0x7f) << shift;
                if (b < 0x80) {
                        *ret = (uint32_t)v;
                        return v <= UINT32_MAX;
                }
        }
        return false;
}

bool snappy_raw_length(struct sv block, size_t *ret_len) {
        const uint8_t *p = (const uint8_t *)block.data;
        uint32_t n;
        if (!varint32(&p, p + block.len, &n))
                return false;
        *ret_len = n;
        return true;
}

/* Copies `len` bytes from `offset` back; the areas may overlap, then the text repeats. */
static bool copy_back(char *out, size_t *at, size_t out_len, size_t offset, size_t len) {
        if (offset == 0 || offset > *at || len > out_len - *at)
                return false;
        char *to = out + *at;
        const char *from = to - offset;
        if (offset >= len) {
                memcpy(to, from, len);
        } else {
                for (size_t i = 0; i < len; i++)
                        to[i] = from[i];
        }
        *at += len;
        return true;
}

/* The length of a literal whose tag has been read. */
static bool literal_length(unsigned tag, const uint8_t **p, const uint8_t *end, size_t *ret) {
        size_t n = tag >> 2;
        if (n >= 60) {
                unsigned bytes = (unsigned)n - 59;
                if ((size_t)(end - *p) < bytes)
                        return false;
                n = 0;
                for (unsigned i = 0; i < bytes; i++)
                        n |= (size_t)(*p)[i] << (8 * i);
                *p += bytes;
        }
        *ret = n + 1;
        return true;
}

bool snappy_raw_decode(struct sv block, char *out, size_t out_len) {
        const uint8_t *p = (const uint8_t *)block.data, *end = p + block.len;
        uint32_t stated;
        if (!varint32(&p, end, &stated) || stated != out_len)
                return false;
        size_t at = 0;
        while (p < end) {
                unsigned tag = *p++;
                size_t len, offset;
                switch (tag & 3) {
                case 0:
                        if (!literal_length(tag, &p, end, &len) || len > (size_t)(end - p) || len > out_len - at)
                                return false;
                        memcpy(out + at, p, len);
                        p += len;
                        at += len;
                        continue;
                case 1:
                        if (end - p < 1)
                                return false;
                        len = ((tag >> 2) & 7) + 4;
                        offset = (size_t)(tag >> 5) << 8 | p[0];
                        p += 1;
                        break;
                case 2:
                        if (end - p < 2)
                                return false;
                        len = (tag >> 2) + 1;
                        offset = p[0] | (size_t)p[1] << 8;
                        p += 2;
                        break;
                default:
                        if (end - p < 4)
                                return false;
                        len = (tag >> 2) + 1;
                        offset = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
                        p += 4;
                        break;
                }
                if (!copy_back(out, &at, out_len, offset, len))
                        return false;
        }
        return at == out_len;
}

bool lzf_raw_decode(struct sv block, char *out, size_t out_len) {
        const uint8_t *p = (const uint8_t *)block.data, *end = p + block.len;
        size_t at = 0;
        while (p < end) {
                size_t control = *p++;
                if (control < 32) {
                        size_t len = control + 1;
                        if (len > (size_t)(end - p) || len > out_len - at)
                                return false;
                        memcpy(out + at, p, len);
                        p += len;
                        at += len;
                        continue;
                }
                size_t len = control >> 5;
                if (len == 7) {
                        if (p >= end)
                                return false;
                        len += *p++;
                }
                if (p >= end)
                        return false;
                size_t offset = ((control & 0x1f) << 8 | *p++) + 1;
                if (!copy_back(out, &at, out_len, offset, len + 2))
                        return false;
        }
        return at == out_len;
}
