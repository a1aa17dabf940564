/* The kubelet of the embedded cluster: makes the pods bound to this node real, and reports on them as a kubelet does.
 *
 *     kubelet_new(&o, &k, err);           // after holder_enter(), on the server's loop
 *     apiserver_set_pod_backend(server, kubelet_backend(k));
 *     ...
 *     kubelet_stop(k, grace_s, done, arg) // ends all pods, as at a node's shutdown; or not at all: then the next kubelet adopts them
 *     kubelet_free(k)                     // leaves running containers alone
 *
 * State on disk, below DIR: pods/UID/{pod.json, volumes/, net/ ipc/ uts/, hosts, containers/NAME/ATTEMPT/},
 * logs/NS_POD_UID/CONTAINER/ATTEMPT.log, runtime/ (crun's). One container has one shim (shim.h), which keeps running when the server does
 * not; what a new kubelet finds it takes over. Everything here runs on the loop's thread; what blocks goes to workers.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_KUBELET_H
#define FIRESTEEL_CLUSTER_PODRT_KUBELET_H

#include "cluster/api.h"
#include "cluster/pod_backend.h"
#include "cluster/podrt/dialer.h"
#include "cluster/podrt/holder.h"
#include "cluster/podrt/image.h"
#include "cluster/podrt/isolation.h"

struct kubelet;

struct kubelet_options {
        struct apiserver *server;
        struct loop *loop;
        const char *dir;                    /* the instance's directory */
        const char *instance;               /* its name: the node is called like it, and its control groups */
        const char *program;                /* this program's file, NULL = /proc/self/exe */
        struct podnet_ranges ranges;
        const struct isolation *isolation;  /* borrowed; not possible: pods stay Pending and say why */
        const struct holder *holder;        /* NULL when pods are not possible */
        struct dialer *dialer;              /* the way out of the network namespace; borrowed, may be NULL */
        const char *event_logs;             /* Spark's pods see it at Spark's default place for event logs; NULL = they do not */
        struct image_store_options images;
        const struct strv *resolvers;           /* ADDRESS[:PORT]; borrowed; empty or NULL = the host's */
        bool has_no_egress;
        const struct strv *insecure_registries; /* that speak plain HTTP; borrowed, may be NULL */
        int64_t cpu_milli, memory_bytes;    /* what the node offers; 0 = what the machine has */
        const char *host_address;           /* of the host, where node ports are; NULL = they are inside only */
        const char *api_address;            /* 10.96.0.1 */
        const char *dns_address;            /* 10.96.0.10 */
};

MUST_USE int kubelet_new(const struct kubelet_options *o, struct kubelet **ret, struct err *err);
const struct pod_backend *kubelet_backend(struct kubelet *k);
/* How pods reach what is outside, in words. */
const char *kubelet_egress(const struct kubelet *k);
/* How many containers were found running and taken over. Known once the first list of pods has arrived. */
size_t kubelet_adopted(const struct kubelet *k);
/* Ends every pod, each with its own grace but at most grace_s; done once all have ended. Called again: with less grace. */
void kubelet_stop(struct kubelet *k, int64_t grace_s, void (*done)(void *arg), void *arg);
void kubelet_free(struct kubelet *k);
DEFINE_AUTO_PTR(kubelet, struct kubelet, kubelet_free)

#endif
