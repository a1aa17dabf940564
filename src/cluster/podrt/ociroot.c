#include "cluster/podrt/ociroot.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "oci/unpack.h"

enum { MAX_USERS_FILE = 4 << 20, OPTIONS_MAX = 4095 /* a page less its NUL: what mount() takes */ };

/* ---- the overlay ---- */

static int make_dir(const char *dir, const char *name, mode_t mode, char **ret, struct err *err) {
        AUTO(free) char *path = fs_join(dir, name);
        if (mkdir(path, mode) < 0 && errno != EEXIST)
                return err_errno(err, -errno, "creating %s", path);
        *ret = TAKE(path);
        return 0;
}

static int mount_overlay(const struct ociroot_spec *spec, const char *root, struct err *err) {
        AUTO(free) char *upper = NULL, *work = NULL, *empty = NULL;
        AUTO(str) struct str options = STR_INIT(0);
        int r = make_dir(spec->dir, "upper", 0755, &upper, err);
        if (r < 0 || (r = make_dir(spec->dir, "work", 0700, &work, err)) < 0)
                return r;
        str_append_s(&options, "lowerdir=");
        for (size_t i = spec->layers->len; i-- > 0;)
                str_appendf(&options, "%s%s", spec->layers->items[i], i ? ":" : "");
        if (!spec->layers->len) {
                if ((r = make_dir(spec->dir, "empty", 0755, &empty, err)) < 0)
                        return r;
                str_append_s(&options, empty);
        }
        str_appendf(&options, ",upperdir=%s,workdir=%s%s", upper, work, spec->is_in_user_namespace ? ",userxattr" : "");
        if (strpbrk(spec->dir, ":,\\"))
                return err_set(err, -EINVAL,
                               "the instance's directory %s has a character in its name (: , \\) with which overlays cannot be mounted",
                               spec->dir);
        if (options.len > OPTIONS_MAX)
                return err_set(err, -E2BIG, "the image has too many layers (%zu) for a mount", spec->layers->len);
        /* Names of layers are relative, to be short; the upper directory takes the mode of the image's root. */
        if (chdir(spec->layers_dir) < 0)
                return err_errno(err, -errno, "%s", spec->layers_dir);
        struct stat st;
        if (spec->layers->len && stat(spec->layers->items[spec->layers->len - 1], &st) == 0 &&
            (chmod(upper, st.st_mode & 07777) < 0 || (chown(upper, st.st_uid, st.st_gid) < 0 && errno != EINVAL)))
                r = err_errno(err, -errno, "%s", upper);
        if (r == 0 && mount("overlay", root, "overlay", 0, str_cstr(&options)) < 0)
                r = err_errno(err, -errno, "mounting the image's %zu layers", spec->layers->len);
        if (chdir("/") < 0 && r == 0)
                r = err_errno(err, -errno, "/");
        return r;
}

static int unpack_here(const struct ociroot_spec *spec, const char *root, struct err *err) {
        AUTO(oci_reference) struct oci_reference name = {0};
        AUTO(oci_image) struct oci_image image = {0};
        int r = oci_reference_parse(spec->reference, &name, err);
        if (r < 0 || (r = oci_store_find(spec->store, &name, &image, err)) < 0)
                return r;
        return oci_store_unpack_flat(spec->store, &image, spec->ids, root, err);
}

void ociroot_release(const char *dir) {
        AUTO(free) char *root = fs_join(dir, "rootfs");
        umount2(root, MNT_DETACH); /* not mounted is fine */
}

void ociroot_release_all(const char *pod_dir) {
        AUTO(free) char *containers = fs_join(pod_dir, "containers");
        DIR *names = opendir(containers);
        for (struct dirent *n; names && (n = readdir(names));) {
                AUTO(free) char *name = fs_join(containers, n->d_name);
                DIR *attempts = n->d_name[0] == '.' ? NULL : opendir(name);
                for (struct dirent *a; attempts && (a = readdir(attempts));) {
                        AUTO(free) char *dir = fs_join(name, a->d_name);
                        if (a->d_name[0] != '.')
                                ociroot_release(dir);
                }
                if (attempts)
                        closedir(attempts);
        }
        if (names)
                closedir(names);
}

/* ---- users ---- */

static bool is_number(struct sv text, uint32_t *ret) {
        int64_t n;
        if (!sv_to_int64(text, &n) || n < 0 || n >= UINT32_MAX)
                return false;
        *ret = (uint32_t)n;
        return true;
}

/* Field n of "a:b:c"; empty when there is none. */
static struct sv field_of(struct sv line, int n) {
        struct sv part = SV_NULL;
        for (int i = 0; i <= n; i++)
                if (!sv_split(&line, ':', &part))
                        return SV_NULL;
        return part;
}

static bool find_passwd(struct sv passwd, struct sv user, uint32_t *uid, uint32_t *gid, struct sv *ret_name) {
        struct sv line;
        uint32_t wanted = 0, own;
        bool by_number = is_number(user, &wanted);
        while (sv_split(&passwd, '\n', &line)) {
                struct sv name = field_of(line, 0);
                if (!name.len || !is_number(field_of(line, 2), &own) || !(sv_eq(name, user) || (by_number && own == wanted)))
                        continue;
                *uid = own;
                if (!is_number(field_of(line, 3), gid))
                        *gid = 0;
                *ret_name = name;
                return true;
        }
        return false;
}

