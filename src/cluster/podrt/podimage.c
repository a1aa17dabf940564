/* The image of a container: the machine's own files, or pulled; what the kubelet says and does when it cannot be had. */
#include <stdio.h>

#include "base/clock.h"
#include "cluster/podrt/kubelet-internal.h"
#include "codec/base64.h"

enum { PULL_BACKOFF_FIRST_MS = 10000, PULL_RETRY_MS = 2000 };

static void add_all(struct strv *ret, const struct strv *items) {
        for (size_t i = 0; i < items->len; i++)
                strv_add(ret, items->items[i]);
}

/* An image that cannot be had: the state, the events and the next try, in the kubelet's words. */
static void image_failed(struct container *c, const char *name, enum pull_policy policy, const struct err *err) {
        AUTO(free) char *message = err->hint ? xasprintf("%s (%s)", err_message(err), err->hint) : xstrdup(err_message(err));
        if (err->code == -EINVAL && !c->was_pulling) {
                AUTO(free) char *text = xasprintf("Failed to apply default image tag \"%s\": %s", name, message);
                container_event(c, "Warning", "InspectFailed", "%s", text);
                container_event(c, "Warning", "Failed", "Error: InvalidImageName");
                container_wait(c, "InvalidImageName", text);
        } else if (policy == PULL_NEVER) {
                AUTO(free) char *text = xasprintf("Container image \"%s\" is not present with pull policy of Never", name);
                container_event(c, "Warning", "ErrImageNeverPull", "%s", text);
                container_event(c, "Warning", "Failed", "Error: ErrImageNeverPull");
                container_wait(c, "ErrImageNeverPull", text);
        } else {
                container_event(c, "Warning", "Failed", "Failed to pull image \"%s\": %s", name, message);
                container_event(c, "Warning", "Failed", "Error: ErrImagePull");
                container_wait(c, "ErrImagePull", message);
                c->pull_backoff_ms = c->pull_backoff_ms ? c->pull_backoff_ms * 2 : PULL_BACKOFF_FIRST_MS;
                if (c->pull_backoff_ms > BACKOFF_MAX_MS)
                        c->pull_backoff_ms = BACKOFF_MAX_MS;
                c->next_pull_ms = clock_mono_ms() + c->pull_backoff_ms;
                c->next_start_ms = clock_mono_ms() + PULL_RETRY_MS; /* then the state is ImagePullBackOff */
                pod_retry_in(c->pod, PULL_RETRY_MS);
                return;
        }
        c->next_start_ms = clock_mono_ms() + BACKOFF_FIRST_MS;
        pod_retry_in(c->pod, BACKOFF_FIRST_MS);
}

/* True while the pause after a failed pull is on; the state says so then. */
static bool in_pull_back_off(struct container *c, const char *name) {
        int64_t now = clock_mono_ms();
        if (now >= c->next_pull_ms)
                return false;
        const char *before =
                c->waiting_message && c->waiting_reason && streq(c->waiting_reason, "ErrImagePull") ? c->waiting_message : NULL;
        if (before) {
                AUTO(free) char *text = xasprintf("Back-off pulling image \"%s\": ErrImagePull: %s", name, before);
                container_event(c, "Normal", "BackOff", "Back-off pulling image \"%s\"", name);
                container_event(c, "Warning", "Failed", "Error: ImagePullBackOff");
                container_wait(c, "ImagePullBackOff", text);
        }
        c->next_start_ms = c->next_pull_ms;
        pod_retry_in(c->pod, c->next_pull_ms - now);
        return true;
}

/* ---- images of registries and files ---- */

