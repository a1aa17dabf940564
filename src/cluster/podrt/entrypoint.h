/* PID 1 of a container of a Spark image, in the place of /opt/entrypoint.sh and tini: gives an unknown user a line in passwd, starts the
 * command sparkcmd.h makes, forwards signals to it, reaps orphans, ends with its exit code (128 + signal). */
#ifndef FIRESTEEL_CLUSTER_PODRT_ENTRYPOINT_H
#define FIRESTEEL_CLUSTER_PODRT_ENTRYPOINT_H

int entrypoint_main(int argc, char **argv);

#endif
