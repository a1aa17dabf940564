#include "history/memo.h"

static void text_free(void *p) {
        struct str *s = p;
        str_done(s);
        free(s);
}

void memo_init(struct memo *m) {
        *m = (struct memo){.texts = MAP_INIT(text_free)};
        pthread_mutex_init(&m->lock, NULL);
}

void memo_done(struct memo *m) {
        map_done(&m->texts);
        pthread_mutex_destroy(&m->lock);
}

bool memo_get(struct memo *m, const char *key, struct str *out) {
        pthread_mutex_lock(&m->lock);
        const struct str *s = map_get(&m->texts, key);
        if (s)
                str_append_sv(out, str_sv(s));
        pthread_mutex_unlock(&m->lock);
        return s;
}

void memo_put(struct memo *m, const char *key, struct sv text) {
        size_t size = strlen(key) + text.len;
        if (size > MEMO_MAX_BYTES)
                return;
        struct str *s = NEW(struct str);
        *s = STR_INIT(0);
        str_append_sv(s, text);
        pthread_mutex_lock(&m->lock);
        if (m->bytes + size > MEMO_MAX_BYTES) {
                map_clear(&m->texts);
                m->bytes = 0;
        }
        m->bytes += map_has(&m->texts, key) ? 0 : size; /* two threads may have computed the same */
        map_set(&m->texts, key, s);
        pthread_mutex_unlock(&m->lock);
}
