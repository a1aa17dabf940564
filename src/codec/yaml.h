/* YAML as Kubernetes reads it (sigs.k8s.io/yaml): libyaml's events, our own scalar resolver, JSON out.
 *
 * Plain scalars: y/yes/on/true and n/no/off/false (in the three usual cases) are booleans, also as keys;
 * 010 and 0o17 are octal, 0x1f hexadecimal, 0b1 binary, 1_000 is 1000; dates stay text; `~`, null and an empty scalar are null;
 * merge keys (`<<`) are applied. Quoted scalars are text. A duplicate key is an error that names both
 * lines. Expanded nodes are limited (alias bombs), depth as JSON's. Messages carry line and column.
 */
#ifndef FIRESTEEL_CODEC_YAML_H
#define FIRESTEEL_CODEC_YAML_H

#include "codec/json.h"
#include "base/vec.h"

enum { YAML_MAX_NODES = 1000000 };

/* One document; more than one is an error, an empty one is JSON null. JSON text is YAML too. */
MUST_USE int yaml_parse(struct sv text, yyjson_doc **ret, struct err *err);
/* All documents of a stream separated by `---`; empty ones are skipped. Returns the count; the caller frees
 * each document and the array. */
MUST_USE int yaml_parse_all(struct sv text, yyjson_doc ***ret, struct err *err);
/* Block style as kubectl -o yaml prints it: two blanks, keys in the document's order, strings quoted only
 * where a reader would take them for something else, multi-line strings as literals. Ends with a newline. */
void yaml_write(yyjson_val *value, struct str *out);

#endif
