#include "cluster/podrt/rootfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"

static const struct {
        const char *path;
        mode_t mode;
} directories[] = {{"etc", 0755},     {"usr", 0755},     {"opt", 0755},       {"tmp", 01777}, {"var", 0755},  {"var/tmp", 01777},
                   {"var/lib", 0755}, {"var/log", 0755}, {"var/cache", 0755}, {"run", 0755},  {"root", 0700}, {"home", 0755},
                   {"mnt", 0755},     {"srv", 0755},     {"proc", 0555},      {"sys", 0555},  {"dev", 0755}};

/* Top-level directories that are links into /usr on merged systems. */
static const char *const usr_parts[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

/* Small files of the host's /etc that programs expect; copied, so that the container may change its own. */
static const char *const etc_files[] = {"ld.so.cache", "ld.so.conf",  "nsswitch.conf", "host.conf",      "gai.conf",
                                        "services",    "protocols",   "mime.types",    "timezone",       "login.defs",
                                        "profile",     "bash.bashrc", "environment",   "debian_version", "ca-certificates.conf",
                                        "shells",      "issue"};
/* Directories of it, read-only. /etc/ssl itself is left out: its private keys are not the containers' business. */
static const char *const etc_directories[] = {"alternatives",    "ssl/certs", "ca-certificates", "pki/tls/certs", "pki/java",
                                              "crypto-policies", "fonts",     "terminfo",        "ld.so.conf.d"};

static int make_dir(const char *root, const char *name, mode_t mode, struct err *err) {
        AUTO(free) char *path = fs_join(root, name);
        if (mkdir(path, mode) < 0 && errno != EEXIST)
                return err_errno(err, -errno, "creating %s", path);
        if (chmod(path, mode) < 0) /* past the umask */
                return err_errno(err, -errno, "setting the mode of %s", path);
        return 0;
}

/* The parents of a mount point that the container runtime would make with modes of its own. */
static int make_parents(const char *root, const char *path, struct err *err) {
        AUTO(free) char *copy = xstrdup(path[0] == '/' ? path + 1 : path);
        for (char *p = copy; *p; p++)
                if (*p == '/') {
                        *p = '\0';
                        AUTO(free) char *dir = fs_join(root, copy);
                        if (mkdir(dir, 0755) < 0 && errno != EEXIST)
                                return err_errno(err, -errno, "creating %s", dir);
                        *p = '/';
                }
        return 0;
}

static int copy_small(const char *from, const char *to, struct err *err) {
        AUTO(str) struct str text = STR_INIT(4 << 20);
        int r = fs_read(from, 4 << 20, &text, err);
        return r < 0 ? r : fs_write(to, str_sv(&text), 0644, err);
}

static int copy_etc(const char *root, struct bundle *b, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(etc_files); i++) {
                AUTO(free) char *from = xasprintf("/etc/%s", etc_files[i]);
                AUTO(free) char *to = xasprintf("%s/etc/%s", root, etc_files[i]);
                if (access(from, R_OK) < 0)
                        continue;
                int r = copy_small(from, to, err);
                if (r < 0)
                        return r;
        }
        static const char *const links[] = {"localtime", "os-release", "mtab"};
        for (size_t i = 0; i < ARRAY_LEN(links); i++) {
                AUTO(free) char *from = xasprintf("/etc/%s", links[i]);
                AUTO(free) char *to = xasprintf("%s/etc/%s", root, links[i]);
                char target[4096];
                ssize_t n = readlink(from, target, sizeof target - 1);
                if (n > 0) {
                        target[n] = '\0';
                        if (symlink(target, to) < 0 && errno != EEXIST)
                                return err_errno(err, -errno, "creating %s", to);
                } else if (access(from, R_OK) == 0 && !streq(links[i], "mtab")) {
                        int r = copy_small(from, to, err);
                        if (r < 0)
                                return r;
                }
        }
        for (size_t i = 0; i < ARRAY_LEN(etc_directories); i++) {
                AUTO(free) char *path = xasprintf("/etc/%s", etc_directories[i]);
                if (fs_is_dir(path))
                        bundle_bind(b, path, path, true);
        }
        return 0;
}

/* A JDK keeps its settings outside itself on some distributions: /etc/java-17-openjdk. */
static void bind_java_settings(struct bundle *b) {
        for (int version = 8; version <= 40; version++) {
                AUTO(free) char *path = xasprintf("/etc/java-%d-openjdk", version);
                if (fs_is_dir(path))
                        bundle_bind(b, path, path, true);
        }
        if (fs_is_dir("/etc/java"))
                bundle_bind(b, "/etc/java", "/etc/java", true);
}

