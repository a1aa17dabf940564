#include "submit/check.h"

#include <ctype.h>
#include <strings.h>

#include "codec/quantity.h"
#include "kobj/names.h"

static const char *text_of(yyjson_mut_val *value) { return yyjson_mut_is_str(value) ? yyjson_mut_get_str(value) : ""; }

/* ---- names ---- */

/* `from` says what the user wrote; %s in it is the entry's name. */
static int check_name(name_check_fn *check, const char *text, const char *what, const char *from, struct err *err) {
        AUTO(strv) struct strv problems = {0};
        if (!check(sv_of(text), &problems))
                return 0;
        err_set(err, -EINVAL, "%s \"%s\" cannot be: %s", what, text, problems.items[0]);
        if (from)
                err_hint(err, "it comes from %s", from);
        return -EINVAL;
}

static int check_labels(yyjson_mut_val *labels, const char *what, const char *prefix, bool values_too, struct err *err) {
        size_t i, n;
        yyjson_mut_val *key, *value;
        yyjson_mut_obj_foreach(labels, i, n, key, value) {
                AUTO(free) char *from = xasprintf("%s%s", prefix, text_of(key));
                AUTO(free) char *what_value = xasprintf("the value of the %s %s,", what, text_of(key));
                AUTO(free) char *what_key = xasprintf("the %s", what);
                int r = check_name(name_check_qualified, text_of(key), what_key, from, err);
                if (r >= 0 && values_too && yyjson_mut_is_str(value))
                        r = check_name(name_check_label_value, text_of(value), what_value, from, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_meta(yyjson_mut_val *object, const char *kind, struct err *err) {
        const bool is_pod = streq(kind, "Pod"), is_service = streq(kind, "Service");
        const char *family = is_pod ? "driver" : "driver.service";
        AUTO(free) char *label = xasprintf("spark.kubernetes.%s.label.", family);
        AUTO(free) char *annotation = xasprintf("spark.kubernetes.%s.annotation.", family);
        AUTO(free) char *what = xasprintf("the name of the %s,", kind);
        const char *name = mjson_str_at(object, "/metadata/name");
        int r = name ? check_name(is_service ? name_check_dns1035_label : name_check_dns1123_subdomain, name, what,
                                  is_pod ? "spark.kubernetes.driver.pod.name or the application's name (--name)"
                                         : "the application's name (--name)",
                                  err)
                     : 0;
        if (r >= 0)
                r = check_labels(mjson_at(object, "/metadata/labels"), "label", label, true, err);
        if (r >= 0)
                r = check_labels(mjson_at(object, "/metadata/annotations"), "annotation", annotation, false, err);
        return r;
}

/* ---- the pod ---- */

static int check_quantity(yyjson_mut_val *value, const char *what, struct err *err) {
        struct quantity q;
        if (!yyjson_mut_is_str(value) || quantity_parse(sv_of(text_of(value)), &q, NULL) >= 0)
                return 0;
        err_set(err, -EINVAL, "%s is \"%s\", which is no quantity", what, text_of(value));
        err_hint(err, "write a number with a unit of Kubernetes: 500m, 2, 512Mi, 10Gi");
        return -EINVAL;
}

static int check_volume(yyjson_mut_val *volume, struct err *err) {
        const char *name = mjson_get_str(volume, "name"), *secret = mjson_str_at(volume, "/secret/secretName"),
                   *claim = mjson_str_at(volume, "/persistentVolumeClaim/claimName");
        AUTO(free) char *from = xasprintf("spark.kubernetes.driver.volumes.*.%s", name ? name : "");
        AUTO(free) char *limit = xasprintf("the sizeLimit of volume %s", name ? name : "");
        int r = 0;
        if (secret)
                r = check_name(name_check_dns1123_subdomain, secret, "the name of the Secret,", "spark.kubernetes.driver.secrets.NAME",
                               err);
        if (r >= 0 && name)
                r = check_name(name_check_dns1123_label, name, "the name of the volume,",
                               secret ? "spark.kubernetes.driver.secrets.NAME" : from, err);
        if (r >= 0 && claim)
                r = check_name(name_check_dns1123_subdomain, claim, "the name of the claim,", from, err);
        return r < 0 ? r : check_quantity(mjson_at(volume, "/emptyDir/sizeLimit"), limit, err);
}

static int check_container(yyjson_mut_val *container, struct err *err) {
        static const char *const lists[] = {"/resources/requests", "/resources/limits"};
        for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
                size_t i, n;
                yyjson_mut_val *key, *value, *list = mjson_at(container, lists[l]);
                yyjson_mut_obj_foreach(list, i, n, key, value) {
                        AUTO(free) char *what = xasprintf("the container's %s of %s", l ? "limit" : "request", text_of(key));
                        int r = check_name(name_check_qualified, text_of(key), "the resource", "spark.driver.resource.*.vendor", err);
                        if (r >= 0)
                                r = check_quantity(value, what, err);
                        if (r < 0)
                                return r;
                }
        }
        const char *image = mjson_get_str(container, "image");
        if (image && (!*image || isspace((unsigned char)image[0]) || isspace((unsigned char)image[strlen(image) - 1])))
                return err_set(err, -EINVAL, "the image \"%s\" is empty or has blanks around it (spark.kubernetes.driver.container.image)",
                               image);
        return 0;
}

static int check_each(yyjson_mut_val *list, int (*check)(yyjson_mut_val *item, struct err *err), struct err *err) {
        size_t i, n;
        yyjson_mut_val *item;
        yyjson_mut_arr_foreach(list, i, n, item) {
                int r = check(item, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_pull_secret(yyjson_mut_val *item, struct err *err) {
        const char *name = mjson_get_str(item, "name");
        return name ? check_name(name_check_dns1123_subdomain, name, "the name of the Secret,",
                                 "spark.kubernetes.container.image.pullSecrets", err)
                    : 0;
}

static int check_pod(yyjson_mut_val *pod, struct err *err) {
        const char *account = mjson_str_at(pod, "/spec/serviceAccountName");
        int r = check_meta(pod, "Pod", err);
        if (r >= 0 && account)
                r = check_name(name_check_dns1123_subdomain, account, "the service account",
                               "spark.kubernetes.authenticate.driver.serviceAccountName", err);
        if (r >= 0)
                r = check_labels(mjson_at(pod, "/spec/nodeSelector"), "node selector",
                                 "spark.kubernetes.node.selector. or spark.kubernetes.driver.node.selector.", true, err);
        if (r >= 0)
                r = check_each(mjson_at(pod, "/spec/imagePullSecrets"), check_pull_secret, err);
        if (r >= 0)
                r = check_each(mjson_at(pod, "/spec/containers"), check_container, err);
        return r < 0 ? r : check_each(mjson_at(pod, "/spec/volumes"), check_volume, err);
}

static int check_list(const struct submission_object *items, size_t len, struct err *err) {
        for (size_t i = 0; i < len; i++) {
                int r = check_meta(items[i].body, items[i].kind, err);
                if (r >= 0)
                        r = check_quantity(mjson_at(items[i].body, "/spec/resources/requests/storage"), "the size of a claim", err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int check_objects(const struct submission *s, struct err *err) {
        int r = check_name(name_check_dns1123_label, s->namespace_, "the namespace", "spark.kubernetes.namespace", err);
        if (r >= 0)
                r = check_pod(s->pod, err);
        if (r >= 0)
                r = check_list(s->pre.items, s->pre.len, err);
        return r < 0 ? r : check_list(s->resources.items, s->resources.len, err);
}

/* ---- secrets ---- */

static bool looks_secret(const char *key) {
        static const char *const words[] = {"secret", "password", "token", "access.key", "accesskey", "credential"};
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
                if (strcasestr(key, words[i]))
                        return true;
        return false;
}

/* Keys of that look whose values are names, places, switches, or are taken out before they are stored. */
static bool is_harmless(const char *key, const char *value) {
        static const char *const prefixes[] = {"spark.kubernetes.driver.secrets.",       "spark.kubernetes.executor.secrets.",
                                               "spark.kubernetes.driver.secretKeyRef.",  "spark.kubernetes.executor.secretKeyRef.",
                                               "spark.kubernetes.kerberos.tokenSecret.", "spark.security.credentials.",
                                               "spark.kubernetes.authenticate.",         "spark.redaction."};
        static const char *const suffixes[] = {"file", "path", "provider", "providers", "class", "bitlength", "interval", "name", "ratio"};
        for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
                if (str_starts(key, prefixes[i]))
                        return true;
        size_t len = strlen(key);
        for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
                size_t n = strlen(suffixes[i]);
                if (len > n && strcasecmp(key + len - n, suffixes[i]) == 0)
                        return true;
        }
        return !*value || streq(value, "true") || streq(value, "false") || strspn(value, "0123456789") == strlen(value);
}

void check_secrets(const struct spark_conf *conf, const char *namespace_, struct strv *warnings) {
        AUTO(strv) struct strv keys = {0};
        conf_foreach(e, conf) {
                if (looks_secret(e->key) && !is_harmless(e->key, e->value))
                        strv_add(&keys, e->key);
        }
        if (!keys.len)
                return;
        strv_sort(&keys);
        AUTO(free) char *list = strv_join(&keys, ", ");
        strv_addf(
                warnings,
                "%s: in clear text in a ConfigMap, for everybody who may read ConfigMaps in namespace %s; put it into a Secret, and give that to the pods with "
                "spark.kubernetes.driver.secretKeyRef.ENV=SECRET:KEY (and executor.), or let the service account have the rights",
                list, namespace_);
}
