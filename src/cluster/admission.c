#include "cluster/admission.h"

#include "base/rand.h"
#include "cluster/edit.h"
#include "kobj/meta.h"

struct plugin {
        const char *resource; /* id, or NULL for all */
        unsigned operations;  /* 1 << enum admission_op */
        int (*mutate)(const struct op *op, enum admission_op what, struct draft *d, struct err *err);
        int (*check)(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err);
};

#define ON(what) (1u << ADMIT_##what)
static const struct plugin plugins[] = {
        {NULL, ON(CREATE), admit_namespace, NULL},
        {"namespaces", ON(DELETE), NULL, check_protected_namespace},
        {"pods", ON(CREATE) | ON(UPDATE), admit_limit_range, check_limit_range},
        {"persistentvolumeclaims", ON(CREATE) | ON(UPDATE), NULL, check_limit_range},
        {"pods", ON(CREATE), admit_service_account, NULL},
        {"pods", ON(CREATE) | ON(UPDATE), admit_tolerations, NULL},
        {"pods", ON(CREATE), admit_priority, NULL},
        {"persistentvolumeclaims", ON(CREATE), admit_storage_class, NULL},
        {"nodes", ON(CREATE), admit_node_taint, NULL},
        {"roles.rbac.authorization.k8s.io", ON(CREATE) | ON(UPDATE), NULL, check_escalation},
        {"clusterroles.rbac.authorization.k8s.io", ON(CREATE) | ON(UPDATE), NULL, check_escalation},
        {"rolebindings.rbac.authorization.k8s.io", ON(CREATE) | ON(UPDATE), NULL, check_escalation},
        {"clusterrolebindings.rbac.authorization.k8s.io", ON(CREATE) | ON(UPDATE), NULL, check_escalation},
        {NULL, ON(CREATE) | ON(UPDATE), NULL, check_quota},
};

static bool applies(const struct plugin *p, const struct op *op, enum admission_op what) {
        return (p->operations & (1u << what)) && !op->subresource && (!p->resource || streq(p->resource, op->res->id));
}

