/* Rows of what makes pods: deployments, jobs and their kin. */
#include "codec/ktime.h"
#include "kobj/selector.h"
#include "kobj/table-internal.h"

void table_print_pod_template(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_containers(r, o, "/template/spec");
        table_labels_at(r, o, "/template/metadata/labels");
}

void table_print_replication_controller(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_int_at(r, o, "/spec/replicas");
        table_int_at(r, o, "/status/replicas");
        table_int_at(r, o, "/status/readyReplicas");
        table_age(r, o);
        table_containers(r, o, "/spec/template/spec");
        table_labels_at(r, o, "/spec/selector");
}

void table_print_replica_set(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_int_at(r, o, "/spec/replicas");
        table_int_at(r, o, "/status/replicas");
        table_int_at(r, o, "/status/readyReplicas");
        table_age(r, o);
        table_containers(r, o, "/spec/template/spec");
        table_selector_at(r, o, "/spec/selector");
}

void table_print_daemon_set(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_int_at(r, o, "/status/desiredNumberScheduled");
        table_int_at(r, o, "/status/currentNumberScheduled");
        table_int_at(r, o, "/status/numberReady");
        table_int_at(r, o, "/status/updatedNumberScheduled");
        table_int_at(r, o, "/status/numberAvailable");
        table_labels_at(r, o, "/spec/template/spec/nodeSelector");
        table_age(r, o);
        table_containers(r, o, "/spec/template/spec");
        table_selector_at(r, o, "/spec/selector");
}

void table_print_stateful_set(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_textf(r, "%lld/%lld", (long long)json_int_at(o, "/status/readyReplicas", 0), (long long)json_int_at(o, "/spec/replicas", 0));
        table_age(r, o);
        table_containers(r, o, "/spec/template/spec");
}

void table_print_deployment(struct table_row *r, yyjson_val *o) {
        AUTO(selector) struct selector s = {0};
        int bad = selector_from_object(json_at(o, "/spec/selector"), &s, NULL);
        AUTO(free) char *text = bad < 0 ? xstrdup("<invalid>") : selector_format(&s);
        table_name(r, o);
        table_textf(r, "%lld/%lld", (long long)json_int_at(o, "/status/readyReplicas", 0), (long long)json_int_at(o, "/spec/replicas", 0));
        table_int_at(r, o, "/status/updatedReplicas");
        table_int_at(r, o, "/status/availableReplicas");
        table_age(r, o);
        table_containers(r, o, "/spec/template/spec");
        table_text(r, text);
}

static const char *job_status(yyjson_val *job) {
        static const struct {
                const char *condition, *text;
        } order[] = {
                {"Complete", "Complete"},
                {"Failed", "Failed"},
                {NULL, "Terminating"},
                {"Suspended", "Suspended"},
                {"FailureTarget", "FailureTarget"},
                {"SuccessCriteriaMet", "SuccessCriteriaMet"},
        };
        for (size_t i = 0; i < ARRAY_LEN(order); i++)
                if (order[i].condition ? meta_condition_is(job, order[i].condition, "True") : meta_is_deleting(job))
                        return order[i].text;
        return "Running";
}

static void print_job_duration(struct table_row *r, yyjson_val *job) {
        const char *start = json_str_at(job, "/status/startTime"), *end = json_str_at(job, "/status/completionTime");
        int64_t start_us, end_us = r->now_ms * 1000;
        char text[KTIME_SIZE];
        if (!start || !ktime_parse(sv_of(start), &start_us) || (end && !ktime_parse(sv_of(end), &end_us))) {
                table_text(r, "");
                return;
        }
        duration_human((end_us - start_us) / 1000, text);
        table_text(r, text);
}

void table_print_job(struct table_row *r, yyjson_val *o) {
        long long succeeded = json_int_at(o, "/status/succeeded", 0), parallelism = json_int_at(o, "/spec/parallelism", 0);
        table_name(r, o);
        table_text(r, job_status(o));
        if (json_at(o, "/spec/completions"))
                table_textf(r, "%lld/%lld", succeeded, (long long)json_int_at(o, "/spec/completions", 0));
        else if (parallelism > 1)
                table_textf(r, "%lld/1 of %lld", succeeded, parallelism);
        else
                table_textf(r, "%lld/1", succeeded);
        print_job_duration(r, o);
        table_age(r, o);
        table_containers(r, o, "/spec/template/spec");
        table_selector_at(r, o, "/spec/selector");
}

void table_print_cron_job(struct table_row *r, yyjson_val *o) {
        yyjson_val *suspend = json_at(o, "/spec/suspend");
        const char *last = json_str_at(o, "/status/lastScheduleTime");
        table_name(r, o);
        table_text_at(r, o, "/spec/schedule", "");
        table_text_at(r, o, "/spec/timeZone", "<none>");
        table_text(r, !suspend ? "<unset>" : yyjson_get_bool(suspend) ? "True" : "False");
        table_size_at(r, o, "/status/active");
        if (last)
                table_since(r, last);
        else
                table_text(r, "<none>");
        table_age(r, o);
        table_containers(r, o, "/spec/jobTemplate/spec/template/spec");
        if (json_at(o, "/spec/jobTemplate/spec/selector"))
                table_selector_at(r, o, "/spec/jobTemplate/spec/selector");
        else
                table_text(r, "<none>");
}

