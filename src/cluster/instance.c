#include "cluster/instance.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"

void instance_done(struct instance *i) {
        free(i->name);
        free(i->dir);
        *i = (struct instance){0};
}

static char *state_home(void) {
        const char *xdg = getenv("XDG_STATE_HOME");
        if (xdg && xdg[0] == '/')
                return xasprintf("%s/firesteel", xdg);
        const char *home = getenv("HOME");
        if (home && home[0] == '/')
                return xasprintf("%s/.local/state/firesteel", home);
        const struct passwd *pw = getpwuid(getuid());
        return pw && pw->pw_dir ? xasprintf("%s/.local/state/firesteel", pw->pw_dir) : NULL;
}

int instance_open(const char *name, struct instance *ret, struct err *err) {
        size_t len = strlen(name);
        bool ok = len >= 1 && len <= 40 && name[0] != '-' && name[len - 1] != '-';
        for (size_t i = 0; ok && i < len; i++)
                ok = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '-';
        if (!ok)
                return err_set(err, -EINVAL, "\"%s\" cannot be an instance's name: lower-case letters, digits and '-' inside, at most 40",
                               name);
        AUTO(free) char *home = state_home();
        if (!home) {
                err_set(err, -ENOENT, "no place for instances: neither XDG_STATE_HOME nor HOME is an absolute path");
                return -ENOENT;
        }
        *ret = (struct instance){xstrdup(name), xasprintf("%s/%s", home, name)};
        return 0;
}

bool instance_exists(const struct instance *i) { return fs_is_dir(i->dir); }

char *instance_path(const struct instance *i, const char *name) { return xasprintf("%s/%s", i->dir, name); }

int instance_open_log(const struct instance *i, const char *name, int64_t max_bytes, struct err *err) {
        AUTO(free) char *path = instance_path(i, name);
        AUTO(free) char *old = xasprintf("%s.1", path);
        struct stat st;
        if (stat(path, &st) == 0 && st.st_size > max_bytes)
                rename(path, old);
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        return fd < 0 ? err_errno(err, -errno, "%s", path) : fd;
}

int instance_prepare(const struct instance *i, struct err *err) {
        int r = fs_mkdirs(i->dir, 0700, err);
        if (r >= 0 && access(i->dir, W_OK | X_OK) < 0)
                r = err_errno(err, -errno, "%s", i->dir);
        if (r == -EACCES || r == -EROFS || r == -EPERM)
                err_hint(err, "set XDG_STATE_HOME to a directory that you may write to");
        return r < 0 ? err_wrap(err, r, "instance \"%s\"", i->name) : 0;
}

int instance_names(struct strv *ret, struct err *err) {
        AUTO(free) char *home = state_home();
        DIR *d = home ? opendir(home) : NULL;
        if (!d)
                return errno == ENOENT || !home ? 0 : err_errno(err, -errno, "%s", home);
        for (struct dirent *e; (e = readdir(d));) {
                AUTO(instance) struct instance i = {0};
                if (e->d_name[0] != '.' && instance_open(e->d_name, &i, NULL) == 0 && fs_is_dir(i.dir))
                        strv_add(ret, e->d_name);
        }
        closedir(d);
        strv_sort(ret);
        return (int)ret->len;
}

/* ---------------------------------------------------------------- settings */

void instance_settings_done(struct instance_settings *s) {
        free(s->bind);
        free(s->merged_into);
        free(s->event_logs);
        strv_done(&s->spark_homes);
        strv_done(&s->insecure_registries);
        strv_done(&s->resolvers);
        *s = (struct instance_settings){0};
}

/* Parses DIR/name; 0 without a document when there is no such file. */
static int read_json(const struct instance *i, const char *name, yyjson_doc **ret, struct err *err) {
        AUTO(free) char *path = instance_path(i, name);
        AUTO(str) struct str text = STR_INIT(0);
        int r = fs_read(path, 1024 * 1024, &text, err);
        if (r == -ENOENT) {
                err_clear(err);
                return 0;
        }
        if (r < 0)
                return r;
        r = json_parse(str_sv(&text), ret, err);
        return r < 0 ? err_wrap(err, r, "%s", path) : 0;
}

