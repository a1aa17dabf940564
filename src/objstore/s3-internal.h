/* S3: buckets as configured, signed requests with retries, and the operations on top of them. */
#ifndef FIRESTEEL_OBJSTORE_S3_INTERNAL_H
#define FIRESTEEL_OBJSTORE_S3_INTERNAL_H

#include "net/http_client.h"
#include "net/sigv4.h"
#include "objstore/credentials.h"
#include "objstore/objstore-internal.h"

/* What is configured for one bucket. Lives as long as the store. */
struct s3_bucket {
        struct s3 *s3;
        char *name;
        char *scheme;    /* "https" */
        char *authority; /* "s3.eu-west-1.amazonaws.com", "127.0.0.1:9000" */
        char *base_path; /* of the endpoint, without a slash at its end; mostly "" */
        char *region;
        bool path_style;
        bool is_anonymous;
        bool is_aws; /* no endpoint was configured: another region has another one */
        int attempts;
        const char *encryption; /* of new objects: a literal ("AES256", "aws:kms"), or NULL = the bucket's own way */
        char *encryption_key;   /* of aws:kms; NULL = the bucket's */
        struct aws_chain *chain;
};

struct s3_orphan;
struct s3 {
        struct loop *loop;
        struct objstore *store;
        struct http_client *http;
        struct map buckets; /* name -> struct s3_bucket */
        VEC(struct s3_orphan *) orphans; /* requests nobody waits for */
        bool *settled;                   /* told when the last of them has ended; NULL = nobody asks */
};

struct s3 *s3_new(struct objstore *s);
MUST_USE int s3_bucket_find(struct s3 *s3, const char *name, struct s3_bucket **ret, struct err *err);
/* The headers that make a new object encrypted as configured. */
void s3_bucket_encrypt(const struct s3_bucket *b, struct http_headers *h);
/* Another region than configured, as S3 says itself. */
void s3_bucket_set_region(struct s3_bucket *b, const char *region);

/* s3a://bucket/key; the key is as it stands, percent signs have no meaning. */
MUST_USE int s3_url_parse(const char *url, char **ret_bucket, char **ret_key, struct err *err);

/* ---- one signed request, with retries ---- */

struct s3_request;
struct s3_request_spec {
        struct s3_bucket *bucket;
        const char *method;
        const char *key;                    /* "" = the bucket */
        const char *query;                  /* encoded; NULL = none */
        const struct http_headers *headers; /* besides those of signing; borrowed for the call; NULL = none */
        struct str *body;                   /* taken; NULL = none */
        const char *body_hash;              /* hexadecimal SHA-256 when known; NULL = computed here */
        size_t max_answer;                  /* 0 = 16 MiB */
        const char *url;                    /* for messages */
        /* Any 2xx, else an error that says what S3 said. */
        void (*done)(void *arg, struct http_response *response, const struct err *err);
        void *arg;
};
/* done is never called from within. */
struct s3_request *s3_request_start(const struct s3_request_spec *spec);
void s3_request_cancel(struct s3_request *r);
/* Somebody else waits for it from now on. */
void s3_request_hand_over(struct s3_request *r, void (*done)(void *arg, struct http_response *response, const struct err *err), void *arg);

/* Discards the parts of an upload in the background. */
void s3_abandon_upload(struct s3_bucket *b, const char *key, const char *upload_id, const char *url);
void s3_orphans_free(struct s3 *s3);

struct objstore_op *s3_upload_start(struct objstore *s, const struct objstore_op *head, const struct op_request *q, struct s3_bucket *b,
                                    const char *key);

#endif
