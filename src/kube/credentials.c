#include "kube/credentials.h"

#include <signal.h>

#include "base/clock.h"
#include "base/fs.h"
#include "codec/base64.h"
#include "codec/ktime.h"

extern char **environ;

enum { TOKEN_MAX_BYTES = 64 * 1024 };

struct waiter {
        void (*done)(void *arg, const struct err *err);
        void *arg;
};

/* One run of the plugin; it outlives credentials that are freed under way. */
struct plugin_run {
        struct kube_credentials *owner; /* NULL: nobody waits any more */
        struct child *child;
};

struct kube_credentials {
        struct loop *loop;
        const struct kube_access *access;
        char *authorization;
        int64_t token_read_ms; /* monotonic; 0 = never */
        bool has_exec_answer;
        int64_t expires_ms; /* of the plugin's answer, wall clock; 0 = never */
        struct str cert_pem, key_pem;
        unsigned generation;
        struct plugin_run *plugin; /* NULL when none is running */
        VEC(struct waiter) waiters;
};

struct kube_credentials *kube_credentials_new(struct loop *l, const struct kube_access *a) {
        struct kube_credentials *c = NEW(struct kube_credentials);
        c->loop = l;
        c->access = a;
        c->generation = 1;
        str_append_sv(&c->cert_pem, str_sv(&a->cert_pem));
        str_append_sv(&c->key_pem, str_sv(&a->key_pem));
        if (a->token) {
                c->authorization = xasprintf("Bearer %s", a->token);
        } else if (a->username) {
                AUTO(free) char *pair = xasprintf("%s:%s", a->username, a->password ? a->password : "");
                AUTO(str) struct str encoded = STR_INIT(0);
                base64_encode(sv_of(pair), &encoded);
                c->authorization = xasprintf("Basic %s", str_cstr(&encoded));
        }
        return c;
}

void kube_credentials_free(struct kube_credentials *c) {
        if (!c)
                return;
        if (c->plugin) {
                c->plugin->owner = NULL;
                child_kill(c->plugin->child, SIGTERM);
        }
        free(c->authorization);
        str_done(&c->cert_pem);
        str_done(&c->key_pem);
        vec_done(&c->waiters);
        free(c);
}

bool kube_credentials_can_refresh(const struct kube_credentials *c) { return c->access->token_file || c->access->exec; }
const char *kube_credentials_authorization(const struct kube_credentials *c) { return c->authorization; }
struct sv kube_credentials_cert(const struct kube_credentials *c) { return str_sv(&c->cert_pem); }
struct sv kube_credentials_key(const struct kube_credentials *c) { return str_sv(&c->key_pem); }
unsigned kube_credentials_generation(const struct kube_credentials *c) { return c->generation; }

static const char *user_of(const struct kube_credentials *c) { return c->access->user ? c->access->user : c->access->source; }

static int read_token_file(struct kube_credentials *c, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        int r = fs_read(c->access->token_file, TOKEN_MAX_BYTES, &text, err);
        struct sv token = sv_trim(str_sv(&text));
        if (r >= 0 && token.len == 0)
                r = err_set(err, -EINVAL, "%s is empty", c->access->token_file);
        if (r < 0) {
                if (c->authorization) { /* being replaced just now, perhaps: the one we have may still do */
                        err_clear(err);
                        return 0;
                }
                return err_wrap(err, r, "the token of \"%s\"", user_of(c));
        }
        free(c->authorization);
        c->authorization = xasprintf("Bearer %.*s", SV_ARG(token));
        c->token_read_ms = clock_mono_ms();
        return 0;
}

static void release_waiters(struct kube_credentials *c, const struct err *err) {
        while (c->waiters.len > 0) {
                struct waiter w = c->waiters.items[0];
                vec_remove(&c->waiters, 0);
                w.done(w.arg, err);
        }
}

