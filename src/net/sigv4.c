#include "net/sigv4.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <strings.h>

#include "codec/ktime.h"
#include "codec/sha256.h"
#include "codec/uri.h"

static const char algorithm[] = "AWS4-HMAC-SHA256";
enum { STAMP_SIZE = 17, DAY_LEN = 8, MAX_SIGNED_HEADERS = HTTP_MAX_HEADERS };

/* 20150830T123600Z */
static void stamp(int64_t ms, char ret[STAMP_SIZE]) {
        int year, month, day, hour, minute, second, weekday;
        ktime_to_civil(ms / 1000, &year, &month, &day, &hour, &minute, &second, &weekday);
        snprintf(ret, STAMP_SIZE, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)year % 10000, (unsigned)month % 100, (unsigned)day % 100,
                 (unsigned)hour % 100, (unsigned)minute % 100, (unsigned)second % 100);
}

static bool parse_stamp(struct sv text, int64_t *ret_ms) {
        if (text.len != STAMP_SIZE - 1 || text.data[8] != 'T' || text.data[15] != 'Z')
                return false;
        static const int at[] = {0, 4, 6, 9, 11, 13}, len[] = {4, 2, 2, 2, 2, 2};
        int64_t n[6];
        for (int i = 0; i < 6; i++) {
                if (!isdigit((unsigned char)text.data[at[i]]) || !sv_to_int64(sv_new(text.data + at[i], (size_t)len[i]), &n[i]))
                        return false;
        }
        if (n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 || n[3] > 23 || n[4] > 59 || n[5] > 60)
                return false;
        *ret_ms = ktime_from_civil((int)n[0], (int)n[1], (int)n[2], (int)n[3], (int)n[4], (int)n[5]) * 1000;
        return true;
}

/* ---- the canonical request ---- */

/* Removes "." and "..", and doubled slashes. */
static void append_normalised(struct sv path, struct str *out) {
        AUTO(strv) struct strv parts = {0};
        struct sv rest = path, part;
        bool ends_in_slash = false;
        while (sv_split(&rest, '/', &part)) {
                ends_in_slash = part.len == 0 || sv_eqs(part, ".") || sv_eqs(part, "..");
                if (sv_eqs(part, "..")) {
                        if (parts.len)
                                free(parts.items[--parts.len]), parts.items[parts.len] = NULL;
                } else if (part.len && !sv_eqs(part, ".")) {
                        strv_add_n(&parts, part.data, part.len);
                }
        }
        for (size_t i = 0; i < parts.len; i++) {
                str_append_c(out, '/');
                uri_encode(sv_of(parts.items[i]), false, out);
        }
        if (ends_in_slash || !parts.len)
                str_append_c(out, '/');
}

static void append_path(const char *path, bool is_s3, struct str *out) {
        if (!is_s3) {
                append_normalised(sv_of(path), out);
                return;
        }
        AUTO(str) struct str plain = STR_INIT(0);
        if (!uri_decode(sv_of(path), false, &plain)) {
                str_append_s(out, path);
                return;
        }
        if (!plain.len)
                str_append_c(&plain, '/');
        uri_encode(str_sv(&plain), true, out);
}

/* Whoever encoded the query, the canonical one has AWS's encoding. */
static void append_recoded(struct sv text, struct str *out) {
        AUTO(str) struct str plain = STR_INIT(0);
        if (uri_decode(text, false, &plain))
                uri_encode(str_sv(&plain), false, out);
        else
                uri_encode(text, false, out);
}

struct parameter {
        char *key, *value;
};

static int compare_parameters(const void *a, const void *b) {
        const struct parameter *x = a, *y = b;
        int r = strcmp(x->key, y->key);
        return r ? r : strcmp(x->value, y->value);
}

static void append_query(const char *query, struct str *out) {
        VEC(struct parameter) list = {0};
        struct sv rest = sv_of(query), part;
        while (query && sv_split(&rest, '&', &part)) {
                ssize_t eq = sv_find_char(part, '=');
                struct sv key = eq < 0 ? part : sv_new(part.data, (size_t)eq);
                struct sv value = eq < 0 ? SV_NULL : sv_new(part.data + eq + 1, part.len - (size_t)eq - 1);
                if (!part.len || sv_eqs(key, "X-Amz-Signature"))
                        continue;
                AUTO(str) struct str k = STR_INIT(0);
                AUTO(str) struct str v = STR_INIT(0);
                append_recoded(key, &k);
                append_recoded(value, &v);
                *vec_push(&list) = (struct parameter){.key = str_take(&k), .value = str_take(&v)};
        }
        if (list.len)
                qsort(list.items, list.len, sizeof *list.items, compare_parameters);
        const char *sep = "";
        vec_foreach(p, &list) {
                str_appendf(out, "%s%s=%s", sep, p->key, p->value);
                sep = "&";
                free(p->key);
                free(p->value);
        }
        vec_done(&list);
}

