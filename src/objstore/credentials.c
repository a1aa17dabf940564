#include "objstore/credentials.h"

#include <signal.h>

#include "base/clock.h"
#include "base/fs.h"
#include "codec/json.h"
#include "codec/ktime.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "net/sigv4.h"

enum {
        REFRESH_MS = 5 * 60 * 1000,
        METADATA_TIMEOUT_MS = 2000, /* at the usual address: it is on the same machine, or there is none */
        REMOTE_TIMEOUT_MS = 20 * 1000,
        MAX_ANSWER = 256 * 1024,
        MAX_TOKEN = 64 * 1024,
};

struct waiter {
        void (*done)(void *arg, const struct aws_credentials *credentials, const struct err *err);
        void *arg;
};

/* A credential_process that may outlive the chain. */
struct process {
        struct aws_chain *chain; /* NULL: freed */
        struct child *child;
};

struct aws_chain {
        struct loop *loop;
        struct http_client *http;   /* for STS: knows proxies and authorities */
        struct http_client *direct; /* for metadata services: never by a proxy */
        struct aws_env env;
        char *region;
        struct aws_credentials fixed;
        struct aws_sources order;
        size_t next; /* in the order: who is asked when the one asked now has nothing */
        char *role, *role_session;
        struct aws_credentials cached;
        VEC(struct waiter) waiters;
        bool is_running;
        bool *freed; /* told to who is giving answers */
        struct http_call *call;
        struct process *process;
        char *metadata_token, *metadata_url;
        struct str tried; /* for the message when nothing is configured */
};

void aws_credentials_done(struct aws_credentials *c) {
        free(c->access_key);
        free(c->secret_key);
        free(c->session_token);
        *c = (struct aws_credentials){0};
}

static void set_credentials(struct aws_credentials *c, const char *access_key, const char *secret_key, const char *token,
                            int64_t expires_ms) {
        *c = (struct aws_credentials){.access_key = xstrdup(access_key),
                                      .secret_key = xstrdup(secret_key),
                                      .session_token = token && *token ? xstrdup(token) : NULL,
                                      .expires_ms = expires_ms};
}

/* ---- answering ---- */

/* One waiter may make others go away, ask again, or free the chain. */
static void answer_all(struct aws_chain *c, const struct err *err) {
        bool freed = false;
        c->is_running = false;
        c->freed = &freed;
        struct aws_credentials copy = {0};
        if (!err)
                set_credentials(&copy, c->cached.access_key, c->cached.secret_key, c->cached.session_token, c->cached.expires_ms);
        while (!freed && c->waiters.len && !c->is_running) {
                struct waiter w = c->waiters.items[0];
                vec_remove(&c->waiters, 0);
                w.done(w.arg, err ? NULL : &copy, err);
        }
        if (!freed)
                c->freed = NULL;
        aws_credentials_done(&copy);
}

/* Takes the credentials. */
static void succeed(struct aws_chain *c, struct aws_credentials *found) {
        aws_credentials_done(&c->cached);
        c->cached = *found;
        *found = (struct aws_credentials){0};
        answer_all(c, NULL);
}

static void fail(struct aws_chain *c, const struct err *err) { answer_all(c, err); }

static void fail_text(struct aws_chain *c, int code, const char *text) {
        AUTO(err) struct err err = ERR_INIT;
        err_set(&err, code, "%s", text);
        fail(c, &err);
}

/* ---- answers of services ---- */

static int64_t parse_expiry(const char *text) {
        int64_t us;
        return text && ktime_parse(sv_of(text), &us) ? us / 1000 : 0;
}

