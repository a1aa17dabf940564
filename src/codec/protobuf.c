#include "codec/protobuf.h"

#include <errno.h>

int pb_varint(struct pb_reader *r, uint64_t *ret) {
        uint64_t value = 0;
        const uint8_t *p = r->at;
        for (int shift = 0; shift < 70; shift += 7) {
                if (p == r->end)
                        return -EINVAL;
                uint8_t byte = *p++;
                if (shift == 63 && byte > 1)
                        return -EINVAL; /* more than 64 bits */
                value |= (uint64_t)(byte & 0x7f) << shift;
                if (!(byte & 0x80)) {
                        r->at = p;
                        *ret = value;
                        return 1;
                }
        }
        return -EINVAL;
}

static int fixed(struct pb_reader *r, size_t size, uint64_t *ret) {
        if ((size_t)(r->end - r->at) < size)
                return -EINVAL;
        uint64_t value = 0;
        for (size_t i = size; i-- > 0;)
                value = value << 8 | r->at[i];
        r->at += size;
        *ret = value;
        return 1;
}

static int length_delimited(struct pb_reader *r, struct sv *ret) {
        uint64_t len;
        int n = pb_varint(r, &len);
        if (n < 0 || len > (uint64_t)(r->end - r->at))
                return -EINVAL;
        *ret = sv_new((const char *)r->at, (size_t)len);
        r->at += len;
        return 1;
}

int pb_next(struct pb_reader *r, struct pb_field *ret) {
        struct pb_reader at = *r;
        struct pb_field f = {0};
        uint64_t tag;
        if (at.at == at.end)
                return 0;
        int n = pb_varint(&at, &tag);
        if (n < 0 || tag >> 32 || !(tag >> 3))
                return -EINVAL;
        f.number = (uint32_t)(tag >> 3);
        f.wire = (enum pb_wire)(tag & 7);
        switch (f.wire) {
        case PB_VARINT:
                n = pb_varint(&at, &f.value);
                break;
        case PB_FIXED64:
                n = fixed(&at, 8, &f.value);
                break;
        case PB_FIXED32:
                n = fixed(&at, 4, &f.value);
                break;
        case PB_BYTES:
                n = length_delimited(&at, &f.bytes);
                break;
        default: /* groups: no published type has any */
                n = -EINVAL;
        }
        if (n < 0)
                return n;
        *r = at;
        *ret = f;
        return 1;
}
