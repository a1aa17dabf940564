/* Growing arrays. VEC(T) is an anonymous struct {T *items; size_t len, cap}; the caller frees what the
 * items own and then calls vec_done().
 *
 *     VEC(struct port) ports = {0};
 *     *vec_push(&ports) = (struct port){.number = 80};
 *     vec_foreach(p, &ports) printf("%d\n", p->number);
 *     vec_done(&ports);
 *
 * `struct strv` is the vector of owned strings that is needed everywhere.
 */
#ifndef FIRESTEEL_BASE_VEC_H
#define FIRESTEEL_BASE_VEC_H

#include <stdbool.h>

#include "base/mem.h"

#define VEC(T)                                                                                     \
        struct {                                                                                   \
                T *items;                                                                          \
                size_t len, cap;                                                                   \
        }

void *vec_grow_(void *items, size_t len, size_t *cap, size_t item_size);

/* Pointer to a new zeroed item at the end. */
#define vec_push(v)                                                                                \
        ({                                                                                         \
                __typeof__(v) vec_ = (v);                                                          \
                vec_->items = vec_grow_(vec_->items, vec_->len, &vec_->cap, sizeof(*vec_->items)); \
                memset(&vec_->items[vec_->len], 0, sizeof(*vec_->items));                          \
                &vec_->items[vec_->len++];                                                         \
        })
/* Removes item i, keeping the order. */
#define vec_remove(v, i)                                                                           \
        do {                                                                                       \
                __typeof__(v) vec_ = (v);                                                          \
                size_t at_ = (i);                                                                  \
                memmove(&vec_->items[at_], &vec_->items[at_ + 1],                                  \
                        (vec_->len - at_ - 1) * sizeof(*vec_->items));                             \
                vec_->len--;                                                                       \
        } while (0)
#define vec_foreach(p, v)                                                                          \
        for (__typeof__((v)->items + 0) p = (v)->items; (p) && (p) < (v)->items + (v)->len; (p)++)
#define vec_done(v)                                                                                \
        do {                                                                                       \
                __typeof__(v) vec_ = (v);                                                          \
                free(vec_->items);                                                                 \
                vec_->items = NULL;                                                                \
                vec_->len = vec_->cap = 0;                                                         \
        } while (0)

struct strv {
        char **items; /* owned; always followed by a NULL once something was added */
        size_t len, cap;
};

void strv_done(struct strv *v);
DEFINE_AUTO_VALUE(strv, struct strv, strv_done)
void strv_add(struct strv *v, const char *s);
void strv_add_n(struct strv *v, const char *s, size_t n);
/* Takes ownership of s. */
void strv_take(struct strv *v, char *s);
void strv_addf(struct strv *v, const char *fmt, ...) PRINTF(2, 3);
bool strv_has(const struct strv *v, const char *s);
void strv_sort(struct strv *v); /* by bytes */
/* Splits as sv_split does. */
void strv_split(struct strv *v, const char *s, char sep);
char *strv_join(const struct strv *v, const char *sep);

#endif
