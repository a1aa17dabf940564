/* kubeconfig files: reading and merging them as client-go does. What one context means is access.h's business,
 * editing is kubeconfig_edit.h's.
 *
 *     AUTO(kubeconfig) struct kubeconfig k = {0};
 *     r = kubeconfig_load(NULL, &k, err);                        // --kubeconfig, else $KUBECONFIG, else ~/.kube/config
 *
 * Merging: several files of $KUBECONFIG are one configuration in which the first file to name a cluster, user or
 * context decides it whole, and the first to name a current context decides that. Files of the list that do not exist
 * are skipped; one named by --kubeconfig must exist. Relative file names (and exec commands that contain a slash) are
 * taken from the directory of the file they are written in.
 *
 * Sources of the rules: k8s.io/client-go tools/clientcmd (loader, overrides, validation) and the kubeconfig v1 reference. */
#ifndef FIRESTEEL_KUBE_KUBECONFIG_H
#define FIRESTEEL_KUBE_KUBECONFIG_H

#include "base/vec.h"
#include "codec/json.h"

enum { KUBECONFIG_MAX_BYTES = 16 * 1024 * 1024 };

struct kubeconfig {
        yyjson_mut_doc *doc; /* the merged configuration, in the shape of the file format; NULL when no file was there */
        struct strv files;   /* those that were read, in order */
        struct strv missing; /* those of the list that do not exist */
};

void kubeconfig_done(struct kubeconfig *k);
DEFINE_AUTO_VALUE(kubeconfig, struct kubeconfig, kubeconfig_done)

/* `path` is that of --kubeconfig, or NULL for the environment's. Finding no file is not an error here. */
MUST_USE int kubeconfig_load(const char *path, struct kubeconfig *ret, struct err *err);
/* Only the first existing file of $KUBECONFIG, without merging: how Spark's own client reads it. */
MUST_USE int kubeconfig_load_first(struct kubeconfig *ret, struct err *err);
/* One document from memory; `file` names it in messages and places its relative paths. */
MUST_USE int kubeconfig_add_text(struct kubeconfig *k, struct sv text, const char *file, struct err *err);
const char *kubeconfig_current_context(const struct kubeconfig *k); /* NULL when none is set */
bool kubeconfig_has_context(const struct kubeconfig *k, const char *name);
/* What the entry of that name holds: list and body are "clusters" and "cluster", "users" and "user", "contexts" and
 * "context". NULL when there is none. */
yyjson_mut_val *kubeconfig_entry(const struct kubeconfig *k, const char *list, const char *body, const char *name);
void kubeconfig_names(const struct kubeconfig *k, const char *list, struct strv *ret);

#endif
