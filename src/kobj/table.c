#include "kobj/table.h"

#include <stdio.h>

#include "codec/ktime.h"
#include "kobj/jsonpath.h"
#include "kobj/selector.h"
#include "kobj/table-internal.h"

#include "kobj/table_columns.inc"

static void print_default(struct table_row *r, yyjson_val *object) {
        table_name(r, object);
        table_text_at(r, object, "/metadata/creationTimestamp", "0001-01-01T00:00:00Z");
}

static const struct table_column default_columns[] = {
        {"Name", "string", "name", COLUMN_NAME_DESCRIPTION, 0},
        {"Created At", "date", "", COLUMN_CREATED_DESCRIPTION, 0},
};
static const struct table_kind default_kind = {"", "", default_columns, ARRAY_LEN(default_columns), print_default};

const struct table_kind *table_kind_find(const char *group, const char *kind) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (streq_null(kinds[i].kind, kind) && streq_null(kinds[i].group, group))
                        return &kinds[i];
        return &default_kind;
}

/* ---- cells ---- */

void table_text(struct table_row *r, const char *text) { yyjson_mut_arr_add_strcpy(r->doc, r->cells, text ? text : ""); }
void table_int(struct table_row *r, int64_t value) { yyjson_mut_arr_add_sint(r->doc, r->cells, value); }
void table_bool(struct table_row *r, bool value) { yyjson_mut_arr_add_bool(r->doc, r->cells, value); }
void table_name(struct table_row *r, yyjson_val *object) { table_text(r, meta_name(object)); }

void table_textf(struct table_row *r, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *text = xvasprintf(fmt, ap);
        va_end(ap);
        table_text(r, text);
}

void table_text_at(struct table_row *r, yyjson_val *object, const char *pointer, const char *otherwise) {
        const char *text = json_str_at(object, pointer);
        table_text(r, text && *text ? text : otherwise);
}

void table_int_at(struct table_row *r, yyjson_val *object, const char *pointer) { table_int(r, json_int_at(object, pointer, 0)); }

void table_size_at(struct table_row *r, yyjson_val *object, const char *pointer) {
        yyjson_val *v = json_at(object, pointer);
        table_int(r, (int64_t)(yyjson_is_arr(v) ? yyjson_arr_size(v) : yyjson_obj_size(v)));
}

char *table_since_text(int64_t now_ms, const char *time) {
        char text[KTIME_SIZE];
        int64_t us;
        if (!time || !*time)
                return xstrdup("<unknown>");
        if (!ktime_parse(sv_of(time), &us))
                return xstrdup("<invalid>");
        duration_human(now_ms - us / 1000, text);
        return xstrdup(text);
}

void table_since(struct table_row *r, const char *time) {
        AUTO(free) char *text = table_since_text(r->now_ms, time);
        table_text(r, text);
}

void table_age(struct table_row *r, yyjson_val *object) { table_since(r, json_str_at(object, "/metadata/creationTimestamp")); }

void table_containers(struct table_row *r, yyjson_val *object, const char *pod_spec_pointer) {
        AUTO(str) struct str names = STR_INIT(0);
        AUTO(str) struct str images = STR_INIT(0);
        size_t i, max;
        yyjson_val *c;
        yyjson_arr_foreach(yyjson_obj_get(json_at(object, pod_spec_pointer), "containers"), i, max, c) {
                const char *name = json_get_str(c, "name"), *image = json_get_str(c, "image");
                str_appendf(&names, "%s%s", i ? "," : "", name ? name : "");
                str_appendf(&images, "%s%s", i ? "," : "", image ? image : "");
        }
        table_text(r, str_cstr(&names));
        table_text(r, str_cstr(&images));
}

void table_selector_at(struct table_row *r, yyjson_val *object, const char *pointer) {
        AUTO(selector) struct selector s = {0};
        if (selector_from_object(json_at(object, pointer), &s, NULL) < 0) {
                table_text(r, "<error>");
                return;
        }
        AUTO(free) char *text = selector_format(&s);
        table_text(r, *text ? text : "<none>");
}

void table_labels_at(struct table_row *r, yyjson_val *object, const char *pointer) {
        AUTO(selector) struct selector s = {0};
        selector_from_map(json_at(object, pointer), &s);
        AUTO(free) char *text = selector_format(&s);
        table_text(r, *text ? text : "<none>");
}

/* ---- custom resources ---- */

/* A value of a column of type string: strings as they are, the rest as Go prints it. */
static void print_crd_text(struct table_row *r, yyjson_val *v) {
        if (yyjson_is_str(v)) {
                table_text(r, yyjson_get_str(v));
        } else if (yyjson_is_null(v)) {
                table_text(r, "<nil>");
        } else {
                AUTO(free) char *text = json_write(v, false, NULL);
                table_text(r, text);
        }
}

static void print_crd_cell(struct table_row *r, const char *type, yyjson_val *v) {
        if (v && type && streq(type, "string"))
                print_crd_text(r, v);
        else if (v && type && streq(type, "integer") && yyjson_is_num(v))
                table_int(r, yyjson_is_real(v) ? (int64_t)yyjson_get_real(v) : yyjson_get_sint(v));
        else if (v && type && streq(type, "number") && yyjson_is_num(v))
                yyjson_mut_arr_append(r->cells, yyjson_val_mut_copy(r->doc, v));
        else if (v && type && streq(type, "boolean") && yyjson_is_bool(v))
                table_bool(r, yyjson_get_bool(v));
        else if (v && type && streq(type, "date") && yyjson_is_str(v))
                table_since(r, yyjson_get_str(v));
        else
                yyjson_mut_arr_add_null(r->doc, r->cells);
}

