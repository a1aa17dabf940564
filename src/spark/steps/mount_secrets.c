/* MountSecretsFeatureStep: spark.kubernetes.driver.secrets.<secret>=<path>. */
#include "spark/steps/steps.h"

int step_mount_secrets(struct step_ctx *c, struct err *err) {
        (void)err;
        conf_foreach(e, c->conf) {
                const char *secret = key_after(e->key, "spark.kubernetes.driver.secrets.");
                if (!secret)
                        continue;
                AUTO(free) char *volume = xasprintf("%s-volume", secret);
                mjson_set_str(c->doc, step_add_volume(c, volume, "secret"), "secretName", secret);
                step_add_mount(c, volume, e->value);
        }
        return 0;
}
