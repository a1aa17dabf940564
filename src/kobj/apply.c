#include "kobj/apply.h"

#include <stdlib.h>

#include "base/vec.h"
#include "codec/ktime.h"
#include "kobj/invalid.h"
#include "kobj/meta.h"
#include "kobj/typed.h"

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"
#define BEFORE_FIRST_APPLY "before-first-apply"

enum { MAX_UPDATE_MANAGERS = 10, MAX_MANAGER_LENGTH = 128 };

/* One entry of managedFields. */
struct manager {
        char *name, *api_version, *subresource;
        char *time; /* RFC 3339, or NULL */
        bool apply;
        struct fieldset set;
};

struct managers {
        struct manager *items;
        size_t len, cap;
};

static void manager_done(struct manager *m) {
        free(m->name);
        free(m->api_version);
        free(m->subresource);
        free(m->time);
        fieldset_done(&m->set);
}

static void managers_done(struct managers *list) {
        vec_foreach(m, list) manager_done(m);
        vec_done(list);
}
DEFINE_AUTO_VALUE(managers, struct managers, managers_done)

/* ---- reading and writing managedFields ---- */

/* An entry with the same name and operation and, of updates, the same version and time: the later one counts. */
static struct manager *same_manager(struct managers *list, const struct manager *one) {
        vec_foreach(m, list) {
                if (m->apply == one->apply && streq(m->name, one->name) && streq(m->subresource, one->subresource) &&
                    (m->apply || (streq(m->api_version, one->api_version) && streq_null(m->time, one->time))))
                        return m;
        }
        return NULL;
}

static void read_managers(yyjson_val *fields, struct managers *ret) {
        size_t i, max;
        yyjson_val *entry;
        yyjson_arr_foreach(fields, i, max, entry) {
                const char *operation = json_get_str(entry, "operation"), *version = json_get_str(entry, "apiVersion");
                const char *name = json_get_str(entry, "manager"), *subresource = json_get_str(entry, "subresource");
                if (!version || !*version || !(streq_null(operation, "Apply") || streq_null(operation, "Update")))
                        continue;
                struct manager one = {.name = xstrdup(name ? name : ""),
                                      .api_version = xstrdup(version),
                                      .subresource = xstrdup(subresource ? subresource : ""),
                                      .time = xstrdup_null(json_get_str(entry, "time")),
                                      .apply = streq(operation, "Apply")};
                struct manager *m = same_manager(ret, &one);
                if (m)
                        manager_done(m);
                else
                        m = vec_push(ret);
                *m = one;
                fieldset_read(&m->set, yyjson_obj_get(entry, "fieldsV1"));
        }
}

static int compare_managers(const void *x, const void *y) {
        const struct manager *a = x, *b = y;
        if (a->apply != b->apply)
                return a->apply ? -1 : 1;
        int order = strcmp(a->time ? a->time : "", b->time ? b->time : "");
        if (!order)
                order = strcmp(a->name, b->name);
        if (!order)
                order = strcmp(a->api_version, b->api_version);
        return order ? order : strcmp(a->subresource, b->subresource);
}

static void write_managers(yyjson_mut_doc *doc, yyjson_mut_val *object, struct managers *list) {
        for (size_t i = list->len; i-- > 0;) {
                if (fieldset_is_empty(&list->items[i].set)) {
                        manager_done(&list->items[i]);
                        vec_remove(list, i);
                }
        }
        if (!list->len) {
                mjson_remove(mmeta_of(object), "managedFields");
                return;
        }
        qsort(list->items, list->len, sizeof(*list->items), compare_managers);
        yyjson_mut_val *fields = yyjson_mut_arr(doc);
        vec_foreach(m, list) {
                yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, fields);
                mjson_set_str(doc, entry, "manager", m->name);
                mjson_set_str(doc, entry, "operation", m->apply ? "Apply" : "Update");
                mjson_set_str(doc, entry, "apiVersion", m->api_version);
                mjson_set_str(doc, entry, "time", m->time);
                mjson_set_str(doc, entry, "fieldsType", "FieldsV1");
                mjson_set(doc, entry, "fieldsV1", fieldset_write(&m->set, doc));
                mjson_set_str(doc, entry, "subresource", *m->subresource ? m->subresource : NULL);
        }
        mjson_set(doc, mmeta_make(doc, object), "managedFields", fields);
}