/* Blanks at both ends go, runs of them become one. */
static void append_trimmed(const char *value, struct str *out) {
        struct sv v = sv_trim(sv_of(value));
        bool blank = false;
        for (size_t i = 0; i < v.len; i++) {
                bool is_blank = isspace((unsigned char)v.data[i]);
                if (!is_blank)
                        str_append_c(out, v.data[i]);
                else if (!blank)
                        str_append_c(out, ' ');
                blank = is_blank;
        }
}

/* All values of one header, in their order. */
static void append_header(const struct http_headers *headers, const char *name, struct str *out) {
        str_appendf(out, "%s:", name);
        bool first = true;
        vec_foreach(h, &headers->list) {
                if (strcasecmp(h->name, name) != 0)
                        continue;
                if (!first)
                        str_append_c(out, ',');
                first = false;
                append_trimmed(h->value, out);
        }
        str_append_c(out, '\n');
}

/* `names`: lower case and sorted. */
static void append_canonical(const struct sigv4_request *q, const struct http_headers *headers, const struct strv *names,
                             const char *payload, bool is_s3, struct str *out) {
        str_appendf(out, "%s\n", q->method);
        append_path(q->path, is_s3, out);
        str_append_c(out, '\n');
        append_query(q->query, out);
        str_append_c(out, '\n');
        for (size_t i = 0; i < names->len; i++)
                append_header(headers, names->items[i], out);
        AUTO(free) char *joined = strv_join(names, ";");
        str_appendf(out, "\n%s\n%s", joined, payload);
}

/* ---- the signature ---- */

static void signing_key(const char *secret, struct sv day, struct sv region, struct sv service, unsigned char ret[SHA256_SIZE]) {
        AUTO(free) char *start = xasprintf("AWS4%s", secret);
        unsigned char a[SHA256_SIZE], b[SHA256_SIZE];
        hmac_sha256(sv_of(start), day, a);
        hmac_sha256(sv_new((char *)a, sizeof a), region, b);
        hmac_sha256(sv_new((char *)b, sizeof b), service, a);
        hmac_sha256(sv_new((char *)a, sizeof a), SV("aws4_request"), ret);
        OPENSSL_cleanse(start, strlen(start));
        OPENSSL_cleanse(a, sizeof a);
        OPENSSL_cleanse(b, sizeof b);
}

static void sign_text(const char *secret, const char *when, struct sv region, struct sv service, struct sv text, char ret[SIGV4_HEX_SIZE]) {
        unsigned char key[SHA256_SIZE], mac[SHA256_SIZE];
        signing_key(secret, sv_new(when, DAY_LEN), region, service, key);
        hmac_sha256(sv_new((char *)key, sizeof key), text, mac);
        OPENSSL_cleanse(key, sizeof key);
        hex_encode(mac, sizeof mac, ret);
}

static void sign_canonical(const char *secret, const char *when, struct sv region, struct sv service, struct sv canonical,
                           char ret[SIGV4_HEX_SIZE]) {
        char hash[SHA256_HEX_SIZE];
        sha256_hex(canonical, hash);
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "%s\n%s\n%.8s/%.*s/%.*s/aws4_request\n%s", algorithm, when, when, SV_ARG(region), SV_ARG(service), hash);
        sign_text(secret, when, region, service, str_sv(&text), ret);
}

/* Proxies add, change or drop these. */
static bool is_signable(const char *name) {
        static const char *const not_signed[] = {"authorization", "connection", "content-length", "expect", "te", "transfer-encoding",
                                                 "user-agent", "upgrade", "x-amzn-trace-id"};
        for (size_t i = 0; i < sizeof not_signed / sizeof not_signed[0]; i++) {
                if (strcasecmp(name, not_signed[i]) == 0)
                        return false;
        }
        return true;
}

static void collect_names(const struct http_headers *headers, struct strv *names) {
        vec_foreach(h, &headers->list) {
                if (!is_signable(h->name))
                        continue;
                AUTO(free) char *lower = xstrdup(h->name);
                for (char *c = lower; *c; c++)
                        *c = (char)tolower((unsigned char)*c);
                if (!strv_has(names, lower))
                        strv_take(names, TAKE(lower));
        }
        strv_sort(names);
}

