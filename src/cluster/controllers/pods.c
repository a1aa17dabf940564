#include <stdio.h>

#include "cluster/controllers/control.h"
#include "codec/ktime.h"
#include "kobj/selector.h"

bool pod_is_finished(yyjson_val *pod) {
        const char *phase = json_str_at(pod, "/status/phase");
        return streq_null(phase, "Succeeded") || streq_null(phase, "Failed");
}

bool pod_is_ready(yyjson_val *pod) { return meta_condition_is(pod, "Ready", "True"); }

bool pod_is_available(yyjson_val *pod, int64_t min_ready_s, int64_t now_ms, int64_t *ret_wait_ms) {
        int64_t since_us;
        const char *since = json_get_str(meta_condition(pod, "Ready"), "lastTransitionTime");
        if (ret_wait_ms)
                *ret_wait_ms = 0;
        if (!pod_is_ready(pod))
                return false;
        if (min_ready_s <= 0)
                return true;
        if (!since || !ktime_parse(sv_of(since), &since_us))
                return false;
        int64_t left = since_us / 1000 + min_ready_s * 1000 - now_ms;
        if (left > 0 && ret_wait_ms)
                *ret_wait_ms = left;
        return left <= 0;
}

static int adopt(struct control *c, const struct object *owner, const struct object *pod, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(pod);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        mmeta_add_owner(doc, root, object_root(owner), true, true);
        return api_update(c->api, "pods", root, NULL, err);
}

static int let_go(struct control *c, const struct object *owner, const struct object *pod, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = object_edit(pod);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *owners = mjson_at(root, "/metadata/ownerReferences");
        for (size_t i = yyjson_mut_arr_size(owners); i-- > 0;)
                if (streq_null(mjson_get_str(yyjson_mut_arr_get(owners, i), "uid"), owner->uid))
                        yyjson_mut_arr_remove(owners, i);
        return api_update(c->api, "pods", root, NULL, err);
}

int pods_of(struct control *c, const struct object *owner, yyjson_val *label_selector, struct object_list *ret, struct err *err) {
        AUTO(selector) struct selector selector = {0};
        AUTO(object_list) struct object_list all = {0};
        int r = selector_from_object(label_selector, &selector, err);
        if (r >= 0)
                r = api_list(c->api, "pods", owner->namespace, NULL, NULL, &all, err);
        if (r < 0)
                return r;
        bool deleting = object_is_deleting(owner);
        vec_foreach(p, &all) {
                bool mine = object_is_controlled_by(*p, owner->uid), matches = object_matches(*p, &selector);
                r = 0;
                if (mine && !matches && !deleting)
                        r = let_go(c, owner, *p, err);
                else if (!mine && matches && !(*p)->owner_uid && !deleting && object_is_active(*p))
                        r = adopt(c, owner, *p, err);
                else if (!mine)
                        continue;
                if (r < 0)
                        return r;
                if (matches || deleting)
                        *vec_push(ret) = object_ref(*p);
        }
        return (int)ret->len;
}

yyjson_mut_doc *pod_from_template(yyjson_val *template, yyjson_val *owner, const char *generate_name, const char *name) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *meta;
        yyjson_val *from = yyjson_obj_get(template, "metadata"), *spec = yyjson_obj_get(template, "spec");
        static const char *const copied[] = {"labels", "annotations", "finalizers"};
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "apiVersion", "v1");
        mjson_set_str(doc, root, "kind", "Pod");
        meta = mmeta_make(doc, root);
        mjson_set_str(doc, meta, "generateName", generate_name);
        mjson_set_str(doc, meta, "name", name);
        mjson_set_str(doc, meta, "namespace", meta_namespace(owner));
        for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
                yyjson_val *v = yyjson_obj_get(from, copied[i]);
                if (v)
                        mjson_set(doc, meta, copied[i], yyjson_val_mut_copy(doc, v));
        }
        mmeta_add_owner(doc, root, owner, true, true);
        mjson_set(doc, root, "spec", spec ? yyjson_val_mut_copy(doc, spec) : yyjson_mut_obj(doc));
        return doc;
}

int pod_create(struct control *c, const struct object *owner, yyjson_mut_doc *pod, struct object **ret, struct err *err) {
        struct object *made = NULL;
        AUTO(err) struct err why = ERR_INIT;
        int r = api_create(c->api, "pods", owner->namespace, yyjson_mut_doc_get_root(pod), &made, &why);
        if (r < 0) {
                /* A namespace on its way out refuses everything: nothing to complain about. */
                if (!streq_null(why.reason, "NamespaceTerminating"))
                        api_event(c->api, owner, "Warning", "FailedCreate", "Error creating: %s", err_message(&why));
                return err_move(err, &why);
        }
        api_event(c->api, owner, "Normal", "SuccessfulCreate", "Created pod: %s", made->name);
        if (ret)
                *ret = made;
        else
                object_unref(made);
        return 0;
}

