/* Server-side apply and the ownership of fields (metadata.managedFields, "FieldsV1").
 *
 * Every write to an object goes through one of two functions: apply_patch() for application/apply-patch+yaml, apply_track() for create,
 * update and the other patch types. Both keep metadata.managedFields of the result: one entry per (manager, operation, subresource,
 * apiVersion), whose set holds the fields that manager last set. Sets are sorted as the real server writes them.
 *
 * Objects, maps, and lists with listType map or set are owned member by member, everything else as a whole; the schema (schema.h)
 * says which. Never owned: apiVersion, kind, metadata.{name,namespace,creationTimestamp,selfLink,uid,resourceVersion,generation,
 * deletionTimestamp,managedFields}. Pure: the time is an argument. */
#ifndef FIRESTEEL_KOBJ_APPLY_H
#define FIRESTEEL_KOBJ_APPLY_H

#include "kobj/schema.h"

struct apply_options {
        const char *manager;     /* ?fieldManager=, or the first part of the User-Agent */
        const char *subresource; /* "status", or NULL */
        struct schema schema;    /* of the kind */
        int64_t now_ms;
        const char *shown_version; /* of updates in messages, instead of their own; NULL */
        bool force; /* ?force=true: take over fields in conflict */
        /* Paths reset for this endpoint (`status` for the main resource, everything but status for /status): changes below them
         * are not tracked. Space-separated top-level names, or NULL. */
        const char *ignore;
};

/* Applies `config` to `live`, a value of `doc`, or to nothing when `live` is NULL (creation). The result is in `ret`: `live` edited in
 * place, or a new value. Fields that this manager applied before and now leaves out are removed when nobody else owns them. -EEXIST with
 * 409 Conflict and one cause FieldManagerConflict per field when others own what is applied with another value, unless forced. -EINVAL with
 * 400 for a configuration that has managedFields or whose list keys are missing or double. */
MUST_USE int apply_patch(yyjson_mut_doc *doc, yyjson_mut_val *live, yyjson_val *config, const struct apply_options *options,
                         yyjson_mut_val **ret, struct err *err);
/* After a create (`old` NULL), update or patch: gives the manager the fields by which `object` differs from `old` and takes them from the
 * others. managedFields of `object` are taken from `old`, unless the request emptied them ([] or [{}] resets ownership). */
void apply_track(yyjson_mut_doc *doc, yyjson_val *old, yyjson_mut_val *object, const struct apply_options *options);
/* The default field manager: the User-Agent up to its first '/', at most 128 characters; owned by the caller. */
char *apply_default_manager(const char *user_agent);

#endif
