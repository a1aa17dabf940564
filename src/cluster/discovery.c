#include "cluster/discovery.h"

#include "codec/base64.h"
#include "codec/sha256.h"

#define METRICS_GROUP "metrics.k8s.io"
#define KUBE_VERSION "v1.34.10"

bool discovery_has_metrics(const struct apiserver *s) { return s->backend != NULL; }

/* metrics.k8s.io is no part of the registry: nothing of it is stored. */
static const struct {
        const char *plural, *kind;
        bool namespaced;
} metrics_kinds[] = {{"nodes", "NodeMetrics", false}, {"pods", "PodMetrics", true}};

static void add_verbs(yyjson_mut_doc *doc, yyjson_mut_val *o, const struct resource *res, unsigned verbs) {
        yyjson_mut_val *list = mjson_arr(doc, o, "verbs");
        if (res && res->is_custom && verbs == VERBS_ALL) { /* in the order in which the real server has them */
                static const char *const all[] = {"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"};
                for (size_t i = 0; i < ARRAY_LEN(all); i++)
                        mjson_add_str(doc, list, all[i]);
                return;
        }
        for (size_t i = 0; i < ARRAY_LEN(verb_names); i++)
                if (verbs & verb_names[i].verb)
                        mjson_add_str(doc, list, verb_names[i].name);
}

static void add_strings(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key, const struct strv *items) {
        for (size_t i = 0; i < items->len; i++)
                mjson_add_str(doc, mjson_arr(doc, o, key), items->items[i]);
}

/* Plain lists. */

static void version_hash(const struct resource *res, yyjson_mut_doc *doc, yyjson_mut_val *o) {
        AUTO(free) char *text = xasprintf("%s/%s/%s", res->storage->group, res->storage->version, res->storage->kind);
        AUTO(str) struct str out = STR_INIT(0);
        unsigned char digest[SHA256_SIZE];
        sha256(sv_of(text), digest);
        base64_encode(sv_new((const char *)digest, 8), &out);
        mjson_set_str(doc, o, "storageVersionHash", str_cstr(&out));
}

static void add_plain(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct resource *res) {
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        yyjson_mut_arr_append(list, o);
        mjson_set_str(doc, o, "name", res->plural);
        mjson_set_str(doc, o, "singularName", res->singular);
        mjson_set_bool(doc, o, "namespaced", resource_is_namespaced(res));
        mjson_set_str(doc, o, "kind", res->kind);
        add_verbs(doc, o, res, res->verbs);
        add_strings(doc, o, "shortNames", &res->short_names);
        add_strings(doc, o, "categories", &res->categories);
        if (!(res->flags & KIND_VIRTUAL))
                version_hash(res, doc, o);
        for (const struct subresource *s = res->subresources; s->name; s++) {
                AUTO(free) char *name = xasprintf("%s/%s", res->plural, s->name);
                yyjson_mut_val *sub = yyjson_mut_obj(doc);
                yyjson_mut_arr_append(list, sub);
                mjson_set_str(doc, sub, "name", name);
                mjson_set_str(doc, sub, "singularName", "");
                mjson_set_bool(doc, sub, "namespaced", resource_is_namespaced(res));
                mjson_set_str(doc, sub, "group", s->group);
                mjson_set_str(doc, sub, "version", s->version);
                mjson_set_str(doc, sub, "kind", s->kind);
                add_verbs(doc, sub, NULL, s->verbs);
        }
}

static void plain_resources(struct request *q, const struct api_version *v, const char *group_version) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *list;
        mjson_set_str(doc, root, "kind", "APIResourceList");
        if (strchr(group_version, '/'))
                mjson_set_str(doc, root, "apiVersion", "v1");
        mjson_set_str(doc, root, "groupVersion", group_version);
        list = mjson_arr(doc, root, "resources");
        for (size_t i = 0; i < v->resources.len; i++)
                add_plain(doc, list, v->resources.items[i]);
        answer_json(q, 200, root, 0);
}

static yyjson_mut_val *group_version(yyjson_mut_doc *doc, const char *group, const char *version) {
        AUTO(free) char *text = xasprintf("%s/%s", group, version);
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        mjson_set_str(doc, o, "groupVersion", text);
        mjson_set_str(doc, o, "version", version);
        return o;
}

