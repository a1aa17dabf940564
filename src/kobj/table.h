/* Tables (meta.k8s.io/v1 Table): the rows that `kubectl get` prints, made by the server.
 *
 *     const struct table_kind *kind = table_kind_find("", "Pod");
 *     yyjson_mut_val *table = table_new(doc, kind, resource_version, continue_token);
 *     table_add_row(doc, table, kind, object, TABLE_METADATA, now_ms);
 *
 * Columns, priorities and cell texts follow k8s.io/kubernetes/pkg/printers/internalversion, 1.34; kinds without a row of their own have
 * Name and Created At. Custom resources: table_kind_from_crd(). Pure: the time is an argument. */
#ifndef FIRESTEEL_KOBJ_TABLE_H
#define FIRESTEEL_KOBJ_TABLE_H

#include "codec/json.h"

enum table_object { TABLE_NONE, TABLE_METADATA, TABLE_OBJECT }; /* ?includeObject= */

struct table_kind;
/* Never NULL: the default when nothing better is known. */
const struct table_kind *table_kind_find(const char *group, const char *kind);
/* Columns of one version of a CRD: name, then additionalPrinterColumns (Age when there are none). Refers into `version`, which must outlive
 * it. */
struct table_kind *table_kind_from_crd(yyjson_val *version);
void table_kind_free(struct table_kind *kind); /* of those made from CRDs */
DEFINE_AUTO_PTR(table_kind, struct table_kind, table_kind_free)

/* An empty Table with the columns; resource_version, continue_token and remaining (0) may be left out with NULL/0. `with_columns` is false
 * for all but the first event of a watch. */
yyjson_mut_val *table_new(yyjson_mut_doc *doc, const struct table_kind *kind, bool with_columns, const char *resource_version,
                          const char *continue_token, int64_t remaining);
void table_add_row(yyjson_mut_doc *doc, yyjson_mut_val *table, const struct table_kind *kind, yyjson_val *object, enum table_object include,
                   int64_t now_ms);

/* What `kubectl get pods` shows under STATUS; owned by the caller. Used by progress displays as well. */
char *table_pod_status(yyjson_val *pod);

#endif
