#include "kube/access.h"

#include "base/clock.h"
#include "base/fs.h"
#include "codec/base64.h"
#include "codec/ktime.h"
#include "net/tls.h"

enum { CREDENTIAL_MAX_BYTES = 1024 * 1024 };

static const char service_account_dir[] = "/var/run/secrets/kubernetes.io/serviceaccount";

static void exec_free(struct kube_exec *e) {
        if (!e)
                return;
        free(e->api_version);
        free(e->command);
        strv_done(&e->args);
        vec_foreach(v, &e->env) {
                free(v->name);
                free(v->value);
        }
        vec_done(&e->env);
        free(e->install_hint);
        free(e->interactive_mode);
        free(e->cluster_config);
        free(e);
}

void kube_access_done(struct kube_access *a) {
        char *texts[] = {a->source,    a->context, a->cluster,    a->user,     a->server,   a->namespace_, a->tls_server_name,
                         a->proxy_url, a->token,   a->token_file, a->username, a->password, a->as_user,    a->as_uid};
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
                free(texts[i]);
        str_done(&a->ca_pem);
        str_done(&a->cert_pem);
        str_done(&a->key_pem);
        strv_done(&a->as_groups);
        exec_free(a->exec);
        *a = (struct kube_access){0};
}

static void copy_str(struct str *to, const struct str *from) { str_append_sv(to, str_sv(from)); }

static struct kube_exec *exec_copy(const struct kube_exec *e) {
        if (!e)
                return NULL;
        struct kube_exec *copy = NEW(struct kube_exec);
        copy->api_version = xstrdup(e->api_version);
        copy->command = xstrdup(e->command);
        vec_foreach(arg, &e->args) {
                strv_add(&copy->args, *arg);
        }
        vec_foreach(v, &e->env) {
                *vec_push(&copy->env) = (struct kube_exec_env){xstrdup(v->name), xstrdup(v->value)};
        }
        copy->install_hint = xstrdup_null(e->install_hint);
        copy->interactive_mode = xstrdup_null(e->interactive_mode);
        copy->provide_cluster_info = e->provide_cluster_info;
        copy->cluster_config = xstrdup_null(e->cluster_config);
        return copy;
}

void kube_access_copy(const struct kube_access *a, struct kube_access *ret) {
        struct kube_access copy = {
                .source = xstrdup_null(a->source),
                .context = xstrdup_null(a->context),
                .cluster = xstrdup_null(a->cluster),
                .user = xstrdup_null(a->user),
                .server = xstrdup_null(a->server),
                .namespace_ = xstrdup_null(a->namespace_),
                .tls_server_name = xstrdup_null(a->tls_server_name),
                .proxy_url = xstrdup_null(a->proxy_url),
                .insecure = a->insecure,
                .token = xstrdup_null(a->token),
                .token_file = xstrdup_null(a->token_file),
                .username = xstrdup_null(a->username),
                .password = xstrdup_null(a->password),
                .as_user = xstrdup_null(a->as_user),
                .as_uid = xstrdup_null(a->as_uid),
                .exec = exec_copy(a->exec),
        };
        copy_str(&copy.ca_pem, &a->ca_pem);
        copy_str(&copy.cert_pem, &a->cert_pem);
        copy_str(&copy.key_pem, &a->key_pem);
        vec_foreach(group, &a->as_groups) {
                strv_add(&copy.as_groups, *group);
        }
        *ret = copy;
}

static void replace(char **at, const char *text) {
        if (!text)
                return;
        char *copy = xstrdup(text);
        free(*at);
        *at = copy;
}

static const char *text_or_null(yyjson_mut_val *object, const char *key) {
        const char *text = mjson_get_str(object, key);
        return text && *text ? text : NULL;
}

