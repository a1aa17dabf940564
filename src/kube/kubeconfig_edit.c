#include "kube/kubeconfig_edit.h"

#include <fcntl.h>

#include "base/fs.h"
#include "base/vec.h"
#include "codec/base64.h"
#include "codec/yaml.h"
#include "kube/kubeconfig.h"

enum { LOCK_TRIES = 50, LOCK_WAIT_US = 100 * 1000 };

struct lock {
        char *path; /* NULL: not held */
};

static void lock_done(struct lock *l) {
        if (l->path)
                unlink(l->path);
        free(TAKE(l->path));
}
DEFINE_AUTO_VALUE(lock, struct lock, lock_done)

static int lock_take(const char *file, struct lock *ret, struct err *err) {
        AUTO(free) char *path = xasprintf("%s.lock", file);
        for (int i = 0; i < LOCK_TRIES; i++) {
                AUTO(fd) int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
                if (fd >= 0) {
                        ret->path = TAKE(path);
                        return 0;
                }
                if (errno != EEXIST)
                        return err_errno(err, -errno, "locking the kubeconfig by %s", path);
                usleep(LOCK_WAIT_US);
        }
        int r = err_set(err, -EBUSY, "another program holds the kubeconfig's lock %s", path);
        err_hint(err, "remove that file if no kubectl is running");
        return r;
}

char *kubeconfig_default_path(const char *path) {
        if (path && *path)
                return xstrdup(path);
        const char *env = getenv("KUBECONFIG");
        AUTO(strv) struct strv files = {0};
        if (env && *env)
                strv_split(&files, env, ':');
        char *last = NULL;
        vec_foreach(file, &files) {
                if (!**file)
                        continue;
                if (fs_exists(*file))
                        return xstrdup(*file);
                last = *file;
        }
        if (last)
                return xstrdup(last);
        const char *home = getenv("HOME");
        return fs_join(home && *home ? home : "/", ".kube/config");
}

/* The file as an editable document; an absent one as an empty configuration. */
static int open_config(const char *file, yyjson_mut_doc **ret, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        if (fs_exists(file)) {
                int r = fs_read(file, KUBECONFIG_MAX_BYTES, &text, err);
                if (r < 0)
                        return err_wrap(err, r, "reading the kubeconfig");
        }
        AUTO(kubeconfig) struct kubeconfig checked = {0};
        int r = kubeconfig_add_text(&checked, str_sv(&text), file, err);
        if (r < 0)
                return r;
        AUTO(json) yyjson_doc *doc = NULL;
        r = yaml_parse(str_sv(&text), &doc, err);
        if (r < 0)
                return err_wrap(err, r, "%s", file);
        if (yyjson_is_obj(yyjson_doc_get_root(doc))) {
                *ret = json_thaw(yyjson_doc_get_root(doc));
                return 0;
        }
        yyjson_mut_doc *empty = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(empty);
        yyjson_mut_doc_set_root(empty, root);
        mjson_set_str(empty, root, "apiVersion", "v1");
        mjson_set_str(empty, root, "kind", "Config");
        *ret = empty;
        return 0;
}

static void remove_named(yyjson_mut_val *list, const char *name) {
        for (size_t i = yyjson_mut_arr_size(list); i-- > 0;) {
                if (streq_null(mjson_get_str(yyjson_mut_arr_get(list, i), "name"), name))
                        yyjson_mut_arr_remove(list, i);
        }
}

/* The body of the entry of that name, made anew; it keeps its place in the list. */
static yyjson_mut_val *fresh_entry(yyjson_mut_doc *doc, const char *list_name, const char *body, const char *name) {
        yyjson_mut_val *list = mjson_arr(doc, yyjson_mut_doc_get_root(doc), list_name);
        yyjson_mut_val *found = NULL, *item;
        size_t i, n;
        yyjson_mut_arr_foreach(list, i, n, item) {
                if (streq_null(mjson_get_str(item, "name"), name))
                        found = item;
        }
        if (!found) {
                found = yyjson_mut_arr_add_obj(doc, list);
                mjson_set_str(doc, found, "name", name);
        }
        yyjson_mut_val *content = yyjson_mut_obj(doc);
        mjson_set(doc, found, body, content);
        return content;
}

