/* Writing an image: strings are interned, arrays collected, rows handed to the sink as soon as their stage is done
 * with, so that a million tasks never lie in memory together.
 *
 *     struct am_writer w;
 *     am_writer_init(&w, &sink);
 *     ... am_intern(), *vec_push(&w.jobs) = ..., am_write_segment() ...
 *     r = am_writer_finish(&w, &app, fingerprint, err);
 *     am_writer_done(&w);
 */
#ifndef FIRESTEEL_SPARK_APPMODEL_WRITE_H
#define FIRESTEEL_SPARK_APPMODEL_WRITE_H

#include "base/vec.h"
#include "spark/appmodel.h"

/* Where an image goes: bytes one after another, and at the end its header, which belongs in front (offset 0, where
 * append() has first been given as many bytes of zeros). Negative errno with `err` set on failure. */
struct am_sink {
        int (*append)(void *arg, const void *data, size_t len, struct err *err);
        int (*header)(void *arg, const void *data, size_t len, struct err *err);
        void *arg;
};

struct am_writer {
        struct am_sink sink;
        uint64_t offset; /* bytes appended */
        struct str heap;
        uint32_t *index; /* open addressing over interned strings; 0 = empty, else entry + 1 */
        struct am_interned {
                struct am_str at;
                uint32_t hash;
        } *interned;
        size_t index_size, num_interned, cap_interned;
        VEC(struct am_job) jobs;
        VEC(struct am_stage) stages;
        VEC(struct am_executor) executors;
        VEC(struct am_rdd) rdds;
        VEC(struct am_rdd_distribution) rdd_distributions;
        VEC(struct am_rdd_partition) rdd_partitions;
        VEC(struct am_resource_profile) profiles;
        VEC(struct am_resource_request) requests;
        VEC(struct am_process) processes;
        VEC(struct am_sql) sqls;
        VEC(struct am_sql_node) sql_nodes;
        VEC(struct am_sql_edge) sql_edges;
        VEC(struct am_sql_metric) sql_metrics;
        VEC(struct am_sql_value) sql_values;
        VEC(struct am_sql_job) sql_jobs;
        VEC(struct am_accumulable) accumulables;
        VEC(struct am_segment) segments;
        VEC(struct am_resource) resources;
        VEC(struct am_pair) pairs;
        VEC(struct am_count) counts;
        VEC(struct am_str) strings;
        VEC(int32_t) ints;
        struct err error; /* the first failure of the sink */
};

#define AM_ABSENT ((struct am_str){UINT32_MAX, 0})

void am_writer_init(struct am_writer *w, const struct am_sink *sink);
void am_writer_done(struct am_writer *w);
/* The text's place in the heap; equal texts have one place. SV_NULL gives AM_ABSENT. Bytes that are no UTF-8 become U+FFFD. */
struct am_str am_intern(struct am_writer *w, struct sv text);
static inline struct am_str am_intern_s(struct am_writer *w, const char *text) { return am_intern(w, sv_of(text)); }
/* Reading back what was interned; valid until the next am_intern(). */
static inline struct sv am_writer_sv(const struct am_writer *w, struct am_str s) {
        return s.off == UINT32_MAX ? SV_NULL : sv_new(w->heap.data + s.off, s.len);
}
/* Hands packed rows to the sink. */
struct am_segment am_write_segment(struct am_writer *w, struct sv rows, uint32_t count);
/* Writes sections and header; a failure of any earlier am_write_segment() comes out here. */
MUST_USE int am_writer_finish(struct am_writer *w, const struct am_app *app, const uint8_t fingerprint[AM_FINGERPRINT], struct err *err);

#endif
