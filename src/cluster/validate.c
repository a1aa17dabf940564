/* All rules for an object on its way in: metadata, schema, the kind's own.
 *
 * The real server looks at parts of an updated object in more than one place, and its answer has a cause for each. How often is a matter of
 * the kind (ValidateUpdate of each strategy in pkg/registry, 1.34). */
#include "cluster/ops.h"
#include "cluster/kinds/status_rules.h"
#include "cluster/crd/structural.h"
#include "kobj/meta.h"

/* In updates, beside what holds for every object: */
struct passes {
        const char *id;
        unsigned char changes; /* times that metadata is compared with the old one's */
        unsigned char metas;   /* times that metadata is looked at as on create */
        unsigned char bodies;  /* times that the rest is */
};

static const struct passes main_passes[] = {
        {"configmaps", 1, 1, 1},
        {"secrets", 1, 1, 1},
        {"serviceaccounts", 1, 1, 1},
        {"namespaces", 1, 1, 1},
        {"endpoints", 1, 1, 1},
        {"events", 0, 0, 1},
        {"limitranges", 0, 1, 1},
        {"persistentvolumeclaims", 1, 2, 2},
        {"persistentvolumes", 0, 2, 2},
        {"pods", 1, 1, 1},
        {"podtemplates", 1, 1, 1},
        {"nodes", 1, 1, 2},
        {"replicationcontrollers", 1, 1, 2},
        {"controllerrevisions.apps", 1, 1, 1},
        {"jobs.batch", 1, 1, 1},
        {"ingresses.networking.k8s.io", 1, 1, 1},
        {"ingressclasses.networking.k8s.io", 1, 1, 1},
        {"networkpolicies.networking.k8s.io", 1, 1, 2},
        {"poddisruptionbudgets.policy", 0, 0, 1},
        {"roles.rbac.authorization.k8s.io", 1, 2, 2},
        {"clusterroles.rbac.authorization.k8s.io", 1, 2, 2},
        {"rolebindings.rbac.authorization.k8s.io", 1, 2, 2},
        {"clusterrolebindings.rbac.authorization.k8s.io", 1, 2, 2},
        {"storageclasses.storage.k8s.io", 1, 1, 1},
        {"endpointslices.discovery.k8s.io", 0, 1, 1},
        {"mutatingwebhookconfigurations.admissionregistration.k8s.io", 0, 1, 1},
        {"validatingwebhookconfigurations.admissionregistration.k8s.io", 0, 1, 1},
};
/* Of /status. */
static const struct passes status_passes[] = {
        {"cronjobs.batch", 0, 0, 1},
        {"poddisruptionbudgets.policy", 0, 0, 1},
};

/* Members that stay as they were, of kinds that have no other rules for updates. */
static const struct {
        const char *id, *pointer, *path, *absent; /* `absent`: how a member that is not there is shown */
} fixed[] = {
        {"controllerrevisions.apps", "/data", "data", "null"},
        {"resourcequotas", "/spec/scopes", "spec.scopes", "null"},
        {"ingressclasses.networking.k8s.io", "/spec/controller", "spec.controller", "\"\""},
};

static void check_fixed(const struct draft *d, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
                if (!streq(fixed[i].id, d->resource->id))
                        continue;
                yyjson_val *now = json_at(object, fixed[i].pointer);
                if (json_equal(now, json_at(old, fixed[i].pointer)))
                        continue;
                AUTO(free) char *text = now ? json_write(now, false, NULL) : xstrdup(fixed[i].absent);
                invalid_add(bad, fixed[i].path, INVALID_VALUE, text, "field is immutable");
        }
}

static struct passes passes_of(const struct draft *d) {
        bool is_status = d->subresource && streq(d->subresource, "status");
        const struct passes *table = is_status ? status_passes : main_passes;
        size_t len = is_status ? ARRAY_LEN(status_passes) : ARRAY_LEN(main_passes);
        for (size_t i = 0; i < len; i++)
                if (streq(table[i].id, d->resource->id))
                        return table[i];
        return (struct passes){.changes = 1, .bodies = 1};
}

static void validate_update(const struct draft *d, yyjson_val *object, struct invalid *bad) {
        const struct kind_hooks *hooks = d->resource->hooks;
        yyjson_val *old = object_root(d->old);
        struct passes passes = passes_of(d);

        meta_validate_update(d->resource, object, old, passes.changes, bad);
        for (unsigned i = 0; i < passes.metas; i++)
                meta_validate(d->resource, object, bad);
        for (unsigned i = 0; i < passes.bodies && hooks->validate; i++)
                hooks->validate(d, object, bad);
        if (d->resource->structural)
                structural_validate(d->resource->structural, object, old, bad);
        if (hooks->validate_update)
                hooks->validate_update(d, object, old, bad);
        if (d->subresource && streq(d->subresource, "status"))
                status_rules_validate(d->resource->id, object, old, bad);
        else
                check_fixed(d, object, old, bad);
}

int object_validate(const struct draft *d, yyjson_val *object, struct err *err) {
        AUTO(invalid) struct invalid bad = {0};
        if (d->old) {
                validate_update(d, object, &bad);
        } else {
                meta_validate(d->resource, object, &bad);
                if (d->resource->structural)
                        structural_validate(d->resource->structural, object, NULL, &bad);
                if (d->resource->hooks->validate)
                        d->resource->hooks->validate(d, object, &bad);
        }
        return invalid_err(&bad, d->resource->storage->group, d->resource->kind, meta_name(object), err);
}
