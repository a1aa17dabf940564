#include "submit/batch.h"

#include <unistd.h>

#include "codec/words.h"
#include "kube/client.h"
#include "submit/gather.h"
#include "submit/submit.h"

struct cluster {
        struct kube_access access;
        struct kube_client *client;
};

static void cluster_free(void *p) {
        struct cluster *c = p;
        kube_client_free(c->client);
        kube_access_done(&c->access);
        free(c);
}

struct batch;

struct batch_job {
        struct batch *batch;
        size_t line;
        struct submit_job job;
        struct submit_options options;
        struct submit_sending *sending; /* NULL: not on its way */
        bool ended;
        struct err err;
};

struct batch {
        const struct batch_options *o;
        struct submission_inputs seen; /* of this machine, once for all */
        struct submit_job_options job_options;
        struct map clusters; /* submit_job_access_key() -> struct cluster */
        VEC(struct batch_job *) jobs; /* in the order of lines; from `told` on */
        size_t told, flying;
        struct batch_counts counts;
        bool woken;
        /* the lines */
        struct str text; /* read, not used yet */
        size_t used;     /* of it */
        size_t line;
        bool at_end;
        bool is_plain;            /* a file, which is always readable */
        bool is_readable;         /* the pipe has something */
        struct fdwatch *watch;    /* only while a line is waited for: a full pipe would keep the loop awake */
        struct spark_version version;
};

static void job_free(struct batch_job *j) {
        submit_job_done(&j->job);
        err_done(&j->err);
        free(j);
}

static void batch_done(struct batch *b) {
        if (b->watch)
                fdwatch_free(b->watch);
        for (size_t i = b->told; i < b->jobs.len; i++)
                job_free(b->jobs.items[i]);
        vec_done(&b->jobs);
        map_done(&b->clusters);
        submission_inputs_done(&b->seen);
        str_done(&b->text);
}
DEFINE_AUTO_VALUE(batch, struct batch, batch_done)

/* ---- lines ---- */

static int read_more(struct batch *b, struct err *err) {
        char piece[64 * 1024];
        ssize_t n;
        do
                n = read(b->o->fd, piece, sizeof(piece));
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n < 0)
                return err_errno(err, -errno, "reading line %zu", b->line + 1);
        if (b->used) {
                memmove(b->text.data, b->text.data + b->used, b->text.len - b->used);
                str_truncate(&b->text, b->text.len - b->used);
                b->used = 0;
        }
        b->at_end = n == 0;
        b->is_readable = false;
        str_append(&b->text, piece, (size_t)n);
        if (str_overflowed(&b->text))
                return err_set(err, -E2BIG, "line %zu has more than %d bytes", b->line + 1, BATCH_LINE_MAX);
        return 0;
}

/* 1: a line; 0: none for now, or none at all (at_end). */
static int next_line(struct batch *b, struct sv *ret, struct err *err) {
        for (;;) {
                struct sv rest = sv_new(b->text.data ? b->text.data + b->used : "", b->text.len - b->used);
                const char *end = memchr(rest.data, '\n', rest.len);
                if (end || (b->at_end && rest.len)) {
                        size_t len = end ? (size_t)(end - rest.data) : rest.len;
                        *ret = sv_new(rest.data, len);
                        b->used += len + (end != NULL);
                        b->line++;
                        return 1;
                }
                if (b->at_end || !(b->is_plain || b->is_readable))
                        return 0;
                int r = read_more(b, err);
                if (r < 0)
                        return r;
        }
}

/* ---- one job ---- */

static size_t max_in_flight(const struct batch *b) { return (size_t)(b->o->in_flight ? b->o->in_flight : BATCH_IN_FLIGHT); }

static int find_cluster(struct batch *b, struct batch_job *j, struct cluster **ret, struct err *err) {
        AUTO(free) char *key = submit_job_access_key(&j->job);
        struct cluster *c = map_get(&b->clusters, key);
        if (!c) {
                if (b->clusters.len >= BATCH_CLUSTERS_MAX)
                        return err_set(err, -E2BIG, "a batch goes to at most %d clusters, namespaces and identities", BATCH_CLUSTERS_MAX);
                c = NEW(struct cluster);
                int r = submit_job_access(&j->job, &b->job_options, &c->access, err);
                if (r >= 0)
                        r = kube_client_new(b->o->loop, &(struct kube_client_options){.access = &c->access, .max_idle = max_in_flight(b)},
                                            &c->client, err);
                if (r < 0) {
                        cluster_free(c);
                        return r;
                }
                map_set(&b->clusters, key, c);
        }
        *ret = c;
        return 0;
}

