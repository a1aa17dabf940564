/* Kubernetes' protobuf bodies to JSON: the magic "k8s\0", the runtime.Unknown envelope, then the message of the kind, decoded by the
 * table of schema.h. Typed `kubectl create` and Go clients send these. Never written: every client takes JSON answers.
 *
 * Limits: the caller's limit on the body; nesting WIRE_MAX_DEPTH; unknown fields are skipped, as Go does. */
#ifndef FIRESTEEL_KOBJ_WIRE_H
#define FIRESTEEL_KOBJ_WIRE_H

#include "kobj/schema.h"

enum { WIRE_MAX_DEPTH = 100 };

/* True when the body starts with the magic. */
bool wire_is_protobuf(struct sv body);
/* The object as a JSON document with apiVersion and kind first. -EINVAL (400 BadRequest) on malformed bytes, -ENOENT (400) on a kind
 * that has no row in the table. */
MUST_USE int wire_decode(struct sv body, yyjson_mut_doc **ret, struct err *err);

#endif
