/* Garbage collection by ownerReferences: what no owner is left of goes; foreground deletion waits for dependents, orphaning lets them go.
 *
 * A graph of who names whom is kept from watches of every kind (events apart). Decisions are made on what is in memory at that moment, by
 * uid. */
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "cluster/controllers/control.h"
#include "cluster/server-internal.h"

enum { LOOK_MS = 250 };

/* An object that has owners or is one. */
struct node {
        char *resource, *ns, *name; /* NULL: only known as an owner */
        struct strv owners;         /* uids */
        struct strv dependents;     /* uids */
};

struct garbage {
        struct control *c;
        struct queue *queue; /* keys: uids, as names */
        struct map nodes;    /* uid -> node */
        struct map watched;  /* resource id -> watch */
        struct timer *look;  /* for kinds that come and go */
        uint64_t registry_revision;
};

static void node_free(void *p) {
        struct node *n = p;
        free(n->resource);
        free(n->ns);
        free(n->name);
        strv_done(&n->owners);
        strv_done(&n->dependents);
        free(n);
}

static struct node *node_of(struct garbage *g, const char *uid) {
        struct node *n = map_get(&g->nodes, uid);
        if (!n) {
                n = NEW(struct node);
                map_set(&g->nodes, uid, n);
        }
        return n;
}

static void remove_name(struct strv *list, const char *name) {
        for (size_t i = list->len; i-- > 0;)
                if (streq(list->items[i], name)) {
                        free(list->items[i]);
                        vec_remove(list, i);
                }
        if (list->items)
                list->items[list->len] = NULL;
}

static void forget_if_idle(struct garbage *g, const char *uid) {
        struct node *n = map_get(&g->nodes, uid);
        if (n && !n->resource && !n->dependents.len)
                map_remove(&g->nodes, uid);
}

static void set_owners(struct garbage *g, const char *uid, yyjson_val *references) {
        struct node *n = node_of(g, uid);
        struct strv before = n->owners;
        size_t i, max;
        yyjson_val *ref;
        n->owners = (struct strv){0};
        yyjson_arr_foreach(references, i, max, ref) {
                const char *owner = json_get_str(ref, "uid");
                if (!owner)
                        continue;
                strv_add(&n->owners, owner);
                struct node *o = node_of(g, owner);
                if (!strv_has(&o->dependents, uid))
                        strv_add(&o->dependents, uid);
        }
        n = map_get(&g->nodes, uid);
        for (i = 0; i < before.len; i++) {
                struct node *o = strv_has(&n->owners, before.items[i]) ? NULL : map_get(&g->nodes, before.items[i]);
                if (o) {
                        remove_name(&o->dependents, uid);
                        forget_if_idle(g, before.items[i]);
                }
        }
        strv_done(&before);
}

/* ---- looking ---- */

static struct object *current(struct garbage *g, const char *uid) {
        struct node *n = map_get(&g->nodes, uid);
        struct object *o = n && n->resource ? api_peek(g->c->api, n->resource, n->ns, n->name) : NULL;
        return o && streq(o->uid, uid) ? o : NULL;
}

enum standing { OWNER_ABSENT, OWNER_SOLID, OWNER_WAITING };

/* Is the owner there? Waiting: it is being deleted in the foreground, and this reference holds it up. */
static enum standing standing_of(struct garbage *g, const struct object *dependent, yyjson_val *ref) {
        struct sv group, version;
        const char *name = json_get_str(ref, "name"), *uid = json_get_str(ref, "uid");
        meta_split_api_version(json_get_str(ref, "apiVersion"), &group, &version);
        AUTO(free) char *gr = sv_dup(group);
        AUTO(free) char *ve = sv_dup(version);
        struct resource *res = registry_by_kind(&g->c->server->registry, gr, ve, json_get_str(ref, "kind"));
        if (!res || !res->storage || !name || !uid)
                return res || !name || !uid ? OWNER_ABSENT : OWNER_SOLID; /* of an unknown kind nothing can be said */
        struct object *owner = api_peek(g->c->api, res->storage->id, resource_is_namespaced(res) ? dependent->namespace : NULL, name);
        if (!owner || !streq(owner->uid, uid))
                return OWNER_ABSENT;
        bool waits = object_is_deleting(owner) && meta_has_finalizer(object_root(owner), "foregroundDeletion");
        return waits && json_get_bool(ref, "blockOwnerDeletion", false) ? OWNER_WAITING : OWNER_SOLID;
}

