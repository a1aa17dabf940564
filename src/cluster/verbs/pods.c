/* Subresources of pods that are no streams, and Scale. */
#include "base/clock.h"
#include "cluster/disruption.h"
#include "cluster/edit.h"
#include "cluster/verbs/verbs.h"
#include "codec/ktime.h"
#include "codec/yaml.h"
#include "kobj/meta.h"
#include "kobj/patch.h"
#include "kobj/selector.h"

static void answer_success(struct request *q, int status) {
        AUTO(str) struct str body = STR_INIT(0);
        status_write_success(NULL, NULL, NULL, NULL, status, &body);
        answer(q, status, "application/json", &body, store_revision(q->s->store));
}

/* Binding. */

int bind_pod(struct request *q, const char *name, yyjson_mut_val *binding, struct err *err) {
        struct resource *pods = registry_by_id(&q->s->registry, "pods");
        const char *node = mjson_str_at(binding, "/target/name"), *kind = mjson_str_at(binding, "/target/kind");
        AUTO(invalid) struct invalid bad = {0};
        int r;

        if (kind && *kind && !streq(kind, "Node"))
                invalid_not_supported(&bad, "target.kind", kind, (const char *const[]){"Node", "<empty>", NULL});
        if (!node || !*node)
                invalid_required(&bad, "target.name", NULL);
        r = invalid_err(&bad, "", "Binding", name ? name : "", err);
        if (r < 0)
                return r;
        if (!name || !collection_find(pods->objects, q->ns, name))
                return status_not_found(err, pods, name ? name : "");
        r = api_bind(q->s->self, q->ns, name, node, err);
        if (r == 0)
                answer_success(q, 201);
        return r;
}

int sub_binding(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        int r = request_body(q, "Binding", false, &doc, err);
        return r < 0 ? r : bind_pod(q, q->name, yyjson_mut_doc_get_root(doc), err);
}

/* Eviction: a deletion that disruption budgets may refuse. */

/* A pod that does not work disrupts nobody: unhealthyPodEvictionPolicy. */
static bool unready_may_go(struct object *budget, const struct budget_state *b) {
        return streq_null(object_str(budget, "/spec/unhealthyPodEvictionPolicy"), "AlwaysAllow") ||
               (b->desired > 0 && b->healthy >= b->desired);
}

