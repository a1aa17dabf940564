/* A document and a path. */
#include "kobj/jsonpath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
        AUTO(json) yyjson_doc *doc = NULL;
        if (!line || json_parse(sv_new((const char *)data, (size_t)(line - data)), &doc, NULL) < 0)
                return 0;
        AUTO(free) char *path = sv_dup(sv_new((const char *)line + 1, size - (size_t)(line - data) - 1));
        jsonpath_is_valid(path);
        yyjson_val *v = jsonpath_first(yyjson_doc_get_root(doc), path);
        if (v)
                free(json_write(v, false, NULL));
        return 0;
}
