#include "spark/podmodel.h"

#include <stdio.h>

#include "spark/conf.h"

enum field_type { TEXT, NUMBER, BOOLEAN, EITHER, OBJECT, LIST, TEXT_LIST, NUMBER_LIST, TEXT_MAP };

/* Names mean the same in all parts of a Pod but for a few, which are told apart by what they hold (`items`, `port`). Sorted. */
static const struct {
        const char *name;
        enum field_type type;
} fields[] = {
        {"accessModes", TEXT_LIST},
        {"action", TEXT},
        {"activeDeadlineSeconds", NUMBER},
        {"add", TEXT_LIST},
        {"affinity", OBJECT},
        {"allowPrivilegeEscalation", BOOLEAN},
        {"annotations", TEXT_MAP},
        {"apiGroup", TEXT},
        {"apiVersion", TEXT},
        {"appArmorProfile", OBJECT},
        {"args", TEXT_LIST},
        {"audience", TEXT},
        {"automountServiceAccountToken", BOOLEAN},
        {"awsElasticBlockStore", OBJECT},
        {"azureDisk", OBJECT},
        {"azureFile", OBJECT},
        {"capabilities", OBJECT},
        {"claimName", TEXT},
        {"claims", LIST},
        {"clusterTrustBundle", OBJECT},
        {"command", TEXT_LIST},
        {"conditionType", TEXT},
        {"configMap", OBJECT},
        {"configMapKeyRef", OBJECT},
        {"configMapRef", OBJECT},
        {"containerName", TEXT},
        {"containerPort", NUMBER},
        {"containers", LIST},
        {"creationTimestamp", TEXT},
        {"csi", OBJECT},
        {"dataSource", OBJECT},
        {"defaultMode", NUMBER},
        {"deletionGracePeriodSeconds", NUMBER},
        {"devicePath", TEXT},
        {"divisor", TEXT},
        {"dnsConfig", OBJECT},
        {"dnsPolicy", TEXT},
        {"downwardAPI", OBJECT},
        {"driver", TEXT},
        {"drop", TEXT_LIST},
        {"effect", TEXT},
        {"emptyDir", OBJECT},
        {"enableServiceLinks", BOOLEAN},
        {"env", LIST},
        {"envFrom", LIST},
        {"ephemeral", OBJECT},
        {"ephemeralContainers", LIST},
        {"exec", OBJECT},
        {"expirationSeconds", NUMBER},
        {"failureThreshold", NUMBER},
        {"fieldPath", TEXT},
        {"fieldRef", OBJECT},
        {"finalizers", TEXT_LIST},
        {"fsGroup", NUMBER},
        {"fsGroupChangePolicy", TEXT},
        {"fsType", TEXT},
        {"generateName", TEXT},
        {"generation", NUMBER},
        {"grpc", OBJECT},
        {"hard", TEXT_MAP},
        {"host", TEXT},
        {"hostAliases", LIST},
        {"hostIP", TEXT},
        {"hostIPC", BOOLEAN},
        {"hostNetwork", BOOLEAN},
        {"hostPID", BOOLEAN},
        {"hostPath", OBJECT},
        {"hostPort", NUMBER},
        {"hostProcess", BOOLEAN},
        {"hostUsers", BOOLEAN},
        {"hostname", TEXT},
        {"hostnames", TEXT_LIST},
        {"httpGet", OBJECT},
        {"httpHeaders", LIST},
        {"image", TEXT},
        {"imagePullPolicy", TEXT},
        {"imagePullSecrets", LIST},
        {"initContainers", LIST},
        {"initialDelaySeconds", NUMBER},
        {"ip", TEXT},
        {"items", LIST},
        {"key", TEXT},
        {"kind", TEXT},
        {"labelSelector", OBJECT},
        {"labels", TEXT_MAP},
        {"level", TEXT},
        {"lifecycle", OBJECT},
        {"limits", TEXT_MAP},
        {"livenessProbe", OBJECT},
        {"localhostProfile", TEXT},
        {"matchExpressions", LIST},
        {"matchFields", LIST},
        {"matchLabelKeys", TEXT_LIST},
        {"matchLabels", TEXT_MAP},
        {"maxSkew", NUMBER},
        {"medium", TEXT},
        {"metadata", OBJECT},
        {"minDomains", NUMBER},
        {"mismatchLabelKeys", TEXT_LIST},
        {"mode", NUMBER},
        {"mountPath", TEXT},
        {"mountPropagation", TEXT},
        {"name", TEXT},
        {"nameservers", TEXT_LIST},
        {"namespace", TEXT},
        {"namespaceSelector", OBJECT},
        {"namespaces", TEXT_LIST},
        {"nfs", OBJECT},
        {"nodeAffinity", OBJECT},
        {"nodeAffinityPolicy", TEXT},
        {"nodeName", TEXT},
        {"nodeSelector", TEXT_MAP},
        {"nodeSelectorTerms", LIST},
        {"nodeTaintsPolicy", TEXT},
        {"operator", TEXT},
        {"optional", BOOLEAN},
        {"os", OBJECT},
        {"overhead", TEXT_MAP},
        {"ownerReferences", LIST},
        {"path", TEXT},
        {"periodSeconds", NUMBER},
        {"persistentVolumeClaim", OBJECT},
        {"podAffinity", OBJECT},
        {"podAffinityTerm", OBJECT},
        {"podAntiAffinity", OBJECT},
        {"podInfo", OBJECT},
        {"port", EITHER},
        {"ports", LIST},
        {"postStart", OBJECT},
        {"preStop", OBJECT},
        {"preemptionPolicy", TEXT},
        {"preference", OBJECT},
        {"prefix", TEXT},
        {"preferredDuringSchedulingIgnoredDuringExecution", LIST},
        {"priority", NUMBER},
        {"priorityClassName", TEXT},
        {"privileged", BOOLEAN},
        {"procMount", TEXT},
        {"projected", OBJECT},
        {"protocol", TEXT},
        {"readOnly", BOOLEAN},
        {"readOnlyRootFilesystem", BOOLEAN},
        {"readinessGates", LIST},
        {"readinessProbe", OBJECT},
        {"recursiveReadOnly", TEXT},
        {"requests", TEXT_MAP},
        {"requiredDuringSchedulingIgnoredDuringExecution", EITHER},
        {"resizePolicy", LIST},
        {"resource", TEXT},
        {"resourceClaimName", TEXT},
        {"resourceClaimTemplateName", TEXT},
        {"resourceClaims", LIST},
        {"resourceFieldRef", OBJECT},
        {"resourceName", TEXT},
        {"resources", OBJECT},
        {"restartPolicy", TEXT},
        {"role", TEXT},
        {"runAsGroup", NUMBER},
        {"runAsNonRoot", BOOLEAN},
        {"runAsUser", NUMBER},
        {"runAsUserName", TEXT},
        {"runtimeClassName", TEXT},
        {"scheduler", TEXT},
        {"schedulerName", TEXT},
        {"schedulingGates", LIST},
        {"scheme", TEXT},
        {"seLinuxOptions", OBJECT},
        {"searches", TEXT_LIST},
        {"seccompProfile", OBJECT},
        {"secret", OBJECT},
        {"secretKeyRef", OBJECT},
        {"secretName", TEXT},
        {"secretRef", OBJECT},
        {"securityContext", OBJECT},
        {"selector", OBJECT},
        {"server", TEXT},
        {"service", TEXT},
        {"serviceAccount", TEXT},
        {"serviceAccountName", TEXT},
        {"serviceAccountToken", OBJECT},
        {"setHostnameAsFQDN", BOOLEAN},
        {"shareProcessNamespace", BOOLEAN},
        {"sizeLimit", TEXT},
        {"sources", LIST},
        {"spec", OBJECT},
        {"startupProbe", OBJECT},
        {"stdin", BOOLEAN},
        {"stdinOnce", BOOLEAN},
        {"storageClassName", TEXT},
        {"subPath", TEXT},
        {"subPathExpr", TEXT},
        {"subdomain", TEXT},
        {"successThreshold", NUMBER},
        {"supplementalGroups", NUMBER_LIST},
        {"supplementalGroupsPolicy", TEXT},
        {"sysctls", LIST},
        {"tcpSocket", OBJECT},
        {"terminationGracePeriodSeconds", NUMBER},
        {"terminationMessagePath", TEXT},
        {"terminationMessagePolicy", TEXT},
        {"timeoutSeconds", NUMBER},
        {"tolerationSeconds", NUMBER},
        {"tolerations", LIST},
        {"topologyKey", TEXT},
        {"topologySpreadConstraints", LIST},
        {"tty", BOOLEAN},
        {"type", TEXT},
        {"uid", TEXT},
        {"user", TEXT},
        {"value", TEXT},
        {"valueFrom", OBJECT},
        {"values", TEXT_LIST},
        {"volumeAttributes", TEXT_MAP},
        {"volumeClaimTemplate", OBJECT},
        {"volumeDevices", LIST},
        {"volumeMode", TEXT},
        {"volumeMounts", LIST},
        {"volumeName", TEXT},
        {"volumes", LIST},
        {"weight", NUMBER},
        {"whenUnsatisfiable", TEXT},
        {"windowsOptions", OBJECT},
        {"workingDir", TEXT},
};

