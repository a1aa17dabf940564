/* EnvSecretsFeatureStep: spark.kubernetes.driver.secretKeyRef.<variable>=<secret>:<key>. */
#include "spark/steps/steps.h"

int step_env_secrets(struct step_ctx *c, struct err *err) {
        conf_foreach(e, c->conf) {
                const char *variable = key_after(e->key, "spark.kubernetes.driver.secretKeyRef.");
                if (!variable)
                        continue;
                AUTO(strv) struct strv parts = {0};
                java_split(e->value, ':', &parts);
                if (parts.len != 2) {
                        err_set(err, -EINVAL, "requirement failed: SecretKeyRef must be in the form name:key.");
                        err_hint(err, "%s is '%s'", e->key, (const char *)e->value);
                        return -EINVAL;
                }
                yyjson_mut_val *env = step_append(c, c->container, "env");
                mjson_set_str(c->doc, env, "name", variable);
                yyjson_mut_val *ref = mjson_obj(c->doc, mjson_obj(c->doc, env, "valueFrom"), "secretKeyRef");
                mjson_set_str(c->doc, ref, "key", parts.items[1]);
                mjson_set_str(c->doc, ref, "name", parts.items[0]);
        }
        return 0;
}
