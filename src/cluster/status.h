/* Kubernetes Status: the errors of the API with the texts of the real server, and their JSON. */
#ifndef FIRESTEEL_CLUSTER_STATUS_H
#define FIRESTEEL_CLUSTER_STATUS_H

#include "base/err.h"
#include "base/str.h"

struct resource;

/* All return the negative errno that they set. */
int status_not_found(struct err *err, const struct resource *r, const char *name);
int status_already_exists(struct err *err, const struct resource *r, const char *name);
/* "Operation cannot be fulfilled on PLURAL "NAME": WHY". */
int status_conflict(struct err *err, const struct resource *r, const char *name, const char *fmt, ...) PRINTF(4, 5);
int status_modified(struct err *err, const struct resource *r, const char *name);
/* `PLURAL "NAME" is forbidden: WHY`. */
int status_forbidden(struct err *err, const struct resource *r, const char *name, const char *fmt, ...) PRINTF(4, 5);
int status_bad_request(struct err *err, const char *fmt, ...) PRINTF(2, 3);
int status_internal(struct err *err, const char *fmt, ...) PRINTF(2, 3); /* 500 without a reason, as errors of plain Go code are */
/* The server knows no such resource or method; details {}. */
int status_no_resource(struct err *err);
int status_no_method(struct err *err);
int status_media_type(struct err *err, const char *accepted);
/* Sets details to {"name":...,"group":...,"kind":...}; what is NULL or "" is left out. */
void status_details(struct err *err, const char *name, const char *group, const char *kind, const char *uid);

/* The body of a failure. */
void status_write(const struct err *err, struct str *out);
/* {"status":"Success"} with details of what was deleted; all may be NULL. code 0: none. */
void status_write_success(const char *name, const char *group, const char *kind, const char *uid, int code, struct str *out);
static inline int status_code(const struct err *err) { return err->http_status ? err->http_status : 500; }

#endif