/* An index, as entries move: the entry is made when absent. Appliers are known by name alone, whatever version they applied. */
static size_t find_manager(struct managers *list, const char *name, const char *api_version, const char *subresource, bool apply) {
        for (size_t i = 0; i < list->len; i++) {
                struct manager *m = &list->items[i];
                if (m->apply == apply && streq(m->name, name) && streq(m->subresource, subresource) &&
                    (apply || streq(m->api_version, api_version)))
                        return i;
        }
        struct manager *m = vec_push(list);
        m->name = xstrdup(name);
        m->api_version = xstrdup(api_version);
        m->subresource = xstrdup(subresource);
        m->apply = apply;
        return list->len - 1;
}

static void touch(struct manager *m, int64_t now_ms) {
        char now[KTIME_SIZE];
        ktime_format(now_ms, now);
        free(m->time);
        m->time = xstrdup(now);
}

/* ---- what is never owned ---- */

static void strip(struct fieldset *set) {
        static const char *const never[] = {
                "apiVersion",
                "kind",
                "metadata",
                "metadata.name",
                "metadata.namespace",
                "metadata.creationTimestamp",
                "metadata.selfLink",
                "metadata.uid",
                "metadata.clusterName",
                "metadata.generation",
                "metadata.managedFields",
                "metadata.resourceVersion",
        };
        AUTO(fieldset) struct fieldset no = {0};
        for (size_t i = 0; i < ARRAY_LEN(never); i++)
                fieldset_add_path(&no, sv_of(never[i]));
        fieldset_subtract(set, &no);
}

static void exclude_ignored(struct fieldset *set, const char *ignore) {
        struct sv rest = sv_of(ignore), part;
        AUTO(fieldset) struct fieldset no = {0};
        while (sv_split(&rest, ' ', &part))
                if (part.len)
                        fieldset_add_path(&no, part);
        fieldset_exclude(set, &no);
}

/* Objects are compared without their managedFields. */
static yyjson_doc *without_managed_fields(yyjson_val *object) {
        AUTO(mjson) yyjson_mut_doc *copy = json_thaw(object);
        mjson_remove(mmeta_of(yyjson_mut_doc_get_root(copy)), "managedFields");
        return mjson_freeze(yyjson_mut_doc_get_root(copy));
}

/* ---- updates ---- */

/* Takes what changed from all managers but `self`. */
static void take_from_others(struct managers *list, size_t self, const struct typed_difference *d) {
        for (size_t i = 0; i < list->len; i++) {
                if (i == self)
                        continue;
                fieldset_subtract(&list->items[i].set, &d->added);
                fieldset_subtract(&list->items[i].set, &d->modified);
                fieldset_subtract(&list->items[i].set, &d->removed);
        }
}

/* The oldest updates beyond ten become one. */
static void cap_managers(struct managers *list) {
        size_t updates = 0;
        vec_foreach(m, list) updates += !m->apply && !fieldset_is_empty(&m->set);
        while (updates > MAX_UPDATE_MANAGERS) {
                size_t oldest = SIZE_MAX, second = SIZE_MAX;
                for (size_t i = 0; i < list->len; i++) {
                        if (list->items[i].apply || fieldset_is_empty(&list->items[i].set))
                                continue;
                        if (oldest == SIZE_MAX || compare_managers(&list->items[i], &list->items[oldest]) < 0) {
                                second = oldest;
                                oldest = i;
                        } else if (second == SIZE_MAX || compare_managers(&list->items[i], &list->items[second]) < 0) {
                                second = i;
                        }
                }
                struct manager *a = &list->items[oldest], *b = &list->items[second];
                fieldset_add(&b->set, &a->set);
                free(b->name);
                b->name = xstrdup("ancient-changes");
                manager_done(a);
                vec_remove(list, oldest);
                updates--;
        }
}

