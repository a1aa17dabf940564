/* JSON, by yyjson. Documents are yyjson's own: `yyjson_doc` is immutable and shared freely between
 * readers, `yyjson_mut_doc` is for building and editing. This module adds what the library leaves to its caller:
 * a depth limit (our walkers recurse), positions in messages, clean-up attributes, and short accessors.
 *
 *     AUTO(json) yyjson_doc *doc = NULL;
 *     r = json_parse(text, &doc, err);
 *     const char *name = json_str_at(yyjson_doc_get_root(doc), "/metadata/name");     // NULL when absent
 *
 * Numbers: int64 and uint64 are exact, doubles are written in their shortest form, `1.0` stays `1.0`.
 * Duplicate keys are kept by the reader; look-ups find the first.
 */
#ifndef FIRESTEEL_CODEC_JSON_H
#define FIRESTEEL_CODEC_JSON_H

#include <yyjson.h>

#include "base/err.h"
#include "base/str.h"

enum { JSON_MAX_DEPTH = 1000 };

DEFINE_AUTO_PTR(json, yyjson_doc, yyjson_doc_free)
DEFINE_AUTO_PTR(mjson, yyjson_mut_doc, yyjson_mut_doc_free)

/* -EINVAL with "line L column C: what" on malformed text, too deep nesting or trailing text. */
MUST_USE int json_parse(struct sv text, yyjson_doc **ret, struct err *err);

/* Look-ups by JSON pointer; NULL/default when anything on the way is absent or of another type. */
yyjson_val *json_at(yyjson_val *root, const char *pointer);
const char *json_str_at(yyjson_val *root, const char *pointer);
int64_t json_int_at(yyjson_val *root, const char *pointer, int64_t otherwise);
bool json_bool_at(yyjson_val *root, const char *pointer, bool otherwise);
/* Look-ups of a direct member, the same way. NULL objects are allowed. */
const char *json_get_str(yyjson_val *object, const char *key);
int64_t json_get_int(yyjson_val *object, const char *key, int64_t otherwise);
bool json_get_bool(yyjson_val *object, const char *key, bool otherwise);

yyjson_mut_val *mjson_at(yyjson_mut_val *root, const char *pointer);
const char *mjson_str_at(yyjson_mut_val *root, const char *pointer);
const char *mjson_get_str(yyjson_mut_val *object, const char *key);
int64_t mjson_get_int(yyjson_mut_val *object, const char *key, int64_t otherwise);
bool mjson_get_bool(yyjson_mut_val *object, const char *key, bool otherwise);

/* Building. Keys and values are copied into the document. `set` replaces a member of that key. */
yyjson_mut_val *mjson_obj(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key); /* the member, made an object when absent */
yyjson_mut_val *mjson_arr(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key); /* the same with an array */
void mjson_set(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, yyjson_mut_val *value);
void mjson_set_str(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *value); /* NULL value: nothing */
void mjson_set_int(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, int64_t value);
void mjson_set_bool(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, bool value);
void mjson_remove(yyjson_mut_val *object, const char *key);
void mjson_add_str(yyjson_mut_doc *doc, yyjson_mut_val *array, const char *value);

/* Text; the caller frees. Pretty is two blanks of indentation. */
char *json_write(yyjson_val *value, bool pretty, size_t *ret_len);
char *mjson_write(yyjson_mut_val *value, bool pretty, size_t *ret_len);
/* Appends a quoted, escaped JSON string. */
void json_append_quoted(struct str *s, struct sv text);

/* Deep copies between the two kinds of documents. */
yyjson_doc *mjson_freeze(yyjson_mut_val *root);
yyjson_mut_doc *json_thaw(yyjson_val *root);

/* Equality as JSON: objects regardless of order, 1 == 1.0 is false. */
bool json_equal(yyjson_val *a, yyjson_val *b);

#endif
