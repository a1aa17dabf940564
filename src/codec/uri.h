/* URLs, percent-encoding and query strings. */
#ifndef FIRESTEEL_CODEC_URI_H
#define FIRESTEEL_CODEC_URI_H

#include "base/err.h"
#include "base/str.h"

struct uri {
        char *scheme;   /* lower case; NULL when absent */
        char *userinfo; /* decoded; NULL when absent */
        char *host;     /* lower case, without the brackets of IPv6; NULL when absent */
        int port;       /* 0 when absent */
        char *path;     /* as written; "" when absent */
        char *query;    /* as written, without '?'; NULL when absent */
        char *fragment; /* as written, without '#'; NULL when absent */
};

void uri_done(struct uri *u);
DEFINE_AUTO_VALUE(uri, struct uri, uri_done)
MUST_USE int uri_parse(const char *text, struct uri *ret, struct err *err);
/* Everything outside A-Z a-z 0-9 - _ . ~ becomes %XX; '/' is kept when asked. */
void uri_encode(struct sv text, bool keep_slash, struct str *out);
/* %XX (and + as a blank when asked). False on a bad escape or an encoded NUL. */
bool uri_decode(struct sv text, bool plus_is_blank, struct str *out);
/* The decoded value of a parameter of a query string; NULL when absent, "" for a bare key. Caller frees. */
char *query_get(const char *query, const char *key);
/* Appends `key=value` encoded, with '&' when `out` is not empty. NULL value: nothing. */
void query_add(struct str *out, const char *key, const char *value);

#endif
