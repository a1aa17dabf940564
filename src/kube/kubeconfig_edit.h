/* Editing kubeconfig files for clusters of our own. The file is locked as kubectl locks it (FILE.lock), replaced
 * atomically and keeps everything it holds besides the entries named (comments are lost, as with kubectl). */
#ifndef FIRESTEEL_KUBE_KUBECONFIG_EDIT_H
#define FIRESTEEL_KUBE_KUBECONFIG_EDIT_H

#include "base/err.h"
#include "base/str.h"

struct kubeconfig_entry {
        const char *name; /* of the cluster, the user and the context alike */
        const char *server;
        struct sv ca_pem, cert_pem, key_pem;
        const char *token;
        const char *namespace_;
        bool make_current;
};
/* The file that kubectl would write to: `path`, else the first of $KUBECONFIG (the last one when none exists), else
 * ~/.kube/config. Caller frees. */
char *kubeconfig_default_path(const char *path);
MUST_USE int kubeconfig_put(const char *file, const struct kubeconfig_entry *e, struct err *err);
/* Removes the three entries of that name, and the current context if that was it. No such file or entry: nothing to do. */
MUST_USE int kubeconfig_remove(const char *file, const char *name, struct err *err);
/* A configuration of its own with that entry alone. Caller frees. */
char *kubeconfig_text(const struct kubeconfig_entry *e);

#endif