static int check_budgets(struct request *q, struct object *pod, struct err *err) {
        struct resource *budgets = registry_by_id(&q->s->registry, "poddisruptionbudgets.policy");
        const char *phase = object_str(pod, "/status/phase");
        size_t end, at = collection_range(budgets->objects, q->ns, &end);

        if (phase && (streq(phase, "Pending") || streq(phase, "Succeeded") || streq(phase, "Failed")))
                return 0;
        for (; at < end; at++) {
                struct object *budget = budgets->objects->items[at];
                struct budget_state b;
                if (!budget_covers(budget, pod))
                        continue;
                budget_compute(q->s, budget, &b);
                if (b.allowed > 0 || (!meta_condition_is(object_root(pod), "Ready", "True") && unready_may_go(budget, &b)))
                        continue;
                err_http(err, -EAGAIN, 429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
                if (err) {
                        free(err->details);
                        err->details = xasprintf(
                                "{\"causes\":[{\"reason\":\"DisruptionBudget\",\"message\":\"The disruption budget %s needs %lld healthy pods and "
                                "has %lld currently\"}]}",
                                budget->name, (long long)b.desired, (long long)b.healthy);
                }
                return -EAGAIN;
        }
        return 0;
}

/* The pod says why it goes; managedFields are not touched, as on the real server. */
static int mark_disrupted(const struct op *op, const struct object *pod, const char *uid, struct err *err) {
        AUTO(object) struct object *marked = NULL;
        struct op write = {.s = op->s,
                           .res = op->res,
                           .ns = op->ns,
                           .name = op->name,
                           .subresource = "status",
                           .manager = op->manager,
                           .is_apply = true};
        if (op->dry_run || (uid && !streq(uid, pod->uid)))
                return 0; /* the deletion has the message about another uid */
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(pod);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        size_t i, max;
        yyjson_mut_val *c;
        mmeta_set_condition(doc, root, "DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting", clock_now_ms());
        yyjson_mut_arr_foreach(mjson_at(root, "/status/conditions"), i, max, c) {
                if (streq_null(mjson_get_str(c, "type"), "DisruptionTarget"))
                        mjson_set(doc, c, "lastProbeTime", yyjson_mut_null(doc));
        }
        return op_update(&write, doc, root, &marked, NULL, err);
}

int sub_eviction(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(free) char *manager = NULL;
        AUTO(object) struct object *pod = NULL, *last = NULL;
        struct delete_options options = {.grace_s = -1};
        yyjson_mut_val *root;
        struct op op;
        bool gone;
        int r = request_op(q, &op, &manager, err);

        if (r == 0)
                r = request_body(q, "Eviction", false, &doc, err);
        if (r == 0)
                r = op_get(&op, &pod, err);
        if (r < 0)
                return r;
        root = yyjson_mut_doc_get_root(doc);
        if (mmeta_name(root) && *mmeta_name(root) && !streq(mmeta_name(root), q->name))
                return status_bad_request(err, "name in URL does not match name in Eviction object");
        yyjson_mut_val *grace = mjson_at(root, "/deleteOptions/gracePeriodSeconds");
        if (grace && yyjson_mut_is_int(grace))
                options.grace_s = yyjson_mut_get_sint(grace);
        options.propagation = mjson_str_at(root, "/deleteOptions/propagationPolicy");
        options.uid = mjson_str_at(root, "/deleteOptions/preconditions/uid");
        op.dry_run |= yyjson_mut_arr_size(mjson_at(root, "/deleteOptions/dryRun")) > 0;
        op.subresource = NULL;
        r = check_budgets(q, pod, err);
        if (r == 0)
                r = mark_disrupted(&op, pod, options.uid, err);
        if (r == 0)
                r = op_delete(&op, &options, &last, &gone, err);
        if (r == 0)
                answer_success(q, 201);
        return r;
}

/* Scale. */

static const char *pointer_or(const char *pointer, const char *otherwise) { return pointer ? pointer : otherwise; }

static char *selector_text(const struct resource *res, struct object *o) {
        AUTO(selector) struct selector s = {0};
        if (res->is_custom)
                return xstrdup_null(res->scale_selector ? object_str(o, res->scale_selector) : NULL);
        if (streq(res->id, "replicationcontrollers"))
                selector_from_map(object_at(o, "/spec/selector"), &s);
        else if (selector_from_object(object_at(o, "/spec/selector"), &s, NULL) < 0)
                return NULL;
        return selector_format(&s);
}

static yyjson_mut_val *scale_of(yyjson_mut_doc *doc, const struct resource *res, struct object *o) {
        static const char *const copied[] = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"};
        yyjson_mut_val *root = yyjson_mut_obj(doc), *meta, *status;
        AUTO(free) char *selector = selector_text(res, o);
        int64_t replicas;

        mjson_set_str(doc, root, "kind", "Scale");
        mjson_set_str(doc, root, "apiVersion", "autoscaling/v1");
        meta = mjson_obj(doc, root, "metadata");
        for (size_t i = 0; i < ARRAY_LEN(copied); i++)
                mjson_set_str(doc, meta, copied[i], json_get_str(meta_of(object_root(o)), copied[i]));
        replicas = object_int(o, pointer_or(res->scale_spec, "/spec/replicas"), 0);
        mjson_obj(doc, root, "spec");
        if (replicas)
                mjson_set_int(doc, mjson_obj(doc, root, "spec"), "replicas", replicas);
        status = mjson_obj(doc, root, "status");
        mjson_set_int(doc, status, "replicas", object_int(o, pointer_or(res->scale_status, "/status/replicas"), 0));
        if (selector && *selector)
                mjson_set_str(doc, status, "selector", selector);
        return root;
}

static int patch_scale(struct request *q, yyjson_mut_doc *doc, yyjson_mut_val *scale, yyjson_mut_val **ret, struct err *err) {
        AUTO(json) yyjson_doc *patch = NULL;
        AUTO(err) struct err why = ERR_INIT;
        enum api_patch type;
        int r = patch_type(q, &type, err);
        if (r < 0)
                return r;
        if (json_parse(q->http->body, &patch, &why) < 0)
                return status_bad_request(err, "error decoding patch: %s", err_message(&why));
        if (type == API_PATCH_JSON)
                return patch_json(doc, scale, yyjson_doc_get_root(patch), ret, err);
        return patch_merge(doc, scale, yyjson_doc_get_root(patch), ret, err); /* Scale has no lists: all other types are merges */
}

static struct resource scale_kind(void) {
        static char group[] = "autoscaling", version[] = "v1", kind[] = "Scale", api_version[] = "autoscaling/v1";
        return (struct resource){.group = group,
                                 .version = version,
                                 .kind = kind,
                                 .api_version = api_version,
                                 .schema = schema_of_kind(group, version, kind)};
}

/* The Scale of a PUT, as decoded, which must be that of this object. */
static int decode_scale(struct request *q, const struct op *whole, yyjson_mut_doc *doc, yyjson_mut_val *body, struct object *o,
                        yyjson_mut_val **ret, struct err *err) {
        struct resource scale = scale_kind();
        struct op op = {.res = &scale, .ns = q->ns, .name = q->name, .manager = "", .validation = FIELDS_IGNORE};
        const char *name, *ns, *uid, *version;
        int64_t number;
        int r = op_decode(&op, doc, body, ret, err);
        if (r < 0 && q->res->is_custom) /* whose server there knows no better */
                return status_bad_request(err, "no kind is registered for the type v1.Scale in scheme \"pkg/runtime/scheme.go:110\"");
        if (r < 0)
                return r;
        name = mmeta_name(*ret);
        ns = mmeta_namespace(*ret);
        uid = mmeta_uid(*ret);
        version = mmeta_resource_version(*ret);
        if (ns && *ns && !streq_null(ns, q->ns))
                return status_bad_request(err, "the namespace of the provided object does not match the namespace sent on the request");
        if (!name || !*name)
                return op_no_name(&op, err);
        if (!streq(name, q->name))
                return status_bad_request(err, "the name of the object (%s) does not match the name on the URL (%s)", name, q->name);
        if (uid && *uid && !streq(uid, o->uid))
                return op_wrong_uid(whole, uid, o, err);
        if (version && *version && !streq(version, "0") && !sv_to_int64(sv_of(version), &number))
                return status_internal(err, "strconv.ParseUint: parsing \"%s\": invalid syntax", version);
        return 0;
}

/* {"spec":{"replicas":N}} at the place where this kind has its replicas. */
static char *replicas_patch(const struct resource *res, int64_t replicas) {
        AUTO(str) struct str out = STR_INIT(0);
        struct sv rest = sv_of(pointer_or(res->scale_spec, "/spec/replicas")), part;
        size_t depth = 0;
        while (sv_split(&rest, '/', &part)) {
                if (part.len == 0)
                        continue;
                str_appendf(&out, "{\"%.*s\":", SV_ARG(part));
                depth++;
        }
        str_appendf(&out, "%lld", (long long)replicas);
        while (depth--)
                str_append_c(&out, '}');
        return str_take(&out);
}

/* Applying a Scale is applying the replicas of what is scaled: they have one owner. */
static int apply_scale(struct request *q, const struct op *op, struct object **ret, struct err *err) {
        AUTO(json) yyjson_doc *config = NULL;
        AUTO(err) struct err why = ERR_INIT;
        AUTO(str) struct str text = STR_INIT(0);
        yyjson_val *root, *replicas;
        if (yaml_parse(q->http->body, &config, &why) < 0)
                return status_bad_request(err, "error decoding YAML: %s", err_message(&why));
        root = yyjson_doc_get_root(config);
        if (!streq_null(meta_kind(root), "Scale") || !streq_null(meta_api_version(root), "autoscaling/v1"))
                return status_bad_request(err, "invalid object type: %s, Kind=%s", meta_api_version(root) ? meta_api_version(root) : "/",
                                          meta_kind(root) ? meta_kind(root) : "");
        replicas = json_at(root, "/spec/replicas");
        str_appendf(&text, "{\"apiVersion\":\"%s\",\"kind\":\"%s\",\"metadata\":{\"name\":", op->res->api_version, op->res->kind);
        json_append_quoted(&text, sv_of(meta_name(root) ? meta_name(root) : ""));
        str_append_c(&text, '}');
        if (yyjson_is_int(replicas)) {
                AUTO(free) char *patch = replicas_patch(op->res, yyjson_get_sint(replicas));
                str_append_c(&text, ',');
                str_append(&text, patch + 1, strlen(patch) - 2);
        }
        str_append_c(&text, '}');
        return op_patch(op, API_PATCH_APPLY, str_sv(&text), ret, NULL, err);
}

static bool is_apply(struct request *q) {
        enum api_patch type;
        return streq(q->verb, "patch") && patch_type(q, &type, NULL) == 0 && type == API_PATCH_APPLY;
}

int sub_scale(struct request *q, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL), *body = NULL;
        AUTO(free) char *manager = NULL, *patch = NULL;
        AUTO(object) struct object *o = NULL, *now = NULL;
        AUTO(invalid) struct invalid bad = {0};
        yyjson_mut_val *scale, *wanted;
        const char *version;
        int64_t replicas;
        struct op op;
        int r = request_op(q, &op, &manager, err);

        if (r == 0)
                r = op_get(&op, &o, err);
        if (r < 0)
                return r;
        scale = scale_of(doc, q->res, o);
        if (streq(q->verb, "get")) {
                answer_json(q, 200, scale, o->revision);
                return 0;
        }
        if (is_apply(q)) {
                r = apply_scale(q, &op, &now, err);
                if (r == 0)
                        answer_json(q, 200, scale_of(doc, q->res, now), now->revision);
                return r;
        }
        if (streq(q->verb, "patch")) {
                r = patch_scale(q, doc, scale, &wanted, err);
        } else {
                r = request_body(q, "Scale", false, &body, err);
                wanted = NULL;
                if (r == 0)
                        r = decode_scale(q, &op, body, yyjson_mut_doc_get_root(body), o, &wanted, err);
        }
        if (r < 0)
                return r;
        version = mmeta_resource_version(wanted);
        if (version && *version && !streq(version, meta_resource_version(object_root(o))))
                return status_modified(err, q->res, q->name);
        replicas = yyjson_mut_get_sint(mjson_at(wanted, "/spec/replicas"));
        AUTO(json) yyjson_doc *frozen = mjson_freeze(wanted);
        struct resource kind = scale_kind();
        if (!q->res->is_custom)
                meta_validate(&kind, yyjson_doc_get_root(frozen), &bad);
        if (replicas < 0)
                invalid_int(&bad, "spec.replicas", replicas, "must be greater than or equal to 0");
        r = invalid_err(&bad, "autoscaling", "Scale", q->name, err);
        if (r < 0)
                return r;
        patch = replicas_patch(q->res, replicas);
        r = op_patch(&op, API_PATCH_MERGE, sv_of(patch), &now, NULL, err);
        if (r == 0)
                answer_json(q, 200, scale_of(doc, q->res, now), now->revision);
        return r;
}
