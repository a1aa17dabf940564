#include "cluster/podrt/shim_input.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fs.h"

enum { CHUNK = 16384 };

/* Socket names hold a hundred bytes, directories of containers are longer: by way of an open directory they are short. */
static int address_of(const char *dir, int *ret_dir, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        *ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (*ret_dir < 0)
                return -errno;
        snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/stdin", *ret_dir);
        return 0;
}

int shim_input_open(struct shim_input *in, const char *dir, bool is_once, bool is_terminal, struct err *err) {
        struct sockaddr_un a;
        AUTO(fd) int dir_fd = -1;
        int r = address_of(dir, &dir_fd, &a);
        if (r < 0)
                return err_errno(err, r, "%s", dir);
        in->is_once = is_once;
        in->is_terminal = is_terminal;
        in->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (in->listen_fd < 0 || bind(in->listen_fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(in->listen_fd, 4) < 0)
                return err_errno(err, -errno, "%s/stdin", dir);
        return 0;
}

int shim_input_connect(const char *dir, int *ret_fd, struct err *err) {
        struct sockaddr_un a;
        AUTO(fd) int dir_fd = -1;
        int r = address_of(dir, &dir_fd, &a);
        if (r < 0)
                return err_errno(err, r, "%s", dir);
        AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                return err_errno(err, errno == ECONNREFUSED ? -ENOENT : -errno, "%s/stdin", dir);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void shim_input_set_sink(struct shim_input *in, int fd) {
        (void)!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        in->sink = fd;
}

/* The terminal is not ours to close: its output is read from the same descriptor. */
static void end_sink(struct shim_input *in) {
        if (in->sink >= 0 && !in->is_terminal)
                close(in->sink);
        in->sink = -1;
        str_clear(&in->pending);
        in->pending_at = 0;
}

void shim_input_close(struct shim_input *in) {
        end_sink(in);
        if (in->client_fd >= 0)
                close(TAKE_FD(in->client_fd));
        if (in->listen_fd >= 0)
                close(TAKE_FD(in->listen_fd));
        str_done(&in->pending);
        str_done(&in->size);
}

static bool is_pending(const struct shim_input *in) { return in->pending_at < in->pending.len; }

void shim_input_poll(const struct shim_input *in, struct pollfd *ret) {
        ret[0] = (struct pollfd){.fd = in->client_fd < 0 ? in->listen_fd : -1, .events = POLLIN};
        ret[1] = (struct pollfd){.fd = is_pending(in) ? -1 : in->client_fd, .events = POLLIN};
        ret[2] = (struct pollfd){.fd = is_pending(in) ? in->sink : -1, .events = POLLOUT};
}

static void flush(struct shim_input *in) {
        while (in->sink >= 0 && is_pending(in)) {
                ssize_t n = write(in->sink, in->pending.data + in->pending_at, in->pending.len - in->pending_at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) { /* the container reads no more */
                        end_sink(in);
                        return;
                }
                in->pending_at += (size_t)n;
        }
        str_clear(&in->pending);
        in->pending_at = 0;
}

static void set_size(struct shim_input *in) {
        unsigned columns, rows;
        if (in->is_terminal && in->sink >= 0 && sscanf(str_cstr(&in->size), "%u %u", &columns, &rows) == 2 && columns < 10000 &&
            rows < 10000) {
                struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
                ioctl(in->sink, TIOCSWINSZ, &size);
        }
        str_clear(&in->size);
}

static void take(struct shim_input *in, const unsigned char *p, size_t len) {
        while (len > 0) {
                if (in->header_len < sizeof in->header) {
                        in->header[in->header_len++] = *p++;
                        len--;
                        if (in->header_len == sizeof in->header)
                                in->left = (uint32_t)in->header[1] << 24 | (uint32_t)in->header[2] << 16 | (uint32_t)in->header[3] << 8 |
                                           in->header[4];
                } else {
                        size_t n = in->left < len ? in->left : len;
                        str_append(in->header[0] == 'r' ? &in->size : &in->pending, p, n);
                        p += n;
                        len -= n;
                        in->left -= (uint32_t)n;
                }
                if (in->header_len == sizeof in->header && in->left == 0) {
                        if (in->header[0] == 'r')
                                set_size(in);
                        in->header_len = 0;
                }
        }
}

static void client_left(struct shim_input *in) {
        close(TAKE_FD(in->client_fd));
        in->header_len = 0;
        in->left = 0;
        if (!in->is_once)
                return;
        /* What a terminal takes for the end. */
        if (in->is_terminal && in->sink >= 0)
                (void)!write(in->sink, "\004", 1);
        end_sink(in);
}

void shim_input_handle(struct shim_input *in, const struct pollfd *p) {
        char chunk[CHUNK];
        if (p[0].fd >= 0 && p[0].revents)
                in->client_fd = accept4(in->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (p[1].fd >= 0 && p[1].revents) {
                ssize_t n = read(in->client_fd, chunk, sizeof chunk);
                if (n > 0) {
                        take(in, (unsigned char *)chunk, (size_t)n);
                        flush(in);
                } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
                        client_left(in);
                }
        }
        if (p[2].fd >= 0 && p[2].revents)
                flush(in);
}
