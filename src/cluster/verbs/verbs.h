/* The handlers of HTTP requests for resources: each answers the request, at once or later. */
#ifndef FIRESTEEL_CLUSTER_VERBS_VERBS_H
#define FIRESTEEL_CLUSTER_VERBS_VERBS_H

#include "cluster/request.h"

/* Accept header -> form (request.c). */
enum answer_form negotiate(const char *accept);
void answer_list(struct request *q, const struct object_list *list, uint64_t revision, const char *token, int64_t remaining);

/* All return 0 when the request has been or will be answered, else a negative errno and err, which the caller answers. */
int verb_get(struct request *q, struct err *err);
int verb_list(struct request *q, struct err *err);
int verb_watch(struct request *q, struct err *err);
int verb_create(struct request *q, struct err *err);
int verb_update(struct request *q, struct err *err);
int verb_patch(struct request *q, struct err *err);
int verb_delete(struct request *q, struct err *err);
int verb_delete_collection(struct request *q, struct err *err);

/* Subresources with handlers of their own; all methods. */
/* Sets spec.nodeName of a pod as a Binding says. */
int bind_pod(struct request *q, const char *name, yyjson_mut_val *binding, struct err *err);
int sub_scale(struct request *q, struct err *err);
int sub_binding(struct request *q, struct err *err);
int sub_eviction(struct request *q, struct err *err);
int sub_token(struct request *q, struct err *err);
int sub_log(struct request *q, struct err *err);
int sub_exec(struct request *q, struct err *err); /* exec and attach */
int sub_portforward(struct request *q, struct err *err);
int sub_proxy(struct request *q, struct err *err);
/* Kinds that are not stored: access and token reviews, component statuses. */
int virtual_kind(struct request *q, struct err *err);
/* metrics.k8s.io: true when the request was for it. */
bool metrics_api(struct request *q, int *ret, struct err *err);
/* 422 and 400 for combinations of list and watch options that mean nothing. */
MUST_USE int list_options_check(const struct request *q, struct err *err);
/* 400 for a parameter that is no number. */
int bad_number(const struct request *q, const char *key, struct err *err);
/* By Content-Type; 415 for others. */
MUST_USE int patch_type(const struct request *q, enum api_patch *ret, struct err *err);
/* The parts of DeleteOptions in body and query. */
struct delete_request {
        struct delete_options options;
        yyjson_mut_doc *doc; /* what the strings of options live in */
        char *propagation;
        bool dry_run;
};
void delete_request_done(struct delete_request *d);
DEFINE_AUTO_VALUE(delete_request, struct delete_request, delete_request_done)
MUST_USE int delete_request_parse(struct request *q, struct delete_request *ret, struct err *err);

#endif
