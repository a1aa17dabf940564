#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>

#include "codec/ktime.h"
#include "net/tls-internal.h"

struct tls_context {
        SSL_CTX *ctx;
        bool is_server;
        bool insecure;
        char *server_name;
};

/* The first entry of OpenSSL's queue, which is then emptied. */
static int openssl_error(struct err *err, int code, const char *what) {
        unsigned long e = ERR_get_error();
        const char *reason = e ? ERR_reason_error_string(e) : NULL;
        ERR_clear_error();
        return err_set(err, code, "%s: %s", what, reason ? reason : "unknown TLS failure");
}

static BIO *bio_of(struct sv text) { return BIO_new_mem_buf(text.data ? text.data : "", (int)text.len); }
static void bio_cleanup_(BIO **b) { BIO_free(*b); }
static void x509_cleanup_(X509 **c) { X509_free(*c); }
static void pkey_cleanup_(EVP_PKEY **k) { EVP_PKEY_free(*k); }

/* A key behind a pass phrase must fail, not ask on the terminal. */
static int no_pass_phrase(char *buf, int size, int rwflag, void *arg) { return -1; }

static int load_key(struct sv pem, EVP_PKEY **ret, struct err *err) {
        AUTO(bio) BIO *b = bio_of(pem);
        EVP_PKEY *k = PEM_read_bio_PrivateKey(b, NULL, no_pass_phrase, NULL);
        if (!k)
                return openssl_error(err, -EINVAL, "the private key is not readable PEM (or is encrypted)");
        *ret = k;
        return 0;
}

static int use_cert(SSL_CTX *ctx, struct sv cert_pem, struct sv key_pem, struct err *err) {
        AUTO(bio) BIO *b = bio_of(cert_pem);
        AUTO(x509) X509 *leaf = PEM_read_bio_X509_AUX(b, NULL, no_pass_phrase, NULL);
        if (!leaf)
                return openssl_error(err, -EINVAL, "the certificate is not readable PEM");
        if (SSL_CTX_use_certificate(ctx, leaf) != 1)
                return openssl_error(err, -EINVAL, "the certificate cannot be used");
        X509 *more;
        while ((more = PEM_read_bio_X509(b, NULL, no_pass_phrase, NULL))) {
                if (SSL_CTX_add0_chain_cert(ctx, more) != 1) {
                        X509_free(more);
                        return openssl_error(err, -EINVAL, "the certificate chain cannot be used");
                }
        }
        ERR_clear_error(); /* the end of the text is an error to OpenSSL */
        AUTO(pkey) EVP_PKEY *key = NULL;
        int r = load_key(key_pem, &key, err);
        if (r < 0)
                return r;
        if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
                return openssl_error(err, -EINVAL, "the private key does not belong to the certificate");
        return 0;
}

static int trust(SSL_CTX *ctx, struct sv ca_pem, bool announce, struct err *err) {
        AUTO(bio) BIO *b = bio_of(ca_pem);
        X509_STORE *store = SSL_CTX_get_cert_store(ctx);
        int count = 0;
        for (;;) {
                AUTO(x509) X509 *ca = PEM_read_bio_X509_AUX(b, NULL, no_pass_phrase, NULL);
                if (!ca)
                        break;
                if (X509_STORE_add_cert(store, ca) != 1)
                        return openssl_error(err, -EINVAL, "a certificate of the authorities cannot be used");
                if (announce)
                        SSL_CTX_add_client_CA(ctx, ca);
                count++;
        }
        ERR_clear_error();
        return count ? 0 : err_set(err, -EINVAL, "there is no PEM certificate in the text of the certificate authorities");
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned inlen, void *arg) {
        static const unsigned char ours[] = "\x08http/1.1";
        unsigned char *chosen;
        if (SSL_select_next_proto(&chosen, outlen, ours, sizeof ours - 1, in, inlen) != OPENSSL_NPN_NEGOTIATED)
                return SSL_TLSEXT_ERR_NOACK;
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
}

/* A client certificate that does not verify is as good as none: the request may carry a token, and if not, the
 * server above answers 401, which says more than a closed connection. */
static int tolerate(int ok, X509_STORE_CTX *store) { return 1; }

/* OpenSSL forgets the certificate that it refused; messages want it. */
static pthread_once_t refused_once = PTHREAD_ONCE_INIT;
static int refused_index;

static void free_refused(void *parent, void *cert, CRYPTO_EX_DATA *data, int index, long argl, void *argp) { X509_free(cert); }
static void make_refused_index(void) { refused_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_refused); }

static int remember_refused(int ok, X509_STORE_CTX *store) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
        X509 *cert = X509_STORE_CTX_get_current_cert(store);
        if (ok || !ssl || !cert || SSL_get_ex_data(ssl, refused_index))
                return ok;
        X509_up_ref(cert);
        SSL_set_ex_data(ssl, refused_index, cert);
        return 0;
}

