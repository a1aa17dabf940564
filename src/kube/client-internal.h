/* What the files of the client share. */
#ifndef FIRESTEEL_KUBE_CLIENT_INTERNAL_H
#define FIRESTEEL_KUBE_CLIENT_INTERNAL_H

#include "kube/client.h"
#include "kube/credentials.h"

struct kube_client {
        struct loop *loop;
        struct kube_access access;
        struct kube_credentials *credentials;
        struct kube_retry retry;
        char *user_agent, *field_manager;
        char *proxy_url;
        bool dry_run;
        int64_t timeout_ms;
        size_t max_idle;
        /* The HTTP client of the current certificate, and those of earlier ones that calls may still be using. */
        struct tls_context *tls;
        struct http_client *http;
        unsigned generation;
        VEC(struct http_client *) old_http;
        VEC(struct tls_context *) old_tls;
};

/* The HTTP client for the credentials of now. */
MUST_USE int kube_client_http_(struct kube_client *c, struct http_client **ret, struct err *err);
/* URL and headers of a request. */
char *kube_client_url_(const struct kube_client *c, const char *path, const char *query);
void kube_client_headers_(const struct kube_client *c, const char *accept, const char *content_type, struct http_headers *ret);
/* Says to whom a transport error happened. */
int kube_client_transport_err_(const struct kube_client *c, const struct err *cause, struct err *err);
/* Adds to the error of an answer what the user can do about it. */
void kube_client_explain_(const struct kube_client *c, struct err *err);

#endif
