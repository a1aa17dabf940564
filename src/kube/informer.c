#include "kube/informer.h"

#include "kobj/meta.h"

enum { RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 60 * 1000 };

struct informer {
        struct kube_client *client;
        struct informer_options o;
        char *namespace_, *label_selector, *field_selector;
        struct map objects; /* namespace/name -> yyjson_doc */
        struct kube_listing *listing;
        struct kube_watch *watch;
        struct timer *timer;
        VEC(yyjson_doc *) retired; /* replaced in this turn of the loop; a callback may still look at them */
        struct timer *sweep;
        int64_t retry_ms;
        bool has_synced;
};

static char *key_of(yyjson_val *object) {
        const char *namespace_ = meta_namespace(object), *name = meta_name(object);
        return xasprintf("%s/%s", namespace_ ? namespace_ : "", name ? name : "");
}

static void free_retired(struct informer *i) {
        vec_foreach(doc, &i->retired) {
                yyjson_doc_free(*doc);
        }
        vec_done(&i->retired);
}

static void sweep(void *arg) {
        struct informer *i = arg;
        timer_free(TAKE(i->sweep));
        free_retired(i);
}

static void retire(struct informer *i, yyjson_doc *doc) {
        *vec_push(&i->retired) = doc;
        if (!i->sweep)
                i->sweep = timer_new(kube_client_loop(i->client), 0, 0, sweep, i);
}

static yyjson_doc *copy_object(yyjson_val *object) {
        AUTO(mjson) yyjson_mut_doc *thawed = json_thaw(object);
        return mjson_freeze(yyjson_mut_doc_get_root(thawed));
}

static void put(struct informer *i, yyjson_val *object) {
        AUTO(free) char *key = key_of(object);
        yyjson_doc *before = map_get(&i->objects, key), *now = copy_object(object);
        /* The map does not own its values (it would free `before` here), so an entry keeps its place. */
        map_set(&i->objects, key, now);
        if (!before) {
                if (i->o.on_add)
                        i->o.on_add(i->o.arg, yyjson_doc_get_root(now));
                return;
        }
        retire(i, before);
        yyjson_val *old = yyjson_doc_get_root(before), *new = yyjson_doc_get_root(now);
        if (i->o.on_update && !streq_null(meta_resource_version(old), meta_resource_version(new)))
                i->o.on_update(i->o.arg, old, new);
}

static void drop(struct informer *i, const char *key, yyjson_val *last) {
        yyjson_doc *before = map_take(&i->objects, key);
        if (!before)
                return;
        retire(i, before);
        if (i->o.on_delete)
                i->o.on_delete(i->o.arg, last ? last : yyjson_doc_get_root(before));
}

static void on_event(void *arg, enum kube_event_type type, yyjson_val *object) {
        struct informer *i = arg;
        if (type == KUBE_DELETED) {
                AUTO(free) char *key = key_of(object);
                drop(i, key, object);
        } else {
                put(i, object);
        }
}

static void list_now(struct informer *i);

static void retry(void *arg) {
        struct informer *i = arg;
        timer_free(TAKE(i->timer));
        list_now(i);
}

static void retry_later(struct informer *i) {
        i->retry_ms = i->retry_ms == 0 ? RETRY_FIRST_MS : i->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : i->retry_ms * 2;
        i->timer = timer_new(kube_client_loop(i->client), i->retry_ms, 0, retry, i);
}

static void on_expired(void *arg) { list_now(arg); }

static void on_watch_error(void *arg, const struct err *err) {
        struct informer *i = arg;
        if (i->o.on_error)
                i->o.on_error(i->o.arg, err);
        retry_later(i);
}

/* What the cache holds and the list does not was deleted while we did not look. */
static void drop_missing(struct informer *i, yyjson_val *items) {
        AUTO(map) struct map listed = MAP_INIT(NULL);
        size_t at, n;
        yyjson_val *item;
        yyjson_arr_foreach(items, at, n, item) {
                AUTO(free) char *key = key_of(item);
                map_set(&listed, key, item);
        }
        AUTO(strv) struct strv gone = {0};
        map_foreach(e, &i->objects) {
                if (!map_has(&listed, e->key))
                        strv_add(&gone, e->key);
        }
        vec_foreach(key, &gone) {
                drop(i, *key, NULL);
        }
}

static void start_watch(struct informer *i, const char *resource_version) {
        if (i->watch) {
                kube_watch_resume(i->watch, resource_version);
                return;
        }
        i->watch = kube_watch_start(i->client, &(struct kube_watch_options){
                .resource = i->o.resource,
                .namespace_ = i->namespace_,
                .label_selector = i->label_selector,
                .field_selector = i->field_selector,
                .resource_version = resource_version,
                .on_event = on_event,
                .on_expired = on_expired,
                .on_error = on_watch_error,
                .arg = i,
        });
}

static void on_list(void *arg, yyjson_doc *list_doc, const struct err *err) {
        struct informer *i = arg;
        i->listing = NULL;
        if (err) {
                if (i->o.on_error)
                        i->o.on_error(i->o.arg, err);
                retry_later(i);
                return;
        }
        AUTO(json) yyjson_doc *doc = list_doc;
        yyjson_val *root = yyjson_doc_get_root(doc), *items = yyjson_obj_get(root, "items");
        i->retry_ms = 0;
        drop_missing(i, items);
        size_t at, n;
        yyjson_val *item;
        yyjson_arr_foreach(items, at, n, item) {
                put(i, item);
        }
        start_watch(i, json_str_at(root, "/metadata/resourceVersion"));
        if (!i->has_synced) {
                i->has_synced = true;
                if (i->o.on_sync)
                        i->o.on_sync(i->o.arg);
        }
}

static void list_now(struct informer *i) {
        struct kube_list_options o = {.label_selector = i->label_selector, .field_selector = i->field_selector};
        i->listing = kube_list_start(i->client, i->o.resource, i->namespace_, &o, on_list, i);
}

struct informer *informer_start(struct kube_client *c, const struct informer_options *o) {
        struct informer *i = NEW(struct informer);
        i->client = c;
        i->o = *o;
        i->namespace_ = xstrdup_null(o->namespace_);
        i->label_selector = xstrdup_null(o->label_selector);
        i->field_selector = xstrdup_null(o->field_selector);
        i->objects = MAP_INIT(NULL);
        list_now(i);
        return i;
}

void informer_free(struct informer *i) {
        if (!i)
                return;
        kube_list_cancel(i->listing);
        kube_watch_free(i->watch);
        if (i->timer)
                timer_free(i->timer);
        if (i->sweep)
                timer_free(i->sweep);
        free_retired(i);
        map_foreach(e, &i->objects) {
                yyjson_doc_free(e->value);
        }
        map_done(&i->objects);
        free(i->namespace_);
        free(i->label_selector);
        free(i->field_selector);
        free(i);
}

bool informer_has_synced(const struct informer *i) { return i->has_synced; }
size_t informer_len(const struct informer *i) { return i->objects.len; }

yyjson_val *informer_get(const struct informer *i, const char *namespace_, const char *name) {
        AUTO(free) char *key = xasprintf("%s/%s", namespace_ ? namespace_ : "", name);
        yyjson_doc *doc = map_get(&i->objects, key);
        return doc ? yyjson_doc_get_root(doc) : NULL;
}

void informer_each(const struct informer *i, bool (*fn)(void *arg, yyjson_val *object), void *arg) {
        map_foreach(e, &i->objects) {
                if (!fn(arg, yyjson_doc_get_root(e->value)))
                        return;
        }
}
