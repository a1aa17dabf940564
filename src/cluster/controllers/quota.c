/* ResourceQuota.status: what a namespace may use and uses. Admission counts by itself; this is what people see. */
#include "cluster/quota.h"

#include <stdlib.h>

#include "base/log.h"
#include "cluster/controllers/control.h"

enum { SETTLE_MS = 50, LOOK_MS = 1000 };

struct quotas {
        struct control *c;
        struct queue *queue;
        struct timer *look;
        uint64_t registry_revision;
        struct strv watched;
};

static int reconcile(void *arg, const char *ns, const char *name, struct err *err) {
        struct quotas *s = arg;
        struct object *found = api_peek(s->c->api, "resourcequotas", ns, name);
        AUTO(object) struct object *q = found ? object_ref(found) : NULL;
        if (!q || object_is_deleting(q))
                return 0;
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(q);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *status = mjson_obj(doc, root, "status"), *used = yyjson_mut_obj(doc);
        yyjson_val *hard = object_at(q, "/spec/hard"), *key, *value;
        size_t i, max;
        yyjson_obj_foreach(hard, i, max, key, value) {
                char text[64];
                if (str_starts(yyjson_get_str(key), "count/") &&
                    !registry_by_id(&s->c->server->registry, yyjson_get_str(key) + strlen("count/")))
                        continue; /* nobody counts what is not served */
                quantity_format(quota_used(s->c->server, object_root(q), ns, yyjson_get_str(key)), text);
                mjson_set_str(doc, used, yyjson_get_str(key), text);
        }
        mjson_set(doc, status, "hard", hard ? yyjson_val_mut_copy(doc, hard) : yyjson_mut_obj(doc));
        mjson_set(doc, status, "used", used);
        int r = write_status(s->c, "resourcequotas", q, root, err);
        return r < 0 ? r : 0;
}

/* Something came, went or changed its size: all quotas of its namespace are counted again, once for a burst. */
static void on_object(void *arg, const struct api_event *e) {
        struct quotas *s = arg;
        AUTO(object_list) struct object_list quotas = {0};
        if (!e->object)
                return;
        bool same = e->old && json_equal(object_at(e->old, "/spec"), object_at(e->object, "/spec")) &&
                    json_equal(object_at(e->old, "/status/phase"), object_at(e->object, "/status/phase"));
        if (same || api_list(s->c->api, "resourcequotas", e->object->namespace, NULL, NULL, &quotas, NULL) < 0)
                return;
        vec_foreach(q, &quotas) queue_add_after(s->queue, (*q)->namespace, (*q)->name, SETTLE_MS);
}

static void look(void *arg) {
        struct quotas *s = arg;
        struct registry *registry = &s->c->server->registry;
        if (registry->revision == s->registry_revision)
                return;
        s->registry_revision = registry->revision;
        vec_foreach(r, &registry->all) {
                const struct resource *res = *r;
                if (!res->objects || !res->is_served || res->storage != res || !resource_is_namespaced(res) ||
                    str_starts(res->id, "events") || streq(res->id, "resourcequotas") || streq(res->id, "leases.coordination.k8s.io") ||
                    strv_has(&s->watched, res->id))
                        continue;
                strv_add(&s->watched, res->id);
                api_watch_start(s->c->api, res->id, NULL, NULL, NULL, on_object, s);
        }
}

static void *start(struct control *c) {
        struct quotas *s = NEW(struct quotas);
        s->c = c;
        s->queue = queue_new(c->api, "quota", reconcile, s);
        s->registry_revision = UINT64_MAX;
        api_watch_start(c->api, "resourcequotas", NULL, NULL, NULL, queue_on_object, s->queue);
        look(s);
        s->look = timer_new(api_loop(c->api), LOOK_MS, LOOK_MS, look, s);
        return s;
}

static void stop(void *state) {
        struct quotas *s = state;
        timer_free(s->look);
        queue_free(s->queue);
        strv_done(&s->watched);
        free(s);
}

const struct controller controller_quota = {"quota", "resourcequota-controller", start, stop};