/* The current operation is a manager of its own until it is known what it changed; then it joins the entry of its name. */
static void track(struct managers *list, yyjson_val *old, yyjson_val *object, const char *name, const char *api_version,
                  const struct apply_options *o) {
        AUTO(typed_difference) struct typed_difference d = {0};
        typed_compare(old, object, o->schema, &d);
        exclude_ignored(&d.added, o->ignore);
        exclude_ignored(&d.modified, o->ignore);
        exclude_ignored(&d.removed, o->ignore);
        take_from_others(list, SIZE_MAX, &d);
        fieldset_add(&d.added, &d.modified);
        strip(&d.added);
        if (fieldset_is_empty(&d.added))
                return;
        size_t at = find_manager(list, name, api_version, o->subresource ? o->subresource : "", false);
        struct manager *m = &list->items[at];
        fieldset_add(&m->set, &d.added);
        touch(m, o->now_ms);
        cap_managers(list);
}

/* [] and [{}] give up all ownership. */
static bool is_reset(yyjson_mut_val *fields) {
        if (!yyjson_mut_is_arr(fields))
                return false;
        yyjson_mut_val *first = yyjson_mut_arr_get_first(fields);
        return !first || (yyjson_mut_arr_size(fields) == 1 && yyjson_mut_is_obj(first) && yyjson_mut_obj_size(first) == 0);
}

static yyjson_doc *frozen_zero(struct schema schema) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        return mjson_freeze(typed_zero(doc, schema));
}

static const char *manager_name(const struct apply_options *o) { return o->manager && *o->manager ? o->manager : "unknown"; }

/* What is said of versions of other groups is about no field of this object. */
static void drop_foreign(struct managers *list, const char *api_version) {
        const char *slash = strchr(api_version, '/');
        size_t len = slash ? (size_t)(slash - api_version) + 1 : 0;
        for (size_t i = list->len; i-- > 0;) {
                const char *version = list->items[i].api_version;
                if (*list->items[i].subresource || (len ? strncmp(version, api_version, len) == 0 : !strchr(version, '/')))
                        continue;
                manager_done(&list->items[i]);
                vec_remove(list, i);
        }
}

void apply_track(yyjson_mut_doc *doc, yyjson_val *old, yyjson_mut_val *object, const struct apply_options *o) {
        AUTO(managers) struct managers list = {0};
        yyjson_mut_val *fields = yyjson_mut_obj_get(mmeta_of(object), "managedFields");
        yyjson_val *old_fields = yyjson_obj_get(meta_of(old), "managedFields");
        bool reset = is_reset(fields) && !(o->subresource && *o->subresource);
        if (!reset && yyjson_mut_is_arr(fields) && !(o->subresource && *o->subresource)) {
                AUTO(json) yyjson_doc *frozen = mjson_freeze(fields);
                read_managers(yyjson_doc_get_root(frozen), &list);
        }
        if (!reset && !list.len)
                read_managers(old_fields, &list);
        mjson_remove(mmeta_of(object), "managedFields");
        /* An object that nobody is known to own stays so until it is applied. */
        if (old && !list.len)
                return;
        AUTO(json) yyjson_doc *from = old ? without_managed_fields(old) : frozen_zero(o->schema);
        AUTO(json) yyjson_doc *to = mjson_freeze(object);
        const char *version = mmeta_api_version(object);
        if (!o->shown_version)
                drop_foreign(&list, version ? version : "v1");
        track(&list, yyjson_doc_get_root(from), yyjson_doc_get_root(to), manager_name(o), version ? version : "v1", o);
        write_managers(doc, object, &list);
}

char *apply_default_manager(const char *user_agent) {
        size_t len = user_agent ? strcspn(user_agent, "/") : 0;
        return xstrndup(len ? user_agent : "unknown", len ? (len < MAX_MANAGER_LENGTH ? len : MAX_MANAGER_LENGTH) : strlen("unknown"));
}