static void print_int_or_string(struct table_row *r, yyjson_val *v) {
        if (yyjson_is_str(v))
                table_text(r, yyjson_get_str(v));
        else if (yyjson_is_int(v))
                table_textf(r, "%lld", (long long)yyjson_get_sint(v));
        else
                table_text(r, "N/A");
}

void table_print_pod_disruption_budget(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        print_int_or_string(r, json_at(o, "/spec/minAvailable"));
        print_int_or_string(r, json_at(o, "/spec/maxUnavailable"));
        table_int_at(r, o, "/status/disruptionsAllowed");
        table_age(r, o);
}

/* ---- autoscalers ---- */

static const char *quantity_or(yyjson_val *v, const char *key, const char *otherwise) {
        const char *text = json_get_str(v, key);
        return text ? text : otherwise;
}

static void append_utilization(struct str *out, yyjson_val *v, const char *otherwise) {
        yyjson_val *n = yyjson_obj_get(v, "averageUtilization");
        if (n)
                str_appendf(out, "%lld%%", (long long)yyjson_get_sint(n));
        else
                str_append_s(out, otherwise);
}

/* One metric: `current/target`. */
static void append_metric(struct str *out, yyjson_val *spec, yyjson_val *status) {
        static const struct {
                const char *type, *field;
                bool resource;
        } types[] = {{"External", "external", false},
                     {"Pods", "pods", false},
                     {"Object", "object", false},
                     {"Resource", "resource", true},
                     {"ContainerResource", "containerResource", true}};
        const char *type = json_get_str(spec, "type");
        size_t i = 0;
        while (i < ARRAY_LEN(types) && !streq_null(type, types[i].type))
                i++;
        if (i == ARRAY_LEN(types)) {
                str_append_s(out, "<unknown type>");
                return;
        }
        yyjson_val *source = yyjson_obj_get(spec, types[i].field), *target = yyjson_obj_get(source, "target");
        yyjson_val *current = yyjson_obj_get(yyjson_obj_get(status, types[i].field), "current");
        const char *average = json_get_str(target, "averageValue");
        if (types[i].resource)
                str_appendf(out, "%s: ", quantity_or(source, "name", ""));
        if (types[i].resource && !average) {
                append_utilization(out, current, "<unknown>");
                str_append_c(out, '/');
                append_utilization(out, target, "<auto>");
                return;
        }
        str_appendf(out, "%s/%s", quantity_or(current, average ? "averageValue" : "value", "<unknown>"),
                    average ? average : quantity_or(target, "value", "0"));
        if (average && !types[i].resource && !streq(type, "Pods"))
                str_append_s(out, " (avg)");
}

static void print_metrics(struct table_row *r, yyjson_val *o) {
        yyjson_val *specs = json_at(o, "/spec/metrics"), *statuses = json_at(o, "/status/currentMetrics"), *spec;
        AUTO(str) struct str out = STR_INIT(0);
        size_t i, max, n = yyjson_arr_size(specs);
        yyjson_arr_foreach(specs, i, max, spec) {
                if (i < 2) {
                        str_append_s(&out, i ? ", " : "");
                        append_metric(&out, spec, yyjson_arr_get(statuses, i));
                }
        }
        if (n > 2)
                str_appendf(&out, " + %zu more...", n - 2);
        table_text(r, n ? str_cstr(&out) : "<none>");
}

void table_print_horizontal_pod_autoscaler(struct table_row *r, yyjson_val *o) {
        yyjson_val *min = json_at(o, "/spec/minReplicas");
        table_name(r, o);
        table_textf(r, "%s/%s", quantity_or(json_at(o, "/spec/scaleTargetRef"), "kind", ""),
                    quantity_or(json_at(o, "/spec/scaleTargetRef"), "name", ""));
        print_metrics(r, o);
        if (min)
                table_textf(r, "%lld", (long long)yyjson_get_sint(min));
        else
                table_text(r, "<unset>");
        table_int_at(r, o, "/spec/maxReplicas");
        table_int_at(r, o, "/status/currentReplicas");
        table_age(r, o);
}

void table_print_scale(struct table_row *r, yyjson_val *o) {
        table_name(r, o);
        table_int_at(r, o, "/spec/replicas");
        table_int_at(r, o, "/status/replicas");
        table_age(r, o);
}

void table_print_controller_revision(struct table_row *r, yyjson_val *o) {
        yyjson_val *owner = meta_controller(o);
        table_name(r, o);
        if (owner) {
                struct sv group, version;
                const char *kind = json_get_str(owner, "kind"), *name = json_get_str(owner, "name");
                meta_split_api_version(json_get_str(owner, "apiVersion"), &group, &version);
                AUTO(free) char *text = xasprintf("%s%s%.*s", kind ? kind : "", group.len ? "." : "", SV_ARG(group));
                for (char *p = text; *p; p++)
                        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
                table_textf(r, "%s/%s", text, name ? name : "");
        } else {
                table_text(r, "<none>");
        }
        table_int_at(r, o, "/revision");
        table_age(r, o);
}