static int write_users(const char *root, const struct rootfs_spec *spec, struct err *err) {
        AUTO(str) struct str passwd = STR_INIT(0);
        AUTO(str) struct str group = STR_INIT(0);
        str_append_s(&passwd, "root:x:0:0:root:/root:/bin/bash\n"
                              "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                              "bin:x:2:2:bin:/bin:/usr/sbin/nologin\n"
                              "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
                              "spark:x:185:185:spark:/opt/spark:/bin/bash\n"
                              "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
        str_append_s(&group, "root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nwww-data:x:33:\nusers:x:100:\nspark:x:185:\nnogroup:x:65534:\n");
        static const uint32_t known[] = {0, 1, 2, 33, 185, 65534};
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                is_known |= known[i] == spec->uid;
        if (!is_known)
                str_appendf(&passwd, "%u:x:%u:%u:anonymous uid:/opt/spark:/bin/false\n", spec->uid, spec->uid, spec->gid);
        AUTO(free) char *passwd_path = fs_join(root, "etc/passwd");
        AUTO(free) char *group_path = fs_join(root, "etc/group");
        int r = fs_write(passwd_path, str_sv(&passwd), 0644, err);
        return r < 0 ? r : fs_write(group_path, str_sv(&group), 0644, err);
}

/* An overlay over a host directory, its changes kept in the container's directory; a read-only bind where there is no overlay. */
static int layer(const struct rootfs_spec *spec, struct bundle *b, const char *destination, const char *source, const char *name,
                 struct err *err) {
        if (!spec->has_overlay || strpbrk(source, ":,\\") || strpbrk(spec->dir, ":,\\")) {
                bundle_bind(b, destination, source, true);
                return 0;
        }
        AUTO(free) char *upper = xasprintf("%s/%s.upper", spec->dir, name);
        AUTO(free) char *work = xasprintf("%s/%s.work", spec->dir, name);
        if (mkdir(upper, 0755) < 0 && errno != EEXIST)
                return err_errno(err, -errno, "creating %s", upper);
        if (mkdir(work, 0700) < 0 && errno != EEXIST)
                return err_errno(err, -errno, "creating %s", work);
        AUTO(free) char *options =
                xasprintf("lowerdir=%s,upperdir=%s,workdir=%s%s", source, upper, work, spec->is_in_user_namespace ? ",userxattr" : "");
        bundle_mount(b, destination, "overlay", "overlay", options);
        return 0;
}

static int add_usr(const struct rootfs_spec *spec, const char *root, struct bundle *b, struct err *err) {
        int r = layer(spec, b, "/usr", "/usr", "usr", err);
        for (size_t i = 0; i < ARRAY_LEN(usr_parts) && r == 0; i++) {
                AUTO(free) char *host = xasprintf("/%s", usr_parts[i]);
                AUTO(free) char *path = fs_join(root, usr_parts[i]);
                char target[4096];
                ssize_t n = readlink(host, target, sizeof target - 1);
                if (n > 0) {
                        target[n] = '\0';
                        if (symlink(target, path) < 0 && errno != EEXIST)
                                r = err_errno(err, -errno, "creating %s", path);
                } else if (fs_is_dir(host)) {
                        r = make_dir(root, usr_parts[i], 0755, err);
                        bundle_bind(b, host, host, true);
                }
        }
        return r;
}

static int add_spark(const struct rootfs_spec *spec, const char *root, struct bundle *b, struct err *err) {
        int r = make_dir(root, "opt/spark", 0755, err);
        if (r < 0)
                return r;
        if ((r = layer(spec, b, "/opt/spark", spec->spark_home, "spark", err)) < 0)
                return r;
        AUTO(free) char *work = xasprintf("%s/work-dir", spec->dir);
        if (mkdir(work, 0775) < 0 && errno != EEXIST)
                return err_errno(err, -errno, "creating %s", work);
        if (chmod(work, 0777) < 0)
                return err_errno(err, -errno, "setting the mode of %s", work);
        if (spec->has_overlay) {
                bundle_bind(b, "/opt/spark/work-dir", work, false);
                return 0;
        }
        /* No mount point can be made in a read-only bind: a directory of links instead, each entry bound beside it. */
        b->mounts.len--;
        struct bundle_mount *dropped = &b->mounts.items[b->mounts.len];
        free(dropped->destination);
        free(dropped->type);
        free(dropped->source);
        strv_done(&dropped->options);
        static const char *const parts[] = {"bin", "sbin", "jars", "examples", "python", "data", "licenses", "R", "kubernetes", "yarn"};
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                AUTO(free) char *from = fs_join(spec->spark_home, parts[i]);
                AUTO(free) char *to = fs_join("/opt/spark", parts[i]);
                if (fs_is_dir(from))
                        bundle_bind(b, to, from, true);
        }
        bundle_bind(b, "/opt/spark/work-dir", work, false);
        return 0;
}

static int add_file(const char *root, struct bundle *b, const char *destination, const char *source, bool is_readonly, struct err *err) {
        if (!source)
                return 0;
        AUTO(free) char *path = fs_join(root, destination + 1);
        int r = make_parents(root, destination, err);
        if (r == 0)
                r = fs_write(path, SV_NULL, 0644, err);
        if (r == 0)
                bundle_bind(b, destination, source, is_readonly);
        return r;
}

int rootfs_make(const struct rootfs_spec *spec, struct bundle *b, struct err *err) {
        AUTO(free) char *root = fs_join(spec->dir, "rootfs");
        int r = fs_mkdirs(root, 0755, err);
        for (size_t i = 0; i < ARRAY_LEN(directories) && r == 0; i++)
                r = make_dir(root, directories[i].path, directories[i].mode, err);
        if (r == 0)
                r = add_usr(spec, root, b, err);
        if (r == 0)
                r = copy_etc(root, b, err);
        if (r == 0)
                r = write_users(root, spec, err);
        if (r < 0)
                return r;
        bind_java_settings(b);
        if (spec->spark_home && (r = add_spark(spec, root, b, err)) < 0)
                return r;
        for (size_t i = 0; spec->paths && i < spec->paths->len; i++) {
                const char *path = spec->paths->items[i];
                if ((r = make_parents(root, path, err)) < 0)
                        return r;
                bundle_bind(b, path, path, true);
        }
        if ((r = add_file(root, b, "/etc/hosts", spec->hosts_file, false, err)) < 0 ||
            (r = add_file(root, b, "/etc/resolv.conf", spec->resolv_file, false, err)) < 0 ||
            (r = add_file(root, b, "/etc/hostname", spec->hostname_file, false, err)) < 0 ||
            (r = add_file(root, b, "/opt/entrypoint.sh", spec->program, true, err)) < 0 ||
            (r = add_file(root, b, "/opt/decom.sh", spec->program, true, err)) < 0)
                return r;
        free(b->rootfs);
        b->rootfs = TAKE(root);
        return 0;
}
