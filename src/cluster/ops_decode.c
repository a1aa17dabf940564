/* Decoding of what clients send: of the right kind, by the kind's schema, with what is unknown named. */
#include "cluster/decode.h"
#include "cluster/ops.h"
#include "cluster/crd/structural.h"
#include "kobj/meta.h"

static int undecodable(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct err *why, struct err *err);

/* Kinds and their lists. */
static bool is_in_scheme(const char *group, const char *version, const char *kind) {
        AUTO(free) char *item = str_ends(kind, "List") ? xstrndup(kind, strlen(kind) - 4) : NULL;
        return schema_known(schema_of_kind(group, version, kind)) || (item && schema_known(schema_of_kind(group, version, item)));
}

int op_no_name(const struct op *op, struct err *err) {
        return status_bad_request(err, "the name of the object (%s based on URL) was undeterminable: name must be provided", op->name);
}

static int wrong_kind(const struct op *op, const char *api_version, const char *kind, const char *name, struct err *err) {
        const struct resource *res = op->res;
        struct sv group, version;
        AUTO(free) char *v = NULL, *g = NULL;

        meta_split_api_version(api_version, &group, &version);
        v = sv_dup(version);
        g = sv_dup(group);
        if (res->is_custom) {
                if (streq(api_version, res->api_version)) {
                        AUTO(invalid) struct invalid bad = {0};
                        invalid_string(&bad, "kind", kind, "must be %s", res->kind);
                        return invalid_err(&bad, res->group, kind, name ? name : "", err);
                }
                return status_bad_request(err, "the API version in the data (%s) does not match the expected API version (%s)", api_version,
                                          res->api_version);
        }
        if (is_in_scheme(g, v, kind)) {
                const char *dot = strchr(res->group, '.');
                const char *pack = *res->group ? res->group : "core";
                return status_bad_request(
                        err, "%s in version \"%s\" cannot be handled as a %s: converting (v1.%s) to (%.*s.%s): unknown conversion", kind, v,
                        res->kind, kind, *res->group && dot ? (int)(dot - res->group) : (int)strlen(pack), pack, res->kind);
        }
        if (op->is_patch)
                return status_bad_request(err, "no kind \"%s\" is registered for version \"%s\" in scheme \"pkg/runtime/scheme.go:110\"",
                                          kind, api_version);
        return status_bad_request(
                err,
                "%s in version \"%s\" cannot be handled as a %s: no kind \"%s\" is registered for version \"%s\" in scheme \"pkg/runtime/scheme.go:110\"",
                kind, v, res->kind, kind, api_version);
}

/* A kind or version that is no string: nothing can be said about the object but how it begins. */
static int check_kind_types(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct err *err) {
        enum { SHOWN = 30 };
        static const char *const members[] = {"apiVersion", "kind"};
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
                yyjson_mut_val *v = yyjson_mut_obj_get(root, members[i]);
                AUTO(err) struct err why = ERR_INIT;
                AUTO(free) char *text = NULL;
                if (!v || yyjson_mut_is_str(v) || yyjson_mut_is_null(v))
                        continue;
                err_set(&why, -EINVAL,
                        "couldn't get version/kind; json parse error: json: cannot unmarshal %s into Go struct field .%s of type string",
                        yyjson_mut_is_obj(v)    ? "object"
                        : yyjson_mut_is_arr(v)  ? "array"
                        : yyjson_mut_is_bool(v) ? "bool"
                                                : "number",
                        members[i]);
                if (op->is_patch)
                        return undecodable(op, doc, root, &why, err);
                text = mjson_write(root, false, NULL);
                return status_bad_request(err, "the object provided is unrecognized (must be of type %s): %s (%.*s%s)", op->res->kind,
                                          err_message(&why), SHOWN, text, strlen(text) > SHOWN ? " ..." : "");
        }
        return 0;
}

/* A patch that took away or changed what a custom resource is. */
static int check_patched_kind(const struct op *op, const char *api_version, const char *kind, const char *name, struct err *err) {
        AUTO(invalid) struct invalid bad = {0};
        if (!api_version || !*api_version)
                return status_internal(err, "Object 'apiVersion' is missing in 'object has no apiVersion field'");
        if (!streq(kind, op->res->kind))
                invalid_string(&bad, "kind", kind, "must be %s", op->res->kind);
        if (!streq(api_version, op->res->api_version))
                invalid_string(&bad, "apiVersion", api_version, "must be %s", op->res->api_version);
        return invalid_err(&bad, streq(api_version, op->res->api_version) ? op->res->group : "", kind, name ? name : "", err);
}

