/* A message and a descriptor along a Unix socket (SCM_RIGHTS). */
#ifndef FIRESTEEL_CLUSTER_PODRT_FDPASS_H
#define FIRESTEEL_CLUSTER_PODRT_FDPASS_H

#include "base/mem.h"

/* passed: the descriptor that goes along, which stays the caller's; -1 for none. 0 or negative errno. */
MUST_USE int fdpass_send(int fd, const void *data, size_t len, int passed);
/* Length received, 0 at the end, negative errno; *ret_passed is -1 when nothing came along. */
MUST_USE ssize_t fdpass_receive(int fd, void *data, size_t len, int *ret_passed);

#endif
