/* A quantity that parses has a canonical form that parses to a value within one rounding and is a fixed point. */
#include "codec/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct quantity q, again;
        char text[64], text2[64];
        if (quantity_parse(sv_new((const char *)data, size), &q, NULL) < 0)
                return 0;
        quantity_format(q, text);
        if (quantity_parse(sv_of(text), &again, NULL) < 0 || quantity_cmp(q, again) != 0)
                abort();
        quantity_format(again, text2);
        if (!streq(text, text2))
                abort();
        return 0;
}