/* `key`-data (base64 in the file itself) or the file that `key` names. */
static int read_pem(yyjson_mut_val *object, const char *key, const char *what, struct str *ret, struct err *err) {
        AUTO(free) char *data_key = xasprintf("%s-data", key);
        const char *data = text_or_null(object, data_key);
        if (data) {
                AUTO(str) struct str decoded = STR_INIT(CREDENTIAL_MAX_BYTES);
                int r = base64_decode(sv_of(data), &decoded);
                if (r < 0 || str_overflowed(&decoded))
                        return err_set(err, -EINVAL, "%s: %s is not base64", what, data_key);
                str_clear(ret);
                str_append_sv(ret, str_sv(&decoded));
                return 0;
        }
        const char *path = text_or_null(object, key);
        if (!path)
                return 0;
        AUTO(str) struct str text = STR_INIT(0);
        int r = fs_read(path, CREDENTIAL_MAX_BYTES, &text, err);
        if (r < 0)
                return err_wrap(err, r, "%s: %s", what, key);
        str_clear(ret);
        str_append_sv(ret, str_sv(&text));
        return 0;
}

static int read_file_option(const char *path, const char *what, struct str *ret, struct err *err) {
        if (!path)
                return 0;
        AUTO(str) struct str text = STR_INIT(0);
        int r = fs_read(path, CREDENTIAL_MAX_BYTES, &text, err);
        if (r < 0)
                return err_wrap(err, r, "%s", what);
        str_clear(ret);
        str_append_sv(ret, str_sv(&text));
        return 0;
}

static char *join_names(const struct kubeconfig *k, const char *list) {
        AUTO(strv) struct strv names = {0};
        kubeconfig_names(k, list, &names);
        return names.len ? strv_join(&names, ", ") : xstrdup("none");
}

static int unknown_entry(const struct kubeconfig *k, const char *list, const char *what, const char *name, struct err *err) {
        AUTO(free) char *known = join_names(k, list);
        AUTO(free) char *files = strv_join(&k->files, ", ");
        return err_set(err, -ENOENT, "%s \"%s\" is not in the kubeconfig %s (it has: %s)", what, name, files, known);
}

static void set_server(struct kube_access *a, const char *server) {
        replace(&a->server, server);
        size_t len = strlen(a->server);
        while (len > 0 && a->server[len - 1] == '/')
                a->server[--len] = '\0';
}

static char *cluster_extension(yyjson_mut_val *cluster) {
        size_t i, n;
        yyjson_mut_val *item;
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(cluster, "extensions"), i, n, item) {
                if (streq_null(mjson_get_str(item, "name"), "client.authentication.k8s.io/exec")) {
                        yyjson_mut_val *extension = yyjson_mut_obj_get(item, "extension");
                        return extension ? mjson_write(extension, false, NULL) : NULL;
                }
        }
        return NULL;
}

static int take_cluster(const struct kubeconfig *k, const char *name, bool optional, struct kube_access *a, struct err *err) {
        yyjson_mut_val *cluster = kubeconfig_entry(k, "clusters", "cluster", name);
        if (!cluster)
                return optional ? 0 : unknown_entry(k, "clusters", "cluster", name, err);
        AUTO(free) char *what = xasprintf("cluster \"%s\" of the kubeconfig", name);
        const char *server = text_or_null(cluster, "server");
        if (server)
                set_server(a, server);
        else if (!optional)
                return err_set(err, -EINVAL, "%s names no server", what);
        replace(&a->cluster, name);
        replace(&a->tls_server_name, text_or_null(cluster, "tls-server-name"));
        replace(&a->proxy_url, text_or_null(cluster, "proxy-url"));
        a->insecure = mjson_get_bool(cluster, "insecure-skip-tls-verify", false);
        int r = read_pem(cluster, "certificate-authority", what, &a->ca_pem, err);
        if (r < 0)
                return r;
        if (a->insecure && a->ca_pem.len > 0)
                return err_set(err, -EINVAL, "%s: insecure-skip-tls-verify and a certificate authority exclude each other", what);
        return 0;
}