/* ---- apply ---- */

struct apply {
        const struct apply_options *o;
        yyjson_mut_doc *doc;
        struct managers list;
        size_t self;
        yyjson_val *live, *config; /* live without managedFields */
};

static char *describe_manager(const struct apply *a, const struct manager *m) {
        AUTO(free) char *quoted = invalid_quote(m->name);
        AUTO(str) struct str out = STR_INIT(0);
        str_append_s(&out, quoted);
        if (*m->subresource)
                str_appendf(&out, " with subresource \"%s\"", m->subresource);
        if (!m->apply)
                str_appendf(&out, " using %s", a->o->shown_version ? a->o->shown_version : m->api_version);
        return str_take(&out);
}

/* What others own and the configuration would change, by manager; the sets are the caller's. */
static size_t find_conflicts(struct apply *a, const struct typed_difference *d, const struct fieldset *allowed,
                             struct fieldset *conflicts) {
        size_t count = 0;
        AUTO(fieldset) struct fieldset changed = {0};
        fieldset_add(&changed, &d->added);
        fieldset_add(&changed, &d->modified);
        for (size_t i = 0; i < a->list.len; i++) {
                if (i == a->self)
                        continue;
                fieldset_add(&conflicts[i], &a->list.items[i].set);
                fieldset_intersect(&conflicts[i], &changed);
                fieldset_subtract(&conflicts[i], allowed);
                AUTO(strv) struct strv paths = {0};
                fieldset_paths(&conflicts[i], &paths);
                count += paths.len;
        }
        return count;
}

static int refuse(struct apply *a, const struct fieldset *conflicts, size_t count, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *details = yyjson_mut_obj(doc), *causes = mjson_arr(doc, details, "causes");
        AUTO(str) struct str text = STR_INIT(0);
        for (size_t i = 0; i < a->list.len; i++) {
                AUTO(strv) struct strv paths = {0};
                AUTO(free) char *who = describe_manager(a, &a->list.items[i]);
                fieldset_paths(&conflicts[i], &paths);
                if (paths.len && count > 1)
                        str_appendf(&text, "%sconflicts with %s:", text.len ? "\n" : "", who);
                for (size_t k = 0; k < paths.len; k++) {
                        if (count > 1)
                                str_appendf(&text, "\n- %s", paths.items[k]);
                        else
                                str_appendf(&text, "conflict with %s: %s", who, paths.items[k]);
                        yyjson_mut_val *cause = yyjson_mut_arr_add_obj(doc, causes);
                        AUTO(free) char *message = xasprintf("conflict with %s", who);
                        mjson_set_str(doc, cause, "reason", "FieldManagerConflict");
                        mjson_set_str(doc, cause, "message", message);
                        mjson_set_str(doc, cause, "field", paths.items[k]);
                }
        }
        err_http(err, -EEXIST, 409, "Conflict", "Apply failed with %zu conflict%s: %s", count, count > 1 ? "s" : "", str_cstr(&text));
        if (err) {
                free(err->details);
                err->details = mjson_write(details, false, NULL);
        }
        return -EEXIST;
}

/* Fields that kubectl's client-side apply owned and that nobody changed since: kubectl's server-side apply may take them over. */
static void allowed_by_last_applied(struct apply *a, struct fieldset *ret) {
        const char *text = meta_annotation(a->live, LAST_APPLIED);
        AUTO(json) yyjson_doc *last = NULL;
        if (!streq(manager_name(a->o), "kubectl") || !text || json_parse(sv_of(text), &last, NULL) < 0)
                return;
        yyjson_val *root = yyjson_doc_get_root(last);
        AUTO(typed_difference) struct typed_difference d = {0};
        if (!streq_null(meta_api_version(root), meta_api_version(a->config)))
                return;
        typed_fields(root, a->o->schema, ret);
        typed_compare(root, a->live, a->o->schema, &d);
        fieldset_subtract(ret, &d.added);
        fieldset_subtract(ret, &d.modified);
        fieldset_subtract(ret, &d.removed);
}

