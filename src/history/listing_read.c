/* What one look at a log says. Only four events matter, and Spark writes their names first in the line. */
#include <xxhash.h>

#include "base/log.h"
#include "codec/json.h"
#include "history/listing.h"

enum { MAX_EVENT = 64 << 20, MAX_PREFIX = 64 };

struct reader {
        struct log_record *r;
        const struct listing_options *o;
        bool got_env, halt, wants_end_only, stopped;
        struct str carry; /* the beginning of a line that may matter */
        bool skipping;    /* within a line that does not */
};

static const struct sv prefixes[] = {
        SV("{\"Event\":\"SparkListenerApplicationStart\""),
        SV("{\"Event\":\"SparkListenerApplicationEnd\""),
        SV("{\"Event\":\"SparkListenerLogStart\""),
        SV("{\"Event\":\"SparkListenerEnvironmentUpdate\","),
};
enum { PREFIX_START, PREFIX_END, PREFIX_LOG, PREFIX_ENV };

static int prefix_of(struct sv line) {
        for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
                if (sv_starts(line, prefixes[i]))
                        return (int)i;
        return -1;
}

static void set(char **to, const char *text) {
        free(*to);
        *to = xstrdup_null(text);
}

static char *as_text(yyjson_val *object, const char *key) {
        yyjson_val *v = yyjson_obj_get(object, key);
        if (yyjson_is_str(v))
                return xstrdup(yyjson_get_str(v));
        return yyjson_is_int(v) ? xasprintf("%lld", (long long)yyjson_get_sint(v)) : NULL;
}

static void take(char **to, char *text) {
        free(*to);
        *to = text;
}

static void on_environment(struct reader *t, yyjson_val *v) {
        static const struct {
                const char *key;
                size_t offset;
        } acls[] = {
                {"spark.ui.view.acls", offsetof(struct log_record, view_acls)},
                {"spark.admin.acls", offsetof(struct log_record, admin_acls)},
                {"spark.ui.view.acls.groups", offsetof(struct log_record, view_groups)},
                {"spark.admin.acls.groups", offsetof(struct log_record, admin_groups)},
        };
        if (t->got_env)
                return;
        t->got_env = true;
        yyjson_val *properties = yyjson_obj_get(v, "Spark Properties");
        for (size_t i = 0; i < ARRAY_LEN(acls); i++) {
                const char *text = json_get_str(properties, acls[i].key);
                set((char **)((char *)t->r + acls[i].offset), text && *text ? text : NULL);
        }
}

static void on_event(struct reader *t, int which, yyjson_val *v) {
        struct log_record *r = t->r;
        switch (which) {
        case PREFIX_START:
                take(&r->app_id, as_text(v, "App ID"));
                take(&r->attempt_id, as_text(v, "App Attempt ID"));
                set(&r->name, json_get_str(v, "App Name"));
                set(&r->user, json_get_str(v, "User"));
                r->start_ms = json_get_int(v, "Timestamp", -1);
                r->last_updated_ms = t->o->now_ms;
                break;
        case PREFIX_END:
                r->end_ms = json_get_int(v, "Timestamp", -1);
                r->last_updated_ms = r->mtime_ms;
                r->duration_ms = r->end_ms - r->start_ms;
                r->completed = true;
                break;
        case PREFIX_LOG:
                set(&r->spark_version, json_get_str(v, "Spark Version"));
                break;
        default:
                on_environment(t, v);
                break;
        }
        if (which == PREFIX_START || which == PREFIX_ENV)
                t->halt = r->app_id && t->got_env;
}

static void on_line(struct reader *t, struct sv line) {
        int which = prefix_of(line);
        if (which < 0 || (t->wants_end_only && which != PREFIX_END))
                return;
        AUTO(json) yyjson_doc *doc = yyjson_read_opts((char *)line.data, line.len, YYJSON_READ_ALLOW_INVALID_UNICODE, NULL, NULL);
        if (!doc) {
                t->stopped = true; /* a malformed event ends the reading, as it ends the replay */
                return;
        }
        on_event(t, which, yyjson_doc_get_root(doc));
}

/* Splits into lines, keeping of a line that spans pieces only what may matter. */
static void feed(struct reader *t, struct sv piece, bool until_halt) {
        const char *p = piece.data, *end = p + piece.len;
        while (p < end && !t->stopped && !(until_halt && t->halt)) {
                const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
                struct sv part = sv_new(p, (size_t)(stop - p));
                p = nl ? nl + 1 : end;
                if (nl && !t->carry.len && !t->skipping) {
                        on_line(t, part);
                        continue;
                }
                if (!t->skipping) {
                        size_t had = t->carry.len;
                        /* Decide as early as the prefix is there. */
                        if (had < MAX_PREFIX && had + part.len >= MAX_PREFIX) {
                                str_append(&t->carry, part.data, MAX_PREFIX - had);
                                part = sv_new(part.data + (MAX_PREFIX - had), part.len - (MAX_PREFIX - had));
                                if (prefix_of(str_sv(&t->carry)) < 0) {
                                        t->skipping = true;
                                        str_clear(&t->carry);
                                }
                        }
                        if (!t->skipping)
                                str_append_sv(&t->carry, part);
                        if (str_overflowed(&t->carry)) {
                                t->carry.overflow = false;
                                t->skipping = true;
                                str_clear(&t->carry);
                        }
                }
                if (nl) {
                        if (!t->skipping)
                                on_line(t, str_sv(&t->carry));
                        str_clear(&t->carry);
                        t->skipping = false;
                }
        }
}