static int take_exec(yyjson_mut_val *exec, const char *what, struct kube_access *a, struct err *err) {
        const char *version = text_or_null(exec, "apiVersion"), *command = text_or_null(exec, "command");
        if (!command)
                return err_set(err, -EINVAL, "%s: exec names no command", what);
        if (!version || (!streq(version, "client.authentication.k8s.io/v1") && !streq(version, "client.authentication.k8s.io/v1beta1"))) {
                int r = err_set(
                        err, -EINVAL,
                        "%s: exec.apiVersion is \"%s\" (accepted: client.authentication.k8s.io/v1, client.authentication.k8s.io/v1beta1)",
                        what, version ? version : "");
                if (version && streq(version, "client.authentication.k8s.io/v1alpha1"))
                        err_hint(err, "v1alpha1 was removed in Kubernetes 1.24; update the plugin %s and write its kubeconfig entry again",
                                 command);
                return r;
        }
        struct kube_exec *e = a->exec = NEW(struct kube_exec);
        e->api_version = xstrdup(version);
        e->command = xstrdup(command);
        e->install_hint = xstrdup_null(text_or_null(exec, "installHint"));
        const char *mode = text_or_null(exec, "interactiveMode");
        if (!mode && str_ends(version, "/v1"))
                return err_set(err, -EINVAL,
                               "%s: exec.interactiveMode must be Never, IfAvailable or Always with client.authentication.k8s.io/v1", what);
        if (mode && !streq(mode, "Never") && !streq(mode, "IfAvailable") && !streq(mode, "Always"))
                return err_set(err, -EINVAL, "%s: exec.interactiveMode \"%s\" is unknown (accepted: Never, IfAvailable, Always)", what,
                               mode);
        e->interactive_mode = xstrdup(mode ? mode : "IfAvailable");
        e->provide_cluster_info = mjson_get_bool(exec, "provideClusterInfo", false);
        size_t i, n;
        yyjson_mut_val *item;
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(exec, "args"), i, n, item) {
                if (!yyjson_mut_is_str(item))
                        return err_set(err, -EINVAL, "%s: exec.args[%zu] must be a text (put it in quotes)", what, i);
                strv_add(&e->args, yyjson_mut_get_str(item));
        }
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(exec, "env"), i, n, item) {
                const char *name = text_or_null(item, "name"), *value = mjson_get_str(item, "value");
                if (!name || !value)
                        return err_set(err, -EINVAL, "%s: exec.env[%zu] must have the texts `name` and `value`", what, i);
                *vec_push(&e->env) = (struct kube_exec_env){xstrdup(name), xstrdup(value)};
        }
        return 0;
}

static int take_user(const struct kubeconfig *k, const char *name, struct kube_access *a, struct err *err) {
        yyjson_mut_val *user = kubeconfig_entry(k, "users", "user", name);
        if (!user)
                return unknown_entry(k, "users", "user", name, err);
        AUTO(free) char *what = xasprintf("user \"%s\" of the kubeconfig", name);
        replace(&a->user, name);
        yyjson_mut_val *provider = yyjson_mut_obj_get(user, "auth-provider");
        if (yyjson_mut_is_obj(provider)) {
                const char *which = mjson_get_str(provider, "name");
                int r = err_set(err, -ENOTSUP, "%s: auth-provider \"%s\" was removed from Kubernetes clients in 1.26", what,
                                which ? which : "");
                err_hint(err, "use its exec plugin: %s",
                         streq_null(which, "gcp") ? "gke-gcloud-auth-plugin (gcloud container clusters get-credentials writes the entry)"
                         : streq_null(which, "azure")
                                 ? "kubelogin (kubelogin convert-kubeconfig rewrites the entry)"
                                 : "an ExecCredential plugin of your identity provider, such as kubelogin's oidc-login");
                return r;
        }
        int r = read_pem(user, "client-certificate", what, &a->cert_pem, err);
        if (r >= 0)
                r = read_pem(user, "client-key", what, &a->key_pem, err);
        if (r < 0)
                return r;
        replace(&a->token, text_or_null(user, "token"));
        replace(&a->token_file, text_or_null(user, "tokenFile"));
        replace(&a->username, text_or_null(user, "username"));
        replace(&a->password, text_or_null(user, "password"));
        replace(&a->as_user, text_or_null(user, "as"));
        replace(&a->as_uid, text_or_null(user, "as-uid"));
        size_t i, n;
        yyjson_mut_val *item;
        yyjson_mut_arr_foreach(yyjson_mut_obj_get(user, "as-groups"), i, n, item) {
                if (yyjson_mut_is_str(item))
                        strv_add(&a->as_groups, yyjson_mut_get_str(item));
        }
        yyjson_mut_val *exec = yyjson_mut_obj_get(user, "exec");
        if (!yyjson_mut_is_obj(exec))
                return 0;
        r = take_exec(exec, what, a, err);
        if (r >= 0 && a->exec->provide_cluster_info && a->cluster)
                a->exec->cluster_config = cluster_extension(kubeconfig_entry(k, "clusters", "cluster", a->cluster));
        return r;
}