int admission_mutate(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(plugins); i++) {
                int r = plugins[i].mutate && applies(&plugins[i], op, what) ? plugins[i].mutate(op, what, d, err) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int admission_validate(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(plugins); i++) {
                int r = plugins[i].check && applies(&plugins[i], op, what) ? plugins[i].check(op, what, object, old, err) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct object *find(const struct op *op, const char *id, const char *ns, const char *name) {
        struct resource *res = registry_by_id(&op->s->registry, id);
        return res ? collection_find(res->objects, ns, name) : NULL;
}

/* Namespaces. */

int admit_namespace(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        struct object *ns;
        (void)what;
        if (!resource_is_namespaced(op->res))
                return 0;
        ns = find(op, "namespaces", "", op->ns);
        if (!ns)
                return status_not_found(err, registry_by_id(&op->s->registry, "namespaces"), op->ns);
        if (object_is_deleting(ns)) {
                const char *name = mmeta_name(d->root);
                AUTO(str) struct str details = STR_INIT(0);
                int r = status_forbidden(err, op->res, name, "unable to create new content in namespace %s because it is being terminated",
                                         op->ns);
                if (!err)
                        return r;
                str_append(&details, err->details, strlen(err->details) - 1);
                str_appendf(
                        &details,
                        ",\"causes\":[{\"reason\":\"NamespaceTerminating\",\"message\":\"namespace %s is being terminated\",\"field\":\"metadata.namespace\"}]}",
                        op->ns);
                free(err->details);
                err->details = str_take(&details);
                return r;
        }
        return 0;
}

int check_protected_namespace(const struct op *op, enum admission_op what, yyjson_val *object, struct object *old, struct err *err) {
        static const char *const kept[] = {"default", "kube-system", "kube-public", "kube-node-lease"};
        (void)what, (void)object, (void)old;
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
                if (streq(op->name, kept[i]))
                        return status_forbidden(err, op->res, op->name, "this namespace may not be deleted");
        return 0;
}

/* Tolerations of a node that is not ready or not reachable, for five minutes. */

static void add_toleration(yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *key) {
        yyjson_mut_val *t;
        MUT_EACH(have, spec, "tolerations") {
                const char *k = mjson_get_str(have, "key"), *effect = mjson_get_str(have, "effect");
                if ((!k || !*k || streq(k, key)) && (!effect || !*effect || streq(effect, "NoExecute")))
                        return;
        }
        t = yyjson_mut_obj(doc);
        mjson_set_str(doc, t, "key", key);
        mjson_set_str(doc, t, "operator", "Exists");
        mjson_set_str(doc, t, "effect", "NoExecute");
        mjson_set_int(doc, t, "tolerationSeconds", 300);
        yyjson_mut_arr_append(mjson_arr(doc, spec, "tolerations"), t);
}

int admit_tolerations(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        (void)op, (void)what, (void)err;
        add_toleration(d->doc, spec, "node.kubernetes.io/not-ready");
        add_toleration(d->doc, spec, "node.kubernetes.io/unreachable");
        return 0;
}

/* Priority. */

static struct object *default_class(const struct op *op) {
        struct resource *res = registry_by_id(&op->s->registry, "priorityclasses.scheduling.k8s.io");
        struct object *best = NULL;
        for (size_t i = 0; i < res->objects->len; i++) {
                struct object *o = res->objects->items[i];
                if (object_bool(o, "/globalDefault", false) && (!best || object_int(o, "/value", 0) < object_int(best, "/value", 0)))
                        best = o;
        }
        return best;
}

int admit_priority(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec"), *given = yyjson_mut_obj_get(spec, "priority");
        const char *name = mjson_get_str(spec, "priorityClassName"), *policy;
        struct object *class = NULL;
        int64_t value;
        (void)what;

        if (name && *name) {
                class = find(op, "priorityclasses.scheduling.k8s.io", "", name);
                if (!class)
                        return status_forbidden(err, op->res, mmeta_name(d->root), "no PriorityClass with name %s was found", name);
        } else {
                class = default_class(op);
                if (class)
                        mjson_set_str(d->doc, spec, "priorityClassName", class->name);
        }
        value = class ? object_int(class, "/value", 0) : 0;
        policy = class ? object_str(class, "/preemptionPolicy") : NULL;
        if (given && yyjson_mut_get_sint(given) != value)
                return status_forbidden(
                        err, op->res, mmeta_name(d->root),
                        "the integer value of priority (%lld) must not be provided in pod spec; priority admission controller computed "
                        "%lld from the given PriorityClass name",
                        (long long)yyjson_mut_get_sint(given), (long long)value);
        mjson_set_int(d->doc, spec, "priority", value);
        default_str(d->doc, spec, "preemptionPolicy", policy ? policy : "PreemptLowerPriority");
        return 0;
}

/* A node that somebody made by hand is not ready until somebody says so; our own pod runtime vouches for its node. */
int admit_node_taint(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        yyjson_mut_val *taint;
        (void)what, (void)err;
        if (!op->user)
                return 0;
        taint = yyjson_mut_obj(d->doc);
        mjson_set_str(d->doc, taint, "key", "node.kubernetes.io/not-ready");
        mjson_set_str(d->doc, taint, "effect", "NoSchedule");
        yyjson_mut_arr_append(mjson_arr(d->doc, mjson_obj(d->doc, d->root, "spec"), "taints"), taint);
        return 0;
}

/* The default storage class. */

int admit_storage_class(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        struct resource *res = registry_by_id(&op->s->registry, "storageclasses.storage.k8s.io");
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec");
        (void)what, (void)err;
        if (yyjson_mut_obj_get(spec, "storageClassName"))
                return 0;
        for (size_t i = 0; i < res->objects->len; i++) {
                const char *mark = object_annotation(res->objects->items[i], "storageclass.kubernetes.io/is-default-class");
                if (mark && streq(mark, "true")) {
                        mjson_set_str(d->doc, spec, "storageClassName", res->objects->items[i]->name);
                        break;
                }
        }
        return 0;
}

/* Service accounts: every pod runs as one, and finds its token at a known place. */

#define TOKEN_DIRECTORY "/var/run/secrets/kubernetes.io/serviceaccount"

static bool has_token_mount(yyjson_mut_val *container) {
        MUT_EACH(mount, container, "volumeMounts") {
                const char *path = mjson_get_str(mount, "mountPath");
                if (path && streq(path, TOKEN_DIRECTORY))
                        return true;
        }
        return false;
}

static yyjson_mut_val *append_object(yyjson_mut_doc *doc, yyjson_mut_val *list) {
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        yyjson_mut_arr_append(list, o);
        return o;
}

static void add_token_volume(yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *name) {
        yyjson_mut_val *volume = append_object(doc, mjson_arr(doc, spec, "volumes")), *projected, *sources, *part, *item;

        mjson_set_str(doc, volume, "name", name);
        projected = mjson_obj(doc, volume, "projected");
        sources = mjson_arr(doc, projected, "sources");
        part = mjson_obj(doc, append_object(doc, sources), "serviceAccountToken");
        mjson_set_int(doc, part, "expirationSeconds", 3607);
        mjson_set_str(doc, part, "path", "token");
        part = mjson_obj(doc, append_object(doc, sources), "configMap");
        mjson_set_str(doc, part, "name", "kube-root-ca.crt");
        item = append_object(doc, mjson_arr(doc, part, "items"));
        mjson_set_str(doc, item, "key", "ca.crt");
        mjson_set_str(doc, item, "path", "ca.crt");
        part = mjson_obj(doc, append_object(doc, sources), "downwardAPI");
        item = append_object(doc, mjson_arr(doc, part, "items"));
        mjson_set_str(doc, item, "path", "namespace");
        mjson_set_str(doc, mjson_obj(doc, item, "fieldRef"), "apiVersion", "v1");
        mjson_set_str(doc, mjson_obj(doc, item, "fieldRef"), "fieldPath", "metadata.namespace");
        mjson_set_int(doc, projected, "defaultMode", 420);
}

static void mount_token(yyjson_mut_doc *doc, yyjson_mut_val *spec) {
        static const char *const lists[] = {"initContainers", "containers"};
        char suffix[8];
        AUTO(free) char *name = NULL;
        bool needed = false;

        /* A webhook may have added a container to a pod that has the volume. */
        MUT_EACH(volume, spec, "volumes") {
                const char *have = mjson_get_str(volume, "name");
                if (!name && have && str_starts(have, "kube-api-access-"))
                        name = xstrdup(have);
        }
        bool has_volume = name != NULL;
        rand_kube_suffix(suffix, 5);
        if (!has_volume)
                name = xasprintf("kube-api-access-%s", suffix);
        for (size_t l = 0; l < ARRAY_LEN(lists); l++)
                MUT_EACH(c, spec, lists[l]) {
                        yyjson_mut_val *mount;
                        if (has_token_mount(c))
                                continue;
                        mount = append_object(doc, mjson_arr(doc, c, "volumeMounts"));
                        mjson_set_str(doc, mount, "name", name);
                        mjson_set_bool(doc, mount, "readOnly", true);
                        mjson_set_str(doc, mount, "mountPath", TOKEN_DIRECTORY);
                        needed = true;
                }
        if (needed && !has_volume)
                add_token_volume(doc, spec, name);
}

int admit_service_account(const struct op *op, enum admission_op what, struct draft *d, struct err *err) {
        yyjson_mut_val *spec = mjson_obj(d->doc, d->root, "spec"), *automount;
        AUTO(free) char *name = xstrdup_null(mjson_get_str(spec, "serviceAccountName"));
        struct object *account;
        yyjson_val *secrets;
        (void)what;

        if (!name || !*name) {
                free(name);
                name = xstrdup("default");
        }
        account = find(op, "serviceaccounts", op->ns, name);
        if (!account)
                return status_forbidden(err, op->res, mmeta_name(d->root),
                                        "error looking up service account %s/%s: serviceaccount \"%s\" not found", op->ns, name, name);
        mjson_set_str(d->doc, spec, "serviceAccountName", name);
        mjson_set_str(d->doc, spec, "serviceAccount", name);
        automount = yyjson_mut_obj_get(spec, "automountServiceAccountToken");
        if (automount ? yyjson_mut_get_bool(automount) : object_bool(account, "/automountServiceAccountToken", true))
                mount_token(d->doc, spec);
        secrets = object_at(account, "/imagePullSecrets");
        if (secrets && yyjson_mut_arr_size(yyjson_mut_obj_get(spec, "imagePullSecrets")) == 0)
                mjson_set(d->doc, spec, "imagePullSecrets", yyjson_val_mut_copy(d->doc, secrets));
        return 0;
}
