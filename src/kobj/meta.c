#include "kobj/meta.h"

#include "codec/ktime.h"

void meta_split_api_version(const char *api_version, struct sv *ret_group, struct sv *ret_version) {
        struct sv v = sv_of(api_version);
        ssize_t slash = sv_find_char(v, '/');
        *ret_group = slash < 0 ? SV("") : sv_new(v.data, (size_t)slash);
        *ret_version = slash < 0 ? v : sv_new(v.data + slash + 1, v.len - (size_t)slash - 1);
}

char *meta_join_api_version(const char *group, const char *version) {
        return group && *group ? xasprintf("%s/%s", group, version) : xstrdup(version);
}

static yyjson_val *field(yyjson_val *object, const char *name) { return yyjson_obj_get(meta_of(object), name); }
static const char *text(yyjson_val *object, const char *name) { return yyjson_get_str(field(object, name)); }

static int64_t time_ms(const char *value) {
        int64_t us;
        return value && ktime_parse(sv_of(value), &us) ? us / 1000 : 0;
}

const char *meta_api_version(yyjson_val *object) { return json_get_str(object, "apiVersion"); }
const char *meta_kind(yyjson_val *object) { return json_get_str(object, "kind"); }
yyjson_val *meta_of(yyjson_val *object) {
        yyjson_val *v = yyjson_obj_get(object, "metadata");
        return yyjson_is_obj(v) ? v : NULL;
}
const char *meta_name(yyjson_val *object) { return text(object, "name"); }
const char *meta_namespace(yyjson_val *object) { return text(object, "namespace"); }
const char *meta_uid(yyjson_val *object) { return text(object, "uid"); }
const char *meta_resource_version(yyjson_val *object) { return text(object, "resourceVersion"); }
int64_t meta_generation(yyjson_val *object) { return json_get_int(meta_of(object), "generation", 0); }
yyjson_val *meta_labels(yyjson_val *object) { return field(object, "labels"); }
yyjson_val *meta_annotations(yyjson_val *object) { return field(object, "annotations"); }
yyjson_val *meta_owners(yyjson_val *object) { return field(object, "ownerReferences"); }
yyjson_val *meta_finalizers(yyjson_val *object) { return field(object, "finalizers"); }
const char *meta_label(yyjson_val *object, const char *key) { return json_get_str(meta_labels(object), key); }
const char *meta_annotation(yyjson_val *object, const char *key) { return json_get_str(meta_annotations(object), key); }

bool meta_has_finalizer(yyjson_val *object, const char *name) {
        size_t i, max;
        yyjson_val *v;
        yyjson_arr_foreach(meta_finalizers(object), i, max, v) {
                if (yyjson_equals_str(v, name))
                        return true;
        }
        return false;
}

bool meta_is_deleting(yyjson_val *object) { return text(object, "deletionTimestamp") != NULL; }
int64_t meta_created_ms(yyjson_val *object) { return time_ms(text(object, "creationTimestamp")); }
int64_t meta_deleted_ms(yyjson_val *object) { return time_ms(text(object, "deletionTimestamp")); }

yyjson_val *meta_controller(yyjson_val *object) {
        size_t i, max;
        yyjson_val *owner;
        yyjson_arr_foreach(meta_owners(object), i, max, owner) {
                if (json_get_bool(owner, "controller", false))
                        return owner;
        }
        return NULL;
}

bool meta_is_controlled_by(yyjson_val *object, const char *owner_uid) {
        const char *uid = json_get_str(meta_controller(object), "uid");
        return uid && owner_uid && streq(uid, owner_uid);
}

bool meta_is_owned_by(yyjson_val *object, const char *owner_uid) {
        size_t i, max;
        yyjson_val *owner;
        yyjson_arr_foreach(meta_owners(object), i, max, owner) {
                const char *uid = json_get_str(owner, "uid");
                if (uid && owner_uid && streq(uid, owner_uid))
                        return true;
        }
        return false;
}

static yyjson_mut_val *mfield(yyjson_mut_val *object, const char *name) { return yyjson_mut_obj_get(mmeta_of(object), name); }
static const char *mtext(yyjson_mut_val *object, const char *name) { return yyjson_mut_get_str(mfield(object, name)); }

const char *mmeta_api_version(yyjson_mut_val *object) { return mjson_get_str(object, "apiVersion"); }
const char *mmeta_kind(yyjson_mut_val *object) { return mjson_get_str(object, "kind"); }
yyjson_mut_val *mmeta_of(yyjson_mut_val *object) {
        yyjson_mut_val *v = yyjson_mut_obj_get(object, "metadata");
        return yyjson_mut_is_obj(v) ? v : NULL;
}
yyjson_mut_val *mmeta_make(yyjson_mut_doc *doc, yyjson_mut_val *object) { return mjson_obj(doc, object, "metadata"); }
const char *mmeta_name(yyjson_mut_val *object) { return mtext(object, "name"); }
const char *mmeta_namespace(yyjson_mut_val *object) { return mtext(object, "namespace"); }
const char *mmeta_uid(yyjson_mut_val *object) { return mtext(object, "uid"); }
const char *mmeta_resource_version(yyjson_mut_val *object) { return mtext(object, "resourceVersion"); }
int64_t mmeta_generation(yyjson_mut_val *object) { return mjson_get_int(mmeta_of(object), "generation", 0); }
const char *mmeta_label(yyjson_mut_val *object, const char *key) { return mjson_get_str(mfield(object, "labels"), key); }
const char *mmeta_annotation(yyjson_mut_val *object, const char *key) { return mjson_get_str(mfield(object, "annotations"), key); }

