#include "submit/logscan.h"

/* The number after `before`, which is searched from the line's `*at`; -1 when it is not there. *at moves behind it. */
static int number_after(struct sv line, const char *before, size_t *at) {
        struct sv rest = sv_new(line.data + *at, line.len - *at);
        ssize_t found = sv_find(rest, sv_of(before));
        if (found < 0)
                return -1;
        size_t i = *at + (size_t)found + strlen(before), start = i;
        int64_t value = 0;
        while (i < line.len && line.data[i] >= '0' && line.data[i] <= '9' && value < INT32_MAX)
                value = value * 10 + (line.data[i++] - '0');
        if (i == start || value >= INT32_MAX)
                return -1;
        *at = i;
        return (int)value;
}

static bool has(struct sv line, const char *text) { return sv_find(line, sv_of(text)) >= 0; }

/* "... DAGScheduler: Submitting 10 missing tasks from ResultStage 0 (...)" */
static bool stage_submitted(struct log_progress *p, struct sv line) {
        size_t at = 0;
        int tasks = number_after(line, "Submitting ", &at);
        int stage = tasks < 0 ? -1 : number_after(line, "Stage ", &at);
        if (stage < 0)
                return false;
        p->stage = stage;
        p->attempt = 0;
        p->tasks = tasks;
        p->tasks_done = 0;
        return true;
}

/* "... TaskSetManager: Finished task 3.0 in stage 0.0 (TID 3) in 12 ms on host (executor 1) (4/10)" */
static bool task_finished(struct log_progress *p, struct sv line) {
        size_t at = 0;
        int stage = number_after(line, " in stage ", &at);
        int attempt = stage < 0 ? -1 : number_after(line, ".", &at);
        ssize_t open = sv_rfind_char(line, '(');
        if (attempt < 0 || open < 0)
                return false;
        size_t from = (size_t)open;
        int done = number_after(line, "(", &from), of = done < 0 ? -1 : number_after(line, "/", &from);
        if (of <= 0 || done > of)
                return false;
        p->stage = stage;
        p->attempt = attempt;
        p->tasks_done = done;
        p->tasks = of;
        return true;
}

bool log_progress_line(struct log_progress *p, struct sv line) {
        if (has(line, "DAGScheduler")) {
                if (has(line, ": Got job ")) {
                        p->jobs_started++;
                        return true;
                }
                if (has(line, " missing tasks from "))
                        return stage_submitted(p, line);
                if (has(line, ") finished in ") && has(line, "Stage ")) {
                        p->stages_done++;
                        return true;
                }
                if (has(line, ": Job ") && (has(line, " finished: ") || has(line, " is finished."))) {
                        /* Both lines are said of a job that ended well; the one with the time comes once. */
                        if (!has(line, " finished: "))
                                return false;
                        p->jobs_done++;
                        return true;
                }
                if (has(line, ": Job ") && has(line, " failed: ")) {
                        p->jobs_failed++;
                        return true;
                }
                return false;
        }
        if (has(line, "TaskSetManager")) {
                if (has(line, ": Finished task "))
                        return task_finished(p, line);
                if (has(line, ": Lost task ")) {
                        p->tasks_lost++;
                        return true;
                }
                return false;
        }
        if (has(line, "SchedulerBackend") && has(line, "Registered executor")) {
                p->executors++;
                return true;
        }
        if (!p->has_context && has(line, "Submitted application: ")) {
                p->has_context = true;
                return true;
        }
        return false;
}
