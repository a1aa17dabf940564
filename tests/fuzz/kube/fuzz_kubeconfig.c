/* Any text as a kubeconfig: read, every context resolved. Nothing outside the text is opened but files it names. */
#include "kube/access.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(kubeconfig) struct kubeconfig k = {0};
        AUTO(err) struct err err = ERR_INIT;
        if (kubeconfig_add_text(&k, sv_new((const char *)data, size), "/nonexistent/config", &err) < 0)
                return 0;
        AUTO(strv) struct strv contexts = {0};
        kubeconfig_names(&k, "contexts", &contexts);
        for (size_t i = 0; i < contexts.len && i < 20; i++) {
                AUTO(kube_access) struct kube_access a = {0};
                err_clear(&err);
                (void)!kube_access_of(&k, &(struct kube_access_options){.context = contexts.items[i]}, &a, &err);
        }
        return 0;
}
