#include "history/conf.h"

#include "base/fs.h"
#include "spark/conf.h"
#include "spark/properties.h"

enum kind { KIND_TEXT, KIND_BOOL, KIND_INT, KIND_TIME_S, KIND_BYTES, KIND_API, KIND_NOTE, KIND_QUIET };

#define AT(member) offsetof(struct history_conf, member)

static const struct entry {
        const char *key;
        enum kind kind;
        size_t offset;
        const char *otherwise; /* the default, or for KIND_NOTE why it means nothing */
} entries[] = {
        {"spark.history.fs.logDirectory", KIND_TEXT, AT(log_dir), "file:/tmp/spark-events"},
        {"spark.firesteel.history.htpasswd", KIND_TEXT, AT(htpasswd), NULL},
        {"spark.firesteel.history.readers", KIND_TEXT, AT(readers), NULL},
        {"spark.history.fs.update.interval", KIND_TIME_S, AT(update_interval_ms), "10s"},
        {"spark.history.fs.update.batchSize", KIND_INT, AT(batch_size), "2147483647"},
        {"spark.history.fs.inProgressOptimization.enabled", KIND_BOOL, AT(fast_in_progress), "true"},
        {"spark.history.fs.endEventReparseChunkSize", KIND_BYTES, AT(end_chunk), "1m"},
        {"spark.history.fs.cleaner.enabled", KIND_BOOL, AT(cleaner), "false"},
        {"spark.history.fs.cleaner.interval", KIND_TIME_S, AT(clean_interval_ms), "1d"},
        {"spark.history.fs.cleaner.maxAge", KIND_TIME_S, AT(max_age_ms), "7d"},
        {"spark.history.fs.cleaner.maxNum", KIND_INT, AT(max_log_num), "2147483647"},
        {"spark.history.fs.eventLog.rolling.onDemandLoadEnabled", KIND_BOOL, AT(on_demand), "true"},
        {"spark.history.retainedApplications", KIND_INT, AT(retained_applications), "50"},
        {"spark.history.store.path", KIND_TEXT, AT(store_path), NULL},
        {"spark.history.store.maxDiskUsage", KIND_BYTES, AT(max_disk), "10g"},
        {"spark.history.ui.port", KIND_INT, AT(port), "18080"},
        {"spark.history.ui.title", KIND_TEXT, AT(title), "History Server"},
        {"spark.history.ui.maxApplications", KIND_INT, AT(max_applications), "2147483647"},
        {"spark.history.ui.acls.enable", KIND_BOOL, AT(acls), "false"},
        {"spark.history.ui.admin.acls", KIND_TEXT, AT(admin_acls), NULL},
        {"spark.history.ui.admin.acls.groups", KIND_TEXT, AT(admin_groups), NULL},
        {"spark.history.custom.executor.log.url", KIND_TEXT, AT(executor_log_url), NULL},
        {"spark.history.custom.executor.log.url.applyIncompleteApplication", KIND_BOOL, AT(executor_log_url_incomplete), "true"},
        {"spark.ui.proxyBase", KIND_TEXT, AT(proxy_base), NULL},
        {"spark.redaction.regex", KIND_TEXT, AT(redaction), NULL},
        {"spark.firesteel.history.apiVersion", KIND_API, AT(is_api_35), "4.1"},
        {"spark.ui.retainedTasks", KIND_INT, AT(retained_tasks), "100000"},
        {"spark.ui.retainedJobs", KIND_INT, AT(retained_jobs), "1000"},
        {"spark.ui.retainedStages", KIND_INT, AT(retained_stages), "1000"},
        {"spark.ui.retainedDeadExecutors", KIND_INT, AT(retained_dead_executors), "100"},
        {"spark.sql.ui.retainedExecutions", KIND_INT, AT(retained_executions), "1000"},
        {"spark.ui.allowFramingFrom", KIND_TEXT, AT(allow_framing_from), NULL},
        {"spark.ui.xXssProtection", KIND_TEXT, AT(xss_protection), "1; mode=block"},
        {"spark.ui.xContentTypeOptions.enabled", KIND_BOOL, AT(content_type_options), "true"},
        {"spark.ui.strictTransportSecurity", KIND_TEXT, AT(hsts), NULL},
        {"spark.ssl.historyServer.enabled", KIND_BOOL, AT(tls), "false"},
        {"spark.ssl.historyServer.port", KIND_INT, AT(tls_port), "0"},
        {"spark.ssl.historyServer.certChain", KIND_TEXT, AT(tls_cert), NULL},
        {"spark.ssl.historyServer.privateKey", KIND_TEXT, AT(tls_key), NULL},
        /* Accepted, and there is nothing to say about them. */
        {"spark.history.provider", KIND_NOTE, 0, "only the file system provider is built in"},
        {"spark.history.store.serializer", KIND_QUIET, 0, NULL},
        {"spark.history.store.hybridStore.enabled", KIND_QUIET, 0, NULL},
        {"spark.history.store.hybridStore.maxMemoryUsage", KIND_QUIET, 0, NULL},
        {"spark.history.store.hybridStore.diskBackend", KIND_QUIET, 0, NULL},
        {"spark.history.fs.numReplayThreads", KIND_QUIET, 0, NULL},
        {"spark.history.fs.numCompactThreads", KIND_QUIET, 0, NULL},
        {"spark.history.fs.safemodeCheck.interval", KIND_NOTE, 0, "there is no HDFS here"},
        {"spark.history.fs.eventLog.rolling.maxFilesToRetain", KIND_NOTE, 0,
         "logs are not compacted: reading long ones is fast enough, and compaction loses detail"},
        {"spark.history.fs.eventLog.rolling.compaction.score.threshold", KIND_QUIET, 0, NULL},
        {"spark.history.fs.driverlog.cleaner.enabled", KIND_NOTE, 0, "driver logs are not cleaned"},
        {"spark.history.fs.driverlog.cleaner.interval", KIND_QUIET, 0, NULL},
        {"spark.history.fs.driverlog.cleaner.maxAge", KIND_QUIET, 0, NULL},
        {"spark.history.kerberos.enabled", KIND_NOTE, 0, "there is no Kerberos here"},
        {"spark.history.kerberos.principal", KIND_QUIET, 0, NULL},
        {"spark.history.kerberos.keytab", KIND_QUIET, 0, NULL},
        {"spark.ui.filters", KIND_NOTE, 0, "servlet filters are Java; put an authenticating proxy in front and use --user-header"},
        {"spark.user.groups.mapping", KIND_NOTE, 0, "groups come from --group-header"},
        {"spark.ssl.historyServer.keyStore", KIND_NOTE, 0,
         "Java key stores are not read; give PEM files with spark.ssl.historyServer.certChain and .privateKey"},
};

