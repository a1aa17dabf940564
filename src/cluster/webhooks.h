/* Admission webhooks: writes by clients wait for what the webhooks of Mutating- and ValidatingWebhookConfigurations say.
 *
 * The verbs are synchronous (ops.h), a webhook is not. So a write that needs an answer which is not there yet is put off: webhooks_mutate()
 * and webhooks_validate() start the call and return WEBHOOKS_PENDING, the verb unwinds without having changed anything, and when the answer
 * is there the request is served again from its beginning with what is known by now (struct webhook_wait). The object as it was before the
 * first call, with its generated name and uid, is kept and goes on from there; when the stored object has changed meanwhile, all begins
 * anew (at most MAX_RESTARTS times).
 *
 * Mutating webhooks are called one after the other in the order of their configurations' names, then validating ones. Only requests by HTTP
 * for objects and their subresources status, finalize, ephemeralcontainers, resize: what the server's own controllers, scheduler and pod
 * runtime write is not shown to webhooks.
 */
#ifndef FIRESTEEL_CLUSTER_WEBHOOKS_H
#define FIRESTEEL_CLUSTER_WEBHOOKS_H

#include "cluster/admission.h"

struct http_exchange;
struct request;
struct webhook_wait;

enum { WEBHOOKS_PENDING = -EINPROGRESS };

/* Edits the draft; d->root may be another value afterwards. WEBHOOKS_PENDING is no failure: unwind. */
MUST_USE int webhooks_mutate(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
/* object NULL when deleting: then mutating webhooks are asked, too. */
MUST_USE int webhooks_validate(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err);
/* Before a request is served again: what webhooks warned about. After it was answered. */
void webhooks_resume(struct request *q);
void webhooks_done(struct request *q);

#endif
