#include "cluster/request.h"

#include "base/log.h"
#include "cluster/session.h"
#include "cluster/verbs/verbs.h"
#include "codec/uri.h"
#include "codec/yaml.h"
#include "kobj/apply.h"
#include "kobj/meta.h"
#include "kobj/wire.h"

enum { MAX_MANAGER_BYTES = 128 };
#define BODY_TYPES "application/json, application/yaml, application/vnd.kubernetes.protobuf"

void request_done(struct request *q) {
        user_done(&q->user);
        strv_done(&q->parts);
        strv_done(&q->warnings);
        free(q->path);
}

/* Taking it apart. */

static const char *part(const struct request *q, size_t i) { return i < q->parts.len ? q->parts.items[i] : NULL; }

static const char *verb_of(const struct request *q) {
        const char *m = q->http->method;
        if (streq(m, "GET") || streq(m, "HEAD"))
                return !q->plural || (q->name && !q->is_watch_path) ? "get" : q->is_watch ? "watch" : "list";
        if (streq(m, "POST"))
                return q->plural ? "create" : "post";
        if (streq(m, "PUT"))
                return q->plural ? "update" : "put";
        if (streq(m, "PATCH"))
                return "patch";
        if (streq(m, "DELETE"))
                return !q->plural || q->name ? "delete" : "deletecollection";
        return "";
}

static void parse_resource(struct request *q, size_t at) {
        if (part(q, at) && streq(part(q, at), "watch")) { /* the old form of ?watch=true */
                q->is_watch = q->is_watch_path = true;
                at++;
        }
        if (part(q, at) && streq(part(q, at), "namespaces") && part(q, at + 2) && !streq(part(q, at + 2), "status") &&
            !streq(part(q, at + 2), "finalize")) {
                q->ns = part(q, at + 1);
                at += 2;
        }
        q->plural = part(q, at);
        q->name = part(q, at + 1);
        q->subresource = part(q, at + 2);
        q->rest_at = at + 3;
        if (q->plural && streq(q->plural, "namespaces") && !q->ns)
                q->ns = NULL;
}

int request_parse(struct request *q, struct err *err) {
        AUTO(str) struct str decoded = STR_INIT(0);
        struct sv rest, one;

        if (!uri_decode(sv_of(q->http->path), false, &decoded))
                return status_bad_request(err, "the path of the request is not a valid URL path");
        q->path = str_take(&decoded);
        rest = sv_of(q->http->path);
        while (sv_split(&rest, '/', &one)) {
                AUTO(str) struct str text = STR_INIT(0);
                if (one.len == 0)
                        continue;
                (void)uri_decode(one, false, &text); /* cannot fail: the whole path was decoded */
                strv_add(&q->parts, str_cstr(&text));
        }
        q->is_watch = request_query_bool(q, "watch");
        if (part(q, 0) && streq(part(q, 0), "api") && part(q, 1) && part(q, 2)) {
                q->group = "";
                q->version = part(q, 1);
                parse_resource(q, 2);
        } else if (part(q, 0) && streq(part(q, 0), "apis") && part(q, 1) && part(q, 2) && part(q, 3)) {
                q->group = part(q, 1);
                q->version = part(q, 2);
                parse_resource(q, 3);
        }
        q->verb = verb_of(q);
        if (q->plural)
                q->res = registry_find(&q->s->registry, q->group, q->version, q->plural);
        return 0;
}

char *request_query(const struct request *q, const char *key) { return query_get(q->http->query, key); }

bool request_query_bool(const struct request *q, const char *key) {
        AUTO(free) char *value = request_query(q, key);
        return value && !streq(value, "0") && !streq(value, "false") && !streq(value, "False") && !streq(value, "f");
}

bool request_query_int(const struct request *q, const char *key, int64_t otherwise, int64_t *ret) {
        AUTO(free) char *value = request_query(q, key);
        *ret = otherwise;
        return !value || !*value || sv_to_int64(sv_of(value), ret);
}

enum table_object request_include(const struct request *q) {
        AUTO(free) char *value = request_query(q, "includeObject");
        if (value && streq(value, "None"))
                return TABLE_NONE;
        return value && streq(value, "Object") ? TABLE_OBJECT : TABLE_METADATA;
}

/* The body. */

static bool media_is(const char *header, const char *type) {
        size_t n = strlen(type);
        return header && strncmp(header, type, n) == 0 && (header[n] == '\0' || header[n] == ';' || header[n] == ' ');
}

