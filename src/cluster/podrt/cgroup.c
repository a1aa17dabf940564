#include "cluster/podrt/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"

enum { MAX_FILE = 65536 };

const char *cgroup_mode_name(enum cgroup_mode mode) { return mode == CGROUP_V1 ? "v1" : mode == CGROUP_V2 ? "v2" : "none"; }

void cgroup_rights_done(struct cgroup_rights *r) {
        free(r->base);
        *r = (struct cgroup_rights){0};
}

static char *read_words(const char *dir, const char *file) {
        AUTO(free) char *path = fs_join(dir, file);
        AUTO(str) struct str text = STR_INIT(MAX_FILE);
        return fs_read(path, MAX_FILE, &text, NULL) < 0 ? xstrdup("") : str_take(&text);
}

static bool has_word(const char *text, const char *word) {
        size_t len = strlen(word);
        for (const char *p = text; (p += strspn(p, " \n"), *p); p += strcspn(p, " \n"))
                if (strcspn(p, " \n") == len && memcmp(p, word, len) == 0)
                        return true;
        return false;
}

/* Not created: in these file systems the kernel makes the files. */
static int put(const char *dir, const char *file, const char *text) {
        AUTO(free) char *path = fs_join(dir, file);
        AUTO(fd) int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        return fd < 0 ? -errno : fs_write_all(fd, text, strlen(text));
}

/* ---- version 2 ---- */

/* The controllers that limit what is below a group are turned on there. ret: which are, may be NULL. -EBUSY when processes are in the
 * group. */
static int enable(const char *dir, struct cgroup_rights *ret) {
        static const char *const wanted[] = {"cpu", "memory", "pids"};
        AUTO(free) char *there = read_words(dir, "cgroup.controllers"), *on = read_words(dir, "cgroup.subtree_control");
        AUTO(str) struct str text = STR_INIT(0);
        for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
                if (has_word(there, wanted[i]) && !has_word(on, wanted[i]))
                        str_appendf(&text, "%s+%s", text.len ? " " : "", wanted[i]);
        int r = text.len ? put(dir, "cgroup.subtree_control", str_cstr(&text)) : 0;
        if (ret) {
                ret->has_memory = has_word(r < 0 ? on : there, "memory");
                ret->has_cpu = has_word(r < 0 ? on : there, "cpu");
        }
        return r;
}

/* "0::/user.slice/..." of /proc/self/cgroup. */
static char *own_group(struct sv self) {
        struct sv line;
        while (sv_split(&self, '\n', &line))
                if (sv_starts(line, SV("0::/")))
                        return line.len == 4 ? NULL : sv_dup(sv_new(line.data + 3, line.len - 3));
        return NULL;
}

static int move_into(const char *dir, const int *pids) {
        for (; *pids; pids++) {
                char text[16];
                snprintf(text, sizeof text, "%d", *pids);
                int r = put(dir, "cgroup.procs", text);
                if (r < 0 && r != -ESRCH)
                        return r;
        }
        return 0;
}

static bool is_listed(const int *pids, int pid) {
        for (; *pids; pids++)
                if (*pids == pid)
                        return true;
        return false;
}

/* Only ours are in the group. */
static bool is_ours_alone(const char *dir, const int *movable) {
        AUTO(free) char *text = read_words(dir, "cgroup.procs");
        struct sv rest = sv_of(text), line;
        int64_t pid = 0;
        while (sv_split(&rest, '\n', &line))
                if (line.len && (!sv_to_int64(line, &pid) || !is_listed(movable, (int)pid)))
                        return false;
        return true;
}

