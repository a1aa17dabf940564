/* The error object: the last parameter of every function that can fail.
 *
 *     int f(..., T **ret, struct err *err);
 *
 * returns 0 or a count on success and a negative errno on failure. On failure outputs are untouched;
 * on success `err` is untouched. `err` may be NULL when the caller does not care why. Each level adds
 * what it was doing with err_wrap(); a message is printed once, by the face that gives up.
 *
 *     if (r < 0)
 *             return err_wrap(err, r, "reading %s", path);     // "reading /x: No such file"
 *
 * Where an error crosses HTTP it also carries the status and the Kubernetes reason, so that a server
 * answers, and a client explains, without a second mapping.
 */
#ifndef FIRESTEEL_BASE_ERR_H
#define FIRESTEEL_BASE_ERR_H

#include <errno.h>

#include "base/mem.h"

struct err {
        int code;        /* negative errno; 0 = no error */
        int http_status; /* 0 = not an HTTP error */
        char *message;   /* owned; NULL = no error */
        char *reason;    /* owned; Kubernetes Status reason (`NotFound`), or NULL */
        char *details;   /* owned; Kubernetes Status details as JSON text, or NULL */
        char *hint;      /* owned; what the user can do about it, or NULL */
};

#define ERR_INIT ((struct err){0})

void err_done(struct err *err);
DEFINE_AUTO_VALUE(err, struct err, err_done)
/* Empties it, so that it can be used again. */
void err_clear(struct err *err);

/* Sets (replacing what was there) and returns `code`, which must be negative. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
/* "<message>: <strerror(-code)>"; returns `code`. */
int err_errno(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
/* Puts "<text>: " before the message and returns `code`. Keeps status, reason, details and hint. */
int err_wrap(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);
/* An error with an HTTP status and a Kubernetes reason; returns `code`. */
int err_http(struct err *err, int code, int status, const char *reason, const char *fmt, ...) PRINTF(5, 6);
/* Adds a remedy (replacing an earlier one). */
void err_hint(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* Moves an error; `dst` is cleared first, `src` is left empty. dst may be NULL. Returns the code moved. */
int err_move(struct err *dst, struct err *src);
/* A copy of all of it; `dst` is cleared first. */
void err_copy(struct err *dst, const struct err *src);
/* The message, or strerror of the code, never NULL. */
const char *err_message(const struct err *err);

#endif
