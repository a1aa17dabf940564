/* Packed rows: tasks, and executors within stages. A task of an ordinary log takes about 80 bytes. */
#include <xxhash.h>

#include "spark/appmodel-internal.h"

void am_put_varint(struct str *s, uint64_t v) {
        char b[10];
        size_t n = 0;
        while (v >= 0x80) {
                b[n++] = (char)(v | 0x80);
                v >>= 7;
        }
        b[n++] = (char)v;
        str_append(s, b, n);
}

/* A reader over one packed run of bytes. Past the end everything is 0 and `bad` is set. */
struct unpack {
        const uint8_t *p, *end;
        bool bad;
};

static uint64_t get(struct unpack *u) {
        uint64_t v = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
                if (u->p >= u->end)
                        break;
                uint8_t b = *u->p++;
                v |= (uint64_t)(b & 0x7f) << (shift < 64 ? shift : 63);
                if (b < 0x80)
                        return v;
        }
        u->bad = true;
        return 0;
}

static int64_t get_signed(struct unpack *u) {
        uint64_t v = get(u);
        return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static struct am_str get_str(struct unpack *u) {
        uint64_t off = get(u);
        if (off == 0)
                return (struct am_str){UINT32_MAX, 0};
        uint64_t len = get(u);
        return (struct am_str){(uint32_t)(off - 1), (uint32_t)len};
}

static void put_signed(struct str *s, int64_t v) { am_put_varint(s, am_zigzag(v)); }

static void put_str(struct str *s, struct am_str v) {
        if (v.off == UINT32_MAX) {
                am_put_varint(s, 0);
                return;
        }
        am_put_varint(s, (uint64_t)v.off + 1);
        am_put_varint(s, v.len);
}

/* A presence mask, then the values that are not 0. */
static void put_sparse(struct str *s, const int64_t *values, unsigned count) {
        uint64_t mask = 0;
        for (unsigned i = 0; i < count; i++)
                mask |= (uint64_t)(values[i] != 0) << i;
        am_put_varint(s, mask);
        for (unsigned i = 0; i < count; i++)
                if (values[i])
                        put_signed(s, values[i]);
}

static void get_sparse(struct unpack *u, int64_t *values, unsigned count) {
        uint64_t mask = get(u);
        for (unsigned i = 0; i < count; i++)
                values[i] = mask >> i & 1 ? get_signed(u) : 0;
}

enum {
        ROW_SPECULATIVE = 1 << 3,
        ROW_METRICS = 1 << 4,
        ROW_FETCHED = 1 << 5,
        ROW_ERROR = 1 << 6,
        ROW_ACCUMULABLES = 1 << 7,
        ROW_RETRY = 1 << 8,
        ROW_PARTITION = 1 << 9,
        ROW_NO_DURATION = 1 << 10
};

void am_pack_base(struct str *s, const struct am_row_base *base) {
        put_signed(s, base->task_id);
        put_signed(s, base->launch_ms);
}

void am_pack_task(struct str *s, const struct am_row_base *base, const struct am_task *t) {
        size_t at = s->len;
        unsigned flags = t->status | (t->speculative ? ROW_SPECULATIVE : 0) | (t->has_metrics ? ROW_METRICS : 0) |
                         (t->fetch_start_ms ? ROW_FETCHED : 0) | (t->error.off != UINT32_MAX ? ROW_ERROR : 0) |
                         (t->num_accumulables ? ROW_ACCUMULABLES : 0) | (t->attempt ? ROW_RETRY : 0) |
                         (t->partition != t->index ? ROW_PARTITION : 0) | (t->duration_ms == AM_NONE ? ROW_NO_DURATION : 0);
        str_append(s, "\0\0", 2); /* the length, filled in below */
        am_put_varint(s, flags);
        put_signed(s, t->id - base->task_id);
        put_signed(s, t->index);
        if (flags & ROW_RETRY)
                put_signed(s, t->attempt);
        if (flags & ROW_PARTITION)
                put_signed(s, t->partition);
        put_signed(s, t->launch_ms - base->launch_ms);
        if (!(flags & ROW_NO_DURATION))
                put_signed(s, t->duration_ms);
        put_str(s, t->executor);
        put_str(s, t->host);
        put_str(s, t->locality);
        if (flags & ROW_FETCHED)
                put_signed(s, t->fetch_start_ms);
        if (flags & ROW_ERROR)
                put_str(s, t->error);
        if (flags & ROW_METRICS)
                put_sparse(s, t->metrics, TM_COUNT);
        if (flags & ROW_ACCUMULABLES) {
                am_put_varint(s, t->num_accumulables);
                str_append_sv(s, t->accumulables);
        }
        size_t len = s->len - at - 2;
        if (len < 0x4000) { /* the usual length fits the two bytes kept free */
                s->data[at] = (char)(len | 0x80);
                s->data[at + 1] = (char)(len >> 7);
                return;
        }
        AUTO(str) struct str head = STR_INIT(0);
        am_put_varint(&head, len);
        str_append(s, head.data, head.len - 2); /* room, then shift */
        memmove(s->data + at + head.len, s->data + at + 2, len);
        memcpy(s->data + at, head.data, head.len);
}

void am_pack_accumulable(struct str *s, const struct am_accumulable *a) {
        put_signed(s, a->id);
        put_str(s, a->name);
        put_str(s, a->update);
        put_str(s, a->value);
}

bool appmodel_task_accumulables(struct sv *rest, struct am_accumulable *ret) {
        struct unpack u = {(const uint8_t *)rest->data, (const uint8_t *)rest->data + rest->len, false};
        if (rest->len == 0)
                return false;
        ret->id = get_signed(&u);
        ret->name = get_str(&u);
        ret->update = get_str(&u);
        ret->value = get_str(&u);
        *rest = sv_new((const char *)u.p, (size_t)(u.end - u.p));
        return !u.bad;
}

static bool unpack_task(struct unpack *all, const struct am_row_base *base, struct am_task *t) {
        uint64_t len = get(all);
        if (all->bad || len > (uint64_t)(all->end - all->p))
                return false;
        struct unpack u = {all->p, all->p + len, false};
        all->p += len;
        unsigned flags = (unsigned)get(&u);
        t->status = flags & 7;
        t->speculative = flags & ROW_SPECULATIVE;
        t->has_metrics = flags & ROW_METRICS;
        t->id = base->task_id + get_signed(&u);
        t->index = (int32_t)get_signed(&u);
        t->attempt = flags & ROW_RETRY ? (int32_t)get_signed(&u) : 0;
        t->partition = flags & ROW_PARTITION ? (int32_t)get_signed(&u) : t->index;
        t->launch_ms = base->launch_ms + get_signed(&u);
        t->duration_ms = flags & ROW_NO_DURATION ? AM_NONE : get_signed(&u);
        t->executor = get_str(&u);
        t->host = get_str(&u);
        t->locality = get_str(&u);
        t->fetch_start_ms = flags & ROW_FETCHED ? get_signed(&u) : 0;
        t->error = flags & ROW_ERROR ? get_str(&u) : (struct am_str){UINT32_MAX, 0};
        if (flags & ROW_METRICS)
                get_sparse(&u, t->metrics, TM_COUNT);
        else
                memset(t->metrics, 0, sizeof(t->metrics));
        t->num_accumulables = flags & ROW_ACCUMULABLES ? (uint32_t)get(&u) : 0;
        t->accumulables = sv_new((const char *)u.p, t->num_accumulables ? (size_t)(u.end - u.p) : 0);
        return !u.bad && t->status < AM_TASK_STATES;
}

void am_pack_stage_executor(struct str *s, const struct am_stage_executor *e) {
        put_str(s, e->executor);
        put_signed(s, e->task_ms);
        put_signed(s, e->failed);
        put_signed(s, e->succeeded);
        put_signed(s, e->killed);
        am_put_varint(s, (e->excluded ? 1 : 0) | (e->peaks_set ? 2 : 0));
        put_sparse(s, e->metrics, TM_COUNT);
        if (e->peaks_set)
                put_sparse(s, e->peaks, AM_PEAKS);
}

static bool unpack_stage_executor(struct unpack *u, struct am_stage_executor *e) {
        e->executor = get_str(u);
        e->task_ms = get_signed(u);
        e->failed = (int32_t)get_signed(u);
        e->succeeded = (int32_t)get_signed(u);
        e->killed = (int32_t)get_signed(u);
        unsigned flags = (unsigned)get(u);
        e->excluded = flags & 1;
        e->peaks_set = flags & 2;
        get_sparse(u, e->metrics, TM_COUNT);
        memset(e->peaks, 0, sizeof(e->peaks));
        if (e->peaks_set)
                get_sparse(u, e->peaks, AM_PEAKS);
        return !u->bad;
}

uint32_t am_segment_checksum(const void *data, size_t len) { return (uint32_t)XXH3_64bits(data, len); }

static int open_segment(const struct appmodel *m, const struct am_segment *s, struct unpack *u, struct err *err) {
        if (s->offset > m->size || s->len > m->size - s->offset)
                return err_set(err, -EBADMSG, "the index is damaged: rows lie outside of it");
        const char *at = m->image + s->offset;
        if (am_segment_checksum(at, s->len) != s->checksum)
                return err_set(err, -EBADMSG, "the index is damaged: rows at byte %llu have a wrong checksum",
                               (unsigned long long)s->offset);
        *u = (struct unpack){(const uint8_t *)at, (const uint8_t *)at + s->len, false};
        return 0;
}

static int bad_rows(struct err *err) { return err_set(err, -EBADMSG, "the index is damaged: rows do not unpack"); }

static struct am_row_base get_base(struct unpack *u) {
        struct am_row_base base;
        base.task_id = get_signed(u);
        base.launch_ms = get_signed(u);
        return base;
}

int appmodel_tasks(const struct appmodel *m, const struct am_stage *stage, int (*fn)(void *arg, const struct am_task *task), void *arg,
                   struct err *err) {
        struct am_task t;
        for (uint32_t i = 0; i < stage->tasks.count && stage->tasks.first + i < m->num_segments; i++) {
                t.place.segment = stage->tasks.first + i;
                const struct am_segment *s = &m->segments[t.place.segment];
                struct unpack u = {0};
                int r = open_segment(m, s, &u, err);
                if (r < 0)
                        return r;
                const uint8_t *start = u.p;
                struct am_row_base base = get_base(&u);
                for (uint32_t k = 0; k < s->count; k++) {
                        t.place.at = (uint32_t)(u.p - start);
                        if (!unpack_task(&u, &base, &t))
                                return bad_rows(err);
                        r = fn(arg, &t);
                        if (r)
                                return r;
                }
        }
        return 0;
}

int appmodel_task_at(const struct appmodel *m, struct am_place place, struct am_task *ret, struct err *err) {
        const struct am_segment *s = &m->segments[place.segment]; /* which was checked when the row was met */
        const uint8_t *start = (const uint8_t *)m->image + s->offset;
        struct unpack u = {start, start + s->len, false};
        struct am_row_base base = get_base(&u);
        u.p = start + place.at;
        ret->place = place;
        return unpack_task(&u, &base, ret) ? 0 : bad_rows(err);
}

int appmodel_stage_executors(const struct appmodel *m, const struct am_stage *stage,
                             int (*fn)(void *arg, const struct am_stage_executor *row), void *arg, struct err *err) {
        struct am_stage_executor e;
        for (uint32_t i = 0; i < stage->executors.count && stage->executors.first + i < m->num_segments; i++) {
                const struct am_segment *s = &m->segments[stage->executors.first + i];
                struct unpack u = {0};
                int r = open_segment(m, s, &u, err);
                if (r < 0)
                        return r;
                for (uint32_t k = 0; k < s->count; k++) {
                        if (!unpack_stage_executor(&u, &e))
                                return bad_rows(err);
                        r = fn(arg, &e);
                        if (r)
                                return r;
                }
        }
        return 0;
}