static void summarize(struct sv body, struct str *out) {
        enum { SHOWN = 30 };
        struct sv head = sv_new(body.data, body.len > SHOWN ? SHOWN : body.len);
        if (body.len == 0)
                str_append_s(out, "<empty>");
        else if (body.data[0] == '{')
                str_append_sv(out, head);
        else
                for (size_t i = 0; i < head.len; i++)
                        str_appendf(out, "%02x", (unsigned char)head.data[i]);
        if (body.len > SHOWN)
                str_append_s(out, " ...");
}

static int unreadable(struct sv body, const char *kind, const char *what, struct err *err) {
        AUTO(str) struct str shown = STR_INIT(0);
        summarize(body, &shown);
        return status_bad_request(
                err, "the object provided is unrecognized (must be of type %s): couldn't get version/kind; json parse error: %s (%s)", kind,
                what, str_cstr(&shown));
}

int request_body(struct request *q, const char *kind, bool may_be_empty, yyjson_mut_doc **ret, struct err *err) {
        const char *type = http_headers_get(&q->http->headers, "Content-Type");
        struct sv body = q->http->body;
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(err) struct err why = ERR_INIT;
        int r;

        if (body.len == 0 && may_be_empty)
                return 0;
        if (media_is(type, "application/vnd.kubernetes.protobuf") || wire_is_protobuf(body))
                return wire_decode(body, ret, err);
        if (type && *type && !media_is(type, "application/json") && !media_is(type, "application/yaml"))
                return status_media_type(err, BODY_TYPES);
        r = media_is(type, "application/yaml") ? yaml_parse(body, &doc, &why) : json_parse(body, &doc, &why);
        if (r < 0)
                return unreadable(body, kind,
                                  body.len == 0 || strstr(err_message(&why), "unexpected end") ? "unexpected end of JSON input"
                                                                                               : err_message(&why),
                                  err);
        if (!yyjson_is_obj(yyjson_doc_get_root(doc))) {
                AUTO(free) char *what = xasprintf(
                        "json: cannot unmarshal %s into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; "
                        "Kind string \"json:\\\"kind,omitempty\\\"\" }",
                        yyjson_is_arr(yyjson_doc_get_root(doc))   ? "array"
                        : yyjson_is_str(yyjson_doc_get_root(doc)) ? "string"
                                                                  : "number");
                return unreadable(body, kind, what, err);
        }
        *ret = json_thaw(yyjson_doc_get_root(doc));
        return 0;
}

/* The kind of this verb's options, for messages. */
static const char *options_kind(const struct request *q) {
        static const char *const kinds[][2] = {
                {"patch", "PatchOptions"}, {"update", "UpdateOptions"}, {"delete", "DeleteOptions"}, {"deletecollection", "DeleteOptions"}};
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
                if (streq(q->verb, kinds[i][0]))
                        return kinds[i][1];
        return "CreateOptions";
}

static int parse_validation(const struct request *q, struct op *op, struct err *err) {
        AUTO(free) char *value = request_query(q, "fieldValidation");
        AUTO(invalid) struct invalid bad = {0};
        if (!value || !*value || streq(value, "Warn"))
                op->validation = FIELDS_WARN;
        else if (streq(value, "Ignore"))
                op->validation = FIELDS_IGNORE;
        else if (streq(value, "Strict"))
                op->validation = FIELDS_STRICT;
        else
                invalid_not_supported(&bad, "fieldValidation", value, (const char *const[]){"", "Ignore", "Strict", "Warn", NULL});
        return invalid_err(&bad, "meta.k8s.io", options_kind(q), "", err);
}

static int check_manager(const struct request *q, const char *manager, struct err *err) {
        AUTO(invalid) struct invalid bad = {0};
        if (strlen(manager) > MAX_MANAGER_BYTES)
                invalid_add(&bad, "fieldManager", INVALID_TOO_LONG, NULL, "may not be more than %d bytes", MAX_MANAGER_BYTES);
        for (size_t i = 0; manager[i]; i++) {
                if ((unsigned char)manager[i] >= ' ' && manager[i] != 0x7f)
                        continue;
                invalid_string(&bad, "fieldManager", manager, "invalid character U+%04X (at position %zu)", (unsigned char)manager[i], i);
                break;
        }
        return invalid_err(&bad, "meta.k8s.io", options_kind(q), "", err);
}