/* Takes away what this manager applied last time, leaves out now, and nobody else owns. */
static yyjson_doc *prune(struct apply *a, yyjson_doc *merged, const struct fieldset *last_set) {
        struct schema s = a->o->schema;
        yyjson_val *root = yyjson_doc_get_root(merged);
        AUTO(mjson) yyjson_mut_doc *work = yyjson_mut_doc_new(NULL);
        AUTO(fieldset) struct fieldset last = {0};
        AUTO(fieldset) struct fieldset owned = {0};
        AUTO(fieldset) struct fieldset all = {0};
        AUTO(fieldset) struct fieldset kept = {0};
        AUTO(fieldset) struct fieldset still = {0};
        fieldset_add(&last, last_set);
        fieldset_name_fields(&last, s);
        yyjson_mut_val *left = typed_remove(work, root, &last, s);
        AUTO(json) yyjson_doc *pruned = mjson_freeze(left ? left : yyjson_mut_obj(work));
        typed_fields(root, s, &all);
        fieldset_name_fields(&all, s);
        /* Back comes what anybody owns, this manager's new set included. */
        typed_fields(yyjson_doc_get_root(pruned), s, &kept);
        for (size_t i = 0; i < a->list.len; i++)
                fieldset_add(&owned, &a->list.items[i].set);
        fieldset_name_fields(&kept, s);
        fieldset_name_fields(&owned, s);
        fieldset_add(&kept, &owned);
        AUTO(fieldset) struct fieldset gone = {0};
        fieldset_add(&gone, &all);
        fieldset_subtract(&gone, &kept);
        left = typed_remove(work, root, &gone, s);
        AUTO(json) yyjson_doc *restored = mjson_freeze(left ? left : yyjson_mut_obj(work));
        /* And what nobody owns, but this manager did not own either. */
        typed_fields(yyjson_doc_get_root(restored), s, &still);
        fieldset_name_fields(&still, s);
        fieldset_subtract(&all, &still);
        fieldset_intersect(&all, &last);
        left = typed_remove(work, root, &all, s);
        return mjson_freeze(left ? left : yyjson_mut_obj(work));
}

static int check_config(yyjson_val *config, struct schema schema, struct err *err) {
        AUTO(strv) struct strv messages = {0};
        if (!yyjson_is_obj(config))
                return err_http(err, -EINVAL, 400, "BadRequest", "the apply configuration must be an object");
        if (yyjson_obj_get(meta_of(config), "managedFields"))
                return err_http(err, -EINVAL, 400, "BadRequest", "metadata.managedFields must be nil");
        typed_validate(config, schema, &messages);
        if (!messages.len)
                return 0;
        struct sv group, version;
        const char *ns = meta_namespace(config), *name = meta_name(config), *kind = meta_kind(config);
        meta_split_api_version(meta_api_version(config), &group, &version);
        AUTO(free) char *text = strv_join(&messages, "\n  ");
        return err_http(err, -EINVAL, 500, NULL, "failed to create typed patch object (%s/%s; %.*s/%.*s, Kind=%s): %s%s", ns ? ns : "",
                        name ? name : "", SV_ARG(group), SV_ARG(version), kind ? kind : "", messages.len > 1 ? "errors:\n  " : "", text);
}

/* kubectl's annotation follows what it applies on the server side, where it exists. */
static void update_last_applied(struct apply *a, yyjson_mut_val *result) {
        const char *have = mmeta_annotation(result, LAST_APPLIED);
        if (!streq(manager_name(a->o), "kubectl") || !have || !*have)
                return;
        AUTO(mjson) yyjson_mut_doc *copy = json_thaw(a->config);
        yyjson_mut_val *annotations = mjson_at(yyjson_mut_doc_get_root(copy), "/metadata/annotations");
        mjson_remove(annotations, LAST_APPLIED);
        AUTO(free) char *text = mjson_write(yyjson_mut_doc_get_root(copy), false, NULL);
        AUTO(free) char *line = xasprintf("%s\n", text);
        mmeta_set_annotation(a->doc, result, LAST_APPLIED, line);
}

