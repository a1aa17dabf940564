/* Class-data archives: the classes a Spark driver and executor load, laid out once per Spark and JDK so that later JVMs map them instead of
 * reading some hundred jars. Halves the start of a JVM; an archive that does not fit is ignored by the JVM.
 *
 * Made in the background by a container of the same image that runs a small job and dumps at its exit: after the first use of an image, when no
 * container runs any more, at the lowest weight. About 20 s of one processor and 150 MB, once. FIRESTEEL_CLASS_ARCHIVES=0 turns it off.
 * Kept in ${XDG_CACHE_HOME:-~/.cache}/firesteel/archives, shared by instances; the name holds a digest of what the JVM would check.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_ARCHIVE_H
#define FIRESTEEL_CLUSTER_PODRT_ARCHIVE_H

#include "cluster/podrt/image.h"

#define ARCHIVE_IN_POD "/opt/firesteel/classes.jsa"

struct kubelet;
struct archives;
struct archives *archives_new(struct kubelet *k);
/* The archive for this image: a path on the host, owned by the caller; NULL when there is none yet (it is then made later). */
char *archives_find(struct archives *a, const struct image *image);
/* Nothing runs at the moment: a good time to make what is wanted. */
void archives_idle(struct archives *a);
/* Something wants the processors: one under way is given up (and made later). */
void archives_busy(struct archives *a);
bool archives_are_busy(const struct archives *a);
void archives_free(struct archives *a);

#endif
