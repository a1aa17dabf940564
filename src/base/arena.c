#include "base/arena.h"

#include <stdio.h>

enum { BLOCK_SIZE = 16 * 1024 };

struct arena_block {
        struct arena_block *next;
        size_t size, used;
        _Alignas(16) unsigned char data[];
};

void arena_done(struct arena *a) {
        while (a->head) {
                struct arena_block *next = a->head->next;
                free(a->head);
                a->head = next;
        }
        a->allocated = 0;
}

void arena_reset(struct arena *a) {
        struct arena_block *keep = a->head;
        if (!keep)
                return;
        a->head = keep->next;
        arena_done(a);
        keep->next = NULL;
        keep->used = 0;
        a->head = keep;
        a->allocated = keep->size;
}

void *arena_alloc(struct arena *a, size_t size) {
        size = (size + 15) & ~(size_t)15;
        if (!a->head || a->head->size - a->head->used < size) {
                size_t room = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;
                struct arena_block *b = xmalloc(sizeof *b + room);
                *b = (struct arena_block){.next = a->head, .size = room};
                a->head = b;
                a->allocated += room;
        }
        void *p = a->head->data + a->head->used;
        a->head->used += size;
        return memset(p, 0, size);
}

char *arena_sv(struct arena *a, struct sv v) {
        char *p = arena_alloc(a, v.len + 1);
        if (v.len)
                memcpy(p, v.data, v.len);
        return p;
}

char *arena_strdup(struct arena *a, const char *s) { return arena_sv(a, sv_of(s)); }

char *arena_printf(struct arena *a, const char *fmt, ...) {
        va_list ap, again;
        va_start(ap, fmt);
        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        char *p = arena_alloc(a, (size_t)(n > 0 ? n : 0) + 1);
        if (n > 0)
                vsnprintf(p, (size_t)n + 1, fmt, again);
        va_end(again);
        return p;
}
