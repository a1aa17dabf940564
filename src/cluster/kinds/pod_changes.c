/* What may change of a pod: its spec (core validation's ValidatePodUpdate, 1.34) and its status (ValidatePodStatusUpdate). */
#include "cluster/edit.h"
#include "cluster/kinds/pod_changes.h"
#include "cluster/kinds/podspec.h"
#include "cluster/kinds/rules.h"
#include "cluster/kinds/value_rules.h"
#include "kobj/meta.h"

/* The spec. */

static size_t spaces_around(const char *text) {
        size_t len = strlen(text), from = strspn(text, " \t\r\n\v\f"), to = len;
        while (to > from && strchr(" \t\r\n\v\f", text[to - 1]))
                to--;
        return len - (to - from);
}

/* Images may change, the number of containers may not: false then, and nothing else is said. */
static bool check_containers(yyjson_val *spec, yyjson_val *old_spec, const char *list, struct invalid *bad) {
        yyjson_val *now = yyjson_obj_get(spec, list);
        PATH(path, "spec.%s", list);
        if (yyjson_arr_size(now) != yyjson_arr_size(yyjson_obj_get(old_spec, list))) {
                invalid_forbidden(bad, path, "pod updates may not add or remove containers");
                return false;
        }
        EACH(c, i, now) {
                const char *image = rule_str(c, "image");
                AT("%s[%zu].image", path, i);
                if (!*image)
                        invalid_required(bad, at, NULL);
                else if (spaces_around(image))
                        invalid_string(bad, at, image, "must not have leading or trailing whitespace");
        }
        return true;
}

/* False when it was set higher: then nothing else is said. */
static bool check_deadline(yyjson_val *spec, yyjson_val *old_spec, struct invalid *bad) {
        yyjson_val *old = yyjson_obj_get(old_spec, "activeDeadlineSeconds"), *now = yyjson_obj_get(spec, "activeDeadlineSeconds");
        AUTO(free) char *text = now ? json_write(now, false, NULL) : xstrdup("null");
        int64_t seconds = yyjson_get_sint(now);
        if (!now && old)
                invalid_add(bad, "spec.activeDeadlineSeconds", INVALID_VALUE, text, "must not update from a positive integer to nil value");
        else if (now && (seconds < 0 || seconds > INT32_MAX))
                invalid_add(bad, "spec.activeDeadlineSeconds", INVALID_VALUE, text, "must be between 0 and %d, inclusive", INT32_MAX);
        else if (now && old && seconds > yyjson_get_sint(old))
                invalid_add(bad, "spec.activeDeadlineSeconds", INVALID_VALUE, text, "must be less than or equal to previous value");
        else
                return true;
        return !now;
}

static bool is_same_toleration(yyjson_val *a, yyjson_val *b) {
        return !differs_beyond(a, b, (const char *const[]){"tolerationSeconds"}, 1);
}

static void check_tolerations(yyjson_val *now, yyjson_val *old, struct invalid *bad) {
        EACH(had, i, old) {
                bool found = false;
                EACH(t, k, now) found |= is_same_toleration(t, had);
                if (!found) {
                        invalid_forbidden(bad, "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds");
                        return;
                }
        }
        tolerations_validate(now, "spec.tolerations", bad);
}

static void check_gates(yyjson_val *now, yyjson_val *old, struct invalid *bad) {
        EACH(gate, i, now) {
                const char *name = rule_str(gate, "name");
                bool had = false;
                AT("spec.schedulingGates[%zu].name", i);
                EACH(o, k, old) had |= streq(rule_str(o, "name"), name);
                if (!had)
                        invalid_forbidden(bad, at, "only deletion is allowed, but found new scheduling gate '%s'", name);
        }
}

static bool has_all(yyjson_val *now, yyjson_val *old) {
        yyjson_val *key, *value;
        size_t i, n;
        yyjson_obj_foreach(old, i, n, key, value) {
                if (!streq_null(json_get_str(now, yyjson_get_str(key)), yyjson_get_str(value)))
                        return false;
        }
        return true;
}

static bool begins_with(yyjson_val *now, yyjson_val *old) {
        if (yyjson_arr_size(now) < yyjson_arr_size(old))
                return false;
        EACH(had, i, old) {
                if (!json_equal(had, yyjson_arr_get(now, i)))
                        return false;
        }
        return true;
}

static bool only_adds(yyjson_val *now, yyjson_val *old) {
        static const char *const lists[] = {"matchExpressions", "matchFields"};
        size_t had = 0, has = 0;
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
                had += yyjson_arr_size(yyjson_obj_get(old, lists[i]));
                has += yyjson_arr_size(yyjson_obj_get(now, lists[i]));
                if (!begins_with(yyjson_obj_get(now, lists[i]), yyjson_obj_get(old, lists[i])))
                        return false;
        }
        return had || !has;
}