/* What the plugin is told of the cluster (KUBERNETES_EXEC_INFO). */
static char *exec_info(const struct kube_access *a) {
        const struct kube_exec *e = a->exec;
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "kind", "ExecCredential");
        mjson_set_str(doc, root, "apiVersion", e->api_version);
        yyjson_mut_val *spec = mjson_obj(doc, root, "spec");
        if (e->provide_cluster_info) {
                yyjson_mut_val *cluster = mjson_obj(doc, spec, "cluster");
                mjson_set_str(doc, cluster, "server", a->server);
                mjson_set_str(doc, cluster, "tls-server-name", a->tls_server_name);
                if (a->insecure)
                        mjson_set_bool(doc, cluster, "insecure-skip-tls-verify", true);
                if (a->ca_pem.len > 0) {
                        AUTO(str) struct str encoded = STR_INIT(0);
                        base64_encode(str_sv(&a->ca_pem), &encoded);
                        mjson_set_str(doc, cluster, "certificate-authority-data", str_cstr(&encoded));
                }
                mjson_set_str(doc, cluster, "proxy-url", a->proxy_url);
                AUTO(json) yyjson_doc *config = NULL;
                if (e->cluster_config && json_parse(sv_of(e->cluster_config), &config, NULL) >= 0)
                        mjson_set(doc, cluster, "config", yyjson_val_mut_copy(doc, yyjson_doc_get_root(config)));
        }
        mjson_set_bool(doc, spec, "interactive", isatty(STDIN_FILENO) && !streq(e->interactive_mode, "Never"));
        return mjson_write(root, false, NULL);
}

static void exec_env(const struct kube_access *a, struct strv *ret) {
        AUTO(free) char *info = exec_info(a);
        for (char **e = environ; *e; e++) {
                bool replaced = str_starts(*e, "KUBERNETES_EXEC_INFO=");
                vec_foreach(v, &a->exec->env) {
                        size_t len = strlen(v->name);
                        replaced = replaced || (strncmp(*e, v->name, len) == 0 && (*e)[len] == '=');
                }
                if (!replaced)
                        strv_add(ret, *e);
        }
        vec_foreach(v, &a->exec->env) {
                strv_addf(ret, "%s=%s", v->name, v->value);
        }
        strv_addf(ret, "KUBERNETES_EXEC_INFO=%s", info);
}

static int take_expiry(yyjson_val *status, int64_t *ret_ms, struct err *err) {
        const char *text = json_get_str(status, "expirationTimestamp");
        int64_t us = 0;
        if (text && !ktime_parse(sv_of(text), &us))
                return err_set(err, -EINVAL, "status.expirationTimestamp \"%s\" is not a time", text);
        *ret_ms = us / 1000;
        return 0;
}

/* The answer of the plugin becomes what we say we are. */
static int take_answer(struct kube_credentials *c, struct sv text, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = json_parse(text, &doc, err);
        if (r < 0)
                return err_wrap(err, r, "its output is not JSON");
        yyjson_val *root = yyjson_doc_get_root(doc), *status = yyjson_obj_get(root, "status");
        const char *kind = json_get_str(root, "kind"), *version = json_get_str(root, "apiVersion");
        if (!streq_null(kind, "ExecCredential") || !streq_null(version, c->access->exec->api_version))
                return err_set(err, -EINVAL, "its output is %s %s, expected ExecCredential %s", kind ? kind : "of no kind",
                               version ? version : "", c->access->exec->api_version);
        const char *token = json_get_str(status, "token");
        const char *cert = json_get_str(status, "clientCertificateData"), *key = json_get_str(status, "clientKeyData");
        if (!status || ((!token || !*token) && (!cert || !*cert)))
                return err_set(err, -EINVAL, "its output has neither status.token nor status.clientCertificateData");
        if ((cert && *cert) != (key && *key))
                return err_set(err, -EINVAL, "its output has only one of status.clientCertificateData and status.clientKeyData");
        int64_t expires_ms = 0;
        r = take_expiry(status, &expires_ms, err);
        if (r < 0)
                return r;
        free(TAKE(c->authorization));
        if (token && *token)
                c->authorization = xasprintf("Bearer %s", token);
        if (cert && *cert && !(sv_eqs(str_sv(&c->cert_pem), cert) && sv_eqs(str_sv(&c->key_pem), key))) {
                str_clear(&c->cert_pem);
                str_clear(&c->key_pem);
                str_append_s(&c->cert_pem, cert);
                str_append_s(&c->key_pem, key);
                c->generation++;
        }
        c->expires_ms = expires_ms;
        c->has_exec_answer = true;
        return 0;
}

