/* Who asks: client certificates, service account tokens, the static administrator's token, impersonation. */
#ifndef FIRESTEEL_CLUSTER_AUTHN_H
#define FIRESTEEL_CLUSTER_AUTHN_H

#include "cluster/server-internal.h"

void user_done(struct user *u);
DEFINE_AUTO_VALUE(user, struct user, user_done)
/* Fills `ret`; without credentials it is system:anonymous. -EACCES with 401 for a bad token, 403 for impersonation that is not allowed. */
MUST_USE int authenticate(struct apiserver *s, const struct http_request *request, struct user *ret, struct err *err);
/* A bearer token alone, for TokenReview. audiences NULL: the API server's. The audiences that matched are added to ret_audiences. */
MUST_USE int authenticate_token(struct apiserver *s, struct sv token, const struct strv *audiences, struct user *ret,
                                struct strv *ret_audiences, struct err *err);

#endif
