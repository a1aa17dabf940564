#include "cluster/token.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/clock.h"
#include "base/rand.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/sha256.h"

#define DEFAULT_ISSUER "https://kubernetes.default.svc.cluster.local"

struct tokens {
        EVP_PKEY *key;
        bool is_ec;
        char *issuer;
        char *key_id;
};

static int openssl_failed(struct err *err, const char *what) {
        char text[256];
        ERR_error_string_n(ERR_get_error(), text, sizeof(text));
        ERR_clear_error();
        return err_set(err, -EIO, "%s: %s", what, text);
}

int tokens_make_key(char **ret_pem, struct err *err) {
        EVP_PKEY *key = EVP_EC_gen("P-256");
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL;
        long len;
        int r = 0;

        if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
                r = openssl_failed(err, "making a key for service account tokens");
        } else {
                len = BIO_get_mem_data(bio, &text);
                *ret_pem = xstrndup(text, (size_t)len);
        }
        BIO_free(bio);
        EVP_PKEY_free(key);
        return r;
}

/* As Kubernetes: the SHA-256 of the public key's DER form. */
static char *key_id_of(EVP_PKEY *key) {
        unsigned char *der = NULL, digest[SHA256_SIZE];
        AUTO(str) struct str text = STR_INIT(0);
        int len = i2d_PUBKEY(key, &der);
        if (len <= 0)
                return xstrdup("");
        sha256(sv_new((const char *)der, (size_t)len), digest);
        OPENSSL_free(der);
        base64url_encode(sv_new((const char *)digest, sizeof(digest)), &text);
        return str_take(&text);
}

int tokens_new(struct sv key_pem, const char *issuer, struct tokens **ret, struct err *err) {
        AUTO(free) char *made = NULL;
        struct tokens *t;
        EVP_PKEY *key;
        BIO *bio;

        if (key_pem.len == 0) {
                int r = tokens_make_key(&made, err);
                if (r < 0)
                        return r;
                key_pem = sv_of(made);
        }
        bio = BIO_new_mem_buf(key_pem.data, (int)key_pem.len);
        key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        if (!key)
                return openssl_failed(err, "reading the key for service account tokens");
        if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
                EVP_PKEY_free(key);
                return err_set(err, -EINVAL, "the key for service account tokens is neither an EC P-256 nor an RSA private key");
        }
        t = NEW(struct tokens);
        t->key = key;
        t->is_ec = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
        t->issuer = xstrdup(issuer ? issuer : DEFAULT_ISSUER);
        t->key_id = key_id_of(key);
        *ret = t;
        return 0;
}

void tokens_free(struct tokens *t) {
        if (!t)
                return;
        EVP_PKEY_free(t->key);
        free(t->issuer);
        free(t->key_id);
        free(t);
}

const char *tokens_issuer(const struct tokens *t) { return t->issuer; }

/* ECDSA signatures are DER in OpenSSL and two 32-byte numbers in a JWT. */
static bool ec_to_raw(const unsigned char *der, size_t len, unsigned char raw[64]) {
        const unsigned char *p = der;
        ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
        bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32 && BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32;
        ECDSA_SIG_free(sig);
        return ok;
}

static int ec_from_raw(const unsigned char raw[64], unsigned char **ret_der) {
        ECDSA_SIG *sig = ECDSA_SIG_new();
        int len;
        ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
        len = i2d_ECDSA_SIG(sig, ret_der);
        ECDSA_SIG_free(sig);
        return len;
}

static int sign(struct tokens *t, struct str *text, struct err *err) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        unsigned char signature[1024], raw[64];
        size_t len = sizeof(signature);
        int r = 0;

        if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, t->key) != 1 ||
            EVP_DigestSign(ctx, signature, &len, (const unsigned char *)text->data, text->len) != 1 ||
            (t->is_ec && !ec_to_raw(signature, len, raw)))
                r = openssl_failed(err, "signing a token");
        EVP_MD_CTX_free(ctx);
        if (r < 0)
                return r;
        str_append_c(text, '.');
        base64url_encode(t->is_ec ? sv_new((const char *)raw, sizeof(raw)) : sv_new((const char *)signature, len), text);
        return 0;
}

static void append_reference(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *name, const char *uid) {
        yyjson_mut_val *ref = mjson_obj(doc, object, key);
        mjson_set_str(doc, ref, "name", name);
        mjson_set_str(doc, ref, "uid", uid);
}

