/* A pod and a strategic merge patch: whatever comes out can be written and holds no directive where the patch was taken as content. */
#include "kobj/patch.h"
#include "pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char *const kinds[][2] = {{"", "Pod"}, {"", "Service"}, {"apps", "Deployment"}, {"", "ServiceAccount"}};
        AUTO(json) yyjson_doc *target = NULL, *patch = NULL;
        if (!size || !read_pair(data + 1, size - 1, &target, &patch) || !yyjson_is_obj(yyjson_doc_get_root(target)))
                return 0;
        const char *const *kind = kinds[data[0] % ARRAY_LEN(kinds)];
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(yyjson_doc_get_root(target));
        yyjson_mut_val *ret = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (patch_strategic(doc, yyjson_mut_doc_get_root(doc), yyjson_doc_get_root(patch), schema_of_kind(kind[0], "v1", kind[1]), &ret,
                            &err) == 0)
                free(mjson_write(ret, false, NULL));
        return 0;
}
