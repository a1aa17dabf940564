/* /opt/decom.sh of a container of a Spark image, which executors with spark.decommission.enabled have as their preStop hook
 * (spark.kubernetes.decommission.script): tells the executor that it is going to be taken away (SIGPWR, upon which Spark moves its blocks
 * to others) and keeps the hook open until it has left, for a minute at most. Exit code 1 when no executor runs here. */
#ifndef FIRESTEEL_CLUSTER_PODRT_DECOM_H
#define FIRESTEEL_CLUSTER_PODRT_DECOM_H

int decom_main(int argc, char **argv);

#endif