int tokens_issue(struct tokens *t, const struct token_request *r, char **ret_token, int64_t *ret_expires_s, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        AUTO(str) struct str text = STR_INIT(0), header = STR_INIT(0);
        AUTO(free) char *payload = NULL, *subject = NULL;
        yyjson_mut_val *root = yyjson_mut_obj(doc), *audiences, *own;
        int64_t now = clock_now_ms() / 1000, lifetime = r->lifetime_s > 0 ? r->lifetime_s : TOKEN_DEFAULT_LIFETIME_S;
        const char *const issuer_only[] = {t->issuer, NULL};
        size_t len;
        char id[37];
        int failed;

        if (lifetime > TOKEN_MAX_LIFETIME_S)
                lifetime = TOKEN_MAX_LIFETIME_S;
        audiences = mjson_arr(doc, root, "aud");
        for (const char *const *a = r->audiences ? r->audiences : issuer_only; *a; a++)
                mjson_add_str(doc, audiences, *a);
        mjson_set_int(doc, root, "exp", now + lifetime);
        mjson_set_int(doc, root, "iat", now);
        mjson_set_str(doc, root, "iss", t->issuer);
        rand_uuid(id);
        mjson_set_str(doc, root, "jti", id);
        own = mjson_obj(doc, root, "kubernetes.io");
        mjson_set_str(doc, own, "namespace", r->ns);
        if (r->bound_kind)
                append_reference(doc, own, streq(r->bound_kind, "Pod") ? "pod" : "secret", r->bound_name, r->bound_uid);
        append_reference(doc, own, "serviceaccount", r->account, r->account_uid);
        mjson_set_int(doc, root, "nbf", now);
        subject = xasprintf("system:serviceaccount:%s:%s", r->ns, r->account);
        mjson_set_str(doc, root, "sub", subject);
        payload = mjson_write(root, false, &len);

        str_appendf(&header, "{\"alg\":\"%s\",\"kid\":\"%s\"}", t->is_ec ? "ES256" : "RS256", t->key_id);
        base64url_encode(str_sv(&header), &text);
        str_append_c(&text, '.');
        base64url_encode(sv_new(payload, len), &text);
        failed = sign(t, &text, err);
        if (failed < 0)
                return failed;
        *ret_token = str_take(&text);
        *ret_expires_s = now + lifetime;
        return 0;
}

void token_claims_done(struct token_claims *c) {
        free(c->ns);
        free(c->account);
        free(c->account_uid);
        free(c->pod);
        free(c->pod_uid);
        free(c->secret);
        free(c->secret_uid);
        free(c->id);
        strv_done(&c->audiences);
}

static bool signature_is_good(struct tokens *t, struct sv text, struct sv signature) {
        AUTO(str) struct str raw = STR_INIT(TOKEN_MAX_BYTES);
        EVP_MD_CTX *ctx;
        unsigned char *der = NULL;
        int len;
        bool ok;

        if (base64_decode(signature, &raw) < 0 || str_overflowed(&raw) || (t->is_ec && raw.len != 64))
                return false;
        ctx = EVP_MD_CTX_new();
        ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, t->key) == 1;
        if (ok && t->is_ec) {
                len = ec_from_raw((const unsigned char *)raw.data, &der);
                ok = len > 0 && EVP_DigestVerify(ctx, der, (size_t)len, (const unsigned char *)text.data, text.len) == 1;
                OPENSSL_free(der);
        } else if (ok) {
                ok = EVP_DigestVerify(ctx, (const unsigned char *)raw.data, raw.len, (const unsigned char *)text.data, text.len) == 1;
        }
        EVP_MD_CTX_free(ctx);
        ERR_clear_error();
        return ok;
}

static int parse_part(struct sv text, yyjson_doc **ret) {
        AUTO(str) struct str json = STR_INIT(TOKEN_MAX_BYTES);
        if (base64_decode(text, &json) < 0 || str_overflowed(&json))
                return -EINVAL;
        return json_parse(str_sv(&json), ret, NULL);
}

