/* The few fields of Kubernetes objects that every part of the program reads and writes: apiVersion, kind and
 * ObjectMeta. Objects stay JSON documents; these accessors take NULL and objects of any shape and answer
 * NULL (or the stated default) for what is absent or of another type.
 *
 * meta_* reads immutable documents (what stores and caches hold), mmeta_* reads and edits mutable ones.
 * Strings returned live as long as the document does. */
#ifndef FIRESTEEL_KOBJ_META_H
#define FIRESTEEL_KOBJ_META_H

#include "codec/json.h"

/* "apps/v1" -> group "apps", version "v1"; "v1" -> group "", version "v1". Views into `api_version`. */
void meta_split_api_version(const char *api_version, struct sv *ret_group, struct sv *ret_version);
/* The reverse, owned by the caller. */
char *meta_join_api_version(const char *group, const char *version);

const char *meta_api_version(yyjson_val *object);
const char *meta_kind(yyjson_val *object);
yyjson_val *meta_of(yyjson_val *object); /* .metadata when it is an object */
const char *meta_name(yyjson_val *object);
const char *meta_namespace(yyjson_val *object);
const char *meta_uid(yyjson_val *object);
const char *meta_resource_version(yyjson_val *object);
int64_t meta_generation(yyjson_val *object); /* 0 when absent */
yyjson_val *meta_labels(yyjson_val *object);
yyjson_val *meta_annotations(yyjson_val *object);
yyjson_val *meta_owners(yyjson_val *object);
yyjson_val *meta_finalizers(yyjson_val *object);
const char *meta_label(yyjson_val *object, const char *key);
const char *meta_annotation(yyjson_val *object, const char *key);
bool meta_has_finalizer(yyjson_val *object, const char *name);
bool meta_is_deleting(yyjson_val *object); /* deletionTimestamp is set */
int64_t meta_created_ms(yyjson_val *object);  /* 0 when absent or malformed */
int64_t meta_deleted_ms(yyjson_val *object);  /* deletionTimestamp, the same way */
/* The ownerReference with controller: true, or NULL. */
yyjson_val *meta_controller(yyjson_val *object);
bool meta_is_controlled_by(yyjson_val *object, const char *owner_uid);
bool meta_is_owned_by(yyjson_val *object, const char *owner_uid);

const char *mmeta_api_version(yyjson_mut_val *object);
const char *mmeta_kind(yyjson_mut_val *object);
yyjson_mut_val *mmeta_of(yyjson_mut_val *object);
/* .metadata, made when absent. */
yyjson_mut_val *mmeta_make(yyjson_mut_doc *doc, yyjson_mut_val *object);
const char *mmeta_name(yyjson_mut_val *object);
const char *mmeta_namespace(yyjson_mut_val *object);
const char *mmeta_uid(yyjson_mut_val *object);
const char *mmeta_resource_version(yyjson_mut_val *object);
int64_t mmeta_generation(yyjson_mut_val *object);
const char *mmeta_label(yyjson_mut_val *object, const char *key);
const char *mmeta_annotation(yyjson_mut_val *object, const char *key);
bool mmeta_has_finalizer(yyjson_mut_val *object, const char *name);
bool mmeta_is_deleting(yyjson_mut_val *object);
void mmeta_set(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *field, const char *value); /* NULL removes */
void mmeta_set_label(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value);
void mmeta_set_annotation(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value);
void mmeta_add_finalizer(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name);    /* once */
void mmeta_remove_finalizer(yyjson_mut_val *object, const char *name); /* an emptied list is removed */
/* Appends an ownerReference to `owner`, unless its uid is there already. */
void mmeta_add_owner(yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *owner, bool controller, bool block_deletion);

/* status.conditions (or any list under `list`): the entry of that type, or NULL. */
yyjson_val *meta_condition(yyjson_val *object, const char *type);
bool meta_condition_is(yyjson_val *object, const char *type, const char *status);
/* Sets status.conditions[type]; lastTransitionTime moves only when `status` differs. True when anything changed.
 * reason and message may be NULL (the field is removed). */
bool mmeta_set_condition(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *type, const char *status, const char *reason,
                         const char *message, int64_t now_ms);

#endif
