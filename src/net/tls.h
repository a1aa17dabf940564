/* TLS contexts (OpenSSL), for servers and for clients; keys and certificates for a cluster of our own. */
#ifndef FIRESTEEL_NET_TLS_H
#define FIRESTEEL_NET_TLS_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

struct tls_context;

struct tls_server_options {
        struct sv cert_pem;      /* chain, leaf first */
        struct sv key_pem;
        struct sv client_ca_pem; /* when set, a client certificate is asked for (not required) and verified against it */
};
MUST_USE int tls_server_new(const struct tls_server_options *o, struct tls_context **ret, struct err *err);

struct tls_client_options {
        struct sv ca_pem;           /* empty = the system's */
        struct sv cert_pem, key_pem; /* client certificate, or empty */
        bool insecure;              /* no verification */
        const char *server_name;    /* SNI and verified name; NULL = the host called */
};
MUST_USE int tls_client_new(const struct tls_client_options *o, struct tls_context **ret, struct err *err);
void tls_context_free(struct tls_context *t);
DEFINE_AUTO_PTR(tls_context, struct tls_context, tls_context_free)

/* A certificate authority and the certificates it signs (ECDSA P-256). All texts PEM, owned by the caller. */
struct tls_cert_request {
        const char *common_name;
        const char *const *organizations; /* NULL-terminated or NULL: Kubernetes groups */
        const char *const *dns_names;     /* NULL-terminated or NULL */
        const char *const *ip_addresses;  /* NULL-terminated or NULL */
        int days;
        bool is_server, is_client;
};
MUST_USE int tls_make_ca(const char *common_name, int days, char **ret_cert_pem, char **ret_key_pem, struct err *err);
MUST_USE int tls_make_cert(struct sv ca_cert_pem, struct sv ca_key_pem, const struct tls_cert_request *req, char **ret_cert_pem,
                           char **ret_key_pem, struct err *err);
/* Unix seconds at which the first certificate of the text expires; for "your certificate expired on ..." */
MUST_USE int tls_cert_expiry(struct sv cert_pem, int64_t *ret_seconds, struct err *err);

#endif
