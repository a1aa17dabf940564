/* What one event log says about one attempt of an application: the model behind the History Server, `history show`,
 * doctor and cost.
 *
 * A model is an image: flat arrays of plain structs, a heap of strings, and packed rows for what there can be millions
 * of (tasks, and executors within stages). The reducer (eventlog.h) writes an image once, through a sink; afterwards it is
 * read where it lies, normally in a mapped file, and nothing is parsed again. Rows of a stage are decoded when somebody
 * asks for that stage.
 *
 * Life cycle: appmodel_open() checks header, section table and checksum of everything but the rows; rows carry a
 * checksum of their own, checked when they are read. The model borrows the image's memory, which must outlive it.
 * Values follow Spark's status store at the end of the replay (what the REST API shows), retention included.
 *
 * Limits: strings and arrays are addressed with 32 bits. Times are milliseconds since 1970, AM_NONE when absent.
 */
#ifndef FIRESTEEL_SPARK_APPMODEL_H
#define FIRESTEEL_SPARK_APPMODEL_H

#include "base/err.h"
#include "base/str.h"

#define AM_NONE INT64_MIN

/* Per-task metrics in the order of the REST API's TaskMetrics object, nested objects inlined. */
enum task_metric {
        TM_DESERIALIZE_TIME,
        TM_DESERIALIZE_CPU,
        TM_RUN_TIME,
        TM_CPU_TIME,
        TM_RESULT_SIZE,
        TM_GC_TIME,
        TM_SERIALIZE_TIME,
        TM_MEMORY_SPILLED,
        TM_DISK_SPILLED,
        TM_PEAK_MEMORY,
        TM_INPUT_BYTES,
        TM_INPUT_RECORDS,
        TM_OUTPUT_BYTES,
        TM_OUTPUT_RECORDS,
        TM_READ_REMOTE_BLOCKS,
        TM_READ_LOCAL_BLOCKS,
        TM_READ_FETCH_WAIT,
        TM_READ_REMOTE_BYTES,
        TM_READ_REMOTE_TO_DISK,
        TM_READ_LOCAL_BYTES,
        TM_READ_RECORDS,
        TM_READ_REMOTE_REQS,
        TM_PUSH_CORRUPT,
        TM_PUSH_FALLBACK,
        TM_PUSH_REMOTE_BLOCKS,
        TM_PUSH_LOCAL_BLOCKS,
        TM_PUSH_REMOTE_CHUNKS,
        TM_PUSH_LOCAL_CHUNKS,
        TM_PUSH_REMOTE_BYTES,
        TM_PUSH_LOCAL_BYTES,
        TM_PUSH_REMOTE_REQS,
        TM_WRITE_BYTES,
        TM_WRITE_TIME,
        TM_WRITE_RECORDS,
        TM_COUNT
};

/* Peaks of executor metrics, in Spark's order; names in appmodel_peak_names. */
enum { AM_PEAKS = 23, AM_PEAKS_35 = 21 /* before 4.0 */, AM_PEAK_TOTAL_GC = 20 };
extern const char *const appmodel_peak_names[AM_PEAKS];

enum am_job_status { AM_JOB_RUNNING, AM_JOB_SUCCEEDED, AM_JOB_FAILED, AM_JOB_UNKNOWN };
enum am_stage_status { AM_STAGE_ACTIVE, AM_STAGE_COMPLETE, AM_STAGE_FAILED, AM_STAGE_PENDING, AM_STAGE_SKIPPED };
enum am_task_status { AM_TASK_RUNNING, AM_TASK_GET_RESULT, AM_TASK_FAILED, AM_TASK_KILLED, AM_TASK_SUCCESS, AM_TASK_STATES };
extern const char *const appmodel_job_status[];
extern const char *const appmodel_stage_status[];
extern const char *const appmodel_task_status[];

struct am_str {
        uint32_t off, len; /* off UINT32_MAX: absent */
};
struct am_range {
        uint32_t first, count; /* into one of the arrays */
};
struct am_pair {
        struct am_str key, value;
};
struct am_count {
        struct am_str key;
        int64_t count;
};

/* Parts of the environment, one am_range into `pairs` each, sorted by key. */
enum am_env { AM_ENV_SPARK, AM_ENV_HADOOP, AM_ENV_SYSTEM, AM_ENV_METRICS, AM_ENV_CLASSPATH, AM_ENV_PARTS };

enum am_flags {
        AM_HAS_APP = 1 << 0,       /* SparkListenerApplicationStart was seen */
        AM_ENDED = 1 << 1,         /* SparkListenerApplicationEnd was seen */
        AM_HAS_ENV = 1 << 2,
        AM_TRUNCATED = 1 << 3,     /* the log stops in the middle of a line or block */
        AM_CUT_BLOCK = 1 << 5,     /* truncated within an lzf or snappy block */
        AM_STOPPED_EARLY = 1 << 4, /* a malformed line ended the replay; see `problem` */
};