static struct tls_context *context_new(bool is_server) {
        struct tls_context *t = NEW(struct tls_context);
        t->is_server = is_server;
        t->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
        if (!t->ctx)
                abort(); /* out of memory: OpenSSL's tables are there or the program would not have started */
        SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
        SSL_CTX_set_options(t->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(t->ctx, 0);
        return t;
}

int tls_server_new(const struct tls_server_options *o, struct tls_context **ret, struct err *err) {
        AUTO(tls_context) struct tls_context *t = context_new(true);
        int r = use_cert(t->ctx, o->cert_pem, o->key_pem, err);
        if (r < 0)
                return err_wrap(err, r, "TLS server");
        if (o->client_ca_pem.len) {
                r = trust(t->ctx, o->client_ca_pem, true, err);
                if (r < 0)
                        return err_wrap(err, r, "TLS server, client certificates");
                SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, tolerate);
        }
        SSL_CTX_set_alpn_select_cb(t->ctx, select_alpn, NULL);
        *ret = TAKE(t);
        return 0;
}

int tls_client_new(const struct tls_client_options *o, struct tls_context **ret, struct err *err) {
        AUTO(tls_context) struct tls_context *t = context_new(false);
        int r = 0;
        if (o->ca_pem.len)
                r = trust(t->ctx, o->ca_pem, false, err);
        else if (!o->insecure && SSL_CTX_set_default_verify_paths(t->ctx) != 1)
                r = openssl_error(err, -EIO, "the system's certificate authorities");
        if (r < 0)
                return err_wrap(err, r, "TLS client");
        if (o->cert_pem.len) {
                r = use_cert(t->ctx, o->cert_pem, o->key_pem, err);
                if (r < 0)
                        return err_wrap(err, r, "TLS client certificate");
        }
        static const unsigned char http11[] = "\x08http/1.1";
        SSL_CTX_set_alpn_protos(t->ctx, http11, sizeof http11 - 1);
        t->insecure = o->insecure;
        pthread_once(&refused_once, make_refused_index);
        SSL_CTX_set_verify(t->ctx, o->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, o->insecure ? NULL : remember_refused);
        t->server_name = xstrdup_null(o->server_name);
        *ret = TAKE(t);
        return 0;
}

void tls_context_free(struct tls_context *t) {
        if (!t)
                return;
        SSL_CTX_free(t->ctx);
        free(t->server_name);
        free(t);
}

bool tls_is_server(const struct tls_context *t) { return t->is_server; }

static bool is_ip_address(const char *host) {
        ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);
        ASN1_OCTET_STRING_free(ip);
        ERR_clear_error();
        return ip != NULL;
}

int tls_session_new(struct tls_context *t, const char *host, SSL **ret, struct err *err) {
        SSL *ssl = SSL_new(t->ctx);
        if (!ssl)
                return openssl_error(err, -ENOMEM, "TLS session");
        if (t->is_server) {
                SSL_set_accept_state(ssl);
                *ret = ssl;
                return 0;
        }
        const char *name = t->server_name ? t->server_name : host;
        int ok;
        if (is_ip_address(name)) {
                ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
        } else {
                SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
                ok = SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
        }
        if (ok != 1) {
                SSL_free(ssl);
                return openssl_error(err, -EINVAL, "TLS session: bad host name");
        }
        SSL_set_connect_state(ssl);
        *ret = ssl;
        return 0;
}

static char *name_text(X509_NAME *name, int nid) {
        int at = X509_NAME_get_index_by_NID(name, nid, -1);
        unsigned char *utf8 = NULL;
        int len = at < 0 ? -1 : ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
        /* A name with a NUL inside would read differently to C than to who signed it. */
        char *text = len < 0 || memchr(utf8, 0, (size_t)len) ? NULL : xstrndup((char *)utf8, (size_t)len);
        OPENSSL_free(utf8);
        return text;
}

void tls_session_subject(SSL *ssl, char **ret_common_name, struct strv *organizations) {
        X509 *cert = SSL_get0_peer_certificate(ssl);
        if (!cert || SSL_get_verify_result(ssl) != X509_V_OK)
                return;
        X509_NAME *name = X509_get_subject_name(cert);
        *ret_common_name = name_text(name, NID_commonName);
        int at = -1;
        while (organizations && (at = X509_NAME_get_index_by_NID(name, NID_organizationName, at)) >= 0) {
                unsigned char *utf8 = NULL;
                int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
                if (len >= 0 && !memchr(utf8, 0, (size_t)len))
                        strv_add_n(organizations, (char *)utf8, (size_t)len);
                OPENSSL_free(utf8);
        }
}

