/* Create, update and patch. */
#include "base/rand.h"
#include "cluster/admission.h"
#include "cluster/ops.h"
#include "cluster/inert.h"
#include "cluster/crd/structural.h"
#include "cluster/webhooks.h"
#include "cluster/decode.h"
#include "codec/ktime.h"
#include "codec/yaml.h"
#include "kobj/apply.h"
#include "kobj/meta.h"
#include "kobj/patch.h"

/* Steps that create and update share. */

static bool in_status(const struct op *op) { return op->subresource && streq(op->subresource, "status"); }

/* A pod that is given its node is still of the same generation. */
static bool is_binding(const struct op *op) { return op->subresource && streq(op->subresource, "binding"); }

static struct apply_options ownership(const struct op *op) {
        return (struct apply_options){
                .manager = op->manager,
                .subresource = op->subresource,
                .schema = op->res->schema,
                .now_ms = clock_now_ms(),
                .force = op->force,
                .shown_version = op->subresource && streq(op->subresource, "scale") ? "autoscaling/v1" : NULL,
                .ignore = in_status(op) || !(op->res->flags & KIND_STATUS) ? NULL : "status",
        };
}

/* Where Go's struct has it, behind the uid. */
static void set_revision(yyjson_mut_doc *doc, yyjson_mut_val *meta, const char *revision) {
        yyjson_mut_val *key, *value;
        size_t i, n, at = 0;
        mjson_remove(meta, "resourceVersion");
        yyjson_mut_obj_foreach(meta, i, n, key, value) at = streq(yyjson_mut_get_str(key), "uid") ? i + 1 : at;
        yyjson_mut_obj_insert(meta, yyjson_mut_str(doc, "resourceVersion"), yyjson_mut_strcpy(doc, revision), at);
}

struct object *op_store(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object *old) {
        struct store *store = op->s->store;
        char revision[24];
        struct object *o;
        (void)old;

        if (op->dry_run) {
                o = object_new(op->res->storage, 0, mjson_freeze(root));
                return o;
        }
        snprintf(revision, sizeof(revision), "%llu", (unsigned long long)store_next_revision(store));
        set_revision(doc, mmeta_of(root), revision);
        if (op->res != op->res->storage) {
                const struct structural *stored = op->res->storage->structural;
                if (op->res->hooks->to_storage)
                        op->res->hooks->to_storage(doc, root);
                if (stored) {
                        structural_default(stored, doc, root);
                        structural_prune(stored, root, NULL);
                }
                mjson_set_str(doc, root, "apiVersion", op->res->storage->api_version);
        }
        o = object_new(op->res->storage, store_next_revision(store), mjson_freeze(root));
        store_put(store, op->res->objects, object_ref(o));
        return o;
}

struct object *op_remove(const struct op *op, struct object *o) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(o);
        char revision[24];
        struct object *last;

        snprintf(revision, sizeof(revision), "%llu", (unsigned long long)store_next_revision(op->s->store));
        mjson_set_str(doc, mmeta_of(yyjson_mut_doc_get_root(doc)), "resourceVersion", revision);
        last = object_new(o->resource, store_next_revision(op->s->store), mjson_freeze(yyjson_mut_doc_get_root(doc)));
        store_remove(op->s->store, o->resource->objects, object_ref(last));
        return last;
}

static struct draft draft_of(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object *old) {
        return (struct draft){.server = op->s, .resource = op->res, .ns = op->ns ? op->ns : "", .subresource = op->subresource,
                              .doc = doc, .root = root, .old = old, .is_dry_run = op->dry_run};
}

/* Create. */

static int check_namespace(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct err *err) {
        const char *ns = mmeta_namespace(root);
        if (!resource_is_namespaced(op->res)) {
                if (ns && *ns && !op->name)
                        return status_bad_request(err, "namespace is not allowed on this type");
                mjson_remove(mmeta_of(root), "namespace");
                return 0;
        }
        if (ns && *ns && !streq(ns, op->ns))
                return status_bad_request(err, "the namespace of the provided object does not match the namespace sent on the request");
        mmeta_set(doc, root, "namespace", op->ns);
        return 0;
}

