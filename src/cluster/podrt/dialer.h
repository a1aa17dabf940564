/* The way out: a tiny helper process that stayed in the host's network namespace and opens connections, and ports, on request.
 *
 *     dialer_start(errand, &d, err)     // before holder_enter(), while there is one thread
 *     dialer_connect(d, loop, host, port, done, arg)
 *     dialer_send(d, loop, task, done, arg)
 *
 * Names are resolved by the helper, as the host resolves them. An errand (pulling an image) is a function that runs in a process of its own
 * out there. The helper, and whatever it started, ends with the server.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_DIALER_H
#define FIRESTEEL_CLUSTER_PODRT_DIALER_H

#include "event/loop.h"

struct dialer;
/* What dialer_send() has done out there: 0 and an answer, or negative and err. */
typedef int dialer_errand(struct sv task, struct str *answer, struct err *err);
enum { DIALER_MAX_TASK = 4 << 20, DIALER_MAX_ANSWER = 32 << 10 };
/* errand: may be NULL. */
MUST_USE int dialer_start(dialer_errand *errand, struct dialer **ret, struct err *err);
void dialer_free(struct dialer *d);
DEFINE_AUTO_PTR(dialer, struct dialer, dialer_free)
/* done once, never inside the call; the connected descriptor is the callee's. Loop thread only. */
void dialer_connect(struct dialer *d, struct loop *l, const char *host, int port, void (*done)(void *arg, int fd, const struct err *err),
                    void *arg);
/* A UDP socket of the host that is connected to a numeric address; else as dialer_connect. */
void dialer_udp(struct dialer *d, struct loop *l, const char *address, int port, void (*done)(void *arg, int fd, const struct err *err),
                void *arg);
/* A socket on an address of the host: listening, or of UDP and bound; else as dialer_connect. */
void dialer_listen(struct dialer *d, struct loop *l, bool is_udp, const char *address, int port,
                   void (*done)(void *arg, int fd, const struct err *err), void *arg);

struct dialer_task;
/* Runs the errand on a task (at most DIALER_MAX_TASK bytes); done once, never inside the call. Loop thread only. */
struct dialer_task *dialer_send(struct dialer *d, struct loop *l, struct sv task,
                                void (*done)(void *arg, struct sv answer, const struct err *err), void *arg);
/* Kills the process that is at it; done is not called. Only before done was called. */
void dialer_cancel(struct dialer_task *t);

#endif
