/* A hash map from strings to pointers that remembers the order of insertion.
 *
 * Keys are copied. Values belong to the map when it was made with a destructor. Not thread-safe.
 *
 *     struct map m = MAP_INIT(free);
 *     map_set(&m, "spark.app.name", xstrdup("pi"));
 *     map_foreach(e, &m) printf("%s=%s\n", e->key, (char *)e->value);
 *
 * A map may be changed while it is walked only by removing the current entry.
 */
#ifndef FIRESTEEL_BASE_MAP_H
#define FIRESTEEL_BASE_MAP_H

#include <stdbool.h>

#include "base/mem.h"

struct map_entry {
        char *key; /* NULL: removed */
        void *value;
        uint64_t hash;
};

struct map {
        struct map_entry *entries; /* in the order of insertion, with holes */
        size_t used;               /* entries in use, holes included */
        size_t cap;
        uint32_t *index; /* open addressing; 0 = empty, else entry number + 1 */
        size_t index_size;
        size_t len; /* live entries */
        void (*free_value)(void *);
};

#define MAP_INIT(destructor) ((struct map){.free_value = (destructor)})

void map_done(struct map *m);
DEFINE_AUTO_VALUE(map, struct map, map_done)
void map_clear(struct map *m);
void *map_get(const struct map *m, const char *key);
void *map_get_n(const struct map *m, const char *key, size_t len);
bool map_has(const struct map *m, const char *key);
/* Replaces (destroying the old value; the key keeps its place) or adds at the end. */
void map_set(struct map *m, const char *key, void *value);
void map_set_n(struct map *m, const char *key, size_t len, void *value);
/* Takes the value out without destroying it; NULL when absent. */
void *map_take(struct map *m, const char *key);
/* False when absent. */
bool map_remove(struct map *m, const char *key);

struct map_entry *map_next_(const struct map *m, struct map_entry *from);
#define map_foreach(e, m)                                                                          \
        for (struct map_entry *e = map_next_((m), (m)->entries); e; e = map_next_((m), e + 1))

uint64_t hash_bytes(const void *data, size_t len);

#endif
