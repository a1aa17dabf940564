#include "cluster/registry.h"

#include "cluster/hooks.h"
#include "cluster/object.h"
#include "cluster/store.h"
#include "cluster/crd/structural.h"
#include "kobj/meta.h"
#include "kobj/table.h"

const __typeof__(verb_names[0]) verb_names[8] = {
        {VERB_CREATE, "create"}, {VERB_DELETE, "delete"}, {VERB_DELETECOLLECTION, "deletecollection"}, {VERB_GET, "get"},
        {VERB_LIST, "list"},     {VERB_PATCH, "patch"},   {VERB_UPDATE, "update"},                     {VERB_WATCH, "watch"},
};

static const struct subresource no_subresources[] = {{0}};
static const struct kind_hooks no_hooks = {0};

const struct subresource *resource_subresource(const struct resource *r, const char *name) {
        for (const struct subresource *s = r->subresources; s->name; s++)
                if (streq(s->name, name))
                        return s;
        return NULL;
}

void resource_finish(struct resource *res) {
        if (!res->subresources)
                res->subresources = no_subresources;
        if (!res->hooks)
                res->hooks = &no_hooks;
        res->api_version = meta_join_api_version(res->group, res->version);
        res->id = *res->group ? xasprintf("%s.%s", res->plural, res->group) : xstrdup(res->plural);
        res->prefix = xasprintf("{\"kind\":\"%s\",\"apiVersion\":\"%s\",", res->kind, res->api_version);
        res->prefix_len = strlen(res->prefix);
        if (!res->list_kind)
                res->list_kind = xasprintf("%sList", res->kind);
        if (!res->storage)
                res->storage = res;
}

static void resource_free(struct resource *res) {
        free(res->group);
        free(res->version);
        free(res->plural);
        free(res->singular);
        free(res->kind);
        free(res->list_kind);
        strv_done(&res->short_names);
        strv_done(&res->categories);
        free(res->api_version);
        free(res->id);
        free(res->prefix);
        strv_done(&res->selectable_fields);
        structural_free((struct structural *)res->structural);
        if (res->has_own_subresources)
                free((struct subresource *)res->subresources);
        if (res->is_custom) {
                table_kind_free((struct table_kind *)res->table);
                free((char *)res->scale_spec);
                free((char *)res->scale_status);
                free((char *)res->scale_selector);
        }
        object_unref(res->crd);
        free(res);
}

static struct api_group *group_make(struct registry *r, const char *name) {
        struct api_group *g = (struct api_group *)registry_group(r, name);
        if (!g) {
                g = NEW(struct api_group);
                g->name = xstrdup(name);
                *vec_push(&r->groups) = g;
        }
        return g;
}

/* "v2beta3": 2, 1 (0 alpha, 1 beta, 2 stable), 3. False for names of another form. */
static bool version_rank(const char *name, int64_t ret[3]) {
        struct sv rest = sv_of(name);
        size_t digits = 0;
        memset(ret, 0, 3 * sizeof(*ret));
        if (rest.len < 2 || *name != 'v')
                return false;
        while (name[1 + digits] >= '0' && name[1 + digits] <= '9')
                digits++;
        if (!digits || !sv_to_int64(sv_new(name + 1, digits), &ret[0]))
                return false;
        name += 1 + digits;
        ret[1] = *name ? str_starts(name, "beta") : 2;
        if (!*name)
                return true;
        name += str_starts(name, "beta") ? 4 : str_starts(name, "alpha") ? 5 : 0;
        return sv_to_int64(sv_of(name), &ret[2]);
}

/* Stable before beta before alpha, higher numbers first, names of another form last: the order in which versions are preferred. */
static bool is_preferred(const char *a, const char *b) {
        static const int order[] = {1, 0, 2};
        int64_t x[3], y[3];
        bool ranked_a = version_rank(a, x), ranked_b = version_rank(b, y);
        if (!ranked_a || !ranked_b)
                return ranked_a != ranked_b ? ranked_a : strcmp(a, b) < 0;
        for (size_t i = 0; i < ARRAY_LEN(order); i++)
                if (x[order[i]] != y[order[i]])
                        return x[order[i]] > y[order[i]];
        return false;
}

static struct api_version *version_make(struct api_group *g, const char *name) {
        struct api_version *v;
        vec_foreach(have, &g->versions)
                if (streq(have->name, name))
                        return have;
        size_t at = 0;
        while (at < g->versions.len && !is_preferred(name, g->versions.items[at].name))
                at++;
        (void)vec_push(&g->versions);
        v = &g->versions.items[at];
        memmove(v + 1, v, (g->versions.len - 1 - at) * sizeof(*v));
        *v = (struct api_version){.name = xstrdup(name)};
        return v;
}

static char *path_key(const char *group, const char *version, const char *plural) { return xasprintf("%s/%s/%s", group, version, plural); }

