/* Who one is to a registry: credentials from pull secrets and Docker's configuration, and what a registry asks for.
 *
 *     {"auths": {"quay.io": {"auth": "BASE64"}, "https://index.docker.io/v1/": {...}}, "credHelpers": {...}, "credsStore": "..."}
 *
 * is config.json and a secret of type kubernetes.io/dockerconfigjson; kubernetes.io/dockercfg is the object inside "auths". Matching is the
 * kubelet's: host (each part may have `*`), port when told, and the longest path prefix wins.
 */
#ifndef FIRESTEEL_OCI_AUTH_H
#define FIRESTEEL_OCI_AUTH_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

struct oci_login {
        char *pattern; /* "quay.io/team", "*.example.com"; scheme and /v1/, /v2/ are gone */
        char *user, *password;
        char *identity_token; /* an OAuth refresh token; NULL mostly */
        char *registry_token; /* a bearer token as it is; NULL mostly */
        char *helper;         /* "docker-credential-HELPER" knows it; NULL mostly */
};
struct oci_logins {
        VEC(struct oci_login) list; /* the earlier one of two that match equally well counts */
};
void oci_logins_done(struct oci_logins *l);
DEFINE_AUTO_VALUE(oci_logins, struct oci_logins, oci_logins_done)

enum { OCI_MAX_AUTH_BYTES = 1 << 20 };
/* Adds those of a document: config.json's form or dockercfg's. -EINVAL when it is neither; nothing of a secret is in the message. */
MUST_USE int oci_logins_parse(struct sv text, struct oci_logins *ret, struct err *err);
/* Adds those of ${DOCKER_CONFIG:-~/.docker}/config.json; none is fine. */
MUST_USE int oci_logins_from_docker(struct oci_logins *ret, struct err *err);
/* NULL: anonymous. repository: "team/app". */
const struct oci_login *oci_logins_find(const struct oci_logins *l, const char *registry, const char *repository);
/* Asks a credential helper (blocks); user and password are set. */
MUST_USE int oci_login_ask_helper(const char *helper, const char *registry, struct oci_login *ret, struct err *err);
void oci_login_done(struct oci_login *l);

/* WWW-Authenticate. */
struct oci_challenge {
        bool is_bearer; /* else basic */
        char *realm, *service, *scope; /* NULL: not told */
};
void oci_challenge_done(struct oci_challenge *c);
DEFINE_AUTO_VALUE(oci_challenge, struct oci_challenge, oci_challenge_done)
/* False when it is neither Basic nor Bearer with a realm. */
bool oci_challenge_parse(const char *header, struct oci_challenge *ret);

#endif
