/* A command in a container (exec) or the container's own process (attach), over a WebSocket (v5.channel.k8s.io).
 *
 * on_exit is called once and last: with err NULL and the command's exit code, or with the reason why it did not run or why
 * the connection broke. Loop thread only. Needs Kubernetes 1.29 or later (or `firesteel local`). */
#ifndef FIRESTEEL_KUBE_PODEXEC_H
#define FIRESTEEL_KUBE_PODEXEC_H

#include "kube/client.h"

enum { PODEXEC_MAX_MESSAGE = 1024 * 1024 };

struct podexec_options {
        const char *namespace_, *pod;
        const char *container;   /* NULL: the pod's default */
        const char *const *argv; /* NULL-terminated; NULL: attach */
        bool has_stdin, tty;
        void (*on_ready)(void *arg); /* connected: input is taken from now on; may be NULL */
        void (*on_output)(void *arg, bool is_stderr, struct sv data);
        void (*on_drain)(void *arg); /* what was written went out; may be NULL */
        void (*on_exit)(void *arg, int exit_code, const struct err *err);
        void *arg;
};
struct podexec;
struct podexec *podexec_start(struct kube_client *c, const struct podexec_options *o);
void podexec_write(struct podexec *p, struct sv data);
size_t podexec_pending(const struct podexec *p);
void podexec_close_stdin(struct podexec *p);
void podexec_resize(struct podexec *p, int columns, int rows);
/* Also in a callback; no callback after it. */
void podexec_free(struct podexec *p);
DEFINE_AUTO_PTR(podexec, struct podexec, podexec_free)

#endif