/* The JSON of the metadata services and of credential_process; they differ in one name. */
static int parse_json(struct sv text, struct aws_credentials *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = json_parse(text, &doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(doc);
        const char *key = json_get_str(root, "AccessKeyId"), *secret = json_get_str(root, "SecretAccessKey");
        const char *token = json_get_str(root, "Token") ? json_get_str(root, "Token") : json_get_str(root, "SessionToken");
        if (!key || !secret)
                return err_set(err, -EPROTO, "the answer has no AccessKeyId and SecretAccessKey");
        set_credentials(ret, key, secret, token, parse_expiry(json_get_str(root, "Expiration")));
        return 0;
}

static int parse_sts(struct sv text, struct aws_credentials *ret, struct err *err) {
        AUTO(arena) struct arena a = {0};
        struct xml_node *root;
        int r = xml_parse(text, &a, &root, err);
        if (r < 0)
                return r;
        for (const struct xml_node *c = root->first; c; c = c->next) {
                const struct xml_node *found = xml_child(c, "Credentials");
                const char *key = xml_text(found, "AccessKeyId"), *secret = xml_text(found, "SecretAccessKey");
                if (key && secret) {
                        set_credentials(ret, key, secret, xml_text(found, "SessionToken"), parse_expiry(xml_text(found, "Expiration")));
                        return 0;
                }
        }
        return err_set(err, -EPROTO, "the answer has no credentials");
}

static void finish_parsed(struct aws_chain *c, int (*parse)(struct sv, struct aws_credentials *, struct err *), struct sv text,
                          const char *who) {
        AUTO(err) struct err err = ERR_INIT;
        struct aws_credentials found = {0};
        if (parse(text, &found, &err) < 0) {
                err_wrap(&err, err.code, "AWS credentials of %s", who);
                fail(c, &err);
        } else {
                succeed(c, &found);
        }
}

static void fail_status(struct aws_chain *c, const struct http_response *response, const char *who) {
        AUTO(err) struct err err = ERR_INIT;
        AUTO(arena) struct arena a = {0};
        struct xml_node *root = NULL;
        struct sv body = sv_trim(str_sv(&response->body));
        const struct xml_node *error = xml_parse(body, &a, &root, NULL) == 0 ? xml_child(root, "Error") : NULL;
        const char *message = xml_text(error, "Message");
        err_http(&err, -EACCES, response->status, xml_text(error, "Code"), "AWS credentials of %s: %s%s%.*s", who,
                 message ? message : http_status_text(response->status), !message && body.len ? ": " : "",
                 message ? 0 : (int)(body.len < 500 ? body.len : 500), body.data);
        fail(c, &err);
}

/* ---- remote calls ---- */

typedef void (*on_done_fn)(void *arg, struct http_response *response, const struct err *err);

static void start_call(struct aws_chain *c, struct http_client *http, const char *method, const char *url,
                       const struct http_headers *headers, struct sv body, int64_t timeout_ms, on_done_fn on_done) {
        struct http_call_options o = {.method = method,
                                      .url = url,
                                      .headers = headers,
                                      .body = body,
                                      .timeout_ms = timeout_ms,
                                      .max_body = MAX_ANSWER,
                                      .on_done = on_done,
                                      .arg = c};
        c->call = http_call_start(http, &o);
}

static void on_sts(void *arg, struct http_response *response, const struct err *err) {
        struct aws_chain *c = arg;
        c->call = NULL;
        if (err)
                fail(c, err);
        else if (response->status != 200)
                fail_status(c, response, "AWS STS");
        else
                finish_parsed(c, parse_sts, str_sv(&response->body), "AWS STS");
}

static char *sts_url(struct aws_chain *c) {
        const char *given = aws_env_get(&c->env, "AWS_ENDPOINT_URL_STS");
        if (!given)
                given = aws_env_get(&c->env, "AWS_ENDPOINT_URL");
        if (given)
                return xasprintf("%s%s", given, str_ends(given, "/") ? "" : "/");
        const char *suffix = c->region && str_starts(c->region, "cn-") ? ".cn" : "";
        return c->region ? xasprintf("https://sts.%s.amazonaws.com%s/", c->region, suffix) : xstrdup("https://sts.amazonaws.com/");
}

/* signer NULL: an unsigned call. */
static int call_sts(struct aws_chain *c, const struct str *form, const struct aws_credentials *signer, struct err *err) {
        AUTO(free) char *url = sts_url(c);
        AUTO(uri) struct uri u = {0};
        int r = uri_parse(url, &u, err);
        if (r < 0)
                return r;
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
        http_headers_add(&h, "Accept", "application/xml");
        if (u.port)
                http_headers_addf(&h, "Host", "%s:%d", u.host, u.port);
        else
                http_headers_add(&h, "Host", u.host);
        if (signer) {
                struct sigv4_keys keys = {signer->access_key, signer->secret_key, signer->session_token,
                                          c->region ? c->region : "us-east-1", "sts"};
                struct sigv4_request q = {.method = "POST", .path = u.path, .body = str_sv(form)};
                sigv4_sign(&keys, &q, clock_now_ms(), NULL, &h, NULL);
        }
        start_call(c, c->http, "POST", url, &h, str_sv(form), REMOTE_TIMEOUT_MS, on_sts);
        return 1;
}

static void begin_form(struct str *form, const char *action, const char *role, const char *session) {
        query_add(form, "Action", action);
        query_add(form, "Version", "2011-06-15");
        query_add(form, "RoleArn", role);
        AUTO(free) char *made = session ? NULL : xasprintf("firesteel-%lld", (long long)clock_now_ms());
        query_add(form, "RoleSessionName", session ? session : made);
}

static int assume_with_token(struct aws_chain *c, const char *token_file, const char *role, const char *session, struct err *err) {
        AUTO(str) struct str token = STR_INIT(0);
        int r = fs_read(token_file, MAX_TOKEN, &token, err);
        if (r < 0)
                return err_wrap(err, r, "AWS web identity token");
        AUTO(free) char *trimmed = sv_dup(sv_trim(str_sv(&token)));
        AUTO(str) struct str form = STR_INIT(0);
        begin_form(&form, "AssumeRoleWithWebIdentity", role, session);
        query_add(&form, "WebIdentityToken", trimmed);
        return call_sts(c, &form, NULL, err);
}

/* ---- the sources ---- */

static int from_fixed(struct aws_chain *c, struct err *err) {
        if (!c->fixed.access_key)
                return 0;
        struct aws_credentials copy;
        set_credentials(&copy, c->fixed.access_key, c->fixed.secret_key, c->fixed.session_token, 0);
        succeed(c, &copy);
        return 1;
}

/* Keys that are of use only with a session's token. */
static int from_session(struct aws_chain *c, struct err *err) { return c->fixed.session_token ? from_fixed(c, err) : 0; }

/* Signs with the configured keys or those of the environment, as S3A does by default. */
static int from_assumed_role(struct aws_chain *c, struct err *err) {
        if (!c->role) {
                err_set(err, -EINVAL, "fs.s3a.aws.credentials.provider assumes a role, but fs.s3a.assumed.role.arn is not set");
                return -EINVAL;
        }
        struct aws_credentials signer = c->fixed;
        if (!signer.access_key) {
                signer.access_key = (char *)(uintptr_t)aws_env_get(&c->env, "AWS_ACCESS_KEY_ID");
                signer.secret_key = (char *)(uintptr_t)aws_env_get(&c->env, "AWS_SECRET_ACCESS_KEY");
                signer.session_token = (char *)(uintptr_t)aws_env_get(&c->env, "AWS_SESSION_TOKEN");
        }
        if (!signer.access_key || !signer.secret_key)
                return err_set(
                        err, -EACCES,
                        "assuming the role %s takes keys: set fs.s3a.access.key and fs.s3a.secret.key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                        c->role);
        AUTO(str) struct str form = STR_INIT(0);
        begin_form(&form, "AssumeRole", c->role, c->role_session);
        return call_sts(c, &form, &signer, err);
}

static int from_environment(struct aws_chain *c, struct err *err) {
        const char *key = aws_env_get(&c->env, "AWS_ACCESS_KEY_ID"), *secret = aws_env_get(&c->env, "AWS_SECRET_ACCESS_KEY");
        if (!key && !secret)
                return 0;
        if (!key || !secret)
                return err_set(err, -EINVAL, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together; %s is missing",
                               key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
        struct aws_credentials found;
        set_credentials(&found, key, secret, aws_env_get(&c->env, "AWS_SESSION_TOKEN"), 0);
        succeed(c, &found);
        return 1;
}

static int from_web_identity(struct aws_chain *c, struct err *err) {
        const char *file = aws_env_get(&c->env, "AWS_WEB_IDENTITY_TOKEN_FILE"), *role = aws_env_get(&c->env, "AWS_ROLE_ARN");
        if (!file || !role)
                return 0;
        return assume_with_token(c, file, role, aws_env_get(&c->env, "AWS_ROLE_SESSION_NAME"), err);
}

static void on_process_done(void *arg, const struct child_result *result) {
        struct process *p = arg;
        struct aws_chain *c = p->chain;
        free(p);
        if (!c)
                return;
        c->process = NULL;
        if (result->exit_code == 0) {
                finish_parsed(c, parse_json, result->out, "credential_process");
                return;
        }
        AUTO(err) struct err err = ERR_INIT;
        struct sv text = sv_trim(result->err);
        err_set(&err, -EACCES, "AWS credentials of credential_process: exit code %d: %.*s", result->exit_code,
                (int)(text.len < 500 ? text.len : 500), text.data);
        fail(c, &err);
}

static int start_process(struct aws_chain *c, const char *command, struct err *err) {
        struct process *p = NEW(struct process);
        p->chain = c;
        const char *const argv[] = {"/bin/sh", "-c", command, NULL};
        struct child_spec spec = {.argv = argv, .max_output = MAX_ANSWER};
        int r = child_start(c->loop, &spec, on_process_done, p, &p->child, err);
        if (r < 0) {
                free(p);
                return err_wrap(err, r, "AWS credential_process");
        }
        c->process = p;
        return 1;
}

/* A profile's own keys, or those of the profile that it refers to. */
static int profile_keys(const struct aws_profiles *p, const char *name, struct aws_credentials *ret, struct err *err) {
        const char *key = aws_profile_get(p, name, "aws_access_key_id"), *secret = aws_profile_get(p, name, "aws_secret_access_key");
        if (!key && !secret)
                return 0;
        if (!key || !secret)
                return err_set(err, -EINVAL, "AWS profile %s: aws_access_key_id and aws_secret_access_key must be set together", name);
        set_credentials(ret, key, secret, aws_profile_get(p, name, "aws_session_token"), 0);
        return 1;
}

static int assume_from_profile(struct aws_chain *c, const struct aws_profiles *p, const char *name, const char *role, struct err *err) {
        const char *session = aws_profile_get(p, name, "role_session_name");
        const char *file = aws_profile_get(p, name, "web_identity_token_file");
        if (file)
                return assume_with_token(c, file, role, session, err);
        const char *source = aws_profile_get(p, name, "source_profile");
        if (!source)
                return err_set(err, -EINVAL, "AWS profile %s: role_arn needs source_profile or web_identity_token_file here", name);
        AUTO(aws_credentials) struct aws_credentials signer = {0};
        int r = profile_keys(p, source, &signer, err);
        if (r == 0)
                return err_set(err, -EINVAL, "AWS profile %s: its source_profile %s has no aws_access_key_id", name, source);
        if (r < 0)
                return r;
        AUTO(str) struct str form = STR_INIT(0);
        begin_form(&form, "AssumeRole", role, session);
        query_add(&form, "ExternalId", aws_profile_get(p, name, "external_id"));
        return call_sts(c, &form, &signer, err);
}

static int from_profile(struct aws_chain *c, struct err *err) {
        AUTO(aws_profiles) struct aws_profiles p = {0};
        int r = aws_profiles_load(&c->env, &p, err);
        if (r < 0)
                return err_wrap(err, r, "AWS profiles");
        const char *name = aws_profile_name(&c->env);
        if (!aws_profile_exists(&p, name)) {
                if (!aws_env_get(&c->env, "AWS_PROFILE"))
                        return 0;
                return err_set(err, -ENOENT, "AWS_PROFILE names the profile %s, which is neither in %s nor in %s", name,
                               p.credentials_path ? p.credentials_path : "~/.aws/credentials",
                               p.config_path ? p.config_path : "~/.aws/config");
        }
        const char *role = aws_profile_get(&p, name, "role_arn"), *process = aws_profile_get(&p, name, "credential_process");
        if (role)
                return assume_from_profile(c, &p, name, role, err);
        struct aws_credentials found = {0};
        r = profile_keys(&p, name, &found, err);
        if (r > 0)
                succeed(c, &found);
        if (r != 0)
                return r;
        if (process)
                return start_process(c, process, err);
        if (aws_profile_get(&p, name, "sso_session") || aws_profile_get(&p, name, "sso_start_url")) {
                err_set(err, -ENOTSUP, "AWS profile %s signs in by SSO, which is not done here", name);
                err_hint(err, "eval \"$(aws configure export-credentials --profile %s --format env)\" puts its keys into the environment",
                         name);
                return -ENOTSUP;
        }
        return 0;
}

static void on_container(void *arg, struct http_response *response, const struct err *err) {
        struct aws_chain *c = arg;
        c->call = NULL;
        if (err)
                fail(c, err);
        else if (response->status != 200)
                fail_status(c, response, "the container");
        else
                finish_parsed(c, parse_json, str_sv(&response->body), "the container");
}

static int from_container(struct aws_chain *c, struct err *err) {
        const char *relative = aws_env_get(&c->env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
        const char *full = aws_env_get(&c->env, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
        if (!relative && !full)
                return 0;
        AUTO(free) char *url = relative ? xasprintf("http://169.254.170.2%s", relative) : xstrdup(full);
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "Accept", "application/json");
        const char *file = aws_env_get(&c->env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        if (file) {
                AUTO(str) struct str token = STR_INIT(0);
                int r = fs_read(file, MAX_TOKEN, &token, err);
                if (r < 0)
                        return err_wrap(err, r, "AWS container authorization token");
                AUTO(free) char *trimmed = sv_dup(sv_trim(str_sv(&token)));
                http_headers_add(&h, "Authorization", trimmed);
        } else if (aws_env_get(&c->env, "AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
                http_headers_add(&h, "Authorization", aws_env_get(&c->env, "AWS_CONTAINER_AUTHORIZATION_TOKEN"));
        }
        start_call(c, c->direct, "GET", url, &h, SV_NULL, REMOTE_TIMEOUT_MS, on_container);
        return 1;
}

static void nothing_found(struct aws_chain *c) {
        AUTO(err) struct err err = ERR_INIT;
        err_set(&err, -EACCES, "no AWS credentials are configured; looked in %s", str_cstr(&c->tried));
        err_hint(
                &err,
                "set spark.hadoop.fs.s3a.access.key and fs.s3a.secret.key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`; "
                "for public data set fs.s3a.aws.credentials.provider=org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider");
        fail(c, &err);
}

static void on_metadata_keys(void *arg, struct http_response *response, const struct err *err) {
        struct aws_chain *c = arg;
        c->call = NULL;
        if (err)
                fail(c, err);
        else if (response->status != 200)
                fail_status(c, response, "the instance metadata service");
        else
                finish_parsed(c, parse_json, str_sv(&response->body), "the instance metadata service");
}

/* Whoever names a service has one: then a busy machine is no reason to go without it. */
static int64_t metadata_timeout(const struct aws_chain *c) {
        return aws_env_get(&c->env, "AWS_EC2_METADATA_SERVICE_ENDPOINT") ? REMOTE_TIMEOUT_MS : METADATA_TIMEOUT_MS;
}

static void get_metadata(struct aws_chain *c, const char *role, on_done_fn on_done) {
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "X-aws-ec2-metadata-token", c->metadata_token);
        AUTO(free) char *url = xasprintf("%s/latest/meta-data/iam/security-credentials/%s", c->metadata_url, role);
        start_call(c, c->direct, "GET", url, &h, SV_NULL, metadata_timeout(c), on_done);
}

static void on_metadata_role(void *arg, struct http_response *response, const struct err *err) {
        struct aws_chain *c = arg;
        c->call = NULL;
        if (err) {
                fail(c, err);
        } else if (response->status == 404) {
                fail_text(c, -EACCES, "no AWS credentials: this EC2 instance has no role (instance profile)");
        } else if (response->status != 200) {
                fail_status(c, response, "the instance metadata service");
        } else {
                struct sv rest = str_sv(&response->body), line;
                sv_split(&rest, '\n', &line);
                AUTO(str) struct str role = STR_INIT(0);
                uri_encode(sv_trim(line), false, &role);
                get_metadata(c, str_cstr(&role), on_metadata_keys);
        }
}

static void try_sources(struct aws_chain *c);

static void on_metadata_token(void *arg, struct http_response *response, const struct err *err) {
        struct aws_chain *c = arg;
        c->call = NULL;
        if (err || response->status != 200) { /* not on EC2 */
                try_sources(c);
                return;
        }
        free(c->metadata_token);
        c->metadata_token = sv_dup(sv_trim(str_sv(&response->body)));
        get_metadata(c, "", on_metadata_role);
}

static int from_metadata(struct aws_chain *c, struct err *err) {
        const char *disabled = aws_env_get(&c->env, "AWS_EC2_METADATA_DISABLED");
        if (disabled && sv_ieq(sv_of(disabled), SV("true")))
                return 0;
        const char *base = aws_env_get(&c->env, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
        free(c->metadata_url);
        c->metadata_url = xstrdup(base ? base : "http://169.254.169.254");
        if (str_ends(c->metadata_url, "/"))
                c->metadata_url[strlen(c->metadata_url) - 1] = '\0';
        AUTO(http_headers) struct http_headers h = {0};
        http_headers_add(&h, "X-aws-ec2-metadata-token-ttl-seconds", "21600");
        AUTO(free) char *url = xasprintf("%s/latest/api/token", c->metadata_url);
        start_call(c, c->direct, "PUT", url, &h, SV_NULL, metadata_timeout(c), on_metadata_token);
        return 1;
}

static const struct source {
        const char *name;
        /* 0: not configured; 1: answered, or the answer is on its way; negative: configured but unusable. */
        int (*start)(struct aws_chain *c, struct err *err);
} sources[] = {
        [AWS_FIXED] = {"fs.s3a.access.key", from_fixed},
        [AWS_SESSION] = {"fs.s3a.session.token", from_session},
        [AWS_ENVIRONMENT] = {"AWS_ACCESS_KEY_ID", from_environment},
        [AWS_WEB_IDENTITY] = {"AWS_WEB_IDENTITY_TOKEN_FILE", from_web_identity},
        [AWS_PROFILE] = {"the AWS profile", from_profile},
        [AWS_CONTAINER] = {"AWS_CONTAINER_CREDENTIALS_*", from_container},
        [AWS_INSTANCE] = {"the instance metadata service", from_metadata},
        [AWS_ASSUMED_ROLE] = {"fs.s3a.assumed.role.arn", from_assumed_role},
};
static const struct aws_sources all_sources = {{AWS_FIXED, AWS_ENVIRONMENT, AWS_WEB_IDENTITY, AWS_PROFILE, AWS_CONTAINER, AWS_INSTANCE}, 6};

static void try_sources(struct aws_chain *c) {
        AUTO(err) struct err err = ERR_INIT;
        while (c->next < c->order.len) {
                const struct source *source = &sources[c->order.list[c->next++]];
                str_appendf(&c->tried, "%s%s", c->tried.len ? ", " : "", source->name);
                int r = source->start(c, &err);
                if (r > 0)
                        return;
                if (r < 0) {
                        fail(c, &err);
                        return;
                }
        }
        nothing_found(c);
}

static void run(struct aws_chain *c) {
        c->is_running = true;
        c->next = 0;
        str_clear(&c->tried);
        try_sources(c);
}

/* ---- providers by their class ---- */

/* Both SDKs' classes (com.amazonaws.auth..., software.amazon.awssdk.auth.credentials...) and S3A's; packages do not matter. */
static const struct {
        const char *class_name;
        unsigned char sources[6];
        size_t len;
} providers_known[] = {
        {"SimpleAWSCredentialsProvider", {AWS_FIXED}, 1},
        {"TemporaryAWSCredentialsProvider", {AWS_SESSION}, 1},
        {"AnonymousAWSCredentialsProvider", {AWS_ANONYMOUS}, 1},
        {"AnonymousCredentialsProvider", {AWS_ANONYMOUS}, 1},
        {"EnvironmentVariableCredentialsProvider", {AWS_ENVIRONMENT}, 1},
        {"WebIdentityTokenCredentialsProvider", {AWS_WEB_IDENTITY}, 1},
        {"WebIdentityTokenFileCredentialsProvider", {AWS_WEB_IDENTITY}, 1},
        {"ProfileCredentialsProvider", {AWS_PROFILE}, 1},
        {"ProfileAWSCredentialsProvider", {AWS_PROFILE}, 1},
        {"ContainerCredentialsProvider", {AWS_CONTAINER}, 1},
        {"EC2ContainerCredentialsProviderWrapper", {AWS_CONTAINER, AWS_INSTANCE}, 2},
        {"IAMInstanceCredentialsProvider", {AWS_CONTAINER, AWS_INSTANCE}, 2},
        {"InstanceProfileCredentialsProvider", {AWS_INSTANCE}, 1},
        {"AssumedRoleCredentialProvider", {AWS_ASSUMED_ROLE}, 1},
        {"DefaultAWSCredentialsProviderChain", {AWS_ENVIRONMENT, AWS_WEB_IDENTITY, AWS_PROFILE, AWS_CONTAINER, AWS_INSTANCE}, 5},
        {"DefaultCredentialsProvider", {AWS_ENVIRONMENT, AWS_WEB_IDENTITY, AWS_PROFILE, AWS_CONTAINER, AWS_INSTANCE}, 5},
};

static int add_provider(const char *class_name, struct aws_sources *out, struct err *err) {
        const char *dot = strrchr(class_name, '.');
        const char *name = dot ? dot + 1 : class_name;
        for (size_t i = 0; i < ARRAY_LEN(providers_known); i++) {
                if (!streq(name, providers_known[i].class_name))
                        continue;
                for (size_t j = 0; j < providers_known[i].len; j++) {
                        if (out->len == AWS_SOURCES_MAX)
                                return err_set(err, -E2BIG, "fs.s3a.aws.credentials.provider names too many sources");
                        out->list[out->len++] = providers_known[i].sources[j];
                }
                return 0;
        }
        err_set(err, -ENOTSUP, "fs.s3a.aws.credentials.provider: %s is a Java class that is not known here", class_name);
        err_hint(
                err,
                "known are S3A's and the AWS SDK's own: Simple, Temporary, Anonymous and ProfileAWSCredentialsProvider, IAMInstanceCredentialsProvider, "
                "AssumedRoleCredentialProvider, EnvironmentVariable, WebIdentityTokenFile, Profile, Container, InstanceProfile and DefaultCredentialsProvider");
        return -ENOTSUP;
}

int aws_sources_of(const char *providers, struct aws_sources *ret, struct err *err) {
        struct aws_sources found = {0};
        struct sv rest = sv_of(providers), part;
        while (sv_split(&rest, ',', &part)) {
                AUTO(free) char *class_name = sv_dup(sv_trim(part));
                int r = *class_name ? add_provider(class_name, &found, err) : 0;
                if (r < 0)
                        return r;
        }
        *ret = found;
        return 0;
}

/* ---- the chain ---- */

struct aws_chain *aws_chain_new(struct loop *l, const struct aws_chain_options *o) {
        struct aws_chain *c = NEW(struct aws_chain);
        c->loop = l;
        c->http = o->http;
        struct http_client_options direct = {.connect_timeout_ms = REMOTE_TIMEOUT_MS};
        c->direct = http_client_new(l, &direct);
        c->env = o->env;
        c->region = xstrdup_null(o->region);
        c->role = xstrdup_null(o->role);
        c->role_session = xstrdup_null(o->role_session);
        c->order = o->sources && o->sources->len ? *o->sources : all_sources;
        const struct aws_credentials *fixed = o->fixed;
        if (fixed && fixed->access_key)
                set_credentials(&c->fixed, fixed->access_key, fixed->secret_key ? fixed->secret_key : "", fixed->session_token, 0);
        return c;
}

void aws_chain_free(struct aws_chain *c) {
        if (!c)
                return;
        if (c->freed)
                *c->freed = true;
        http_call_cancel(c->call);
        if (c->process) {
                child_kill(c->process->child, SIGKILL);
                c->process->chain = NULL;
        }
        http_client_free(c->direct);
        aws_credentials_done(&c->fixed);
        aws_credentials_done(&c->cached);
        vec_done(&c->waiters);
        str_done(&c->tried);
        free(c->metadata_token);
        free(c->metadata_url);
        free(c->region);
        free(c->role);
        free(c->role_session);
        free(c);
}

void aws_chain_get(struct aws_chain *c, void (*done)(void *arg, const struct aws_credentials *credentials, const struct err *err),
                   void *arg) {
        bool fresh = c->cached.access_key && (!c->cached.expires_ms || clock_now_ms() < c->cached.expires_ms - REFRESH_MS);
        if (fresh && !c->is_running) {
                done(arg, &c->cached, NULL);
                return;
        }
        *vec_push(&c->waiters) = (struct waiter){done, arg};
        if (!c->is_running)
                run(c);
}

void aws_chain_forget(struct aws_chain *c, void *arg) {
        for (size_t i = c->waiters.len; i-- > 0;) {
                if (c->waiters.items[i].arg == arg)
                        vec_remove(&c->waiters, i);
        }
}

void aws_chain_expire(struct aws_chain *c) { aws_credentials_done(&c->cached); }