int instance_load_settings(const struct instance *i, struct instance_settings *ret, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        AUTO(err) struct err why = ERR_INIT;
        int r = read_json(i, "instance.json", &doc, &why);
        if (r < 0) {
                err_move(err, &why);
                err_hint(err, "correct the file or remove it: its settings can be given to \"firesteel local up\" again");
                return r;
        }
        yyjson_val *root = yyjson_doc_get_root(doc);
        struct instance_settings s = {0};
        const char *bind = json_get_str(root, "bind"), *usual = getenv("FIRESTEEL_BIND");
        s.bind = xstrdup(bind ? bind : usual && *usual ? usual : "127.0.0.1");
        s.port = (int)json_get_int(root, "port", 0);
        s.is_port_fixed = json_get_bool(root, "portFixed", false);
        s.memory_bytes = json_get_int(root, "memoryBytes", 0);
        s.cpu_milli = json_get_int(root, "cpuMilli", 0);
        s.event_logs = xstrdup_null(json_get_str(root, "eventLogs"));
        s.history_port = (int)json_get_int(root, "historyPort", 0);
        s.history_last_port = (int)json_get_int(root, "historyLastPort", 0);
        s.merged_into = xstrdup_null(json_get_str(root, "mergedInto"));
        size_t n, max;
        yyjson_val *home;
        yyjson_arr_foreach(yyjson_obj_get(root, "sparkHomes"), n, max, home) {
                if (yyjson_is_str(home))
                        strv_add(&s.spark_homes, yyjson_get_str(home));
        }
        *ret = s;
        return 0;
}

int instance_save_settings(const struct instance *i, const struct instance_settings *s, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "bind", s->bind);
        mjson_set_int(doc, root, "port", s->port);
        if (s->is_port_fixed)
                mjson_set_bool(doc, root, "portFixed", true);
        if (s->memory_bytes)
                mjson_set_int(doc, root, "memoryBytes", s->memory_bytes);
        if (s->cpu_milli)
                mjson_set_int(doc, root, "cpuMilli", s->cpu_milli);
        mjson_set_str(doc, root, "eventLogs", s->event_logs);
        if (s->history_port)
                mjson_set_int(doc, root, "historyPort", s->history_port);
        if (s->history_last_port)
                mjson_set_int(doc, root, "historyLastPort", s->history_last_port);
        mjson_set_str(doc, root, "mergedInto", s->merged_into);
        for (size_t n = 0; n < s->spark_homes.len; n++)
                mjson_add_str(doc, mjson_arr(doc, root, "sparkHomes"), s->spark_homes.items[n]);
        size_t len;
        AUTO(free) char *text = mjson_write(root, true, &len);
        AUTO(free) char *path = instance_path(i, "instance.json");
        return fs_write_atomic(path, sv_new(text, len), 0600, err);
}

/* ---------------------------------------------------------------- who runs it */

void instance_server_done(struct instance_server *s) {
        free(s->bind);
        free(s->version);
        if (s->doc)
                yyjson_doc_free(s->doc);
        *s = (struct instance_server){0};
}

/* A SIGKILL is on its way to it. */
static bool is_killed(pid_t pid) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        AUTO(str) struct str text = STR_INIT(0);
        if (fs_read(path, 65536, &text, NULL) < 0)
                return true;
        for (const char *p = str_cstr(&text); (p = strstr(p, "Pnd:")); p += 4)
                if (strtoull(p + 4, NULL, 16) & 1ULL << (SIGKILL - 1))
                        return true;
        return false;
}

uint64_t process_start_ticks(pid_t pid) {
        enum { STATE = 3, FLAGS = 9, START = 22, EXITING = 0x4 /* PF_EXITING of linux/sched.h */ };
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        AUTO(str) struct str text = STR_INIT(0);
        if (is_killed(pid) || fs_read(path, 4096, &text, NULL) < 0)
                return 0;
        /* The second field is the name in parentheses and may itself contain anything. */
        const char *p = strrchr(str_cstr(&text), ')');
        for (int field = STATE; p && field <= START; field++) {
                p = strchr(p + 1, ' ');
                /* A killed server is taken apart with the lock in its hand, and is a zombie while its last thread still waits for the disk.
                 */
                if (p && field == STATE && (p[1] == 'Z' || p[1] == 'X'))
                        return 0;
                if (p && field == FLAGS && strtoul(p + 1, NULL, 10) & EXITING)
                        return 0;
        }
        return p ? strtoull(p + 1, NULL, 10) : 0;
}