static int find_field(const char *name) {
        size_t low = 0, high = ARRAY_LEN(fields);
        while (low < high) {
                size_t mid = (low + high) / 2;
                int order = strcmp(name, fields[mid].name);
                if (order == 0)
                        return (int)mid;
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return -1;
}

static int wrong_type(const char *name, const char *wanted, struct err *err) { return err_set(err, -EINVAL, "%s must be %s", name, wanted); }

static int to_text(yyjson_mut_doc *doc, const char *name, yyjson_mut_val *v, struct err *err) {
        char number[40];
        if (yyjson_mut_is_str(v) || yyjson_mut_is_null(v))
                return 0;
        if (yyjson_mut_is_obj(v) || yyjson_mut_is_arr(v))
                return wrong_type(name, "a text", err);
        if (yyjson_mut_is_bool(v))
                snprintf(number, sizeof(number), "%s", yyjson_mut_get_bool(v) ? "true" : "false");
        else if (yyjson_mut_is_real(v))
                java_format_double(yyjson_mut_get_real(v), number);
        else
                snprintf(number, sizeof(number), "%lld", (long long)yyjson_mut_get_sint(v));
        yyjson_mut_val *copy = yyjson_mut_strcpy(doc, number);
        yyjson_mut_set_strn(v, yyjson_mut_get_str(copy), yyjson_mut_get_len(copy));
        return 0;
}

static int to_number(const char *name, yyjson_mut_val *v, struct err *err) {
        int64_t n;
        if (yyjson_mut_is_int(v) || yyjson_mut_is_null(v))
                return 0;
        if (yyjson_mut_is_real(v)) {
                yyjson_mut_set_sint(v, (int64_t)yyjson_mut_get_real(v));
                return 0;
        }
        if (yyjson_mut_is_str(v) && java_parse_long(yyjson_mut_get_str(v), &n)) {
                yyjson_mut_set_sint(v, n);
                return 0;
        }
        return wrong_type(name, "a number", err);
}

static int to_boolean(const char *name, yyjson_mut_val *v, struct err *err) {
        const char *text = yyjson_mut_get_str(v);
        if (yyjson_mut_is_bool(v) || yyjson_mut_is_null(v))
                return 0;
        if (yyjson_mut_is_int(v)) {
                yyjson_mut_set_bool(v, yyjson_mut_get_sint(v) != 0);
                return 0;
        }
        bool yes = text && (streq(text, "true") || streq(text, "True") || streq(text, "TRUE"));
        if (!yes && !(text && (streq(text, "false") || streq(text, "False") || streq(text, "FALSE"))))
                return wrong_type(name, "true or false", err);
        yyjson_mut_set_bool(v, yes);
        return 0;
}

static int apply_object(yyjson_mut_doc *doc, yyjson_mut_val *object, struct err *err);

static int apply_list(yyjson_mut_doc *doc, const char *name, yyjson_mut_val *list, enum field_type type, struct err *err) {
        size_t i, n;
        yyjson_mut_val *item;
        if (!yyjson_mut_is_arr(list))
                return wrong_type(name, "a list", err);
        yyjson_mut_arr_foreach(list, i, n, item) {
                int r = 0;
                if (type == TEXT_LIST)
                        r = to_text(doc, name, item, err);
                else if (type == NUMBER_LIST)
                        r = to_number(name, item, err);
                else if (yyjson_mut_is_obj(item))
                        r = apply_object(doc, item, err);
                else if (!yyjson_mut_is_null(item))
                        r = wrong_type(name, "a list of objects", err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_map(yyjson_mut_doc *doc, const char *name, yyjson_mut_val *map, struct err *err) {
        size_t i, n;
        yyjson_mut_val *key, *value;
        if (!yyjson_mut_is_obj(map))
                return wrong_type(name, "a map", err);
        yyjson_mut_obj_foreach(map, i, n, key, value) {
                int r = to_text(doc, yyjson_mut_get_str(key), value, err);
                if (r < 0)
                        return err_wrap(err, r, "%s", name);
        }
        return 0;
}

static int apply_field(yyjson_mut_doc *doc, const char *name, enum field_type type, yyjson_mut_val *v, struct err *err) {
        switch (type) {
        case TEXT:
                return to_text(doc, name, v, err);
        case NUMBER:
                return to_number(name, v, err);
        case BOOLEAN:
                return to_boolean(name, v, err);
        case OBJECT:
                return yyjson_mut_is_obj(v) ? apply_object(doc, v, err) : wrong_type(name, "an object", err);
        case LIST:
        case TEXT_LIST:
        case NUMBER_LIST:
                return apply_list(doc, name, v, type, err);
        case TEXT_MAP:
                return apply_map(doc, name, v, err);
        case EITHER:
                return yyjson_mut_is_obj(v) ? apply_object(doc, v, err) : yyjson_mut_is_arr(v) ? apply_list(doc, name, v, LIST, err) : 0;
        }
        return 0;
}

static bool is_dropped(enum field_type type, yyjson_mut_val *v) {
        bool collection = type == LIST || type == TEXT_LIST || type == NUMBER_LIST || type == TEXT_MAP || type == EITHER;
        return yyjson_mut_is_null(v) || (collection && yyjson_mut_is_arr(v) && yyjson_mut_arr_size(v) == 0) ||
               (type == TEXT_MAP && yyjson_mut_obj_size(v) == 0);
}

static int apply_object(yyjson_mut_doc *doc, yyjson_mut_val *object, struct err *err) {
        yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(object);
        yyjson_mut_val *key;
        while ((key = yyjson_mut_obj_iter_next(&it))) {
                yyjson_mut_val *v = yyjson_mut_obj_iter_get_val(key);
                int f = find_field(yyjson_mut_get_str(key));
                if (f < 0)
                        continue;
                if (!yyjson_mut_is_null(v)) {
                        int r = apply_field(doc, fields[f].name, fields[f].type, v, err);
                        if (r < 0)
                                return r;
                }
                if (is_dropped(fields[f].type, v))
                        yyjson_mut_obj_iter_remove(&it);
        }
        return 0;
}

int podmodel_apply(yyjson_mut_doc *doc, yyjson_mut_val *pod, struct err *err) { return apply_object(doc, pod, err); }
