#include "cluster/kinds/status_rules.h"

#include "cluster/edit.h"
#include "cluster/kinds/rules.h"
#include "cluster/kinds/value_rules.h"

enum { MAX_COUNTS = 9 };

struct counting {
        const char *id;
        const char *counts[MAX_COUNTS];   /* not negative */
        const char *of_replicas[5];       /* no more than status.replicas */
        const char *more_than_ready;      /* what is said of more available than ready ones */
        bool has_collisions;              /* collisionCount only grows */
};

static const struct counting countings[] = {
        {"deployments.apps",
         {"observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas",
          "terminatingReplicas", "collisionCount"},
         {"updatedReplicas", "readyReplicas", "availableReplicas"},
         "cannot be greater than readyReplicas",
         true},
        {"statefulsets.apps",
         {"replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount"},
         {"readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"},
         "cannot be greater than status.readyReplicas",
         true},
        {"replicasets.apps",
         {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration", "terminatingReplicas"},
         {"fullyLabeledReplicas", "readyReplicas", "availableReplicas"},
         "cannot be greater than readyReplicas",
         false},
        {"replicationcontrollers",
         {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"},
         {"fullyLabeledReplicas", "readyReplicas", "availableReplicas"},
         "cannot be greater than readyReplicas",
         false},
        {"daemonsets.apps",
         {"currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady", "observedGeneration",
          "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount"},
         {0},
         NULL,
         true},
        {"poddisruptionbudgets.policy", {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"}, {0}, NULL, false},
        {"horizontalpodautoscalers.autoscaling", {"currentReplicas", "desiredReplicas"}, {0}, NULL, false},
};

static void check_counting(const struct counting *c, yyjson_val *status, yyjson_val *old, struct invalid *bad) {
        int64_t replicas = json_get_int(status, "replicas", 0), collisions = json_get_int(status, "collisionCount", 0);
        int64_t available = json_get_int(status, "availableReplicas", 0);
        for (size_t i = 0; i < MAX_COUNTS && c->counts[i]; i++)
                rule_not_negative(status, c->counts[i], "status", bad);
        for (size_t i = 0; i < ARRAY_LEN(c->of_replicas) && c->of_replicas[i]; i++) {
                int64_t count = json_get_int(status, c->of_replicas[i], 0);
                AT("status.%s", c->of_replicas[i]);
                if (count > replicas)
                        invalid_int(bad, at, count, "cannot be greater than status.replicas");
        }
        if (c->more_than_ready && available > json_get_int(status, "readyReplicas", 0))
                invalid_int(bad, "status.availableReplicas", available, "%s", c->more_than_ready);
        if (c->has_collisions && collisions < json_get_int(old, "collisionCount", 0))
                invalid_int(bad, "status.collisionCount", collisions, "cannot be decremented");
}

/* Where a load balancer took the traffic: of services and ingresses. */
static void check_balancer(yyjson_val *object, bool is_service, struct invalid *bad) {
        yyjson_val *entries = json_at(object, "/status/loadBalancer/ingress");
        const char *type = json_str_at(object, "/spec/type");
        if (is_service && yyjson_arr_size(entries) && !streq_null(type, "LoadBalancer")) {
                invalid_forbidden(bad, "status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'");
                return;
        }
        EACH(entry, i, entries) {
                const char *ip = rule_str(entry, "ip"), *host = rule_str(entry, "hostname"), *mode = json_get_str(entry, "ipMode");
                PATH(ip_at, "status.loadBalancer.ingress[%zu].ip", i);
                PATH(mode_at, "status.loadBalancer.ingress[%zu].ipMode", i);
                PATH(host_at, "status.loadBalancer.ingress[%zu].hostname", i);
                unsigned char bytes[16];
                if (*ip)
                        value_ip(ip, ip_at, bad);
                if (is_service && mode && !*ip)
                        invalid_forbidden(bad, mode_at, "may not be specified when `ip` is not set");
                else if (is_service && mode)
                        value_supported(mode, mode_at, SUPPORTED("Proxy", "VIP"), bad);
                if (*host)
                        value_name(name_check_dns1123_subdomain, host, host_at, bad);
                if (*host && value_ip_parse(host, bytes) != IP_NONE)
                        invalid_string(bad, host_at, host, "must be a DNS name, not an IP address");
        }
}

static bool is_reason(const char *text) {
        size_t len = strlen(text);
        bool is_good = len && ((text[0] | 32) >= 'a' && (text[0] | 32) <= 'z') && text[len - 1] != ',' && text[len - 1] != ':';
        for (size_t i = 0; i < len && is_good; i++)
                is_good = text[i] == '_' || text[i] == ',' || text[i] == ':' || (text[i] >= '0' && text[i] <= '9') ||
                          ((text[i] | 32) >= 'a' && (text[i] | 32) <= 'z');
        return is_good;
}

/* metav1.Condition, as newer kinds have it. */
static void check_conditions(yyjson_val *conditions, struct invalid *bad) {
        enum { LONGEST_REASON = 1024, LONGEST_MESSAGE = 32768 };
        EACH(c, i, conditions) {
                const char *type = rule_str(c, "type"), *reason = rule_str(c, "reason");
                int64_t generation = json_get_int(c, "observedGeneration", 0);
                AT("status.conditions[%zu]", i);
                PATH(type_at, "%s.type", at);
                PATH(status_at, "%s.status", at);
                PATH(generation_at, "%s.observedGeneration", at);
                PATH(time_at, "%s.lastTransitionTime", at);
                PATH(reason_at, "%s.reason", at);
                PATH(message_at, "%s.message", at);
                EACH(other, k, conditions) {
                        if (k < i && streq(rule_str(other, "type"), type)) {
                                invalid_duplicate(bad, type_at, type);
                                break;
                        }
                }
                value_name(name_check_qualified, type, type_at, bad);
                value_supported(rule_str(c, "status"), status_at, SUPPORTED("False", "True", "Unknown"), bad);
                if (generation < 0)
                        invalid_int(bad, generation_at, generation, "must be greater than or equal to zero");
                if (!json_get_str(c, "lastTransitionTime"))
                        invalid_required(bad, time_at, NULL);
                if (!*reason)
                        invalid_required(bad, reason_at, NULL);
                else if (!is_reason(reason))
                        invalid_string(
                                bad, reason_at, reason,
                                "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must "
                                "end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', "
                                "regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')");
                if (strlen(reason) > LONGEST_REASON)
                        invalid_add(bad, reason_at, INVALID_TOO_LONG, NULL, "may not be more than %d bytes", LONGEST_REASON);
                if (strlen(rule_str(c, "message")) > LONGEST_MESSAGE)
                        invalid_add(bad, message_at, INVALID_TOO_LONG, NULL, "may not be more than %d bytes", LONGEST_MESSAGE);
        }
}

static void check_phase(yyjson_val *object, struct invalid *bad) {
        bool is_deleting = json_at(object, "/metadata/deletionTimestamp");
        const char *phase = rule_str(yyjson_obj_get(object, "status"), "phase");
        if (!streq(phase, is_deleting ? "Terminating" : "Active"))
                invalid_string(bad, "status.Phase", phase, is_deleting ? "may only be 'Terminating' if `deletionTimestamp` is not empty"
                                                                       : "may only be 'Active' if `deletionTimestamp` is empty");
}

void status_rules_validate(const char *kind_id, yyjson_val *object, yyjson_val *old, struct invalid *bad) {
        if (streq(kind_id, "services") || streq(kind_id, "ingresses.networking.k8s.io"))
                check_balancer(object, streq(kind_id, "services"), bad);
        if (streq(kind_id, "poddisruptionbudgets.policy"))
                check_conditions(json_at(object, "/status/conditions"), bad);
        if (streq(kind_id, "namespaces"))
                check_phase(object, bad);
        for (size_t i = 0; i < ARRAY_LEN(countings); i++)
                if (streq(countings[i].id, kind_id))
                        check_counting(&countings[i], yyjson_obj_get(object, "status"), yyjson_obj_get(old, "status"), bad);
}
