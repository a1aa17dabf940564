/* Who a client says it is, kept fresh: static tokens and certificates, token files that are replaced under us,
 * exec plugins whose answers expire.
 *
 * One plugin runs at a time; those who ask meanwhile wait for the same answer. An answer with an expiry is used until
 * shortly before it, one without until the server answers 401. Loop thread only; a token file (one page of a
 * projected volume) is read on it.
 * Rules: client.authentication.k8s.io/v1, v1beta1; client-go's exec plugin authenticator. */
#ifndef FIRESTEEL_KUBE_CREDENTIALS_H
#define FIRESTEEL_KUBE_CREDENTIALS_H

#include "event/loop.h"
#include "kube/access.h"

enum {
        KUBE_TOKEN_FILE_PERIOD_MS = 60 * 1000,
        KUBE_EXEC_MAX_OUTPUT = 1024 * 1024,
        KUBE_EXEC_EARLY_MS = 5 * 1000, /* an answer is replaced this long before it expires */
};

struct kube_credentials;

/* `a` is borrowed and must live longer. */
struct kube_credentials *kube_credentials_new(struct loop *l, const struct kube_access *a);
void kube_credentials_free(struct kube_credentials *c);
DEFINE_AUTO_PTR(kube_credentials, struct kube_credentials, kube_credentials_free)

/* Calls done(arg, NULL) once the credentials can be used, or with the reason why not; perhaps before it returns.
 * `refresh`: those we have were refused, get others. */
void kube_credentials_get(struct kube_credentials *c, bool refresh, void (*done)(void *arg, const struct err *err), void *arg);
/* Takes back a request made with this arg. */
void kube_credentials_forget(struct kube_credentials *c, void *arg);
/* Can a refused credential be replaced by another? */
bool kube_credentials_can_refresh(const struct kube_credentials *c);
/* The Authorization header's value, or NULL. */
const char *kube_credentials_authorization(const struct kube_credentials *c);
/* The client certificate in use; empty when there is none. */
struct sv kube_credentials_cert(const struct kube_credentials *c);
struct sv kube_credentials_key(const struct kube_credentials *c);
/* Grows when the certificate changes: connections made before belong to another one. */
unsigned kube_credentials_generation(const struct kube_credentials *c);

#endif
