/* URLs, escapes and query look-ups over any text. */
#include "codec/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(free) char *text = sv_dup(sv_new((const char *)data, size));
        AUTO(uri) struct uri u = {0};
        AUTO(str) struct str encoded = STR_INIT(0), decoded = STR_INIT(0), any = STR_INIT(0);
        if (uri_parse(text, &u, NULL) == 0 && u.query)
                free(query_get(u.query, "watch"));
        uri_decode(sv_new((const char *)data, size), true, &any);
        uri_encode(sv_of(text), true, &encoded);
        if (!uri_decode(str_sv(&encoded), false, &decoded) || !streq(str_cstr(&decoded), text))
                abort();
        return 0;
}
