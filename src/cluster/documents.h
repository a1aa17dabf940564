/* The parsed documents of a store's objects: a bounded cache, the least used go first.
 *
 * Nothing is thrown out while a call runs: what was borrowed from a document (object.h) stays valid until the loop comes round, when a
 * timer trims to the budget. Documents of objects that somebody holds with object_ref() stay, whatever the budget. So memory is bounded by
 * the budget, what is held, and what one turn of the loop looks into; walks over everything use object_view() or object_rest().
 *
 * An object counts its cache in, so objects may outlive the store. Loop thread only.
 */
#ifndef FIRESTEEL_CLUSTER_DOCUMENTS_H
#define FIRESTEEL_CLUSTER_DOCUMENTS_H

#include "cluster/object.h"
#include "event/loop.h"

enum { DOCUMENTS_BUDGET = 4 * 1024 * 1024 };

struct documents *documents_new(struct loop *l, size_t budget);
/* Those that are still held stay with their objects. */
void documents_free(struct documents *d);
/* The object has become one of the store's. Its document, if it has one, is from now on cached. */
void documents_adopt(struct documents *d, struct object *o);
/* An adopted object got its document; it drops it; it goes. Others: nothing, except that documents_drop() leaves them their document, which
 * is theirs for good. */
void documents_note(struct object *o);
void documents_drop(struct object *o);
void documents_forget(struct object *o);

/* Documents there are now, and what they take (an estimate). */
struct documents_stats {
        size_t count, bytes;
};
void documents_stats(const struct documents *d, struct documents_stats *ret);

#endif