static int take_context(const struct kubeconfig *k, const struct kube_access_options *o, const char *context, struct kube_access *a,
                        struct err *err) {
        yyjson_mut_val *entry = context ? kubeconfig_entry(k, "contexts", "context", context) : NULL;
        const char *cluster = o->cluster ? o->cluster : text_or_null(entry, "cluster");
        const char *user = o->user ? o->user : text_or_null(entry, "user");
        replace(&a->context, context);
        replace(&a->namespace_, text_or_null(entry, "namespace"));
        AUTO(free) char *files = strv_join(&k->files, ", ");
        a->source = context ? xasprintf("context %s of %s", context, files) : xasprintf("%s", files);
        if (!cluster && !o->server)
                return err_set(err, -EINVAL, "context \"%s\" of the kubeconfig %s names no cluster", context ? context : "", files);
        int r = cluster ? take_cluster(k, cluster, o->server != NULL, a, err) : 0;
        if (r >= 0 && user)
                r = take_user(k, user, a, err);
        return r;
}

/* Which context is meant; `*ret` NULL means none. */
static int choose_context(const struct kubeconfig *k, const struct kube_access_options *o, const char **ret, struct err *err) {
        const char *current = kubeconfig_current_context(k);
        const char *wanted = o->context && *o->context ? o->context : NULL;
        if (wanted && !kubeconfig_has_context(k, wanted)) {
                if (o->missing_context == KUBE_MISSING_CONTEXT_ERROR)
                        return unknown_entry(k, "contexts", "context", wanted, err);
                wanted = o->missing_context == KUBE_MISSING_CONTEXT_CURRENT ? current : NULL;
                *ret = wanted && kubeconfig_has_context(k, wanted) ? wanted : NULL;
                return 0;
        }
        if (!wanted)
                wanted = current;
        if (wanted && !kubeconfig_has_context(k, wanted)) {
                if (!o->server && !o->cluster) {
                        int r = unknown_entry(k, "contexts", "the current context", wanted, err);
                        err_hint(err, "choose one with --context or `kubectl config use-context`");
                        return r;
                }
                wanted = NULL;
        }
        if (!wanted && !o->server && !o->cluster) {
                AUTO(free) char *known = join_names(k, "contexts");
                AUTO(free) char *files = strv_join(&k->files, ", ");
                int r = err_set(err, -EINVAL, "the kubeconfig %s sets no current context (it has: %s)", files, known);
                err_hint(err, "choose one with --context or `kubectl config use-context`");
                return r;
        }
        *ret = wanted;
        return 0;
}

static int take_service_account(const struct kube_access_options *o, struct kube_access *a, bool *ret_found, struct err *err) {
        const char *dir = o->service_account_dir ? o->service_account_dir : service_account_dir;
        const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
        AUTO(free) char *token_file = fs_join(dir, "token");
        *ret_found = false;
        if ((!o->server && (!host || !*host || !port || !*port)) || !fs_exists(token_file))
                return 0;
        AUTO(free) char *ca_file = fs_join(dir, "ca.crt");
        AUTO(free) char *namespace_file = fs_join(dir, "namespace");
        if (!o->server) {
                bool is_ipv6 = strchr(host, ':') != NULL;
                a->server = xasprintf(is_ipv6 ? "https://[%s]:%s" : "https://%s:%s", host, port);
        }
        a->source = xasprintf("the pod's service account (%s)", dir);
        a->token_file = TAKE(token_file);
        if (fs_exists(ca_file)) {
                int r = read_file_option(ca_file, "the service account's certificate authority", &a->ca_pem, err);
                if (r < 0)
                        return r;
        }
        AUTO(str) struct str text = STR_INIT(0);
        const char *env = getenv("POD_NAMESPACE");
        if (env && *env) {
                replace(&a->namespace_, env);
        } else if (fs_exists(namespace_file)) {
                int r = fs_read(namespace_file, 4096, &text, err);
                if (r < 0)
                        return err_wrap(err, r, "reading the service account's namespace");
                free(a->namespace_);
                a->namespace_ = sv_dup(sv_trim(str_sv(&text)));
        }
        *ret_found = true;
        return 0;
}

