/* Any bytes as the beginning of a jar. */
#include "spark/jar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(free) char *main_class = NULL;
        AUTO(err) struct err err = ERR_INIT;
        int r = jar_main_class(sv_new((const char *)data, size), &main_class, &err);
        if ((r < 0) != (err.message != NULL))
                abort();
        return 0;
}
