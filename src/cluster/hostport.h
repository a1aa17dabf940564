/* Listening on a port of the host, with an answer to "who has it?" when it is taken. */
#ifndef FIRESTEEL_CLUSTER_HOSTPORT_H
#define FIRESTEEL_CLUSTER_HOSTPORT_H

#include "base/err.h"
#include "base/str.h"

/* A TCP socket bound to the IPv4 address and listening; port 0 picks one. -EADDRINUSE names port and owner. */
MUST_USE int hostport_listen(const char *address, int port, int *ret_fd, int *ret_port, struct err *err);
/* The same without the look for the owner, which goes through all processes: for those who try the next one. */
MUST_USE int hostport_try(const char *address, int port, int *ret_fd, int *ret_port, struct err *err);
/* "java (process 4711)", "a process of another user"; NULL when nobody listens there, or on that port of all addresses. The caller frees.
 */
char *hostport_owner(const char *address, int port);
/* 127.0.0.0/8? */
bool hostport_is_loopback(const char *address);

#endif
