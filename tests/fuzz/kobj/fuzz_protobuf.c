/* Any bytes behind the magic: decoded to JSON that can be written, or refused. */
#include "kobj/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (wire_decode(sv_new((const char *)data, size), &doc, &err) == 0)
                free(mjson_write(yyjson_mut_doc_get_root(doc), false, NULL));
        return 0;
}