struct am_app {
        uint32_t flags;
        uint32_t pad;
        struct am_str id, name, attempt_id, user, spark_version, problem;
        struct am_str java_version, java_home, scala_version;
        int64_t start_ms, end_ms;
        struct am_range env[AM_ENV_PARTS];
        uint64_t lines, bytes; /* text read */
};

struct am_job {
        int32_t id;
        uint32_t status;
        struct am_str name, description, group;
        int64_t submission_ms, completion_ms, sql_id; /* sql_id -1: none */
        struct am_range stage_ids, skipped_stage_ids; /* ints */
        struct am_range tags;                         /* strings */
        struct am_range killed;                       /* counts */
        int32_t num_tasks, active_tasks, completed_tasks, skipped_tasks, failed_tasks, killed_tasks, completed_indices;
        int32_t active_stages, completed_stages, skipped_stages, failed_stages;
        int32_t pad;
};

struct am_accumulable {
        int64_t id;
        struct am_str name, update, value;
};

/* Packed rows: `offset` from the start of the image. */
struct am_segment {
        uint64_t offset;
        uint32_t len, count, checksum, pad;
};

struct am_stage {
        int32_t id, attempt;
        uint32_t status;
        int32_t num_tasks, active_tasks, completed_tasks, failed_tasks, killed_tasks, completed_indices;
        int32_t resource_profile, mergers;
        uint8_t push_enabled, peaks_set, has_speculation, pad8;
        int64_t submission_ms, first_launch_ms, completion_ms;
        struct am_str failure, name, description, details, pool;
        int64_t metrics[TM_COUNT];
        int64_t peaks[AM_PEAKS];
        int32_t speculation[5]; /* tasks, active, completed, failed, killed */
        int32_t pad;
        struct am_range rdd_ids, job_ids; /* ints */
        struct am_range parents;          /* ints: ids of parent stages */
        struct am_range accumulables;
        struct am_range killed;                /* counts */
        struct am_range tasks, executors;      /* segments */
        uint32_t stored_tasks, stored_executors; /* rows in all segments */
};

struct am_resource {
        struct am_str name;
        struct am_range addresses; /* strings */
        struct am_str resource_name;
};

struct am_executor {
        struct am_str id, host_port, host, remove_reason;
        uint8_t active, excluded, has_memory, peaks_set;
        int32_t rdd_blocks, total_cores, max_tasks, active_tasks, failed_tasks, completed_tasks, total_tasks, resource_profile;
        int32_t pad;
        int64_t memory_used, disk_used, total_duration, total_gc, total_input, total_shuffle_read, total_shuffle_write, max_memory;
        int64_t used_on_heap, used_off_heap, total_on_heap, total_off_heap;
        int64_t add_ms, remove_ms;
        struct am_range logs, attributes; /* pairs */
        struct am_range resources;
        struct am_range excluded_in; /* ints, ascending */
        int64_t peaks[AM_PEAKS];
};

struct am_rdd_distribution {
        struct am_str address;
        int64_t memory_used, memory_remaining, disk_used;
        int64_t on_heap_used, off_heap_used, on_heap_remaining, off_heap_remaining; /* AM_NONE: unknown */
};
struct am_rdd_partition {
        struct am_str block, level;
        int64_t memory_used, disk_used;
        struct am_range executors; /* strings */
};
struct am_rdd {
        int32_t id, num_partitions;
        struct am_str name, level;
        int64_t memory_used, disk_used;
        struct am_range distributions, partitions;
};

struct am_resource_request {
        struct am_str key, name, script, vendor;
        double amount;
};
struct am_resource_profile {
        int32_t id, pad;
        struct am_range executor, task; /* resource requests */
};

struct am_process {
        struct am_str id, host_port;
        int32_t cores;
        uint32_t active;
        int64_t add_ms;
        struct am_range logs; /* pairs */
};

struct am_sql_metric {
        struct am_str name, type;
        int64_t accumulator;
};
struct am_sql_node {
        int64_t id;
        int64_t cluster; /* id of the enclosing WholeStageCodegen node, -1: none */
        uint32_t is_cluster, pad;
        struct am_str name, desc;
        struct am_range metrics;
};
struct am_sql_edge {
        int64_t from, to;
};
struct am_sql_value {
        int64_t accumulator;
        struct am_str text;
};
struct am_sql_job {
        int32_t id;
        uint32_t status;
};
struct am_sql {
        int64_t id, root_id;
        struct am_str description, details, plan, error; /* error: absent, or "" for success since 3.4 */
        int64_t submission_ms, completion_ms;
        uint32_t has_graph, has_values;
        struct am_range nodes; /* in Spark's allNodes order: a cluster follows its nodes */
        struct am_range edges;
        struct am_range values; /* ascending by accumulator; the metrics as text */
        struct am_range jobs;   /* in the order Spark lists them */
        struct am_range stages; /* ints */
};

