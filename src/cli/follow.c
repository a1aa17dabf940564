#include "cli/follow.h"

#include "cli/exit.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "codec/ktime.h"
#include "submit/wait.h"
#include "submit/why.h"

enum { SHOWN_FINDINGS = 2, SHOWN_FIXES = 3, SHOWN_LINES = 15 };
/* How long a pod may be unschedulable before it is worth a word: Spark creates an executor's claims after its pod. */
enum { UNSCHEDULABLE_MS = 2000 };

/* A pod, or one of several, that waits. */
struct waits {
        char *said;       /* the last reason that was told */
        int64_t since_ms; /* unschedulable since then; -1: it is not */
};

struct following {
        const struct follow_options *o;
        struct progress *progress;
        char *step; /* what the current step is called; NULL before the first */
        bool is_running;
        struct waits driver, executor;
};

static void set_step(struct following *f, const char *text) {
        if (f->step && streq(f->step, text))
                return;
        free(f->step);
        f->step = xstrdup(text);
        progress_step(f->progress, "%s", text);
}

/* Without a terminal nobody sees the line that changes: what will not go away by itself is said once. */
static void note_waiting(struct following *f, struct waits *w, int64_t now_ms, const char *reason, const char *message) {
        static const char *const passing[] = {"ContainerCreating", "PodInitializing", "Pending", "Scheduled", NULL};
        bool is_unschedulable = streq_null(reason, "Unschedulable");
        if (!is_unschedulable)
                w->since_ms = -1;
        else if (w->since_ms < 0)
                w->since_ms = now_ms;
        if (!reason || str_is_one_of(reason, passing) || (is_unschedulable && now_ms - w->since_ms < UNSCHEDULABLE_MS))
                return;
        /* ErrImagePull and ImagePullBackOff take turns. */
        if (f->o->quiet || terminal_of(2)->is_tty || !message || streq_null(w->said, reason) ||
            (w->said && str_starts(reason, "ImagePull")))
                return;
        free(w->said);
        w->said = xstrdup(reason);
        progress_hide(f->progress);
        fprintf(stderr, "  %s waits: %s: %s\n", w == &f->driver ? "the driver" : "an executor", reason, message);
}

static void running_text(const struct wait_state *s, struct str *out) {
        str_appendf(out, "%d executor%s", s->executors_running, s->executors_running == 1 ? "" : "s");
        if (s->executors_pending)
                str_appendf(out, ", %d pending%s%s%s", s->executors_pending, s->executor_message ? " (" : "",
                            s->executor_message ? s->executor_message : "", s->executor_message ? ")" : "");
        if (s->executors_failed)
                str_appendf(out, ", %d failed", s->executors_failed);
        const struct log_progress *p = &s->progress;
        if (p->jobs_started)
                str_appendf(out, "; job %d", p->jobs_started);
        if (p->stage >= 0)
                str_appendf(out, ", stage %d", p->stage);
        if (p->tasks_lost)
                str_appendf(out, ", %d failed tasks", p->tasks_lost);
        if (!s->is_connected)
                str_append_s(out, "; reconnecting");
}

static void on_state(void *arg, const struct wait_state *s) {
        struct following *f = arg;
        if (streq(s->phase, "Pending")) {
                set_step(f, "Starting the driver");
                note_waiting(f, &f->driver, s->elapsed_ms, s->reason, s->message);
                progress_update(f->progress, "%s%s%s", s->reason ? s->reason : "", s->message ? ": " : "", s->message ? s->message : "");
                return;
        }
        if (!f->is_running) {
                f->is_running = true;
                if (f->step)
                        progress_done(f->progress, "Driver started");
        }
        if (!streq(s->phase, "Running"))
                return;
        note_waiting(f, &f->executor, s->elapsed_ms, s->executor_reason, s->executor_message);
        AUTO(str) struct str text = STR_INIT(0);
        running_text(s, &text);
        set_step(f, "Running");
        if (s->progress.tasks > 0)
                progress_bar(f->progress, s->progress.tasks_done, s->progress.tasks, "%s", str_cstr(&text));
        else
                progress_update(f->progress, "%s", str_cstr(&text));
}

static void on_log(void *arg, struct sv line) {
        struct following *f = arg;
        progress_hide(f->progress);
        fwrite(line.data, 1, line.len, stdout);
        putchar('\n');
        fflush(stdout); /* also for a program that reads: a line is worth most when it is new */
}

