/* The image's layout and the packing of rows, shared by the reader (appmodel.c), the rows (appmodel_rows.c) and the
 * writer (appmodel_write.c).
 *
 * Layout: header (AM_HEADER_SIZE bytes) | row segments as they were finished | sections, each 8-byte aligned.
 */
#ifndef FIRESTEEL_SPARK_APPMODEL_INTERNAL_H
#define FIRESTEEL_SPARK_APPMODEL_INTERNAL_H

#include "spark/appmodel.h"

/* X(member, type): the arrays of an image, in the order of the section table. */
#define AM_SECTIONS(X)                                                                                                                    \
        X(jobs, struct am_job)                                                                                                            \
        X(stages, struct am_stage)                                                                                                        \
        X(executors, struct am_executor)                                                                                                  \
        X(rdds, struct am_rdd)                                                                                                            \
        X(rdd_distributions, struct am_rdd_distribution)                                                                                  \
        X(rdd_partitions, struct am_rdd_partition)                                                                                        \
        X(profiles, struct am_resource_profile)                                                                                           \
        X(requests, struct am_resource_request)                                                                                           \
        X(processes, struct am_process)                                                                                                   \
        X(sqls, struct am_sql)                                                                                                            \
        X(sql_nodes, struct am_sql_node)                                                                                                  \
        X(sql_edges, struct am_sql_edge)                                                                                                  \
        X(sql_metrics, struct am_sql_metric)                                                                                              \
        X(sql_values, struct am_sql_value)                                                                                                \
        X(sql_jobs, struct am_sql_job)                                                                                                    \
        X(accumulables, struct am_accumulable)                                                                                            \
        X(segments, struct am_segment)                                                                                                    \
        X(resources, struct am_resource)                                                                                                  \
        X(pairs, struct am_pair)                                                                                                          \
        X(counts, struct am_count)                                                                                                        \
        X(strings, struct am_str)                                                                                                         \
        X(ints, int32_t)

#define X(member, type) AM_SECTION_##member,
enum am_section { AM_SECTIONS(X) AM_SECTION_heap, AM_SECTION_COUNT };
#undef X

struct am_section_entry {
        uint64_t offset, count;
        uint32_t item_size, pad;
};

enum { AM_HEADER_SIZE = 4096, AM_VERSION = 2 };
#define AM_MAGIC 0x3158444948534655ull /* "UFSHIDX1" */

struct am_header {
        uint64_t magic;
        uint32_t version, header_checksum; /* of the header with this field 0 */
        uint64_t size;
        uint64_t cold_offset, cold_checksum; /* XXH3 of [cold_offset, size) */
        uint8_t fingerprint[AM_FINGERPRINT];
        struct am_app app;
        struct am_section_entry sections[AM_SECTION_COUNT];
};
_Static_assert(sizeof(struct am_header) <= AM_HEADER_SIZE, "the header has outgrown its page");

/* Packing of rows: LEB128 numbers, zigzag where a value can be negative. Rows of a stage are relative to its base. */
struct am_row_base {
        int64_t task_id, launch_ms;
};

void am_put_varint(struct str *s, uint64_t v);
static inline uint64_t am_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }

/* Appends one row, led by its length. */
void am_pack_task(struct str *s, const struct am_row_base *base, const struct am_task *t);
void am_pack_accumulable(struct str *s, const struct am_accumulable *a);
void am_pack_stage_executor(struct str *s, const struct am_stage_executor *e);
/* The segment's own start: the base of its rows. */
void am_pack_base(struct str *s, const struct am_row_base *base);
uint32_t am_segment_checksum(const void *data, size_t len);

#endif
