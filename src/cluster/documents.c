#include "cluster/documents.h"

/* `newest` is where documents come in; the trimming starts at `oldest`, and gives what was used since another round. */
struct documents {
        unsigned refs; /* the store's, and one of each adopted object */
        size_t budget, count, bytes;
        struct object *newest, *oldest;
        struct timer *timer; /* NULL once the store is gone: nothing is trimmed any more */
        bool is_armed;
};

/* The reader takes 16 bytes for each sixth byte of text, and a copy of the text. */
static size_t size_of(const struct object *o) { return o->json_len * 11 / 3; }

static void unref(struct documents *d) {
        if (--d->refs == 0)
                free(d);
}

static void push(struct documents *d, struct object *o) {
        o->newer = NULL;
        o->older = d->newest;
        *(d->newest ? &d->newest->newer : &d->oldest) = o;
        d->newest = o;
        d->count++;
        d->bytes += size_of(o);
}

static void take_out(struct documents *d, struct object *o) {
        *(o->newer ? &o->newer->older : &d->newest) = o->older;
        *(o->older ? &o->older->newer : &d->oldest) = o->newer;
        o->older = o->newer = NULL;
        d->count--;
        d->bytes -= size_of(o);
}

void documents_drop(struct object *o) {
        if (!o->doc || !o->documents)
                return;
        take_out(o->documents, o);
        yyjson_doc_free(o->doc);
        o->doc = NULL;
}

/* At most two rounds: the first forgives what was used, both pass over what is held. */
static void trim(void *arg) {
        struct documents *d = arg;
        d->is_armed = false;
        for (size_t left = 2 * d->count; left && d->bytes > d->budget; left--) {
                struct object *o = d->oldest;
                if (!o->holders && !o->is_used) {
                        documents_drop(o);
                        continue;
                }
                o->is_used = false;
                take_out(d, o);
                push(d, o);
        }
}

void documents_note(struct object *o) {
        struct documents *d = o->documents;
        if (!d)
                return;
        push(d, o);
        if (d->bytes <= d->budget || d->is_armed || !d->timer)
                return;
        d->is_armed = true;
        timer_again(d->timer, 0, 0);
}

void documents_adopt(struct documents *d, struct object *o) {
        if (o->documents)
                return;
        o->documents = d;
        d->refs++;
        if (o->doc)
                documents_note(o);
}

void documents_forget(struct object *o) {
        struct documents *d = o->documents;
        if (!d)
                return;
        if (o->doc)
                take_out(d, o);
        o->documents = NULL;
        unref(d);
}

struct documents *documents_new(struct loop *l, size_t budget) {
        struct documents *d = NEW(struct documents);
        d->refs = 1;
        d->budget = budget;
        d->timer = timer_new(l, 1 << 30, 0, trim, d);
        return d;
}

void documents_free(struct documents *d) {
        if (!d)
                return;
        timer_free(d->timer);
        d->timer = NULL;
        unref(d);
}

void documents_stats(const struct documents *d, struct documents_stats *ret) { *ret = (struct documents_stats){d->count, d->bytes}; }
