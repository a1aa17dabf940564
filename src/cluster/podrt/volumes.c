#include "cluster/podrt/volumes.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/rand.h"
#include "codec/base64.h"
#include "codec/quantity.h"

static void volume_done(struct volume *v) {
        free(v->name);
        free(v->path);
        free(v->host_type);
        vec_foreach(f, &v->files) {
                free(f->path);
                str_done(&f->data);
        }
        vec_done(&v->files);
}

void volume_plan_free(struct volume_plan *p) {
        if (!p)
                return;
        vec_foreach(v, &p->volumes) volume_done(v);
        vec_done(&p->volumes);
        free(p);
}

/* ---- planning ---- */

static struct volume_file *add_file(struct volume *v, const char *path, mode_t mode) {
        struct volume_file *f = vec_push(&v->files);
        f->path = xstrdup(path);
        f->mode = mode;
        f->data = STR_INIT(0);
        return f;
}

static bool is_inside(const char *path) {
        struct sv rest = sv_of(path), part;
        if (path[0] == '/' || !path[0])
                return false;
        while (sv_split(&rest, '/', &part))
                if (sv_eqs(part, ".."))
                        return false;
        return true;
}

/* The text of a key of a ConfigMap or Secret; false when it has no such key. */
static bool object_key(const struct object *o, bool is_secret, const char *key, struct str *ret) {
        const char *text = json_get_str(object_at(o, "/data"), key);
        if (text && !is_secret) {
                str_append(ret, text, strlen(text));
                return true;
        }
        const char *coded = is_secret ? text : json_get_str(object_at(o, "/binaryData"), key);
        return coded && base64_decode(sv_of(coded), ret) == 0;
}

static int add_all_keys(struct volume *v, const struct object *o, bool is_secret, mode_t mode) {
        static const char *const members[] = {"/data", "/binaryData"};
        for (size_t m = 0; m < ARRAY_LEN(members); m++) {
                yyjson_val *key, *value, *data = object_at(o, members[m]);
                size_t i, max;
                yyjson_obj_foreach(data, i, max, key, value) {
                        struct volume_file *f = add_file(v, yyjson_get_str(key), mode);
                        object_key(o, is_secret, yyjson_get_str(key), &f->data);
                }
        }
        return 0;
}

/* source: configMap, secret or a projection of one. */
static int add_object_files(const struct volume_env *env, const struct object *pod, struct volume *v, yyjson_val *source, bool is_secret,
                            const char *name, mode_t mode, struct err *err) {
        bool optional = json_get_bool(source, "optional", false);
        struct object *o = name ? api_peek(env->api, is_secret ? "secrets" : "configmaps", pod->namespace, name) : NULL;
        yyjson_val *item, *items = yyjson_obj_get(source, "items");
        size_t i, max;
        if (!o)
                return optional ? 0 : err_set(err, -EAGAIN, "%s \"%s\" not found", is_secret ? "secret" : "configmap", name ? name : "");
        if (!items || yyjson_arr_size(items) == 0)
                return add_all_keys(v, o, is_secret, mode);
        yyjson_arr_foreach(items, i, max, item) {
                const char *key = json_get_str(item, "key"), *path = json_get_str(item, "path");
                AUTO(str) struct str data = STR_INIT(0);
                if (!key || !path || !is_inside(path))
                        return err_set(err, -EINVAL, "the path \"%s\" leaves the volume", path ? path : "");
                if (!object_key(o, is_secret, key, &data)) {
                        if (optional)
                                continue;
                        return err_set(err, -EAGAIN, "references non-existent %s key: %s", is_secret ? "secret" : "config", key);
                }
                struct volume_file *f = add_file(v, path, (mode_t)json_get_int(item, "mode", mode));
                f->data = data;
                data = STR_INIT(0);
        }
        return 0;
}

