/* Limits of local storage: an emptyDir's sizeLimit and a container's limit of ephemeral-storage. Looked at on a worker from time to time,
 * as the kubelet does; a pod that is over one is evicted. Rules: pkg/kubelet/eviction. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "cluster/podrt/kubelet-internal.h"
#include "codec/quantity.h"

enum { LOOK_MS = 10000, DEPTH_MAX = 256 };

/* One thing to be measured. */
struct measure {
        char *path, *message;
        int64_t limit, used;
};

struct look {
        struct kubelet *kubelet;
        char *uid;
        VEC(struct measure) list;
};

/* Bytes on disk below a directory of this file system, links not followed. */
static int64_t bytes_below(int parent, const char *name, dev_t device, int depth) {
        int64_t total = 0;
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 || depth > DEPTH_MAX ? NULL : fdopendir(fd);
        if (!d) {
                if (fd >= 0)
                        close(fd);
                return 0;
        }
        for (struct dirent *e; (e = readdir(d));) {
                struct stat st;
                if (streq(e->d_name, ".") || streq(e->d_name, "..") || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    (device && st.st_dev != device))
                        continue;
                total += (int64_t)st.st_blocks * 512;
                if (S_ISDIR(st.st_mode))
                        total += bytes_below(dirfd(d), e->d_name, st.st_dev, depth + 1);
        }
        closedir(d);
        return total;
}

static void look_work(void *arg) {
        struct look *l = arg;
        vec_foreach(m, &l->list) {
                struct stat st;
                if (stat(m->path, &st) == 0)
                        m->used = bytes_below(AT_FDCWD, m->path, st.st_dev, 0);
        }
}

static void look_done(void *arg) {
        struct look *l = arg;
        struct pod *p = map_get(&l->kubelet->pods, l->uid);
        kubelet_job_done(l->kubelet);
        if (p)
                p->is_measured = false;
        vec_foreach(m, &l->list) {
                if (p && m->used > m->limit && !p->is_ending && !p->is_finished)
                        pod_evict(p, m->message);
                free(m->path);
                free(m->message);
        }
        vec_done(&l->list);
        free(l->uid);
        free(l);
}

static void add(struct look *l, char *path, int64_t limit, char *message) {
        if (limit <= 0) {
                free(path);
                free(message);
                return;
        }
        *vec_push(&l->list) = (struct measure){.path = path, .limit = limit, .message = message};
}

static int64_t bytes_of(const char *text) {
        struct quantity q;
        return text && quantity_parse(sv_of(text), &q, NULL) == 0 ? quantity_value(q) : 0;
}

static void look_at(struct pod *p) {
        struct look *l = NEW(struct look);
        yyjson_val *spec, *list = object_at(p->object, "/spec/volumes");
        size_t i, max;
        *l = (struct look){.kubelet = p->kubelet, .uid = xstrdup(p->uid)};
        yyjson_arr_foreach(list, i, max, spec) {
                const char *name = json_get_str(spec, "name"), *limit = json_get_str(yyjson_obj_get(spec, "emptyDir"), "sizeLimit");
                const char *medium = json_get_str(yyjson_obj_get(spec, "emptyDir"), "medium");
                if (limit && name && !(medium && streq(medium, "Memory")))
                        add(l, xasprintf("%s/volumes/%s", p->dir, name), bytes_of(limit),
                            xasprintf("Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\". ", name, limit));
        }
        vec_foreach(c, &p->containers) {
                const char *limit = json_str_at(container_spec(*c), "/resources/limits/ephemeral-storage");
                if (limit && (*c)->state == CONTAINER_RUNNING)
                        add(l, container_dir(*c, (*c)->attempt), bytes_of(limit),
                            xasprintf("Container %s exceeded its local ephemeral storage limit \"%s\". ", (*c)->name, limit));
        }
        if (!l->list.len) {
                free(l->uid);
                free(l);
                return;
        }
        p->is_measured = true;
        p->kubelet->jobs++;
        loop_work(p->kubelet->o.loop, look_work, look_done, l);
}

static void on_look(void *arg) {
        struct kubelet *k = arg;
        map_foreach(e, &k->pods) {
                struct pod *p = e->value;
                if (p->volumes_ready && !p->is_measured && !p->is_finished && !p->is_ending)
                        look_at(p);
        }
}

void evictions_start(struct kubelet *k) { k->evictions = timer_new(k->o.loop, LOOK_MS, LOOK_MS, on_look, k); }
