/* The live state of a replay, shared by the files of the reducer:
 *   eventlog.c          lines, dispatch, finishing
 *   eventlog_app.c      application, environment, executors, exclusion
 *   eventlog_jobs.c     jobs and stages
 *   eventlog_tasks.c    tasks
 *   eventlog_storage.c  cached RDDs
 *   eventlog_sql.c      SQL executions and their metrics; eventlog_plan.c their plan graphs
 *
 * "Storing" an entity means what writing to its key-value store means to Spark's listeners: the entity as it is then
 * becomes what the REST API shows. Live entities are stored when they end and once more when the replay does.
 */
#ifndef FIRESTEEL_SPARK_EVENTLOG_INTERNAL_H
#define FIRESTEEL_SPARK_EVENTLOG_INTERNAL_H

#include "spark/appmodel-internal.h"
#include "spark/appmodel_write.h"
#include "spark/eventlog.h"
#include "spark/eventscan.h"
#include "spark/idmap.h"

struct job {
        struct am_job out;
        struct am_job stored;
        bool live, is_stored;
        struct intset stage_ids, completed_stages, skipped_stages;
        struct idset completed_indices; /* stage id << 32 | index */
        VEC(struct am_count) killed;
};

struct stage_info {
        int32_t id, attempt, num_tasks, resource_profile, mergers;
        bool push_enabled;
        int64_t submission_ms, completion_ms;
        struct am_str name, details, failure;
        VEC(int32_t) rdd_ids;
        VEC(int32_t) parents;
        VEC(struct am_accumulable) accumulables;
};

/* An executor's share of a live stage. */
struct stage_executor {
        struct am_stage_executor out;
        bool exists; /* has a summary; otherwise only `active` counts */
        int32_t active;
};

struct stage {
        struct slot *slot;
        struct stage_info info;
        VEC(struct job *) jobs;
        struct intset job_ids;
        enum am_stage_status status;
        struct am_str description, pool;
        int32_t active, completed, failed, killed;
        struct idset completed_indices;
        VEC(struct am_count) killed_summary;
        int64_t first_launch_ms;
        int64_t metrics[TM_COUNT];
        int64_t peaks[AM_PEAKS];
        bool peaks_set;
        struct idmap executors;              /* interned id -> struct stage_executor */
        VEC(struct stage_executor *) in_order; /* the same, as they came */
        VEC(struct am_str) excluded;
        int64_t saved_tasks;
};

struct row_mark {
        int64_t completion_ms, id;
        uint32_t end; /* of the row within `rows` */
};

/* What is kept of one attempt of a stage, live or not. */
struct slot {
        int32_t id, attempt;
        struct stage *live;
        bool is_stored, has_base;
        struct am_stage stored;
        bool has_speculation;
        int32_t speculation[5];
        VEC(struct am_segment) tasks;
        VEC(struct am_segment) executors;
        struct str rows; /* packed tasks not yet handed to the sink */
        struct am_row_base base;
        uint32_t num_rows;
        VEC(struct row_mark) marks; /* one a row: what eviction goes by */
};

struct live_task {
        struct slot *slot;
        struct am_task t;
        bool has_old;
        int64_t *old; /* TM_COUNT metrics reported by a heartbeat, or NULL */
};

/* The start or end of a task as its line has it. */
struct task_event {
        int32_t stage, attempt;
        struct am_task t;
        struct sv executor, host, locality;
        int64_t getting_result_ms, finish_ms;
        bool failed, killed;
        int64_t peaks[AM_PEAKS];
        int64_t push_35[TM_PUSH_REMOTE_REQS - TM_PUSH_CORRUPT + 1];
        size_t first_accumulable, num_accumulables; /* within the scan's */
        /* Task End Reason */
        struct sv reason, class_name, description, full_stack_trace, stack_trace, kill_reason, block_manager, message, lost_executor,
                loss_reason;
        int64_t shuffle_id, map_id, map_index, reduce_id, job_id, partition_id, attempt_number;
        bool exit_caused_by_app;
};

struct executor {
        struct am_executor out;
        bool live, is_stored;
        struct am_executor stored;
        struct intset excluded_in;
};

struct rdd_partition {
        struct am_str block;
        int64_t memory_used, disk_used;
        VEC(struct am_str) executors;
};
struct rdd_distribution {
        struct executor *executor;
        struct am_str executor_id;
        int64_t memory_used, disk_used, on_heap_used, off_heap_used;
        bool is_fresh; /* `out` is what Spark would show until the next change */
        struct am_rdd_distribution out;
};
struct rdd {
        int32_t id, num_partitions;
        struct am_str name;
        bool use_disk, use_memory, off_heap, deserialized;
        int32_t replication;
        int64_t memory_used, disk_used;
        VEC(struct rdd_partition *) partitions; /* in the order they came */
        struct idmap by_block;                  /* the same by block name */
        VEC(struct rdd_distribution *) distributions;
        size_t table_size; /* of the hash map that gives distributions their order */
};

