#include "submit/upload.h"

#include <fcntl.h>
#include <sys/sendfile.h>

#include "base/fs.h"
#include "spark/juri.h"

/* The local path of a target: "file:/x", "file:///x", "/x". NULL for other places. */
static char *local_path(const char *target) {
        struct juri u;
        if (target[0] == '/')
                return xstrdup(target);
        if (str_starts(target, "file:")) {
                const char *path = target + strlen("file:");
                if (str_starts(path, "//"))
                        path = strchr(path + 2, '/');
                return path && *path == '/' ? xstrdup(path) : NULL;
        }
        return juri_parse(target, &u) && u.scheme.data ? NULL : fs_absolute(target);
}

int upload_check(const struct submission_uploads *uploads, struct err *err) {
        vec_foreach(u, &uploads->list) {
                AUTO(free) char *path = local_path(u->target);
                if (path)
                        continue;
                struct sv scheme = juri_scheme(u->target);
                err_set(err, -ENOTSUP, "Uploading file %s failed...: cannot write to %s: no way to upload to %.*s: places is built in", u->source, u->directory,
                        SV_ARG(scheme));
                err_hint(err, "set spark.kubernetes.file.upload.path to a file: path that the driver mounts too, put the file into the image (local:///path), or "
                              "upload it yourself and name its URL");
                return -ENOTSUP;
        }
        return 0;
}

static int copy(const char *from, const char *to, struct err *err) {
        AUTO(fd) int in = open(from, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return err_errno(err, -errno, "opening %s", from);
        AUTO(fd) int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (out < 0)
                return err_errno(err, -errno, "creating %s", to);
        ssize_t n;
        while ((n = sendfile(out, in, NULL, 1024 * 1024)) > 0) {
        }
        if (n < 0)
                return err_errno(err, -errno, "copying %s to %s", from, to);
        int fd = TAKE_FD(out);
        return close(fd) < 0 ? err_errno(err, -errno, "closing %s", to) : 0;
}

int upload_run(const struct submission_uploads *uploads, void (*say)(void *arg, const char *line), void *arg, struct err *err) {
        vec_foreach(u, &uploads->list) {
                AUTO(free) char *dir = local_path(u->directory);
                AUTO(free) char *path = local_path(u->target);
                AUTO(free) char *line = xasprintf("Uploading file: %s to dest: %s...", u->source, u->target);
                if (say)
                        say(arg, line);
                int r = fs_mkdirs(dir, 0755, err);
                if (r >= 0)
                        r = copy(u->source, path, err);
                if (r < 0)
                        return err_wrap(err, r, "Uploading file %s failed...", u->source);
        }
        return 0;
}
