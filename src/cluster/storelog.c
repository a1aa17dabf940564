#include "cluster/storelog.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/vec.h"
#include "codec/ktime.h"

static const char schema[] = "CREATE TABLE IF NOT EXISTS objects (collection TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,"
                             " revision INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (collection, namespace, name)) WITHOUT ROWID;"
                             "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";
enum { SCHEMA_VERSION = 1 };

struct change {
        const char *collection; /* the store's; outlives the log */
        struct object *object;
        bool is_delete;
};

/* Travels to the worker and back. */
struct batch {
        struct storelog *log;
        VEC(struct change) changes;
        uint64_t revision;
        int64_t took_us;
        struct err err;
};

struct storelog {
        struct loop *loop;
        struct loop *worker_loop;
        struct timer *keep_alive;
        pthread_t thread;
        bool has_thread;
        char *path;
        sqlite3 *db; /* the worker's from the moment its thread runs, except while nothing is under way */
        sqlite3_stmt *put, *del, *count;
        uint64_t revision;
        struct batch *gathering, *under_way;
        void (*done)(void *arg, uint64_t revision, int64_t took_us, const struct err *err);
        void *arg;
};

static int sqlite_failed(struct storelog *log, int code, const char *what, struct err *err) {
        int primary = code & 0xff;
        if (primary == SQLITE_FULL) {
                err_http(err, -ENOSPC, 507, "InsufficientStorage", "%s %s: the disk is full", what, log->path);
                err_hint(err, "free some space in the file system of %s; nothing was changed", log->path);
                return -ENOSPC;
        }
        if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB)
                return err_http(err, -EUCLEAN, 500, "InternalError", "%s %s: %s", what, log->path, sqlite3_errmsg(log->db));
        return err_http(err, -EIO, 500, "InternalError", "%s %s: %s", what, log->path, sqlite3_errmsg(log->db));
}

static int exec(struct storelog *log, const char *sql, const char *what, struct err *err) {
        int code = sqlite3_exec(log->db, sql, NULL, NULL, NULL);
        return code == SQLITE_OK ? 0 : sqlite_failed(log, code, what, err);
}

