/* Where AWS credentials come from. The first source that is configured decides; when it fails, that is the error, rather than
 * somebody else's identity:
 *
 *   1 the keys given to chain_new (fs.s3a.access.key and so on)
 *   2 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   3 web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (IAM roles for service accounts), by STS
 *   4 the shared files: profile AWS_PROFILE or `default` of ~/.aws/credentials and ~/.aws/config: keys, role_arn with
 *     source_profile or web_identity_token_file, credential_process
 *   5 the container's: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (ECS, EKS pod identity)
 *   6 the EC2 instance's metadata service, version 2 (AWS_EC2_METADATA_DISABLED=true leaves it out)
 *
 * fs.s3a.aws.credentials.provider may name other sources, or some of these in another order (aws_sources_of).
 *
 * Credentials that expire are fetched again 5 minutes before they do. Loop thread only.
 * Source: "Standardized credential providers" of the AWS SDKs and Tools reference guide. */
#ifndef FIRESTEEL_OBJSTORE_CREDENTIALS_H
#define FIRESTEEL_OBJSTORE_CREDENTIALS_H

#include "base/map.h"
#include "net/http_client.h"

struct aws_credentials {
        char *access_key, *secret_key;
        char *session_token; /* NULL: none */
        int64_t expires_ms;  /* 0: never */
};
void aws_credentials_done(struct aws_credentials *c);
DEFINE_AUTO_VALUE(aws_credentials, struct aws_credentials, aws_credentials_done)

struct aws_env {
        const char *(*get)(void *arg, const char *name); /* environment variables; NULL when unset */
        void *arg;
};
const char *aws_env_get(const struct aws_env *env, const char *name); /* NULL also when empty */

enum aws_source {
        AWS_FIXED,
        AWS_SESSION,
        AWS_ENVIRONMENT,
        AWS_WEB_IDENTITY,
        AWS_PROFILE,
        AWS_CONTAINER,
        AWS_INSTANCE,
        AWS_ASSUMED_ROLE,
        AWS_ANONYMOUS
};
enum { AWS_SOURCES_MAX = 16 };
/* Where to look, in this order. */
struct aws_sources {
        unsigned char list[AWS_SOURCES_MAX]; /* enum aws_source */
        size_t len;                          /* 0 = those listed above */
};
/* What the Java classes that fs.s3a.aws.credentials.provider lists look into; `=` renames as Hadoop's mapping does are not known.
 * -ENOTSUP for a class that is none of Hadoop's or AWS's own. */
MUST_USE int aws_sources_of(const char *providers, struct aws_sources *ret, struct err *err);

struct aws_chain;
struct aws_chain_options {
        struct http_client *http;             /* borrowed */
        struct aws_env env;
        const struct aws_credentials *fixed;  /* credentials that are configured; NULL = none */
        const char *region;
        const struct aws_sources *sources;    /* NULL = all */
        const char *role, *role_session;      /* fs.s3a.assumed.role.arn and .session.name, for AWS_ASSUMED_ROLE; may be NULL */
};
struct aws_chain *aws_chain_new(struct loop *l, const struct aws_chain_options *o);
void aws_chain_free(struct aws_chain *c);
/* May answer from within. The credentials are valid during the call. */
void aws_chain_get(struct aws_chain *c, void (*done)(void *arg, const struct aws_credentials *credentials, const struct err *err),
                   void *arg);
/* No answer for this argument any more. */
void aws_chain_forget(struct aws_chain *c, void *arg);
/* AWS said that they have expired, whatever they say themselves. */
void aws_chain_expire(struct aws_chain *c);

/* ---- shared files ---- */

/* A profile's settings, of both files; NULL when there is no such profile. The map's values are strings. */
struct aws_profiles {
        struct map profiles; /* name -> struct map * */
        char *credentials_path, *config_path;
};
MUST_USE int aws_profiles_load(const struct aws_env *env, struct aws_profiles *ret, struct err *err);
void aws_profiles_done(struct aws_profiles *p);
DEFINE_AUTO_VALUE(aws_profiles, struct aws_profiles, aws_profiles_done)
const char *aws_profile_get(const struct aws_profiles *p, const char *profile, const char *key);
bool aws_profile_exists(const struct aws_profiles *p, const char *profile);
const char *aws_profile_name(const struct aws_env *env);
/* AWS_REGION, AWS_DEFAULT_REGION or the profile's; NULL when none says. Caller frees. */
char *aws_region(const struct aws_env *env);

#endif
