/* fs.s3a.* and AWS's own configuration, for one bucket at a time. */
#include <ctype.h>

#include "codec/uri.h"
#include "objstore/s3-internal.h"

enum { DEFAULT_ATTEMPTS = 5, MAX_ATTEMPTS = 100 };

static void free_bucket(void *p) {
        struct s3_bucket *b = p;
        aws_chain_free(b->chain);
        free(b->name);
        free(b->scheme);
        free(b->authority);
        free(b->base_path);
        free(b->region);
        free(b->encryption_key);
        free(b);
}

struct s3 *s3_new(struct objstore *s) {
        struct s3 *s3 = NEW(struct s3);
        s3->loop = s->loop;
        s3->store = s;
        s3->buckets = MAP_INIT(free_bucket);
        struct http_client_options o = {.tls = s->o.tls, .proxy_url = s->o.proxy_url, .max_idle = 8};
        s3->http = http_client_new(s->loop, &o);
        return s3;
}

void s3_free(struct s3 *s3) {
        if (!s3)
                return;
        s3_orphans_free(s3);
        map_done(&s3->buckets);
        http_client_free(s3->http);
        free(s3);
}

/* fs.s3a.bucket.BUCKET.KEY, then fs.s3a.KEY; empty counts as unset. */
static const char *conf(struct s3_bucket *b, const char *key) {
        const struct objstore_options *o = &b->s3->store->o;
        if (!o->conf)
                return NULL;
        AUTO(free) char *own = xasprintf("fs.s3a.bucket.%s.%s", b->name, key);
        AUTO(free) char *all = xasprintf("fs.s3a.%s", key);
        const char *v = o->conf(o->arg, own);
        if (!v || !*v)
                v = o->conf(o->arg, all);
        return v && *v ? v : NULL;
}

static int conf_bool(struct s3_bucket *b, const char *key, bool otherwise, bool *ret, struct err *err) {
        const char *v = conf(b, key);
        if (!v)
                *ret = otherwise;
        else if (sv_ieq(sv_of(v), SV("true")))
                *ret = true;
        else if (sv_ieq(sv_of(v), SV("false")))
                *ret = false;
        else
                return err_set(err, -EINVAL, "fs.s3a.%s is %s, but it must be true or false", key, v);
        return 0;
}

static bool is_numeric_or_local(const char *host) {
        return strchr(host, ':') || sv_ieq(sv_of(host), SV("localhost")) || strspn(host, "0123456789.") == strlen(host);
}

/* Names that can be a part of a host name that a wildcard certificate covers. */
static bool is_host_label(const char *name) {
        for (const char *c = name; *c; c++) {
                if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-')
                        return false;
        }
        size_t len = strlen(name);
        return len >= 3 && len <= 63 && name[0] != '-' && name[len - 1] != '-';
}

/* "s3.eu-west-1.amazonaws.com" says its region. */
static char *region_of_host(const char *host) {
        AUTO(strv) struct strv labels = {0};
        strv_split(&labels, host, '.');
        for (size_t i = 0; i + 2 < labels.len; i++) {
                bool is_service =
                        streq(labels.items[i], "s3") || streq(labels.items[i], "dualstack") || str_starts(labels.items[i], "vpce-");
                if (is_service && streq(labels.items[i + 2], "amazonaws") && !streq(labels.items[i + 1], "dualstack"))
                        return xstrdup(labels.items[i + 1]);
        }
        return NULL;
}

static void set_aws_authority(struct s3_bucket *b) {
        free(b->authority);
        b->authority = xasprintf("s3.%s.amazonaws.com%s", b->region, str_starts(b->region, "cn-") ? ".cn" : "");
}

void s3_bucket_set_region(struct s3_bucket *b, const char *region) {
        free(b->region);
        b->region = xstrdup(region);
        if (b->is_aws)
                set_aws_authority(b);
}

