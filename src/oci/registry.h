/* Pulling from registries: Docker Registry HTTP API V2 (the OCI distribution specification).
 *
 *     oci_pull(&o, &store, &reference, &result, err)      // blocks; a loop of its own
 *
 * Manifests are checked against their digest before they are read, layers while they stream; what is in the store is not fetched again, a
 * layer that broke off is resumed (Range) or begun anew. Three layers come at a time; a layer that another process fetches is waited for.
 * Connections that break and answers 429, 5xx are tried again with back-off, Retry-After is honoured.
 *
 * http only for loopback addresses and the registries in `insecure`. Redirects are followed (at most 5) without Authorization when they
 * lead to another host; never from https to http.
 */
#ifndef FIRESTEEL_OCI_REGISTRY_H
#define FIRESTEEL_OCI_REGISTRY_H

#include "oci/auth.h"
#include "oci/store.h"

struct oci_pull_options {
        const struct oci_logins *logins; /* NULL: anonymous */
        const struct strv *insecure;     /* "host[:port]"; NULL: none */
        bool unless_present;             /* what is in the store under this name is good enough */
        int attempts;                    /* 0 = 5 */
        /* May be NULL; layers and bytes in all, known once the manifest is there. */
        void (*progress)(void *arg, size_t layers_done, size_t layers, int64_t bytes_done, int64_t bytes);
        void *arg;
};

struct oci_pull_result {
        char digest[OCI_DIGEST_SIZE];   /* what the name stood for */
        char manifest[OCI_DIGEST_SIZE]; /* this machine's */
        int64_t fetched;                /* bytes that came over the network */
        int64_t size;                   /* of the image */
        bool was_present;
};
/* -ENOENT: no such repository or tag (or no access: registries do not tell); -EACCES: refused; -EBADMSG: not what its digest says. */
MUST_USE int oci_pull(const struct oci_pull_options *o, const struct oci_store *store, const struct oci_reference *reference,
                      struct oci_pull_result *ret, struct err *err);

/* Whether a registry's host is a loopback address. Pure. */
bool oci_registry_is_loopback(const char *registry);

#endif