static int64_t asn1_seconds(const ASN1_TIME *t) {
        struct tm tm = {0};
        if (ASN1_TIME_to_tm(t, &tm) != 1)
                return -1;
        return ktime_from_civil(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void append_date(struct str *out, const ASN1_TIME *t) {
        struct tm tm = {0};
        if (ASN1_TIME_to_tm(t, &tm) == 1)
                str_appendf(out, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
        else
                str_append_s(out, "an unreadable date");
}

/* "a.example, *.b.example, 10.0.0.1", or the common name of old certificates. */
static void append_names(struct str *out, X509 *cert) {
        GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        int count = names ? sk_GENERAL_NAME_num(names) : 0;
        int shown = 0;
        for (int i = 0; i < count && shown < 10; i++) {
                const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
                if (n->type == GEN_DNS) {
                        str_appendf(out, "%s%.*s", shown++ ? ", " : "", ASN1_STRING_length(n->d.dNSName),
                                    ASN1_STRING_get0_data(n->d.dNSName));
                } else if (n->type == GEN_IPADD && ASN1_STRING_length(n->d.iPAddress) == 4) {
                        const unsigned char *ip = ASN1_STRING_get0_data(n->d.iPAddress);
                        str_appendf(out, "%s%d.%d.%d.%d", shown++ ? ", " : "", ip[0], ip[1], ip[2], ip[3]);
                }
        }
        if (count > shown && shown == 10)
                str_append_s(out, ", ...");
        if (!shown) {
                AUTO(free) char *cn = name_text(X509_get_subject_name(cert), NID_commonName);
                str_append_s(out, cn ? cn : "no name at all");
        }
        GENERAL_NAMES_free(names);
}

static int verify_error(SSL *ssl, long result, X509 *cert, struct err *err) {
        AUTO(str) struct str text = STR_INIT(4096);
        switch (result) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
                str_append_s(&text, "certificate has expired on ");
                append_date(&text, X509_get0_notAfter(cert));
                break;
        case X509_V_ERR_CERT_NOT_YET_VALID:
                str_append_s(&text, "certificate is not valid before ");
                append_date(&text, X509_get0_notBefore(cert));
                break;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH: {
                const char *host = X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0);
                char *ip = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(ssl));
                str_append_s(&text, "certificate is for ");
                append_names(&text, cert);
                str_appendf(&text, ", not %s", host ? host : ip ? ip : "the host called");
                OPENSSL_free(ip);
                break;
        }
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
                AUTO(free) char *issuer = name_text(X509_get_issuer_name(cert), NID_commonName);
                str_appendf(&text, "certificate is signed by unknown authority%s%s%s", issuer ? " \"" : "", issuer ? issuer : "",
                            issuer ? "\"" : "");
                break;
        }
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
                str_append_s(&text, "certificate's signature is wrong: its authority has the trusted one's name but another key");
                break;
        default:
                str_appendf(&text, "certificate is not acceptable: %s", X509_verify_cert_error_string(result));
        }
        return err_set(err, -EKEYREJECTED, "TLS: the server's %s", str_cstr(&text));
}

int tls_session_error(SSL *ssl, int ssl_error, struct err *err) {
        long result = SSL_get_verify_result(ssl);
        unsigned long e = ERR_get_error();
        int reason = ERR_GET_REASON(e);
        const char *text = e ? ERR_reason_error_string(e) : NULL;
        ERR_clear_error();
        X509 *refused = SSL_is_server(ssl) ? NULL : SSL_get_ex_data(ssl, refused_index);
        if (ssl_error == SSL_ERROR_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED && result != X509_V_OK && refused)
                return verify_error(ssl, result, refused, err);
        if (ssl_error == SSL_ERROR_SYSCALL || ssl_error == SSL_ERROR_ZERO_RETURN || !e ||
            reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
                return err_set(err, -ECONNRESET, "TLS: the peer closed the connection during the handshake");
        if (reason == SSL_R_WRONG_VERSION_NUMBER && !SSL_is_server(ssl))
                return err_set(err, -EPROTO, "TLS: the server does not speak TLS on this port (is it plain http?)");
        if (reason == SSL_R_HTTP_REQUEST)
                return err_set(err, -EPROTO, "TLS: the client sent an HTTP request to an HTTPS server");
        /* Alerts of the peer: "tlsv13 alert certificate required", "sslv3 alert bad certificate". */
        return err_set(err, -EPROTO, "TLS: %s", text ? text : "protocol error");
}

int tls_cert_expiry(struct sv cert_pem, int64_t *ret_seconds, struct err *err) {
        AUTO(bio) BIO *b = bio_of(cert_pem);
        AUTO(x509) X509 *cert = PEM_read_bio_X509(b, NULL, no_pass_phrase, NULL);
        if (!cert)
                return openssl_error(err, -EINVAL, "the certificate is not readable PEM");
        int64_t seconds = asn1_seconds(X509_get0_notAfter(cert));
        if (seconds < 0)
                return err_set(err, -EINVAL, "the certificate's end date is not readable");
        *ret_seconds = seconds;
        return 0;
}
