/* AWS Signature Version 4: signs requests to S3, STS and others, and verifies those that AWS's tools send to us. Pure: the time and
 * the secrets are arguments.
 *
 * S3 is different: its paths are not normalised nor encoded a second time, and every request names the hash of its payload.
 * Source: "AWS Signature Version 4 for API requests" and "Authenticating Requests (AWS Signature Version 4)" of S3. */
#ifndef FIRESTEEL_NET_SIGV4_H
#define FIRESTEEL_NET_SIGV4_H

#include "net/http.h"

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define SIGV4_STREAMING_PAYLOAD "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

enum {
        SIGV4_HEX_SIZE = 65,
        SIGV4_MAX_SKEW_MS = 15 * 60 * 1000,
        SIGV4_MAX_EXPIRES_S = 7 * 24 * 3600,
};

struct sigv4_keys {
        const char *access_key;
        const char *secret_key;
        const char *session_token; /* NULL or "": none */
        const char *region;
        const char *service; /* "s3", "sts", "emr-containers" */
};

struct sigv4_request {
        const char *method;
        const char *path;  /* percent-encoded, as on the wire */
        const char *query; /* the same, without '?'; NULL when absent */
        struct sv body;
};

/* Adds X-Amz-Date, X-Amz-Security-Token, X-Amz-Content-Sha256 (S3) and Authorization to `headers`, which must have Host and is
 * signed as a whole (but for headers that proxies change). payload: NULL hashes the body; else what takes the hash's place, the
 * hash itself or one of the words above. ret_signature (for chunks) may be NULL. */
void sigv4_sign(const struct sigv4_keys *k, const struct sigv4_request *q, int64_t now_ms, const char *payload,
                struct http_headers *headers, char ret_signature[SIGV4_HEX_SIZE]);
/* The query of a presigned URL; the payload is unsigned. Of the headers only `host` is signed. */
char *sigv4_presign(const struct sigv4_keys *k, const struct sigv4_request *q, const char *host, int64_t now_ms, int expires_s);
/* The signature of the next chunk of a SIGV4_STREAMING_PAYLOAD body, from that before (of the request for the first). */
void sigv4_chunk(const struct sigv4_keys *k, int64_t now_ms, const char *previous, struct sv chunk, char ret[SIGV4_HEX_SIZE]);

struct sigv4_identity {
        char *access_key;
        char *region;
        char *service;
        char *session_token; /* NULL: none */
        bool is_presigned;
};
void sigv4_identity_done(struct sigv4_identity *i);
DEFINE_AUTO_VALUE(sigv4_identity, struct sigv4_identity, sigv4_identity_done)

/* Is there a signature of this kind, right or wrong? */
bool sigv4_is_signed(const struct sigv4_request *q, const struct http_headers *headers);
/* Checks header and query signatures; secret_of returns NULL for unknown keys. service NULL: any. Failures carry the status 403 (400
 * for unreadable ones) and AWS's error code as reason. A body whose hash was left out or streamed is not looked at. */
MUST_USE int sigv4_verify(const struct sigv4_request *q, const struct http_headers *headers, int64_t now_ms, const char *service,
                          const char *(*secret_of)(void *arg, const char *access_key), void *arg, struct sigv4_identity *ret,
                          struct err *err);

#endif
