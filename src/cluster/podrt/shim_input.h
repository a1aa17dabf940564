/* Standard input of a container, in its shim: whoever attaches connects to the socket DIR/stdin; what comes goes into the container's pipe,
 * or into its terminal. Frames: a byte ('d' data, 'r' size), four bytes of length (most significant first), the bytes ("COLUMNS ROWS" for
 * 'r').
 *
 * stdinOnce: when the first who attached leaves, the container's input ends. Otherwise it stays open. One client at a time writes; others
 * wait. Nothing is read from a client while the container has not taken what came before, so memory is bounded by one frame piece.
 */
#ifndef FIRESTEEL_CLUSTER_PODRT_SHIM_INPUT_H
#define FIRESTEEL_CLUSTER_PODRT_SHIM_INPUT_H

#include <poll.h>

#include "base/err.h"
#include "base/str.h"

struct shim_input {
        int listen_fd, client_fd;
        int sink;      /* the pipe's end or the terminal; -1: over */
        bool is_once, is_terminal;
        unsigned char header[5];
        size_t header_len;
        uint32_t left; /* of the frame's data */
        struct str size, pending;
        size_t pending_at;
};
#define SHIM_INPUT_INIT ((struct shim_input){.listen_fd = -1, .client_fd = -1, .sink = -1, .size = {.max = 64}})

enum { SHIM_INPUT_FDS = 3 };
/* Listens in DIR. */
MUST_USE int shim_input_open(struct shim_input *in, const char *dir, bool is_once, bool is_terminal, struct err *err);
/* Where it goes; taken. */
void shim_input_set_sink(struct shim_input *in, int fd);
void shim_input_close(struct shim_input *in);
/* Fills in SHIM_INPUT_FDS descriptors to poll (-1: none), and looks at them afterwards. */
void shim_input_poll(const struct shim_input *in, struct pollfd *ret);
void shim_input_handle(struct shim_input *in, const struct pollfd *p);

/* The other side: a connected, non-blocking socket; -ENOENT when nobody listens there. */
MUST_USE int shim_input_connect(const char *dir, int *ret_fd, struct err *err);

#endif
