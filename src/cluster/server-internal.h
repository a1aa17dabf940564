/* The server's insides, shared by the modules of this folder. */
#ifndef FIRESTEEL_CLUSTER_SERVER_INTERNAL_H
#define FIRESTEEL_CLUSTER_SERVER_INTERNAL_H

#include "base/clock.h"
#include "cluster/api.h"
#include "cluster/apiserver.h"
#include "cluster/hooks.h"
#include "cluster/pod_backend.h"
#include "cluster/registry.h"
#include "cluster/status.h"
#include "cluster/store.h"

struct tokens;    /* cluster/token.h */
struct addresses; /* cluster/addresses.h */
struct session;
struct watch;
struct discovery_cache;
struct crd_controller;
struct accounts;

struct apiserver {
        struct loop *loop;
        struct store *store;
        struct registry registry;
        struct tokens *tokens;
        struct addresses *addresses; /* cluster IPs and node ports given out */
        const struct pod_backend *backend; /* NULL until the pod runtime is there */
        char *ca_cert_pem;
        char *admin_token;
        char *service_cidr;
        char *advertise_address;
        int advertise_port;
        bool allow_anonymous_admin;
        bool is_ready;
        struct api *self; /* the server's own writes: bootstrap, service accounts */
        struct crd_controller *crds;
        struct accounts *accounts;
        struct discovery_cache *discovery;
        struct session *sessions; /* watches and streams under way */
        struct watch *unsent_watches; /* those with events that go out at the end of this turn (verbs/watch.c) */
        struct timer *send_watches;
        apiserver_connect_fn *connect; /* to addresses outside; NULL: this process reaches them itself */
        void *connect_arg;
        struct {
                uint64_t requests, errors;
                int64_t started_ms;
        } stats;
};

/* Who asks. */
struct user {
        char *name;
        char *uid; /* NULL mostly */
        struct strv groups;
        struct map extra; /* key -> char *: one value each (pod name and uid of bound tokens, credential id) */
};

/* Ends all watches and streams (session.c). */
void sessions_end(struct apiserver *s);
void discovery_cache_free(struct discovery_cache *c);

#endif