struct appmodel {
        const char *image;
        size_t size;
        const struct am_app *app;
        const struct am_job *jobs; /* ascending by id */
        const struct am_stage *stages; /* ascending by (id, attempt) */
        const struct am_executor *executors; /* ascending by id as bytes */
        const struct am_rdd *rdds; /* ascending by id */
        const struct am_rdd_distribution *rdd_distributions;
        const struct am_rdd_partition *rdd_partitions;
        const struct am_resource_profile *profiles; /* ascending by id */
        const struct am_resource_request *requests;
        const struct am_process *processes; /* ascending by id as bytes */
        const struct am_sql *sqls; /* ascending by id */
        const struct am_sql_node *sql_nodes;
        const struct am_sql_edge *sql_edges;
        const struct am_sql_metric *sql_metrics;
        const struct am_sql_value *sql_values;
        const struct am_sql_job *sql_jobs;
        const struct am_accumulable *accumulables;
        const struct am_segment *segments;
        const struct am_resource *resources;
        const struct am_pair *pairs;
        const struct am_count *counts;
        const struct am_str *strings;
        const int32_t *ints;
        const char *heap;
        uint32_t num_jobs, num_stages, num_executors, num_rdds, num_rdd_distributions, num_rdd_partitions, num_profiles, num_requests,
                num_processes, num_sqls, num_sql_nodes, num_sql_edges, num_sql_metrics, num_sql_values, num_sql_jobs, num_accumulables,
                num_segments, num_resources, num_pairs, num_counts, num_strings, num_ints;
        uint64_t heap_size;
};

/* The fingerprint says which log an image was made from; what it contains is the caller's business. */
enum { AM_FINGERPRINT = 32 };

/* -EBADMSG when it is no image, of another version, damaged, or made from something else (fingerprint NULL: any). */
MUST_USE int appmodel_open(struct appmodel *m, const void *image, size_t size, const uint8_t fingerprint[AM_FINGERPRINT], struct err *err);

/* An absent string is SV_NULL (data NULL). */
static inline struct sv am_sv(const struct appmodel *m, struct am_str s) {
        if (s.off == UINT32_MAX || (uint64_t)s.off + s.len > m->heap_size)
                return SV_NULL;
        return sv_new(m->heap + s.off, s.len);
}

const struct am_job *appmodel_job(const struct appmodel *m, int64_t id);
/* The first attempt's row of a stage, or -1; attempts follow one another. */
int64_t appmodel_stage_row(const struct appmodel *m, int64_t id);
const struct am_stage *appmodel_stage(const struct appmodel *m, int64_t id, int64_t attempt);
const struct am_executor *appmodel_executor(const struct appmodel *m, struct sv id);
const struct am_sql *appmodel_sql(const struct appmodel *m, int64_t id);
const struct am_rdd *appmodel_rdd(const struct appmodel *m, int64_t id);

/* One task as Spark's store has it. */
struct am_task {
        int64_t id, launch_ms, fetch_start_ms, duration_ms; /* fetch start 0: none; duration AM_NONE: still running */
        int32_t index, attempt, partition;
        enum am_task_status status;
        bool speculative, has_metrics;
        struct am_str executor, host, locality, error;
        int64_t metrics[TM_COUNT]; /* as reported, whatever the status */
        struct sv accumulables;    /* packed; see appmodel_task_accumulables() */
        uint32_t num_accumulables;
        struct am_place {
                uint32_t segment, at;
        } place; /* of the row, for appmodel_task_at() */
};

struct am_stage_executor {
        struct am_str executor;
        int64_t task_ms;
        int32_t failed, succeeded, killed;
        bool excluded, peaks_set;
        int64_t metrics[TM_COUNT];
        int64_t peaks[AM_PEAKS];
};

/* Calls fn for every stored row, in the order they ended; a non-zero answer stops and is returned. -EBADMSG: damaged. */
MUST_USE int appmodel_tasks(const struct appmodel *m, const struct am_stage *stage, int (*fn)(void *arg, const struct am_task *task),
                            void *arg, struct err *err);
/* The row that lies where appmodel_tasks() has met one. */
MUST_USE int appmodel_task_at(const struct appmodel *m, struct am_place place, struct am_task *ret, struct err *err);
MUST_USE int appmodel_stage_executors(const struct appmodel *m, const struct am_stage *stage,
                                      int (*fn)(void *arg, const struct am_stage_executor *row), void *arg, struct err *err);
/* The accumulables of a task, one a call; false at the end. `rest` starts as task->accumulables. */
bool appmodel_task_accumulables(struct sv *rest, struct am_accumulable *ret);

/* Derived values, by Spark's rules. */
int64_t am_getting_result_ms(int64_t launch_ms, int64_t fetch_start_ms, int64_t duration_ms, int64_t now_ms);
int64_t am_scheduler_delay_ms(const struct am_task *task, int64_t duration_ms, int64_t now_ms);

#endif