static int set_endpoint(struct s3_bucket *b, const char *endpoint, bool use_tls, struct err *err) {
        AUTO(free) char *url = strstr(endpoint, "://") ? xstrdup(endpoint) : xasprintf("%s://%s", use_tls ? "https" : "http", endpoint);
        AUTO(uri) struct uri u = {0};
        int r = uri_parse(url, &u, err);
        if (r < 0)
                return err_wrap(err, r, "fs.s3a.endpoint");
        if (!u.host || !*u.host || !(streq(u.scheme, "http") || streq(u.scheme, "https")))
                return err_set(err, -EINVAL, "fs.s3a.endpoint is %s, but it must be HOST, HOST:PORT or an http:// or https:// URL",
                               endpoint);
        b->scheme = TAKE(u.scheme);
        b->authority = xasprintf(strchr(u.host, ':') ? "[%s]" : "%s", u.host);
        if (u.port) {
                AUTO(free) char *host = b->authority;
                b->authority = xasprintf("%s:%d", host, u.port);
        }
        size_t len = strlen(u.path);
        while (len && u.path[len - 1] == '/')
                len--;
        b->base_path = xstrndup(u.path, len);
        if (is_numeric_or_local(u.host))
                b->path_style = true; /* there is no bucket.127.0.0.1 */
        if (!b->region)
                b->region = region_of_host(u.host);
        return 0;
}

static int set_attempts(struct s3_bucket *b, struct err *err) {
        const char *v = conf(b, "attempts.maximum");
        int64_t n = DEFAULT_ATTEMPTS;
        if (v && (!sv_to_int64(sv_of(v), &n) || n < 1 || n > MAX_ATTEMPTS))
                return err_set(err, -EINVAL, "fs.s3a.attempts.maximum is %s, but it must be a number from 1 to %d", v, MAX_ATTEMPTS);
        b->attempts = (int)n;
        return 0;
}

static int set_chain(struct s3_bucket *b, const struct aws_env *env, struct err *err) {
        const char *providers = conf(b, "aws.credentials.provider");
        struct aws_sources sources = {0};
        int r = providers ? aws_sources_of(providers, &sources, err) : 0;
        if (r < 0)
                return r;
        /* Anonymous access asks for nothing and never fails: what is listed behind it is never reached. */
        b->is_anonymous = sources.len && sources.list[0] == AWS_ANONYMOUS;
        for (size_t i = 1; i < sources.len && !b->is_anonymous; i++)
                if (sources.list[i] == AWS_ANONYMOUS)
                        return err_set(
                                err, -ENOTSUP,
                                "fs.s3a.aws.credentials.provider: anonymous access as a last resort, behind other providers, is not done here");
        struct aws_credentials fixed = {
                .access_key = (char *)(uintptr_t)conf(b, "access.key"),
                .secret_key = (char *)(uintptr_t)conf(b, "secret.key"),
                .session_token = (char *)(uintptr_t)conf(b, "session.token"),
        };
        b->chain = aws_chain_new(b->s3->loop, &(struct aws_chain_options){
                .http = b->s3->http,
                .env = *env,
                .fixed = &fixed,
                .region = b->region,
                .sources = b->is_anonymous ? NULL : &sources,
                .role = conf(b, "assumed.role.arn"),
                .role_session = conf(b, "assumed.role.session.name"),
        });
        return 0;
}

static int set_encryption(struct s3_bucket *b, struct err *err) {
        const char *how = conf(b, "encryption.algorithm"), *key = conf(b, "encryption.key");
        if (!how)
                how = conf(b, "server-side-encryption-algorithm");
        if (!key)
                key = conf(b, "server-side-encryption.key");
        if (!how)
                return 0;
        if (streq(how, "SSE-S3") || streq(how, "AES256")) {
                b->encryption = "AES256";
        } else if (streq(how, "SSE-KMS")) {
                b->encryption = "aws:kms";
                b->encryption_key = xstrdup_null(key);
        } else {
                return err_set(err, -ENOTSUP, "fs.s3a.encryption.algorithm is %s; SSE-S3 and SSE-KMS are done here", how);
        }
        return 0;
}

