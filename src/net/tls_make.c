/* A certificate authority and the certificates it signs: ECDSA P-256, as kubeadm could make them. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/rand.h"
#include "net/tls.h"

static void x509_cleanup_(X509 **c) { X509_free(*c); }
static void pkey_cleanup_(EVP_PKEY **k) { EVP_PKEY_free(*k); }
static void bio_cleanup_(BIO **b) { BIO_free(*b); }

static int failed(struct err *err, const char *what) {
        unsigned long e = ERR_get_error();
        const char *reason = e ? ERR_reason_error_string(e) : NULL;
        ERR_clear_error();
        return err_set(err, -EINVAL, "making a certificate: %s: %s", what, reason ? reason : "OpenSSL refused");
}

static char *bio_text(BIO *b) {
        char *data;
        long len = BIO_get_mem_data(b, &data);
        return xstrndup(data, (size_t)len);
}

static char *cert_text(X509 *cert) {
        AUTO(bio) BIO *b = BIO_new(BIO_s_mem());
        return PEM_write_bio_X509(b, cert) == 1 ? bio_text(b) : NULL;
}

static char *key_text(EVP_PKEY *key) {
        AUTO(bio) BIO *b = BIO_new(BIO_s_mem());
        return PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1 ? bio_text(b) : NULL;
}

static bool add_name(X509_NAME *name, const char *field, const char *value) {
        return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
        X509V3_CTX ctx;
        X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        bool ok = e && X509_add_ext(cert, e, -1) == 1;
        X509_EXTENSION_free(e);
        return ok;
}

/* Version, random serial, validity from an hour ago (clocks differ), key. */
static bool begin(X509 *cert, EVP_PKEY *key, int days) {
        unsigned char serial[16];
        rand_bytes(serial, sizeof serial);
        serial[0] = (serial[0] & 0x7f) | 0x40; /* positive and of one length */
        BIGNUM *n = BN_bin2bn(serial, sizeof serial, NULL);
        bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) && X509_set_version(cert, X509_VERSION_3) == 1 &&
                  X509_gmtime_adj(X509_getm_notBefore(cert), -3600) && X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL) &&
                  X509_set_pubkey(cert, key) == 1;
        BN_free(n);
        return ok;
}

static int write_out(X509 *cert, EVP_PKEY *key, char **ret_cert_pem, char **ret_key_pem, struct err *err) {
        AUTO(free) char *c = cert_text(cert);
        AUTO(free) char *k = key_text(key);
        if (!c || !k)
                return failed(err, "writing PEM");
        *ret_cert_pem = TAKE(c);
        *ret_key_pem = TAKE(k);
        return 0;
}

int tls_make_ca(const char *common_name, int days, char **ret_cert_pem, char **ret_key_pem, struct err *err) {
        AUTO(pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
        AUTO(x509) X509 *cert = X509_new();
        if (!key || !cert || !begin(cert, key, days))
                return failed(err, "key");
        X509_NAME *name = X509_get_subject_name(cert);
        if (!add_name(name, "CN", common_name) || X509_set_issuer_name(cert, name) != 1)
                return failed(err, common_name);
        if (!add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE") ||
            !add_extension(cert, cert, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign") ||
            !add_extension(cert, cert, NID_subject_key_identifier, "hash"))
                return failed(err, "extensions");
        if (!X509_sign(cert, key, EVP_sha256()))
                return failed(err, "signature");
        return write_out(cert, key, ret_cert_pem, ret_key_pem, err);
}

static bool add_alternative_names(X509 *cert, const struct tls_cert_request *req) {
        GENERAL_NAMES *names = GENERAL_NAMES_new();
        bool ok = names != NULL;
        for (const char *const *d = req->dns_names; ok && d && *d; d++) {
                GENERAL_NAME *n = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, *d, 0);
                ok = n && sk_GENERAL_NAME_push(names, n) > 0;
        }
        for (const char *const *ip = req->ip_addresses; ok && ip && *ip; ip++) {
                GENERAL_NAME *n = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_IPADD, *ip, 0);
                ok = n && sk_GENERAL_NAME_push(names, n) > 0;
        }
        if (ok && sk_GENERAL_NAME_num(names) > 0)
                ok = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
        GENERAL_NAMES_free(names);
        return ok;
}

static bool add_usages(X509 *cert, X509 *ca, const struct tls_cert_request *req) {
        const char *extended = req->is_server && req->is_client ? "serverAuth,clientAuth" : req->is_server ? "serverAuth" : "clientAuth";
        return add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
               add_extension(cert, ca, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
               ((!req->is_server && !req->is_client) || add_extension(cert, ca, NID_ext_key_usage, extended)) &&
               add_extension(cert, ca, NID_authority_key_identifier, "keyid");
}

int tls_make_cert(struct sv ca_cert_pem, struct sv ca_key_pem, const struct tls_cert_request *req, char **ret_cert_pem, char **ret_key_pem,
                  struct err *err) {
        AUTO(bio) BIO *cb = BIO_new_mem_buf(ca_cert_pem.data, (int)ca_cert_pem.len);
        AUTO(bio) BIO *kb = BIO_new_mem_buf(ca_key_pem.data, (int)ca_key_pem.len);
        AUTO(x509) X509 *ca = PEM_read_bio_X509(cb, NULL, NULL, NULL);
        AUTO(pkey) EVP_PKEY *ca_key = PEM_read_bio_PrivateKey(kb, NULL, NULL, NULL);
        if (!ca || !ca_key)
                return failed(err, "the authority's certificate or key is not readable PEM");
        AUTO(pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
        AUTO(x509) X509 *cert = X509_new();
        if (!key || !cert || !begin(cert, key, req->days))
                return failed(err, "key");
        X509_NAME *name = X509_get_subject_name(cert);
        for (const char *const *o = req->organizations; o && *o; o++) {
                if (!add_name(name, "O", *o))
                        return failed(err, *o);
        }
        if (!add_name(name, "CN", req->common_name) || X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1)
                return failed(err, req->common_name);
        if (!add_usages(cert, ca, req) || !add_alternative_names(cert, req))
                return failed(err, "extensions");
        if (!X509_sign(cert, ca_key, EVP_sha256()))
                return failed(err, "signature");
        return write_out(cert, key, ret_cert_pem, ret_key_pem, err);
}
