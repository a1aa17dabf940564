/* KerberosConfDriverFeatureStep: krb5.conf, keytab, delegation tokens from a Secret. */
#include "base/fs.h"
#include "codec/base64.h"
#include "spark/steps/steps.h"

struct kerberos {
        const char *principal, *keytab, *secret, *secret_key, *krb5_file, *krb5_map;
};

static int both_or_neither(const char *a, const char *b, const char *a_missing, const char *b_missing, struct err *err) {
        if (a && !b)
                return err_set(err, -EINVAL, "requirement failed: %s", b_missing);
        if (b && !a)
                return err_set(err, -EINVAL, "requirement failed: %s", a_missing);
        return 0;
}

static int read_conf(struct step_ctx *c, struct kerberos *k, struct err *err) {
        const struct {
                const char *key, **value;
        } keys[] = {
                {"spark.kerberos.principal", &k->principal},
                {"spark.kerberos.keytab", &k->keytab},
                {"spark.kubernetes.kerberos.tokenSecret.name", &k->secret},
                {"spark.kubernetes.kerberos.tokenSecret.itemKey", &k->secret_key},
                {"spark.kubernetes.kerberos.krb5.path", &k->krb5_file},
                {"spark.kubernetes.kerberos.krb5.configMapName", &k->krb5_map},
        };
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
                int r = conf_string(c->conf, keys[i].key, keys[i].value, err);
                if (r < 0)
                        return r;
        }
        if (k->krb5_file && k->krb5_map)
                return err_set(
                        err, -EINVAL,
                        "requirement failed: Do not specify both a Krb5 local file and the ConfigMap as the creation of an additional ConfigMap, when one "
                        "is already specified, is extraneous");
        int r = both_or_neither(k->keytab, k->principal, "If a Kerberos principal is specified you must also specify a Kerberos keytab",
                                "If a Kerberos keytab is specified you must also specify a Kerberos principal", err);
        if (r < 0)
                return r;
        return both_or_neither(
                k->secret, k->secret_key,
                "If a secret data item-key where the data of the Kerberos Delegation Token is specified you must also specify the name of the "
                "secret",
                "If a secret storing a Kerberos Delegation Token is specified you must also specify the item-key where the data is stored",
                err);
}

static int mount_krb5(struct step_ctx *c, const struct kerberos *k, struct err *err) {
        if (!k->krb5_file && !k->krb5_map)
                return 0;
        AUTO(free) char *own = xasprintf("%s-krb5-file", c->prefix);
        yyjson_mut_val *source = step_add_volume(c, "krb5-file", "configMap");
        if (k->krb5_file) {
                AUTO(str) struct str text = STR_INIT(0);
                int r = inputs_text(c->in, k->krb5_file, "spark.kubernetes.kerberos.krb5.path", c->features->strict_utf8, &text, err);
                if (r < 0)
                        return r;
                const char *name = fs_basename(k->krb5_file);
                step_add_item(c, source, name, name, -1);
                yyjson_mut_val *map = step_add_object(c, "ConfigMap", own);
                mjson_set_str(c->doc, mjson_obj(c->doc, map, "data"), name, str_cstr(&text));
                mjson_set_bool(c->doc, map, "immutable", true);
        }
        mjson_set_str(c->doc, source, "name", k->krb5_map ? k->krb5_map : own);
        step_add_mount(c, "krb5-file", "/etc/krb5.conf");
        yyjson_mut_val *mounts = mjson_arr(c->doc, c->container, "volumeMounts");
        mjson_set_str(c->doc, yyjson_mut_arr_get_last(mounts), "subPath", "krb5.conf");
        return 0;
}

static int upload_keytab(struct step_ctx *c, const struct kerberos *k, struct err *err) {
        const struct input_file *f = inputs_file(c->in, k->keytab);
        if (!f || f->kind != INPUT_FILE || f->error || !f->has_text)
                return err_errno(err, f && f->error ? f->error : -ENOENT, "keytab %s", k->keytab);
        AUTO(free) char *secret_name = xasprintf("%s-kerberos-keytab", c->prefix);
        AUTO(str) struct str encoded = STR_INIT(0);
        base64_encode(str_sv(&f->text), &encoded);
        const char *name = fs_basename(k->keytab);
        yyjson_mut_val *secret = step_add_object(c, "Secret", secret_name);
        mjson_set_str(c->doc, mjson_obj(c->doc, secret, "data"), name, str_cstr(&encoded));
        mjson_set_bool(c->doc, secret, "immutable", true);
        mjson_set_str(c->doc, step_add_volume(c, "kerberos-keytab", "secret"), "secretName", secret_name);
        step_add_mount(c, "kerberos-keytab", "/mnt/secrets/kerberos-keytab");
        AUTO(free) char *place = xasprintf("/mnt/secrets/kerberos-keytab/%s", name);
        conf_set(&c->props, "spark.kerberos.keytab", place);
        return 0;
}

int step_kerberos_check(struct step_ctx *c, struct err *err) {
        struct kerberos k = {0};
        return read_conf(c, &k, err);
}

int step_kerberos(struct step_ctx *c, struct err *err) {
        struct kerberos k = {0};
        int r = read_conf(c, &k, err);
        if (r >= 0)
                r = mount_krb5(c, &k, err);
        if (r < 0)
                return r;
        if (k.keytab && !str_starts(k.keytab, "local:"))
                return upload_keytab(c, &k, err);
        if (!k.secret)
                return 0;
        AUTO(free) char *token = xasprintf("/mnt/secrets/hadoop-credentials/%s", k.secret_key);
        mjson_set_str(c->doc, step_add_volume(c, "hadoop-secret", "secret"), "secretName", k.secret);
        step_add_env(c, "HADOOP_TOKEN_FILE_LOCATION", token);
        step_add_mount(c, "hadoop-secret", "/mnt/secrets/hadoop-credentials");
        return 0;
}
