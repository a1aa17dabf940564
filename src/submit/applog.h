/* The logs of an application's pods: the driver's, some executors', or all at once, each line with where it comes from.
 * Followed, executors that start later join in, and it ends when the driver has ended and everything was read. */
#ifndef FIRESTEEL_SUBMIT_APPLOG_H
#define FIRESTEEL_SUBMIT_APPLOG_H

#include "kube/client.h"

struct applog_options {
        struct kube_client *client;
        const char *namespace_, *app_id;
        bool driver;
        bool all_executors;
        const struct strv *executor_ids; /* "3", or NULL */
        const char *container;           /* NULL = Spark's own */
        bool follow, previous, timestamps;
        int64_t tail_lines;              /* < 0: all */
        int64_t since_seconds;           /* 0 = from the beginning */
        /* source is "driver" or "exec-3"; number counts sources from 0 in the order of appearance, for colours. */
        void (*on_line)(void *arg, const char *source, int number, struct sv line);
        void (*on_note)(void *arg, const char *source, const char *note);
        void *arg;
};

/* Runs the loop. Returns how many pods were read; -EINTR when the loop was stopped (Ctrl-C); the first pod's error when
 * none could be read. */
MUST_USE int applog_run(const struct applog_options *o, struct err *err);

#endif