static yyjson_mut_val *plain_group(yyjson_mut_doc *doc, const struct api_group *g) {
        yyjson_mut_val *o = yyjson_mut_obj(doc), *versions;
        mjson_set_str(doc, o, "name", g->name);
        versions = mjson_arr(doc, o, "versions");
        vec_foreach(v, &g->versions) yyjson_mut_arr_append(versions, group_version(doc, g->name, v->name));
        mjson_set(doc, o, "preferredVersion", group_version(doc, g->name, g->versions.items[0].name));
        return o;
}

static void plain_groups(struct request *q) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *list;
        const struct registry *r = &q->s->registry;

        mjson_set_str(doc, root, "kind", "APIGroupList");
        mjson_set_str(doc, root, "apiVersion", "v1");
        list = mjson_arr(doc, root, "groups");
        for (size_t i = 0; i < r->groups.len; i++)
                if (*r->groups.items[i]->name)
                        yyjson_mut_arr_append(list, plain_group(doc, r->groups.items[i]));
        if (discovery_has_metrics(q->s)) {
                yyjson_mut_val *o = yyjson_mut_obj(doc);
                mjson_set_str(doc, o, "name", METRICS_GROUP);
                yyjson_mut_arr_append(mjson_arr(doc, o, "versions"), group_version(doc, METRICS_GROUP, "v1beta1"));
                mjson_set(doc, o, "preferredVersion", group_version(doc, METRICS_GROUP, "v1beta1"));
                yyjson_mut_arr_append(list, o);
        }
        answer_json(q, 200, root, 0);
}

/* Aggregated. */

static yyjson_mut_val *response_kind(yyjson_mut_doc *doc, const char *group, const char *version, const char *kind) {
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        mjson_set_str(doc, o, "group", group);
        mjson_set_str(doc, o, "version", version);
        mjson_set_str(doc, o, "kind", kind);
        return o;
}

/* The kinds of a resource's own group are written with empty group and version by the real server for built-in groups. */
static void add_aggregated(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct resource *res) {
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        const char *group = res->is_custom ? res->group : "", *version = res->is_custom ? res->version : "";

        yyjson_mut_arr_append(list, o);
        mjson_set_str(doc, o, "resource", res->plural);
        mjson_set(doc, o, "responseKind", response_kind(doc, group, version, res->kind));
        mjson_set_str(doc, o, "scope", resource_is_namespaced(res) ? "Namespaced" : "Cluster");
        mjson_set_str(doc, o, "singularResource", res->singular);
        add_verbs(doc, o, res, res->verbs);
        add_strings(doc, o, "shortNames", &res->short_names);
        add_strings(doc, o, "categories", &res->categories);
        for (const struct subresource *s = res->subresources; s->name; s++) {
                yyjson_mut_val *sub = yyjson_mut_obj(doc);
                yyjson_mut_arr_append(mjson_arr(doc, o, "subresources"), sub);
                mjson_set_str(doc, sub, "subresource", s->name);
                mjson_set(doc, sub, "responseKind",
                          response_kind(doc, s->group ? s->group : group, s->version ? s->version : version, s->kind));
                add_verbs(doc, sub, NULL, s->verbs);
        }
}

static yyjson_mut_val *aggregated_group(yyjson_mut_doc *doc, const struct api_group *g) {
        yyjson_mut_val *o = yyjson_mut_obj(doc), *versions, *meta = mjson_obj(doc, o, "metadata");
        if (*g->name)
                mjson_set_str(doc, meta, "name", g->name);
        versions = mjson_arr(doc, o, "versions");
        vec_foreach(v, &g->versions) {
                yyjson_mut_val *version = yyjson_mut_obj(doc), *list;
                yyjson_mut_arr_append(versions, version);
                mjson_set_str(doc, version, "version", v->name);
                list = mjson_arr(doc, version, "resources");
                for (size_t i = 0; i < v->resources.len; i++)
                        add_aggregated(doc, list, v->resources.items[i]);
                mjson_set_str(doc, version, "freshness", "Current");
        }
        return o;
}

