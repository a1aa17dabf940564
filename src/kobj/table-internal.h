/* Between table.c, which knows columns and kinds, and the files that write the cells. */
#ifndef FIRESTEEL_KOBJ_TABLE_INTERNAL_H
#define FIRESTEEL_KOBJ_TABLE_INTERNAL_H

#include "base/vec.h"
#include "kobj/meta.h"
#include "kobj/table.h"

struct table_column {
        const char *name, *type, *format, *description;
        int priority;
};

/* One row being written. */
struct table_row {
        yyjson_mut_doc *doc;
        yyjson_mut_val *cells;
        const char *condition; /* reason of the Completed condition, or NULL */
        int64_t now_ms;
};

typedef void table_print_fn(struct table_row *r, yyjson_val *object);

struct table_kind {
        const char *group, *kind;
        const struct table_column *columns;
        size_t len;
        table_print_fn *print;
        yyjson_val *crd_columns; /* additionalPrinterColumns of a custom resource */
        bool heap;
};

/* Cells. NULL strings are empty. */
void table_text(struct table_row *r, const char *text);
void table_textf(struct table_row *r, const char *fmt, ...) PRINTF(2, 3);
void table_int(struct table_row *r, int64_t value);
void table_bool(struct table_row *r, bool value);
void table_name(struct table_row *r, yyjson_val *object);
/* The string at the pointer, or `otherwise` when it is absent or empty. */
void table_text_at(struct table_row *r, yyjson_val *object, const char *pointer, const char *otherwise);
void table_int_at(struct table_row *r, yyjson_val *object, const char *pointer);
void table_size_at(struct table_row *r, yyjson_val *object, const char *pointer);
/* Time since the RFC 3339 time in human form; "<unknown>" when absent. */
void table_since(struct table_row *r, const char *time);
void table_age(struct table_row *r, yyjson_val *object);
char *table_since_text(int64_t now_ms, const char *time);
/* Names and images of the containers of the pod spec at the pointer: two cells. */
void table_containers(struct table_row *r, yyjson_val *object, const char *pod_spec_pointer);
/* A LabelSelector, and a plain map of labels, as text; "<none>" when empty. */
void table_selector_at(struct table_row *r, yyjson_val *object, const char *pointer);
void table_labels_at(struct table_row *r, yyjson_val *object, const char *pointer);

table_print_fn table_print_pod, table_print_pod_template, table_print_pod_disruption_budget, table_print_replication_controller,
        table_print_replica_set, table_print_daemon_set, table_print_job, table_print_cron_job, table_print_service, table_print_ingress,
        table_print_ingress_class, table_print_stateful_set, table_print_endpoint, table_print_node, table_print_event,
        table_print_namespace, table_print_secret, table_print_service_account, table_print_persistent_volume,
        table_print_persistent_volume_claim, table_print_deployment, table_print_horizontal_pod_autoscaler, table_print_config_map,
        table_print_network_policy, table_print_role_bindings, table_print_cluster_role_bindings, table_print_certificate_signing_request,
        table_print_lease, table_print_storage_class, table_print_status, table_print_controller_revision, table_print_resource_quota,
        table_print_priority_class, table_print_runtime_class, table_print_volume_attachment, table_print_endpoint_slice,
        table_print_csi_node, table_print_mutating_webhook, table_print_validating_webhook, table_print_validating_admission_policy,
        table_print_validating_admission_policy_binding, table_print_scale;

#endif
