/* A document and a patch: merge patch twice gives what once gives; JSON patch must only not fail badly. */
#include "kobj/patch.h"
#include "pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(json) yyjson_doc *target = NULL, *patch = NULL;
        if (!read_pair(data, size, &target, &patch))
                return 0;
        yyjson_val *p = yyjson_doc_get_root(patch);
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(yyjson_doc_get_root(target));
        yyjson_mut_val *ret = NULL;
        if (patch_merge(doc, yyjson_mut_doc_get_root(doc), p, &ret, NULL) == 0) {
                AUTO(json) yyjson_doc *once = mjson_freeze(ret);
                if (patch_merge(doc, ret, p, &ret, NULL) < 0)
                        abort();
                AUTO(json) yyjson_doc *twice = mjson_freeze(ret);
                AUTO(free) char *a = json_write(yyjson_doc_get_root(once), false, NULL);
                AUTO(free) char *b = json_write(yyjson_doc_get_root(twice), false, NULL);
                if (!streq(a, b))
                        abort();
                return 0;
        }
        AUTO(mjson) yyjson_mut_doc *other = json_thaw(yyjson_doc_get_root(target));
        if (patch_json(other, yyjson_mut_doc_get_root(other), p, &ret, NULL) == 0)
                free(mjson_write(ret, false, NULL));
        return 0;
}