void s3_bucket_encrypt(const struct s3_bucket *b, struct http_headers *h) {
        if (b->encryption)
                http_headers_add(h, "x-amz-server-side-encryption", b->encryption);
        if (b->encryption_key)
                http_headers_add(h, "x-amz-server-side-encryption-aws-kms-key-id", b->encryption_key);
}

static int configure(struct s3_bucket *b, struct err *err) {
        const struct objstore_options *o = &b->s3->store->o;
        struct aws_env env = {o->env, o->arg};
        bool use_tls;
        int r = set_attempts(b, err);
        if (r < 0 || (r = conf_bool(b, "connection.ssl.enabled", true, &use_tls, err)) < 0 ||
            (r = conf_bool(b, "path.style.access", false, &b->path_style, err)) < 0 || (r = set_encryption(b, err)) < 0)
                return r;
        if (!is_host_label(b->name))
                b->path_style = true;
        if (conf(b, "access.key") && !conf(b, "secret.key"))
                return err_set(err, -EINVAL, "fs.s3a.access.key is set, but fs.s3a.secret.key is not");
        const char *region = conf(b, "endpoint.region");
        b->region = region ? xstrdup(region) : aws_region(&env);
        const char *endpoint = conf(b, "endpoint");
        if (endpoint && sv_ieq(sv_of(endpoint), SV("s3.amazonaws.com")))
                endpoint = NULL; /* the central one, S3A's default */
        if (!endpoint)
                endpoint = aws_env_get(&env, "AWS_ENDPOINT_URL_S3");
        if (!endpoint)
                endpoint = aws_env_get(&env, "AWS_ENDPOINT_URL");
        if (endpoint && (r = set_endpoint(b, endpoint, use_tls, err)) < 0)
                return r;
        if (!b->region)
                b->region = xstrdup("us-east-1");
        if (!endpoint) {
                b->is_aws = true;
                b->scheme = xstrdup(use_tls ? "https" : "http");
                b->base_path = xstrdup("");
                set_aws_authority(b);
        }
        return set_chain(b, &env, err);
}

int s3_bucket_find(struct s3 *s3, const char *name, struct s3_bucket **ret, struct err *err) {
        struct s3_bucket *b = map_get(&s3->buckets, name);
        if (!b) {
                b = NEW(struct s3_bucket);
                b->s3 = s3;
                b->name = xstrdup(name);
                int r = configure(b, err);
                if (r < 0) {
                        free_bucket(b);
                        return r;
                }
                map_set(&s3->buckets, name, b);
        }
        *ret = b;
        return 0;
}

int s3_url_parse(const char *url, char **ret_bucket, char **ret_key, struct err *err) {
        struct sv rest = sv_of(strstr(url, "://") + 3);
        ssize_t slash = sv_find_char(rest, '/');
        struct sv bucket = slash < 0 ? rest : sv_new(rest.data, (size_t)slash);
        struct sv key = slash < 0 ? SV_NULL : sv_new(rest.data + slash + 1, rest.len - (size_t)slash - 1);
        bool ok = bucket.len >= 1 && bucket.len <= 255;
        for (size_t i = 0; ok && i < bucket.len; i++)
                ok = isalnum((unsigned char)bucket.data[i]) || strchr("-._", bucket.data[i]);
        if (!ok)
                return err_set(err, -EINVAL, "%s names no bucket; write s3a://BUCKET/KEY", url);
        if (key.len > 1024)
                return err_set(err, -ENAMETOOLONG, "%s: keys have at most 1024 bytes", url);
        *ret_bucket = sv_dup(bucket);
        *ret_key = sv_dup(key);
        return 0;
}
