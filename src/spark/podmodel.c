#include "spark/podmodel.h"

#include <stdio.h>

#include "spark/conf.h"

enum field_type {
        TEXT,
        INT,
        LONG,
        FILE_MODE, /* an INT that 4.1's client also reads as octal text */
        BOOLEAN,
        QUANTITY,
        INT_OR_TEXT,
        OBJECT,
        LIST, /* of objects */
        TEXT_LIST,
        LONG_LIST,
        TEXT_MAP,
        QUANTITY_MAP,
        TEXT_OR_OBJECT,
        LIST_OR_OBJECT,
        LIST_OR_TEXT_MAP,
};

/* The fields of ObjectMeta and PodSpec and of all they hold. A name means the same wherever it stands, but for the few that are one thing
 * or another. Sorted. */
static const struct {
        const char *name;
        enum field_type type;
        bool kept_empty_35; /* 3.5's client writes it even when empty */
} fields[] = {
        {"accessModes", TEXT_LIST},
        {"activeDeadlineSeconds", LONG},
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
        {"blockOwnerDeletion", BOOLEAN},
        {"cachingMode", TEXT},
        {"capabilities", OBJECT},
        {"cephfs", OBJECT},
        {"chapAuthDiscovery", BOOLEAN},
        {"chapAuthSession", BOOLEAN},
        {"cinder", OBJECT},
        {"claimName", TEXT},
        {"claims", LIST},
        {"clusterTrustBundle", OBJECT},
        {"command", TEXT_LIST},
        {"conditionType", TEXT},
        {"configMap", OBJECT},
        {"configMapKeyRef", OBJECT},
        {"configMapRef", OBJECT},
        {"containerName", TEXT},
        {"containerPort", INT},
        {"containers", LIST},
        {"controller", BOOLEAN},
        {"creationTimestamp", TEXT},
        {"csi", OBJECT},
        {"dataSource", OBJECT},
        {"dataSourceRef", OBJECT},
        {"datasetName", TEXT},
        {"datasetUUID", TEXT},
        {"defaultMode", FILE_MODE},
        {"deletionGracePeriodSeconds", LONG},
        {"deletionTimestamp", TEXT},
        {"devicePath", TEXT},
        {"directory", TEXT},
        {"diskName", TEXT},
        {"diskURI", TEXT},
        {"divisor", QUANTITY},
        {"dnsConfig", OBJECT},
        {"dnsPolicy", TEXT},
        {"downwardAPI", OBJECT},
        {"driver", TEXT},
        {"drop", TEXT_LIST},
        {"effect", TEXT},
        {"emptyDir", OBJECT},
        {"enableServiceLinks", BOOLEAN},
        {"endpoints", TEXT},
        {"env", LIST},
        {"envFrom", LIST},
        {"ephemeral", OBJECT},
        {"ephemeralContainers", LIST},
        {"exec", OBJECT},
        {"expirationSeconds", LONG},
        {"failureThreshold", INT},
        {"fc", OBJECT},
        {"fieldPath", TEXT},
        {"fieldRef", OBJECT},
        {"fieldsType", TEXT},
        {"fieldsV1", OBJECT},
        {"finalizers", TEXT_LIST},
        {"flexVolume", OBJECT},
        {"flocker", OBJECT},
        {"fsGroup", LONG},
        {"fsGroupChangePolicy", TEXT},
        {"fsType", TEXT},
        {"gateway", TEXT},
        {"gcePersistentDisk", OBJECT},
        {"generateName", TEXT},
        {"generation", LONG},
        {"gitRepo", OBJECT},
        {"glusterfs", OBJECT},
        {"gmsaCredentialSpec", TEXT},
        {"gmsaCredentialSpecName", TEXT},
        {"group", TEXT},
        {"grpc", OBJECT},
        {"host", TEXT},
        {"hostAliases", LIST},
        {"hostIP", TEXT},
        {"hostIPC", BOOLEAN},
        {"hostNetwork", BOOLEAN},
        {"hostPID", BOOLEAN},
        {"hostPath", OBJECT},
        {"hostPort", INT},
        {"hostProcess", BOOLEAN},
        {"hostUsers", BOOLEAN},
        {"hostname", TEXT},
        {"hostnames", TEXT_LIST},
        {"httpGet", OBJECT},
        {"httpHeaders", LIST},
        {"image", TEXT_OR_OBJECT},
        {"imagePullPolicy", TEXT},
        {"imagePullSecrets", LIST},
        {"initContainers", LIST},
        {"initialDelaySeconds", INT},
        {"initiatorName", TEXT},
        {"ip", TEXT},
        {"iqn", TEXT},
        {"iscsi", OBJECT},
        {"iscsiInterface", TEXT},
        {"items", LIST},
        {"key", TEXT},
        {"keyring", TEXT},
        {"kind", TEXT},
        {"labelSelector", OBJECT},
        {"labels", TEXT_MAP},
        {"level", TEXT},
        {"lifecycle", OBJECT},
        {"limits", QUANTITY_MAP},
        {"livenessProbe", OBJECT},
        {"localhostProfile", TEXT},
        {"lun", INT},
        {"managedFields", LIST},
        {"manager", TEXT},
        {"matchExpressions", LIST},
        {"matchFields", LIST},
        {"matchLabelKeys", TEXT_LIST},
        {"matchLabels", TEXT_MAP},
        {"maxSkew", INT},
        {"medium", TEXT},
        {"metadata", OBJECT},
        {"minDomains", INT},
        {"mismatchLabelKeys", TEXT_LIST},
        {"mode", FILE_MODE},
        {"monitors", TEXT_LIST},
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
        {"nodePublishSecretRef", OBJECT},
        {"nodeSelector", TEXT_MAP},
        {"nodeSelectorTerms", LIST, true},
        {"nodeTaintsPolicy", TEXT},
        {"operation", TEXT},
        {"operator", TEXT},
        {"optional", BOOLEAN},
        {"options", LIST_OR_TEXT_MAP},
        {"os", OBJECT},
        {"overhead", QUANTITY_MAP},
        {"ownerReferences", LIST},
        {"partition", INT},
        {"path", TEXT},
        {"pdID", TEXT},
        {"pdName", TEXT},
        {"periodSeconds", INT},
        {"persistentVolumeClaim", OBJECT},
        {"photonPersistentDisk", OBJECT},
        {"podAffinity", OBJECT},
        {"podAffinityTerm", OBJECT},
        {"podAntiAffinity", OBJECT},
        {"pool", TEXT},
        {"port", INT_OR_TEXT},
        {"portals", TEXT_LIST},
        {"ports", LIST},
        {"portworxVolume", OBJECT},
        {"postStart", OBJECT},
        {"preStop", OBJECT},
        {"preemptionPolicy", TEXT},
        {"preference", OBJECT},
        {"preferredDuringSchedulingIgnoredDuringExecution", LIST},
        {"prefix", TEXT},
        {"priority", INT},
        {"priorityClassName", TEXT},
        {"privileged", BOOLEAN},
        {"procMount", TEXT},
        {"projected", OBJECT},
        {"protectionDomain", TEXT},
        {"protocol", TEXT},
        {"pullPolicy", TEXT},
        {"quobyte", OBJECT},
        {"rbd", OBJECT},
        {"readOnly", BOOLEAN},
        {"readOnlyRootFilesystem", BOOLEAN},
        {"readinessGates", LIST},
        {"readinessProbe", OBJECT},
        {"recursiveReadOnly", TEXT},
        {"reference", TEXT},
        {"registry", TEXT},
        {"repository", TEXT},
        {"request", TEXT},
        {"requests", QUANTITY_MAP},
        {"requiredDuringSchedulingIgnoredDuringExecution", LIST_OR_OBJECT},
        {"resizePolicy", LIST},
        {"resource", TEXT},
        {"resourceClaimName", TEXT},
        {"resourceClaimTemplateName", TEXT},
        {"resourceClaims", LIST},
        {"resourceFieldRef", OBJECT},
        {"resourceName", TEXT},
        {"resourceVersion", TEXT},
        {"resources", OBJECT},
        {"restartPolicy", TEXT},
        {"revision", TEXT},
        {"role", TEXT},
        {"runAsGroup", LONG},
        {"runAsNonRoot", BOOLEAN},
        {"runAsUser", LONG},
        {"runAsUserName", TEXT},
        {"runtimeClassName", TEXT},
        {"scaleIO", OBJECT},
        {"schedulerName", TEXT},
        {"schedulingGates", LIST},
        {"scheme", TEXT},
        {"seLinuxChangePolicy", TEXT},
        {"seLinuxOptions", OBJECT},
        {"searches", TEXT_LIST},
        {"seccompProfile", OBJECT},
        {"seconds", LONG},
        {"secret", OBJECT},
        {"secretFile", TEXT},
        {"secretKeyRef", OBJECT},
        {"secretName", TEXT},
        {"secretRef", OBJECT},
        {"securityContext", OBJECT},
        {"selector", OBJECT},
        {"selfLink", TEXT},
        {"server", TEXT},
        {"service", TEXT},
        {"serviceAccount", TEXT},
        {"serviceAccountName", TEXT},
        {"serviceAccountToken", OBJECT},
        {"setHostnameAsFQDN", BOOLEAN},
        {"shareName", TEXT},
        {"shareProcessNamespace", BOOLEAN},
        {"signerName", TEXT},
        {"sizeLimit", QUANTITY},
        {"sleep", OBJECT},
        {"source", OBJECT},
        {"sources", LIST, true},
        {"spec", OBJECT},
        {"sslEnabled", BOOLEAN},
        {"startupProbe", OBJECT},
        {"stdin", BOOLEAN},
        {"stdinOnce", BOOLEAN},
        {"stopSignal", TEXT},
        {"storageClassName", TEXT},
        {"storageMode", TEXT},
        {"storagePolicyID", TEXT},
        {"storagePolicyName", TEXT},
        {"storagePool", TEXT},
        {"storageos", OBJECT},
        {"subPath", TEXT},
        {"subPathExpr", TEXT},
        {"subdomain", TEXT},
        {"subresource", TEXT},
        {"successThreshold", INT},
        {"supplementalGroups", LONG_LIST},
        {"supplementalGroupsPolicy", TEXT},
        {"sysctls", LIST},
        {"system", TEXT},
        {"targetContainerName", TEXT},
        {"targetPortal", TEXT},
        {"targetWWNs", TEXT_LIST},
        {"tcpSocket", OBJECT},
        {"tenant", TEXT},
        {"terminationGracePeriodSeconds", LONG},
        {"terminationMessagePath", TEXT},
        {"terminationMessagePolicy", TEXT},
        {"time", TEXT},
        {"timeoutSeconds", INT},
        {"tolerationSeconds", LONG},
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
        {"volume", TEXT},
        {"volumeAttributes", TEXT_MAP},
        {"volumeAttributesClassName", TEXT},
        {"volumeClaimTemplate", OBJECT},
        {"volumeDevices", LIST},
        {"volumeID", TEXT},
        {"volumeMode", TEXT},
        {"volumeMounts", LIST},
        {"volumeName", TEXT},
        {"volumeNamespace", TEXT},
        {"volumePath", TEXT},
        {"volumes", LIST},
        {"vsphereVolume", OBJECT},
        {"weight", INT},
        {"whenUnsatisfiable", TEXT},
        {"windowsOptions", OBJECT},
        {"workingDir", TEXT},
        {"wwids", TEXT_LIST},
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

static int wrong_type(const char *name, const char *wanted, struct err *err) {
        return err_set(err, -EINVAL, "%s must be %s", name, wanted);
}

struct model {
        yyjson_mut_doc *doc;
        enum spark_line line;
};

static int to_text(const struct model *m, const char *name, yyjson_mut_val *v, struct err *err) {
        char number[40];
        if (yyjson_mut_is_str(v) || yyjson_mut_is_null(v))
                return 0;
        if (yyjson_mut_is_obj(v) || yyjson_mut_is_arr(v))
                return wrong_type(name, "a text", err);
        if (yyjson_mut_is_raw(v)) { /* a number too large to be one */
                yyjson_mut_set_strn(v, yyjson_mut_get_raw(v), yyjson_mut_get_len(v));
                return 0;
        }
        if (yyjson_mut_is_bool(v))
                snprintf(number, sizeof(number), "%s", yyjson_mut_get_bool(v) ? "true" : "false");
        else if (yyjson_mut_is_real(v))
                java_format_double(yyjson_mut_get_real(v), number);
        else
                snprintf(number, sizeof(number), "%lld", (long long)yyjson_mut_get_sint(v));
        yyjson_mut_val *copy = yyjson_mut_strcpy(m->doc, number);
        yyjson_mut_set_strn(v, yyjson_mut_get_str(copy), yyjson_mut_get_len(copy));
        return 0;
}

static int to_quantity(const struct model *m, const char *name, yyjson_mut_val *v, struct err *err) {
        int r = to_text(m, name, v, err);
        if (r >= 0 && yyjson_mut_is_str(v) && yyjson_mut_get_len(v) == 0)
                return wrong_type(name, "a quantity such as 500m or 2Gi", err);
        return r;
}

/* 0644 and 0o644 as chmod means them. */
static bool parse_octal(const char *text, int64_t *ret) {
        const char *digits = text + (text[0] == '0' && text[1] == 'o' ? 2 : 1);
        if (text[0] != '0' || !*digits || strspn(digits, "01234567") != strlen(digits) || strlen(digits) > 10)
                return false;
        *ret = strtol(digits, NULL, 8);
        return true;
}

static int to_number(const struct model *m, const char *name, enum field_type type, yyjson_mut_val *v, struct err *err) {
        int64_t n = 0;
        if (yyjson_mut_is_null(v))
                return 0;
        if (yyjson_mut_is_int(v)) {
                n = yyjson_mut_get_sint(v);
        } else if (yyjson_mut_is_real(v)) {
                n = (int64_t)yyjson_mut_get_real(v);
        } else if (yyjson_mut_is_str(v)) {
                AUTO(free) char *text = sv_dup(sv_trim(sv_of(yyjson_mut_get_str(v))));
                if (!*text) {
                        yyjson_mut_set_null(v);
                        return 0;
                }
                bool octal = type == FILE_MODE && m->line != SPARK_3_5 && parse_octal(text, &n);
                if (!octal && !java_parse_long(text, &n))
                        return wrong_type(name, "a number", err);
        } else {
                return wrong_type(name, "a number", err);
        }
        if (type != LONG && (n < INT32_MIN || n > INT32_MAX))
                return wrong_type(name, "a number between -2147483648 and 2147483647", err);
        yyjson_mut_set_sint(v, n);
        return 0;
}

static int to_boolean(const char *name, yyjson_mut_val *v, struct err *err) {
        if (yyjson_mut_is_bool(v) || yyjson_mut_is_null(v))
                return 0;
        if (yyjson_mut_is_int(v)) {
                yyjson_mut_set_bool(v, yyjson_mut_get_sint(v) != 0);
                return 0;
        }
        struct sv text = sv_trim(sv_of(yyjson_mut_get_str(v)));
        if (yyjson_mut_is_str(v) && text.len == 0) {
                yyjson_mut_set_null(v);
                return 0;
        }
        bool yes = sv_eqs(text, "true") || sv_eqs(text, "True") || sv_eqs(text, "TRUE");
        if (!yes && !sv_eqs(text, "false") && !sv_eqs(text, "False") && !sv_eqs(text, "FALSE"))
                return wrong_type(name, "true or false", err);
        yyjson_mut_set_bool(v, yes);
        return 0;
}

static int apply_object(const struct model *m, const char *name, yyjson_mut_val *object, struct err *err);

static int apply_list(const struct model *m, const char *name, yyjson_mut_val *list, enum field_type type, struct err *err) {
        size_t i, n;
        yyjson_mut_val *item;
        if (!yyjson_mut_is_arr(list))
                return wrong_type(name, "a list", err);
        yyjson_mut_arr_foreach(list, i, n, item) {
                int r = 0;
                if (type == TEXT_LIST)
                        r = to_text(m, name, item, err);
                else if (type == LONG_LIST)
                        r = to_number(m, name, LONG, item, err);
                else if (!yyjson_mut_is_null(item))
                        r = apply_object(m, name, item, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_map(const struct model *m, const char *name, yyjson_mut_val *map, enum field_type type, struct err *err) {
        size_t i, n;
        yyjson_mut_val *key, *value;
        if (!yyjson_mut_is_obj(map))
                return wrong_type(name, "a map", err);
        yyjson_mut_obj_foreach(map, i, n, key, value) {
                const char *what = yyjson_mut_get_str(key);
                int r = type == QUANTITY_MAP ? to_quantity(m, what, value, err) : to_text(m, what, value, err);
                if (r < 0)
                        return err_wrap(err, r, "%s", name);
        }
        return 0;
}

/* Those that are one thing or another, by what they hold. */
static enum field_type settle_type(enum field_type type, yyjson_mut_val *v) {
        switch (type) {
        case TEXT_OR_OBJECT:
                return yyjson_mut_is_obj(v) ? OBJECT : TEXT;
        case LIST_OR_OBJECT:
                return yyjson_mut_is_obj(v) ? OBJECT : LIST;
        case LIST_OR_TEXT_MAP:
                return yyjson_mut_is_obj(v) ? TEXT_MAP : LIST;
        default:
                return type;
        }
}

static int apply_field(const struct model *m, const char *name, enum field_type type, yyjson_mut_val *v, struct err *err) {
        switch (type) {
        case TEXT:
                return to_text(m, name, v, err);
        case INT:
        case LONG:
        case FILE_MODE:
                return to_number(m, name, type, v, err);
        case BOOLEAN:
                return to_boolean(name, v, err);
        case QUANTITY:
                return to_quantity(m, name, v, err);
        case INT_OR_TEXT:
                return yyjson_mut_is_int(v) || yyjson_mut_is_str(v) ? 0 : wrong_type(name, "a number or a text", err);
        case LIST:
        case TEXT_LIST:
        case LONG_LIST:
                return apply_list(m, name, v, type, err);
        case TEXT_MAP:
        case QUANTITY_MAP:
                return apply_map(m, name, v, type, err);
        default:
                return apply_object(m, name, v, err);
        }
}

static bool is_dropped(enum field_type type, yyjson_mut_val *v) {
        return yyjson_mut_is_null(v) || (yyjson_mut_is_arr(v) && yyjson_mut_arr_size(v) == 0) ||
               ((type == TEXT_MAP || type == QUANTITY_MAP) && yyjson_mut_obj_size(v) == 0);
}

static int apply_object(const struct model *m, const char *name, yyjson_mut_val *object, struct err *err) {
        if (!yyjson_mut_is_obj(object))
                return wrong_type(name, "an object", err);
        yyjson_mut_obj_iter it = yyjson_mut_obj_iter_with(object);
        yyjson_mut_val *key;
        while ((key = yyjson_mut_obj_iter_next(&it))) {
                yyjson_mut_val *v = yyjson_mut_obj_iter_get_val(key);
                int f = find_field(yyjson_mut_get_str(key));
                if (f < 0)
                        continue;
                enum field_type type = settle_type(fields[f].type, v);
                if (!yyjson_mut_is_null(v)) {
                        int r = apply_field(m, fields[f].name, type, v, err);
                        if (r < 0)
                                return r;
                }
                if (is_dropped(type, v) && !(fields[f].kept_empty_35 && m->line == SPARK_3_5 && !yyjson_mut_is_null(v)))
                        yyjson_mut_obj_iter_remove(&it);
        }
        return 0;
}

int podmodel_apply(enum spark_line line, yyjson_mut_doc *doc, yyjson_mut_val *pod, struct err *err) {
        return apply_object(&(struct model){doc, line}, "a pod", pod, err);
}