/* An ordinary user's: the group must be delegated, which shows in who may write. */
static void claim(const char *root, char *group, const int *movable, struct cgroup_rights *ret) {
        /* A server that moved away earlier, and now starts another. */
        if (str_ends(group, "/firesteel-server"))
                *strrchr(group, '/') = '\0';
        AUTO(free) char *dir = xasprintf("%s%s", root, group), *server = fs_join(dir, "firesteel-server"),
                        *procs = fs_join(dir, "cgroup.procs"), *control = fs_join(dir, "cgroup.subtree_control");
        AUTO(free) char *there = read_words(dir, "cgroup.controllers");
        if (!has_word(there, "memory") || access(dir, W_OK) < 0 || access(procs, W_OK) < 0 || access(control, W_OK) < 0 ||
            !is_ours_alone(dir, movable))
                return;
        if ((mkdir(server, 0755) < 0 && errno != EEXIST) || move_into(server, movable) < 0 || enable(dir, ret) < 0) {
                ret->has_memory = ret->has_cpu = false;
                return;
        }
        ret->mode = CGROUP_V2;
        ret->base = xstrdup(group);
}

/* ---- both ---- */

void cgroup_probe(const char *root, bool is_root, struct sv self, const int *movable, struct cgroup_rights *ret) {
        struct cgroup_rights r = {.mode = CGROUP_NONE};
        AUTO(free) char *procs = fs_join(root, "cgroup.procs"), *control = fs_join(root, "cgroup.subtree_control"),
                        *memory = fs_join(root, "memory"), *cpu = fs_join(root, "cpu"), *memory_procs = fs_join(memory, "cgroup.procs"),
                        *cpu_procs = fs_join(cpu, "cgroup.procs");
        AUTO(free) char *group = own_group(self);
        if (fs_exists(procs) && is_root) {
                if (access(control, W_OK) == 0) {
                        r.mode = CGROUP_V2;
                        (void)!enable(root, &r); /* in a container whose processes are in this very group it cannot be */
                }
        } else if (fs_exists(procs) && group) {
                claim(root, group, movable, &r);
        } else if (is_root && (fs_is_dir(memory) || fs_is_dir(cpu))) {
                r.mode = CGROUP_V1;
                r.has_memory = access(memory_procs, W_OK) == 0;
                r.has_cpu = access(cpu_procs, W_OK) == 0;
        }
        *ret = r;
}

char *cgroup_file(const char *root, enum cgroup_mode mode, const char *controller, const char *path, const char *file) {
        return mode == CGROUP_V2 ? xasprintf("%s%s/%s", root, path, file) : xasprintf("%s/%s%s/%s", root, controller, path, file);
}

void cgroup_make(const char *root, enum cgroup_mode mode, const char *path, int64_t shares) {
        bool v2 = mode == CGROUP_V2;
        AUTO(free) char *top = v2 ? xstrdup(root) : fs_join(root, "cpu"), *dir = xasprintf("%s%s", top, path);
        char text[24];
        if (shares < 2)
                shares = 2;
        snprintf(text, sizeof text, "%lld",
                 (long long)(v2 ? 1 + (shares - 2) * 9999 / 262142 : shares)); /* as crun and the kubelet convert them */
        if (fs_mkdirs(dir, 0755, NULL) < 0)
                return;
        /* From the top: a group has a controller's files when the one above gives it that. */
        for (char *slash = strchr(dir + strlen(top) + 1, '/'); v2 && slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                (void)!enable(dir, NULL);
                *slash = '/';
        }
        (void)!put(dir, v2 ? "cpu.weight" : "cpu.shares", text);
}

void cgroup_remove(const char *root, const char *path) {
        static const char *const controllers[] = {"",          "/memory",     "/cpu",     "/cpuacct", "/cpuset",      "/pids",
                                                  "/blkio",    "/devices",    "/freezer", "/systemd", "/cpu,cpuacct", "/net_cls",
                                                  "/net_prio", "/perf_event", "/hugetlb", "/rdma",    "/misc"};
        for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
                AUTO(free) char *dir = xasprintf("%s%s%s", root, controllers[i], path);
                rmdir(dir); /* only empty ones go */
        }
}

bool cgroup_oom_killed(const char *file) {
        AUTO(str) struct str text = STR_INIT(4096);
        if (!file[0] || fs_read(file, 4096, &text, NULL) < 0)
                return false;
        struct sv rest = str_sv(&text), line;
        int64_t count = 0;
        while (sv_split(&rest, '\n', &line))
                if (sv_starts(line, SV("oom_kill ")) && sv_to_int64(sv_new(line.data + 9, line.len - 9), &count) && count > 0)
                        return true;
        return false;
}