int request_op(struct request *q, struct op *ret, char **ret_manager, struct err *err) {
        AUTO(free) char *dry = request_query(q, "dryRun"), *manager = request_query(q, "fieldManager");
        const char *agent = http_headers_get(&q->http->headers, "User-Agent");
        const char *type = http_headers_get(&q->http->headers, "Content-Type");
        bool is_apply = streq(q->http->method, "PATCH") && type && str_starts(type, "application/apply-patch");

        *ret = (struct op){
                .s = q->s,
                .res = q->res,
                .ns = q->ns ? q->ns : "",
                .name = q->name,
                .subresource = q->subresource,
                .user = &q->user,
                .force = request_query_bool(q, "force"),
                .warnings = &q->warnings,
        };
        if (dry && *dry) {
                AUTO(invalid) struct invalid bad = {0};
                if (!streq(dry, "All")) {
                        AUTO(free) char *quoted = invalid_quote(dry), *shown = xasprintf("[%s]", quoted);
                        invalid_add(&bad, "dryRun", INVALID_NOT_SUPPORTED, shown, "supported values: \"All\"");
                }
                int r = invalid_err(&bad, "meta.k8s.io", options_kind(q), "", err);
                if (r < 0)
                        return r;
                ret->dry_run = true;
        }
        if (manager) {
                int r = check_manager(q, manager, err);
                if (r < 0)
                        return r;
        }
        if ((!manager || !*manager) && !is_apply) {
                free(manager);
                manager = apply_default_manager(agent ? agent : "unknown");
        }
        *ret_manager = manager ? TAKE(manager) : xstrdup("");
        ret->manager = *ret_manager;
        return parse_validation(q, ret, err);
}

/* What the client accepts. */

struct clause {
        char *type, *as, *g, *v;
};

static void clause_done(struct clause *c) {
        free(c->type);
        free(c->as);
        free(c->g);
        free(c->v);
}

static void parse_clause(struct sv text, struct clause *ret) {
        struct sv rest = text, one;
        *ret = (struct clause){0};
        while (sv_split(&rest, ';', &one)) {
                ssize_t eq;
                one = sv_trim(one);
                if (!ret->type) {
                        ret->type = sv_dup(one);
                        continue;
                }
                eq = sv_find_char(one, '=');
                if (eq < 0)
                        continue;
                struct sv key = sv_new(one.data, (size_t)eq), value = sv_new(one.data + eq + 1, one.len - (size_t)eq - 1);
                char **slot = sv_eqs(key, "as") ? &ret->as : sv_eqs(key, "g") ? &ret->g : sv_eqs(key, "v") ? &ret->v : NULL;
                if (slot && !*slot)
                        *slot = sv_dup(value);
        }
}

static enum answer_form form_of(const struct clause *c) {
        if (streq(c->type, "application/yaml"))
                return c->as ? FORM_NONE : FORM_YAML;
        if (!streq(c->type, "application/json") && !streq(c->type, "*/*") && !streq(c->type, "application/*"))
                return FORM_NONE;
        if (!c->as)
                return FORM_JSON;
        if (streq_null(c->g, "meta.k8s.io") && (streq_null(c->v, "v1") || streq_null(c->v, "v1beta1"))) {
                if (streq(c->as, "Table"))
                        return FORM_TABLE;
                if (streq(c->as, "PartialObjectMetadata") || streq(c->as, "PartialObjectMetadataList"))
                        return FORM_METADATA;
        }
        if (streq_null(c->g, "apidiscovery.k8s.io") && streq(c->as, "APIGroupDiscoveryList"))
                return streq_null(c->v, "v2") ? FORM_DISCOVERY : streq_null(c->v, "v2beta1") ? FORM_DISCOVERY_BETA : FORM_NONE;
        return FORM_NONE;
}

enum answer_form negotiate(const char *accept) {
        struct sv rest = sv_of(accept), one;
        if (!accept || !*accept)
                return FORM_JSON;
        while (sv_split(&rest, ',', &one)) {
                struct clause c;
                enum answer_form form;
                parse_clause(sv_trim(one), &c);
                form = c.type ? form_of(&c) : FORM_NONE;
                clause_done(&c);
                if (form != FORM_NONE)
                        return form;
        }
        return FORM_NONE;
}

/* Answering. */

struct held {
        struct session session;
        struct http_exchange *x;
        int status;
        char *content_type;
        struct str body;
        struct store_waiter *waiter;
};

static void held_free(struct held *h) {
        session_remove(&h->session);
        http_release(h->x);
        free(h->content_type);
        str_done(&h->body);
        free(h);
}

static void held_end(struct session *session) {
        struct held *h = (struct held *)session;
        store_waiter_cancel(h->waiter);
        held_free(h);
}

