/* One HTTP request to the API: taken apart, authenticated, authorized; and how it is answered.
 *
 * A request lives while its handler runs. What outlives it (a held answer, a watch, a stream) is a session of its own (session.h).
 */
#ifndef FIRESTEEL_CLUSTER_REQUEST_H
#define FIRESTEEL_CLUSTER_REQUEST_H

#include "cluster/authn.h"
#include "cluster/ops.h"
#include "kobj/table.h"

enum answer_form {
        FORM_JSON,
        FORM_YAML,
        FORM_TABLE,
        FORM_METADATA,  /* PartialObjectMetadata and its list */
        FORM_DISCOVERY, /* APIGroupDiscoveryList, v2 */
        FORM_DISCOVERY_BETA,
        FORM_NONE, /* nothing acceptable */
};

struct request {
        struct apiserver *s;
        struct http_exchange *x;
        const struct http_request *http;
        struct user user;
        struct strv parts; /* of the path, decoded */
        char *path;        /* decoded */

        /* A request for a resource; `plural` NULL otherwise. */
        const char *group, *version, *plural, *ns, *name, *subresource;
        size_t rest_at; /* parts[rest_at...] follow the subresource (proxy) */
        const char *verb;
        const struct resource *res; /* NULL: not known */
        bool is_watch, is_watch_path;

        enum answer_form form;
        struct strv warnings;
        struct webhook_wait *wait; /* webhooks.h: what is known by now; NULL mostly */
};

/* Serves a request, for the first time (wait NULL) or again. */
void request_serve(struct apiserver *s, struct http_exchange *x, const struct http_request *http, struct webhook_wait *wait);
void request_done(struct request *q);
DEFINE_AUTO_VALUE(request, struct request, request_done)
/* Takes path and method apart. */
MUST_USE int request_parse(struct request *q, struct err *err);
/* The value of a query parameter, the caller's; NULL when absent. */
char *request_query(const struct request *q, const char *key);
bool request_query_bool(const struct request *q, const char *key);
/* False when it is there and no number. */
bool request_query_int(const struct request *q, const char *key, int64_t otherwise, int64_t *ret);

/* The body as a document: JSON, YAML or protobuf by its Content-Type. `kind` is for messages. An empty body is an error unless
 * `may_be_empty`, when *ret stays NULL. */
MUST_USE int request_body(struct request *q, const char *kind, bool may_be_empty, yyjson_mut_doc **ret, struct err *err);
/* Fills an op for the request's resource: manager, dry run, validation. */
MUST_USE int request_op(struct request *q, struct op *ret, char **ret_manager, struct err *err);

/* Answers. `revision` is what the answer depends on: it leaves when that is durable (0: at once). The text is moved. */
void answer(struct request *q, int status, const char *content_type, struct str *body, uint64_t revision);
void answer_err(struct request *q, const struct err *err);
/* In the form the client asked for. */
void answer_object(struct request *q, int status, struct object *o, uint64_t revision);
void answer_json(struct request *q, int status, yyjson_mut_val *value, uint64_t revision);
/* Writes an object's version for this client (JSON complete, PartialObjectMetadata, or a Table of one row). */
void form_object(const struct resource *res, enum answer_form form, bool with_columns, enum table_object include, struct object *o,
                 struct str *out);
/* ?includeObject= */
enum table_object request_include(const struct request *q);

#endif
