#include "base/map.h"

/* FNV-1a with a final mix: the maps hold hundreds of short keys that do not come from a peer's choice
 * of thousands; tables of peer-sized input bound their size first. */
uint64_t hash_bytes(const void *data, size_t len) {
        const unsigned char *p = data;
        uint64_t h = 0xcbf29ce484222325u;
        for (size_t i = 0; i < len; i++)
                h = (h ^ p[i]) * 0x100000001b3u;
        h ^= h >> 32;
        h *= 0xd6e8feb86659fd93u;
        return h ^ (h >> 32);
}

static void free_entry(struct map *m, struct map_entry *e) {
        free(e->key);
        if (m->free_value && e->value)
                m->free_value(e->value);
        *e = (struct map_entry){0};
}

void map_clear(struct map *m) {
        for (size_t i = 0; i < m->used; i++)
                if (m->entries[i].key)
                        free_entry(m, &m->entries[i]);
        if (m->index)
                memset(m->index, 0, m->index_size * sizeof *m->index);
        m->used = m->len = 0;
}

void map_done(struct map *m) {
        map_clear(m);
        free(m->entries);
        free(m->index);
        *m = MAP_INIT(m->free_value);
}

/* The index slot of the key, or the empty slot where it would go. */
static size_t find_slot(const struct map *m, const char *key, size_t len, uint64_t hash) {
        size_t mask = m->index_size - 1;
        for (size_t i = hash & mask;; i = (i + 1) & mask) {
                uint32_t n = m->index[i];
                if (n == 0)
                        return i;
                const struct map_entry *e = &m->entries[n - 1];
                if (e->key && e->hash == hash && strncmp(e->key, key, len) == 0 && e->key[len] == '\0')
                        return i;
        }
}

/* Drops the holes and rebuilds the index for at least `want` entries. */
static void rebuild(struct map *m, size_t want) {
        size_t live = 0;
        for (size_t i = 0; i < m->used; i++)
                if (m->entries[i].key)
                        m->entries[live++] = m->entries[i];
        m->used = live;
        if (want > m->cap) {
                m->cap = want < 8 ? 8 : want * 2;
                m->entries = xrealloc(m->entries, m->cap * sizeof *m->entries);
        }
        size_t size = 16;
        while (size < m->cap * 2)
                size *= 2;
        if (size != m->index_size) {
                m->index = xrealloc(m->index, size * sizeof *m->index);
                m->index_size = size;
        }
        memset(m->index, 0, size * sizeof *m->index);
        for (size_t i = 0; i < live; i++) {
                size_t slot = m->entries[i].hash & (size - 1);
                while (m->index[slot])
                        slot = (slot + 1) & (size - 1);
                m->index[slot] = (uint32_t)i + 1;
        }
}

static struct map_entry *find(const struct map *m, const char *key, size_t len) {
        if (m->len == 0)
                return NULL;
        uint32_t n = m->index[find_slot(m, key, len, hash_bytes(key, len))];
        return n ? &m->entries[n - 1] : NULL;
}

void *map_get_n(const struct map *m, const char *key, size_t len) {
        struct map_entry *e = find(m, key, len);
        return e ? e->value : NULL;
}

void *map_get(const struct map *m, const char *key) { return map_get_n(m, key, strlen(key)); }
bool map_has(const struct map *m, const char *key) { return find(m, key, strlen(key)) != NULL; }

void map_set_n(struct map *m, const char *key, size_t len, void *value) {
        struct map_entry *e = find(m, key, len);
        if (e) {
                if (m->free_value && e->value && e->value != value)
                        m->free_value(e->value);
                e->value = value;
                return;
        }
        if (m->used == m->cap || !m->index)
                rebuild(m, m->len + 1);
        uint64_t hash = hash_bytes(key, len);
        m->index[find_slot(m, key, len, hash)] = (uint32_t)m->used + 1;
        char *copy = xmalloc(len + 1);
        memcpy(copy, key, len);
        copy[len] = '\0';
        m->entries[m->used++] = (struct map_entry){.key = copy, .value = value, .hash = hash};
        m->len++;
}

void map_set(struct map *m, const char *key, void *value) { map_set_n(m, key, strlen(key), value); }

void *map_take(struct map *m, const char *key) {
        struct map_entry *e = find(m, key, strlen(key));
        if (!e)
                return NULL;
        void *value = e->value;
        e->value = NULL;
        free_entry(m, e); /* stays in the index as a tombstone until the next rebuild */
        m->len--;
        return value;
}

bool map_remove(struct map *m, const char *key) {
        if (!map_has(m, key))
                return false;
        void *value = map_take(m, key);
        if (m->free_value && value)
                m->free_value(value);
        return true;
}

struct map_entry *map_next_(const struct map *m, struct map_entry *from) {
        for (struct map_entry *e = from; e && e < m->entries + m->used; e++)
                if (e->key)
                        return e;
        return NULL;
}