/* While gates hold a pod back, where it may run can be narrowed. */
static void check_gated_placement(yyjson_val *spec, yyjson_val *old_spec, struct invalid *bad) {
#define TERMS "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms"
#define TERMS_AT "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
        yyjson_val *selector = yyjson_obj_get(spec, "nodeSelector"), *now = json_at(spec, TERMS), *old = json_at(old_spec, TERMS);
        if (!has_all(selector, yyjson_obj_get(old_spec, "nodeSelector"))) {
                AUTO(free) char *text = selector ? json_write(selector, false, NULL) : xstrdup("null");
                invalid_add(bad, "spec.nodeSelector", INVALID_VALUE, text,
                            "only additions to spec.nodeSelector are allowed (no mutations or deletions)");
        }
        if (yyjson_arr_size(old) && yyjson_arr_size(now) != yyjson_arr_size(old)) {
                AUTO(free) char *text = now ? json_write(now, false, NULL) : xstrdup("null");
                invalid_add(bad, TERMS_AT, INVALID_VALUE, text, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
                return;
        }
        EACH(had, i, old) {
                yyjson_val *term = yyjson_arr_get(now, i);
                AUTO(free) char *text = node_selector_term_show(term);
                AT(TERMS_AT "[%zu]", i);
                if (!only_adds(term, had))
                        invalid_add(bad, at, INVALID_VALUE, text, "only additions are allowed (no mutations or deletions)");
        }
}

/* What has rules of its own, taken out before the rest is compared. */
static void forget_changeable(yyjson_mut_val *spec, bool was_gated, bool ends_at_once) {
        static const char *const lists[] = {"containers", "initContainers"}, *const members[] = {"activeDeadlineSeconds", "tolerations",
                                                                                                 "schedulingGates"};
        yyjson_mut_val *affinity = yyjson_mut_obj_get(spec, "affinity");
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
                MUT_EACH(c, spec, lists[i]) mjson_remove(c, "image");
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
                mjson_remove(spec, members[i]);
        if (ends_at_once)
                mjson_remove(spec, "terminationGracePeriodSeconds");
        if (!was_gated)
                return;
        mjson_remove(spec, "nodeSelector");
        mjson_remove(affinity, "nodeAffinity");
        if (affinity && yyjson_mut_obj_size(affinity) == 0)
                mjson_remove(spec, "affinity");
}

static bool is_same_otherwise(yyjson_val *spec, yyjson_val *old_spec) {
        AUTO(mjson) yyjson_mut_doc *a = json_thaw(spec), *b = json_thaw(old_spec);
        AUTO(json) yyjson_doc *fa = NULL, *fb = NULL;
        bool was_gated = yyjson_arr_size(yyjson_obj_get(old_spec, "schedulingGates")) > 0;
        bool ends_at_once = json_get_int(old_spec, "terminationGracePeriodSeconds", 0) < 0 &&
                            json_get_int(spec, "terminationGracePeriodSeconds", 0) == 1;
        forget_changeable(yyjson_mut_doc_get_root(a), was_gated, ends_at_once);
        forget_changeable(yyjson_mut_doc_get_root(b), was_gated, ends_at_once);
        fa = mjson_freeze(yyjson_mut_doc_get_root(a));
        fb = mjson_freeze(yyjson_mut_doc_get_root(b));
        return json_equal(yyjson_doc_get_root(fa), yyjson_doc_get_root(fb));
}

void pod_check_changes(yyjson_val *spec, yyjson_val *old_spec, struct invalid *bad) {
        yyjson_val *gates = yyjson_obj_get(old_spec, "schedulingGates");
        if (!check_containers(spec, old_spec, "containers", bad) || !check_containers(spec, old_spec, "initContainers", bad) ||
            !check_deadline(spec, old_spec, bad))
                return;
        check_tolerations(yyjson_obj_get(spec, "tolerations"), yyjson_obj_get(old_spec, "tolerations"), bad);
        check_gates(yyjson_obj_get(spec, "schedulingGates"), gates, bad);
        if (yyjson_arr_size(gates))
                check_gated_placement(spec, old_spec, bad);
        if (!is_same_otherwise(spec, old_spec))
                invalid_forbidden(
                        bad, "spec",
                        "pod updates may not change fields other than "
                        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
                        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)");
}

/* The status. */

static void check_generation(yyjson_val *object, const char *path, struct invalid *bad) {
        int64_t generation = json_get_int(object, "observedGeneration", 0);
        if (generation < 0)
                invalid_int(bad, path, generation, "must be a non-negative integer");
}

static void check_conditions(yyjson_val *conditions, struct invalid *bad) {
        static const char *const known[] = {"PodScheduled", "Ready", "Initialized", NULL};
        EACH(c, i, conditions) {
                const char *type = rule_str(c, "type");
                bool is_known = false;
                AT("status.conditions[%zu].Type", i);
                PATH(generation_at, "status.conditions[%zu].observedGeneration", i);
                for (size_t k = 0; known[k]; k++)
                        is_known |= streq(type, known[k]);
                check_generation(c, generation_at, bad);
                if (!is_known)
                        value_name(name_check_qualified, type, at, bad);
        }
}

static bool had_ip(yyjson_val *list, const char *ip) {
        EACH(item, i, list) {
                if (streq(rule_str(item, "ip"), ip))
                        return true;
        }
        return false;
}

/* One address, or one of each family. */
static void check_addresses(yyjson_val *list, yyjson_val *old, const char *path, struct invalid *bad) {
        unsigned families = 0;
        size_t count = yyjson_arr_size(list);
        EACH(item, i, list) {
                unsigned char bytes[16];
                const char *ip = rule_str(item, "ip");
                AT("%s[%zu]", path, i);
                if (!had_ip(old, ip))
                        value_ip(ip, at, bad);
                families |= 1u << value_ip_parse(ip, bytes);
        }
        if (count > 1 && (count > 2 || families != (1u << IP_V4 | 1u << IP_V6))) {
                AUTO(free) char *text = json_write(list, false, NULL);
                invalid_add(bad, path, INVALID_VALUE, text, "may specify no more than one IP for each IP family");
        }
}

static yyjson_val *by_name(yyjson_val *list, const char *name) {
        EACH(item, i, list) {
                if (streq(rule_str(item, "name"), name))
                        return item;
        }
        return NULL;
}

/* Containers that ended for good do not run again. */
static void check_ended(yyjson_val *spec, yyjson_val *status, yyjson_val *old_status, const char *list, struct invalid *bad) {
        const char *policy = rule_str(spec, "restartPolicy");
        bool is_init = streq(list, "initContainerStatuses");
        if (streq(policy, "Always"))
                return;
        EACH(was, i, yyjson_obj_get(old_status, list)) {
                const char *name = rule_str(was, "name");
                yyjson_val *ended = json_at(was, "/state/terminated"), *now = by_name(yyjson_obj_get(status, list), name);
                AT("status.%s[%zu].state", list, i);
                if (!ended || !now || json_at(now, "/state/terminated"))
                        continue;
                if (streq(policy, "OnFailure") && json_get_int(ended, "exitCode", 0) != 0)
                        continue;
                if (is_init && streq(rule_str(by_name(yyjson_obj_get(spec, "initContainers"), name), "restartPolicy"), "Always"))
                        continue;
                invalid_forbidden(bad, at, "may not be transitioned to non-terminated state");
        }
}

void pod_check_ephemeral(yyjson_val *spec, yyjson_val *old_spec, struct invalid *bad) {
        yyjson_val *list = yyjson_obj_get(spec, "ephemeralContainers");
        EACH(old, i, yyjson_obj_get(old_spec, "ephemeralContainers")) {
                const char *name = rule_str(old, "name");
                yyjson_val *now = by_name(list, name);
                if (!now)
                        invalid_forbidden(bad, "spec.ephemeralContainers", "existing ephemeral containers \"%s\" may not be removed\n", name);
                else if (!json_equal(now, old))
                        invalid_forbidden(bad, "spec.ephemeralContainers", "existing ephemeral containers \"%s\" may not be changed\n", name);
        }
}

void pod_check_status(yyjson_val *pod, yyjson_val *old, struct invalid *bad) {
        yyjson_val *spec = yyjson_obj_get(pod, "spec"), *status = yyjson_obj_get(pod, "status"),
                   *old_status = yyjson_obj_get(old, "status");
        yyjson_val *hosts = yyjson_obj_get(status, "hostIPs");
        const char *qos = rule_str(status, "qosClass"), *nominated = rule_str(status, "nominatedNodeName");

        check_conditions(yyjson_obj_get(status, "conditions"), bad);
        if (*nominated && !streq(nominated, rule_str(old_status, "nominatedNodeName")))
                value_name(name_check_dns1123_subdomain, nominated, "status.nominatedNodeName", bad);
        check_generation(status, "status.observedGeneration", bad);
        if (!streq(qos, rule_str(old_status, "qosClass")))
                invalid_string(bad, "status.qosClass", qos, "field is immutable");
        check_ended(spec, status, old_status, "containerStatuses", bad);
        check_ended(spec, status, old_status, "initContainerStatuses", bad);
        check_addresses(yyjson_obj_get(status, "podIPs"), yyjson_obj_get(old_status, "podIPs"), "status.podIPs", bad);
        if (yyjson_arr_size(hosts)) {
                const char *first = rule_str(yyjson_arr_get_first(hosts), "ip");
                if (!streq(first, rule_str(status, "hostIP")))
                        invalid_string(bad, "status.hostIPs[0].ip", first, "must be equal to `hostIP`");
                check_addresses(hosts, yyjson_obj_get(old_status, "hostIPs"), "status.hostIPs", bad);
        }
}
