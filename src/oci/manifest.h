/* Manifests, indexes and image configurations, of OCI (image-spec 1.1) and of Docker (schema 2). Pure: JSON in, structs out. */
#ifndef FIRESTEEL_OCI_MANIFEST_H
#define FIRESTEEL_OCI_MANIFEST_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"
#include "oci/reference.h"

enum {
        OCI_MAX_MANIFEST_BYTES = 4 << 20,
        OCI_MAX_CONFIG_BYTES = 8 << 20,
        OCI_MAX_LAYERS = 127, /* what overlay mounts and other runtimes take */
};
#define OCI_MAX_LAYER_BYTES (64LL << 30)

#define OCI_TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_TYPE_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_TYPE_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_TYPE_LAYER "application/vnd.oci.image.layer.v1.tar"
#define OCI_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OCI_TYPE_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

struct oci_descriptor {
        char *media_type; /* "" when the document does not say */
        char *digest;     /* checked */
        int64_t size;     /* not negative */
};
void oci_descriptor_done(struct oci_descriptor *d);
DEFINE_AUTO_VALUE(oci_descriptor, struct oci_descriptor, oci_descriptor_done)

struct oci_platform {
        const char *os, *architecture, *variant; /* variant may be NULL */
};
/* The machine's, in the words of Go. */
struct oci_platform oci_platform_here(void);

enum oci_manifest_kind { OCI_KIND_MANIFEST, OCI_KIND_INDEX };
/* By media type, else by what is in it. -EINVAL: neither, -ENOTSUP: Docker's schema 1. */
MUST_USE int oci_manifest_kind(struct sv text, const char *media_type, enum oci_manifest_kind *ret, struct err *err);

struct oci_manifest {
        struct oci_descriptor config;
        VEC(struct oci_descriptor) layers; /* lowest first */
};
void oci_manifest_done(struct oci_manifest *m);
DEFINE_AUTO_VALUE(oci_manifest, struct oci_manifest, oci_manifest_done)
MUST_USE int oci_manifest_parse(struct sv text, struct oci_manifest *ret, struct err *err);

/* The index's manifest for a platform; -ENOENT names those there are. */
MUST_USE int oci_index_choose(struct sv text, struct oci_platform platform, struct oci_descriptor *ret, struct err *err);
/* The entry of a layout's index.json with this tag (annotation org.opencontainers.image.ref.name); tag NULL: the only entry. */
MUST_USE int oci_index_find_tag(struct sv text, const char *tag, struct oci_descriptor *ret, struct err *err);

struct oci_config {
        char *os, *architecture;
        struct strv env, entrypoint, command;
        char *working_dir, *user, *stop_signal; /* "" when not set */
        struct strv exposed_ports;              /* "8080/tcp" */
        struct strv diff_ids;                   /* digests of the layers' tars, lowest first */
        int64_t created_us;                     /* 0: not told */
};
void oci_config_done(struct oci_config *c);
DEFINE_AUTO_VALUE(oci_config, struct oci_config, oci_config_done)
MUST_USE int oci_config_parse(struct sv text, struct oci_config *ret, struct err *err);

/* "SIGTERM", "TERM", "15", "SIGRTMIN+3"; 0 when it is none. */
int oci_signal_parse(const char *text);

#endif
