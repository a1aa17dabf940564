/* What a client needs to reach one cluster as one user: a kubeconfig's context, or a pod's service account, with
 * certificates read. Secrets that change while a program runs (token files, exec plugins) stay references, which
 * kube/credentials.h renews.
 *
 *     AUTO(kube_access) struct kube_access a = {0};
 *     r = kube_access_of(&k, &(struct kube_access_options){.context = "prod"}, &a, err);
 */
#ifndef FIRESTEEL_KUBE_ACCESS_H
#define FIRESTEEL_KUBE_ACCESS_H

#include "kube/kubeconfig.h"

struct kube_exec_env {
        char *name, *value;
};

/* A credential plugin (client.authentication.k8s.io). */
struct kube_exec {
        char *api_version; /* .../v1 or .../v1beta1 */
        char *command;
        struct strv args;
        VEC(struct kube_exec_env) env;
        char *install_hint;
        char *interactive_mode; /* Never, IfAvailable, Always */
        bool provide_cluster_info;
        char *cluster_config; /* JSON of the cluster's extension for plugins, or NULL */
};

struct kube_access {
        char *source;  /* for messages: "context prod of /home/u/.kube/config" */
        char *context; /* NULL outside kubeconfig */
        char *cluster, *user; /* names; NULL outside kubeconfig */
        char *server;  /* https://host:port, without a trailing slash */
        char *namespace_; /* the context's or service account's; NULL when it names none */
        char *tls_server_name;
        char *proxy_url; /* the cluster's; NULL: the environment decides (net/proxy_env.h) */
        bool insecure;
        struct str ca_pem, cert_pem, key_pem; /* empty when there is none */
        char *token, *token_file;             /* token_file is read again as it changes and wins */
        char *username, *password;
        char *as_user, *as_uid; /* impersonation */
        struct strv as_groups;
        struct kube_exec *exec; /* NULL when there is no plugin */
};

void kube_access_done(struct kube_access *a);
DEFINE_AUTO_VALUE(kube_access, struct kube_access, kube_access_done)

void kube_access_copy(const struct kube_access *a, struct kube_access *ret);

/* What to do when the context asked for does not exist. */
enum kube_missing_context {
        KUBE_MISSING_CONTEXT_ERROR,
        KUBE_MISSING_CONTEXT_CURRENT, /* take the current one (Spark 4.1) */
        KUBE_MISSING_CONTEXT_NONE,    /* go on without credentials (Spark 3.5) */
};

struct kube_access_options {
        const char *context;   /* NULL = the current one */
        const char *cluster;   /* overrides of what the context says; NULL = keep */
        const char *user;
        const char *server;    /* the cluster entry may then be missing */
        const char *namespace_;
        const char *ca_file;   /* files and values that replace the kubeconfig's */
        const char *cert_file, *key_file;
        const char *token, *token_file;
        bool insecure;
        enum kube_missing_context missing_context;
        const char *service_account_dir; /* NULL = /var/run/secrets/kubernetes.io/serviceaccount */
};

enum { KUBE_NO_CLUSTER = -EDESTADDRREQ };
/* With no kubeconfig at all: the pod's service account inside a cluster, else `server` alone, else KUBE_NO_CLUSTER, which says
 * what was looked for. */
MUST_USE int kube_access_of(const struct kubeconfig *k, const struct kube_access_options *o, struct kube_access *ret, struct err *err);

#endif
