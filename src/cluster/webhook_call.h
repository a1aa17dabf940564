/* One call of an admission webhook: from its clientConfig to the bytes that it answers.
 *
 * A `url` is reached as this machine reaches it, a `service` through one of its pods that is ready (or, without a selector, an address of
 * its EndpointSlices). TLS is verified against caBundle (empty: the system's authorities) and the name called. Each call is a connection of
 * its own: pods come and go.
 */
#ifndef FIRESTEEL_CLUSTER_WEBHOOK_CALL_H
#define FIRESTEEL_CLUSTER_WEBHOOK_CALL_H

#include "cluster/server-internal.h"

struct webhook_call;
/* done once, never from within: the body of an answer 200, or err. All arguments are copied. */
MUST_USE int webhook_call_start(struct apiserver *s, yyjson_val *webhook, struct sv review, int64_t timeout_ms,
                                void (*done)(void *arg, struct sv body, const struct err *err), void *arg, struct webhook_call **ret,
                                struct err *err);
/* Gives it up; done is not called. Also after done, which does not free it. */
void webhook_call_free(struct webhook_call *c);
DEFINE_AUTO_PTR(webhook_call, struct webhook_call, webhook_call_free)

#endif
