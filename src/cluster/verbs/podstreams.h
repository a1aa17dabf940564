/* What log, exec, attach, portforward and proxy share: finding the pod and its container. */
#ifndef FIRESTEEL_CLUSTER_VERBS_PODSTREAMS_H
#define FIRESTEEL_CLUSTER_VERBS_PODSTREAMS_H

#include "cluster/session.h"
#include "cluster/verbs/verbs.h"

enum { STREAM_MAX_PENDING = 1024 * 1024 }; /* bytes buffered for either side before the other is paused */

MUST_USE int stream_find_pod(struct request *q, struct object **ret, struct err *err);
/* The container asked for, or the only one; 400 with the real texts otherwise. The caller frees. */
MUST_USE int stream_container(struct request *q, struct object *pod, char **ret, struct err *err);
/* 400 when the pod has no node, 500 when there is no pod runtime. */
MUST_USE int stream_check_host(struct request *q, struct object *pod, struct err *err);
/* portforward over plain WebSocket channels (portchannels.c). */
#define PORT_CHANNELS_PROTOCOL "v4.channel.k8s.io"
MUST_USE int portforward_channels(struct request *q, struct object *pod, struct err *err);

#endif