static void fill_image(const struct kubelet *k, const struct image_ready *ready, struct image *image) {
        const struct oci_image *from = ready->image;
        const struct oci_config *config = &from->config;
        AUTO(oci_reference) struct oci_reference name = {0};
        bool named = oci_reference_parse(from->record.name, &name, NULL) == 0 && name.transport == OCI_REGISTRY;
        image->is_oci = true;
        image->ids = image_pulls_ids(k->pulls);
        image->id =
                named ? xasprintf("%s/%s@%s", name.registry, name.repository, from->record.digest) : xstrdup(from->manifest.config.digest);
        image->manifest = xstrdup(from->record.manifest);
        image->layers_dir = xstrdup_null(ready->layers_dir);
        add_all(&image->layers, ready->layers);
        add_all(&image->entrypoint, &config->entrypoint);
        add_all(&image->command, &config->command);
        bool has_path = false;
        for (size_t i = 0; i < config->env.len; i++)
                has_path |= str_starts(config->env.items[i], "PATH=");
        if (!has_path)
                strv_add(&image->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        add_all(&image->env, &config->env);
        image->working_dir = xstrdup(config->working_dir[0] ? config->working_dir : "/");
        image->user = xstrdup(config->user);
        image->stop_signal = config->stop_signal[0] ? oci_signal_parse(config->stop_signal) : 0;
}

static void on_pulling(void *arg) {
        struct container *c = arg;
        c->was_pulling = true;
        container_event(c, "Normal", "Pulling", "Pulling image \"%s\"", json_get_str(container_spec(c), "image"));
}

static void on_image(void *arg, const struct image_ready *ready, const struct err *err) {
        struct container *c = arg;
        struct pod *p = c->pod;
        yyjson_val *spec = container_spec(c);
        const char *name = json_get_str(spec, "image");
        c->pull = NULL;
        c->is_starting = false;
        p->jobs--;
        if (err) {
                image_failed(c, name, pull_policy_of(json_get_str(spec, "imagePullPolicy")), err);
        } else if (!p->is_ending && !p->is_finished) {
                AUTO(image) struct image image = {0};
                fill_image(p->kubelet, ready, &image);
                if (ready->was_pulled) {
                        AUTO(free) char *took =
                                xasprintf("%lld.%03llds", (long long)ready->took_ms / 1000, (long long)ready->took_ms % 1000);
                        container_event(c, "Normal", "Pulled",
                                        "Successfully pulled image \"%s\" in %s (%s including waiting). Image size: %lld bytes.", name,
                                        took, took, (long long)ready->image->record.size);
                } else {
                        container_event(c, "Normal", "Pulled", "Container image \"%s\" already present on machine", name);
                }
                container_start_with(c, spec, &image);
        }
        pod_sync(p);
}

void container_forget_pull(struct container *c) {
        if (!c->pull)
                return;
        image_get_cancel(TAKE(c->pull));
        c->is_starting = false;
        c->pod->jobs--;
}

static void add_pull_secrets(struct container *c, struct strv *ret) {
        struct pod *p = c->pod;
        yyjson_val *v, *list = object_at(p->object, "/spec/imagePullSecrets");
        size_t i, max;
        yyjson_arr_foreach(list, i, max, v) {
                const char *name = json_get_str(v, "name");
                struct object *secret = name ? api_peek(p->kubelet->api, "secrets", p->ns, name) : NULL;
                static const char *const keys[] = {".dockerconfigjson", ".dockercfg"};
                AUTO(str) struct str text = STR_INIT(1 << 20);
                for (size_t k = 0; secret && k < ARRAY_LEN(keys) && !text.len; k++) {
                        const char *coded = json_get_str(object_at(secret, "/data"), keys[k]);
                        if (coded && base64_decode(sv_of(coded), &text) < 0)
                                str_clear(&text);
                }
                if (text.len)
                        strv_take(ret, str_take(&text));
                else if (name && name[0])
                        container_event(c, "Warning", "FailedToRetrieveImagePullSecret",
                                        "Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.",
                                        name);
        }
}

static void start_from_store(struct container *c, yyjson_val *spec, const char *name) {
        struct pod *p = c->pod;
        AUTO(strv) struct strv secrets = {0};
        AUTO(oci_reference) struct oci_reference parsed = {0};
        AUTO(err) struct err err = ERR_INIT;
        const struct image_want want = {.reference = name,
                                        .policy = pull_policy_of(json_get_str(spec, "imagePullPolicy")),
                                        .secrets = &secrets,
                                        .on_pulling = on_pulling,
                                        .done = on_image,
                                        .arg = c};
        c->was_pulling = false;
        if (oci_reference_parse(name, &parsed, &err) < 0) {
                image_failed(c, name, want.policy, &err);
                return;
        }
        if (in_pull_back_off(c, name))
                return;
        add_pull_secrets(c, &secrets);
        container_wait(c, "ContainerCreating", NULL);
        c->is_starting = true;
        p->jobs++;
        c->pull = image_pulls_get(p->kubelet->pulls, &want);
}

void container_start(struct container *c) {
        struct kubelet *k = c->pod->kubelet;
        yyjson_val *spec = container_spec(c);
        AUTO(image) struct image image = {0};
        AUTO(err) struct err err = ERR_INIT;
        const char *name = json_get_str(spec, "image");
        name = name ? name : "";
        if (!image_is_host(name) || image_pulls_has(k->pulls, name)) {
                start_from_store(c, spec, name);
                return;
        }
        if (in_pull_back_off(c, name))
                return;
        c->was_pulling = false;
        if (image_resolve(&k->images, name, &image, &err) < 0) {
                if (!streq_null(json_get_str(spec, "imagePullPolicy"), "Never"))
                        on_pulling(c);
                image_failed(c, name, pull_policy_of(json_get_str(spec, "imagePullPolicy")), &err);
                return;
        }
        container_event(c, "Normal", "Pulled", "Container image \"%s\" already present on machine%s%s", name, image.note ? ": " : "",
                        image.note ? image.note : "");
        container_start_with(c, spec, &image);
}
