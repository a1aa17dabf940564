#include "submit/podstate.h"

static void line(struct str *out, int indent, const char *key, const char *value) {
        str_append_c(out, '\n');
        for (int i = 0; i < indent; i++)
                str_append_c(out, '\t');
        str_appendf(out, " %s: %s", key, value && *value ? value : "N/A");
}

static void labels_text(yyjson_val *labels, struct str *out) {
        size_t i, n;
        yyjson_val *key, *value;
        yyjson_obj_foreach(labels, i, n, key, value) {
                str_appendf(out, "%s%s -> %s", i ? ", " : "", yyjson_get_str(key), yyjson_is_str(value) ? yyjson_get_str(value) : "");
        }
}

static void volumes_text(yyjson_val *volumes, struct str *out) {
        size_t i, n;
        yyjson_val *volume;
        yyjson_arr_foreach(volumes, i, n, volume) {
                const char *name = json_get_str(volume, "name");
                str_appendf(out, "%s%s", i ? ", " : "", name ? name : "");
        }
}

static void container(yyjson_val *status, int indent, struct str *out) {
        line(out, indent, "container name", json_get_str(status, "name"));
        line(out, indent, "container image", json_get_str(status, "image"));
        yyjson_val *state = yyjson_obj_get(status, "state");
        yyjson_val *running = yyjson_obj_get(state, "running"), *terminated = yyjson_obj_get(state, "terminated");
        yyjson_val *waiting = yyjson_obj_get(state, "waiting");
        if (yyjson_is_obj(running)) {
                line(out, indent, "container state", "running");
                line(out, indent, "container started at", json_get_str(running, "startedAt"));
        } else if (yyjson_is_obj(terminated)) {
                AUTO(free) char *code = xasprintf("%lld", (long long)json_get_int(terminated, "exitCode", 0));
                line(out, indent, "container state", "terminated");
                line(out, indent, "container started at", json_get_str(terminated, "startedAt"));
                line(out, indent, "container finished at", json_get_str(terminated, "finishedAt"));
                line(out, indent, "exit code", code);
                line(out, indent, "termination reason", json_get_str(terminated, "reason"));
        } else if (yyjson_is_obj(waiting)) {
                line(out, indent, "container state", "waiting");
                line(out, indent, "pending reason", json_get_str(waiting, "reason"));
        } else {
                line(out, indent, "container state", NULL);
        }
}

void podstate_format_containers(yyjson_val *pod, int indent, struct str *out) {
        size_t i, n;
        yyjson_val *status;
        yyjson_arr_foreach(json_at(pod, "/status/containerStatuses"), i, n, status) {
                if (i)
                        str_append_s(out, "\n\n");
                container(status, indent, out);
        }
}

void podstate_format(yyjson_val *pod, struct str *out) {
        AUTO(str) struct str labels = STR_INIT(0), volumes = STR_INIT(0), containers = STR_INIT(0);
        labels_text(json_at(pod, "/metadata/labels"), &labels);
        volumes_text(json_at(pod, "/spec/volumes"), &volumes);
        podstate_format_containers(pod, 2, &containers);
        line(out, 1, "pod name", json_str_at(pod, "/metadata/name"));
        line(out, 1, "namespace", json_str_at(pod, "/metadata/namespace"));
        line(out, 1, "labels", str_cstr(&labels));
        line(out, 1, "pod uid", json_str_at(pod, "/metadata/uid"));
        line(out, 1, "creation time", json_str_at(pod, "/metadata/creationTimestamp"));
        line(out, 1, "service account name", json_str_at(pod, "/spec/serviceAccountName"));
        line(out, 1, "volumes", str_cstr(&volumes));
        line(out, 1, "node name", json_str_at(pod, "/spec/nodeName"));
        line(out, 1, "start time", json_str_at(pod, "/status/startTime"));
        line(out, 1, "phase", json_str_at(pod, "/status/phase"));
        line(out, 1, "container status", str_cstr(&containers));
}