static void print_finding(const struct doctor_finding *finding, FILE *out) {
        const struct doctor_rule *rule = finding->rule;
        fprintf(out, "  %s%s%s [%s, %s]\n", style_begin(fileno(out), STYLE_BOLD), rule->title, style_end(fileno(out)), rule->id,
                doctor_severity_name(rule->severity));
        if (finding->evidence)
                fprintf(out, "    seen    %.300s\n", finding->evidence);
        fprintf(out, "    cause   %s\n", rule->cause);
        for (int i = 0; rule->fixes[i] && i < SHOWN_FIXES; i++)
                fprintf(out, "    %s%s\n", i ? "        " : "fix     ", rule->fixes[i]);
}

void follow_print_why(const struct why *w, bool with_log_lines, FILE *out) {
        if (with_log_lines && w->log.len > 0) {
                size_t from = w->log.len > SHOWN_LINES ? w->log.len - SHOWN_LINES : 0;
                fprintf(out, "Last lines of its log:\n");
                for (size_t i = from; i < w->log.len; i++)
                        fprintf(out, "  %s%s%s\n", style_begin(fileno(out), STYLE_DIM), w->log.items[i], style_end(fileno(out)));
        }
        if (w->last_error)
                fprintf(out, "Error in its log:\n  %s\n", w->last_error);
        if (w->event)
                fprintf(out, "Kubernetes says:\n  %s\n", w->event);
        if (w->findings.len > 0)
                fprintf(out, "%s\n", w->findings.len == 1 ? "Probable cause:" : "Probable causes:");
        for (size_t i = 0; i < w->findings.len && i < SHOWN_FINDINGS; i++)
                print_finding(&w->findings.items[i], out);
}

static void outcome_text(const struct wait_result *r, struct str *out) {
        if (r->exit_code > 0)
                str_appendf(out, ", driver exit code %d", r->exit_code);
        if (r->reason && !streq(r->reason, "Error") && !streq(r->reason, "Completed"))
                str_appendf(out, ", %s", r->reason);
        if (r->message)
                str_appendf(out, " (%s)", r->message);
}

static int tell_failure(struct following *f, const struct wait_result *result, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        outcome_text(result, &text);
        progress_fail(f->progress, "%s failed%s", f->o->app_name, str_cstr(&text));
        if (result->pod) {
                AUTO(why) struct why why = {0};
                int r = why_of_pod(f->o->client, yyjson_doc_get_root(result->pod), &why, err);
                if (r < 0)
                        return r;
                if (why.log.len == 0) { /* the pod is gone, but what it said was heard */
                        vec_foreach(line, &result->last_log) {
                                strv_add(&why.log, *line);
                        }
                }
                follow_print_why(&why, !f->o->with_log, stderr);
        }
        fprintf(stderr, "The whole log: firesteel logs %s:%s\n", f->o->namespace_, f->o->pod);
        return f->o->driver_exit_code && result->exit_code > 0 ? result->exit_code : EXIT_FAILED;
}

static int tell(struct following *f, const struct wait_result *result, struct err *err) {
        const struct follow_options *o = f->o;
        switch (result->outcome) {
        case WAIT_SUCCEEDED:
                progress_done(f->progress, "%s succeeded", o->app_name);
                return EXIT_OK;
        case WAIT_FAILED: return tell_failure(f, result, err);
        case WAIT_DELETED:
                progress_fail(f->progress, "%s was killed: its driver pod %s:%s is gone", o->app_name, o->namespace_, o->pod);
                return EXIT_FAILED;
        case WAIT_TIMED_OUT:
                progress_hide(f->progress);
                fprintf(stderr, "The time is up; %s goes on running.\n", o->app_name);
                break;
        case WAIT_INTERRUPTED:
                progress_hide(f->progress);
                fprintf(stderr, "\n%s goes on running.\n", o->app_name);
                break;
        }
        fprintf(stderr, "  follow it: firesteel logs -f %s:%s\n  kill it:   firesteel kill %s:%s\n", o->namespace_, o->pod, o->namespace_,
                o->pod);
        return result->outcome == WAIT_TIMED_OUT ? EXIT_TIMED_OUT : EXIT_INTERRUPTED;
}

int follow_app(const struct follow_options *o, struct err *err) {
        AUTO(progress) struct progress *progress = progress_new(o->quiet);
        struct following f = {.o = o, .progress = progress};
        AUTO(wait_result) struct wait_result result = {0};
        int r = wait_for_app(&(struct wait_options){
                .client = o->client,
                .namespace_ = o->namespace_,
                .pod = o->pod,
                .app_id = o->app_id,
                .app_name = o->app_name,
                .report_interval_ms = o->report_interval_ms,
                .timeout_ms = o->timeout_ms,
                .interrupted = o->interrupted,
                .on_state = on_state,
                .on_log = o->with_log ? on_log : NULL,
                .arg = &f,
        }, &result, err);
        if (r >= 0)
                r = tell(&f, &result, err);
        free(f.step);
        free(f.driver.said);
        free(f.executor.said);
        return r;
}