/* ---- acting ---- */

static int tolerant(int r, struct err *why, struct err *err) {
        return r < 0 && why->http_status != 404 && why->http_status != 409 ? err_move(err, why) : 0;
}

static int drop_references(struct garbage *g, const struct object *o, const struct strv *uids, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(o);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *list = mjson_at(root, "/metadata/ownerReferences");
        AUTO(err) struct err why = ERR_INIT;
        for (size_t i = yyjson_mut_arr_size(list); i-- > 0;) {
                const char *uid = mjson_get_str(yyjson_mut_arr_get(list, i), "uid");
                if (uid && strv_has(uids, uid))
                        yyjson_mut_arr_remove(list, i);
        }
        if (!yyjson_mut_arr_size(list))
                mjson_remove(mmeta_of(root), "ownerReferences");
        return tolerant(api_update(g->c->api, o->resource->id, root, NULL, &why), &why, err);
}

static int collect(struct garbage *g, const struct object *o, const char *policy, struct err *err) {
        struct api_delete_options options = API_DELETE_DEFAULT;
        AUTO(err) struct err why = ERR_INIT;
        options.uid = o->uid;
        options.propagation = meta_has_finalizer(object_root(o), "orphan")               ? "Orphan"
                              : meta_has_finalizer(object_root(o), "foregroundDeletion") ? "Foreground"
                                                                                         : policy;
        return tolerant(api_delete(g->c->api, o->resource->id, o->namespace, o->name, &options, &why), &why, err);
}

/* Does this object still have a reason to be? */
static int judge(struct garbage *g, struct object *o, struct err *err) {
        yyjson_val *ref;
        AUTO(strv) struct strv gone = {0};
        size_t i, max, solid = 0, waiting = 0;
        if (object_is_deleting(o) || !o->has_owners)
                return 0;
        yyjson_arr_foreach(meta_owners(object_root(o)), i, max, ref) {
                enum standing s = standing_of(g, o, ref);
                solid += s == OWNER_SOLID;
                waiting += s == OWNER_WAITING;
                if (s != OWNER_SOLID)
                        strv_add(&gone, json_get_str(ref, "uid") ? json_get_str(ref, "uid") : "");
        }
        if (solid)
                return gone.len ? drop_references(g, o, &gone, err) : 0;
        struct node *n = map_get(&g->nodes, o->uid);
        /* In the foreground, a dependent that has dependents itself goes the same way. */
        return collect(g, o, waiting && n && n->dependents.len ? "Foreground" : "Background", err);
}

static int drop_finalizer(struct garbage *g, const struct object *o, const char *finalizer, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(o);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        AUTO(err) struct err why = ERR_INIT;
        mmeta_remove_finalizer(root, finalizer);
        return tolerant(api_update(g->c->api, o->resource->id, root, NULL, &why), &why, err);
}

static int orphan_dependents(struct garbage *g, const struct object *owner, struct err *err) {
        struct node *n = map_get(&g->nodes, owner->uid);
        AUTO(strv) struct strv uids = {0}, mine = {0};
        strv_add(&mine, owner->uid);
        for (size_t i = 0; n && i < n->dependents.len; i++)
                strv_add(&uids, n->dependents.items[i]);
        for (size_t i = 0; i < uids.len; i++) {
                struct object *found = current(g, uids.items[i]);
                AUTO(object) struct object *o = found ? object_ref(found) : NULL;
                int r = o && meta_is_owned_by(object_root(o), owner->uid) ? drop_references(g, o, &mine, err) : 0;
                if (r < 0)
                        return r;
        }
        return drop_finalizer(g, owner, "orphan", err);
}

static bool blocks(const struct object *o, const char *owner_uid) {
        size_t i, max;
        yyjson_val *ref;
        yyjson_arr_foreach(meta_owners(object_root(o)), i, max, ref) {
                if (streq_null(json_get_str(ref, "uid"), owner_uid) && json_get_bool(ref, "blockOwnerDeletion", false))
                        return true;
        }
        return false;
}

