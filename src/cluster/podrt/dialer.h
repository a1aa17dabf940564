/* The way out: a tiny helper process that stayed in the host's network namespace and opens connections on request.
 *
 *     dialer_start(&d, err)     // before holder_enter(), while there is one thread
 *     dialer_connect(d, loop, host, port, done, arg)
 *
 * Names are resolved by the helper, as the host resolves them. The helper ends with the server.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_DIALER_H
#define FIRESTEEL_CLUSTER_PODRT_DIALER_H

#include "event/loop.h"

struct dialer;
MUST_USE int dialer_start(struct dialer **ret, struct err *err);
void dialer_free(struct dialer *d);
DEFINE_AUTO_PTR(dialer, struct dialer, dialer_free)
/* done once, never inside the call; the connected descriptor is the callee's. Loop thread only. */
void dialer_connect(struct dialer *d, struct loop *l, const char *host, int port, void (*done)(void *arg, int fd, const struct err *err), void *arg);

#endif
