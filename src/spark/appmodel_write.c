#include "spark/appmodel_write.h"

#include <xxhash.h>

#include "spark/appmodel-internal.h"

enum { AM_MAX_HEAP = 0x7fffffff };

static void append(struct am_writer *w, const void *data, size_t len) {
        if (w->error.code || len == 0)
                return;
        if (w->sink.append(w->sink.arg, data, len, &w->error) < 0 && !w->error.code)
                err_set(&w->error, -EIO, "writing the index failed");
        w->offset += len;
}

void am_writer_init(struct am_writer *w, const struct am_sink *sink) {
        static const char zeros[AM_HEADER_SIZE];
        *w = (struct am_writer){.sink = *sink, .heap = STR_INIT(AM_MAX_HEAP)};
        append(w, zeros, sizeof(zeros));
}

void am_writer_done(struct am_writer *w) {
#define X(member, type) vec_done(&w->member);
        AM_SECTIONS(X)
#undef X
        str_done(&w->heap);
        free(w->index);
        free(w->interned);
        err_done(&w->error);
}

static void grow_index(struct am_writer *w) {
        size_t size = w->index_size ? w->index_size * 2 : 1024;
        free(w->index);
        w->index = xcalloc(size, sizeof(*w->index));
        w->index_size = size;
        for (size_t i = 0; i < w->num_interned; i++) {
                size_t at = w->interned[i].hash & (size - 1);
                while (w->index[at])
                        at = (at + 1) & (size - 1);
                w->index[at] = (uint32_t)i + 1;
        }
}

struct am_str am_intern(struct am_writer *w, struct sv text) {
        if (!text.data)
                return AM_ABSENT;
        uint32_t hash = (uint32_t)XXH3_64bits(text.data, text.len);
        if ((w->num_interned + 1) * 2 > w->index_size)
                grow_index(w);
        size_t at = hash & (w->index_size - 1);
        for (; w->index[at]; at = (at + 1) & (w->index_size - 1)) {
                const struct am_interned *e = &w->interned[w->index[at] - 1];
                if (e->hash == hash && e->at.len == text.len &&
                    (text.len == 0 || memcmp(w->heap.data + e->at.off, text.data, text.len) == 0))
                        return e->at;
        }
        if (!sv_is_utf8(text)) {
                AUTO(str) struct str fixed = STR_INIT(0);
                str_append_as_utf8(&fixed, text);
                return am_intern(w, str_sv(&fixed));
        }
        struct am_str ret = {(uint32_t)w->heap.len, (uint32_t)text.len};
        str_append_sv(&w->heap, text);
        if (str_overflowed(&w->heap)) { /* more than 2 GiB of different strings: the rest is absent */
                w->heap.overflow = false;
                return AM_ABSENT;
        }
        if (w->num_interned == w->cap_interned) {
                w->cap_interned = w->cap_interned ? w->cap_interned * 2 : 512;
                w->interned = xrealloc(w->interned, w->cap_interned * sizeof(*w->interned));
        }
        w->interned[w->num_interned] = (struct am_interned){ret, hash};
        w->index[at] = (uint32_t)++w->num_interned;
        return ret;
}

struct am_segment am_write_segment(struct am_writer *w, struct sv rows, uint32_t count) {
        struct am_segment s = {
                .offset = w->offset, .len = (uint32_t)rows.len, .count = count, .checksum = am_segment_checksum(rows.data, rows.len)};
        append(w, rows.data, rows.len);
        return s;
}

struct section_data {
        const void *items;
        size_t count, item_size;
};

int am_writer_finish(struct am_writer *w, const struct am_app *app, const uint8_t fingerprint[AM_FINGERPRINT], struct err *err) {
        static const char zeros[8];
        const struct section_data data[AM_SECTION_COUNT] = {
#define X(member, type) [AM_SECTION_##member] = {w->member.items, w->member.len, sizeof(type)},
                AM_SECTIONS(X)
#undef X
                [AM_SECTION_heap] = {w->heap.data, w->heap.len, 1},
        };
        struct am_header h = {.magic = AM_MAGIC, .version = AM_VERSION, .app = *app};
        memcpy(h.fingerprint, fingerprint, AM_FINGERPRINT);
        append(w, zeros, -w->offset & 7);
        h.cold_offset = w->offset;
        XXH3_state_t *sum = XXH3_createState();
        if (!sum)
                abort();
        XXH3_64bits_reset(sum);
        for (size_t i = 0; i < AM_SECTION_COUNT; i++) {
                size_t len = data[i].count * data[i].item_size, pad = -len & 7;
                h.sections[i] = (struct am_section_entry){w->offset, data[i].count, (uint32_t)data[i].item_size, 0};
                append(w, data[i].items, len);
                append(w, zeros, pad);
                if (len)
                        XXH3_64bits_update(sum, data[i].items, len);
                XXH3_64bits_update(sum, zeros, pad);
        }
        h.cold_checksum = XXH3_64bits_digest(sum);
        XXH3_freeState(sum);
        h.size = w->offset;
        h.header_checksum = (uint32_t)XXH3_64bits(&h, sizeof(h));
        if (!w->error.code && w->sink.header(w->sink.arg, &h, sizeof(h), &w->error) < 0 && !w->error.code)
                err_set(&w->error, -EIO, "writing the index failed");
        return w->error.code ? err_move(err, &w->error) : 0;
}
