/* Images from registries and files for the kubelet: looks into the store (oci/store.h), pulls what is missing in a process outside the
 * instance's network (dialer.h), unpacks on a worker. What several containers want at the same time is done once.
 *
 *     image_pulls_new(&o)
 *     image_pulls_get(p, &want)      // want.done once, never inside the call
 *     image_pulls_free(p)            // cancels all
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_IMAGEPULL_H
#define FIRESTEEL_CLUSTER_PODRT_IMAGEPULL_H

#include "cluster/podrt/dialer.h"
#include "oci/store.h"

struct kubelet;
struct image_pulls;
struct image_get;

struct image_pulls_options {
        struct kubelet *kubelet;      /* counts what is on workers */
        struct loop *loop;
        struct dialer *dialer;        /* borrowed; NULL: only what is in the store */
        const char *store_dir;        /* NULL: the user's */
        enum oci_ids ids;
        bool has_overlay;             /* else nothing is unpacked beforehand */
        const struct strv *insecure;  /* registries that speak plain HTTP; borrowed */
};
struct image_pulls *image_pulls_new(const struct image_pulls_options *o);
void image_pulls_free(struct image_pulls *p);
/* Whether an image of this name is in the store: one look, for names that also mean the machine's own file system. */
bool image_pulls_has(const struct image_pulls *p, const char *reference);
enum oci_ids image_pulls_ids(const struct image_pulls *p);
const struct oci_store *image_pulls_store(const struct image_pulls *p);

enum pull_policy { PULL_IF_NOT_PRESENT, PULL_ALWAYS, PULL_NEVER };
enum pull_policy pull_policy_of(const char *text); /* NULL: IfNotPresent */

/* What containers are made from. */
struct image_ready {
        const struct oci_image *image;
        const char *layers_dir;     /* NULL without overlay */
        const struct strv *layers;  /* below it, lowest first */
        bool was_pulled;
        int64_t took_ms;            /* of the pull */
};

struct image_want {
        const char *reference; /* checked already */
        enum pull_policy policy;
        const struct strv *secrets; /* texts of pull secrets; may be NULL */
        void (*on_pulling)(void *arg); /* may be NULL; possibly inside the call */
        void (*done)(void *arg, const struct image_ready *ready, const struct err *err);
        void *arg;
};
struct image_get *image_pulls_get(struct image_pulls *p, const struct image_want *want);
/* No callback after this. Only before done. */
void image_get_cancel(struct image_get *g);

/* Which images (digests of manifests) pods use: kept from pruning. Written on a worker, in the order of the
 * calls; what a newer call has overtaken is not written. */
void image_pulls_lease(struct image_pulls *p, const char *instance_dir, const struct strv *manifests);

/* The errand of the dialer that does the pulling. */
int image_pull_errand(struct sv task, struct str *answer, struct err *err);

#endif
