/* Answers that take long to compute and are short, kept beside the model they are computed from. Only for those that depend on nothing but
 * the model and their key.
 *
 * At most MEMO_MAX_BYTES; what would be too much empties it. Safe between threads.
 */
#ifndef FIRESTEEL_HISTORY_MEMO_H
#define FIRESTEEL_HISTORY_MEMO_H

#include <pthread.h>

#include "base/map.h"
#include "base/str.h"

enum { MEMO_MAX_BYTES = 256 << 10 };

struct memo {
        pthread_mutex_t lock;
        struct map texts; /* key -> struct str, on the heap */
        size_t bytes;
};

void memo_init(struct memo *m);
void memo_done(struct memo *m);
/* Appends the text kept under a key; false when there is none. */
bool memo_get(struct memo *m, const char *key, struct str *out);
void memo_put(struct memo *m, const char *key, struct sv text);

#endif
