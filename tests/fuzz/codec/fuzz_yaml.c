/* Any text: parsed or refused with a message; what was parsed is written as YAML and read back equal. */
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(json) yyjson_doc *doc = NULL, *again = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (yaml_parse(sv_new((const char *)data, size), &doc, &err) < 0) {
                if (!err.message)
                        abort();
                return 0;
        }
        AUTO(str) struct str out = STR_INIT(0);
        yaml_write(yyjson_doc_get_root(doc), &out);
        if (yaml_parse(str_sv(&out), &again, NULL) < 0 || !json_equal(yyjson_doc_get_root(doc), yyjson_doc_get_root(again)))
                abort();
        return 0;
}
