#include "base/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>

#include "base/rand.h"
#include "base/vec.h"

enum { COPY_PIECE = 1 << 30 };

int fs_read(const char *path, size_t max, struct str *ret, struct err *err) {
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        AUTO(str) struct str text = STR_INIT(max);
        for (;;) {
                char chunk[16384];
                ssize_t n = read(fd, chunk, sizeof chunk);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_errno(err, -errno, "%s", path);
                if (n == 0)
                        break;
                str_append(&text, chunk, (size_t)n);
                if (str_overflowed(&text))
                        return err_set(err, -EFBIG, "%s: larger than the %zu bytes allowed here", path, max);
        }
        str_append_sv(ret, str_sv(&text));
        return 0;
}

int fs_write_all(int fd, const void *data, size_t len) {
        const char *p = data;
        while (len > 0) {
                ssize_t n = write(fd, p, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                len -= (size_t)n;
        }
        return 0;
}

int fs_write(const char *path, struct sv text, mode_t mode, struct err *err) {
        AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        int r = fs_write_all(fd, text.data, text.len);
        return r < 0 ? err_errno(err, r, "writing %s", path) : 0;
}

int fs_write_atomic(const char *path, struct sv text, mode_t mode, struct err *err) {
        char suffix[9];
        rand_hex(suffix, 8);
        AUTO(free) char *temporary = xasprintf("%s.%s.tmp", path, suffix);
        AUTO(fd) int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0)
                return err_errno(err, -errno, "%s", temporary);
        int r = fs_write_all(fd, text.data, text.len);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0 && rename(temporary, path) < 0)
                r = -errno;
        if (r < 0) {
                unlink(temporary);
                return err_errno(err, r, "writing %s", path);
        }
        return 0;
}

/* A piece of the rest; 0 at the end. File systems that cannot share or copy say so in several ways. */
static ssize_t copy_some(int from, int to) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, COPY_PIECE, 0);
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
                n = sendfile(to, from, NULL, COPY_PIECE);
        return n;
}

int fs_copy(const char *from, const char *to, mode_t mode, struct err *err) {
        ssize_t n;
        AUTO(fd) int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
        if (in < 0)
                return err_errno(err, -errno, "%s", from);
        if (unlink(to) < 0 && errno != ENOENT)
                return err_errno(err, -errno, "removing %s", to);
        out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (out < 0)
                return err_errno(err, -errno, "%s", to);
        do
                n = copy_some(in, out);
        while (n > 0 || (n < 0 && errno == EINTR));
        if (n == 0)
                return 0;
        int r = err_errno(err, -errno, "copying %s to %s", from, to);
        unlink(to);
        return r;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err) {
        AUTO(free) char *copy = xstrdup(path);
        for (char *p = copy + 1;; p++) {
                if (*p != '/' && *p != '\0')
                        continue;
                char was = *p;
                *p = '\0';
                if (mkdir(copy, mode) < 0 && errno != EEXIST)
                        return err_errno(err, -errno, "creating directory %s", copy);
                if (was == '\0')
                        break;
                *p = was;
        }
        return fs_is_dir(path) ? 0 : err_set(err, -ENOTDIR, "%s exists and is not a directory", path);
}

static int remove_at(int parent, const char *name, dev_t device) {
        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        struct stat st;
        DIR *dir = fstat(fd, &st) == 0 && st.st_dev == device ? fdopendir(fd) : NULL;
        if (!dir) {
                close(fd);
                return -EXDEV;
        }
        int r = 0;
        for (struct dirent *e; r == 0 && (e = readdir(dir));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = remove_at(dirfd(dir), e->d_name, device);
        closedir(dir);
        if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                r = -errno;
        return r;
}

int fs_remove_tree(const char *path, struct err *err) {
        struct stat st;
        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", path);
        int r = remove_at(AT_FDCWD, path, st.st_dev);
        return r < 0 ? err_errno(err, r, "removing %s", path) : 0;
}

bool fs_exists(const char *path) { return access(path, F_OK) == 0; }

bool fs_is_dir(const char *path) {
        struct stat st;
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *fs_join(const char *dir, const char *name) {
        if (name[0] == '/' || dir[0] == '\0')
                return xstrdup(name);
        return xasprintf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

const char *fs_basename(const char *path) {
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

char *fs_absolute(const char *path) {
        AUTO(free) char *full = NULL;
        const char *home = getenv("HOME");
        if (path[0] == '/') {
                full = xstrdup(path);
        } else if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && home) {
                full = xasprintf("%s%s", home, path + 1);
        } else {
                AUTO(free) char *cwd = getcwd(NULL, 0);
                full = fs_join(cwd ? cwd : "/", path);
        }
        AUTO(strv) struct strv kept = {0};
        struct sv rest = sv_of(full), part;
        while (sv_split(&rest, '/', &part)) {
                if (part.len == 0 || sv_eqs(part, "."))
                        continue;
                if (sv_eqs(part, "..")) {
                        if (kept.len) {
                                free(kept.items[--kept.len]);
                                kept.items[kept.len] = NULL;
                        }
                        continue;
                }
                strv_take(&kept, sv_dup(part));
        }
        AUTO(free) char *joined = strv_join(&kept, "/");
        return xasprintf("/%s", joined);
}

char *fs_find_program(const char *name) {
        if (strchr(name, '/'))
                return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
        const char *path = getenv("PATH");
        struct sv rest = sv_of(path ? path : "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"), dir;
        while (sv_split(&rest, ':', &dir)) {
                AUTO(free) char *candidate = xasprintf("%.*s/%s", SV_ARG(dir), name);
                if (dir.len && access(candidate, X_OK) == 0 && !fs_is_dir(candidate))
                        return TAKE(candidate);
        }
        return NULL;
}