int pod_delete(struct control *c, const struct object *owner, const struct object *pod, struct err *err) {
        AUTO(err) struct err why = ERR_INIT;
        struct api_delete_options o = API_DELETE_DEFAULT;
        o.uid = pod->uid;
        o.propagation = "Background";
        int r = api_delete(c->api, "pods", pod->namespace, pod->name, &o, &why);
        if (r < 0 && why.http_status == 404)
                return 0;
        if (r < 0)
                return err_move(err, &why);
        api_event(c->api, owner, "Normal", "SuccessfulDelete", "Deleted pod: %s", pod->name);
        return 0;
}

int write_status(struct control *c, const char *resource, const struct object *old, yyjson_mut_val *edited, struct err *err) {
        yyjson_mut_val *status = yyjson_mut_obj_get(edited, "status"), *annotations = mjson_at(edited, "/metadata/annotations");
        AUTO(json) yyjson_doc *now = status ? mjson_freeze(status) : NULL, *notes = annotations ? mjson_freeze(annotations) : NULL;
        if (!status || (json_equal(yyjson_doc_get_root(now), object_at(old, "/status")) &&
                        (!notes || json_equal(yyjson_doc_get_root(notes), object_at(old, "/metadata/annotations")))))
                return 0;
        mmeta_set(NULL, edited, "resourceVersion", NULL); /* only this controller writes it */
        int r = api_update_status(c->api, resource, edited, NULL, err);
        return r < 0 ? r : 1;
}

int64_t scaled_value(yyjson_val *v, int64_t total, bool round_up, int64_t otherwise) {
        if (yyjson_is_int(v))
                return yyjson_get_sint(v);
        struct sv text = sv_of(yyjson_get_str(v));
        int64_t percent;
        if (!text.len || text.data[text.len - 1] != '%' || !sv_to_int64(sv_new(text.data, text.len - 1), &percent))
                return otherwise;
        return (percent * total + (round_up ? 99 : 0)) / 100;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* JSON with sorted keys, so that equal values have equal texts. */
static void canonical(struct str *out, yyjson_val *v) {
        size_t i, max;
        yyjson_val *key, *member;
        if (yyjson_is_obj(v)) {
                AUTO(strv) struct strv names = {0};
                yyjson_obj_foreach(v, i, max, key, member) strv_add(&names, yyjson_get_str(key));
                if (names.len)
                        qsort(names.items, names.len, sizeof(*names.items), compare_names);
                str_append_c(out, '{');
                for (i = 0; i < names.len; i++) {
                        json_append_quoted(out, sv_of(names.items[i]));
                        str_append_c(out, ':');
                        canonical(out, yyjson_obj_get(v, names.items[i]));
                        str_append_c(out, ',');
                }
                str_append_c(out, '}');
        } else if (yyjson_is_arr(v)) {
                str_append_c(out, '[');
                yyjson_arr_foreach(v, i, max, member) {
                        canonical(out, member);
                        str_append_c(out, ',');
                }
                str_append_c(out, ']');
        } else {
                AUTO(free) char *text = json_write(v, false, NULL);
                str_append_s(out, text);
        }
}

void template_hash(yyjson_val *template, int64_t collisions, char ret[16]) {
        static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
        AUTO(str) struct str text = STR_INIT(0);
        uint32_t hash = 2166136261u; /* FNV-1a */
        canonical(&text, template);
        if (collisions)
                str_appendf(&text, "#%lld", (long long)collisions);
        for (size_t i = 0; i < text.len; i++)
                hash = (hash ^ (unsigned char)text.data[i]) * 16777619u;
        char digits[16];
        snprintf(digits, sizeof(digits), "%u", hash);
        size_t n = 0;
        for (; digits[n]; n++)
                ret[n] = alphabet[(size_t)digits[n] % (sizeof(alphabet) - 1)];
        ret[n] = '\0';
}

void set_timed_condition(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *type, const char *status, const char *reason,
                         const char *message, int64_t now_ms) {
        char now[KTIME_SIZE];
        size_t i, max;
        yyjson_mut_val *c;
        if (!mmeta_set_condition(doc, object, type, status, reason, message, now_ms))
                return;
        ktime_format(now_ms, now);
        yyjson_mut_arr_foreach(mjson_at(object, "/status/conditions"), i, max, c) {
                if (streq_null(mjson_get_str(c, "type"), type))
                        mjson_set_str(doc, c, "lastUpdateTime", now);
        }
}
