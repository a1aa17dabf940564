/* What a Spark driver's log says about progress: jobs, stages and tasks, from the lines of DAGScheduler and TaskSetManager (and
 * executors from the scheduler backend's). Line by line, bounded, the same for Spark 3.5 and 4.1; lines of other kinds are ignored. */
#ifndef FIRESTEEL_SUBMIT_LOGSCAN_H
#define FIRESTEEL_SUBMIT_LOGSCAN_H

#include "base/str.h"

struct log_progress {
        int jobs_started, jobs_done, jobs_failed;
        int stages_done;
        int stage;           /* the one that spoke last; -1 = none yet */
        int attempt;
        int tasks_done, tasks; /* of it */
        int tasks_lost;      /* in all */
        int executors;       /* registered by the log */
        bool has_context;    /* SparkContext is up */
};
#define LOG_PROGRESS_INIT ((struct log_progress){.stage = -1})

/* True when the line changed anything. */
bool log_progress_line(struct log_progress *p, struct sv line);

#endif