void history_conf_init(struct history_conf *c) {
        *c = (struct history_conf){.hadoop = MAP_INIT(free)};
        for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
                AUTO(err) struct err err = ERR_INIT;
                if (entries[i].kind < KIND_NOTE && entries[i].otherwise &&
                    history_conf_set(c, entries[i].key, entries[i].otherwise, &err) < 0)
                        abort(); /* a default of ours that is malformed */
        }
}

void history_conf_done(struct history_conf *c) {
        for (size_t i = 0; i < ARRAY_LEN(entries); i++)
                if (entries[i].kind == KIND_TEXT)
                        free(*(char **)((char *)c + entries[i].offset));
        map_done(&c->hadoop);
        strv_done(&c->notes);
}

static int set_value(struct history_conf *c, const struct entry *e, const char *value, struct err *err) {
        char *at = (char *)c + e->offset;
        int64_t n;
        int r;
        switch (e->kind) {
        case KIND_TEXT:
                free(*(char **)at);
                *(char **)at = *value || e->otherwise ? xstrdup(value) : NULL;
                return 0;
        case KIND_BOOL:
                if (!sv_ieq(sv_trim(sv_of(value)), SV("true")) && !sv_ieq(sv_trim(sv_of(value)), SV("false")))
                        return err_set(err, -EINVAL, "%s should be boolean, but was %s", e->key, value);
                *(bool *)at = sv_ieq(sv_trim(sv_of(value)), SV("true"));
                return 0;
        case KIND_INT:
                if (!sv_to_int64(sv_trim(sv_of(value)), &n) || n < INT32_MIN || n > INT32_MAX)
                        return err_set(err, -EINVAL, "%s should be int, but was %s", e->key, value);
                *(int64_t *)at = n;
                return 0;
        case KIND_TIME_S:
                r = spark_parse_time(value, SPARK_UNIT_SECONDS, &n, err);
                if (r < 0)
                        return err_wrap(err, r, "%s", e->key);
                *(int64_t *)at = n * 1000;
                return 0;
        case KIND_BYTES:
                r = spark_parse_bytes(value, SPARK_UNIT_BYTE, &n, err);
                if (r < 0)
                        return err_wrap(err, r, "%s", e->key);
                *(int64_t *)at = n;
                return 0;
        case KIND_API:
                if (!streq(value, "3.5") && !streq(value, "4.1"))
                        return err_set(err, -EINVAL, "%s is \"%s\"; known are 3.5 and 4.1", e->key, value);
                *(bool *)at = streq(value, "3.5");
                return 0;
        case KIND_NOTE:
                strv_addf(&c->notes, "%s has no effect: %s", e->key, e->otherwise);
                return 0;
        default:
                return 0;
        }
}

