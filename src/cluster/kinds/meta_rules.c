/* Rules of ObjectMeta: apimachinery's ValidateObjectMeta and ValidateObjectMetaUpdate. */
#include "cluster/ops.h"
#include "cluster/kinds/podspec.h"
#include "kobj/meta.h"

static void check_name(const struct resource *res, yyjson_val *meta, struct invalid *bad) {
        const char *name = json_get_str(meta, "name"), *prefix = json_get_str(meta, "generateName");
        name_check_fn *check = res->name_check ? res->name_check : name_check_dns1123_subdomain;
        AUTO(strv) struct strv why = {0}, why_prefix = {0};

        if (prefix && *prefix) {
                name_check_prefix(check, sv_of(prefix), &why_prefix);
                invalid_names(bad, "metadata.generateName", prefix, &why_prefix);
        }
        if (!name || !*name) {
                invalid_required(bad, "metadata.name", "name or generateName is required");
                return;
        }
        check(sv_of(name), &why);
        invalid_names(bad, "metadata.name", name, &why);
}

static void check_annotations(yyjson_val *annotations, struct invalid *bad) {
        yyjson_val *key, *value;
        size_t i, n, total = 0;
        yyjson_obj_foreach(annotations, i, n, key, value) {
                AUTO(strv) struct strv why = {0};
                AUTO(str) struct str lower = STR_INIT(0);
                for (const char *p = yyjson_get_str(key); *p; p++)
                        str_append_c(&lower, *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p);
                name_check_qualified(str_sv(&lower), &why);
                invalid_names(bad, "metadata.annotations", yyjson_get_str(key), &why);
                total += yyjson_get_len(key) + yyjson_get_len(value);
        }
        if (total > ANNOTATIONS_MAX_BYTES)
                invalid_add(bad, "metadata.annotations", INVALID_TOO_LONG, NULL, "may not be more than %d bytes", ANNOTATIONS_MAX_BYTES);
}

static void check_owners(yyjson_val *owners, struct invalid *bad) {
        static const char *const members[] = {"apiVersion", "kind", "name", "uid"};
        yyjson_val *owner, *first = NULL;
        size_t i, n;
        unsigned controllers = 0;
        yyjson_arr_foreach(owners, i, n, owner) {
                for (size_t m = 0; m < ARRAY_LEN(members); m++) {
                        const char *value = json_get_str(owner, members[m]);
                        AUTO(free) char *field = xasprintf("metadata.ownerReferences.%s", members[m]);
                        if (!value || !*value)
                                invalid_string(bad, field, "", m == 0 ? "version must not be empty" : "must not be empty");
                }
                if (streq_null(json_get_str(owner, "kind"), "Event") &&
                    (streq_null(json_get_str(owner, "apiVersion"), "v1") ||
                     streq_null(json_get_str(owner, "apiVersion"), "events.k8s.io/v1"))) {
                        AUTO(free) char *text = json_write(owner, false, NULL);
                        const char *version = json_get_str(owner, "apiVersion");
                        invalid_add(bad, "metadata.ownerReferences", INVALID_VALUE, text,
                                    "%s%s, Kind=Event is disallowed from being an owner", strchr(version, '/') ? "" : "/", version);
                }
                if (json_get_bool(owner, "controller", false) && ++controllers == 2) {
                        AUTO(free) char *text = json_write(owners, false, NULL);
                        invalid_add(bad, "metadata.ownerReferences", INVALID_VALUE, text,
                                    "Only one reference can have Controller set to true. Found \"true\" in references for %s/%s and %s/%s",
                                    json_get_str(first, "kind"), json_get_str(first, "name"), json_get_str(owner, "kind"),
                                    json_get_str(owner, "name"));
                }
                if (!first && json_get_bool(owner, "controller", false))
                        first = owner;
        }
}

static void check_finalizers(yyjson_val *finalizers, struct invalid *bad) {
        bool has_orphan = false, has_foreground = false;
        yyjson_val *item;
        size_t i, n;
        yyjson_arr_foreach(finalizers, i, n, item) {
                const char *name = yyjson_get_str(item);
                AUTO(strv) struct strv why = {0};
                has_orphan |= streq(name, "orphan");
                has_foreground |= streq(name, "foregroundDeletion");
                if (name_check_qualified(sv_of(name), &why) > 0)
                        invalid_names(bad, "metadata.finalizers", name, &why);
        }
        if (has_orphan && has_foreground) {
                AUTO(free) char *all = json_write(finalizers, false, NULL);
                invalid_add(bad, "metadata.finalizers", INVALID_VALUE, all, "finalizer orphan and foregroundDeletion cannot be both set");
        }
}

/* Built-in kinds, after all that holds for every object. */
static void check_standard_finalizers(yyjson_val *finalizers, struct invalid *bad) {
        static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};
        yyjson_val *item;
        size_t i, n;
        yyjson_arr_foreach(finalizers, i, n, item) {
                const char *name = yyjson_get_str(item);
                AUTO(free) char *field = xasprintf("metadata.finalizers[%zu]", i);
                if (!strchr(name, '/') && !str_is_one_of(name, standard))
                        invalid_string(bad, field, name, "name is neither a standard finalizer name nor is it fully qualified");
        }
}