static bool has_token(const struct sigv4_keys *k) { return k->session_token && *k->session_token; }

void sigv4_sign(const struct sigv4_keys *k, const struct sigv4_request *q, int64_t now_ms, const char *payload,
                struct http_headers *headers, char ret_signature[SIGV4_HEX_SIZE]) {
        char when[STAMP_SIZE], hash[SHA256_HEX_SIZE], signature[SIGV4_HEX_SIZE];
        bool is_s3 = streq(k->service, "s3");
        stamp(now_ms, when);
        if (!payload) {
                sha256_hex(q->body, hash);
                payload = hash;
        }
        http_headers_add(headers, "X-Amz-Date", when);
        if (has_token(k))
                http_headers_add(headers, "X-Amz-Security-Token", k->session_token);
        if (is_s3)
                http_headers_add(headers, "X-Amz-Content-Sha256", payload);

        AUTO(strv) struct strv names = {0};
        collect_names(headers, &names);
        AUTO(str) struct str canonical = STR_INIT(0);
        append_canonical(q, headers, &names, payload, is_s3, &canonical);
        sign_canonical(k->secret_key, when, sv_of(k->region), sv_of(k->service), str_sv(&canonical), signature);

        AUTO(free) char *joined = strv_join(&names, ";");
        http_headers_addf(headers, "Authorization", "%s Credential=%s/%.8s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s", algorithm,
                          k->access_key, when, k->region, k->service, joined, signature);
        if (ret_signature)
                memcpy(ret_signature, signature, SIGV4_HEX_SIZE);
}

char *sigv4_presign(const struct sigv4_keys *k, const struct sigv4_request *q, const char *host, int64_t now_ms, int expires_s) {
        char when[STAMP_SIZE], signature[SIGV4_HEX_SIZE];
        stamp(now_ms, when);
        AUTO(str) struct str query = STR_INIT(0);
        str_append_s(&query, q->query ? q->query : "");
        query_add(&query, "X-Amz-Algorithm", algorithm);
        AUTO(free) char *credential = xasprintf("%s/%.8s/%s/%s/aws4_request", k->access_key, when, k->region, k->service);
        query_add(&query, "X-Amz-Credential", credential);
        query_add(&query, "X-Amz-Date", when);
        AUTO(free) char *expires = xasprintf("%d", expires_s);
        query_add(&query, "X-Amz-Expires", expires);
        if (has_token(k))
                query_add(&query, "X-Amz-Security-Token", k->session_token);
        query_add(&query, "X-Amz-SignedHeaders", "host");

        struct sigv4_request signed_request = *q;
        signed_request.query = str_cstr(&query);
        AUTO(http_headers) struct http_headers headers = {0};
        http_headers_add(&headers, "Host", host);
        AUTO(strv) struct strv names = {0};
        strv_add(&names, "host");
        AUTO(str) struct str canonical = STR_INIT(0);
        append_canonical(&signed_request, &headers, &names, SIGV4_UNSIGNED_PAYLOAD, streq(k->service, "s3"), &canonical);
        sign_canonical(k->secret_key, when, sv_of(k->region), sv_of(k->service), str_sv(&canonical), signature);
        query_add(&query, "X-Amz-Signature", signature);
        return str_take(&query);
}

void sigv4_chunk(const struct sigv4_keys *k, int64_t now_ms, const char *previous, struct sv chunk, char ret[SIGV4_HEX_SIZE]) {
        char when[STAMP_SIZE], empty[SHA256_HEX_SIZE], hash[SHA256_HEX_SIZE];
        stamp(now_ms, when);
        sha256_hex(SV_NULL, empty);
        sha256_hex(chunk, hash);
        AUTO(str) struct str text = STR_INIT(0);
        str_appendf(&text, "%s-PAYLOAD\n%s\n%.8s/%s/%s/aws4_request\n%s\n%s\n%s", algorithm, when, when, k->region, k->service, previous,
                    empty, hash);
        sign_text(k->secret_key, when, sv_of(k->region), sv_of(k->service), str_sv(&text), ret);
}

/* ---- verifying ---- */

void sigv4_identity_done(struct sigv4_identity *i) {
        free(i->access_key);
        free(i->region);
        free(i->service);
        free(i->session_token);
}

/* What a request says about its signature, from wherever it says it. */
struct claim {
        char *credential, *signed_headers, *signature, *date, *token, *payload;
        int64_t expires_s; /* presigned only */
        bool is_presigned;
};

