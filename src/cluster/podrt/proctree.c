#include "cluster/podrt/proctree.h"

#include <dirent.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/vec.h"

static int64_t status_kib(struct sv text, struct sv key) {
        ssize_t at = sv_find(text, key);
        if (at < 0)
                return 0;
        int64_t value = 0;
        for (const char *p = text.data + at + key.len; p < text.data + text.len && *p != '\n'; p++)
                if (*p >= '0' && *p <= '9')
                        value = value * 10 + (*p - '0');
        return value;
}

static int64_t cpu_ticks(struct sv stat) {
        ssize_t at = sv_rfind_char(stat, ')');
        if (at < 0)
                return 0;
        struct sv rest = sv_new(stat.data + at + 1, stat.len - (size_t)at - 1), part;
        int64_t sum = 0, value = 0;
        /* The first part is empty; then field 3. utime, stime, cutime, cstime are 14 to 17. */
        for (int field = 2; sv_split(&rest, ' ', &part) && field <= 17; field++)
                if (field >= 14 && sv_to_int64(part, &value))
                        sum += value;
        return sum;
}

static bool read_small(struct str *text, const char *fmt, ...) PRINTF(2, 3);
static bool read_small(struct str *text, const char *fmt, ...) {
        va_list ap;
        va_start(ap, fmt);
        AUTO(free) char *path = xvasprintf(fmt, ap);
        va_end(ap);
        str_clear(text);
        return fs_read(path, 1 << 20, text, NULL) == 0;
}

struct process {
        int pid, parent;
};

struct processes {
        struct process *items;
        size_t len, cap;
};

static void add_children(struct processes *todo, int pid, struct str *text) {
        AUTO(free) char *path = xasprintf("/proc/%d/task", pid);
        DIR *dir = opendir(path);
        if (!dir)
                return;
        for (struct dirent *e; (e = readdir(dir));) {
                if (e->d_name[0] == '.' || !read_small(text, "/proc/%d/task/%s/children", pid, e->d_name))
                        continue;
                struct sv rest = sv_trim(str_sv(text)), part;
                int64_t child = 0;
                while (sv_split(&rest, ' ', &part))
                        if (sv_to_int64(part, &child) && todo->len < PROCTREE_MAX)
                                *vec_push(todo) = (struct process){(int)child, pid};
        }
        closedir(dir);
}

/* The root and everything below it, as far as it can be seen. */
static void collect(int root_pid, struct processes *ret) {
        AUTO(str) struct str text = STR_INIT(0);
        *vec_push(ret) = (struct process){root_pid, 0};
        for (size_t i = 0; i < ret->len; i++)
                add_children(ret, ret->items[i].pid, &text);
}

int proctree_usage(int root_pid, struct proctree_usage *ret) {
        struct proctree_usage use = {0};
        struct processes all = {0};
        AUTO(str) struct str text = STR_INIT(0);
        long hertz = sysconf(_SC_CLK_TCK);
        collect(root_pid, &all);
        vec_foreach(p, &all) {
                if (!read_small(&text, "/proc/%d/status", p->pid))
                        continue;
                use.processes++;
                use.memory_bytes += 1024 * (status_kib(str_sv(&text), SV("RssAnon:")) + status_kib(str_sv(&text), SV("RssShmem:")));
                if (read_small(&text, "/proc/%d/stat", p->pid))
                        use.cpu_us += cpu_ticks(str_sv(&text)) * 1000000 / (hertz > 0 ? hertz : 100);
        }
        vec_done(&all);
        if (!use.processes)
                return -ESRCH;
        *ret = use;
        return 0;
}

/* A JVM starts others with vfork: until its exec such a child is the parent once more. */
static bool is_same_memory(const struct process *p) { return p->parent && syscall(SYS_kcmp, p->pid, p->parent, KCMP_VM, 0, 0) == 0; }

int proctree_memory(int root_pid, int64_t *ret_bytes) {
        struct processes all = {0};
        AUTO(str) struct str text = STR_INIT(0);
        int64_t bytes = 0;
        int found = 0;
        collect(root_pid, &all);
        vec_foreach(p, &all) {
                if (!read_small(&text, "/proc/%d/status", p->pid))
                        continue;
                found++;
                int64_t mine = status_kib(str_sv(&text), SV("RssAnon:")) + status_kib(str_sv(&text), SV("RssShmem:"));
                if (read_small(&text, "/proc/%d/smaps_rollup", p->pid) && sv_find(str_sv(&text), SV("Pss_Anon:")) >= 0)
                        mine = status_kib(str_sv(&text), SV("Pss_Anon:")) + status_kib(str_sv(&text), SV("Pss_Shmem:"));
                if (!is_same_memory(p))
                        bytes += 1024 * mine;
        }
        vec_done(&all);
        if (!found)
                return -ESRCH;
        *ret_bytes = bytes;
        return 0;
}
