/* Any text as an event log: the replay ends, the image opens, and every row of it can be read. Lines that were read ahead make the same
 * image. */
#include "spark/eventlog.h"

struct image {
        struct str bytes;
};

static int append(void *arg, const void *data, size_t len, struct err *err) {
        struct image *i = arg;
        (void)err;
        str_append(&i->bytes, data, len);
        return 0;
}

static int header(void *arg, const void *data, size_t len, struct err *err) {
        struct image *i = arg;
        (void)err;
        memcpy(i->bytes.data, data, len);
        return 0;
}

static int on_task(void *arg, const struct am_task *t) {
        struct sv rest = t->accumulables;
        struct am_accumulable a;
        while (appmodel_task_accumulables(&rest, &a))
                ++*(size_t *)arg;
        return 0;
}

static int on_executor(void *arg, const struct am_stage_executor *x) {
        *(size_t *)arg += x->executor.len;
        return 0;
}

static const uint8_t fingerprint[AM_FINGERPRINT];

static int feed(struct eventlog *e, const char *text, size_t len, bool ahead) {
        AUTO(eventlog_batch) struct eventlog_batch *b = eventlog_batch_new();
        if (!ahead)
                return eventlog_feed(e, sv_new(text, len), NULL);
        eventlog_batch_read(b, sv_new(text, len));
        return eventlog_feed_batch(e, b, NULL);
}

static struct image replay(const char *text, size_t size, bool ahead) {
        struct image image = {STR_INIT(0)};
        struct am_sink sink = {append, header, &image};
        /* Small limits, so that eviction is met too. */
        struct eventlog_options o = {.in_progress = size & 1, .retained_tasks = 20, .retained_jobs = 5, .retained_stages = 5,
                                     .retained_dead_executors = 3, .retained_executions = 3};
        AUTO(eventlog) struct eventlog *e = eventlog_new(&sink, &o);
        size_t half = size / 2;
        if (feed(e, text, half, ahead) > 0 && feed(e, text + half, size - half, ahead) < 0)
                abort();
        if (eventlog_end_file(e, EVENTLOG_WHOLE, NULL, NULL) < 0 || eventlog_finish(e, fingerprint, NULL) < 0)
                abort();
        return image;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct image image = replay((const char *)data, size, false), ahead = replay((const char *)data, size, true);
        if (image.bytes.len != ahead.bytes.len || memcmp(image.bytes.data, ahead.bytes.data, image.bytes.len) != 0)
                abort();
        str_done(&ahead.bytes);
        size_t seen = 0;
        AUTO(err) struct err err = ERR_INIT;
        struct appmodel m;
        if (appmodel_open(&m, image.bytes.data, image.bytes.len, fingerprint, &err) < 0)
                abort();
        for (uint32_t i = 0; i < m.num_stages; i++)
                if (appmodel_tasks(&m, &m.stages[i], on_task, &seen, &err) < 0 ||
                    appmodel_stage_executors(&m, &m.stages[i], on_executor, &seen, &err) < 0)
                        abort();
        str_done(&image.bytes);
        return 0;
}
