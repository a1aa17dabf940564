/* Admission webhooks without I/O: which requests a webhook is asked about, what it is asked, and what its answer says.
 *
 * Rules: k8s.io/apiserver/pkg/admission/plugin/webhook (rules, namespace and object predicates, request) of 1.34. matchConditions (CEL) are
 * not evaluated: the webhook is asked about more than it wanted, never about less. Answers are a peer's: parsed strictly, sizes bounded by
 * the caller.
 */
#ifndef FIRESTEEL_CLUSTER_WEBHOOK_REVIEW_H
#define FIRESTEEL_CLUSTER_WEBHOOK_REVIEW_H

#include "cluster/admission.h"

enum { WEBHOOK_MAX_WARNING_BYTES = 4096, WEBHOOK_MAX_WARNINGS = 64, WEBHOOK_MAX_EQUIVALENTS = 8 };

/* What a request is about. All borrowed. */
struct webhook_subject {
        const struct resource *res;
        const struct resource *equivalents[WEBHOOK_MAX_EQUIVALENTS + 1]; /* other versions of it that are served, then NULL */
        const char *subresource;                    /* NULL: the main resource */
        const char *ns, *name;                      /* "" where there is none */
        enum admission_op what;
        yyjson_val *object, *old; /* NULL where there is none */
        yyjson_val *ns_labels;    /* of its namespace, or of itself when it is one */
        const struct user *user;
        const char *manager;
        bool dry_run;
};

/* The resource as which the webhook wants to see it: `res`, an equivalent (matchPolicy Equivalent), or NULL: not at all. */
const struct resource *webhook_wants(yyjson_val *webhook, const struct webhook_subject *u);
/* The AdmissionReview. `as` is what webhook_wants() returned. */
void webhook_review_write(yyjson_val *webhook, const struct webhook_subject *u, const struct resource *as, const char *uid,
                          struct str *out);

struct webhook_answer {
        bool allowed;
        int code;              /* of a refusal; >= 400 */
        char *reason, *message; /* of a refusal: the webhook's own; NULL: none */
        yyjson_doc *patch;     /* a JSON patch, or NULL */
        struct strv warnings;
};
void webhook_answer_done(struct webhook_answer *a);
DEFINE_AUTO_VALUE(webhook_answer, struct webhook_answer, webhook_answer_done)
/* may_patch: a mutating webhook. */
MUST_USE int webhook_answer_parse(struct sv body, const char *uid, bool may_patch, struct webhook_answer *ret, struct err *err);
/* The refusal as the client gets it. */
int webhook_refusal(const char *name, const struct webhook_answer *a, struct err *err);

#endif
