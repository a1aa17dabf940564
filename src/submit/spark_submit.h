/* The name `spark-submit`: what is for Kubernetes in cluster mode (and --kill, --status) is done here, with the original's requests, exit
 * codes and messages; everything else is handed over unchanged to $SPARK_HOME/bin/spark-submit. */
#ifndef FIRESTEEL_SUBMIT_SPARK_SUBMIT_H
#define FIRESTEEL_SUBMIT_SPARK_SUBMIT_H

/* As main(): argv[0] is the name. Does not return when it hands over. */
int spark_submit_main(int argc, char **argv);

#endif
