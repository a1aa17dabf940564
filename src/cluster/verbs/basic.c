/* Get, list, create, update, patch, delete over HTTP. */
#include "cluster/verbs/verbs.h"

#include "cluster/rbac.h"
#include "codec/base64.h"
#include "kobj/meta.h"

int verb_get(struct request *q, struct err *err) {
        AUTO(free) char *manager = NULL;
        AUTO(object) struct object *o = NULL;
        struct op op;
        int r = request_op(q, &op, &manager, err);
        if (r == 0)
                r = op_get(&op, &o, err);
        if (r == 0)
                answer_object(q, 200, o, o->revision);
        return r;
}

/* Lists in pieces: the token names the revision of the first piece and the last object given. */

/* revision -1: go on with the state of then, whatever it is. */
static char *make_token(int64_t revision, const char *ns, const char *name) {
        AUTO(str) struct str json = STR_INIT(0), out = STR_INIT(0);
        str_appendf(&json, "{\"v\":\"meta.k8s.io/v1\",\"rv\":%lld,\"ns\":", (long long)revision);
        json_append_quoted(&json, sv_of(ns));
        str_append_s(&json, ",\"start\":");
        json_append_quoted(&json, sv_of(name));
        str_append_c(&json, '}');
        base64url_encode(str_sv(&json), &out);
        return str_take(&out);
}

/* The real server keeps etcd's keys in its tokens, and finds attempts to leave the collection. */
static bool leaves_collection(const char *start) {
        struct sv rest = sv_of(start), part;
        while (sv_split(&rest, '/', &part))
                if (sv_eqs(part, "..") || sv_eqs(part, "."))
                        return true;
        return *start == '/';
}

static int parse_token(const char *token, yyjson_doc **ret, struct err *err) {
        AUTO(str) struct str json = STR_INIT(4096);
        AUTO(json) yyjson_doc *doc = NULL;
        const char *version, *start;

        if (base64_decode(sv_of(token), &json) < 0 || str_overflowed(&json) || json_parse(str_sv(&json), &doc, NULL) < 0)
                return status_bad_request(err, "invalid continue token: continue key is not valid: %s", token);
        version = json_get_str(yyjson_doc_get_root(doc), "v");
        start = json_get_str(yyjson_doc_get_root(doc), "start");
        if (!streq_null(version, "meta.k8s.io/v1"))
                return status_bad_request(
                        err, "invalid continue token: continue key is not valid: server does not recognize this encoded version %s",
                        version ? version : "");
        if (!start || !*start || leaves_collection(start))
                return status_bad_request(err, "invalid continue token: continue key is not valid: %s", start ? start : "");
        *ret = TAKE(doc);
        return 0;
}

