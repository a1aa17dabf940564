/* The log of one container, line by line, followed through broken connections and container restarts.
 *
 * Following asks the server for time stamps (and takes them off again, unless they are wanted): after a break it resumes at
 * the last one and drops the lines that were already handed out, so none is lost and none comes twice. A container that has not
 * started yet is waited for. Following ends when the pod has ended or is gone. Lines longer than PODLOG_MAX_LINE come in pieces. */
#ifndef FIRESTEEL_KUBE_PODLOG_H
#define FIRESTEEL_KUBE_PODLOG_H

#include "kube/verbs.h"

enum { PODLOG_MAX_LINE = 1024 * 1024 };

struct podlog_options {
        const char *namespace_, *pod;
        const char *container;   /* NULL: the pod's only one, or its default */
        bool follow;
        bool previous;           /* of the container's previous run */
        bool timestamps;         /* leave them on the lines */
        int64_t tail_lines;      /* < 0: all */
        int64_t since_seconds;   /* 0 = from the beginning */
        void (*on_line)(void *arg, struct sv line); /* without the newline */
        /* What holds the log up: waiting for the container, a broken connection. May be NULL. */
        void (*on_note)(void *arg, const char *note);
        /* Once; err NULL: the log is complete. */
        void (*on_end)(void *arg, const struct err *err);
        void *arg;
};
#define PODLOG_OPTIONS ((struct podlog_options){.tail_lines = -1})

struct podlog;
struct podlog *podlog_start(struct kube_client *c, const struct podlog_options *o);
/* No callback after this; also allowed in a callback. */
void podlog_free(struct podlog *p);
DEFINE_AUTO_PTR(podlog, struct podlog, podlog_free)

#endif
