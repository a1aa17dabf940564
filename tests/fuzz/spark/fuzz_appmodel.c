/* A damaged index: refused, or read without harm. The checksums are made to fit, so that what lies behind them is tried. */
#include <xxhash.h>

#include "spark/appmodel-internal.h"

static int on_task(void *arg, const struct am_task *t) {
        struct sv rest = t->accumulables;
        struct am_accumulable a;
        for (uint32_t i = 0; i < t->num_accumulables && appmodel_task_accumulables(&rest, &a); i++)
                ++*(size_t *)arg;
        return 0;
}

static int on_executor(void *arg, const struct am_stage_executor *x) {
        *(size_t *)arg += x->executor.len;
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < AM_HEADER_SIZE)
                return 0;
        AUTO(free) char *image = xmalloc(size);
        memcpy(image, data, size);
        struct am_header *h = (struct am_header *)image;
        h->magic = AM_MAGIC;
        h->version = AM_VERSION;
        h->size = size;
        if (h->cold_offset > size)
                h->cold_offset = size;
        h->cold_checksum = XXH3_64bits(image + h->cold_offset, size - h->cold_offset);
        h->header_checksum = 0;
        h->header_checksum = (uint32_t)XXH3_64bits(h, sizeof(*h));
        struct appmodel m;
        AUTO(err) struct err err = ERR_INIT;
        if (appmodel_open(&m, image, size, NULL, &err) < 0)
                return 0;
        size_t seen = 0;
        for (uint32_t i = 0; i < m.num_stages; i++) {
                seen += am_sv(&m, m.stages[i].name).len;
                if (appmodel_tasks(&m, &m.stages[i], on_task, &seen, &err) < 0 && !err.message)
                        abort();
                err_clear(&err);
                if (appmodel_stage_executors(&m, &m.stages[i], on_executor, &seen, &err) < 0 && !err.message)
                        abort();
                err_clear(&err);
        }
        appmodel_executor(&m, SV("driver"));
        appmodel_job(&m, 1);
        return 0;
}
