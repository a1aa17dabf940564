#include "history/logs.h"

#define ROLLING_PREFIX "eventlog_v2_"
#define IN_PROGRESS ".inprogress"
#define COMPACTED ".compact"

static void file_done(struct log_file *f) {
        free(f->path);
        free(f->etag);
}

void event_log_done(struct event_log *l) {
        vec_foreach(f, &l->files) file_done(f);
        vec_done(&l->files);
        free(l->name);
        *l = (struct event_log){0};
}

static bool strip(struct sv *name, const char *suffix) {
        if (!sv_ends(*name, sv_of(suffix)))
                return false;
        name->len -= strlen(suffix);
        return true;
}

/* The codec is the last extension: application ids have their dots replaced. */
static int codec_of(const char *file, enum compress_codec *ret, bool *ret_compacted, struct err *err) {
        struct sv name = sv_of(file);
        *ret_compacted = strip(&name, COMPACTED);
        strip(&name, IN_PROGRESS);
        ssize_t dot = sv_rfind_char(name, '.');
        struct sv codec = dot < 0 ? SV("") : sv_new(name.data + dot + 1, name.len - (size_t)dot - 1);
        if (!compress_codec_parse(codec, ret))
                return err_set(err, -EINVAL, "%s: unknown codec \"%.*s\"; known are zstd, lz4, snappy, lzf", file, SV_ARG(codec));
        return 0;
}

static int by_index(const void *a, const void *b) {
        const struct log_file *x = a, *y = b;
        if (x->index != y->index)
                return x->index < y->index ? -1 : 1;
        return x->compacted - y->compacted; /* the compacted one stands for all up to it */
}

static int add_file(struct event_log *l, const char *dir, const struct logstore_entry *e, int64_t index, struct err *err) {
        struct log_file f = {.inode = e->inode, .size = e->size, .mtime_ns = e->mtime_ns, .index = index};
        int r = codec_of(e->name, &f.codec, &f.compacted, err);
        if (r < 0)
                return r;
        f.etag = xstrdup_null(e->etag);
        f.path = dir ? xasprintf("%s/%s", dir, e->name) : xstrdup(e->name);
        *vec_push(&l->files) = f;
        return 0;
}

static void finish(struct event_log *l) {
        const struct log_file *last = &l->files.items[l->files.len - 1];
        l->mtime_ms = last->mtime_ns / 1000000;
        l->last_size = last->size;
        l->last_index = l->rolling ? last->index : -1;
        vec_foreach(f, &l->files) l->total_size += f->size;
}

/* Drops what a compacted file replaces, and checks that no part is missing. */
static int order_files(struct event_log *l, struct err *err) {
        qsort(l->files.items, l->files.len, sizeof(*l->files.items), by_index);
        size_t first = 0;
        for (size_t i = 0; i < l->files.len; i++)
                if (l->files.items[i].compacted)
                        first = i;
        for (size_t i = 0; i < first; i++)
                file_done(&l->files.items[i]);
        l->files.len -= first;
        memmove(l->files.items, l->files.items + first, l->files.len * sizeof(*l->files.items));
        for (size_t i = 1; i < l->files.len; i++)
                if (l->files.items[i].index != l->files.items[i - 1].index + 1)
                        return err_set(err, -EINVAL, "%s: part %lld is followed by part %lld", l->name,
                                       (long long)l->files.items[i - 1].index, (long long)l->files.items[i].index);
        return 0;
}

