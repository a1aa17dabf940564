#include "oci/unpack.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

enum { COPY_BYTES = 64 << 10, DEPTH_MAX = 512 };

/* Directories get their times, and those without write permission their modes, when everything is in them. */
struct late_dir {
        char *path;
        int64_t mtime_s;
};

struct unpacker {
        struct tar *tar;
        int root;
        const struct unpack_options *o;
        VEC(struct late_dir) dirs;
        char *parent_path; /* the parent opened last: neighbours come one after the other */
        char *parent_real; /* the same without links */
        int parent_fd;
        char *buffer;
        struct strv made; /* UNPACK_APPLY: paths of this layer; opaque directories keep those */
};

static int open_at2(int dir, const char *path, int flags, uint64_t resolve) {
        struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve};
        for (int tries = 0;; tries++) {
                int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN || tries == 10) /* a rename somewhere on the way */
                        return -errno;
        }
}

int unpack_open_in(int dir_fd, const char *path, int flags) {
        return open_at2(dir_fd, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

static int open_beneath(int dir, const char *path, int flags) {
        return open_at2(dir, *path ? path : ".", flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

char *unpack_clean_path(const char *name) {
        AUTO(str) struct str out = STR_INIT(0);
        struct sv rest = sv_of(name), part;
        size_t depth = 0;
        while (sv_split(&rest, '/', &part)) {
                if (!part.len || sv_eqs(part, "."))
                        continue;
                if (sv_eqs(part, "..") || part.len > 255 || ++depth > DEPTH_MAX)
                        return NULL;
                if (out.len)
                        str_append_c(&out, '/');
                str_append_sv(&out, part);
        }
        return str_take(&out);
}

/* ---- parents ---- */

/* Owner and mode of a directory as the layers below have it. */
static void like_below(struct unpacker *u, int parent, const char *name, const char *path) {
        for (size_t i = u->o->lower_count; i-- > 0;) {
                AUTO(fd) int fd = open_beneath(u->o->lower[i], path, O_PATH | O_NOFOLLOW);
                struct stat st;
                if (fd < 0 || fstat(fd, &st) < 0)
                        continue;
                if (!S_ISDIR(st.st_mode))
                        return;
                /* Where ids are squashed the owner is the same anyway. */
                (void)!fchownat(parent, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
                (void)!fchmodat(parent, name, st.st_mode & 07777, 0);
                return;
        }
}

/* ---- links on the way ---- */

enum seen { SEEN_NOTHING, SEEN_DIRECTORY, SEEN_LINK, SEEN_OTHER };

static bool is_opaque(const struct unpacker *u, int root, const char *path) {
        AUTO(fd) int fd = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
        char value;
        return fd >= 0 && fgetxattr(fd, u->o->is_in_user_namespace ? "user.overlay.opaque" : "trusted.overlay.opaque", &value, 1) == 1 &&
               value == 'y';
}

/* In one layer: -ENOENT when a layer below may have it. */
static int look_in(const struct unpacker *u, int root, const char *path, char **ret_target) {
        AUTO(fd) int fd = open_beneath(root, path, O_PATH | O_NOFOLLOW);
        struct stat st;
        char target[PATH_MAX];
        if (fd == -ENOENT) {
                /* Unless a directory above it hides the lower ones. */
                AUTO(free) char *above = xstrdup(path);
                for (char *slash; (slash = strrchr(above, '/'));) {
                        *slash = '\0';
                        if (is_opaque(u, root, above))
                                return SEEN_NOTHING;
                }
                return is_opaque(u, root, "") ? SEEN_NOTHING : -ENOENT;
        }
        if (fd < 0 || fstat(fd, &st) < 0)
                return SEEN_NOTHING; /* on the way there something else is in this layer, and hides what is below */
        if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
                return SEEN_NOTHING; /* a whiteout */
        if (S_ISDIR(st.st_mode))
                return SEEN_DIRECTORY;
        if (!S_ISLNK(st.st_mode))
                return SEEN_OTHER;
        ssize_t n = readlinkat(fd, "", target, sizeof target);
        if (n <= 0 || n == sizeof target)
                return SEEN_OTHER;
        *ret_target = xstrndup(target, (size_t)n);
        return SEEN_LINK;
}

/* What a container would see at PATH, which has no links before its last part. */
static enum seen look(const struct unpacker *u, const char *path, char **ret_target) {
        int seen = look_in(u, u->root, path, ret_target);
        for (size_t i = u->o->lower_count; seen == -ENOENT && i-- > 0;)
                seen = look_in(u, u->o->lower[i], path, ret_target);
        return seen < 0 ? SEEN_NOTHING : (enum seen)seen;
}

/* The path of a directory with every link followed inside the image; what is not there yet is taken for directories to be made. */
static int follow(const struct unpacker *u, const char *path, char **ret, struct err *err) {
        AUTO(free) char *rest = xstrdup(path);
        AUTO(str) struct str real = STR_INIT(0);
        size_t links = 0;
        while (*rest) {
                size_t len = strcspn(rest, "/"), before = real.len;
                AUTO(free) char *target = NULL;
                AUTO(free) char *part = xstrndup(rest, len);
                AUTO(free) char *left = xstrdup(rest + len + (rest[len] == '/'));
                if (streq(part, "..")) {
                        ssize_t slash = sv_rfind_char(str_sv(&real), '/');
                        str_truncate(&real, slash < 0 ? 0 : (size_t)slash);
                } else if (len && !streq(part, ".")) {
                        str_appendf(&real, "%s%s", before ? "/" : "", part);
                        switch (look(u, str_cstr(&real), &target)) {
                        case SEEN_NOTHING:
                        case SEEN_DIRECTORY: break;
                        case SEEN_OTHER: return err_set(err, -EPERM, "%s: %s is no directory; refused", path, str_cstr(&real));
                        case SEEN_LINK: {
                                str_truncate(&real, target[0] == '/' ? 0 : before);
                                if (++links > UNPACK_MAX_LINKS)
                                        return err_set(err, -ELOOP, "%s: more than %d links on the way; refused", path, UNPACK_MAX_LINKS);
                                AUTO(free) char *both = xasprintf("%s/%s", target, left);
                                if (strlen(both) >= PATH_MAX)
                                        return err_set(err, -ENAMETOOLONG, "%s: the links on the way make it too long; refused", path);
                                free(left);
                                left = TAKE(both);
                                break;
                        }
                        }
                }
                free(rest);
                rest = TAKE(left);
        }
        *ret = str_take(&real);
        return 0;
}

/* ---- making them ---- */

/* mkdir -p below the root; what is in the way and no directory is an error. */
static int make_dirs(struct unpacker *u, const char *path, struct err *err) {
        AUTO(free) char *copy = xstrdup(path);
        for (char *p = copy;; p++) {
                if (*p && *p != '/')
                        continue;
                char was = *p;
                *p = '\0';
                char *slash = strrchr(copy, '/');
                AUTO(fd) int parent = -1;
                if (slash)
                        *slash = '\0';
                parent = open_beneath(u->root, slash ? copy : "", O_RDONLY | O_DIRECTORY);
                if (slash)
                        *slash = '/';
                if (parent < 0)
                        return err_errno(err, parent, "directory of %s", path);
                const char *last = slash ? slash + 1 : copy;
                if (mkdirat(parent, last, 0755) == 0)
                        like_below(u, parent, last, copy);
                else if (errno != EEXIST)
                        return err_errno(err, -errno, "creating directory %s", copy);
                *p = was;
                if (!was)
                        return 0;
        }
}

static void forget_parent(struct unpacker *u) {
        if (u->parent_fd >= 0)
                close(u->parent_fd);
        u->parent_fd = -1;
        free(TAKE(u->parent_path));
        free(TAKE(u->parent_real));
}

/* The directory in which PATH lies (made when missing) and the last part of the name. */
static int enter_parent(struct unpacker *u, const char *path, const char **ret_name, struct err *err) {
        const char *slash = strrchr(path, '/');
        AUTO(free) char *parent = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
        AUTO(free) char *real = NULL;
        *ret_name = slash ? slash + 1 : path;
        if (u->parent_fd >= 0 && streq(u->parent_path, parent))
                return 0;
        forget_parent(u);
        int r, fd = open_beneath(u->root, parent, O_RDONLY | O_DIRECTORY);
        if (fd >= 0) {
                real = xstrdup(parent);
        } else {
                if ((r = follow(u, parent, &real, err)) < 0 || (*real && (r = make_dirs(u, real, err)) < 0))
                        return r;
                fd = open_beneath(u->root, real, O_RDONLY | O_DIRECTORY);
        }
        if (fd < 0)
                return err_errno(err, fd, "directory of %s", path);
        u->parent_fd = fd;
        u->parent_path = TAKE(parent);
        u->parent_real = TAKE(real);
        return 0;
}

/* ---- removing ---- */

static int remove_all(int dir, const char *name, int depth) {
        if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 || depth > DEPTH_MAX ? NULL : fdopendir(fd);
        if (!d) {
                int r = fd < 0 ? -errno : -ELOOP;
                if (fd >= 0)
                        close(fd);
                return r;
        }
        int r = 0;
        for (struct dirent *e; r == 0 && (e = readdir(d));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = remove_all(dirfd(d), e->d_name, depth + 1);
        closedir(d);
        return r < 0 ? r : unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Something of the same name that is there already goes; a directory may stay for a directory. */
static int clear_way(struct unpacker *u, const char *name, bool keep_directory, struct err *err) {
        struct stat st;
        if (fstatat(u->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", name);
        if (keep_directory && S_ISDIR(st.st_mode))
                return 0;
        int r = remove_all(u->parent_fd, name, 0);
        return r < 0 ? err_errno(err, r, "replacing %s", name) : 0;
}

/* ---- whiteouts ---- */

static int set_opaque(struct unpacker *u, const char *dir, struct err *err) {
        AUTO(fd) int fd = open_beneath(u->root, dir, O_RDONLY | O_DIRECTORY);
        const char *attribute = u->o->is_in_user_namespace ? "user.overlay.opaque" : "trusted.overlay.opaque";
        if (fd < 0)
                return err_errno(err, fd, "opaque directory %s", dir);
        return fsetxattr(fd, attribute, "y", 1, 0) < 0 ? err_errno(err, -errno, "making %s opaque", dir) : 0;
}

static bool made_here(const struct unpacker *u, const char *path) {
        size_t len = strlen(path);
        for (size_t i = 0; i < u->made.len; i++)
                if (str_starts(u->made.items[i], path) && (u->made.items[i][len] == '\0' || u->made.items[i][len] == '/'))
                        return true;
        return false;
}

static int empty_directory(struct unpacker *u, const char *path, struct err *err) {
        int fd = open_beneath(u->root, path, O_RDONLY | O_DIRECTORY);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        int r = 0;
        if (!d)
                return err_errno(err, fd < 0 ? fd : -errno, "opaque directory %s", path);
        for (struct dirent *e; r == 0 && (e = readdir(d));) {
                AUTO(free) char *inner = *path ? xasprintf("%s/%s", path, e->d_name) : xstrdup(e->d_name);
                if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && !made_here(u, inner))
                        r = remove_all(dirfd(d), e->d_name, 0);
        }
        closedir(d);
        return r < 0 ? err_errno(err, r, "emptying %s", path) : 0;
}

static int whiteout(struct unpacker *u, const char *name, struct err *err) {
        bool applies = u->o->mode == UNPACK_APPLY;
        if (streq(name, WHITEOUT_OPAQUE))
                return applies ? empty_directory(u, u->parent_real, err) : set_opaque(u, u->parent_real, err);
        if (str_starts(name, WHITEOUT_PREFIX WHITEOUT_PREFIX))
                return 0; /* aufs' own records, of no meaning here */
        const char *gone = name + strlen(WHITEOUT_PREFIX);
        if (!*gone || streq(gone, ".") || streq(gone, ".."))
                return err_set(err, -EBADMSG, "a whiteout of nothing: %s", name);
        if (applies) {
                int r = remove_all(u->parent_fd, gone, 0);
                return r < 0 ? err_errno(err, r, "removing %s", gone) : 0;
        }
        /* A layer may remove a name and add it anew; then there is nothing to hide. */
        if (mknodat(u->parent_fd, gone, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST)
                return err_errno(err, -errno, "whiteout of %s", gone);
        return 0;
}

/* ---- entries ---- */

static int copy_data(struct unpacker *u, int fd, const char *path, struct err *err) {
        ssize_t n;
        while ((n = tar_read(u->tar, u->buffer, COPY_BYTES, err)) > 0) {
                int r = fs_write_all(fd, u->buffer, (size_t)n);
                if (r < 0)
                        return err_errno(err, r, "writing %s", path);
        }
        return (int)n;
}

static bool attribute_is_kept(const struct unpack_options *o, const char *name) {
        /* trusted.overlay.* from a tar could make overlayfs look elsewhere; POSIX ACLs name ids that need not exist here. */
        if (str_starts(name, "user."))
                return !str_starts(name, "user.overlay.");
        return streq(name, "security.capability") && !o->squash_owners;
}

static int set_attributes(struct unpacker *u, int fd, const struct tar_entry *e, struct err *err) {
        vec_foreach(x, &e->xattrs) {
                if (!attribute_is_kept(u->o, x->name) || fsetxattr(fd, x->name, x->value.data, x->value.len, 0) == 0)
                        continue;
                /* File systems without attributes, kinds that take none, namespaces that allow none. */
                if (errno != ENOTSUP && errno != EPERM && errno != EINVAL)
                        return err_errno(err, -errno, "%s: attribute %s", e->name, x->name);
        }
        return 0;
}

static int set_owner(struct unpacker *u, const char *name, const struct tar_entry *e, struct err *err) {
        if (u->o->squash_owners)
                return 0;
        if (fchownat(u->parent_fd, name, (uid_t)e->uid, (gid_t)e->gid, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        if (errno == EINVAL && u->o->is_in_user_namespace)
                return 0; /* beyond the ids that are mapped */
        return err_errno(err, -errno, "%s: owner %lld:%lld", e->name, (long long)e->uid, (long long)e->gid);
}

static int make_file(struct unpacker *u, const char *name, const struct tar_entry *e, struct err *err) {
        AUTO(fd) int fd = openat(u->parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_errno(err, -errno, "creating %s", e->name);
        int r = copy_data(u, fd, e->name, err);
        /* Owner before mode: a change of owner takes setuid away; capabilities after both. */
        if (r == 0)
                r = set_owner(u, name, e, err);
        if (r == 0 && fchmod(fd, e->mode) < 0)
                r = err_errno(err, -errno, "%s: mode", e->name);
        if (r == 0)
                r = set_attributes(u, fd, e, err);
        struct timespec times[2] = {{.tv_sec = e->mtime_s}, {.tv_sec = e->mtime_s}};
        if (r == 0 && futimens(fd, times) < 0)
                r = err_errno(err, -errno, "%s: time", e->name);
        return r;
}

static int make_directory(struct unpacker *u, const char *path, const char *name, const struct tar_entry *e, struct err *err) {
        if (mkdirat(u->parent_fd, name, 0755) < 0 && errno != EEXIST)
                return err_errno(err, -errno, "creating directory %s", e->name);
        AUTO(fd) int fd = openat(u->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_errno(err, -errno, "directory %s", e->name);
        int r = set_owner(u, name, e, err);
        if (r == 0 && fchmod(fd, e->mode) < 0)
                r = err_errno(err, -errno, "%s: mode", e->name);
        if (r == 0)
                r = set_attributes(u, fd, e, err);
        if (r == 0)
                *vec_push(&u->dirs) = (struct late_dir){.path = xstrdup(path), .mtime_s = e->mtime_s};
        return r;
}

static int make_hardlink(struct unpacker *u, const char *name, const struct tar_entry *e, struct err *err) {
        AUTO(free) char *target = unpack_clean_path(e->target);
        if (!target || !*target)
                return err_set(err, -EPERM, "%s: a hard link to \"%s\", outside the image; refused", e->name, e->target);
        const char *slash = strrchr(target, '/');
        AUTO(free) char *parent = slash ? xstrndup(target, (size_t)(slash - target)) : xstrdup("");
        AUTO(free) char *real = NULL;
        int r = follow(u, parent, &real, err);
        if (r < 0)
                return r;
        AUTO(fd) int dir = open_beneath(u->root, real, O_RDONLY | O_DIRECTORY);
        if (dir < 0 || linkat(dir, slash ? slash + 1 : target, u->parent_fd, name, 0) < 0)
                return err_errno(err, dir < 0 ? dir : -errno, "%s: a hard link to %s", e->name, e->target);
        return 0;
}

static int make_symlink(struct unpacker *u, const char *name, const struct tar_entry *e, struct err *err) {
        if (symlinkat(e->target, u->parent_fd, name) < 0)
                return err_errno(err, -errno, "creating link %s", e->name);
        struct timespec times[2] = {{.tv_sec = e->mtime_s}, {.tv_sec = e->mtime_s}};
        (void)utimensat(u->parent_fd, name, times, AT_SYMLINK_NOFOLLOW);
        return set_owner(u, name, e, err);
}

static int make_node(struct unpacker *u, const char *name, const struct tar_entry *e, struct err *err) {
        mode_t kind = e->type == TAR_CHAR ? S_IFCHR : e->type == TAR_BLOCK ? S_IFBLK : S_IFIFO;
        if (e->type != TAR_FIFO && u->o->is_in_user_namespace)
                return 0;
        /* 0/0 is overlayfs' whiteout: no real device. */
        if (e->type != TAR_FIFO && !e->major && !e->minor)
                return 0;
        if (mknodat(u->parent_fd, name, kind | 0600, makedev(e->major, e->minor)) < 0)
                return errno == EPERM && e->type != TAR_FIFO ? 0 : err_errno(err, -errno, "creating %s", e->name);
        int r = set_owner(u, name, e, err);
        return r == 0 && fchmodat(u->parent_fd, name, e->mode, 0) < 0 ? err_errno(err, -errno, "%s: mode", e->name) : r;
}

static int root_entry(struct unpacker *u, const struct tar_entry *e, struct err *err) {
        if (e->type != TAR_DIRECTORY)
                return err_set(err, -EBADMSG, "the root of the layer is no directory");
        if (!u->o->squash_owners && fchown(u->root, (uid_t)e->uid, (gid_t)e->gid) < 0 && errno != EINVAL)
                return err_errno(err, -errno, "owner of the root directory");
        return fchmod(u->root, e->mode) < 0 ? err_errno(err, -errno, "mode of the root directory") : 0;
}

static int unpack_entry(struct unpacker *u, const struct tar_entry *e, struct err *err) {
        AUTO(free) char *path = unpack_clean_path(e->name);
        const char *name;
        if (!path)
                return err_set(err, -EPERM, "%s: leads out of the image; refused", e->name);
        if (!*path)
                return root_entry(u, e, err);
        int r = enter_parent(u, path, &name, err);
        if (r < 0)
                return r;
        if (str_starts(name, WHITEOUT_PREFIX))
                return whiteout(u, name, err);
        if ((r = clear_way(u, name, e->type == TAR_DIRECTORY, err)) < 0)
                return r;
        AUTO(free) char *real = *u->parent_real ? fs_join(u->parent_real, name) : xstrdup(name);
        if (u->o->mode == UNPACK_APPLY)
                strv_add(&u->made, real);
        switch (e->type) {
        case TAR_FILE: return make_file(u, name, e, err);
        case TAR_DIRECTORY: return make_directory(u, real, name, e, err);
        case TAR_HARDLINK: return make_hardlink(u, name, e, err);
        case TAR_SYMLINK: return make_symlink(u, name, e, err);
        case TAR_CHAR:
        case TAR_BLOCK:
        case TAR_FIFO: return make_node(u, name, e, err);
        }
        return 0;
}

/* Innermost last made, so backwards. A directory that a later entry removed is passed over. */
static void set_directory_times(struct unpacker *u) {
        for (size_t i = u->dirs.len; i-- > 0;) {
                AUTO(fd) int fd = open_beneath(u->root, u->dirs.items[i].path, O_RDONLY | O_DIRECTORY);
                struct timespec times[2] = {{.tv_sec = u->dirs.items[i].mtime_s}, {.tv_sec = u->dirs.items[i].mtime_s}};
                if (fd >= 0)
                        (void)futimens(fd, times);
        }
}

int unpack_layer(struct tar *t, int dir_fd, const struct unpack_options *o, struct err *err) {
        struct unpacker u = {.tar = t, .root = dir_fd, .o = o, .parent_fd = -1, .buffer = xmalloc(COPY_BYTES)};
        const struct tar_entry *e = NULL;
        size_t count = 0;
        int r;
        while ((r = tar_next(t, &e, err)) > 0) {
                if (++count > UNPACK_MAX_ENTRIES) {
                        r = err_set(err, -EFBIG, "more than %d files in one layer", UNPACK_MAX_ENTRIES);
                        break;
                }
                if ((r = unpack_entry(&u, e, err)) < 0)
                        break;
        }
        if (r == 0)
                set_directory_times(&u);
        forget_parent(&u);
        vec_foreach(d, &u.dirs) free(d->path);
        vec_done(&u.dirs);
        strv_done(&u.made);
        free(u.buffer);
        return r;
}
