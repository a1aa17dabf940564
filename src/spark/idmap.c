#include "spark/idmap.h"

static uint64_t mix(uint64_t x) {
        x ^= x >> 32;
        x *= 0x9e3779b97f4a7c15ull;
        return x ^ x >> 29;
}

void idmap_done(struct idmap *m) {
        free(m->slots);
        *m = (struct idmap){0};
}

void *idmap_get(const struct idmap *m, uint64_t key) {
        if (!m->len)
                return NULL;
        for (size_t at = mix(key) & (m->size - 1); m->slots[at].value; at = (at + 1) & (m->size - 1))
                if (m->slots[at].key == key)
                        return m->slots[at].value;
        return NULL;
}

void idmap_set(struct idmap *m, uint64_t key, void *value) {
        if ((m->len + 1) * 4 > m->size * 3) {
                struct idmap bigger = {.size = m->size ? m->size * 2 : 16};
                bigger.slots = xcalloc(bigger.size, sizeof(*bigger.slots));
                idmap_foreach(s, m) idmap_set(&bigger, s->key, s->value);
                free(m->slots);
                *m = bigger;
        }
        size_t at = mix(key) & (m->size - 1);
        while (m->slots[at].value && m->slots[at].key != key)
                at = (at + 1) & (m->size - 1);
        m->len += !m->slots[at].value;
        m->slots[at] = (struct idmap_slot){key, value};
}

void *idmap_remove(struct idmap *m, uint64_t key) {
        if (!m->len)
                return NULL;
        size_t mask = m->size - 1, at = mix(key) & mask;
        while (m->slots[at].value && m->slots[at].key != key)
                at = (at + 1) & mask;
        void *value = m->slots[at].value;
        if (!value)
                return NULL;
        /* Pull back what follows, so that no probe ends early. */
        for (size_t next = (at + 1) & mask; m->slots[next].value; next = (next + 1) & mask) {
                size_t home = mix(m->slots[next].key) & mask;
                if (((next - home) & mask) >= ((next - at) & mask)) {
                        m->slots[at] = m->slots[next];
                        at = next;
                }
        }
        m->slots[at].value = NULL;
        m->len--;
        return value;
}

void idset_done(struct idset *s) {
        free(s->slots);
        *s = (struct idset){0};
}

static struct idset_slot *idset_slot(const struct idset *s, uint64_t key) {
        size_t at = mix(key) & (s->size - 1);
        while (s->slots[at].mask && s->slots[at].key != key)
                at = (at + 1) & (s->size - 1);
        return &s->slots[at];
}

bool idset_add(struct idset *s, uint64_t v) {
        if ((s->used + 1) * 4 > s->size * 3) {
                struct idset bigger = {.size = s->size ? s->size * 2 : 8, .used = s->used, .count = s->count};
                bigger.slots = xcalloc(bigger.size, sizeof(*bigger.slots));
                for (size_t i = 0; i < s->size; i++)
                        if (s->slots[i].mask)
                                *idset_slot(&bigger, s->slots[i].key) = s->slots[i];
                free(s->slots);
                *s = bigger;
        }
        struct idset_slot *slot = idset_slot(s, v >> 6);
        uint64_t bit = 1ull << (v & 63);
        if (slot->mask & bit)
                return false;
        s->used += !slot->mask;
        slot->key = v >> 6;
        slot->mask |= bit;
        s->count++;
        return true;
}

bool idset_has(const struct idset *s, uint64_t v) { return s->size && idset_slot(s, v >> 6)->mask >> (v & 63) & 1; }

void intset_done(struct intset *s) {
        free(s->items);
        *s = (struct intset){0};
}

static size_t lower_bound(const struct intset *s, int32_t v) {
        if (s->len == 0 || s->items[s->len - 1] < v)
                return s->len;
        size_t lo = 0, hi = s->len;
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                if (s->items[mid] < v)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

bool intset_has(const struct intset *s, int32_t v) {
        size_t at = lower_bound(s, v);
        return at < s->len && s->items[at] == v;
}

bool intset_add(struct intset *s, int32_t v) {
        size_t at = lower_bound(s, v);
        if (at < s->len && s->items[at] == v)
                return false;
        if (s->len == s->cap) {
                s->cap = s->cap ? s->cap * 2 : 4;
                s->items = xrealloc(s->items, s->cap * sizeof(*s->items));
        }
        memmove(s->items + at + 1, s->items + at, (s->len - at) * sizeof(*s->items));
        s->items[at] = v;
        s->len++;
        return true;
}

bool intset_remove(struct intset *s, int32_t v) {
        size_t at = lower_bound(s, v);
        if (at >= s->len || s->items[at] != v)
                return false;
        memmove(s->items + at, s->items + at + 1, (s->len - at - 1) * sizeof(*s->items));
        s->len--;
        return true;
}