static yyjson_mut_val *aggregated_metrics(yyjson_mut_doc *doc) {
        yyjson_mut_val *o = yyjson_mut_obj(doc), *version = yyjson_mut_obj(doc), *list;
        mjson_set_str(doc, mjson_obj(doc, o, "metadata"), "name", METRICS_GROUP);
        yyjson_mut_arr_append(mjson_arr(doc, o, "versions"), version);
        mjson_set_str(doc, version, "version", "v1beta1");
        list = mjson_arr(doc, version, "resources");
        for (size_t i = 0; i < ARRAY_LEN(metrics_kinds); i++) {
                yyjson_mut_val *r = yyjson_mut_obj(doc);
                yyjson_mut_arr_append(list, r);
                mjson_set_str(doc, r, "resource", metrics_kinds[i].plural);
                mjson_set(doc, r, "responseKind", response_kind(doc, METRICS_GROUP, "v1beta1", metrics_kinds[i].kind));
                mjson_set_str(doc, r, "scope", metrics_kinds[i].namespaced ? "Namespaced" : "Cluster");
                mjson_set_str(doc, r, "singularResource", "");
                add_verbs(doc, r, NULL, VERB_GET | VERB_LIST);
        }
        mjson_set_str(doc, version, "freshness", "Current");
        return o;
}

static void answer_aggregated(struct request *q, yyjson_mut_val *root, const char *version) {
        AUTO(free) char *type = xasprintf("application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList", version);
        AUTO(str) struct str body = STR_INIT(0);
        size_t len;
        AUTO(free) char *text = mjson_write(root, false, &len);
        str_append(&body, text, len);
        answer(q, 200, type, &body, 0);
}

static void aggregated(struct request *q, bool core) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *items;
        const char *version = q->form == FORM_DISCOVERY ? "v2" : "v2beta1";
        AUTO(free) char *api_version = xasprintf("apidiscovery.k8s.io/%s", version);
        const struct registry *r = &q->s->registry;

        mjson_set_str(doc, root, "kind", "APIGroupDiscoveryList");
        mjson_set_str(doc, root, "apiVersion", api_version);
        mjson_obj(doc, root, "metadata");
        items = mjson_arr(doc, root, "items");
        for (size_t i = 0; i < r->groups.len; i++)
                if (core == (*r->groups.items[i]->name == '\0'))
                        yyjson_mut_arr_append(items, aggregated_group(doc, r->groups.items[i]));
        if (!core && discovery_has_metrics(q->s))
                yyjson_mut_arr_append(items, aggregated_metrics(doc));
        answer_aggregated(q, root, version);
}

/* Paths. */

static void core_versions(struct request *q) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *cidr = yyjson_mut_obj(doc);
        AUTO(free) char *address = xasprintf("%s:%d", q->s->advertise_address, q->s->advertise_port);
        mjson_set_str(doc, root, "kind", "APIVersions");
        mjson_add_str(doc, mjson_arr(doc, root, "versions"), "v1");
        mjson_set_str(doc, cidr, "clientCIDR", "0.0.0.0/0");
        mjson_set_str(doc, cidr, "serverAddress", address);
        yyjson_mut_arr_append(mjson_arr(doc, root, "serverAddressByClientCIDRs"), cidr);
        answer_json(q, 200, root, 0);
}

static void version_info(struct request *q) {
        AUTO(str) struct str body = STR_INIT(0);
        str_append_s(&body, "{\n  \"major\": \"1\",\n  \"minor\": \"34\",\n  \"emulationMajor\": \"1\",\n  \"emulationMinor\": \"34\",\n"
                            "  \"minCompatibilityMajor\": \"1\",\n  \"minCompatibilityMinor\": \"33\",\n  \"gitVersion\": \"" KUBE_VERSION
                            "+firesteel\",\n"
                            "  \"gitCommit\": \"" FIRESTEEL_VERSION
                            "\",\n  \"gitTreeState\": \"clean\",\n  \"buildDate\": \"1970-01-01T00:00:00Z\",\n"
                            "  \"goVersion\": \"none\",\n  \"compiler\": \"c\",\n  \"platform\": \"linux/amd64\"\n}");
        answer(q, 200, "application/json", &body, 0);
}

static void roots(struct request *q) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *paths = mjson_arr(doc, root, "paths");
        static const char *const more[] = {"/healthz", "/livez", "/metrics", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"};
        const struct registry *r = &q->s->registry;

        mjson_add_str(doc, paths, "/api");
        mjson_add_str(doc, paths, "/api/v1");
        mjson_add_str(doc, paths, "/apis");
        for (size_t i = 0; i < r->groups.len; i++) {
                const struct api_group *g = r->groups.items[i];
                if (!*g->name)
                        continue;
                AUTO(free) char *path = xasprintf("/apis/%s", g->name);
                mjson_add_str(doc, paths, path);
                vec_foreach(v, &g->versions) {
                        AUTO(free) char *deep = xasprintf("/apis/%s/%s", g->name, v->name);
                        mjson_add_str(doc, paths, deep);
                }
        }
        for (size_t i = 0; i < ARRAY_LEN(more); i++)
                mjson_add_str(doc, paths, more[i]);
        answer_json(q, 200, root, 0);
}

