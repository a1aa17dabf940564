/* Signatures of strangers: "method\npath\nquery\nAuthorization\nX-Amz-Date\nbody". Also, what we sign must verify. */
#include "net/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_MS = 1440938160 }; /* seconds, see below */

static const char *secret_of(void *arg, const char *access_key) { return "secret"; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size > 10000 || memchr(data, 0, size))
                return 0;
        struct sv rest = sv_new((const char *)data, size), part;
        char *fields[6] = {0};
        for (int i = 0; i < 6; i++)
                fields[i] = sv_split(&rest, '\n', &part) ? sv_dup(part) : xstrdup("");
        struct sigv4_request q = {.method = fields[0], .path = fields[1], .query = *fields[2] ? fields[2] : NULL, .body = sv_of(fields[5])};
        AUTO(http_headers) struct http_headers h = {0};
        AUTO(http_headers) struct http_headers own = {0};
        AUTO(sigv4_identity) struct sigv4_identity who = {0};
        AUTO(sigv4_identity) struct sigv4_identity me = {0};
        http_headers_add(&h, "Host", "h");
        http_headers_add(&h, "Authorization", fields[3]);
        http_headers_add(&h, "X-Amz-Date", fields[4]);
        int64_t now_ms = (int64_t)NOW_MS * 1000;
        int r = sigv4_verify(&q, &h, now_ms, NULL, secret_of, NULL, &who, NULL);
        (void)r;

        http_headers_add(&own, "Host", "h");
        http_headers_add(&own, "X-Field", fields[3]);
        struct sigv4_keys k = {"key", "secret", NULL, "r", fields[0][0] == 'G' ? "s3" : "service"};
        sigv4_sign(&k, &q, now_ms, NULL, &own, NULL);
        if (sigv4_verify(&q, &own, now_ms, NULL, secret_of, NULL, &me, NULL) < 0)
                abort();
        for (int i = 0; i < 6; i++)
                free(fields[i]);
        return 0;
}