static void end_of_file(struct reader *t) {
        if (t->carry.len && !t->skipping)
                on_line(t, str_sv(&t->carry));
        str_clear(&t->carry);
        t->skipping = false;
        t->stopped = false;
}

/* Reads one file from `skip` on. With skip the first, cut line is passed over. */
static int read_file(struct logstore *s, const struct log_file *f, int64_t skip, struct reader *t, bool until_halt, struct err *err) {
        AUTO(log_text) struct log_text *text = NULL;
        int r = log_text_open(s, f, skip, &text, err);
        struct sv piece;
        t->skipping = skip > 0;
        while (r >= 0 && !t->stopped && !(until_halt && t->halt)) {
                r = log_text_next(text, &piece, err);
                if (r <= 0)
                        break;
                feed(t, piece, until_halt);
        }
        bool halted = until_halt && t->halt;
        if (!halted)
                end_of_file(t);
        return r < 0 ? r : 0;
}

static int read_all(struct logstore *s, const struct event_log *log, struct reader *t, bool until_halt, struct err *err) {
        int r = 0;
        vec_foreach(f, &log->files) {
                r = read_file(s, f, 0, t, until_halt, err);
                if (r < 0 || (until_halt && t->halt))
                        break;
        }
        return r;
}

/* Is there an end? Of plain text the last pieces are looked at first: the end is the last line as a rule, and the last one counts. */
static int find_end(struct logstore *s, const struct event_log *log, struct reader *t, struct err *err) {
        enum { LAST_LINES = 32 << 10 };
        const struct log_file *last = &log->files.items[log->files.len - 1];
        const int64_t pieces[] = {LAST_LINES, t->o->end_chunk};
        int64_t skip = 0;
        t->wants_end_only = true;
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
                if (i > 0 && skip == 0)
                        break; /* that was all of it */
                skip = last->codec == COMPRESS_NONE && last->size > pieces[i] ? last->size - pieces[i] : 0;
                str_clear(&t->carry);
                t->skipping = t->stopped = false;
                int r = read_file(s, last, skip, t, false, err);
                if (r < 0 || t->r->completed)
                        return r;
        }
        return skip || log->files.len > 1 ? read_all(s, log, t, false, err) : 0;
}

int64_t log_signature(const struct event_log *log) {
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "%d\n", log->in_progress);
        vec_foreach(f, &log->files)
                str_appendf(&text, "%s %lld %lld %s\n", f->path, (long long)f->size, (long long)f->mtime_ns, f->etag ? f->etag : "");
        return (int64_t)XXH3_64bits(text.data, text.len);
}

struct log_record *log_record_read(struct logstore *s, int64_t dir, const struct event_log *log, const struct listing_options *o) {
        struct log_record *r = NEW(struct log_record);
        *r = (struct log_record){.key = xasprintf("%lld/%s", (long long)dir, log->name),
                                 .log = xstrdup(log->name),
                                 .dir = dir,
                                 .rolling = log->rolling,
                                 .in_progress = log->in_progress,
                                 .size = log->last_size,
                                 .last_index = log->last_index,
                                 .mtime_ms = log->mtime_ms,
                                 .total_size = log->total_size,
                                 .start_ms = -1,
                                 .end_ms = -1,
                                 .last_updated_ms = -1,
                                 .refs = 1};
        r->signature = log_signature(log);
        r->spark_version = xstrdup("");
        struct reader t = {.r = r, .o = o, .carry = STR_INIT(MAX_EVENT)};
        AUTO(err) struct err err = ERR_INIT;
        bool halts = (log->in_progress && o->fast_in_progress) || o->end_chunk > 0;
        int code = read_all(s, log, &t, halts, &err);
        if (code >= 0 && halts && t.halt && (!log->in_progress || !o->fast_in_progress))
                code = find_end(s, log, &t, &err);
        r->retry = code < 0 && code != -EBADMSG;
        if (code < 0 && !(code == -EBADMSG && r->app_id))
                take(&r->problem, xstrdup(err_message(&err)));
        else if (!r->app_id)
                take(&r->problem, xstrdup(log->total_size ? "it has no application start event with an id" : "it is empty"));
        str_done(&t.carry);
        return r;
}

struct log_record *log_record_ref(struct log_record *r) {
        __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
        return r;
}

void log_record_unref(struct log_record *r) {
        if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        free(r->key);
        free(r->log);
        free(r->app_id);
        free(r->attempt_id);
        free(r->name);
        free(r->user);
        free(r->spark_version);
        free(r->view_acls);
        free(r->admin_acls);
        free(r->view_groups);
        free(r->admin_groups);
        free(r->problem);
        free(r);
}
