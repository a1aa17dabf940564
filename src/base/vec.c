#include "base/vec.h"

#include "base/str.h"

void *vec_grow_(void *items, size_t len, size_t *cap, size_t item_size) {
        if (len < *cap)
                return items;
        size_t bigger = *cap ? *cap * 2 : 8;
        *cap = bigger;
        return xrealloc(items, bigger * item_size);
}

void strv_done(struct strv *v) {
        for (size_t i = 0; i < v->len; i++)
                free(v->items[i]);
        free(v->items);
        *v = (struct strv){0};
}

void strv_take(struct strv *v, char *s) {
        v->items = vec_grow_(v->items, v->len + 1, &v->cap, sizeof *v->items);
        v->items[v->len++] = s;
        v->items[v->len] = NULL;
}

void strv_add(struct strv *v, const char *s) { strv_take(v, xstrdup(s)); }
void strv_add_n(struct strv *v, const char *s, size_t n) { strv_take(v, sv_dup(sv_new(s, n))); }

void strv_addf(struct strv *v, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        strv_take(v, xvasprintf(fmt, ap));
        va_end(ap);
}

bool strv_has(const struct strv *v, const char *s) {
        for (size_t i = 0; i < v->len; i++)
                if (streq(v->items[i], s))
                        return true;
        return false;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void strv_sort(struct strv *v) {
        if (v->len > 1)
                qsort(v->items, v->len, sizeof *v->items, by_bytes);
}

void strv_split(struct strv *v, const char *s, char sep) {
        struct sv rest = sv_of(s), part;
        while (sv_split(&rest, sep, &part))
                strv_take(v, sv_dup(part));
}

char *strv_join(const struct strv *v, const char *sep) {
        struct str s = STR_INIT(0);
        for (size_t i = 0; i < v->len; i++) {
                if (i)
                        str_append_s(&s, sep);
                str_append_s(&s, v->items[i]);
        }
        return str_take(&s);
}