static int no_configuration(const struct kubeconfig *k, struct err *err) {
        AUTO(free) char *looked = k->missing.len ? strv_join(&k->missing, ", ") : xstrdup("no HOME and no KUBECONFIG");
        int r = err_set(err, KUBE_NO_CLUSTER,
                        "no Kubernetes cluster is configured: there is no kubeconfig (looked at %s), and this is not a pod", looked);
        err_hint(err, "set KUBECONFIG or --kubeconfig, or start a cluster on this machine with `firesteel local up`");
        return r;
}

static int apply_overrides(const struct kube_access_options *o, struct kube_access *a, struct err *err) {
        if (o->server)
                set_server(a, o->server);
        replace(&a->namespace_, o->namespace_);
        int r = read_file_option(o->ca_file, "certificate authority file", &a->ca_pem, err);
        if (r >= 0)
                r = read_file_option(o->cert_file, "client certificate file", &a->cert_pem, err);
        if (r >= 0)
                r = read_file_option(o->key_file, "client key file", &a->key_pem, err);
        if (r < 0)
                return r;
        if (o->ca_file)
                a->insecure = false;
        if (o->insecure) {
                a->insecure = true;
                str_done(&a->ca_pem);
        }
        if (o->token || o->token_file) { /* one way to say who we are replaces all others */
                free(TAKE(a->token));
                free(TAKE(a->token_file));
                free(TAKE(a->username));
                free(TAKE(a->password));
                exec_free(TAKE(a->exec));
                replace(&a->token, o->token);
                replace(&a->token_file, o->token_file);
        }
        return 0;
}

static int check_certificate(const struct kube_access *a, struct err *err) {
        const char *who = a->user ? a->user : "(none)";
        if ((a->cert_pem.len > 0) != (a->key_pem.len > 0))
                return err_set(err, -EINVAL, "user \"%s\" has a client %s without a client %s", who,
                               a->cert_pem.len ? "certificate" : "key", a->cert_pem.len ? "key" : "certificate");
        if (a->cert_pem.len == 0 || !str_starts(a->server, "https://"))
                return 0;
        int64_t expiry;
        int r = tls_cert_expiry(str_sv(&a->cert_pem), &expiry, err);
        if (r < 0)
                return err_wrap(err, r, "the client certificate of user \"%s\"", who);
        if (expiry * 1000 > clock_now_ms())
                return 0;
        char when[KTIME_SIZE];
        ktime_format(expiry * 1000, when);
        r = err_set(err, -EKEYEXPIRED, "the client certificate of user \"%s\" (%s) expired on %s", who,
                    a->source ? a->source : "given by option", when);
        err_hint(err,
                 "get a new kubeconfig from whoever runs the cluster (for a `firesteel local` cluster: `firesteel local up` renews it)");
        return r;
}

int kube_access_of(const struct kubeconfig *k, const struct kube_access_options *o, struct kube_access *ret, struct err *err) {
        AUTO(kube_access) struct kube_access a = {0};
        bool found = false;
        int r = 0;
        if (k->doc) {
                const char *context = NULL;
                r = choose_context(k, o, &context, err);
                if (r >= 0 && (context || o->cluster || o->user)) {
                        r = take_context(k, o, context, &a, err);
                        found = true;
                }
        } else {
                if (o->context && *o->context && o->missing_context == KUBE_MISSING_CONTEXT_ERROR)
                        return err_set(err, -ENOENT, "context \"%s\" was asked for, but there is no kubeconfig", o->context);
                r = take_service_account(o, &a, &found, err);
        }
        if (r < 0)
                return r;
        if (!found && !o->server)
                return no_configuration(k, err);
        r = apply_overrides(o, &a, err);
        if (r < 0)
                return r;
        if (!str_starts(a.server, "https://") &&
            !str_starts(a.server, "http://")) { /* a bare host means TLS here; kubectl would send secrets in the clear */
                char *server = xasprintf("https://%s", a.server);
                free(a.server);
                a.server = server;
        }
        if (!a.source)
                a.source = xasprintf("server %s", a.server);
        r = check_certificate(&a, err);
        if (r < 0)
                return r;
        *ret = a;
        a = (struct kube_access){0};
        return 0;
}