/* Owners of what exists before anybody applied. */
static void adopt(struct apply *a, yyjson_val *live) {
        if (a->list.len || !live)
                return;
        struct apply_options before = *a->o;
        before.subresource = NULL;
        AUTO(json) yyjson_doc *zero = frozen_zero(a->o->schema);
        const char *version = meta_api_version(a->config);
        track(&a->list, yyjson_doc_get_root(zero), live, BEFORE_FIRST_APPLY, version ? version : "v1", &before);
}

static int apply_to(struct apply *a, yyjson_mut_val **ret, struct err *err) {
        struct schema s = a->o->schema;
        const char *version = meta_api_version(a->config);
        AUTO(mjson) yyjson_mut_doc *work = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *laid = typed_merge(work, a->live, a->config, s);
        AUTO(json) yyjson_doc *merged = mjson_freeze(laid ? laid : yyjson_mut_obj(work));
        a->self = find_manager(&a->list, manager_name(a->o), version ? version : "", a->o->subresource ? a->o->subresource : "", true);
        struct manager *me = &a->list.items[a->self];
        AUTO(fieldset) struct fieldset last = me->set;
        me->set = (struct fieldset){0};
        free(me->api_version);
        me->api_version = xstrdup(version ? version : "");
        typed_fields(a->config, s, &me->set);
        exclude_ignored(&me->set, a->o->ignore);
        AUTO(json) yyjson_doc *result = fieldset_is_empty(&last) ? TAKE(merged) : prune(a, merged, &last);

        AUTO(typed_difference) struct typed_difference d = {0};
        typed_compare(a->live, yyjson_doc_get_root(result), s, &d);
        exclude_ignored(&d.added, a->o->ignore);
        exclude_ignored(&d.modified, a->o->ignore);
        exclude_ignored(&d.removed, a->o->ignore);
        if (!a->o->force) {
                AUTO(fieldset) struct fieldset allowed = {0};
                struct fieldset *conflicts = xcalloc(a->list.len, sizeof(*conflicts));
                allowed_by_last_applied(a, &allowed);
                size_t count = find_conflicts(a, &d, &allowed, conflicts);
                int r = count ? refuse(a, conflicts, count, err) : 0;
                for (size_t i = 0; i < a->list.len; i++)
                        fieldset_done(&conflicts[i]);
                free(conflicts);
                if (r < 0)
                        return r;
        }
        take_from_others(&a->list, a->self, &d);
        strip(&a->list.items[a->self].set);
        if (!json_equal(a->live, yyjson_doc_get_root(result)))
                touch(&a->list.items[a->self], a->o->now_ms);
        *ret = yyjson_val_mut_copy(a->doc, yyjson_doc_get_root(result));
        update_last_applied(a, *ret);
        write_managers(a->doc, *ret, &a->list);
        return 0;
}

int apply_patch(yyjson_mut_doc *doc, yyjson_mut_val *live, yyjson_val *config, const struct apply_options *options, yyjson_mut_val **ret,
                struct err *err) {
        int r = check_config(config, options->schema, err);
        if (r < 0)
                return r;
        AUTO(json) yyjson_doc *whole = live ? mjson_freeze(live) : frozen_zero(options->schema);
        AUTO(json) yyjson_doc *bare = without_managed_fields(yyjson_doc_get_root(whole));
        struct apply a = {.o = options, .doc = doc, .live = yyjson_doc_get_root(bare), .config = config};
        read_managers(yyjson_obj_get(meta_of(yyjson_doc_get_root(whole)), "managedFields"), &a.list);
        adopt(&a, live ? a.live : NULL);
        r = apply_to(&a, ret, err);
        managers_done(&a.list);
        return r;
}
