/* A CustomResourceDefinition's schema of any shape, a newline, an object: the schema is checked as a CRD's is; one that is accepted gives
 * defaults to the object, prunes and validates it. What was pruned and given defaults is so when done again. */
#include "cluster/crd/structural.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_accepted(yyjson_val *schema) {
        AUTO(invalid) struct invalid bad = {0};
        structural_check_schema(schema, "schema", &bad);
        return bad.len == 0;
}

static void try_object(const struct structural *s, yyjson_val *object) {
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(object);
        AUTO(strv) struct strv unknown = {0}, again = {0};
        AUTO(invalid) struct invalid bad = {0}, bad_update = {0};
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);

        structural_default(s, doc, root);
        structural_prune(s, root, &unknown);
        AUTO(json) yyjson_doc *first = mjson_freeze(root);
        structural_default(s, doc, root);
        structural_prune(s, root, &again);
        AUTO(json) yyjson_doc *second = mjson_freeze(root);
        if (again.len > 0 || !json_equal(yyjson_doc_get_root(first), yyjson_doc_get_root(second)))
                abort();
        structural_validate(s, yyjson_doc_get_root(first), NULL, &bad);
        structural_validate(s, yyjson_doc_get_root(first), object, &bad_update);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct sv rest = sv_new((const char *)data, size), text;
        AUTO(json) yyjson_doc *schema = NULL, *object = NULL;
        if (!sv_split(&rest, '\n', &text) || json_parse(text, &schema, NULL) < 0 || !yyjson_is_obj(yyjson_doc_get_root(schema)) ||
            !is_accepted(yyjson_doc_get_root(schema)))
                return 0;
        struct structural *s = structural_new(yyjson_doc_get_root(schema), false);
        if (rest.data && json_parse(rest, &object, NULL) == 0 && yyjson_is_obj(yyjson_doc_get_root(object)))
                try_object(s, yyjson_doc_get_root(object));
        structural_free(s);
        return 0;
}
