/* What makes Spark start faster, made once per Spark, JDK and Python: the classes a driver and an executor load as a class-data archive,
 * which later JVMs map instead of reading some hundred jars, and Spark's Python library with its byte code, which Python else compiles from
 * source at every start, because it comes in a zip file. Halves the start of both; what does not fit (another JVM or Python) is ignored by
 * them.
 *
 * Made in the background by a container of the same image that runs a small job and dumps at its exit: after the first use of an image,
 * when no container runs any more, at the lowest weight. About 20 s of one processor and 150 MB, once. FIRESTEEL_CLASS_ARCHIVES=0 turns it
 * off. Kept in ${XDG_CACHE_HOME:-~/.cache}/firesteel/archives, shared by instances; the name holds a digest of what the JVM would check.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_ARCHIVE_H
#define FIRESTEEL_CLUSTER_PODRT_ARCHIVE_H

#include "cluster/podrt/image.h"

#define ARCHIVE_IN_POD "/opt/firesteel/classes.jsa"
#define ARCHIVE_PYTHON_IN_POD "/opt/spark/python/lib"

struct kubelet;
struct archives;
struct archives *archives_new(struct kubelet *k);
/* The archive for this image: a path on the host, owned by the caller; NULL when there is none yet (it is then made later). */
char *archives_find(struct archives *a, const struct image *image);
/* The directory with the Python library that belongs to an archive; NULL when this Spark has none. */
char *archives_python(const char *archive);
/* Nothing runs at the moment: a good time to make what is wanted. */
void archives_idle(struct archives *a);
/* Something wants the processors: one under way is given up (and made later). */
void archives_busy(struct archives *a);
bool archives_are_busy(const struct archives *a);
void archives_free(struct archives *a);

#endif