static void held_durable(void *arg, const struct err *err) {
        struct held *h = arg;
        const struct http_request *request = http_request_of(h->x);
        if (err && (streq(request->method, "GET") || streq(request->method, "HEAD"))) {
                /* What was read has been taken back; reading again gives what is true. */
                struct http_exchange *x = h->x;
                struct apiserver *s = h->session.s;
                http_hold(x);
                held_free(h);
                apiserver_handle(x, request, s);
                http_release(x);
                return;
        }
        if (err) {
                AUTO(str) struct str text = STR_INIT(0);
                AUTO(err) struct err copy = ERR_INIT;
                err_http(&copy, err->code, status_code(err), err->reason, "the change was not stored: %s", err_message(err));
                status_write(&copy, &text);
                http_respond(h->x, status_code(&copy), "application/json", str_sv(&text));
        } else {
                http_respond(h->x, h->status, h->content_type, str_sv(&h->body));
        }
        held_free(h);
}

void answer(struct request *q, int status, const char *content_type, struct str *body, uint64_t revision) {
        struct held *h;

        for (size_t i = 0; i < q->warnings.len; i++) {
                AUTO(str) struct str text = STR_INIT(0);
                json_append_quoted(&text, sv_of(q->warnings.items[i]));
                AUTO(free) char *header = xasprintf("299 - %s", str_cstr(&text));
                http_set_header(q->x, "Warning", header);
        }
        if (status >= 400)
                q->s->stats.errors++;
        if (revision <= store_durable_revision(q->s->store)) {
                http_respond(q->x, status, content_type, str_sv(body));
                return;
        }
        h = NEW(struct held);
        h->x = q->x;
        h->status = status;
        h->content_type = xstrdup_null(content_type);
        h->body = *body;
        *body = STR_INIT(0);
        http_hold(q->x);
        session_add(q->s, &h->session, held_end);
        h->waiter = store_when_durable(q->s->store, revision, held_durable, h);
}

static int by_key(const void *a, const void *b) {
        yyjson_val *const *x = a, *const *y = b;
        return strcmp(yyjson_get_str(*x), yyjson_get_str(*y));
}

static yyjson_mut_val *sort_keys(yyjson_mut_doc *doc, yyjson_val *v) {
        yyjson_mut_val *out;
        size_t i, n;
        if (yyjson_is_arr(v)) {
                yyjson_val *item;
                out = yyjson_mut_arr(doc);
                yyjson_arr_foreach(v, i, n, item) yyjson_mut_arr_append(out, sort_keys(doc, item));
                return out;
        }
        if (!yyjson_is_obj(v))
                return yyjson_val_mut_copy(doc, v);
        VEC(yyjson_val *) keys = {0};
        yyjson_val *key, *value;
        out = yyjson_mut_obj(doc);
        yyjson_obj_foreach(v, i, n, key, value) *vec_push(&keys) = key;
        if (keys.len)
                qsort(keys.items, keys.len, sizeof(*keys.items), by_key);
        for (i = 0; i < keys.len; i++)
                yyjson_mut_obj_add(out, yyjson_val_mut_copy(doc, keys.items[i]), sort_keys(doc, yyjson_obj_iter_get_val(keys.items[i])));
        vec_done(&keys);
        return out;
}

/* YAML answers come with sorted keys, as Go's maps have them. */
static yyjson_doc *sorted_copy(yyjson_val *v) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        return mjson_freeze(sort_keys(doc, v));
}

/* Rewrites JSON text as YAML. */
static int yaml_of(struct str *json) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(str) struct str yaml = STR_INIT(0);
        int r = json_parse(str_sv(json), &doc, NULL);
        if (r < 0)
                return r;
        AUTO(json) yyjson_doc *sorted = sorted_copy(yyjson_doc_get_root(doc));
        yaml_write(yyjson_doc_get_root(sorted), &yaml);
        str_clear(json);
        str_append(json, yaml.data, yaml.len);
        return 0;
}

void answer_err(struct request *q, const struct err *err) {
        AUTO(str) struct str body = STR_INIT(0);
        /* Even a refusal may rest on what is not durable yet ("already exists"). */
        uint64_t depends = err->http_status == 404 || err->http_status == 409 ? store_revision(q->s->store) : 0;
        status_write(err, &body);
        if (q->form == FORM_YAML && yaml_of(&body) == 0) {
                answer(q, status_code(err), "application/yaml", &body, depends);
                return;
        }
        answer(q, status_code(err), "application/json", &body, depends);
}