static bool find_group(struct sv group, struct sv name, uint32_t *ret) {
        struct sv line;
        while (sv_split(&group, '\n', &line))
                if (sv_eq(field_of(line, 0), name))
                        return is_number(field_of(line, 2), ret);
        return false;
}

static void add_memberships(struct sv group, struct sv name, struct strv *ret) {
        struct sv line, member;
        uint32_t gid;
        while (sv_split(&group, '\n', &line)) {
                struct sv members = field_of(line, 3);
                while (sv_split(&members, ',', &member))
                        if (sv_eq(sv_trim(member), name) && is_number(field_of(line, 2), &gid))
                                strv_addf(ret, "%u", gid);
        }
}

int ociroot_find_user(const char *text, struct sv passwd, struct sv group, uint32_t *ret_uid, uint32_t *ret_gid, struct strv *ret_groups,
                      struct err *err) {
        struct sv user = sv_of(text), wanted_group = SV_NULL, name = SV_NULL;
        ssize_t colon = sv_find_char(user, ':');
        uint32_t uid = 0, gid = 0;
        if (colon >= 0) {
                wanted_group = sv_new(user.data + colon + 1, user.len - (size_t)colon - 1);
                user.len = (size_t)colon;
        }
        if (!user.len)
                user = SV("0");
        bool found = find_passwd(passwd, user, &uid, &gid, &name);
        if (!found && !is_number(user, &uid))
                return err_set(err, -ENOENT, "unable to find user %.*s: no matching entries in passwd file", SV_ARG(user));
        if (wanted_group.len && !is_number(wanted_group, &gid) && !find_group(group, wanted_group, &gid))
                return err_set(err, -ENOENT, "unable to find group %.*s: no matching entries in group file", SV_ARG(wanted_group));
        if (found && !wanted_group.len)
                add_memberships(group, name, ret_groups);
        *ret_uid = uid;
        *ret_gid = gid;
        return 0;
}

/* A file of the image, as its own programs would find it; nothing when it is not there or no file. */
static void read_in(int root, const char *path, struct str *ret) {
        AUTO(fd) int fd = unpack_open_in(root, path, O_RDONLY | O_NONBLOCK);
        struct stat st;
        char buffer[8192];
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return;
        for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
                str_append(ret, buffer, (size_t)n);
}

static int set_user(const struct ociroot_spec *spec, int root, struct bundle *b, struct err *err) {
        AUTO(str) struct str passwd = STR_INIT(MAX_USERS_FILE);
        AUTO(str) struct str group = STR_INIT(MAX_USERS_FILE);
        AUTO(strv) struct strv groups = {0};
        uint32_t uid, gid;
        if (!spec->user)
                return 0;
        read_in(root, "etc/passwd", &passwd);
        read_in(root, "etc/group", &group);
        int r = ociroot_find_user(spec->user, str_sv(&passwd), str_sv(&group), &uid, &gid, &groups, err);
        if (r < 0)
                return r;
        b->uid = uid;
        if (!spec->keeps_gid)
                b->gid = gid;
        for (size_t i = 0; i < groups.len; i++)
                if (is_number(sv_of(groups.items[i]), &gid))
                        *vec_push(&b->groups) = gid;
        return 0;
}

/* ---- the rest ---- */

/* The working directory need not be in the image: runtimes of containers make it, owned by root. */
static void make_cwd(int root, const char *cwd) {
        AUTO(free) char *path = unpack_clean_path(cwd ? cwd : "/");
        for (char *p = path; p && *p;) {
                char *slash = strchr(p, '/');
                if (slash)
                        *slash = '\0';
                char *last = strrchr(path, '/');
                AUTO(fd) int parent = -1;
                if (last)
                        *last = '\0';
                parent = unpack_open_in(root, last ? path : ".", O_RDONLY | O_DIRECTORY);
                if (last)
                        *last = '/';
                if (parent < 0 || (mkdirat(parent, last ? last + 1 : path, 0755) < 0 && errno != EEXIST))
                        return; /* the runtime says what is wrong with it */
                if (!slash)
                        return;
                *slash = '/';
                p = slash + 1;
        }
}

static void bind_file(struct bundle *b, const char *destination, const char *source) {
        if (source)
                bundle_bind(b, destination, source, false);
}

int ociroot_make(const struct ociroot_spec *spec, struct bundle *b, struct err *err) {
        AUTO(free) char *root = NULL;
        int r = make_dir(spec->dir, "rootfs", 0755, &root, err);
        if (r == 0)
                r = spec->layers_dir ? mount_overlay(spec, root, err) : unpack_here(spec, root, err);
        if (r < 0)
                return r;
        AUTO(fd) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? err_errno(err, -errno, "%s", root) : set_user(spec, fd, b, err);
        if (r < 0) {
                ociroot_release(spec->dir);
                return r;
        }
        make_cwd(fd, b->cwd);
        bind_file(b, "/etc/hosts", spec->hosts_file);
        bind_file(b, "/etc/resolv.conf", spec->resolv_file);
        bind_file(b, "/etc/hostname", spec->hostname_file);
        free(b->rootfs);
        b->rootfs = TAKE(root);
        return 0;
}