static void claim_cleanup_(struct claim *c) {
        free(c->credential);
        free(c->signed_headers);
        free(c->signature);
        free(c->date);
        free(c->token);
        free(c->payload);
}

static const char *authorization_of(const struct http_headers *headers) {
        const char *a = http_headers_get(headers, "Authorization");
        return a && str_starts(a, algorithm) && a[sizeof algorithm - 1] == ' ' ? a + sizeof algorithm : NULL;
}

static bool is_presigned(const struct sigv4_request *q) {
        AUTO(free) char *a = q->query ? query_get(q->query, "X-Amz-Algorithm") : NULL;
        return streq_null(a, algorithm);
}

bool sigv4_is_signed(const struct sigv4_request *q, const struct http_headers *headers) {
        return authorization_of(headers) || is_presigned(q);
}

static int unreadable(struct err *err, const char *what) {
        return err_http(err, -EINVAL, 400, "IncompleteSignature", "the request's signature lacks %s", what);
}

static void read_authorization(const char *text, struct claim *c) {
        struct sv rest = sv_of(text), part;
        while (sv_split(&rest, ',', &part)) {
                part = sv_trim(part);
                ssize_t eq = sv_find_char(part, '=');
                if (eq < 0)
                        continue;
                struct sv key = sv_new(part.data, (size_t)eq), value = sv_new(part.data + eq + 1, part.len - (size_t)eq - 1);
                char **to = sv_eqs(key, "Credential") ? &c->credential
                            : sv_eqs(key, "SignedHeaders") ? &c->signed_headers
                            : sv_eqs(key, "Signature")     ? &c->signature
                                                           : NULL;
                if (to && !*to)
                        *to = sv_dup(value);
        }
}

static int read_claim(const struct sigv4_request *q, const struct http_headers *headers, struct claim *c, struct err *err) {
        const char *authorization = authorization_of(headers);
        if (authorization) {
                read_authorization(authorization, c);
                c->date = xstrdup_null(http_headers_get(headers, "X-Amz-Date"));
                c->token = xstrdup_null(http_headers_get(headers, "X-Amz-Security-Token"));
        } else if (is_presigned(q)) {
                c->is_presigned = true;
                c->credential = query_get(q->query, "X-Amz-Credential");
                c->signed_headers = query_get(q->query, "X-Amz-SignedHeaders");
                c->signature = query_get(q->query, "X-Amz-Signature");
                c->date = query_get(q->query, "X-Amz-Date");
                c->token = query_get(q->query, "X-Amz-Security-Token");
                AUTO(free) char *expires = query_get(q->query, "X-Amz-Expires");
                if (!expires || !sv_to_int64(sv_of(expires), &c->expires_s) || c->expires_s < 0 || c->expires_s > SIGV4_MAX_EXPIRES_S)
                        return unreadable(err, "X-Amz-Expires between 0 and 604800");
        } else {
                return err_http(err, -EACCES, 403, "MissingAuthenticationToken", "the request is not signed");
        }
        c->payload = xstrdup_null(http_headers_get(headers, "X-Amz-Content-Sha256"));
        if (!c->credential)
                return unreadable(err, "Credential");
        if (!c->signed_headers || !*c->signed_headers)
                return unreadable(err, "SignedHeaders");
        if (!c->signature)
                return unreadable(err, "Signature");
        return c->date ? 0 : unreadable(err, "X-Amz-Date");
}

/* key/20150830/region/service/aws4_request; keys have no slash, but be exact from the right. */
static int split_credential(const struct claim *c, struct sv parts[5], struct err *err) {
        struct sv rest = sv_of(c->credential);
        for (int i = 4; i > 0; i--) {
                ssize_t at = sv_rfind_char(rest, '/');
                if (at < 0)
                        return unreadable(err, "a credential of the form key/date/region/service/aws4_request");
                parts[i] = sv_new(rest.data + at + 1, rest.len - (size_t)at - 1);
                rest = sv_new(rest.data, (size_t)at);
        }
        parts[0] = rest;
        if (!sv_eqs(parts[4], "aws4_request") || !rest.len)
                return unreadable(err, "a credential of the form key/date/region/service/aws4_request");
        return 0;
}

static int check_time(const struct claim *c, struct sv day, int64_t now_ms, struct err *err) {
        int64_t at;
        if (!parse_stamp(sv_of(c->date), &at) || !sv_eq(day, sv_new(c->date, DAY_LEN)))
                return unreadable(err, "a date that is that of the credential");
        if (at - now_ms > SIGV4_MAX_SKEW_MS)
                return err_http(err, -EACCES, 403, "SignatureDoesNotMatch", "Signature not yet current: %s is later than the server's time",
                                c->date);
        int64_t lifetime_ms = c->is_presigned ? c->expires_s * 1000 : SIGV4_MAX_SKEW_MS;
        if (now_ms - at > lifetime_ms)
                return err_http(err, -EACCES, 403, c->is_presigned ? "AccessDenied" : "SignatureDoesNotMatch",
                                "Signature expired: %s is too long ago", c->date);
        return 0;
}