void meta_dedup_owners(yyjson_mut_val *meta, bool is_patch, struct strv *warnings) {
        yyjson_mut_val *owner;
        VEC(yyjson_mut_val *) kept = {0};
        AUTO(map) struct map uids = MAP_INIT(NULL);
        AUTO(str) struct str twice = STR_INIT(0);
        yyjson_mut_arr_iter all;
        yyjson_mut_arr_iter_init(yyjson_mut_obj_get(meta, "ownerReferences"), &all);
        while ((owner = yyjson_mut_arr_iter_next(&all))) {
                const char *uid = mjson_get_str(owner, "uid");
                bool found = false;
                uid = uid ? uid : "";
                for (size_t k = 0; k < kept.len && !found && map_has(&uids, uid); k++)
                        found = yyjson_mut_equals(owner, kept.items[k]);
                if (found) {
                        str_appendf(&twice, "%s%s", twice.len ? ", " : "", uid);
                        yyjson_mut_arr_iter_remove(&all);
                        continue;
                }
                map_set(&uids, uid, owner);
                *vec_push(&kept) = owner;
        }
        vec_done(&kept);
        if (twice.len && warnings)
                strv_addf(
                        warnings,
                        ".metadata.ownerReferences contains duplicate entries%s; API server dedups owner references in 1.20+, and may reject such "
                        "requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %s",
                        is_patch ? " after mutating admission happens" : "", str_cstr(&twice));
}

/* What is looked at wherever metadata is. */
static void check_shared(yyjson_val *meta, struct invalid *bad) {
        labels_validate(yyjson_obj_get(meta, "labels"), "metadata.labels", bad);
        check_annotations(yyjson_obj_get(meta, "annotations"), bad);
        check_owners(yyjson_obj_get(meta, "ownerReferences"), bad);
}

static bool has_free_finalizers(const struct resource *res) { return res->is_custom || (res->flags & KIND_FREE_FINALIZERS); }

void meta_validate(const struct resource *res, yyjson_val *object, struct invalid *bad) {
        yyjson_val *meta = meta_of(object);
        check_name(res, meta, bad);
        check_shared(meta, bad);
        check_finalizers(yyjson_obj_get(meta, "finalizers"), bad);
        if (!has_free_finalizers(res))
                check_standard_finalizers(yyjson_obj_get(meta, "finalizers"), bad);
}

static void check_finalizers_update(yyjson_val *meta, yyjson_val *old, struct invalid *bad) {
        yyjson_val *now = yyjson_obj_get(meta, "finalizers"), *item;
        AUTO(str) struct str extra = STR_INIT(0);
        size_t i, n, count = 0;

        if (!yyjson_obj_get(old, "deletionTimestamp"))
                return;
        yyjson_arr_foreach(now, i, n, item) {
                yyjson_val *had;
                size_t j, m;
                bool found = false;
                yyjson_arr_foreach(yyjson_obj_get(old, "finalizers"), j, m, had) found |= yyjson_equals(had, item);
                if (!found)
                        str_appendf(&extra, "%s\"%s\"", count++ ? ", " : "", yyjson_get_str(item));
        }
        if (count)
                invalid_forbidden(bad, "metadata.finalizers",
                                  "no new finalizers can be added if the object is being deleted, found new finalizers []string{%s}",
                                  str_cstr(&extra));
}

static void check_same(yyjson_val *meta, yyjson_val *old, const char *key, struct invalid *bad) {
        yyjson_val *now = yyjson_obj_get(meta, key), *was = yyjson_obj_get(old, key);
        AUTO(free) char *field = NULL, *value = NULL;
        if (now ? was && yyjson_equals(now, was) : !was)
                return;
        field = xasprintf("metadata.%s", key);
        value = now ? json_write(now, false, NULL) : xstrdup("null");
        invalid_add(bad, field, INVALID_VALUE, value, "field is immutable");
}

/* ValidateObjectMetaAccessorUpdate. */
static void check_changes(yyjson_val *meta, yyjson_val *old, struct invalid *bad) {
        static const char *const fixed[] = {"uid", "deletionTimestamp",
                                            "deletionGracePeriodSeconds"}; /* the rest is taken from the old object */
        check_finalizers_update(meta, old, bad);
        for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
                check_same(meta, old, fixed[i], bad);
        check_shared(meta, bad);
}

void meta_validate_update(const struct resource *res, yyjson_val *object, yyjson_val *old, unsigned times, struct invalid *bad) {
        yyjson_val *meta = meta_of(object), *old_meta = meta_of(old);
        const char *prefix = json_get_str(meta, "generateName");
        AUTO(strv) struct strv why = {0};
        if (prefix && *prefix) {
                name_check_prefix(name_check_path_segment, sv_of(prefix), &why);
                invalid_names(bad, "metadata.generateName", prefix, &why);
        }
        check_shared(meta, bad);
        check_finalizers(yyjson_obj_get(meta, "finalizers"), bad);
        check_changes(meta, old_meta, bad);
        for (unsigned i = 0; i < times; i++) {
                check_changes(meta, old_meta, bad);
                if (!has_free_finalizers(res))
                        check_standard_finalizers(yyjson_obj_get(meta, "finalizers"), bad);
        }
}