static int add_downward(const struct volume_env *env, const struct object *pod, struct volume *v, yyjson_val *source, mode_t mode,
                        struct err *err) {
        yyjson_val *item, *items = yyjson_obj_get(source, "items");
        size_t i, max;
        yyjson_arr_foreach(items, i, max, item) {
                const char *path = json_get_str(item, "path");
                yyjson_val *field = yyjson_obj_get(item, "fieldRef"), *resource = yyjson_obj_get(item, "resourceFieldRef");
                if (!path || !is_inside(path))
                        return err_set(err, -EINVAL, "the path \"%s\" leaves the volume", path ? path : "");
                struct volume_file *f = add_file(v, path, (mode_t)json_get_int(item, "mode", mode));
                int r = 0;
                if (field) {
                        const char *field_path = json_get_str(field, "fieldPath");
                        r = field_value(pod, &env->facts, field_path ? field_path : "", &f->data, err);
                } else if (resource) {
                        const char *container = json_get_str(resource, "containerName");
                        r = resource_value(pod_container_spec(pod, container ? container : ""), &env->facts, resource, &f->data, err);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_token(const struct volume_env *env, const struct object *pod, struct volume_plan *plan, struct volume *v, yyjson_val *source,
                     mode_t mode, struct err *err) {
        const char *path = json_get_str(source, "path"), *account = object_str(pod, "/spec/serviceAccountName");
        AUTO(free) char *token = NULL;
        int64_t expires = 0;
        int r = api_issue_token(env->api, pod->namespace, account ? account : "default", json_get_str(source, "audience"),
                                json_get_int(source, "expirationSeconds", 3600), pod->name, pod->uid, &token, &expires, err);
        if (r < 0)
                return err_wrap(err, -EAGAIN, "failed to fetch token");
        struct volume_file *f = add_file(v, path ? path : "token", mode);
        str_append_s(&f->data, token);
        if (!plan->token_expires_s || expires < plan->token_expires_s)
                plan->token_expires_s = expires;
        return 0;
}

static int plan_projected(const struct volume_env *env, const struct object *pod, struct volume_plan *plan, struct volume *v,
                          yyjson_val *projected, struct err *err) {
        mode_t mode = (mode_t)json_get_int(projected, "defaultMode", 0644);
        yyjson_val *source, *part, *sources = yyjson_obj_get(projected, "sources");
        size_t i, max;
        yyjson_arr_foreach(sources, i, max, source) {
                int r = 0;
                if ((part = yyjson_obj_get(source, "configMap")))
                        r = add_object_files(env, pod, v, part, false, json_get_str(part, "name"), mode, err);
                else if ((part = yyjson_obj_get(source, "secret")))
                        r = add_object_files(env, pod, v, part, true, json_get_str(part, "name"), mode, err);
                else if ((part = yyjson_obj_get(source, "downwardAPI")))
                        r = add_downward(env, pod, v, part, mode, err);
                else if ((part = yyjson_obj_get(source, "serviceAccountToken")))
                        r = add_token(env, pod, plan, v, part, mode, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int plan_claim(const struct volume_env *env, const struct object *pod, struct volume *v, const char *claim, struct err *err) {
        struct object *pvc = claim ? api_peek(env->api, "persistentvolumeclaims", pod->namespace, claim) : NULL;
        if (!pvc)
                return err_set(err, -EAGAIN, "persistentvolumeclaim \"%s\" not found", claim ? claim : "");
        const char *name = object_str(pvc, "/spec/volumeName");
        if (!name || !name[0])
                return err_set(err, -EAGAIN, "persistentvolumeclaim \"%s\" is not bound to a volume yet", claim);
        struct object *pv = api_peek(env->api, "persistentvolumes", NULL, name);
        const char *path = pv ? object_str(pv, "/spec/hostPath/path") : NULL;
        if (pv && !path)
                path = object_str(pv, "/spec/local/path");
        if (!path)
                return err_set(err, -EAGAIN, "persistentvolume \"%s\" %s", name,
                               pv ? "is of a kind this cluster does not serve (hostPath and local are)" : "not found");
        v->kind = VOLUME_HOST;
        v->path = xstrdup(path);
        v->host_type = xstrdup("");
        v->is_claim = true;
        return 0;
}

static int plan_empty(struct volume *v, yyjson_val *source, struct err *err) {
        const char *medium = json_get_str(source, "medium"), *limit = json_get_str(source, "sizeLimit");
        struct quantity q = {0};
        v->kind = medium && streq(medium, "Memory") ? VOLUME_MEMORY : VOLUME_EMPTY;
        if (limit && quantity_parse(sv_of(limit), &q, err) < 0)
                return -EINVAL;
        v->size = quantity_value(q);
        return 0;
}

static int plan_volume(const struct volume_env *env, const struct object *pod, struct volume_plan *plan, struct volume *v, yyjson_val *spec,
                       struct err *err) {
        yyjson_val *source;
        v->name = xstrdup(json_get_str(spec, "name") ? json_get_str(spec, "name") : "");
        if ((source = yyjson_obj_get(spec, "hostPath"))) {
                const char *path = json_get_str(source, "path"), *type = json_get_str(source, "type");
                v->kind = VOLUME_HOST;
                v->path = xstrdup(path ? path : "");
                v->host_type = xstrdup(type ? type : "");
                return 0;
        }
        if ((source = yyjson_obj_get(spec, "persistentVolumeClaim")))
                return plan_claim(env, pod, v, json_get_str(source, "claimName"), err);
        if (yyjson_obj_get(spec, "ephemeral")) {
                AUTO(free) char *claim = xasprintf("%s-%s", pod->name, v->name);
                return plan_claim(env, pod, v, claim, err);
        }
        v->path = xasprintf("%s/volumes/%s", env->dir, v->name);
        if ((source = yyjson_obj_get(spec, "emptyDir")))
                return plan_empty(v, source, err);
        v->kind = VOLUME_FILES;
        if ((source = yyjson_obj_get(spec, "configMap")))
                return add_object_files(env, pod, v, source, false, json_get_str(source, "name"),
                                        (mode_t)json_get_int(source, "defaultMode", 0644), err);
        if ((source = yyjson_obj_get(spec, "secret")))
                return add_object_files(env, pod, v, source, true, json_get_str(source, "secretName"),
                                        (mode_t)json_get_int(source, "defaultMode", 0644), err);
        if ((source = yyjson_obj_get(spec, "downwardAPI")))
                return add_downward(env, pod, v, source, (mode_t)json_get_int(source, "defaultMode", 0644), err);
        if ((source = yyjson_obj_get(spec, "projected")))
                return plan_projected(env, pod, plan, v, source, err);
        return err_set(
                err, -EINVAL,
                "this cluster serves emptyDir, configMap, secret, downwardAPI, projected, hostPath and persistentVolumeClaim volumes");
}

int volumes_plan(const struct volume_env *env, const struct object *pod, struct volume_plan **ret, struct err *err) {
        AUTO(volume_plan) struct volume_plan *plan = NEW(struct volume_plan);
        yyjson_val *spec, *list = object_at(pod, "/spec/volumes");
        size_t i, max;
        plan->fs_group = object_int(pod, "/spec/securityContext/fsGroup", -1);
        yyjson_arr_foreach(list, i, max, spec) {
                int r = plan_volume(env, pod, plan, vec_push(&plan->volumes), spec, err);
                if (r < 0)
                        return err_wrap(err, r, "MountVolume.SetUp failed for volume \"%s\" ",
                                        plan->volumes.items[plan->volumes.len - 1].name);
        }
        *ret = TAKE(plan);
        return 0;
}

static bool source_uses(yyjson_val *source, const char *resource, const char *name) {
        if (streq(resource, "configmaps"))
                return streq_null(json_get_str(yyjson_obj_get(source, "configMap"), "name"), name);
        yyjson_val *secret = yyjson_obj_get(source, "secret");
        const char *used = json_get_str(secret, "secretName");
        return streq_null(used ? used : json_get_str(secret, "name"), name);
}

bool volumes_use(const struct object *pod, const char *resource, const char *name) {
        yyjson_val *spec, *source, *list = object_at(pod, "/spec/volumes");
        size_t i, n, max, count;
        yyjson_arr_foreach(list, i, max, spec) {
                if (source_uses(spec, resource, name))
                        return true;
                yyjson_val *sources = yyjson_obj_get(yyjson_obj_get(spec, "projected"), "sources");
                yyjson_arr_foreach(sources, n, count, source) if (source_uses(source, resource, name)) return true;
        }
        return false;
}

/* ---- writing ---- */

static int write_files(const struct volume_plan *plan, const struct volume *v, const char *dir, struct err *err) {
        vec_foreach(f, &v->files) {
                AUTO(free) char *path = fs_join(dir, f->path);
                AUTO(free) char *parent = xstrdup(path);
                *strrchr(parent, '/') = '\0';
                int r = fs_mkdirs(parent, 0755, err);
                if (r < 0 || (r = fs_write(path, str_sv(&f->data), 0600, err)) < 0)
                        return r;
                mode_t mode = f->mode;
                if (plan->fs_group >= 0) {
                        mode |= 0040;
                        (void)!chown(path, (uid_t)-1, (gid_t)plan->fs_group);
                }
                if (chmod(path, mode) < 0)
                        return err_errno(err, -errno, "setting the mode of %s", path);
        }
        return 0;
}

static size_t count_files(const char *path) {
        DIR *dir = opendir(path);
        size_t count = 0;
        for (struct dirent *e; dir && (e = readdir(dir));) {
                AUTO(free) char *below = e->d_type == DT_DIR ? fs_join(path, e->d_name) : NULL;
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        count += below ? count_files(below) : 1;
        }
        if (dir)
                closedir(dir);
        return count;
}

static bool is_same(const struct volume *v) {
        vec_foreach(f, &v->files) {
                AUTO(free) char *path = xasprintf("%s/..data/%s", v->path, f->path);
                AUTO(str) struct str text = STR_INIT(16 << 20);
                if (fs_read(path, 16 << 20, &text, NULL) < 0 || !sv_eq(str_sv(&text), str_sv(&f->data)))
                        return false;
        }
        AUTO(free) char *data = fs_join(v->path, "..data");
        return fs_exists(data) && count_files(data) <= v->files.len; /* more: a key is gone */
}

/* The first component of every path is a link into ..data. */
static int link_entries(const struct volume *v, struct err *err) {
        vec_foreach(f, &v->files) {
                AUTO(free) char *first = xstrndup(f->path, strcspn(f->path, "/"));
                AUTO(free) char *path = fs_join(v->path, first);
                AUTO(free) char *target = xasprintf("..data/%s", first);
                if (symlink(target, path) < 0 && errno != EEXIST)
                        return err_errno(err, -errno, "creating %s", path);
        }
        return 0;
}

static void drop_stale_entries(const struct volume *v) {
        DIR *dir = opendir(v->path);
        for (struct dirent *e; dir && (e = readdir(dir));) {
                if (str_starts(e->d_name, ".."))
                        continue;
                AUTO(free) char *path = fs_join(v->path, e->d_name);
                if (!fs_exists(path)) /* the link leads nowhere */
                        unlink(path);
        }
        if (dir)
                closedir(dir);
}

static int apply_files(const struct volume_plan *plan, const struct volume *v, struct err *err) {
        int r = fs_mkdirs(v->path, 0755, err);
        if (r < 0 || is_same(v))
                return r;
        if (chmod(v->path, 0777) < 0)
                return err_errno(err, -errno, "setting the mode of %s", v->path);
        char digits[11];
        rand_hex(digits, 10);
        AUTO(free) char *name = xasprintf("..%lld.%s", (long long)clock_now_ms(), digits);
        AUTO(free) char *fresh = fs_join(v->path, name);
        AUTO(free) char *data = fs_join(v->path, "..data");
        AUTO(free) char *next = fs_join(v->path, "..data_tmp");
        char old[PATH_MAX];
        ssize_t n = readlink(data, old, sizeof old - 1);
        if ((r = fs_mkdirs(fresh, 0755, err)) < 0 || (r = write_files(plan, v, fresh, err)) < 0)
                return r;
        unlink(next);
        if (symlink(name, next) < 0 || rename(next, data) < 0)
                return err_errno(err, -errno, "swapping %s", data);
        r = link_entries(v, err);
        drop_stale_entries(v);
        if (n > 0) {
                old[n] = '\0';
                AUTO(free) char *gone = fs_join(v->path, old);
                (void)!fs_remove_tree(gone, NULL);
        }
        return r;
}

static bool is_mount_point(const char *path) {
        struct stat here, above;
        AUTO(free) char *parent = fs_join(path, "..");
        return stat(path, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

static int apply_empty(const struct volume_plan *plan, const struct volume *v, struct err *err) {
        bool is_new = !fs_exists(v->path);
        int r = fs_mkdirs(v->path, 0777, err);
        if (r < 0)
                return r;
        if (v->kind == VOLUME_MEMORY && !is_mount_point(v->path)) {
                AUTO(free) char *options = v->size > 0 ? xasprintf("mode=1777,size=%lld", (long long)v->size) : xstrdup("mode=1777");
                if (mount("tmpfs", v->path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
                        return err_errno(err, -errno, "mounting a memory volume at %s", v->path);
        }
        if (is_new && chmod(v->path, plan->fs_group >= 0 ? 02777 : 0777) < 0)
                return err_errno(err, -errno, "setting the mode of %s", v->path);
        if (is_new && plan->fs_group >= 0)
                (void)!chown(v->path, (uid_t)-1, (gid_t)plan->fs_group);
        return 0;
}

static int make_host_file(const char *path, struct err *err) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
                return err_errno(err, -errno, "%s", path);
        close(fd);
        return 0;
}

static int apply_host(const struct volume_plan *plan, const struct volume *v, struct err *err) {
        static const struct {
                const char *type;
                mode_t format;
                const char *text;
        } checks[] = {{"Directory", S_IFDIR, "is not a directory"}, {"DirectoryOrCreate", S_IFDIR, "is not a directory"},
                      {"File", S_IFREG, "is not a file"},           {"FileOrCreate", S_IFREG, "is not a file"},
                      {"Socket", S_IFSOCK, "is not a socket file"},  {"CharDevice", S_IFCHR, "is not a character device"},
                      {"BlockDevice", S_IFBLK, "is not a block device"}};
        struct stat st;
        int r = 0;
        bool is_there = stat(v->path, &st) == 0;
        if (!is_there && v->is_claim) {
                if ((r = fs_mkdirs(v->path, 0777, err)) == 0 && chmod(v->path, 0777) < 0)
                        r = err_errno(err, -errno, "setting the mode of %s", v->path);
                return r;
        }
        /* Without a type the container runtimes make a missing directory. */
        if (!is_there && (streq(v->host_type, "DirectoryOrCreate") || streq(v->host_type, "")))
                r = fs_mkdirs(v->path, 0755, err);
        else if (!is_there && streq(v->host_type, "FileOrCreate"))
                r = make_host_file(v->path, err);
        if (r < 0)
                return err_wrap(err, r, "hostPath type check failed");
        if (stat(v->path, &st) < 0)
                return err_set(err, -ENOENT, "hostPath type check failed: %s does not exist", v->path);
        for (size_t i = 0; i < ARRAY_LEN(checks); i++)
                if (streq(v->host_type, checks[i].type) && (st.st_mode & S_IFMT) != checks[i].format)
                        return err_set(err, -EINVAL, "hostPath type check failed: %s %s", v->path, checks[i].text);
        return 0;
}

int volumes_apply(const struct volume_plan *plan, struct err *err) {
        vec_foreach(v, &plan->volumes) {
                int r = v->kind == VOLUME_FILES  ? apply_files(plan, v, err)
                        : v->kind == VOLUME_HOST ? apply_host(plan, v, err)
                                                 : apply_empty(plan, v, err);
                if (r < 0)
                        return err_wrap(err, r, "MountVolume.SetUp failed for volume \"%s\" ", v->name);
        }
        return 0;
}

void volumes_remove(const char *dir) {
        AUTO(free) char *all = fs_join(dir, "volumes");
        DIR *d = opendir(all);
        for (struct dirent *e; d && (e = readdir(d));) {
                AUTO(free) char *path = fs_join(all, e->d_name);
                if (e->d_name[0] != '.')
                        umount2(path, MNT_DETACH); /* a memory volume; others are no mounts */
        }
        if (d)
                closedir(d);
        (void)!fs_remove_tree(all, NULL);
}

/* The path must still be inside after every link is followed: a container can put links into its own volumes. */
static int check_inside(const char *root, const char *path, struct err *err) {
        char real_root[PATH_MAX], real[PATH_MAX];
        if (!realpath(root, real_root) || !realpath(path, real))
                return err_errno(err, -errno, "%s", path);
        size_t len = strlen(real_root);
        if (strncmp(real, real_root, len) != 0 || (real[len] != '\0' && real[len] != '/'))
                return err_set(err, -EINVAL, "the subPath leads out of its volume");
        return 0;
}

int volumes_mount_source(const struct volume_plan *plan, yyjson_val *mount, const struct map *variables, char **ret, struct err *err) {
        const char *name = json_get_str(mount, "name"), *sub = json_get_str(mount, "subPath"),
                   *expression = json_get_str(mount, "subPathExpr");
        struct volume *volume = NULL;
        vec_foreach(v, &plan->volumes) if (streq_null(v->name, name)) volume = v;
        if (!volume)
                return err_set(err, -EINVAL, "cannot find volume \"%s\" to mount into container", name ? name : "");
        AUTO(str) struct str expanded = STR_INIT(0);
        if (expression && expression[0]) {
                expand_variables(expression, variables, &expanded);
                sub = str_cstr(&expanded);
        }
        if (!sub || !sub[0]) {
                *ret = xstrdup(volume->path);
                return 0;
        }
        if (!is_inside(sub))
                return err_set(err, -EINVAL, "subPath \"%s\" leaves its volume", sub);
        AUTO(free) char *path = fs_join(volume->path, sub);
        if (!fs_exists(path)) {
                int r = fs_mkdirs(path, 0777, err);
                if (r < 0)
                        return r;
                (void)!chmod(path, 0777);
        }
        int r = check_inside(volume->path, path, err);
        if (r < 0)
                return r;
        char real[PATH_MAX];
        *ret = xstrdup(realpath(path, real) ? real : path);
        return 0;
}
