/* Any text: parsed or refused; what was parsed is written and read back equal. */
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(json) yyjson_doc *doc = NULL, *again = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (json_parse(sv_new((const char *)data, size), &doc, &err) < 0)
                return 0;
        size_t len;
        AUTO(free) char *text = json_write(yyjson_doc_get_root(doc), false, &len);
        if (json_parse(sv_new(text, len), &again, NULL) < 0 || !json_equal(yyjson_doc_get_root(doc), yyjson_doc_get_root(again)))
                abort();
        return 0;
}