int tokens_verify(struct tokens *t, struct sv token, int64_t now_s, struct token_claims *ret, struct err *err) {
        AUTO(json) yyjson_doc *header = NULL, *payload = NULL;
        struct sv rest = token, parts[3];
        yyjson_val *root;
        size_t n = 0;

        if (token.len > TOKEN_MAX_BYTES)
                return err_set(err, -EINVAL, "the token is too long");
        while (n < 3 && sv_split(&rest, '.', &parts[n]))
                n++;
        if (n != 3 || rest.data || parse_part(parts[0], &header) < 0 || parse_part(parts[1], &payload) < 0)
                return err_set(err, -EINVAL, "not a JSON web token");
        root = yyjson_doc_get_root(payload);
        /* The algorithm is ours, whatever the header says: a token signed otherwise does not verify. */
        if (!streq_null(json_get_str(yyjson_doc_get_root(header), "alg"), t->is_ec ? "ES256" : "RS256") ||
            !signature_is_good(t, sv_new(token.data, (size_t)(parts[2].data - token.data) - 1), parts[2]))
                return err_set(err, -EACCES, "the token's signature is not this cluster's");
        if (!streq_null(json_get_str(root, "iss"), t->issuer))
                return err_set(err, -EACCES, "the token is of another issuer");
        if (json_get_int(root, "exp", 0) <= now_s)
                return err_set(err, -EACCES, "the token has expired");
        if (json_get_int(root, "nbf", 0) > now_s + 60)
                return err_set(err, -EACCES, "the token is not valid yet");
        if (!json_str_at(root, "/kubernetes.io/namespace") || !json_str_at(root, "/kubernetes.io/serviceaccount/name"))
                return err_set(err, -EACCES, "the token names no service account");
        *ret = (struct token_claims){
                .ns = xstrdup(json_str_at(root, "/kubernetes.io/namespace")),
                .account = xstrdup(json_str_at(root, "/kubernetes.io/serviceaccount/name")),
                .account_uid = xstrdup_null(json_str_at(root, "/kubernetes.io/serviceaccount/uid")),
                .pod = xstrdup_null(json_str_at(root, "/kubernetes.io/pod/name")),
                .pod_uid = xstrdup_null(json_str_at(root, "/kubernetes.io/pod/uid")),
                .secret = xstrdup_null(json_str_at(root, "/kubernetes.io/secret/name")),
                .secret_uid = xstrdup_null(json_str_at(root, "/kubernetes.io/secret/uid")),
                .id = xstrdup_null(json_get_str(root, "jti")),
                .expires_s = json_get_int(root, "exp", 0),
        };
        yyjson_val *audience = yyjson_obj_get(root, "aud"), *item;
        size_t i, count;
        if (yyjson_is_str(audience))
                strv_add(&ret->audiences, yyjson_get_str(audience));
        yyjson_arr_foreach(audience, i, count, item) if (yyjson_is_str(item)) strv_add(&ret->audiences, yyjson_get_str(item));
        return 0;
}

static void append_number(struct str *out, const char *key, EVP_PKEY *pkey, const char *param, int width) {
        BIGNUM *n = NULL;
        unsigned char bytes[1024];
        int len;
        if (EVP_PKEY_get_bn_param(pkey, param, &n) != 1)
                return;
        len = width ? BN_bn2binpad(n, bytes, width) : BN_num_bytes(n) <= (int)sizeof(bytes) ? BN_bn2bin(n, bytes) : 0;
        str_appendf(out, ",\"%s\":\"", key);
        if (len > 0)
                base64url_encode(sv_new((const char *)bytes, (size_t)len), out);
        str_append_c(out, '"');
        BN_free(n);
}

void tokens_jwks(const struct tokens *t, struct str *out) {
        str_appendf(out, "{\"keys\":[{\"use\":\"sig\",\"kty\":\"%s\",\"kid\":\"%s\",\"alg\":\"%s\"", t->is_ec ? "EC" : "RSA", t->key_id,
                    t->is_ec ? "ES256" : "RS256");
        if (t->is_ec) {
                str_append_s(out, ",\"crv\":\"P-256\"");
                append_number(out, "x", t->key, OSSL_PKEY_PARAM_EC_PUB_X, 32);
                append_number(out, "y", t->key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
        } else {
                append_number(out, "n", t->key, OSSL_PKEY_PARAM_RSA_N, 0);
                append_number(out, "e", t->key, OSSL_PKEY_PARAM_RSA_E, 0);
        }
        str_append_s(out, "}]}");
}
