/* Service account tokens: JSON web tokens signed with the cluster's own key (ES256 or RS256), as TokenRequest makes them.
 *
 * Claims are Kubernetes': iss, aud, sub, exp, iat, nbf, jti and kubernetes.io {namespace, serviceaccount, pod | secret}. A token is good
 * while its service account, and the pod it is bound to, exist with the same uid; that is for the caller to check.
 */
#ifndef FIRESTEEL_CLUSTER_TOKEN_H
#define FIRESTEEL_CLUSTER_TOKEN_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

enum { TOKEN_MAX_BYTES = 16 * 1024, TOKEN_MIN_LIFETIME_S = 600, TOKEN_DEFAULT_LIFETIME_S = 3600, TOKEN_MAX_LIFETIME_S = 315360000 };

struct tokens;

/* key_pem empty: a key is made. issuer NULL: https://kubernetes.default.svc.cluster.local, which is the default audience as well. */
MUST_USE int tokens_new(struct sv key_pem, const char *issuer, struct tokens **ret, struct err *err);
void tokens_free(struct tokens *t);
MUST_USE int tokens_make_key(char **ret_pem, struct err *err);
const char *tokens_issuer(const struct tokens *t);
/* {"keys":[...]} for /openid/v1/jwks. */
void tokens_jwks(const struct tokens *t, struct str *out);

struct token_request {
        const char *ns, *account, *account_uid;
        const char *const *audiences; /* NULL-terminated; NULL: the issuer */
        int64_t lifetime_s;           /* 0 = an hour; at least ten minutes are given */
        const char *bound_kind, *bound_name, *bound_uid; /* "Pod" or "Secret", or NULL */
};
MUST_USE int tokens_issue(struct tokens *t, const struct token_request *r, char **ret_token, int64_t *ret_expires_s, struct err *err);

struct token_claims {
        char *ns, *account, *account_uid;
        char *pod, *pod_uid; /* NULL when not bound */
        char *secret, *secret_uid;
        char *id;            /* jti */
        struct strv audiences;
        int64_t expires_s;
};
void token_claims_done(struct token_claims *c);
DEFINE_AUTO_VALUE(token_claims, struct token_claims, token_claims_done)
/* -EACCES for a bad signature, an expired token, another issuer; -EINVAL for what is no token. */
MUST_USE int tokens_verify(struct tokens *t, struct sv token, int64_t now_s, struct token_claims *ret, struct err *err);

#endif