bool mmeta_has_finalizer(yyjson_mut_val *object, const char *name) {
        size_t i, max;
        yyjson_mut_val *v;
        yyjson_mut_arr_foreach(mfield(object, "finalizers"), i, max, v) {
                if (yyjson_mut_equals_str(v, name))
                        return true;
        }
        return false;
}

bool mmeta_is_deleting(yyjson_mut_val *object) { return mtext(object, "deletionTimestamp") != NULL; }

void mmeta_set(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, const char *value) {
        if (value)
                mjson_set_str(doc, mmeta_make(doc, object), name, value);
        else
                mjson_remove(mmeta_of(object), name);
}

void mmeta_set_label(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        mjson_set_str(doc, mjson_obj(doc, mmeta_make(doc, object), "labels"), key, value);
}

void mmeta_set_annotation(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        mjson_set_str(doc, mjson_obj(doc, mmeta_make(doc, object), "annotations"), key, value);
}

void mmeta_add_finalizer(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name) {
        if (!mmeta_has_finalizer(object, name))
                mjson_add_str(doc, mjson_arr(doc, mmeta_make(doc, object), "finalizers"), name);
}

void mmeta_remove_finalizer(yyjson_mut_val *object, const char *name) {
        yyjson_mut_val *list = mfield(object, "finalizers");
        for (size_t i = yyjson_mut_arr_size(list); i-- > 0;)
                if (yyjson_mut_equals_str(yyjson_mut_arr_get(list, i), name))
                        yyjson_mut_arr_remove(list, i);
        if (yyjson_mut_is_arr(list) && yyjson_mut_arr_size(list) == 0)
                mjson_remove(mmeta_of(object), "finalizers");
}

void mmeta_add_owner(yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *owner, bool controller, bool block_deletion) {
        yyjson_mut_val *list = mjson_arr(doc, mmeta_make(doc, object), "ownerReferences"), *known;
        size_t i, max;
        yyjson_mut_arr_foreach(list, i, max, known) {
                if (streq_null(mjson_get_str(known, "uid"), meta_uid(owner)))
                        return;
        }
        yyjson_mut_val *reference = yyjson_mut_arr_add_obj(doc, list);
        mjson_set_str(doc, reference, "apiVersion", meta_api_version(owner));
        mjson_set_str(doc, reference, "kind", meta_kind(owner));
        mjson_set_str(doc, reference, "name", meta_name(owner));
        mjson_set_str(doc, reference, "uid", meta_uid(owner));
        if (controller)
                mjson_set_bool(doc, reference, "controller", true);
        if (block_deletion)
                mjson_set_bool(doc, reference, "blockOwnerDeletion", true);
}

yyjson_val *meta_condition(yyjson_val *object, const char *type) {
        size_t i, max;
        yyjson_val *c;
        yyjson_arr_foreach(yyjson_obj_get(yyjson_obj_get(object, "status"), "conditions"), i, max, c) {
                if (streq_null(json_get_str(c, "type"), type))
                        return c;
        }
        return NULL;
}

bool meta_condition_is(yyjson_val *object, const char *type, const char *status) {
        return streq_null(json_get_str(meta_condition(object, type), "status"), status);
}

/* Sets or, with NULL, removes; true when that changed anything. */
static bool set_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value) {
        if (streq_null(mjson_get_str(object, key), value))
                return false;
        if (value)
                mjson_set_str(doc, object, key, value);
        else
                mjson_remove(object, key);
        return true;
}

bool mmeta_set_condition(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *type, const char *status, const char *reason,
                         const char *message, int64_t now_ms) {
        yyjson_mut_val *list = mjson_arr(doc, mjson_obj(doc, object, "status"), "conditions"), *c, *found = NULL;
        size_t i, max;
        yyjson_mut_arr_foreach(list, i, max, c) {
                if (streq_null(mjson_get_str(c, "type"), type))
                        found = c;
        }
        if (!found) {
                found = yyjson_mut_arr_add_obj(doc, list);
                mjson_set_str(doc, found, "type", type);
        }
        bool changed = set_text(doc, found, "status", status);
        if (changed) {
                char now[KTIME_SIZE];
                ktime_format(now_ms, now);
                mjson_set_str(doc, found, "lastTransitionTime", now);
        }
        changed |= set_text(doc, found, "reason", reason);
        return set_text(doc, found, "message", message) || changed;
}
