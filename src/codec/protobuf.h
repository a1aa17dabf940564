/* Reading protobuf's wire format: tags, varints, fixed and length-delimited fields. Knows no schema and allocates nothing.
 *
 *     struct pb_reader r = pb_reader(body);
 *     struct pb_field f;
 *     while ((n = pb_next(&r, &f)) > 0) switch (f.number) ...
 */
#ifndef FIRESTEEL_CODEC_PROTOBUF_H
#define FIRESTEEL_CODEC_PROTOBUF_H

#include "base/str.h"

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_GROUP_START = 3, PB_GROUP_END = 4, PB_FIXED32 = 5 };

struct pb_reader {
        const uint8_t *at, *end;
};

struct pb_field {
        uint32_t number;
        enum pb_wire wire;
        uint64_t value; /* varint, fixed64 and fixed32 */
        struct sv bytes; /* length-delimited: a view into the input */
};

static inline struct pb_reader pb_reader(struct sv v) {
        return (struct pb_reader){(const uint8_t *)v.data, (const uint8_t *)v.data + v.len};
}
/* 1 and the next field, 0 at the end, -EINVAL on malformed input (cut short, varint of more than ten bytes, number 0, groups). */
MUST_USE int pb_next(struct pb_reader *r, struct pb_field *ret);
/* One varint, for packed fields; the same results. */
MUST_USE int pb_varint(struct pb_reader *r, uint64_t *ret);

#endif
