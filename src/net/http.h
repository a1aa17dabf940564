/* What HTTP servers and clients share: header lists, limits, status texts. HTTP/1.1 only: every client and
 * server met takes it (ALPN offers `http/1.1` alone). */
#ifndef FIRESTEEL_NET_HTTP_H
#define FIRESTEEL_NET_HTTP_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

enum {
        HTTP_MAX_HEADER_BYTES = 64 * 1024,         /* start line and all headers */
        HTTP_MAX_HEADERS = 128,
        HTTP_MAX_BODY_BYTES = 16 * 1024 * 1024,    /* default; a server or call may state another */
};

struct http_header {
        char *name; /* as received; compared without case */
        char *value;
};

struct http_headers {
        VEC(struct http_header) list;
};

void http_headers_done(struct http_headers *h);
DEFINE_AUTO_VALUE(http_headers, struct http_headers, http_headers_done)
void http_headers_add(struct http_headers *h, const char *name, const char *value);
void http_headers_addf(struct http_headers *h, const char *name, const char *fmt, ...) PRINTF(3, 4);
/* The first of that name, or NULL. */
const char *http_headers_get(const struct http_headers *h, const char *name);
/* Is `token` one of the comma-separated tokens of any header of that name? Case is ignored. */
bool http_headers_has_token(const struct http_headers *h, const char *name, const char *token);
const char *http_status_text(int status);

#endif
