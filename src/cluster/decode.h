/* Decoding of built-in kinds: from any JSON to exactly what Go's structs would hold and write again.
 *
 * Members come in the order of the type, maps sorted; unknown members are dropped (and reported), a wrong type is an error with
 * encoding/json's text; quantities, times and base64 are checked and canonical; what `omitempty` leaves out is left out and what it does
 * not is filled with its zero. Driven by kobj/schema.h alone.
 */
#ifndef FIRESTEEL_CLUSTER_DECODE_H
#define FIRESTEEL_CLUSTER_DECODE_H

#include "base/vec.h"
#include "kobj/schema.h"

/* The decoded copy of `value` in `doc`. Unknown and duplicate members are named in `strict` (`unknown field "spec.bogus"`), which may be
 * NULL. -EINVAL with the plain decoding message (no HTTP status: the caller knows the kind). */
MUST_USE int decode_typed(yyjson_mut_doc *doc, yyjson_mut_val *value, struct schema schema, struct strv *strict, yyjson_mut_val **ret,
                          struct err *err);

#endif
