/* The History Server's settings, by Spark's names: from a properties file (spark-defaults.conf), SPARK_HISTORY_OPTS and --conf.
 * A const table says of every key whether it counts here, is accepted but means nothing, or is not supported, and why;
 * what the user should know ends up in `notes`. */
#ifndef FIRESTEEL_HISTORY_CONF_H
#define FIRESTEEL_HISTORY_CONF_H

#include "base/map.h"
#include "base/vec.h"
#include "spark/eventlog.h"

struct history_conf {
        char *log_dir, *readers, *htpasswd, *store_path, *title, *executor_log_url, *redaction, *proxy_base;
        char *admin_acls, *admin_groups;
        char *allow_framing_from, *xss_protection, *hsts;
        char *tls_cert, *tls_key;
        int64_t update_interval_ms, clean_interval_ms, max_age_ms;
        int64_t batch_size, end_chunk, max_log_num, max_disk, port, tls_port, retained_applications, max_applications;
        int64_t retained_tasks, retained_jobs, retained_stages, retained_dead_executors, retained_executions;
        bool cleaner, fast_in_progress, acls, executor_log_url_incomplete, on_demand, content_type_options, tls, is_api_35;
        struct map hadoop;  /* spark.hadoop.*, without the prefix */
        struct strv notes;  /* keys that do not do what they do in Spark */
};

void history_conf_init(struct history_conf *c);
void history_conf_done(struct history_conf *c);
DEFINE_AUTO_VALUE(history_conf, struct history_conf, history_conf_done)
/* -EINVAL with Spark's words on a malformed value. */
MUST_USE int history_conf_set(struct history_conf *c, const char *key, const char *value, struct err *err);
/* "-Dspark.history.ui.port=1 -Dx='a b'": what SPARK_HISTORY_OPTS (`variable`) holds. JVM options are noted. */
MUST_USE int history_conf_set_opts(struct history_conf *c, const char *variable, const char *opts, struct err *err);
/* A spark-defaults.conf. */
MUST_USE int history_conf_read(struct history_conf *c, const char *path, struct err *err);
/* What is hidden in an environment; the default is that of the version answered as. */
const char *history_conf_redaction(const struct history_conf *c);
struct eventlog_options history_conf_retention(const struct history_conf *c);

#endif
