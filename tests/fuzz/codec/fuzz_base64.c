/* Decoding any text; encoding any bytes and decoding them again. */
#include "codec/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct sv v = sv_new((const char *)data, size);
        AUTO(str) struct str any = STR_INIT(0), encoded = STR_INIT(0), decoded = STR_INIT(0);
        int r = base64_decode(v, &any);
        (void)r;
        base64url_encode(v, &encoded);
        if (base64_decode(str_sv(&encoded), &decoded) < 0 || !sv_eq(v, str_sv(&decoded)))
                abort();
        return 0;
}
