/* Small hash tables keyed by numbers, for the event reducer: pointers by id, and sets of task indices. */
#ifndef FIRESTEEL_SPARK_IDMAP_H
#define FIRESTEEL_SPARK_IDMAP_H

#include <stdbool.h>

#include "base/mem.h"

/* From 64-bit keys to pointers that are not NULL and belong to somebody else. */
struct idmap {
        struct idmap_slot {
                uint64_t key;
                void *value; /* NULL: empty */
        } *slots;
        size_t size, len;
};

void idmap_done(struct idmap *m);
void *idmap_get(const struct idmap *m, uint64_t key);
void idmap_set(struct idmap *m, uint64_t key, void *value);
/* The value taken out, or NULL. */
void *idmap_remove(struct idmap *m, uint64_t key);
/* In no particular order; the map must not change meanwhile. */
#define idmap_foreach(s, m)                                                                                                               \
        for (struct idmap_slot *s = (m)->slots; s && s < (m)->slots + (m)->size; s++)                                                     \
                if (s->value)

/* A set of 64-bit numbers that come in runs: 64 neighbours share an entry. */
struct idset {
        struct idset_slot {
                uint64_t key, mask; /* mask 0: empty */
        } *slots;
        size_t size, used;
        uint64_t count;
};

void idset_done(struct idset *s);
/* False when it was there already. */
bool idset_add(struct idset *s, uint64_t v);
bool idset_has(const struct idset *s, uint64_t v);

/* An ascending list of 32-bit numbers. */
struct intset {
        int32_t *items;
        size_t len, cap;
};

void intset_done(struct intset *s);
bool intset_add(struct intset *s, int32_t v);
bool intset_remove(struct intset *s, int32_t v);
bool intset_has(const struct intset *s, int32_t v);

#endif
