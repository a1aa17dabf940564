/* Many submissions from one process: one line a job, several on their way at a time, over connections that are kept.
 *
 * A line is spark-submit's command line as shell words (codec/words.h), with or without the program's name in front; empty lines and
 * comments are left out. What is wrong with one line is its result, and the others go on. Results come in the order of the lines. Nothing
 * is waited for but the creation of the objects. Memory does not grow with the number of lines: at most BATCH_WINDOW jobs exist at a time.
 */
#ifndef FIRESTEEL_SUBMIT_BATCH_H
#define FIRESTEEL_SUBMIT_BATCH_H

#include "event/loop.h"
#include "submit/job.h"

enum {
        BATCH_LINE_MAX = 1024 * 1024,
        BATCH_IN_FLIGHT = 8, /* by default */
        BATCH_IN_FLIGHT_MAX = 256,
        BATCH_WINDOW = 1024, /* jobs that are on their way or wait for an earlier one to be told */
        BATCH_CLUSTERS_MAX = 64,
};

struct batch_result {
        size_t line; /* from 1 */
        const char *app_id, *app_name, *namespace_, *pod, *submission_id; /* NULL when it failed before they were known */
        const struct err *err; /* NULL: submitted */
};

struct batch_options {
        struct loop *loop;
        int fd;                    /* where the lines come from */
        const struct strv *common; /* words in front of every line's; a line's own win */
        struct submit_job_options job;
        int in_flight;             /* 0 = BATCH_IN_FLIGHT */
        bool fail_fast;            /* no new job after the first failure */
        const bool *interrupted;   /* true: the loop was stopped on purpose */
        void (*on_result)(void *arg, const struct batch_result *r);
        void (*on_warning)(void *arg, size_t line, const char *text);
        void *arg;
};

struct batch_counts {
        size_t submitted, failed;
        bool stopped; /* lines were left out: fail_fast, or an interrupt */
};

/* Fails only when lines cannot be read; what was submitted by then is counted. */
MUST_USE int batch_run(const struct batch_options *o, struct batch_counts *ret, struct err *err);

#endif