/* `known`: what is in the directory, NULL when it has to be listed. */
static int probe_rolling(struct logstore *s, const char *name, const struct logstore_list *known, struct event_log *ret, struct err *err) {
        AUTO(logstore_list) struct logstore_list own = {0};
        int r = known ? 0 : logstore_list(s, name, "", &own, err);
        if (r < 0)
                return r;
        const struct logstore_list *list = known ? known : &own;
        AUTO(event_log) struct event_log l = {.name = xstrdup(name), .rolling = true};
        bool has_status = false;
        vec_foreach(e, &list->entries) {
                if (str_starts(e->name, "appstatus_")) {
                        has_status = true;
                        l.in_progress = str_ends(e->name, IN_PROGRESS);
                } else if (str_starts(e->name, "events_")) {
                        char *end;
                        int64_t index = strtoll(e->name + 7, &end, 10);
                        if (end == e->name + 7 || (*end && *end != '_'))
                                return err_set(err, -EINVAL, "%s/%s: no part number", name, e->name);
                        r = add_file(&l, name, e, index, err);
                        if (r < 0)
                                return r;
                }
        }
        if (!has_status || l.files.len == 0)
                return 0;
        r = order_files(&l, err);
        if (r < 0)
                return r;
        finish(&l);
        *ret = l;
        l = (struct event_log){0};
        return 1;
}

int event_log_probe(struct logstore *s, const struct logstore_entry *entry, struct event_log *ret, struct err *err) {
        if (entry->is_dir)
                return str_starts(entry->name, ROLLING_PREFIX) ? probe_rolling(s, entry->name, entry->children, ret, err) : 0;
        if (entry->name[0] == '.')
                return 0;
        AUTO(event_log) struct event_log l = {.name = xstrdup(entry->name)};
        struct sv name = sv_of(entry->name);
        strip(&name, COMPACTED);
        l.in_progress = sv_ends(name, SV(IN_PROGRESS));
        int r = add_file(&l, NULL, entry, 0, err);
        if (r < 0)
                return r;
        finish(&l);
        *ret = l;
        l = (struct event_log){0};
        return 1;
}

int event_log_find(struct logstore *s, const char *name, struct event_log *ret, struct err *err) {
        if (str_starts(name, ROLLING_PREFIX)) /* no need to ask what it is */
                return probe_rolling(s, name, NULL, ret, err);
        AUTO(logstore_entry) struct logstore_entry e = {0};
        int r = logstore_stat(s, name, &e, err);
        if (r < 0)
                return r;
        e.name = xstrdup(name);
        return event_log_probe(s, &e, ret, err);
}

/* ---- text ---- */

struct log_text {
        struct logstore_file *file;
        struct decompressor *decoder;
        int64_t offset, end;
};

static ssize_t read_more(void *arg, void *buf, size_t cap, struct err *err) {
        struct log_text *t = arg;
        /* Not past the size the log had when it was listed: what is read must fit what is remembered. */
        if (t->end - t->offset < (int64_t)cap)
                cap = (size_t)(t->end - t->offset);
        ssize_t n = cap ? logstore_file_read(t->file, t->offset, buf, cap, err) : 0;
        if (n > 0)
                t->offset += n;
        return n;
}

int log_text_open(struct logstore *s, const struct log_file *file, int64_t skip, struct log_text **ret, struct err *err) {
        AUTO(log_text) struct log_text *t = NEW(struct log_text);
        int r = logstore_file_open(s, file->path, file->etag, &t->file, err);
        if (r < 0)
                return r;
        t->offset = skip;
        t->end = file->size;
        t->decoder = decompressor_new(file->codec, read_more, t, 0);
        *ret = TAKE(t);
        return 0;
}

int log_text_next(struct log_text *t, struct sv *ret, struct err *err) { return decompressor_next(t->decoder, ret, err); }
bool log_text_truncated(const struct log_text *t) { return decompressor_truncated(t->decoder); }
int64_t log_text_offset(const struct log_text *t) { return t->offset; }

bool log_text_resume(struct log_text *t, int64_t size) {
        if (size < t->offset || !decompressor_resume(t->decoder))
                return false;
        t->end = size;
        return true;
}

void log_text_free(struct log_text *t) {
        if (!t)
                return;
        decompressor_free(t->decoder);
        logstore_file_close(t->file);
        free(t);
}