enum sql_metric_type { SQL_SUM = 1, SQL_SIZE, SQL_TIMING, SQL_NS_TIMING, SQL_AVERAGE, SQL_CUSTOM, SQL_UNKNOWN };

struct plan_metric {
        char *name, *type;
        int64_t accumulator;
};
struct plan_node {
        int64_t id, cluster;
        bool is_cluster;
        char *name, *desc;
        VEC(struct plan_metric) metrics;
};
struct plan_graph {
        VEC(struct plan_node) nodes; /* allNodes order */
        VEC(struct am_sql_edge) edges;
};

struct sql_column {
        int64_t id;
        enum sql_metric_type type;
        int64_t *values; /* by task index; past `len` all 0 */
        size_t len, cap;
        int64_t max_value, max_task;
        bool has_max;
};
struct sql_stage {
        int32_t id, attempt, num_tasks;
        struct sql *execution;
        struct idmap columns;
        struct idset completed;
};
struct sql_driver_update {
        int64_t id, value;
};
struct sql {
        int64_t id, root_id;
        bool live, is_stored, has_graph, has_values, has_end;
        char *description, *details, *plan, *error;
        int64_t submission_ms, completion_ms;
        int64_t end_events;
        struct plan_graph graph;
        struct idmap types; /* accumulator -> enum sql_metric_type as a pointer */
        VEC(struct am_sql_job) jobs; /* in the order they came */
        VEC(int32_t) stages;         /* the same */
        struct intset stage_set;
        VEC(struct sql_driver_update) driver;
        VEC(struct am_sql_value) values;
};

struct eventlog {
        struct eventlog_options o;
        struct am_writer w;
        struct scan scan;
        struct am_app app;
        struct str carry; /* the beginning of a line whose end has not come */
        bool stopped, bad_line;
        struct am_str bad_line_why;
        int32_t default_cpus;

        struct idmap jobs;            /* id -> struct job */
        VEC(struct job *) job_list;
        VEC(struct job *) live_jobs;
        uint64_t stored_jobs;
        struct idmap slots;           /* id << 32 | attempt -> struct slot */
        VEC(struct slot *) slot_list;
        VEC(struct stage *) live_stages;
        uint64_t stored_stages;
        struct idmap tasks;           /* id -> struct live_task */
        struct live_task *spare_task;
        struct idmap executors;       /* interned id -> struct executor, live ones */
        struct idmap stored_executors; /* the same, stored ones */
        VEC(struct executor *) executor_list;
        VEC(struct executor *) dead_executors;
        int64_t active_executors;
        uint64_t num_stored_executors;
        struct idmap profiles; /* id -> index + 1 into w.profiles */
        struct idmap processes;
        struct idmap rdds;
        struct idmap sqls;
        VEC(struct sql *) sql_list;
        VEC(struct sql *) live_sqls;
        uint64_t stored_sqls;
        struct idmap sql_stages; /* stage id -> struct sql_stage */
};

static inline uint64_t str_key(struct am_str s) { return (uint64_t)s.off << 32 | s.len; }
static inline struct am_str intern(struct eventlog *e, struct sv text) { return am_intern(&e->w, text); }
/* A member of a JSON object as an interned string; absent or null gives AM_ABSENT. */
struct am_str intern_member(struct eventlog *e, yyjson_val *object, const char *key);
/* Sorted by key; of equal keys the last counts. */
struct am_range write_pairs(struct eventlog *e, yyjson_val *object);
struct am_range write_ints(struct eventlog *e, const int32_t *items, size_t count);
void count_up(struct am_count **items, size_t *len, size_t *cap, struct am_str key);
/* max(0, value + delta), as AppStatusListener.addDeltaToValue. */
static inline int64_t add_delta(int64_t value, int64_t delta) {
        int64_t sum = (int64_t)((uint64_t)value + (uint64_t)delta);
        return sum > 0 ? sum : 0;
}
/* Raises peaks; true when one rose. */
bool raise_peaks(int64_t *peaks, bool *set, const int64_t *now);
void peaks_of(yyjson_val *object, int64_t ret[AM_PEAKS]);
/* How many to remove when more than `limit` are kept: a tenth at least. */
int64_t surplus(int64_t count, int64_t limit);