static int plugin_result(struct kube_credentials *c, const struct child_result *result, struct err *err) {
        if (result->exit_code == 0)
                return take_answer(c, result->out, err);
        struct sv said = sv_trim(result->err);
        return err_set(err, -EACCES, "it ended with exit code %d%s%.*s", result->exit_code, said.len ? ": " : "", SV_ARG(said));
}

static void plugin_done(void *arg, const struct child_result *result) {
        AUTO(free) struct plugin_run *run = arg;
        struct kube_credentials *c = run->owner;
        if (!c)
                return;
        c->plugin = NULL;
        AUTO(err) struct err err = ERR_INIT;
        int r = plugin_result(c, result, &err);
        if (r < 0)
                err_wrap(&err, r, "the credential plugin %s of user \"%s\"", c->access->exec->command, user_of(c));
        release_waiters(c, r < 0 ? &err : NULL);
}

static int start_plugin(struct kube_credentials *c, struct err *err) {
        const struct kube_exec *e = c->access->exec;
        AUTO(strv) struct strv argv = {0}, env = {0};
        AUTO(free) char *program = fs_find_program(e->command);
        if (!program) {
                int r = err_set(err, -ENOENT, "the credential plugin %s of user \"%s\" is not installed (not found%s)", e->command,
                                user_of(c), strchr(e->command, '/') ? "" : " in PATH");
                if (e->install_hint)
                        err_hint(err, "%s", e->install_hint);
                return r;
        }
        bool has_terminal = isatty(STDIN_FILENO);
        if (streq(e->interactive_mode, "Always") && !has_terminal)
                return err_set(
                        err, -ENOTTY,
                        "the credential plugin %s of user \"%s\" wants a terminal (interactiveMode: Always), and standard input is none",
                        e->command, user_of(c));
        strv_add(&argv, program);
        vec_foreach(arg, &e->args) {
                strv_add(&argv, *arg);
        }
        exec_env(c->access, &env);
        struct child_spec spec = {
                .argv = (const char *const *)argv.items,
                .env = (const char *const *)env.items,
                .max_output = KUBE_EXEC_MAX_OUTPUT,
                .inherit_stdin = has_terminal && !streq(e->interactive_mode, "Never"),
                .inherit_stderr = isatty(STDERR_FILENO), /* "open this page and enter the code": the user must see it now */
        };
        AUTO(free) struct plugin_run *run = NEW(struct plugin_run);
        run->owner = c;
        int r = child_start(c->loop, &spec, plugin_done, run, &run->child, err);
        if (r < 0)
                return err_wrap(err, r, "starting the credential plugin %s of user \"%s\"", e->command, user_of(c));
        c->plugin = TAKE(run);
        return 0;
}

void kube_credentials_get(struct kube_credentials *c, bool refresh, void (*done)(void *arg, const struct err *err), void *arg) {
        AUTO(err) struct err err = ERR_INIT;
        const struct kube_access *a = c->access;
        int r = 0;
        if (a->exec) {
                bool expired = c->expires_ms > 0 && clock_now_ms() > c->expires_ms - KUBE_EXEC_EARLY_MS;
                if (c->has_exec_answer && !expired && !refresh) {
                        done(arg, NULL);
                        return;
                }
                if (!c->plugin)
                        r = start_plugin(c, &err);
                if (r >= 0) {
                        *vec_push(&c->waiters) = (struct waiter){done, arg};
                        return;
                }
        } else if (a->token_file) {
                bool stale = c->token_read_ms == 0 || clock_mono_ms() - c->token_read_ms > KUBE_TOKEN_FILE_PERIOD_MS;
                if (stale || refresh)
                        r = read_token_file(c, &err);
        }
        done(arg, r < 0 ? &err : NULL);
}

void kube_credentials_forget(struct kube_credentials *c, void *arg) {
        for (size_t i = c->waiters.len; i-- > 0;) {
                if (c->waiters.items[i].arg == arg)
                        vec_remove(&c->waiters, i);
        }
}