int history_conf_set(struct history_conf *c, const char *key, const char *value, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(entries); i++)
                if (streq(entries[i].key, key))
                        return set_value(c, &entries[i], value, err);
        if (str_starts(key, "spark.hadoop."))
                map_set(&c->hadoop, key + strlen("spark.hadoop."), xstrdup(value));
        else if (str_starts(key, "spark.history.") || str_starts(key, "spark.ssl.historyServer."))
                strv_addf(&c->notes, "%s is unknown", key);
        return 0; /* other keys of a shared spark-defaults.conf are for applications */
}

int history_conf_read(struct history_conf *c, const char *path, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        AUTO(map) struct map map = MAP_INIT(free);
        int r = fs_read(path, 16 << 20, &text, err);
        if (r >= 0)
                r = properties_parse(str_sv(&text), &map, err);
        if (r < 0)
                return err_wrap(err, r, "%s", path);
        map_foreach(e, &map) {
                if (!str_starts(e->key, "spark."))
                        continue;
                struct sv value = sv_trim(sv_of(e->value));
                AUTO(free) char *copy = sv_dup(value);
                r = history_conf_set(c, e->key, copy, err);
                if (r < 0)
                        return err_wrap(err, r, "%s", path);
        }
        return 0;
}

/* The next word of a shell-like line, quotes removed; false at the end. */
static bool next_word(const char **p, struct str *word) {
        str_clear(word);
        while (**p == ' ' || **p == '\t' || **p == '\n')
                ++*p;
        if (!**p)
                return false;
        for (char quote = 0; **p && (quote || (**p != ' ' && **p != '\t' && **p != '\n')); ++*p) {
                if (quote ? **p == quote : **p == '\'' || **p == '"')
                        quote = quote ? 0 : **p;
                else
                        str_append_c(word, **p);
        }
        return true;
}

int history_conf_set_opts(struct history_conf *c, const char *variable, const char *opts, struct err *err) {
        AUTO(str) struct str word = STR_INIT(0);
        while (next_word(&opts, &word)) {
                const char *text = str_cstr(&word), *eq = strchr(text, '=');
                if (!str_starts(text, "-D")) {
                        strv_addf(&c->notes, "%s: %s is for a JVM", variable, text);
                        continue;
                }
                if (!str_starts(text, "-Dspark."))
                        continue;
                AUTO(free) char *key = eq ? xstrndup(text + 2, (size_t)(eq - text - 2)) : xstrdup(text + 2);
                int r = history_conf_set(c, key, eq ? eq + 1 : "", err);
                if (r < 0)
                        return err_wrap(err, r, "%s", variable);
        }
        return 0;
}

const char *history_conf_redaction(const struct history_conf *c) {
        return c->redaction   ? c->redaction
               : c->is_api_35 ? "(?i)secret|password|token|access[.]?key"
                              : "(?i)secret|password|token|access[.]?key|credential";
}

struct eventlog_options history_conf_retention(const struct history_conf *c) {
        return (struct eventlog_options){.retained_tasks = c->retained_tasks,
                                         .retained_jobs = c->retained_jobs,
                                         .retained_stages = c->retained_stages,
                                         .retained_dead_executors = c->retained_dead_executors,
                                         .retained_executions = c->retained_executions,
                                         .as_35 = c->is_api_35};
}
