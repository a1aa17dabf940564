#include "cluster/podrt/proctree.h"

#include <dirent.h>
#include <stdio.h>

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

struct pids {
        int *items;
        size_t len, cap;
};

static void add_children(struct pids *todo, int pid, struct str *text) {
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
                                *vec_push(todo) = (int)child;
        }
        closedir(dir);
}

int proctree_usage(int root_pid, struct proctree_usage *ret) {
        struct proctree_usage use = {0};
        struct pids todo = {0};
        AUTO(str) struct str text = STR_INIT(0);
        long hertz = sysconf(_SC_CLK_TCK);
        *vec_push(&todo) = root_pid;
        for (size_t i = 0; i < todo.len; i++) {
                int pid = todo.items[i];
                if (!read_small(&text, "/proc/%d/status", pid))
                        continue;
                use.processes++;
                use.memory_bytes += 1024 * (status_kib(str_sv(&text), SV("RssAnon:")) + status_kib(str_sv(&text), SV("RssShmem:")));
                if (read_small(&text, "/proc/%d/stat", pid))
                        use.cpu_us += cpu_ticks(str_sv(&text)) * 1000000 / (hertz > 0 ? hertz : 100);
                add_children(&todo, pid, &text);
        }
        vec_done(&todo);
        if (!use.processes)
                return -ESRCH;
        *ret = use;
        return 0;
}