static void print_crd(struct table_row *r, const struct table_kind *kind, yyjson_val *object) {
        size_t i, max;
        yyjson_val *column;
        table_name(r, object);
        if (!yyjson_arr_size(kind->crd_columns))
                table_age(r, object);
        yyjson_arr_foreach(kind->crd_columns, i, max, column) {
                const char *path = json_get_str(column, "jsonPath");
                print_crd_cell(r, json_get_str(column, "type"), path ? jsonpath_first(object, path) : NULL);
        }
}

struct table_kind *table_kind_from_crd(yyjson_val *version) {
        struct table_kind *kind = NEW(struct table_kind);
        kind->crd_columns = yyjson_obj_get(version, "additionalPrinterColumns");
        kind->heap = true;
        return kind;
}

void table_kind_free(struct table_kind *kind) {
        if (kind && kind->heap)
                free(kind);
}

/* ---- tables ---- */

static void add_column(yyjson_mut_doc *doc, yyjson_mut_val *list, const char *name, const char *type, const char *format,
                       const char *description, int64_t priority) {
        yyjson_mut_val *column = yyjson_mut_arr_add_obj(doc, list);
        yyjson_mut_obj_add_strcpy(doc, column, "name", name ? name : "");
        yyjson_mut_obj_add_strcpy(doc, column, "type", type ? type : "");
        yyjson_mut_obj_add_strcpy(doc, column, "format", format ? format : "");
        yyjson_mut_obj_add_strcpy(doc, column, "description", description);
        yyjson_mut_obj_add_sint(doc, column, "priority", priority);
}

static void add_crd_columns(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct table_kind *kind) {
        size_t i, max;
        yyjson_val *c;
        add_column(doc, list, "Name", "string", "name", COLUMN_NAME_DESCRIPTION, 0);
        if (!yyjson_arr_size(kind->crd_columns))
                add_column(doc, list, "Age", "date", "", COLUMN_CREATED_DESCRIPTION, 0);
        yyjson_arr_foreach(kind->crd_columns, i, max, c) {
                const char *path = json_get_str(c, "jsonPath"), *description = json_get_str(c, "description");
                AUTO(free) char *made = xasprintf("Custom resource definition column (in JSONPath format): %s", path ? path : "");
                add_column(doc, list, json_get_str(c, "name"), json_get_str(c, "type"), json_get_str(c, "format"),
                           description && *description ? description : made, json_get_int(c, "priority", 0));
        }
}

yyjson_mut_val *table_new(yyjson_mut_doc *doc, const struct table_kind *kind, bool with_columns, const char *resource_version,
                          const char *continue_token, int64_t remaining) {
        yyjson_mut_val *table = yyjson_mut_obj(doc);
        mjson_set_str(doc, table, "kind", "Table");
        mjson_set_str(doc, table, "apiVersion", "meta.k8s.io/v1");
        yyjson_mut_val *meta = mjson_obj(doc, table, "metadata");
        mjson_set_str(doc, meta, "resourceVersion", resource_version);
        mjson_set_str(doc, meta, "continue", continue_token && *continue_token ? continue_token : NULL);
        if (remaining > 0)
                mjson_set_int(doc, meta, "remainingItemCount", remaining);
        if (with_columns) {
                yyjson_mut_val *list = mjson_arr(doc, table, "columnDefinitions");
                if (kind->heap)
                        add_crd_columns(doc, list, kind);
                for (size_t i = 0; i < kind->len; i++) {
                        const struct table_column *c = &kind->columns[i];
                        add_column(doc, list, c->name, c->type, c->format, c->description, c->priority);
                }
        } else {
                mjson_set(doc, table, "columnDefinitions", yyjson_mut_null(doc));
        }
        mjson_arr(doc, table, "rows");
        return table;
}

static void add_condition(yyjson_mut_doc *doc, yyjson_mut_val *row, const char *reason) {
        yyjson_mut_val *c = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, row, "conditions"));
        mjson_set_str(doc, c, "type", "Completed");
        mjson_set_str(doc, c, "status", "True");
        mjson_set_str(doc, c, "reason", reason);
        mjson_set_str(doc, c, "message", streq(reason, "Succeeded") ? "The pod has completed successfully." : "The pod failed.");
}

void table_add_row(yyjson_mut_doc *doc, yyjson_mut_val *table, const struct table_kind *kind, yyjson_val *object, enum table_object include,
                   int64_t now_ms) {
        yyjson_mut_val *row = yyjson_mut_arr_add_obj(doc, mjson_arr(doc, table, "rows"));
        struct table_row r = {.doc = doc, .cells = mjson_arr(doc, row, "cells"), .now_ms = now_ms};
        if (kind->heap)
                print_crd(&r, kind, object);
        else
                kind->print(&r, object);
        if (r.condition)
                add_condition(doc, row, r.condition);
        if (include == TABLE_OBJECT) {
                yyjson_mut_obj_add_val(doc, row, "object", yyjson_val_mut_copy(doc, object));
        } else if (include == TABLE_METADATA) {
                yyjson_mut_val *partial = mjson_obj(doc, row, "object");
                mjson_set_str(doc, partial, "kind", "PartialObjectMetadata");
                mjson_set_str(doc, partial, "apiVersion", "meta.k8s.io/v1");
                yyjson_val *meta = meta_of(object);
                mjson_set(doc, partial, "metadata", meta ? yyjson_val_mut_copy(doc, meta) : yyjson_mut_obj(doc));
        } else {
                yyjson_mut_obj_add_null(doc, row, "object");
        }
}
