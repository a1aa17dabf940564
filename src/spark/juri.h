/* URIs as java.net.URI and Spark's Utils.resolveURI see them: what parses, what does not and is therefore taken for a file's name, and how
 * the result is spelt - it ends up in the driver's properties and arguments. */
#ifndef FIRESTEEL_SPARK_JURI_H
#define FIRESTEEL_SPARK_JURI_H

#include "spark/inputs.h"

struct juri {
        struct sv scheme;    /* SV_NULL when absent */
        struct sv authority; /* SV_NULL when absent */
        struct sv path;      /* as written; SV_NULL when opaque */
        struct sv fragment;  /* as written; SV_NULL when absent */
};
/* Views into `text`; false where java.net.URI's constructor throws. */
bool juri_parse(const char *text, struct juri *ret);

/* Utils.resolveURI(text).toString: the text itself when it has a scheme, else file:/canonical/path. */
char *juri_resolve(const struct submission_inputs *in, const char *text);
/* Utils.resolveURIs: each of a comma-separated list; blank ones are dropped. */
char *juri_resolve_all(const struct submission_inputs *in, const char *list);
/* The scheme, lower case being the caller's affair; SV_NULL when there is none. */
struct sv juri_scheme(const char *uri);
/* URI.getPath: decoded; "" for an opaque URI or one that does not parse. */
char *juri_path(const char *uri);
/* URI.getFragment: decoded; NULL when there is none. */
char *juri_fragment(const char *uri);
char *juri_without_fragment(const char *uri);
/* "file:" and the path with what a URI cannot hold percent-encoded. */
char *juri_of_file(const char *path, bool is_directory);
/* Percent-encodes what a URI's path cannot hold; escapes that are there stay. */
char *juri_quote_path(const char *path);

/* Is this file:... on the submitter's machine (and to be uploaded)? */
bool juri_is_local_file(const char *uri);

/* DependencyUtils.resolveGlobPaths: patterns become the files they match, directories go, names of files are spelt as Hadoop spells them.
 */
MUST_USE int juri_resolve_globs(const struct submission_inputs *in, const char *list, char **ret, struct err *err);
bool path_has_glob(const char *path);

#endif
