#include "cluster/hostport.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fs.h"

bool hostport_is_loopback(const char *address) {
        struct in_addr a;
        return inet_pton(AF_INET, address, &a) == 1 && ntohl(a.s_addr) >> 24 == 127;
}

/* Is that where `local` of such a table listens, or everywhere? Addresses are hexadecimal words of this machine's byte order; `address`
 * NULL: any. */
static bool is_at(const char *local, const char *address) {
        struct in_addr a;
        char wanted[16];
        size_t len = strcspn(local, ":");
        if (!address || inet_pton(AF_INET, address, &a) != 1 || strspn(local, "0") >= len)
                return true;
        snprintf(wanted, sizeof wanted, "%08X", a.s_addr);
        return len >= 8 && strncmp(local + len - 8, wanted, 8) == 0; /* in tcp6 at the end of a mapped one */
}

/* The inode of the socket listening there in /proc/net/tcp or tcp6; 0 when there is none. */
static unsigned long listening_inode(const char *table, const char *address, int port) {
        FILE *f = fopen(table, "re");
        if (!f)
                return 0;
        char line[512];
        unsigned long found = 0;
        while (!found && fgets(line, sizeof line, f)) {
                /* sl local:port remote:port state queues timers retransmits uid timeout inode */
                char local[64];
                unsigned state;
                unsigned long inode;
                if (sscanf(line, " %*[^:]: %63s %*s %x %*s %*s %*s %*s %*s %lu", local, &state, &inode) != 3 || state != 0x0a)
                        continue;
                const char *colon = strrchr(local, ':');
                if (colon && strtol(colon + 1, NULL, 16) == port && is_at(local, address))
                        found = inode;
        }
        fclose(f);
        return found;
}

static bool has_socket(const char *pid, unsigned long inode) {
        AUTO(free) char *dir = xasprintf("/proc/%s/fd", pid);
        char wanted[64];
        snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
        DIR *d = opendir(dir);
        bool found = false;
        for (struct dirent *e; d && !found && (e = readdir(d));) {
                char target[64];
                ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
                if (n > 0) {
                        target[n] = 0;
                        found = streq(target, wanted);
                }
        }
        if (d)
                closedir(d);
        return found;
}

char *hostport_owner(const char *address, int port) {
        unsigned long inode = listening_inode("/proc/net/tcp", address, port);
        if (!inode)
                inode = listening_inode("/proc/net/tcp6", address, port);
        if (!inode)
                return NULL;
        DIR *d = opendir("/proc");
        char *owner = NULL;
        for (struct dirent *e; d && !owner && (e = readdir(d));) {
                if (e->d_name[0] < '1' || e->d_name[0] > '9' || !has_socket(e->d_name, inode))
                        continue;
                AUTO(free) char *path = xasprintf("/proc/%s/comm", e->d_name);
                AUTO(str) struct str comm = STR_INIT(0);
                if (fs_read(path, 256, &comm, NULL) >= 0)
                        owner = xasprintf("%.*s (process %s)", SV_ARG(sv_trim(str_sv(&comm))), e->d_name);
        }
        if (d)
                closedir(d);
        return owner ? owner : xstrdup("a process of another user");
}

int hostport_try(const char *address, int port, int *ret_fd, int *ret_port, struct err *err) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
                return err_set(err, -EINVAL, "\"%s\" is not an IPv4 address", address);
        AUTO(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return err_errno(err, -errno, "socket");
        /* A server that was just ended leaves connections in TIME_WAIT; they must not keep the next one out. */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        int r = bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 512) < 0 ? -errno : 0;
        if (r == -EADDRINUSE)
                return err_set(err, r, "port %d on %s is taken", port, address);
        if (r == -EACCES)
                return err_set(err, r, "port %d needs the right to use ports below 1024", port);
        if (r == -EADDRNOTAVAIL)
                return err_set(err, r, "%s is not an address of this machine", address);
        if (r < 0)
                return err_errno(err, r, "listening on %s:%d", address, port);
        socklen_t len = sizeof a;
        if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
                return err_errno(err, -errno, "getsockname");
        *ret_port = ntohs(a.sin_port);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int hostport_listen(const char *address, int port, int *ret_fd, int *ret_port, struct err *err) {
        int r = hostport_try(address, port, ret_fd, ret_port, err);
        AUTO(free) char *owner = r == -EADDRINUSE ? hostport_owner(address, port) : NULL;
        return owner ? err_set(err, r, "port %d on %s is taken by %s", port, address, owner) : r;
}