static int check_signed_headers(const struct claim *c, const struct http_headers *headers, struct strv *names, struct err *err) {
        strv_split(names, c->signed_headers, ';');
        if (names->len > MAX_SIGNED_HEADERS || !strv_has(names, "host"))
                return unreadable(err, "host among the signed headers");
        for (size_t i = 0; i < names->len; i++) {
                if (!http_headers_get(headers, names->items[i]))
                        return unreadable(err, "a header that it says is signed");
        }
        /* What AWS itself gives a meaning to must not be added on the way. */
        vec_foreach(h, &headers->list) {
                if (strncasecmp(h->name, "x-amz-", 6) != 0)
                        continue;
                bool found = false;
                for (size_t i = 0; i < names->len && !found; i++)
                        found = strcasecmp(h->name, names->items[i]) == 0;
                if (!found && strcasecmp(h->name, "x-amz-content-sha256") != 0)
                        return err_http(err, -EACCES, 403, "AccessDenied", "the header %s is not signed", h->name);
        }
        return 0;
}

/* The word or hash in the canonical request; a hash that was sent must be that of the body. */
static int check_payload(const struct claim *c, const struct sigv4_request *q, bool is_s3, char hash[SHA256_HEX_SIZE], const char **ret,
                         struct err *err) {
        if (c->is_presigned && is_s3) {
                *ret = c->payload ? c->payload : SIGV4_UNSIGNED_PAYLOAD;
                return 0;
        }
        sha256_hex(q->body, hash);
        *ret = hash;
        if (!c->payload || streq(c->payload, hash))
                return 0;
        if (str_starts(c->payload, "UNSIGNED-") || str_starts(c->payload, "STREAMING-")) {
                *ret = c->payload;
                return 0;
        }
        return err_http(err, -EACCES, 400, "XAmzContentSHA256Mismatch",
                        "the body's SHA-256 is not that of the header x-amz-content-sha256");
}

int sigv4_verify(const struct sigv4_request *q, const struct http_headers *headers, int64_t now_ms, const char *service,
                 const char *(*secret_of)(void *arg, const char *access_key), void *arg, struct sigv4_identity *ret, struct err *err) {
        AUTO(claim) struct claim c = {0};
        struct sv parts[5];
        int r = read_claim(q, headers, &c, err);
        if (r < 0 || (r = split_credential(&c, parts, err)) < 0 || (r = check_time(&c, parts[1], now_ms, err)) < 0)
                return r;
        if (service && !sv_eqs(parts[3], service))
                return err_http(err, -EACCES, 403, "SignatureDoesNotMatch", "Credential should be scoped to correct service: '%s'",
                                service);
        AUTO(strv) struct strv names = {0};
        if ((r = check_signed_headers(&c, headers, &names, err)) < 0)
                return r;
        bool is_s3 = sv_eqs(parts[3], "s3");
        char hash[SHA256_HEX_SIZE];
        const char *payload;
        if ((r = check_payload(&c, q, is_s3, hash, &payload, err)) < 0)
                return r;
        AUTO(free) char *access_key = sv_dup(parts[0]);
        const char *secret = secret_of(arg, access_key);
        if (!secret)
                return err_http(err, -EACCES, 403, "UnrecognizedClientException", "The security token included in the request is invalid");

        char expected[SIGV4_HEX_SIZE];
        AUTO(str) struct str canonical = STR_INIT(0);
        append_canonical(q, headers, &names, payload, is_s3, &canonical);
        sign_canonical(secret, c.date, parts[2], parts[3], str_sv(&canonical), expected);
        if (strlen(c.signature) != SIGV4_HEX_SIZE - 1 || CRYPTO_memcmp(c.signature, expected, SIGV4_HEX_SIZE - 1) != 0)
                return err_http(
                        err, -EACCES, 403, "SignatureDoesNotMatch",
                        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.");
        *ret = (struct sigv4_identity){.access_key = TAKE(access_key),
                                       .region = sv_dup(parts[2]),
                                       .service = sv_dup(parts[3]),
                                       .session_token = TAKE(c.token),
                                       .is_presigned = c.is_presigned};
        return 0;
}