/* Does the name still lead to the file that is open? `reset` takes it away under those who wait for its lock. */
static bool is_file_of(int fd, const char *path) {
        struct stat mine, named;
        return fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

/* Open file description locks: not lost when another descriptor of the file is closed, and can be asked about. */
static int lock_once(const char *path, bool wait, int *ret_fd, struct err *err) {
        AUTO(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int r;
        do
                r = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
        while (r < 0 && errno == EINTR && wait);
        if (r < 0 && (errno == EAGAIN || errno == EACCES))
                return err_set(err, -EBUSY, "%s is locked by another process", path);
        if (r < 0)
                return err_errno(err, -errno, "locking %s", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int lock_file(const struct instance *i, const char *name, bool wait, int *ret_fd, struct err *err) {
        AUTO(free) char *path = instance_path(i, name);
        for (;;) {
                AUTO(fd) int fd = -1;
                int r = lock_once(path, wait, &fd, err);
                if (r < 0)
                        return r;
                if (is_file_of(fd, path)) {
                        *ret_fd = TAKE_FD(fd);
                        return 0;
                }
        }
}

int instance_lock(const struct instance *i, int *ret_fd, struct err *err) { return lock_file(i, "lock", false, ret_fd, err); }
int instance_lock_command(const struct instance *i, int *ret_fd, struct err *err) {
        return lock_file(i, "command.lock", true, ret_fd, err);
}

int instance_running(const struct instance *i, struct instance_server *ret, struct err *err) {
        AUTO(free) char *path = instance_path(i, "lock");
        AUTO(fd) int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", path);
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(fd, F_OFD_GETLK, &l) < 0)
                return err_errno(err, -errno, "%s", path);
        if (l.l_type == F_UNLCK)
                return 0;
        struct instance_server s = {0};
        int r = read_json(i, "server.json", &s.doc, err);
        if (r < 0)
                return r;
        yyjson_val *root = yyjson_doc_get_root(s.doc);
        s.pid = (pid_t)json_get_int(root, "pid", 0);
        s.start_ticks = (uint64_t)json_get_int(root, "startTicks", 0);
        if (!s.pid || process_start_ticks(s.pid) != s.start_ticks) {
                /* Left by the one before: this one has not come so far yet. */
                instance_server_done(&s);
                return 2;
        }
        s.bind = xstrdup_null(json_get_str(root, "bind"));
        s.port = (int)json_get_int(root, "port", 0);
        s.version = xstrdup_null(json_get_str(root, "version"));
        s.started_ms = json_get_int(root, "startedMs", 0);
        *ret = s;
        return 1;
}

int instance_write_server(const struct instance *i, const struct instance_server *s, yyjson_mut_val *details, struct err *err) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_int(doc, root, "pid", s->pid);
        mjson_set_int(doc, root, "startTicks", (int64_t)s->start_ticks);
        mjson_set_str(doc, root, "bind", s->bind);
        mjson_set_int(doc, root, "port", s->port);
        mjson_set_str(doc, root, "version", s->version);
        mjson_set_int(doc, root, "startedMs", s->started_ms);
        size_t n, max;
        yyjson_mut_val *key, *value;
        if (details)
                yyjson_mut_obj_foreach(details, n, max, key, value)
                        mjson_set(doc, root, yyjson_mut_get_str(key), yyjson_mut_val_mut_copy(doc, value));
        size_t len;
        AUTO(free) char *text = mjson_write(root, true, &len);
        AUTO(free) char *path = instance_path(i, "server.json");
        return fs_write_atomic(path, sv_new(text, len), 0600, err);
}

void instance_remove_server(const struct instance *i) {
        AUTO(free) char *path = instance_path(i, "server.json");
        unlink(path);
}
