/* Spark applications as the pods of a cluster show them: found by labels that Spark itself sets, so that every submitter's
 * applications are there, whoever started them.
 *
 * An application is what shares one spark-app-selector in one namespace: a driver pod (gone, perhaps, or outside the cluster) and
 * executor pods. Nothing here is stored anywhere else. */
#ifndef FIRESTEEL_SUBMIT_APP_H
#define FIRESTEEL_SUBMIT_APP_H

#include "kube/client.h"
#include "submit/podreason.h"

/* Selects all pods of all applications. */
#define APP_LABEL_SELECTOR "spark-app-selector"

struct app_pods {
        yyjson_val **items; /* borrowed from the list */
        size_t len, cap;
};

struct spark_app {
        const char *namespace_;
        const char *id;      /* spark-... */
        const char *name;    /* label spark-app-name, else the driver pod's name */
        const char *version; /* label spark-version, or NULL */
        yyjson_val *driver;  /* NULL: not a pod here any more */
        struct app_pods executors;
        const char *state;   /* Pending, Running, Succeeded, Failed, Terminating, Orphaned (executors without a driver), Unknown */
        struct pod_reason reason; /* of the driver */
        int running, pending, succeeded, failed; /* executors */
        int wanted_min, wanted_max; /* executors asked for, from the configuration; -1 = not known */
        int64_t created_ms, started_ms, finished_ms; /* of the driver; 0 = not */
        int64_t cpu_milli, memory_bytes;  /* requested by the pods that hold a place */
};

struct apps {
        struct spark_app *items;
        size_t len, cap;
        yyjson_doc *pods; /* owned: what the items point into */
        struct strv texts; /* owned as well */
};
void apps_done(struct apps *a);
DEFINE_AUTO_VALUE(apps, struct apps, apps_done)

/* Groups the pods of a List; takes the document. Order: newest first, then by namespace and name. */
void apps_collect(yyjson_doc *pods, struct apps *ret);
/* Lists and groups. namespace_ NULL = all namespaces. */
MUST_USE int apps_load(struct kube_client *c, const char *namespace_, struct apps *ret, struct err *err);

/* Does `pattern` name this application? It is compared with the driver pod's name, the application's id and its name; `*` and `?`
 * match as in a shell. "NAMESPACE:PATTERN" is split by the caller. */
bool app_matches(const struct spark_app *app, const char *pattern);
bool app_is_active(const struct spark_app *app); /* Pending, Running or Terminating */
const char *app_driver_name(const struct spark_app *app); /* NULL without a driver */

/* Reads how many executors were asked for from the driver's configuration (its ConfigMap); leaves -1 when it cannot. */
void app_load_wanted(struct kube_client *c, struct spark_app *app);

/* The application as a document, with its executors when asked. */
yyjson_mut_val *app_doc(const struct spark_app *app, bool with_executors, yyjson_mut_doc *doc);
/* 1476395008 -> "1.4Gi": memory as Kubernetes users write it. */
void memory_text(int64_t bytes, char ret[16]);
/* CPU and memory that a pod asks for. */
void pod_requests(yyjson_val *pod, int64_t *ret_cpu_milli, int64_t *ret_memory_bytes);

#endif