static int check_kind(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct err *err) {
        const char *api_version = mmeta_api_version(root), *kind = mmeta_kind(root);
        int r = check_kind_types(op, doc, root, err);
        if (r < 0)
                return r;
        if ((!kind || !*kind) && op->res->is_custom) {
                AUTO(err) struct err why = ERR_INIT;
                err_set(&why, -EINVAL, "Object 'Kind' is missing in the body of the request: a %s of %s is expected", op->res->kind,
                        op->res->api_version);
                return op->is_patch ? undecodable(op, doc, root, &why, err) : status_bad_request(err, "%s", err_message(&why));
        }
        if (op->is_patch && op->res->is_custom)
                return check_patched_kind(op, api_version, kind, mmeta_name(root), err);
        if ((!api_version || !*api_version) && op->res->is_custom)
                return status_bad_request(err, "the API version in the data () does not match the expected API version (%s)",
                                          op->res->api_version);
        if (op->is_patch && (!api_version || !*api_version)) /* decoded as something without members */
                return op_no_name(op, err);
        if (!kind || !*kind)
                kind = op->res->kind;
        if (!api_version || !*api_version)
                api_version = op->res->api_version;
        if (!streq(kind, op->res->kind) || !streq(api_version, op->res->api_version)) {
                AUTO(err) struct err why = ERR_INIT;
                r = wrong_kind(op, api_version, kind, mmeta_name(root), op->is_patch ? &why : err);
                return op->is_patch ? undecodable(op, doc, root, &why, err) : r;
        }
        return 0;
}

static int report_strict(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, const struct strv *strict, struct err *err) {
        AUTO(free) char *all = NULL;
        AUTO(err) struct err why = ERR_INIT;
        if (strict->len == 0 || op->validation == FIELDS_IGNORE)
                return 0;
        if (op->validation == FIELDS_WARN) {
                for (size_t i = 0; i < strict->len && op->warnings; i++)
                        strv_add(op->warnings, strict->items[i]);
                return 0;
        }
        all = strv_join(strict, ", ");
        err_set(&why, -EINVAL, "strict decoding error: %s", all);
        return undecodable(op, doc, root, &why, err);
}

static int by_name(const void *a, const void *b) {
        yyjson_mut_val *const *x = a, *const *y = b;
        return strcmp(yyjson_mut_get_str(*x), yyjson_mut_get_str(*y));
}

/* The members of an object in the order of their names, and so for the objects in it that the patch has touched, or `all`. */
static yyjson_mut_val *by_names(yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *patch, bool all) {
        VEC(yyjson_mut_val *) keys = {0};
        yyjson_mut_val *out, *key, *value;
        size_t i, n;
        if (yyjson_mut_is_arr(object) && all) {
                out = yyjson_mut_arr(doc);
                yyjson_mut_arr_foreach(object, i, n, value) yyjson_mut_arr_append(out, by_names(doc, value, NULL, all));
                return out;
        }
        if (!yyjson_mut_is_obj(object))
                return yyjson_mut_val_mut_copy(doc, object);
        out = yyjson_mut_obj(doc);
        yyjson_mut_obj_foreach(object, i, n, key, value) *vec_push(&keys) = key;
        if (keys.len)
                qsort(keys.items, keys.len, sizeof(*keys.items), by_name);
        for (i = 0; i < keys.len; i++) {
                yyjson_val *inner = yyjson_obj_get(patch, yyjson_mut_get_str(keys.items[i]));
                value = keys.items[i]->next;
                value = all || yyjson_is_obj(inner) ? by_names(doc, value, inner, all) : yyjson_mut_val_mut_copy(doc, value);
                yyjson_mut_obj_add(out, yyjson_mut_val_mut_copy(doc, keys.items[i]), value);
        }
        vec_done(&keys);
        return out;
}

/* What a patch made of the object, as the real server quotes it. */
static char *quoted_object(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root) {
        AUTO(free) char *text = mjson_write(by_names(doc, root, op->merged, op->res->is_custom), false, NULL);
        return invalid_quote(text);
}

static int undecodable(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct err *why, struct err *err) {
        int r;
        if (op->is_patch) {
                AUTO(invalid) struct invalid bad = {0};
                AUTO(free) char *shown = quoted_object(op, doc, root);
                invalid_add(&bad, "patch", INVALID_VALUE, shown, "%s", err_message(why));
                return invalid_err(&bad, "", "", "", err);
        }
        r = status_bad_request(err, "%s in version \"%s\" cannot be handled as a %s: %s", op->res->kind, op->res->version, op->res->kind,
                                   err_message(why));
        err_clear(why);
        return r;
}

