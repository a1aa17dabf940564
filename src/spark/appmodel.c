#include "spark/appmodel.h"

#include <xxhash.h>

#include "spark/appmodel-internal.h"

const char *const appmodel_peak_names[AM_PEAKS] = {
        "JVMHeapMemory",           "JVMOffHeapMemory",        "OnHeapExecutionMemory",    "OffHeapExecutionMemory",
        "OnHeapStorageMemory",     "OffHeapStorageMemory",    "OnHeapUnifiedMemory",      "OffHeapUnifiedMemory",
        "DirectPoolMemory",        "MappedPoolMemory",        "ProcessTreeJVMVMemory",    "ProcessTreeJVMRSSMemory",
        "ProcessTreePythonVMemory", "ProcessTreePythonRSSMemory", "ProcessTreeOtherVMemory", "ProcessTreeOtherRSSMemory",
        "MinorGCCount",            "MinorGCTime",             "MajorGCCount",             "MajorGCTime",
        "TotalGCTime",             "ConcurrentGCCount",       "ConcurrentGCTime",
};
const char *const appmodel_job_status[] = {"RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN"};
const char *const appmodel_stage_status[] = {"ACTIVE", "COMPLETE", "FAILED", "PENDING", "SKIPPED"};
const char *const appmodel_task_status[] = {"RUNNING", "GET RESULT", "FAILED", "KILLED", "SUCCESS"};

static uint32_t header_checksum(const struct am_header *h) {
        struct am_header copy = *h;
        copy.header_checksum = 0;
        return (uint32_t)XXH3_64bits(&copy, sizeof(copy));
}

static int reject(struct err *err, const char *why) { return err_set(err, -EBADMSG, "not a usable index: %s", why); }

int appmodel_open(struct appmodel *ret, const void *image, size_t size, const uint8_t fingerprint[AM_FINGERPRINT], struct err *err) {
        const struct am_header *h = image;
        if (size < AM_HEADER_SIZE || h->magic != AM_MAGIC)
                return reject(err, "it does not begin as one");
        if (h->version != AM_VERSION)
                return reject(err, "it is of another version");
        if (h->header_checksum != header_checksum(h) || h->size != size || h->cold_offset > size)
                return reject(err, "its header is damaged");
        if (fingerprint && memcmp(fingerprint, h->fingerprint, AM_FINGERPRINT) != 0)
                return reject(err, "the log has changed since it was made");
        if (XXH3_64bits((const char *)image + h->cold_offset, size - h->cold_offset) != h->cold_checksum)
                return reject(err, "its checksum is wrong");
        struct appmodel m = {.image = image, .size = size, .app = &h->app};
#define X(member, type)                                                                                                                    \
        {                                                                                                                                  \
                const struct am_section_entry *e = &h->sections[AM_SECTION_##member];                                                      \
                if (e->item_size != sizeof(type) || e->offset % 8 || e->offset > size || e->count > UINT32_MAX ||                          \
                    e->count > (size - e->offset) / sizeof(type))                                                                          \
                        return reject(err, "section " #member " lies outside of it");                                                      \
                m.member = (const type *)((const char *)image + e->offset);                                                                \
                m.num_##member = (uint32_t)e->count;                                                                                       \
        }
        AM_SECTIONS(X)
#undef X
        const struct am_section_entry *heap = &h->sections[AM_SECTION_heap];
        if (heap->offset > size || heap->count > size - heap->offset)
                return reject(err, "its heap lies outside of it");
        m.heap = (const char *)image + heap->offset;
        m.heap_size = heap->count;
        *ret = m;
        return 0;
}

const struct am_job *appmodel_job(const struct appmodel *m, int64_t id) {
        size_t lo = 0, hi = m->num_jobs;
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                if (m->jobs[mid].id < id)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < m->num_jobs && m->jobs[lo].id == id ? &m->jobs[lo] : NULL;
}

int64_t appmodel_stage_row(const struct appmodel *m, int64_t id) {
        size_t lo = 0, hi = m->num_stages;
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                if (m->stages[mid].id < id)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < m->num_stages && m->stages[lo].id == id ? (int64_t)lo : -1;
}

const struct am_stage *appmodel_stage(const struct appmodel *m, int64_t id, int64_t attempt) {
        for (int64_t row = appmodel_stage_row(m, id); row >= 0 && row < m->num_stages && m->stages[row].id == id; row++)
                if (m->stages[row].attempt == attempt)
                        return &m->stages[row];
        return NULL;
}

const struct am_executor *appmodel_executor(const struct appmodel *m, struct sv id) {
        size_t lo = 0, hi = m->num_executors;
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                struct sv at = am_sv(m, m->executors[mid].id);
                int diff = memcmp(at.data ? at.data : "", id.data, at.len < id.len ? at.len : id.len);
                if (diff == 0 && at.len == id.len)
                        return &m->executors[mid];
                if (diff < 0 || (diff == 0 && at.len < id.len))
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return NULL;
}

const struct am_sql *appmodel_sql(const struct appmodel *m, int64_t id) {
        size_t lo = 0, hi = m->num_sqls;
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                if (m->sqls[mid].id < id)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < m->num_sqls && m->sqls[lo].id == id ? &m->sqls[lo] : NULL;
}

const struct am_rdd *appmodel_rdd(const struct appmodel *m, int64_t id) {
        for (uint32_t i = 0; i < m->num_rdds; i++)
                if (m->rdds[i].id == id)
                        return &m->rdds[i];
        return NULL;
}

/* AppStatusUtils: a task whose result is being fetched, and what of its time nothing else explains. */
int64_t am_getting_result_ms(int64_t launch_ms, int64_t fetch_start_ms, int64_t duration_ms, int64_t now_ms) {
        if (fetch_start_ms <= 0)
                return 0;
        return duration_ms > 0 ? launch_ms + duration_ms - fetch_start_ms : now_ms - fetch_start_ms;
}

int64_t am_scheduler_delay_ms(const struct am_task *t, int64_t duration_ms, int64_t now_ms) {
        int64_t delay = duration_ms - t->metrics[TM_RUN_TIME] - t->metrics[TM_DESERIALIZE_TIME] - t->metrics[TM_SERIALIZE_TIME] -
                        am_getting_result_ms(t->launch_ms, t->fetch_start_ms, duration_ms, now_ms);
        return delay > 0 ? delay : 0;
}
