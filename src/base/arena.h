/* Memory that is freed all at once: one per request, per parsed document, per event log.
 * Allocations are 16-byte aligned and never fail (see mem.h). */
#ifndef FIRESTEEL_BASE_ARENA_H
#define FIRESTEEL_BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct arena {
        struct arena_block *head;
        size_t allocated; /* bytes taken from the system, for limits and statistics */
};

void arena_done(struct arena *a);
DEFINE_AUTO_VALUE(arena, struct arena, arena_done)
/* Frees all but one block, for reuse. */
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull)); /* zeroed */
char *arena_strdup(struct arena *a, const char *s);
char *arena_sv(struct arena *a, struct sv v); /* NUL-terminated copy */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

#endif