static void not_found(struct request *q) {
        AUTO(str) struct str body = STR_INIT(0);
        str_append_s(&body, "404 page not found\n");
        answer(q, 404, "text/plain; charset=utf-8", &body, 0);
}

static void metrics_resources(struct request *q) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *list;
        mjson_set_str(doc, root, "kind", "APIResourceList");
        mjson_set_str(doc, root, "apiVersion", "v1");
        mjson_set_str(doc, root, "groupVersion", METRICS_GROUP "/v1beta1");
        list = mjson_arr(doc, root, "resources");
        for (size_t i = 0; i < ARRAY_LEN(metrics_kinds); i++) {
                yyjson_mut_val *r = yyjson_mut_obj(doc);
                yyjson_mut_arr_append(list, r);
                mjson_set_str(doc, r, "name", metrics_kinds[i].plural);
                mjson_set_str(doc, r, "singularName", "");
                mjson_set_bool(doc, r, "namespaced", metrics_kinds[i].namespaced);
                mjson_set_str(doc, r, "kind", metrics_kinds[i].kind);
                add_verbs(doc, r, NULL, VERB_GET | VERB_LIST);
        }
        answer_json(q, 200, root, 0);
}

static int serve_groups(struct request *q, struct err *err) {
        const struct registry *r = &q->s->registry;
        const char *group = q->parts.len > 1 ? q->parts.items[1] : NULL, *version = q->parts.len > 2 ? q->parts.items[2] : NULL;
        bool wants_aggregate = q->form == FORM_DISCOVERY || q->form == FORM_DISCOVERY_BETA;

        if (!group) {
                if (wants_aggregate)
                        aggregated(q, false);
                else
                        plain_groups(q);
                return 0;
        }
        if (streq(group, METRICS_GROUP) && discovery_has_metrics(q->s) && version && streq(version, "v1beta1")) {
                metrics_resources(q);
                return 0;
        }
        const struct api_group *g = *group ? registry_group(r, group) : NULL;
        if (!g) {
                not_found(q);
                return 0;
        }
        if (!version) {
                AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
                yyjson_mut_val *o = plain_group(doc, g), *root = yyjson_mut_obj(doc), *key, *value;
                size_t i, n;
                mjson_set_str(doc, root, "kind", "APIGroup");
                mjson_set_str(doc, root, "apiVersion", "v1");
                yyjson_mut_obj_foreach(o, i, n, key, value)
                        mjson_set(doc, root, yyjson_mut_get_str(key), yyjson_mut_val_mut_copy(doc, value));
                answer_json(q, 200, root, 0);
                return 0;
        }
        const struct api_version *v = registry_version(r, group, version);
        if (!v)
                return status_no_resource(err);
        AUTO(free) char *text = xasprintf("%s/%s", group, version);
        plain_resources(q, v, text);
        return 0;
}

int discovery_serve(struct request *q, struct err *err) {
        const char *first = q->parts.len ? q->parts.items[0] : "";
        bool wants_aggregate = q->form == FORM_DISCOVERY || q->form == FORM_DISCOVERY_BETA;

        if (!*first) {
                roots(q);
        } else if (streq(first, "version") && q->parts.len == 1) {
                version_info(q);
        } else if (streq(first, "api") && q->parts.len == 1) {
                if (wants_aggregate)
                        aggregated(q, true);
                else
                        core_versions(q);
        } else if (streq(first, "api") && q->parts.len == 2) {
                const struct api_version *v = registry_version(&q->s->registry, "", q->parts.items[1]);
                if (!v)
                        return status_no_resource(err);
                plain_resources(q, v, q->parts.items[1]);
        } else if (streq(first, "apis")) {
                return serve_groups(q, err);
        } else if (streq(first, "openapi")) {
                if (openapi_serve(q, err) < 0)
                        not_found(q);
        } else {
                not_found(q);
        }
        return 0;
}
