/* The kinds the server knows: one const row a built-in kind (kinds.c), plus those that CustomResourceDefinitions bring (crd.c).
 *
 * A `struct resource` is one (group, version, plural) that is served. Versions of the same group and plural share one
 * collection of objects, written in the form of the storage version. Resources live as long as the registry: a removed
 * CRD's resource is only unlinked (`is_served` false), because objects refer to it.
 * Adding a built-in kind: a row in kinds.c, and hooks (hooks.h) where it has defaults or rules of its own.
 */
#ifndef FIRESTEEL_CLUSTER_REGISTRY_H
#define FIRESTEEL_CLUSTER_REGISTRY_H

#include "base/map.h"
#include "base/vec.h"
#include "kobj/names.h"
#include "kobj/schema.h"

struct collection; /* cluster/store.h */
struct kind_hooks; /* cluster/hooks.h */
struct structural; /* cluster/crd/structural.h */
struct table_kind; /* kobj/table.h */

enum verb {
        VERB_GET = 1 << 0,
        VERB_LIST = 1 << 1,
        VERB_WATCH = 1 << 2,
        VERB_CREATE = 1 << 3,
        VERB_UPDATE = 1 << 4,
        VERB_PATCH = 1 << 5,
        VERB_DELETE = 1 << 6,
        VERB_DELETECOLLECTION = 1 << 7,

        VERBS_EDIT = VERB_GET | VERB_PATCH | VERB_UPDATE,
        VERBS_PROXY = VERB_CREATE | VERB_DELETE | VERB_GET | VERB_PATCH | VERB_UPDATE,
        VERBS_ALL = 255,
};

enum kind_flags {
        KIND_CLUSTER = 1 << 0,        /* not namespaced */
        KIND_GENERATION = 1 << 1,     /* metadata.generation counts changes outside metadata and status */
        KIND_RETURN_DELETED = 1 << 2, /* DELETE answers with the object instead of a Status */
        KIND_GRACEFUL = 1 << 3,       /* pods: deletion takes terminationGracePeriodSeconds */
        KIND_NEEDS_VERSION = 1 << 4,  /* PUT without resourceVersion is refused */
        KIND_VIRTUAL = 1 << 5,        /* never stored: reviews, componentstatuses */
        KIND_STATUS = 1 << 6,         /* has the subresource status: the main resource ignores changes of .status */
        KIND_NOT_STORAGE = 1 << 7,    /* another version of the same group and plural is the stored one */
        KIND_UPSERT = 1 << 8,         /* PUT of an absent object creates it */
        KIND_FREE_FINALIZERS = 1 << 10, /* finalizers of any name */
        KIND_GENERATION_FIXED = 1 << 11,  /* generation is 1 for ever (PriorityClass) */
        KIND_GENERATION_LABELS = 1 << 12, /* generation counts changes of labels too (EndpointSlice) */
        KIND_GENERATION_META = 1 << 9, /* generation counts changes of annotations too (Deployment) */
};

struct subresource {
        const char *name;
        const char *kind;
        const char *group, *version; /* of the kind, when it is not the resource's own; NULL */
        unsigned verbs;
};

struct kind_row {
        const char *group, *version, *plural, *singular, *kind;
        const char *short_names, *categories; /* blank-separated, or NULL */
        unsigned flags, verbs;
        const struct subresource *subresources; /* ends with a NULL name; sorted by name */
        name_check_fn *name_check;
        const struct kind_hooks *hooks; /* may be NULL */
};
extern const struct kind_row kind_rows[];
extern const size_t kind_rows_len;

struct resource {
        char *group, *version, *plural, *singular, *kind, *list_kind;
        struct strv short_names, categories;
        unsigned flags, verbs;
        const struct subresource *subresources; /* never NULL */
        name_check_fn *name_check;
        const struct kind_hooks *hooks; /* never NULL */

        char *api_version;   /* "apps/v1" */
        char *id;            /* "deployments.apps": names collection and stored rows */
        char *prefix;        /* `{"kind":"Deployment","apiVersion":"apps/v1",` */
        size_t prefix_len;
        struct schema schema;
        struct collection *objects;        /* NULL for virtual kinds */
        const struct resource *storage;    /* the version that is stored; itself mostly */
        const struct table_kind *table;    /* NULL: by group and kind */
        const struct structural *structural; /* custom resources only */
        struct strv selectable_fields;     /* of a CRD */
        yyjson_val *crd_version;           /* spec.versions[] of the CRD; lives in the CRD's own object */
        struct object *crd;                /* reference held */
        const char *scale_spec, *scale_status, *scale_selector; /* JSON pointers of a CRD's scale subresource; NULL = none */
        bool has_own_subresources; /* allocated for this resource */
        bool is_custom, is_served;
};

static inline bool resource_is_namespaced(const struct resource *r) { return !(r->flags & KIND_CLUSTER); }
/* NULL when there is none of that name. */
const struct subresource *resource_subresource(const struct resource *r, const char *name);

struct api_group {
        char *name;
        VEC(struct api_version) versions; /* the preferred one first */
};
struct api_version {
        char *name;
        VEC(struct resource *) resources; /* sorted by plural */
};

struct store;
struct registry {
        VEC(struct api_group *) groups; /* in discovery's order, core first */
        struct map by_path; /* "group/version/plural" -> resource */
        struct map by_id;   /* "plural.group" -> storage resource */
        VEC(struct resource *) all;
        uint64_t revision; /* grows with every change: discovery and OpenAPI caches key on it */
};

void registry_init(struct registry *r, struct store *store);
void registry_done(struct registry *r);
/* NULL when not served. group is "" for core. */
struct resource *registry_find(const struct registry *r, const char *group, const char *version, const char *plural);
/* By the name of `kubectl api-resources`: "pods", "deployments.apps". */
struct resource *registry_by_id(const struct registry *r, const char *id);
struct resource *registry_by_kind(const struct registry *r, const char *group, const char *version, const char *kind);
const struct api_group *registry_group(const struct registry *r, const char *group);
const struct api_version *registry_version(const struct registry *r, const char *group, const char *version);
/* Takes `res`. */
void registry_add(struct registry *r, struct resource *res);
/* Ends serving; memory stays. */
void registry_remove(struct registry *r, struct resource *res);
/* Fills api_version, id, prefix and list_kind from the names. */
void resource_finish(struct resource *res);

extern const struct {
        unsigned verb;
        const char *name;
} verb_names[8]; /* sorted by name */

#endif
