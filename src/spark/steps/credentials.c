/* DriverKubernetesCredentialsFeatureStep: the driver's own access to the API server. */
#include "codec/base64.h"
#include "spark/steps/steps.h"

#define AUTH "spark.kubernetes.authenticate.driver."
#define MOUNT_DIR "/mnt/secrets/spark-kubernetes-credentials"

/* In the order of the Secret's data. */
static const struct credential {
        const char *key;     /* below AUTH; a file but for the token */
        const char *mounted; /* below AUTH "mounted." */
        const char *secret_key;
        const char *what;    /* of the file, for the message */
} credentials[] = {
        {"clientKeyFile", "clientKeyFile", "client-key", "Driver client key file"},
        {"clientCertFile", "clientCertFile", "client-cert", "Driver client cert file"},
        {"caCertFile", "caCertFile", "ca-cert", "Driver CA cert file"},
        {"oauthToken", "oauthTokenFile", "oauth-token", NULL},
};

static int read_credential(struct step_ctx *c, const struct credential *k, struct str *ret, bool *ret_given, struct err *err) {
        AUTO(free) char *key = xasprintf(AUTH "%s", k->key);
        const char *value = conf_get(c->conf, key);
        *ret_given = value != NULL;
        if (!value)
                return 0;
        if (!k->what) {
                base64_encode(sv_of(value), ret);
                return 0;
        }
        const struct input_file *f = inputs_file(c->in, value);
        AUTO(free) char *path = inputs_absolute(c->in, value);
        if (!f || f->kind != INPUT_FILE)
                return err_set(err, -ENOENT, "requirement failed: %s provided at %s does not exist or is not a file.", k->what, path);
        if (f->error || !f->has_text)
                return err_errno(err, f->error ? f->error : -EIO, "%s: %s", key, path);
        base64_encode(str_sv(&f->text), ret);
        return 0;
}

int step_credentials_check(struct step_ctx *c, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(credentials); i++) {
                AUTO(str) struct str encoded = STR_INIT(0);
                bool given;
                int r = read_credential(c, &credentials[i], &encoded, &given, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Tokens do not belong into a ConfigMap. */
static void redact_tokens(struct step_ctx *c) {
        conf_foreach(e, c->conf) {
                if (str_ends(e->key, "oauthToken"))
                        conf_set(&c->props, e->key, "<present_but_redacted>");
        }
}

int step_credentials(struct step_ctx *c, struct err *err) {
        AUTO(free) char *secret_name = xasprintf("%s-kubernetes-credentials", c->prefix);
        yyjson_mut_val *data = NULL;
        redact_tokens(c);
        for (size_t i = 0; i < ARRAY_LEN(credentials); i++) {
                const struct credential *k = &credentials[i];
                AUTO(str) struct str encoded = STR_INIT(0);
                bool given;
                int r = read_credential(c, k, &encoded, &given, err);
                if (r < 0)
                        return r;
                if (!given)
                        continue;
                if (!data) {
                        yyjson_mut_val *secret = step_add_object(c, "Secret", secret_name);
                        data = mjson_obj(c->doc, secret, "data");
                        mjson_set_bool(c->doc, secret, "immutable", true);
                }
                mjson_set_str(c->doc, data, k->secret_key, str_cstr(&encoded));
                AUTO(free) char *mounted = xasprintf(AUTH "mounted.%s", k->mounted);
                AUTO(free) char *place = xasprintf(MOUNT_DIR "/%s", k->secret_key);
                conf_set_missing(&c->props, mounted, place);
        }
        if (data) {
                mjson_set_str(c->doc, step_add_volume(c, "kubernetes-credentials", "secret"), "secretName", secret_name);
                step_add_mount(c, "kubernetes-credentials", MOUNT_DIR);
                return 0;
        }
        const char *account;
        int r = conf_string(c->conf, AUTH "serviceAccountName", &account, err);
        if (r < 0)
                return r;
        mjson_set_str(c->doc, c->spec, "serviceAccount", account);
        mjson_set_str(c->doc, c->spec, "serviceAccountName", account);
        return 0;
}
