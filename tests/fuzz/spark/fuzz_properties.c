/* Any text: read or refused; what was read is written and read back equal. */
#include "spark/properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(map) struct map m = MAP_INIT(free), again = MAP_INIT(free);
        AUTO(str) struct str out = STR_INIT(0);
        if (properties_parse(sv_new((const char *)data, size), &m, NULL) < 0)
                return 0;
        map_foreach(e, &m) properties_append(&out, e->key, e->value);
        if (properties_parse(str_sv(&out), &again, NULL) < 0 || again.len != m.len)
                abort();
        map_foreach(e, &m) {
                if (!streq_null(map_get(&again, e->key), e->value))
                        abort();
        }
        return 0;
}