/* eventlog_app.c */
void on_log_start(struct eventlog *e, yyjson_val *v);
void on_application_start(struct eventlog *e, yyjson_val *v);
void on_application_end(struct eventlog *e, yyjson_val *v);
void on_environment(struct eventlog *e, yyjson_val *v);
void on_resource_profile(struct eventlog *e, yyjson_val *v);
void on_executor_added(struct eventlog *e, yyjson_val *v);
void on_executor_removed(struct eventlog *e, yyjson_val *v);
void on_block_manager_added(struct eventlog *e, yyjson_val *v);
void on_executor_excluded(struct eventlog *e, yyjson_val *v);
void on_executor_unexcluded(struct eventlog *e, yyjson_val *v);
void on_executor_excluded_for_stage(struct eventlog *e, yyjson_val *v);
void on_node_excluded(struct eventlog *e, yyjson_val *v);
void on_node_unexcluded(struct eventlog *e, yyjson_val *v);
void on_node_excluded_for_stage(struct eventlog *e, yyjson_val *v);
void on_process_added(struct eventlog *e, yyjson_val *v);
void on_stage_executor_metrics(struct eventlog *e, yyjson_val *v);
struct executor *live_executor(struct eventlog *e, struct am_str id);
bool executor_is_needed(struct eventlog *e, const struct executor *x);
void executor_store(struct eventlog *e, struct executor *x, bool last);
void executors_finish(struct eventlog *e);

/* eventlog_jobs.c */
void on_job_start(struct eventlog *e, yyjson_val *v);
void on_job_end(struct eventlog *e, yyjson_val *v);
void on_stage_submitted(struct eventlog *e, yyjson_val *v);
void on_stage_completed(struct eventlog *e, yyjson_val *v);
struct stage *live_stage(struct eventlog *e, int32_t id, int32_t attempt);
struct slot *slot_of(struct eventlog *e, int32_t id, int32_t attempt);
struct stage_executor *stage_executor_of(struct stage *s, struct am_str executor);
void stage_store(struct eventlog *e, struct stage *s, bool last);
void stage_retire(struct eventlog *e, struct stage *s);
void job_store(struct eventlog *e, struct job *j, bool last);
void jobs_finish(struct eventlog *e);
void jobs_free(struct eventlog *e);

/* eventlog_tasks.c */
/* Reading is apart from acting: it needs no state, so that several threads may do it. The event is in the scan's arena. */
MUST_USE int task_event_read(struct scan *s, struct sv line, struct task_event **ret, struct err *err);
void on_task_start(struct eventlog *e, struct task_event *ev);
/* `updates`: the event's accumulables. */
void on_task_end(struct eventlog *e, struct task_event *ev, const struct scan_accumulable *updates);
void on_executor_metrics_update(struct eventlog *e, yyjson_val *v);
void slot_flush_rows(struct eventlog *e, struct slot *slot);
void tasks_finish(struct eventlog *e);

/* eventlog_storage.c */
void on_block_updated(struct eventlog *e, yyjson_val *v);
void on_unpersist(struct eventlog *e, yyjson_val *v);
void storage_stage_submitted(struct eventlog *e, yyjson_val *rdd_infos);
void storage_executor_removed(struct eventlog *e, struct executor *x);
void storage_finish(struct eventlog *e);
void storage_free(struct eventlog *e);

/* eventlog_sql.c */
void on_sql_start(struct eventlog *e, yyjson_val *v);
void on_sql_adaptive_update(struct eventlog *e, yyjson_val *v);
void on_sql_adaptive_metrics(struct eventlog *e, yyjson_val *v);
void on_sql_end(struct eventlog *e, yyjson_val *v);
void on_sql_driver_updates(struct eventlog *e, yyjson_val *v);
void sql_job_start(struct eventlog *e, int64_t execution, int32_t job, yyjson_val *stage_infos, const int32_t *ids, size_t count);
void sql_job_end(struct eventlog *e, int32_t job, bool succeeded);
void sql_stage_submitted(struct eventlog *e, int32_t stage, int32_t attempt);
void sql_task_update(struct eventlog *e, int32_t stage, int32_t attempt, int64_t task, int32_t index, bool finished,
                     const struct scan_accumulable *updates, size_t count);
void sqls_finish(struct eventlog *e);
void sqls_free(struct eventlog *e);
/* eventlog_plan.c */
void plan_build(struct plan_graph *g, yyjson_val *plan, bool as_35);
void plan_done(struct plan_graph *g);
/* eventlog_sqlvalue.c: SQLMetrics' text of a metric. `values` may be reordered. */
struct sql_aggregate {
        enum sql_metric_type type;
        int64_t *values;
        size_t count;
        bool has_max;
        int64_t max_stage, max_attempt, max_task;
};
bool sql_value_text(const struct sql_aggregate *a, struct str *ret);
/* The order in which Scala's immutable sets and maps of Int iterate: as added up to four, by hash beyond. */
void scala_int_order(int32_t *items, size_t count);

#endif