/* A line may begin with the program's name, as scripts have it. */
static size_t skip_program(const struct strv *words) {
        if (words->len == 0)
                return 0;
        const char *slash = strrchr(words->items[0], '/'), *name = slash ? slash + 1 : words->items[0];
        if (streq(name, "spark-submit"))
                return 1;
        return streq(name, "firesteel") && words->len > 1 && streq(words->items[1], "submit") ? 2 : 0;
}

static int read_arguments(struct batch *b, struct batch_job *j, const struct strv *words, struct err *err) {
        AUTO(strv) struct strv all = {0};
        for (size_t i = 0; i < b->o->common->len; i++)
                strv_add(&all, b->o->common->items[i]);
        for (size_t i = skip_program(words); i < words->len; i++)
                strv_add(&all, words->items[i]);
        int r = submit_job_begin(&j->job, &b->job_options, &b->seen, err);
        if (r >= 0)
                r = submit_args_parse(&j->job.args, (int)all.len, all.items, err);
        if (r >= 0 && j->job.args.action != SUBMIT_ACTION_SUBMIT)
                r = err_set(err, -EINVAL, "a batch only submits: --kill, --status, --help and --version have no place in it");
        if (r >= 0)
                r = submit_job_finish(&j->job, &b->job_options, err);
        const char *mode = j->job.args.values[SUBMIT_DEPLOY_MODE];
        if (r >= 0 && mode && !streq(mode, "cluster"))
                r = err_set(err, -EINVAL, "a batch submits in cluster mode only; a driver in %s mode is started by itself", mode);
        return r;
}

static void on_sent(void *arg, yyjson_doc **pod, const struct err *err) {
        struct batch_job *j = arg;
        j->sending = NULL;
        j->ended = true;
        j->batch->flying--;
        j->batch->woken = true;
        if (err)
                err_copy(&j->err, err);
}

static void on_say(void *arg, const char *line) {
        struct batch_job *j = arg;
        if (!str_starts(line, "Uploading file"))
                j->batch->o->on_warning(j->batch->o->arg, j->line, line);
}

static int start(struct batch *b, struct batch_job *j, const struct strv *words, struct err *err) {
        struct cluster *c = NULL;
        int r = read_arguments(b, j, words, err);
        if (r >= 0)
                r = find_cluster(b, j, &c, err);
        if (r >= 0)
                r = submit_job_aim(&j->job, &c->access, err);
        if (r >= 0)
                r = submit_job_build(&j->job, err);
        for (size_t i = 0; i < j->job.warnings.len; i++)
                b->o->on_warning(b->o->arg, j->line, j->job.warnings.items[i]);
        if (r < 0)
                return r;
        j->options = (struct submit_options){.client = c->client, .conf = &j->job.conf, .in = &j->job.in, .say = on_say, .arg = j};
        r = submit_upload(&j->options, j->job.s, err);
        if (r < 0)
                return r;
        b->flying++;
        j->sending = submit_send(&j->options, j->job.s, on_sent, j);
        return 0;
}

static void take_line(struct batch *b, struct sv line) {
        AUTO(strv) struct strv words = {0};
        AUTO(err) struct err err = ERR_INIT;
        int r = words_split(line, &words, &err);
        if (r >= 0 && words.len == 0)
                return;
        struct batch_job *j = NEW(struct batch_job);
        j->batch = b;
        j->line = b->line;
        submit_job_init(&j->job);
        *vec_push(&b->jobs) = j;
        if (r >= 0)
                r = start(b, j, &words, &err);
        if (r < 0) {
                j->ended = true;
                err_move(&j->err, &err);
        }
}

/* ---- results ---- */