/* A custom resource: typed metadata, the rest by the CRD's schema. */
static int decode_custom(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, struct strv *strict, yyjson_mut_val **ret,
                         struct err *err) {
        yyjson_mut_val *out = yyjson_mut_obj(doc), *meta = yyjson_mut_obj_get(root, "metadata"), *typed = NULL, *key, *value;
        AUTO(strv) struct strv unknown = {0}, in_meta = {0};
        AUTO(err) struct err why = ERR_INIT;
        size_t i, n;

        if (!meta || yyjson_mut_is_null(meta))
                meta = yyjson_mut_obj(doc);
        if (!yyjson_mut_is_obj(meta)) {
                const char *have = yyjson_mut_is_str(meta)    ? "string"
                                   : yyjson_mut_is_arr(meta)  ? "array"
                                   : yyjson_mut_is_bool(meta) ? "bool"
                                                              : "number";
                err_set(&why, -EINVAL, "json: cannot unmarshal %s into Go value of type v1.ObjectMeta", have);
                return undecodable(op, doc, root, &why, err);
        }
        if (decode_typed(doc, meta, schema_of_type("ObjectMeta"), &in_meta, &typed, &why) < 0)
                return undecodable(op, doc, root, &why, err);
        yyjson_mut_obj_add_val(doc, out, "metadata", typed);
        yyjson_mut_obj_foreach(root, i, n, key, value) {
                const char *name = yyjson_mut_get_str(key);
                if (!streq(name, "metadata") && !streq(name, "apiVersion") && !streq(name, "kind") &&
                    yyjson_mut_obj_get(root, name) == value)
                        yyjson_mut_obj_add(out, yyjson_mut_val_mut_copy(doc, key), yyjson_mut_val_mut_copy(doc, value));
        }
        if (op->res->structural) {
                structural_default(op->res->structural, doc, out);
                structural_prune(op->res->structural, out, &unknown);
        }
        strv_sort(&unknown);
        for (size_t k = 0; k < unknown.len; k++)
                strv_addf(strict, "unknown field \"%s\"", unknown.items[k]);
        for (size_t k = 0; k < in_meta.len; k++) {
                const char *name = str_starts(in_meta.items[k], "unknown field \"") ? in_meta.items[k] + strlen("unknown field \"") : NULL;
                if (name)
                        strv_addf(strict, "unknown field \"metadata.%s", name);
                else
                        strv_add(strict, in_meta.items[k]);
        }
        *ret = out;
        return 0;
}

int op_decode(const struct op *op, yyjson_mut_doc *doc, yyjson_mut_val *root, yyjson_mut_val **ret, struct err *err) {
        AUTO(strv) struct strv strict = {0};
        AUTO(err) struct err why = ERR_INIT;
        yyjson_mut_val *out = NULL, *ordered, *managed;
        yyjson_mut_val *key, *value;
        size_t i, n;
        int r;

        managed = mjson_at(root, "/metadata/managedFields");
        if (!yyjson_mut_is_obj(root))
                return status_bad_request(err, "the object provided is unrecognized (must be of type %s)", op->res->kind);
        r = check_kind(op, doc, root, err);
        if (r < 0)
                return r;
        if (op->res->is_custom) {
                r = decode_custom(op, doc, root, &strict, &out, err);
                if (r < 0)
                        return r;
        } else {
                if (decode_typed(doc, root, op->res->schema, &strict, &out, &why) < 0)
                        return undecodable(op, doc, root, &why, err);
                if (!yyjson_mut_is_obj(yyjson_mut_obj_get(out, "metadata")))
                        mmeta_make(doc, out);
        }
        r = report_strict(op, doc, root, &strict, err);
        if (r < 0)
                return r;
        if (!op->res->is_custom && yyjson_mut_is_arr(managed) &&
            !yyjson_mut_arr_size(managed)) { /* decoding drops what is empty, but this one means something: forget who owns what */
                managed = mjson_arr(doc, mmeta_of(out), "managedFields");
                yyjson_mut_arr_append(managed, yyjson_mut_obj(doc));
        }
        ordered = yyjson_mut_obj(doc);
        yyjson_mut_obj_add_strcpy(doc, ordered, "kind", op->res->kind);
        yyjson_mut_obj_add_strcpy(doc, ordered, "apiVersion", op->res->api_version);
        yyjson_mut_obj_foreach(out, i, n, key, value) {
                if (!streq(yyjson_mut_get_str(key), "kind") && !streq(yyjson_mut_get_str(key), "apiVersion"))
                        yyjson_mut_obj_add(ordered, yyjson_mut_val_mut_copy(doc, key), yyjson_mut_val_mut_copy(doc, value));
        }
        *ret = ordered;
        return 0;
}
