/* Any text as a pod template: refused, or written and read back to the same. */
#include "spark/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL), *second = yyjson_mut_doc_new(NULL);
        AUTO(err) struct err err = ERR_INIT;
        yyjson_mut_val *pod, *again;
        if (template_parse(SPARK_4_1, sv_new((const char *)data, size), doc, &pod, &err) < 0)
                return 0;
        AUTO(free) char *text = mjson_write(pod, false, NULL);
        if (!text) /* numbers that JSON cannot say */
                return 0;
        if (template_parse(SPARK_4_1, sv_of(text), second, &again, NULL) < 0)
                abort();
        return 0;
}