static void set_base64(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, struct sv data) {
        if (data.len == 0)
                return;
        AUTO(str) struct str text = STR_INIT(0);
        base64_encode(data, &text);
        mjson_set_str(doc, object, key, str_cstr(&text));
}

static void put_entry(yyjson_mut_doc *doc, const struct kubeconfig_entry *e) {
        yyjson_mut_val *cluster = fresh_entry(doc, "clusters", "cluster", e->name);
        set_base64(doc, cluster, "certificate-authority-data", e->ca_pem);
        mjson_set_str(doc, cluster, "server", e->server);
        yyjson_mut_val *context = fresh_entry(doc, "contexts", "context", e->name);
        mjson_set_str(doc, context, "cluster", e->name);
        mjson_set_str(doc, context, "namespace", e->namespace_);
        mjson_set_str(doc, context, "user", e->name);
        yyjson_mut_val *user = fresh_entry(doc, "users", "user", e->name);
        set_base64(doc, user, "client-certificate-data", e->cert_pem);
        set_base64(doc, user, "client-key-data", e->key_pem);
        mjson_set_str(doc, user, "token", e->token);
        if (e->make_current)
                mjson_set_str(doc, yyjson_mut_doc_get_root(doc), "current-context", e->name);
}

static void write_yaml(yyjson_mut_doc *doc, struct str *out) {
        AUTO(json) yyjson_doc *frozen = mjson_freeze(yyjson_mut_doc_get_root(doc));
        yaml_write(yyjson_doc_get_root(frozen), out);
}

static int save(const char *file, yyjson_mut_doc *doc, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        write_yaml(doc, &text);
        /* A symbolic link (a file kept elsewhere) stays one: the file behind it is replaced. */
        AUTO(free) char *behind = realpath(file, NULL);
        int r = fs_write_atomic(behind ? behind : file, str_sv(&text), 0600, err);
        return r < 0 ? err_wrap(err, r, "writing the kubeconfig") : 0;
}

static int make_directory(const char *file, struct err *err) {
        AUTO(free) char *dir = fs_absolute(file);
        char *slash = strrchr(dir, '/');
        if (!slash || slash == dir)
                return 0;
        *slash = '\0';
        return fs_mkdirs(dir, 0700, err);
}

int kubeconfig_put(const char *file, const struct kubeconfig_entry *e, struct err *err) {
        int r = make_directory(file, err);
        if (r < 0)
                return r;
        AUTO(lock) struct lock lock = {0};
        r = lock_take(file, &lock, err);
        if (r < 0)
                return r;
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        r = open_config(file, &doc, err);
        if (r < 0)
                return r;
        put_entry(doc, e);
        return save(file, doc, err);
}

int kubeconfig_remove(const char *file, const char *name, struct err *err) {
        if (!fs_exists(file))
                return 0;
        AUTO(lock) struct lock lock = {0};
        int r = lock_take(file, &lock, err);
        if (r < 0)
                return r;
        AUTO(mjson) yyjson_mut_doc *doc = NULL;
        r = open_config(file, &doc, err);
        if (r < 0)
                return r;
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        static const char *const lists[] = {"clusters", "contexts", "users"};
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
                remove_named(yyjson_mut_obj_get(root, lists[i]), name);
        if (streq_null(mjson_get_str(root, "current-context"), name))
                mjson_set_str(doc, root, "current-context", "");
        return save(file, doc, err);
}

char *kubeconfig_text(const struct kubeconfig_entry *e) {
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "apiVersion", "v1");
        mjson_set_str(doc, root, "kind", "Config");
        put_entry(doc, e);
        AUTO(str) struct str text = STR_INIT(0);
        write_yaml(doc, &text);
        return str_take(&text);
}
