/* A live object and a configuration: applying the result's configuration again changes nothing. */
#include "kobj/apply.h"
#include "kobj/meta.h"
#include "pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(json) yyjson_doc *live = NULL, *config = NULL;
        if (!read_pair(data, size, &live, &config) || !yyjson_is_obj(yyjson_doc_get_root(live)))
                return 0;
        struct apply_options o = {.manager = "fuzz", .now_ms = 1000, .force = true, .schema = schema_of_kind("", "v1", "Pod")};
        AUTO(mjson) yyjson_mut_doc *doc = json_thaw(yyjson_doc_get_root(live));
        yyjson_mut_val *once = NULL, *twice = NULL;
        AUTO(err) struct err err = ERR_INIT;
        if (apply_patch(doc, yyjson_mut_doc_get_root(doc), yyjson_doc_get_root(config), &o, &once, &err) < 0)
                return 0;
        AUTO(json) yyjson_doc *a = mjson_freeze(once);
        o.now_ms = 2000;
        if (apply_patch(doc, once, yyjson_doc_get_root(config), &o, &twice, &err) < 0)
                abort();
        apply_track(doc, yyjson_doc_get_root(a), twice, &o);
        return 0;
}