static int prepare(struct storelog *log, const char *sql, sqlite3_stmt **ret, struct err *err) {
        int code = sqlite3_prepare_v3(log->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
        return code == SQLITE_OK ? 0 : sqlite_failed(log, code, "preparing a statement for", err);
}

static void batch_free(struct batch *b) {
        vec_foreach(c, &b->changes)
                object_release(c->object);
        vec_done(&b->changes);
        err_done(&b->err);
        free(b);
}

/* Worker side. */

static int write_change(struct storelog *log, const struct change *c, struct err *err) {
        sqlite3_stmt *st = c->is_delete ? log->del : log->put;
        int code;

        sqlite3_bind_text(st, 1, c->collection, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 2, c->object->namespace, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 3, c->object->name, -1, SQLITE_STATIC);
        if (!c->is_delete) {
                sqlite3_bind_int64(st, 4, (sqlite3_int64)c->object->revision);
                sqlite3_bind_text64(st, 5, c->object->json, c->object->json_len, SQLITE_STATIC, SQLITE_UTF8);
        }
        code = sqlite3_step(st);
        sqlite3_reset(st);
        return code == SQLITE_DONE ? 0 : sqlite_failed(log, code, "writing to", err);
}

static int commit(struct storelog *log, struct batch *b, struct err *err) {
        int r = exec(log, "BEGIN IMMEDIATE", "starting a transaction in", err);
        if (r < 0)
                return r;
        vec_foreach(c, &b->changes) {
                r = write_change(log, c, err);
                if (r < 0)
                        goto back;
        }
        sqlite3_bind_int64(log->count, 1, (sqlite3_int64)b->revision);
        if (sqlite3_step(log->count) != SQLITE_DONE) {
                int code = sqlite3_reset(log->count);
                r = sqlite_failed(log, code, "writing to", err);
                goto back;
        }
        sqlite3_reset(log->count);
        r = exec(log, "COMMIT", "committing to", err);
        if (r == 0)
                return 0;
back:
        if (!sqlite3_get_autocommit(log->db))
                (void)sqlite3_exec(log->db, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

static void batch_returned(void *arg);

static void work(void *arg) {
        struct batch *b = arg;
        int64_t start = clock_mono_us();
        (void)commit(b->log, b, &b->err);
        b->took_us = clock_mono_us() - start;
        loop_post(b->log->loop, batch_returned, b);
}

static void worker_stop(void *arg) {
        struct storelog *log = arg;
        timer_free(log->keep_alive);
        loop_stop(log->worker_loop);
}

static void keep_alive(void *arg) { (void)arg; }

static void *worker_main(void *arg) {
        struct storelog *log = arg;
        loop_run(log->worker_loop);
        return NULL;
}

/* Loop side. */

static void send(struct storelog *log) {
        if (log->under_way || !log->gathering)
                return;
        log->under_way = TAKE(log->gathering);
        loop_post(log->worker_loop, work, log->under_way);
}

static void batch_returned(void *arg) {
        struct batch *b = arg;
        struct storelog *log = b->log;

        if (log) { /* else the log was closed meanwhile */
                log->under_way = NULL;
                if (b->err.code == 0)
                        log->revision = b->revision;
                log->done(log->arg, b->revision, b->took_us, b->err.code ? &b->err : NULL);
                send(log);
        }
        batch_free(b);
}

void storelog_append(struct storelog *log, const char *collection, struct object *o, bool is_delete) {
        if (!log->gathering) {
                log->gathering = NEW(struct batch);
                log->gathering->log = log;
        }
        *vec_push(&log->gathering->changes) = (struct change){collection, object_hold(o), is_delete};
        log->gathering->revision = o->revision;
        send(log);
}

void storelog_discard(struct storelog *log) {
        if (log->gathering)
                batch_free(TAKE(log->gathering));
}

uint64_t storelog_revision(const struct storelog *log) { return log->revision; }

int storelog_read(struct storelog *log, const char *collection, int (*row)(void *arg, struct sv json, uint64_t revision, struct err *err),
                  void *arg, struct err *err) {
        sqlite3_stmt *st;
        int code = SQLITE_DONE;
        int r = prepare(log, "SELECT json, revision FROM objects WHERE collection = ? ORDER BY namespace, name", &st, err);
        if (r < 0)
                return r;
        sqlite3_bind_text(st, 1, collection, -1, SQLITE_STATIC);
        while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW)
                r = row(arg, sv_new((const char *)sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)),
                        (uint64_t)sqlite3_column_int64(st, 1), err);
        if (r == 0 && code != SQLITE_DONE)
                r = sqlite_failed(log, code, "reading", err);
        sqlite3_finalize(st);
        return r;
}

static int read_number(struct storelog *log, const char *sql, int64_t *ret, struct err *err) {
        sqlite3_stmt *st;
        int code, r = prepare(log, sql, &st, err);
        if (r < 0)
                return r;
        code = sqlite3_step(st);
        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(st, 0);
        else if (code != SQLITE_DONE)
                r = sqlite_failed(log, code, "reading", err);
        sqlite3_finalize(st);
        return r;
}

/* One bad page is enough to set the file aside: a cluster whose state is partly lost must not look whole. */
static int check(struct storelog *log, struct err *err) {
        sqlite3_stmt *st;
        int code, r = prepare(log, "PRAGMA quick_check(1)", &st, err);
        if (r < 0)
                return r;
        code = sqlite3_step(st);
        if (code != SQLITE_ROW)
                r = sqlite_failed(log, code, "checking", err);
        else if (!streq_null((const char *)sqlite3_column_text(st, 0), "ok"))
                r = err_set(err, -EUCLEAN, "checking %s: %s", log->path, (const char *)sqlite3_column_text(st, 0));
        sqlite3_finalize(st);
        return r;
}

static int open_database(struct storelog *log, struct err *err) {
        int64_t version = 0, revision = 0;
        int r, code,
                fd = open(log->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* SQLite's own files take over the mode: Secrets are inside */

        if (fd < 0)
                return err_errno(err, -errno, "opening the cluster's database %s", log->path);
        close(fd);
        code = sqlite3_open_v2(log->path, &log->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
        if (code != SQLITE_OK)
                return sqlite_failed(log, code, "opening", err);
        sqlite3_busy_timeout(log->db, 2000);
        r = exec(log, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-2048;",
                 "opening", err);
        if (r == 0)
                r = check(log, err);
        if (r == 0)
                r = read_number(log, "PRAGMA user_version", &version, err);
        if (r == 0 && version > SCHEMA_VERSION)
                return err_set(err, -EPROTO, "%s was written by a newer version of this program (format %lld, this one reads %d)",
                               log->path, (long long)version, SCHEMA_VERSION);
        if (r == 0)
                r = exec(log, schema, "creating tables in", err);
        if (r == 0 && version == 0)
                r = exec(log, "PRAGMA user_version=1", "marking", err);
        if (r == 0)
                r = read_number(log, "SELECT value FROM counters WHERE name = 'revision'", &revision, err);
        if (r == 0)
                r = prepare(log, "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", &log->put, err);
        if (r == 0)
                r = prepare(log, "DELETE FROM objects WHERE collection = ? AND namespace = ? AND name = ?", &log->del, err);
        if (r == 0)
                r = prepare(log, "INSERT OR REPLACE INTO counters VALUES ('revision', ?)", &log->count, err);
        log->revision = (uint64_t)revision;
        return r;
}

static void close_database(struct storelog *log) {
        sqlite3_finalize(log->put);
        sqlite3_finalize(log->del);
        sqlite3_finalize(log->count);
        sqlite3_close(log->db);
        log->db = NULL;
}

/* Never deletes: whoever owns the data may want to look into it. */
static int set_aside(struct storelog *log, struct err *err) {
        static const char *const suffixes[] = {"", "-wal", "-shm"};
        char stamp[KTIME_SIZE];
        AUTO(free) char *aside = NULL;

        ktime_format(clock_now_ms(), stamp);
        aside = xasprintf("%s.corrupt-%s", log->path, stamp);
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
                AUTO(free) char *from = xasprintf("%s%s", log->path, suffixes[i]), *to = xasprintf("%s%s", aside, suffixes[i]);
                if (rename(from, to) < 0 && errno != ENOENT)
                        return err_errno(err, -errno, "renaming the damaged database %s to %s", from, to);
        }
        err_wrap(err, -EUCLEAN, "the cluster's database is damaged and was moved to %s", aside);
        err_hint(err, "start again for an empty cluster; what can be saved is in %s", aside);
        return -EUCLEAN;
}

static int start_worker(struct storelog *log, struct err *err) {
        sigset_t all, before;
        int r;

        log->worker_loop = loop_new();
        log->keep_alive = timer_new(log->worker_loop, 1 << 30, 1 << 30, keep_alive, NULL);
        /* Signals belong to the main thread. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&log->thread, NULL, worker_main, log);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
                return err_errno(err, -r, "starting the database's thread");
        log->has_thread = true;
        return 0;
}

int storelog_open(struct loop *l, const char *path, void (*done)(void *arg, uint64_t revision, int64_t took_us, const struct err *err),
                  void *arg, struct storelog **ret, struct err *err) {
        struct storelog *log = NEW(struct storelog);
        AUTO(err) struct err why = ERR_INIT;
        int r;

        log->loop = l;
        log->path = xstrdup(path);
        log->done = done;
        log->arg = arg;
        r = open_database(log, &why);
        if (r == -EUCLEAN) {
                close_database(log);
                r = set_aside(log, &why);
        }
        if (r == 0)
                r = start_worker(log, &why);
        if (r < 0) {
                storelog_close(log);
                return err_move(err, &why);
        }
        *ret = log;
        return 0;
}

void storelog_close(struct storelog *log) {
        if (!log)
                return;
        if (log->has_thread) {
                loop_post(log->worker_loop, worker_stop, log);
                pthread_join(log->thread, NULL);
        } else if (log->worker_loop) {
                timer_free(log->keep_alive);
        }
        if (log->worker_loop)
                loop_free(log->worker_loop);
        if (log->under_way)
                log->under_way->log = NULL; /* its return is in our loop's queue, and frees it */
        if (log->gathering) {
                (void)commit(log, log->gathering, NULL);
                batch_free(log->gathering);
        }
        close_database(log);
        free(log->path);
        free(log);
}