static int wait_for_dependents(struct garbage *g, const struct object *owner, struct err *err) {
        struct node *n = map_get(&g->nodes, owner->uid);
        bool held = false;
        for (size_t i = 0; n && i < n->dependents.len; i++) {
                struct object *o = current(g, n->dependents.items[i]);
                if (!o)
                        continue;
                held |= blocks(o, owner->uid);
                queue_add(g->queue, "", o->uid);
        }
        return held ? 0 : drop_finalizer(g, owner, "foregroundDeletion", err);
}

static int reconcile(void *arg, const char *unused, const char *uid, struct err *err) {
        struct garbage *g = arg;
        struct object *found = current(g, uid);
        AUTO(object) struct object *o = found ? object_ref(found) : NULL;
        if (!o) {
                struct node *n = map_get(&g->nodes, uid);
                for (size_t i = 0; n && i < n->dependents.len; i++)
                        queue_add(g->queue, "", n->dependents.items[i]);
                return 0;
        }
        if (object_is_deleting(o) && meta_has_finalizer(object_root(o), "orphan"))
                return orphan_dependents(g, o, err);
        if (object_is_deleting(o) && meta_has_finalizer(object_root(o), "foregroundDeletion"))
                return wait_for_dependents(g, o, err);
        return judge(g, o, err);
}

/* ---- watching ---- */

static void on_gone(struct garbage *g, const struct object *o) {
        struct node *n = map_get(&g->nodes, o->uid);
        if (!n)
                return;
        free(n->resource);
        n->resource = NULL;
        for (size_t i = 0; i < n->dependents.len; i++)
                queue_add(g->queue, "", n->dependents.items[i]);
        for (size_t i = 0; i < n->owners.len; i++)
                queue_add(g->queue, "", n->owners.items[i]); /* one that waits for its dependents */
        set_owners(g, o->uid, NULL);
        forget_if_idle(g, o->uid);
}

static void on_event(void *arg, const struct api_event *e) {
        struct garbage *g = arg;
        struct object *o = e->object;
        if (!o)
                return;
        if (e->type == API_DELETED) {
                on_gone(g, o);
                return;
        }
        bool has_refs = o->has_owners, ends = object_is_deleting(o);
        if (!map_has(&g->nodes, o->uid) && !has_refs && !ends)
                return; /* most objects neither own nor are owned; owners are looked up by name when they end */
        struct node *n = node_of(g, o->uid);
        if (!n->resource) {
                n->resource = xstrdup(o->resource->id);
                free(n->ns);
                free(n->name);
                n->ns = xstrdup(o->namespace);
                n->name = xstrdup(o->name);
        }
        set_owners(g, o->uid, has_refs ? meta_owners(object_root(o)) : NULL);
        if (has_refs || ends)
                queue_add(g->queue, "", o->uid);
}

static bool is_watched_kind(const struct resource *r) {
        return r->objects && r->is_served && r->storage == r && (r->verbs & VERB_DELETE) && (r->verbs & VERB_WATCH) &&
               !str_starts(r->id, "events");
}

static void look(void *arg) {
        struct garbage *g = arg;
        struct registry *registry = &g->c->server->registry;
        if (registry->revision == g->registry_revision)
                return;
        g->registry_revision = registry->revision;
        vec_foreach(r, &registry->all) {
                if (is_watched_kind(*r) && !map_has(&g->watched, (*r)->id))
                        map_set(&g->watched, (*r)->id, api_watch_start(g->c->api, (*r)->id, NULL, NULL, NULL, on_event, g));
        }
}

static void *start(struct control *c) {
        struct garbage *g = NEW(struct garbage);
        g->c = c;
        g->nodes = MAP_INIT(node_free);
        g->watched = MAP_INIT(NULL);
        g->queue = queue_new(c->api, "garbage", reconcile, g);
        g->registry_revision = UINT64_MAX;
        look(g);
        g->look = timer_new(api_loop(c->api), LOOK_MS, LOOK_MS, look, g);
        return g;
}

static void stop(void *state) {
        struct garbage *g = state;
        timer_free(g->look);
        queue_free(g->queue);
        map_done(&g->nodes);
        map_done(&g->watched);
        free(g);
}

const struct controller controller_garbage = {"garbage", "generic-garbage-collector", start, stop};
