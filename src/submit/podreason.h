/* Why a pod is not running, in a word and a sentence: from its containers, its conditions and its status. Pure. */
#ifndef FIRESTEEL_SUBMIT_PODREASON_H
#define FIRESTEEL_SUBMIT_PODREASON_H

#include "codec/json.h"

struct pod_reason {
        const char *reason;  /* OOMKilled, Error, ImagePullBackOff, ContainerCreating, Unschedulable, Evicted ...; NULL = nothing to say */
        const char *message; /* Kubernetes' own words, or NULL */
        int exit_code;       /* of the container that ended; -1 = none did */
        int signal;          /* 0 = none */
        int restarts;        /* of the container looked at */
        const char *container;
        const char *phase;   /* never NULL */
        bool is_terminating;
};
/* Texts live as long as the pod does. The Spark container is looked at first, then any other with something to say. */
struct pod_reason pod_reason_of(yyjson_val *pod);
/* The Spark container's status (named spark-kubernetes-driver or -executor, else the first); NULL when there is none. */
yyjson_val *pod_spark_container_status(yyjson_val *pod);
/* The same container's entry in spec.containers. */
yyjson_val *pod_spark_container(yyjson_val *pod);
/* When it began to run and when it ended, in milliseconds; 0 when it has not. */
int64_t pod_started_ms(yyjson_val *pod);
int64_t pod_finished_ms(yyjson_val *pod);

#endif