static void tell(struct batch *b, struct batch_job *j) {
        bool failed = j->err.code != 0;
        const struct submission *s = j->job.s;
        if (failed && s) /* nobody will use what was uploaded for it */
                submit_forget_uploads(&j->options, s);
        struct batch_result r = {.line = j->line, .err = failed ? &j->err : NULL};
        if (s) {
                r.app_id = s->app_id;
                r.app_name = s->app_name;
                r.namespace_ = s->namespace_;
                r.pod = s->pod_name;
                r.submission_id = s->submission_id;
        }
        *(failed ? &b->counts.failed : &b->counts.submitted) += 1;
        b->o->on_result(b->o->arg, &r);
}

static void tell_ended(struct batch *b) {
        while (b->told < b->jobs.len && b->jobs.items[b->told]->ended) {
                tell(b, b->jobs.items[b->told]);
                job_free(b->jobs.items[b->told++]);
        }
        if (b->told == b->jobs.len || b->told >= BATCH_WINDOW) {
                if (b->told < b->jobs.len)
                        memmove(b->jobs.items, b->jobs.items + b->told, (b->jobs.len - b->told) * sizeof(*b->jobs.items));
                b->jobs.len -= b->told;
                b->told = 0;
        }
}

/* A failure counts at once, also while an earlier line is still on its way. */
static bool any_failed(const struct batch *b) {
        if (b->counts.failed)
                return true;
        for (size_t i = b->told; i < b->jobs.len; i++)
                if (b->jobs.items[i]->err.code)
                        return true;
        return false;
}

/* ---- the whole ---- */

static void on_readable(void *arg) {
        struct batch *b = arg;
        b->is_readable = b->woken = true;
        fdwatch_free(b->watch);
        b->watch = NULL;
}

static bool has_room(const struct batch *b) {
        return !b->counts.stopped && b->flying < max_in_flight(b) && b->jobs.len - b->told < BATCH_WINDOW;
}

static int start_jobs(struct batch *b, struct err *err) {
        struct sv line;
        int r = 1;
        while (has_room(b) && (r = next_line(b, &line, err)) > 0) {
                take_line(b, line);
                if ((b->o->fail_fast && any_failed(b)) || *b->o->interrupted)
                        b->counts.stopped = true;
                if (b->told < b->jobs.len && b->jobs.items[b->told]->ended)
                        tell_ended(b);
        }
        if (r == 0 && !b->at_end && !b->watch && !b->is_plain) {
                b->watch = fdwatch_new(b->o->loop, b->o->fd, on_readable, b);
                b->is_plain = !b->watch;
                b->woken = b->woken || b->is_plain;
        }
        return r < 0 ? r : 0;
}

static void interrupt(struct batch *b) {
        b->counts.stopped = true;
        for (size_t i = b->told; i < b->jobs.len; i++)
                if (b->jobs.items[i]->sending)
                        submit_send_interrupt(b->jobs.items[i]->sending);
}

static int look_once(struct batch *b, struct err *err) {
        bool known = false;
        int r = gather_base(&b->seen, err);
        if (r >= 0)
                r = gather_spark_env(&b->seen, err);
        if (r >= 0 && !b->job_options.spark_version)
                r = gather_version(&b->seen, NULL, &b->version, &known, err);
        if (r >= 0 && known) /* by the environment, whatever the line says */
                b->job_options.spark_version = b->version.number;
        return r;
}

static bool is_over(const struct batch *b) {
        return b->told == b->jobs.len && (b->counts.stopped || (b->at_end && b->used == b->text.len));
}

int batch_run(const struct batch_options *o, struct batch_counts *ret, struct err *err) {
        AUTO(batch) struct batch b = {.o = o, .job_options = o->job, .clusters = MAP_INIT(cluster_free), .text = STR_INIT(BATCH_LINE_MAX)};
        AUTO(err) struct err why = ERR_INIT;
        submission_inputs_init(&b.seen);
        int r = look_once(&b, err);
        if (r < 0)
                return r;
        for (;;) {
                b.woken = false;
                if (r >= 0)
                        r = start_jobs(&b, &why);
                if (r < 0)
                        b.counts.stopped = true;
                tell_ended(&b);
                if (is_over(&b))
                        break;
                if (!b.woken)
                        loop_run_until(o->loop, &b.woken);
                if (*o->interrupted)
                        interrupt(&b);
        }
        *ret = b.counts;
        return r < 0 ? err_move(err, &why) : 0;
}