int list_options_check(const struct request *q, struct err *err) {
        AUTO(free) char *version = request_query(q, "resourceVersion"), *match = request_query(q, "resourceVersionMatch"),
                        *initial = request_query(q, "sendInitialEvents"), *token = request_query(q, "continue"),
                        *include = request_query(q, "includeObject");
        static const char *const matches[] = {"Exact", "NotOlderThan", "", NULL};
        AUTO(invalid) struct invalid bad = {0};
        bool has_version = version && *version, exact = match && streq(match, "Exact");

        if (match && *match && !exact && !streq(match, "NotOlderThan"))
                invalid_not_supported(&bad, "resourceVersionMatch", match, matches);
        else if (match && *match && q->is_watch && !initial)
                invalid_forbidden(&bad, "resourceVersionMatch",
                                  "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        else if (match && *match && !has_version && !q->is_watch)
                invalid_forbidden(&bad, "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
        if (match && *match && token && *token && !q->is_watch)
                invalid_forbidden(&bad, "resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
        if (exact && has_version && streq(version, "0"))
                invalid_forbidden(&bad, "resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        if (initial && !q->is_watch)
                invalid_forbidden(&bad, "sendInitialEvents", "sendInitialEvents is forbidden for list");
        else if (initial && (!match || !streq(match, "NotOlderThan")))
                invalid_forbidden(&bad, "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        if (initial && q->is_watch && exact)
                invalid_not_supported(&bad, "resourceVersionMatch", match, (const char *const[]){"NotOlderThan", NULL});
        if (bad.len)
                return invalid_err(&bad, "meta.k8s.io", "ListOptions", "", err);
        if (token && *token && has_version && !streq(version, "0"))
                return status_bad_request(err, "specifying resource version is not allowed when using continue");
        if (q->form == FORM_TABLE && include && *include && !streq(include, "Metadata") && !streq(include, "Object") &&
            !streq(include, "None"))
                return status_bad_request(
                        err,
                        "Unable to convert to Table as requested: includeObject: Invalid value: \"%s\": must be 'Metadata', 'Object', 'None', or empty",
                        include);
        return 0;
}

/* The version that is asked for goes into the query. */
static int check_version(const struct request *q, struct list_query *query, struct err *err) {
        AUTO(free) char *text = request_query(q, "resourceVersion"), *match = request_query(q, "resourceVersionMatch");
        uint64_t now = store_revision(q->s->store);
        int64_t version = 0;

        if (!text || !*text)
                return 0;
        if (!sv_to_int64(sv_of(text), &version) || version < 0)
                return status_bad_request(
                        err,
                        "invalid resource version: resourceVersion: Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": invalid syntax",
                        text, text);
        if ((uint64_t)version > now) {
                err_http(err, -EAGAIN, 504, "Timeout", "Timeout: Too large resource version: %lld, current: %llu", (long long)version,
                         (unsigned long long)now);
                if (err) {
                        free(err->details);
                        err->details = xstrdup(
                                "{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\",\"message\":\"Too large resource version\"}],\"retryAfterSeconds\":1}");
                }
                return -EAGAIN;
        }
        if (version == 0)
                query->limit = 0; /* answered from the real server's watch cache, which does not cut lists */
        else if (streq_null(match, "Exact") || (query->limit > 0 && (!match || !*match)))
                query->revision = (uint64_t)version;
        return 0;
}

int bad_number(const struct request *q, const char *key, struct err *err) {
        AUTO(free) char *text = request_query(q, key);
        return status_bad_request(err, "strconv.ParseInt: parsing \"%s\": invalid syntax", text ? text : "");
}

static void begin_after(yyjson_val *token, struct list_query *query) {
        int64_t revision = json_get_int(token, "rv", 0);
        query->after_ns = json_get_str(token, "ns");
        query->after_name = json_get_str(token, "start");
        if (!query->after_ns)
                query->after_ns = "";
        query->revision = revision > 0 ? (uint64_t)revision : 0;
}

/* 410, and a token with which the client may go on where it was, in the state of now. */
static void answer_expired_token(struct request *q, const struct list_query *query) {
        AUTO(free) char *next = make_token(-1, query->after_ns, query->after_name);
        AUTO(str) struct str body = STR_INIT(0);
        str_append_s(&body, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{\"continue\":");
        json_append_quoted(&body, sv_of(next));
        str_append_s(
                &body,
                "},\"status\":\"Failure\",\"message\":\"The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the "
                "provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned "
                "and now may show up in the list.\",\"reason\":\"Expired\",\"code\":410}\n");
        answer(q, 410, "application/json", &body, 0);
}

int verb_list(struct request *q, struct err *err) {
        AUTO(free) char *labels = request_query(q, "labelSelector"), *fields = request_query(q, "fieldSelector"),
                        *token = request_query(q, "continue"), *next = NULL, *manager = NULL;
        AUTO(list_query) struct list_query query = {0};
        AUTO(object_list) struct object_list list = {0};
        AUTO(json) yyjson_doc *from = NULL;
        int64_t remaining = -1;
        struct op op;
        int r = list_query_parse(q->res, labels, fields, &query, err);

        if (r == 0)
                r = list_options_check(q, err);
        if (r == 0 && !request_query_int(q, "limit", 0, &query.limit))
                r = bad_number(q, "limit", err);
        if (r == 0 && token && *token)
                r = parse_token(token, &from, err);
        else if (r == 0)
                r = check_version(q, &query, err);
        if (r == 0)
                r = request_op(q, &op, &manager, err);
        if (r < 0)
                return r;
        op.ns = q->ns;
        if (from)
                begin_after(yyjson_doc_get_root(from), &query);
        r = op_list(&op, &query, &list, &remaining, err);
        if (r == -ESTALE && from) {
                err_clear(err);
                answer_expired_token(q, &query);
                return 0;
        }
        if (r < 0)
                return r;
        if (r > 0)
                next = make_token((int64_t)list.revision, list.items[list.len - 1]->namespace, list.items[list.len - 1]->name);
        answer_list(q, &list, list.revision, next, remaining);
        return 0;
}

/* As request_op(), for writes that admission webhooks are asked about. */
static int writing_op(struct request *q, struct op *ret, char **ret_manager, struct err *err) {
        int r = request_op(q, ret, ret_manager, err);
        if (r == 0)
                ret->request = q;
        return r;
}

int verb_create(struct request *q, struct err *err) {
        AUTO(free) char *manager = NULL;
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(object) struct object *o = NULL;
        struct op op;
        int r = writing_op(q, &op, &manager, err);
        if (r == 0)
                r = request_body(q, q->res->kind, false, &doc, err);
        if (r == 0)
                r = op_create(&op, doc, yyjson_mut_doc_get_root(doc), &o, err);
        if (r == 0)
                answer_object(q, 201, o, o->revision);
        return r;
}

int verb_update(struct request *q, struct err *err) {
        AUTO(free) char *manager = NULL;
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        AUTO(object) struct object *o = NULL;
        bool created = false;
        struct op op;
        int r = writing_op(q, &op, &manager, err);
        if (r == 0)
                r = request_body(q, q->res->kind, false, &doc, err);
        if (r == 0)
                r = op_update(&op, doc, yyjson_mut_doc_get_root(doc), &o, &created, err);
        if (r == 0)
                answer_object(q, created ? 201 : 200, o, o->revision);
        return r;
}

int patch_type(const struct request *q, enum api_patch *ret, struct err *err) {
        static const struct {
                const char *media;
                enum api_patch type;
        } types[] = {
                {"application/json-patch+json", API_PATCH_JSON},
                {"application/merge-patch+json", API_PATCH_MERGE},
                {"application/strategic-merge-patch+json", API_PATCH_STRATEGIC},
                {"application/apply-patch+yaml", API_PATCH_APPLY},
        };
        const char *media = http_headers_get(&q->http->headers, "Content-Type");
        for (size_t i = 0; media && i < ARRAY_LEN(types); i++)
                if (str_starts(media, types[i].media)) {
                        *ret = types[i].type;
                        return 0;
                }
        err_http(err, -EINVAL, 415, "UnsupportedMediaType", "415: Unsupported Media Type");
        status_details(err, NULL, NULL, NULL, NULL);
        return -EINVAL;
}

static int patch_options_check(const struct request *q, struct err *err) {
        AUTO(free) char *force = request_query(q, "force");
        AUTO(invalid) struct invalid bad = {0};
        if (force && *force)
                invalid_forbidden(&bad, "force", "may not be specified for non-apply patch");
        return invalid_err(&bad, "meta.k8s.io", "PatchOptions", "", err);
}

/* Who applies what is not there creates it, and must be allowed to do that, too. */
static int may_create(struct request *q, const struct op *op, struct err *err) {
        if (op->subresource || collection_find(op->res->objects, op->ns, op->name))
                return 0;
        struct access a = {
                .verb = "create", .group = q->group, .resource = q->plural, .ns = q->ns ? q->ns : "", .name = q->name ? q->name : ""};
        return rbac_check(q->s, &q->user, &a, err);
}

int verb_patch(struct request *q, struct err *err) {
        AUTO(free) char *manager = NULL;
        AUTO(object) struct object *o = NULL;
        enum api_patch type;
        bool created = false;
        struct op op;
        int r = patch_type(q, &type, err);
        if (r == 0)
                r = writing_op(q, &op, &manager, err);
        if (r == 0 && type != API_PATCH_APPLY)
                r = patch_options_check(q, err);
        if (r == 0 && type == API_PATCH_APPLY)
                r = may_create(q, &op, err);
        if (r == 0)
                r = op_patch(&op, type, q->http->body, &o, &created, err);
        if (r == 0)
                answer_object(q, created ? 201 : 200, o, o->revision);
        return r;
}

void delete_request_done(struct delete_request *d) {
        yyjson_mut_doc_free(d->doc);
        free(d->propagation);
}

/* The real server answers with 500 here, as for any plain error of its decoder. */
static int bad_delete_options(struct request *q, struct err *why, struct err *err) {
        const char *text = err_message(why), *head = strstr(text, "couldn't get version/kind"), *tail = strrchr(text, '(');
        (void)q;
        if (why->http_status == 400 && head && tail && tail > head)
                return status_internal(err, "%.*s", (int)(tail - head - 1), head);
        return err_move(err, why);
}

/* The fields' types, in the words of Go's decoder. */
static int check_delete_types(yyjson_mut_val *root, struct err *err) {
        static const struct {
                const char *name, *type;
                bool (*is)(yyjson_mut_val *v);
        } fields[] = {
                {"gracePeriodSeconds", "int64", yyjson_mut_is_int},
                {"preconditions", "v1.Preconditions", yyjson_mut_is_obj},
                {"orphanDependents", "bool", yyjson_mut_is_bool},
                {"propagationPolicy", "v1.DeletionPropagation", yyjson_mut_is_str},
                {"dryRun", "[]string", yyjson_mut_is_arr},
        };
        for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
                yyjson_mut_val *v = yyjson_mut_obj_get(root, fields[i].name);
                if (v && !yyjson_mut_is_null(v) && !fields[i].is(v))
                        return status_internal(err, "json: cannot unmarshal %s into Go struct field DeleteOptions.%s of type %s",
                                               yyjson_mut_is_str(v)    ? "string"
                                               : yyjson_mut_is_bool(v) ? "bool"
                                               : yyjson_mut_is_num(v)  ? "number"
                                               : yyjson_mut_is_arr(v)  ? "array"
                                                                       : "object",
                                               fields[i].name, fields[i].type);
        }
        return 0;
}

static int check_delete_kind(yyjson_mut_doc *doc, struct err *err) {
        yyjson_mut_val *root = doc ? yyjson_mut_doc_get_root(doc) : NULL;
        const char *kind = mmeta_kind(root), *version = mmeta_api_version(root);
        if (kind && *kind && !streq(kind, "DeleteOptions"))
                return status_internal(err, "no kind \"%s\" is registered for version \"%s\" in scheme \"pkg/runtime/scheme.go:110\"", kind,
                                       version ? version : "");
        return 0;
}

int delete_request_parse(struct request *q, struct delete_request *ret, struct err *err) {
        AUTO(delete_request) struct delete_request d = {.options = {.grace_s = -1}};
        AUTO(free) char *dry = request_query(q, "dryRun"), *orphan = request_query(q, "orphanDependents");
        yyjson_mut_val *root, *v;
        AUTO(err) struct err why = ERR_INIT;
        int r = request_body(q, "DeleteOptions", true, &d.doc, &why);

        if (r < 0)
                return bad_delete_options(q, &why, err);
        r = check_delete_kind(d.doc, err);
        if (r == 0 && d.doc)
                r = check_delete_types(yyjson_mut_doc_get_root(d.doc), err);
        if (r < 0)
                return r;
        root = d.doc ? yyjson_mut_doc_get_root(d.doc) : NULL;
        d.options.uid = mjson_str_at(root, "/preconditions/uid");
        d.options.resource_version = mjson_str_at(root, "/preconditions/resourceVersion");
        d.options.propagation = mjson_get_str(root, "propagationPolicy");
        d.options.grace_s = mjson_get_int(root, "gracePeriodSeconds", -1);
        v = root ? yyjson_mut_obj_get(root, "orphanDependents") : NULL;
        d.options.has_orphan_dependents = v && yyjson_mut_is_bool(v);
        d.options.orphan_dependents = d.options.has_orphan_dependents && yyjson_mut_get_bool(v);
        d.dry_run = (dry && streq(dry, "All")) || (root && yyjson_mut_arr_size(yyjson_mut_obj_get(root, "dryRun")) > 0);
        if (!d.options.propagation) {
                d.propagation = request_query(q, "propagationPolicy");
                d.options.propagation = d.propagation && *d.propagation ? d.propagation : NULL;
        }
        if (orphan && *orphan && !d.options.has_orphan_dependents) {
                d.options.has_orphan_dependents = true;
                d.options.orphan_dependents = streq(orphan, "true");
        }
        if (d.options.grace_s < 0 && !request_query_int(q, "gracePeriodSeconds", -1, &d.options.grace_s))
                return bad_number(q, "gracePeriodSeconds", err);
        *ret = d;
        d = (struct delete_request){0};
        return 0;
}

int verb_delete(struct request *q, struct err *err) {
        AUTO(delete_request) struct delete_request d = {0};
        AUTO(free) char *manager = NULL;
        AUTO(object) struct object *o = NULL;
        AUTO(str) struct str body = STR_INIT(0);
        bool gone = false;
        struct op op;
        int r = writing_op(q, &op, &manager, err);

        if (r == 0)
                r = delete_request_parse(q, &d, err);
        if (r == 0) {
                op.dry_run |= d.dry_run;
                r = op_delete(&op, &d.options, &o, &gone, err);
        }
        if (r < 0)
                return r;
        if (!gone || (q->res->flags & KIND_RETURN_DELETED)) {
                answer_object(q, 200, o, store_revision(q->s->store));
                return 0;
        }
        status_write_success(o->name, q->res->group, q->res->plural, o->uid, 0, &body);
        answer(q, 200, "application/json", &body, store_revision(q->s->store));
        return 0;
}

int verb_delete_collection(struct request *q, struct err *err) {
        AUTO(free) char *labels = request_query(q, "labelSelector"), *fields = request_query(q, "fieldSelector"), *manager = NULL;
        AUTO(delete_request) struct delete_request d = {0};
        AUTO(list_query) struct list_query query = {0};
        AUTO(object_list) struct object_list list = {0};
        int64_t remaining;
        struct op op;
        int r = list_query_parse(q->res, labels, fields, &query, err);

        if (r == 0)
                r = writing_op(q, &op, &manager, err);
        if (r == 0)
                r = delete_request_parse(q, &d, err);
        if (r == 0 && !request_query_int(q, "limit", 0, &query.limit))
                r = bad_number(q, "limit", err);
        if (r < 0)
                return r;
        op.ns = q->ns;
        op.dry_run |= d.dry_run;
        op.is_collection = true;
        r = op_list(&op, &query, &list, &remaining, err);
        for (size_t i = 0; i < list.len && r >= 0; i++) {
                AUTO(object) struct object *last = NULL;
                AUTO(err) struct err why = ERR_INIT;
                bool gone;
                op.ns = list.items[i]->namespace;
                op.name = list.items[i]->name;
                r = op_delete(&op, &d.options, &last, &gone, &why);
                if (r < 0 && r != -ENOENT)
                        return err_move(err, &why);
                r = 0;
                object_rest(list.items[i], last == list.items[i] ? 2 : 1);
                if (last)
                        object_rest(last, last == list.items[i] ? 2 : 1);
        }
        if (r < 0)
                return r;
        answer_list(q, &list, list.revision, NULL, -1);
        return 0;
}
