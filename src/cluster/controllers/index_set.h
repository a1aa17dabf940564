/* Sets of completion indexes, as the status of an Indexed Job states them: "0-2,5". Ranges are kept, not members, so that a set costs what
 * its text does.
 *
 *     AUTO(index_set) struct index_set done = {0};
 *     index_set_parse(&done, "0-2,5", 10);
 *     index_set_add(&done, 3);
 *     AUTO(free) char *text = index_set_text(&done);          // 0-3,5
 *
 * Invariant: the ranges are sorted and at least one index lies between two of them. */
#ifndef FIRESTEEL_CLUSTER_INDEX_SET_H
#define FIRESTEEL_CLUSTER_INDEX_SET_H

#include <stdint.h>

#include "base/vec.h"

struct index_range {
        int64_t first, last;
};

struct index_set {
        struct index_range *items;
        size_t len, cap;
};

void index_set_done(struct index_set *s);
DEFINE_AUTO_VALUE(index_set, struct index_set, index_set_done)

/* Adds what the text names below `limit`. NULL is empty; what is not an index or a range of indexes is passed over. */
void index_set_parse(struct index_set *s, const char *text, int64_t limit);
void index_set_add(struct index_set *s, int64_t index);
void index_set_add_all(struct index_set *s, const struct index_set *more);
bool index_set_has(const struct index_set *s, int64_t index);
int64_t index_set_total(const struct index_set *s);
/* How many indexes are in both. */
int64_t index_set_common(const struct index_set *a, const struct index_set *b);
/* Two neighbours are written 1,2 and three 1-3. */
char *index_set_text(const struct index_set *s);

#endif