static void answer_text(struct request *q, int status, struct str *json, uint64_t revision) {
        if (q->form == FORM_YAML && yaml_of(json) == 0) {
                answer(q, status, "application/yaml", json, revision);
                return;
        }
        if (request_query_bool(q, "pretty")) {
                AUTO(json) yyjson_doc *doc = NULL;
                if (json_parse(str_sv(json), &doc, NULL) == 0) {
                        size_t len;
                        AUTO(free) char *text = json_write(yyjson_doc_get_root(doc), true, &len);
                        str_clear(json);
                        str_append(json, text, len);
                }
        }
        str_append_c(json, '\n');
        answer(q, status, "application/json", json, revision);
}

void answer_json(struct request *q, int status, yyjson_mut_val *value, uint64_t revision) {
        size_t len;
        AUTO(free) char *text = mjson_write(value, false, &len);
        AUTO(str) struct str body = STR_INIT(0);
        str_append(&body, text, len);
        answer_text(q, status, &body, revision);
}

static const struct table_kind *columns_of(const struct resource *res) {
        return res->table ? res->table : table_kind_find(res->group, res->kind);
}

void form_object(const struct resource *res, enum answer_form form, bool with_columns, enum table_object include, struct object *o,
                 struct str *out) {
        if (form == FORM_TABLE) {
                AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
                yyjson_mut_val *table = table_new(doc, columns_of(res), with_columns, meta_resource_version(object_root(o)), NULL, 0);
                size_t len;
                table_add_row(doc, table, columns_of(res), object_root(o), include, clock_now_ms());
                AUTO(free) char *text = mjson_write(table, false, &len);
                str_append(out, text, len);
                return;
        }
        if (form == FORM_METADATA) {
                size_t len;
                AUTO(object_view) struct object_view v = object_view(o);
                AUTO(free) char *text = json_write(meta_of(v.root), false, &len);
                str_append_s(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":");
                str_append(out, text, len);
                str_append_c(out, '}');
                return;
        }
        object_text_as(o, res, out);
}

void answer_object(struct request *q, int status, struct object *o, uint64_t revision) {
        AUTO(str) struct str body = STR_INIT(0);
        form_object(q->res, q->form, true, request_include(q), o, &body);
        answer_text(q, status, &body, revision);
}

void answer_list(struct request *q, const struct object_list *list, uint64_t revision, const char *token, int64_t remaining) {
        AUTO(str) struct str body = STR_INIT(0);
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        char version[24];
        bool plain = q->form != FORM_TABLE && q->form != FORM_METADATA;
        size_t size = 16;

        snprintf(version, sizeof(version), "%llu", (unsigned long long)revision);
        if (q->form == FORM_TABLE) {
                size_t len;
                doc = yyjson_mut_doc_new(NULL);
                yyjson_mut_val *table = table_new(doc, columns_of(q->res), true, version, token, remaining > 0 ? remaining : 0);
                for (size_t i = 0; i < list->len; i++) {
                        AUTO(object_view) struct object_view v = object_view(list->items[i]);
                        table_add_row(doc, table, columns_of(q->res), v.root, request_include(q), clock_now_ms());
                }
                AUTO(free) char *text = mjson_write(table, false, &len);
                str_append(&body, text, len);
                answer_text(q, 200, &body, store_revision(q->s->store));
                return;
        }
        str_appendf(&body, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":{\"resourceVersion\":\"%s\"",
                    plain ? q->res->list_kind : "PartialObjectMetadataList", plain ? q->res->api_version : "meta.k8s.io/v1", version);
        if (token) {
                str_append_s(&body, ",\"continue\":");
                json_append_quoted(&body, sv_of(token));
                if (remaining > 0)
                        str_appendf(&body, ",\"remainingItemCount\":%lld", (long long)remaining);
        } else if (plain && q->res->is_custom) {
                str_append_s(&body, ",\"continue\":\"\""); /* lists of custom resources always have it */
        }
        str_append_s(&body, "},\"items\":[");
        for (size_t i = 0; plain && i < list->len; i++)
                size += list->items[i]->json_len + 2;
        str_reserve(&body, size);
        for (size_t i = 0; i < list->len; i++) {
                struct object *o = list->items[i];
                if (i)
                        str_append_c(&body, ',');
                if (!plain || q->res->is_custom || q->res->hooks->from_storage) {
                        form_object(q->res, q->form, false, TABLE_METADATA, o, &body);
                } else {
                        str_append_c(&body, '{');
                        str_append_sv(&body, object_body(o));
                }
        }
        str_append_s(&body, "]}");
        answer_text(q, 200, &body, store_revision(q->s->store));
}