void registry_add(struct registry *r, struct resource *res) {
        struct api_version *v = version_make(group_make(r, res->group), res->version);
        AUTO(free) char *key = path_key(res->group, res->version, res->plural);
        size_t at = 0;

        while (at < v->resources.len && strcmp(v->resources.items[at]->plural, res->plural) < 0)
                at++;
        (void)vec_push(&v->resources);
        memmove(&v->resources.items[at + 1], &v->resources.items[at], (v->resources.len - 1 - at) * sizeof(*v->resources.items));
        v->resources.items[at] = res;
        map_set(&r->by_path, key, res);
        if (res->storage == res)
                map_set(&r->by_id, res->id, res);
        *vec_push(&r->all) = res;
        res->is_served = true;
        r->revision++;
}

void registry_remove(struct registry *r, struct resource *res) {
        struct api_group *g = (struct api_group *)registry_group(r, res->group);
        AUTO(free) char *key = path_key(res->group, res->version, res->plural);

        if (!g || !res->is_served)
                return;
        res->is_served = false;
        map_remove(&r->by_path, key);
        if (map_get(&r->by_id, res->id) == res)
                map_remove(&r->by_id, res->id);
        for (size_t i = 0; i < g->versions.len; i++) {
                struct api_version *v = &g->versions.items[i];
                if (!streq(v->name, res->version))
                        continue;
                for (size_t j = 0; j < v->resources.len; j++)
                        if (v->resources.items[j] == res) {
                                vec_remove(&v->resources, j);
                                break;
                        }
                if (v->resources.len == 0) {
                        free(v->name);
                        vec_done(&v->resources);
                        vec_remove(&g->versions, i);
                }
                break;
        }
        for (size_t i = 0; i < r->groups.len && g->versions.len == 0; i++)
                if (r->groups.items[i] == g) {
                        vec_remove(&r->groups, i);
                        vec_done(&g->versions);
                        free(g->name);
                        free(g);
                        break;
                }
        r->revision++;
}

struct resource *registry_find(const struct registry *r, const char *group, const char *version, const char *plural) {
        AUTO(free) char *key = path_key(group, version, plural);
        return map_get(&r->by_path, key);
}

struct resource *registry_by_id(const struct registry *r, const char *id) { return map_get(&r->by_id, id); }

struct resource *registry_by_kind(const struct registry *r, const char *group, const char *version, const char *kind) {
        const struct api_version *v = registry_version(r, group, version);
        for (size_t i = 0; v && i < v->resources.len; i++)
                if (streq(v->resources.items[i]->kind, kind))
                        return v->resources.items[i];
        return NULL;
}

const struct api_group *registry_group(const struct registry *r, const char *group) {
        for (size_t i = 0; i < r->groups.len; i++)
                if (streq(r->groups.items[i]->name, group))
                        return r->groups.items[i];
        return NULL;
}

const struct api_version *registry_version(const struct registry *r, const char *group, const char *version) {
        const struct api_group *g = registry_group(r, group);
        for (size_t i = 0; g && i < g->versions.len; i++)
                if (streq(g->versions.items[i].name, version))
                        return &g->versions.items[i];
        return NULL;
}

static struct resource *resource_from_row(const struct kind_row *row) {
        struct resource *res = NEW(struct resource);
        res->group = xstrdup(row->group);
        res->version = xstrdup(row->version);
        res->plural = xstrdup(row->plural);
        res->singular = xstrdup(row->singular);
        res->kind = xstrdup(row->kind);
        if (row->short_names)
                strv_split(&res->short_names, row->short_names, ' ');
        if (row->categories)
                strv_split(&res->categories, row->categories, ' ');
        res->flags = row->flags;
        res->verbs = row->verbs;
        res->subresources = row->subresources;
        res->name_check = row->name_check;
        res->hooks = row->hooks;
        res->schema = schema_of_kind(row->group, row->version, row->kind);
        if (row->subresources)
                for (const struct subresource *s = row->subresources; s->name; s++)
                        if (streq(s->name, "status"))
                                res->flags |= KIND_STATUS;
        return res;
}

void registry_init(struct registry *r, struct store *store) {
        *r = (struct registry){.by_path = MAP_INIT(NULL), .by_id = MAP_INIT(NULL)};
        for (size_t i = 0; i < kind_rows_len; i++) {
                struct resource *res = resource_from_row(&kind_rows[i]);
                resource_finish(res);
                const char *storage_id = res->hooks->storage_id ? res->hooks->storage_id : res->id;
                if (!(res->flags & KIND_VIRTUAL))
                        res->objects = store_collection(store, storage_id);
                if ((res->flags & KIND_NOT_STORAGE) || res->hooks->storage_id)
                        res->storage = NULL; /* linked below, once its storage version is there */
                registry_add(r, res);
        }
        for (size_t i = 0; i < r->all.len; i++)
                if (!r->all.items[i]->storage)
                        r->all.items[i]->storage = registry_by_id(r, r->all.items[i]->objects->id);
}

void registry_done(struct registry *r) {
        for (size_t i = 0; i < r->groups.len; i++) {
                struct api_group *g = r->groups.items[i];
                vec_foreach(v, &g->versions) {
                        free(v->name);
                        vec_done(&v->resources);
                }
                vec_done(&g->versions);
                free(g->name);
                free(g);
        }
        vec_done(&r->groups);
        map_done(&r->by_path);
        map_done(&r->by_id);
        for (size_t i = 0; i < r->all.len; i++)
                resource_free(r->all.items[i]);
        vec_done(&r->all);
}