/* yyjson keeps the order in which members were added; bring them where Go's structs have them, without what is empty. */
static yyjson_mut_val *canonical(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        yyjson_mut_val *ordered = NULL, *out, *key, *value;
        size_t i, n;

        if (op->res->is_custom) {
                if (decode_typed(doc, mmeta_of(root), schema_of_type("ObjectMeta"), NULL, &ordered, NULL) == 0)
                        mjson_set(doc, root, "metadata", ordered);
                return root;
        }
        if (decode_typed(doc, root, op->res->schema, NULL, &ordered, NULL) < 0)
                return root; /* cannot be: it was decoded before, and hooks write what the schema says */
        out = yyjson_mut_obj(doc);
        yyjson_mut_obj_add_strcpy(doc, out, "kind", op->res->kind);
        yyjson_mut_obj_add_strcpy(doc, out, "apiVersion", op->res->api_version);
        yyjson_mut_obj_foreach(ordered, i, n, key, value) {
                if (!streq(yyjson_mut_get_str(key), "kind") && !streq(yyjson_mut_get_str(key), "apiVersion"))
                        yyjson_mut_obj_add(out, yyjson_mut_val_mut_copy(doc, key), yyjson_mut_val_mut_copy(doc, value));
        }
        return out;
}

static void fill_system_fields(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        static const char *const reset[] = {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"};
        const char *prefix;
        yyjson_mut_val *meta = mmeta_of(root);
        char uid[37], now[KTIME_SIZE], suffix[8];

        for (size_t i = 0; i < ARRAY_LEN(reset); i++)
                mjson_remove(meta, reset[i]);
        rand_uuid(uid);
        mjson_set_str(doc, meta, "uid", uid);
        ktime_format(clock_now_ms(), now);
        mjson_set_str(doc, meta, "creationTimestamp", now);
        prefix = mjson_get_str(meta, "generateName");
        if (prefix && *prefix && (!mmeta_name(root) || !*mmeta_name(root))) {
                AUTO(free) char *name = NULL;
                rand_kube_suffix(suffix, NAME_GENERATED_SUFFIX);
                name = name_generate(prefix, suffix);
                mjson_set_str(doc, meta, "name", name);
        }
        if (op->res->flags & KIND_GENERATION)
                mjson_set_int(doc, meta, "generation", 1);
}

int op_create(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object **ret, struct err *err) {
        AUTO(json) yyjson_doc *frozen = NULL;
        const char *given_version;
        struct apply_options owner = ownership(op);
        struct draft d;
        int r = op_decode(op, doc, root, &root, err);

        if (r == 0)
                r = check_namespace(op, doc, root, err);
        if (r < 0)
                return r;
        given_version = mmeta_resource_version(root);
        given_version = given_version && *given_version ? given_version : NULL;
        d = draft_of(op, doc, root, NULL);
        fill_system_fields(op, doc, root);
        meta_dedup_owners(mmeta_of(root), op->is_patch, op->warnings);
        if (op->res->hooks->defaults)
                op->res->hooks->defaults(&d);
        r = admission_mutate(op, ADMIT_CREATE, &d, err);
        if (r == 0)
                r = webhooks_mutate(op, ADMIT_CREATE, &d, err);
        if (r < 0)
                return r;
        root = d.root;
        if (op->res->is_custom && (op->res->flags & KIND_STATUS))
                mjson_remove(root, "status");
        if (op->res->hooks->prepare_create) {
                r = op->res->hooks->prepare_create(&d, err);
                if (r < 0)
                        return r;
        }
        if (!op->is_apply) /* else apply_patch() has said who owns what */
                apply_track(doc, NULL, root, &owner);
        d.root = root = canonical(op, doc, root);
        frozen = mjson_freeze(root);
        r = object_validate(&d, yyjson_doc_get_root(frozen), err);
        if (r == 0)
                r = webhooks_validate(op, ADMIT_CREATE, yyjson_doc_get_root(frozen), NULL, err);
        if (r == 0)
                r = admission_validate(op, ADMIT_CREATE, yyjson_doc_get_root(frozen), NULL, err);
        if (r < 0)
                return r;
        if (given_version)
                return status_internal(err, "resourceVersion should not be set on objects to be created");
        if (collection_find(op->res->objects, op->ns, mmeta_name(root)))
                return status_already_exists(err, op->res, mmeta_name(root));
        if (op->warnings)
                inert_warn(op->res, yyjson_doc_get_root(frozen), op->warnings);
        *ret = op_store(op, doc, root, NULL);
        return 0;
}

/* Update. */

static void copy_member(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *from, const char *key) {
        yyjson_val *v = yyjson_obj_get(from, key);
        if (v)
                mjson_set(doc, to, key, yyjson_val_mut_copy(doc, v));
        else
                mjson_remove(to, key);
}

/* What an update cannot say; a member that it may repeat but not change is compared later (meta_validate_update). */
static void keep_system_fields(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, yyjson_val *old) {
        static const char *const kept[] = {"creationTimestamp", "generation"};
        yyjson_val *old_meta = meta_of(old);
        yyjson_mut_val *meta = mmeta_of(root);
        const char *uid = mmeta_uid(root);
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
                copy_member(doc, meta, old_meta, kept[i]);
        if (!uid || !*uid)
                copy_member(doc, meta, old_meta, "uid");
        if (yyjson_obj_get(old_meta, "deletionTimestamp"))
                copy_member(doc, meta, old_meta, "deletionTimestamp");
        if (!yyjson_mut_obj_get(meta, "deletionGracePeriodSeconds"))
                copy_member(doc, meta, old_meta, "deletionGracePeriodSeconds");
        mjson_set_str(doc, meta, "name", op->name);
        mjson_set_str(doc, meta, "resourceVersion", meta_resource_version(old));
}

/* Each endpoint changes its part only: /status the status, the main resource everything else. */
static void keep_other_part(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, yyjson_val *old) {
        yyjson_val *key, *value;
        size_t i, n;

        if (!in_status(op)) {
                if ((op->res->flags & KIND_STATUS) && !op->subresource)
                        copy_member(doc, root, old, "status");
                return;
        }
        yyjson_obj_foreach(old, i, n, key, value) {
                const char *name = yyjson_get_str(key);
                if (!streq(name, "status") && !streq(name, "metadata"))
                        copy_member(doc, root, old, name);
        }
        if (op->res->is_custom) {
                yyjson_mut_val *managed = yyjson_mut_obj_get(mmeta_of(root), "managedFields");
                yyjson_mut_val *meta = yyjson_val_mut_copy(doc, meta_of(old));
                mjson_remove(meta, "managedFields");
                if (managed)
                        mjson_set(doc, meta, "managedFields", yyjson_mut_val_mut_copy(doc, managed));
                mjson_set(doc, root, "metadata", meta);
        }
}

/* The deployment controller's own notes do not count. */
static size_t count_own(yyjson_val *annotations, yyjson_val *other, bool *ret_differ) {
        yyjson_val *key, *value;
        size_t i, n, count = 0;
        yyjson_obj_foreach(annotations, i, n, key, value) {
                if (str_starts(unsafe_yyjson_get_str(key), "deployment.kubernetes.io/"))
                        continue;
                count++;
                *ret_differ |= !yyjson_equals(value, yyjson_obj_get(other, yyjson_get_str(key)));
        }
        return count;
}

static bool annotations_differ(yyjson_val *now, yyjson_val *old) {
        bool differ = false;
        size_t a = count_own(now, old, &differ), b = count_own(old, now, &differ);
        return differ || a != b;
}

static bool spec_differs(const struct op *op, yyjson_val *now, yyjson_val *old) {
        static const char *const outside[] = {"metadata", "status", "kind", "apiVersion", NULL};
        yyjson_val *key, *value;
        size_t i, n, count[2] = {0, 0};

        if (op->res->flags & KIND_GENERATION_FIXED)
                return false;
        if ((op->res->flags & KIND_GENERATION_LABELS) &&
            !json_equal(yyjson_obj_get(meta_of(now), "labels"), yyjson_obj_get(meta_of(old), "labels")))
                return true;
        if ((op->res->flags & KIND_GENERATION_META) &&
            annotations_differ(yyjson_obj_get(meta_of(now), "annotations"), yyjson_obj_get(meta_of(old), "annotations")))
                return true;
        for (int side = 0; side < 2; side++) {
                yyjson_obj_foreach(side ? old : now, i, n, key, value) {
                        if (str_is_one_of(yyjson_get_str(key), outside))
                                continue;
                        count[side]++;
                        if (!side && !json_equal(value, yyjson_obj_get(old, yyjson_get_str(key))))
                                return true;
                }
        }
        return count[0] != count[1];
}

/* Equal but for the times in managedFields: then nothing is written. */
static bool is_unchanged(yyjson_val *now, yyjson_val *old) {
        AUTO(mjson) yyjson_mut_doc *a = json_thaw(now), *b = json_thaw(old);
        AUTO(json) yyjson_doc *fa = NULL, *fb = NULL;
        yyjson_mut_doc *docs[] = {a, b};
        for (size_t i = 0; i < 2; i++) {
                yyjson_mut_val *meta = mmeta_of(yyjson_mut_doc_get_root(docs[i])), *entry;
                size_t k, n;
                yyjson_mut_arr_foreach(yyjson_mut_obj_get(meta, "managedFields"), k, n, entry) mjson_remove(entry, "time");
        }
        fa = mjson_freeze(yyjson_mut_doc_get_root(a));
        fb = mjson_freeze(yyjson_mut_doc_get_root(b));
        return json_equal(yyjson_doc_get_root(fa), yyjson_doc_get_root(fb));
}

static bool is_finished(const struct op *op, yyjson_val *object) {
        yyjson_val *meta = meta_of(object);
        if (!yyjson_obj_get(meta, "deletionTimestamp") || yyjson_arr_size(yyjson_obj_get(meta, "finalizers")))
                return false;
        if (streq(op->res->id, "namespaces") && yyjson_arr_size(json_at(object, "/spec/finalizers")))
                return false;
        return json_get_int(meta, "deletionGracePeriodSeconds", 0) == 0;
}

/* Where the real server keeps an object; dry runs name it without the root. */
static char *storage_key(const struct op *op) {
        static const struct { const char *id, *folder;
        } others[] = {
                {"services", "services/specs"},
                {"endpoints", "services/endpoints"},
                {"nodes", "minions"},
                {"replicationcontrollers", "controllers"},
                {"ingresses.networking.k8s.io", "ingress"},
        };
        const char *folder = op->res->plural;
        bool has_group =
                op->res->is_custom || streq(op->res->group, "apiextensions.k8s.io") || streq(op->res->group, "apiregistration.k8s.io");
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
                if (streq(others[i].id, op->res->id))
                        folder = others[i].folder;
        return xasprintf("%s%s%s/%s%s%s/%s", op->dry_run ? "" : "/registry", has_group ? "/" : "", has_group ? op->res->group : "", folder,
                         *op->ns ? "/" : "", op->ns, op->name);
}

int op_wrong_uid(const struct op *op, const char *uid, const struct object *old, struct err *err) {
        AUTO(free) char *key = storage_key(op);
        return status_conflict(
                err, op->res, op->name,
                "StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: %s, "
                "UID in object meta: %s",
                key, uid, old->uid);
}

static int check_preconditions(const struct op *op, yyjson_mut_val *root, struct object *old, struct err *err) {
        const char *uid = mmeta_uid(root), *version = mmeta_resource_version(root);
        if (uid && *uid && !streq(uid, old->uid) && !op->is_patch && !op->is_apply)
                return op_wrong_uid(op, uid, old, err);
        if (version && *version && !streq(version, "0")) {
                int64_t number;
                if (!sv_to_int64(sv_of(version), &number))
                        return status_internal(err, "strconv.ParseUint: parsing \"%s\": invalid syntax", version);
                if (!streq_null(version, meta_resource_version(object_root(old))))
                        return status_modified(err, op->res, op->name);
        } else if (op->res->is_custom || (op->user && (op->res->flags & KIND_NEEDS_VERSION))) {
                AUTO(invalid) struct invalid bad = {0};
                invalid_add(&bad, "metadata.resourceVersion", INVALID_VALUE, op->res->is_custom ? "0" : "0",
                            "must be specified for an update");
                return invalid_err(&bad, op->res->group, op->res->plural, op->name, err);
        }
        return 0;
}

static int check_identity(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct err *err) {
        const char *name = mmeta_name(root);
        int r;
        if (!name || !*name)
                return op_no_name(op, err);
        if (!streq(name, op->name))
                return status_bad_request(err, "the name of the object (%s) does not match the name on the URL (%s)", name, op->name);
        r = check_namespace(op, doc, root, err);
        return r;
}

/* `root` is the decoded new version, `old` the stored one. */
static int finish_update(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object *old, bool is_apply,
                         struct object **ret, struct err *err) {
        AUTO(json) yyjson_doc *frozen = NULL;
        struct apply_options owner = ownership(op);
        struct draft d = draft_of(op, doc, root, old);
        int r = check_preconditions(op, root, old, err);

        if (r < 0)
                return r;
        keep_system_fields(op, doc, root, object_root(old));
        keep_other_part(op, doc, root, object_root(old));
        meta_dedup_owners(mmeta_of(root), op->is_patch, op->warnings);
        if (op->res->hooks->defaults)
                op->res->hooks->defaults(&d);
        r = admission_mutate(op, ADMIT_UPDATE, &d, err);
        if (r == 0)
                r = webhooks_mutate(op, ADMIT_UPDATE, &d, err);
        root = d.root;
        if (r == 0 && op->res->hooks->prepare_update)
                r = op->res->hooks->prepare_update(&d, err);
        if (r < 0)
                return r;
        if (!is_apply && !is_binding(op)) /* the scheduler's word is nobody's field, as in the real server */
                apply_track(doc, object_root(old), root, &owner);
        d.root = root = canonical(op, doc, root);
        frozen = mjson_freeze(root);
        if ((op->res->flags & KIND_GENERATION) && !in_status(op) && !is_binding(op) &&
            spec_differs(op, yyjson_doc_get_root(frozen), object_root(old))) {
                mjson_set_int(doc, mmeta_of(root), "generation", meta_generation(object_root(old)) + 1);
                d.root = root = canonical(op, doc, root);
                yyjson_doc_free(frozen);
                frozen = mjson_freeze(root);
        }
        r = object_validate(&d, yyjson_doc_get_root(frozen), err);
        if (r == 0)
                r = webhooks_validate(op, ADMIT_UPDATE, yyjson_doc_get_root(frozen), old, err);
        if (r == 0)
                r = admission_validate(op, ADMIT_UPDATE, yyjson_doc_get_root(frozen), old, err);
        if (r < 0)
                return r;
        if (is_finished(op, yyjson_doc_get_root(frozen)) && !op->dry_run) {
                AUTO(object) struct object *now = object_new(op->res->storage, old->revision, TAKE(frozen));
                *ret = op_remove(op, now);
                return 0;
        }
        if (op->warnings && !op->subresource && !json_equal(object_at(old, "/spec"), json_at(yyjson_doc_get_root(frozen), "/spec")))
                inert_warn(op->res, yyjson_doc_get_root(frozen), op->warnings);
        if (is_unchanged(yyjson_doc_get_root(frozen), object_root(old))) {
                *ret = object_ref(old);
                return 0;
        }
        *ret = op_store(op, doc, root, old);
        return 0;
}

int op_update(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct object **ret, bool *ret_created, struct err *err) {
        AUTO(object) struct object *old = NULL;
        int r = op_decode(op, doc, root, &root, err);

        if (r == 0)
                r = check_identity(op, doc, root, err);
        if (r < 0)
                return r;
        old = object_ref(collection_find(op->res->objects, op->ns, op->name));
        if (!old) {
                const char *version = mmeta_resource_version(root);
                if (!(op->res->flags & KIND_UPSERT) || op->subresource || (version && *version && !streq(version, "0")))
                        return status_not_found(err, op->res, op->name);
                mmeta_set(doc, root, "resourceVersion", NULL);
                r = op_create(op, doc, root, ret, err);
                if (r == 0 && ret_created)
                        *ret_created = true;
                return r;
        }
        return finish_update(op, doc, root, old, op->is_apply, ret, err);
}

/* Patch. */

/* Of several YAML documents the first counts, as in the real server. */
static int parse_first(struct sv text, yyjson_doc **ret, struct err *err) {
        yyjson_doc **docs = NULL;
        int n = yaml_parse_all(text, &docs, err);
        if (n == 0)
                n = yaml_parse(text, ret, err); /* an empty stream */
        else if (n > 0)
                *ret = docs[0];
        for (int i = 1; i < n; i++)
                yyjson_doc_free(docs[i]);
        free(docs);
        return n < 0 ? n : 0;
}

static int parse_patch(enum api_patch type, struct sv patch, yyjson_doc **ret, struct err *err) {
        AUTO(err) struct err why = ERR_INIT;
        int r = type == API_PATCH_APPLY ? parse_first(patch, ret, &why) : json_parse(patch, ret, &why);
        yyjson_val *root;
        const char *have, *wanted = type == API_PATCH_JSON ? "[]handlers.jsonPatchOp" : "map[string]interface {}";

        if (r < 0)
                return status_bad_request(err, type == API_PATCH_APPLY ? "error decoding YAML: %s" : "error decoding patch: %s",
                                          patch.len == 0 || strstr(err_message(&why), "unexpected end") ? "unexpected end of JSON input"
                                                                                                        : err_message(&why));
        root = yyjson_doc_get_root(*ret);
        if (type == API_PATCH_APPLY && yyjson_is_null(root))
                return 0; /* an empty configuration: of no kind, which is what is said about it */
        if (type == API_PATCH_JSON ? yyjson_is_arr(root) : yyjson_is_obj(root))
                return 0;
        have = yyjson_is_obj(root)    ? "object"
               : yyjson_is_arr(root)  ? "array"
               : yyjson_is_str(root)  ? "string"
               : yyjson_is_bool(root) ? "bool"
                                      : "number";
        return status_bad_request(
                err,
                type == API_PATCH_APPLY
                        ? "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal %s into Go value of type %s"
                        : "error decoding patch: json: cannot unmarshal %s into Go value of type %s",
                have, wanted);
}

/* The stored object as this version of the API shows it. */
static yyjson_mut_val *editable(const struct op *op, yyjson_mut_doc *doc, struct object *old) {
        yyjson_mut_val *root = yyjson_val_mut_copy(doc, object_root(old));
        if (op->res->hooks->from_storage)
                op->res->hooks->from_storage(doc, root);
        mjson_set_str(doc, root, "apiVersion", op->res->api_version);
        return root;
}

static int apply_create(const struct op *op, yyjson_mut_doc *doc, yyjson_val *config, struct object **ret, bool *ret_created,
                        struct err *err) {
        struct apply_options owner = ownership(op);
        yyjson_mut_val *root = NULL;
        int r = apply_patch(doc, NULL, config, &owner, &root, err);
        if (r < 0)
                return r;
        r = check_identity(op, doc, root, err);
        if (r == 0) {
                struct op create = *op;
                create.is_apply = true;
                r = op_create(&create, doc, root, ret, err);
        }
        if (r == 0 && ret_created)
                *ret_created = true;
        return r;
}

static int check_apply(const struct op *op, yyjson_val *config, struct err *err) {
        const char *kind = meta_kind(config), *version = meta_api_version(config);
        if (!op->manager || !*op->manager) {
                AUTO(invalid) struct invalid bad = {0};
                invalid_required(&bad, "fieldManager", "is required for apply patch");
                return invalid_err(&bad, "meta.k8s.io", "PatchOptions", "", err);
        }
        if (!version || !kind || !streq(kind, op->res->kind) || !streq(version, op->res->api_version))
                return status_bad_request(err, "invalid object type: %s%s, Kind=%s", version && strchr(version, '/') ? "" : "/",
                                          version ? version : "", kind ? kind : "");
        return 0;
}

int op_patch(const struct op *op, enum api_patch type, struct sv patch, struct object **ret, bool *ret_created, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        AUTO(json) yyjson_doc *body = NULL;
        AUTO(object) struct object *old = NULL;
        struct apply_options owner = ownership(op);
        yyjson_mut_val *root;
        int r = parse_patch(type, patch, &body, err);

        if (r == 0 && type == API_PATCH_APPLY)
                r = check_apply(op, yyjson_doc_get_root(body), err);
        if (r < 0)
                return r;
        if (type == API_PATCH_STRATEGIC && op->res->is_custom)
                return status_media_type(err, "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml");
        old = object_ref(collection_find(op->res->objects, op->ns, op->name));
        if (!old && type == API_PATCH_APPLY && !op->subresource)
                return apply_create(op, doc, yyjson_doc_get_root(body), ret, ret_created, err);
        if (!old)
                return status_not_found(err, op->res, op->name);
        root = editable(op, doc, old);
        switch (type) {
        case API_PATCH_MERGE:
                r = patch_merge(doc, root, yyjson_doc_get_root(body), &root, err);
                break;
        case API_PATCH_JSON:
                r = patch_json(doc, root, yyjson_doc_get_root(body), &root, err);
                break;
        case API_PATCH_STRATEGIC:
                r = patch_strategic(doc, root, yyjson_doc_get_root(body), op->res->schema, &root, err);
                break;
        case API_PATCH_APPLY:
                r = apply_patch(doc, root, yyjson_doc_get_root(body), &owner, &root, err);
                break;
        }
        if (r == 0) {
                struct op patched = *op;
                patched.is_patch = type != API_PATCH_APPLY;
                patched.merged = type == API_PATCH_MERGE ? yyjson_doc_get_root(body) : NULL;
                r = op_decode(&patched, doc, root, &root, err);
                if (r == 0)
                        r = check_identity(op, doc, root, err);
                patched.is_apply = type == API_PATCH_APPLY;
                if (r == 0)
                        r = finish_update(&patched, doc, root, old, patched.is_apply, ret, err);
        }
        return r;
}
