#include "kube/kubeconfig.h"

#include "base/fs.h"
#include "base/map.h"
#include "codec/yaml.h"

/* The three lists of named entries: what the list is called and what an entry holds. */
static const struct {
        const char *list, *body;
} sections[] = {{"clusters", "cluster"}, {"users", "user"}, {"contexts", "context"}};

void kubeconfig_done(struct kubeconfig *k) {
        yyjson_mut_doc_free(k->doc);
        strv_done(&k->files);
        strv_done(&k->missing);
        *k = (struct kubeconfig){0};
}

static void resolve_path(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, const char *dir) {
        const char *path = mjson_get_str(object, key);
        if (!path || !*path || *path == '/')
                return;
        AUTO(free) char *joined = fs_join(dir, path);
        AUTO(free) char *absolute = fs_absolute(joined);
        mjson_set_str(doc, object, key, absolute);
}

/* Relative names count from the file's own directory, before merging makes the file forgotten. */
static void resolve_paths(yyjson_mut_doc *doc, yyjson_mut_val *body, const char *dir) {
        resolve_path(doc, body, "certificate-authority", dir);
        resolve_path(doc, body, "client-certificate", dir);
        resolve_path(doc, body, "client-key", dir);
        resolve_path(doc, body, "tokenFile", dir);
        yyjson_mut_val *exec = yyjson_mut_obj_get(body, "exec");
        const char *command = mjson_get_str(exec, "command");
        if (command && strchr(command, '/')) /* without a slash it is searched in PATH */
                resolve_path(doc, exec, "command", dir);
}

static yyjson_mut_val *find_named(yyjson_mut_val *list, const char *name) {
        size_t i, n;
        yyjson_mut_val *item;
        yyjson_mut_arr_foreach(list, i, n, item) {
                if (streq_null(mjson_get_str(item, "name"), name))
                        return item;
        }
        return NULL;
}

/* Members that are texts: one that YAML takes for a number or a boolean would else be lost without a word. */
static const char *const texts[] = {
        "server",
        "tls-server-name",
        "certificate-authority",
        "certificate-authority-data",
        "proxy-url",
        "cluster",
        "user",
        "namespace",
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "token",
        "tokenFile",
        "as",
        "as-uid",
        "username",
        "password",
};
static const char *const switches[] = {"insecure-skip-tls-verify", "disable-compression"};

static int check_members(yyjson_val *content, const char *section, const char *name, const char *file, struct err *err) {
        for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
                yyjson_val *v = yyjson_obj_get(content, texts[i]);
                if (v && !yyjson_is_str(v) && !yyjson_is_null(v))
                        return err_set(err, -EINVAL, "%s: %s \"%s\": %s must be a text (put it in quotes)", file, section, name, texts[i]);
        }
        for (size_t i = 0; i < ARRAY_LEN(switches); i++) {
                yyjson_val *v = yyjson_obj_get(content, switches[i]);
                if (v && !yyjson_is_bool(v) && !yyjson_is_null(v))
                        return err_set(err, -EINVAL, "%s: %s \"%s\": %s must be true or false", file, section, name, switches[i]);
        }
        return 0;
}

static int check_list(yyjson_val *list, const char *section, const char *body, const char *file, struct err *err) {
        if (!list || yyjson_is_null(list))
                return 0;
        if (!yyjson_is_arr(list))
                return err_set(err, -EINVAL, "%s: %s must be a list of entries with `name` and `%s`", file, section, body);
        AUTO(map) struct map seen = MAP_INIT(NULL);
        size_t i, n;
        yyjson_val *item;
        yyjson_arr_foreach(list, i, n, item) {
                if (!yyjson_is_obj(item))
                        return err_set(err, -EINVAL, "%s: %s[%zu] must be an object with `name` and `%s`", file, section, i, body);
                yyjson_val *name = yyjson_obj_get(item, "name");
                if (!yyjson_is_str(name) || yyjson_get_len(name) == 0)
                        return err_set(err, -EINVAL, "%s: %s[%zu] has no name (a text in quotes, if it looks like a number)", file, section,
                                       i);
                if (map_has(&seen, yyjson_get_str(name)))
                        return err_set(err, -EINVAL, "%s: %s holds the name \"%s\" twice", file, section, yyjson_get_str(name));
                map_set(&seen, yyjson_get_str(name), item);
                yyjson_val *content = yyjson_obj_get(item, body);
                if (content && !yyjson_is_obj(content) && !yyjson_is_null(content))
                        return err_set(err, -EINVAL, "%s: %s \"%s\": `%s` must be an object", file, section, yyjson_get_str(name), body);
                int r = check_members(content, section, yyjson_get_str(name), file, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_shape(yyjson_val *root, const char *file, struct err *err) {
        if (!yyjson_is_obj(root))
                return err_set(err, -EINVAL, "%s: not a kubeconfig: expected an object with clusters, contexts and users", file);
        const char *kind = json_get_str(root, "kind"), *version = json_get_str(root, "apiVersion");
        if (kind && *kind && !streq(kind, "Config"))
                return err_set(err, -EINVAL, "%s: not a kubeconfig: kind is \"%s\", expected \"Config\"", file, kind);
        if (version && *version && !streq(version, "v1"))
                return err_set(err, -EINVAL, "%s: apiVersion \"%s\" of a kubeconfig is unknown (accepted: \"v1\")", file, version);
        yyjson_val *current = yyjson_obj_get(root, "current-context");
        if (current && !yyjson_is_str(current) && !yyjson_is_null(current))
                return err_set(err, -EINVAL, "%s: current-context must be a text (put it in quotes)", file);
        for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
                int r = check_list(yyjson_obj_get(root, sections[i].list), sections[i].list, sections[i].body, file, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static yyjson_mut_doc *empty_config(void) {
        yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc);
        yyjson_mut_doc_set_root(doc, root);
        mjson_set_str(doc, root, "kind", "Config");
        mjson_set_str(doc, root, "apiVersion", "v1");
        for (size_t i = 0; i < ARRAY_LEN(sections); i++)
                mjson_arr(doc, root, sections[i].list);
        return doc;
}

static void merge_list(yyjson_mut_doc *doc, yyjson_mut_val *into, yyjson_val *from, const char *body, const char *dir) {
        size_t i, n;
        yyjson_val *item;
        yyjson_arr_foreach(from, i, n, item) {
                if (find_named(into, json_get_str(item, "name")))
                        continue; /* the first file that names it decides it whole */
                yyjson_mut_val *copy = yyjson_val_mut_copy(doc, item);
                resolve_paths(doc, mjson_obj(doc, copy, body), dir);
                yyjson_mut_arr_append(into, copy);
        }
}

static void merge(struct kubeconfig *k, yyjson_val *root, const char *dir) {
        if (!k->doc)
                k->doc = empty_config();
        yyjson_mut_val *into = yyjson_mut_doc_get_root(k->doc);
        for (size_t i = 0; i < ARRAY_LEN(sections); i++)
                merge_list(k->doc, mjson_arr(k->doc, into, sections[i].list), yyjson_obj_get(root, sections[i].list), sections[i].body,
                           dir);
        const char *current = json_get_str(root, "current-context");
        if (current && *current && !mjson_get_str(into, "current-context"))
                mjson_set_str(k->doc, into, "current-context", current);
}

int kubeconfig_add_text(struct kubeconfig *k, struct sv text, const char *file, struct err *err) {
        AUTO(json) yyjson_doc *doc = NULL;
        int r = yaml_parse(text, &doc, err);
        if (r < 0)
                return err_wrap(err, r, "%s is not valid YAML", file);
        yyjson_val *root = yyjson_doc_get_root(doc);
        if (yyjson_is_null(root)) { /* kubectl takes an empty file for an empty configuration */
                strv_add(&k->files, file);
                return 0;
        }
        r = check_shape(root, file, err);
        if (r < 0)
                return r;
        AUTO(free) char *absolute = fs_absolute(file);
        char *slash = strrchr(absolute, '/');
        if (slash)
                slash[slash == absolute] = '\0';
        merge(k, root, absolute);
        strv_add(&k->files, file);
        return 0;
}

static int add_file(struct kubeconfig *k, const char *path, struct err *err) {
        AUTO(str) struct str text = STR_INIT(0);
        int r = fs_read(path, KUBECONFIG_MAX_BYTES, &text, err);
        if (r < 0)
                return err_wrap(err, r, "reading the kubeconfig");
        return kubeconfig_add_text(k, str_sv(&text), path, err);
}

static char *home_config(void) {
        const char *home = getenv("HOME");
        return home && *home ? fs_join(home, ".kube/config") : NULL;
}

/* The files to look at, in order of precedence. */
static void candidates(struct strv *ret) {
        const char *env = getenv("KUBECONFIG");
        if (env && *env) {
                struct sv rest = sv_of(env), part;
                while (sv_split(&rest, ':', &part)) {
                        AUTO(free) char *path = sv_dup(part);
                        if (*path && !strv_has(ret, path))
                                strv_add(ret, path);
                }
                return;
        }
        AUTO(free) char *home = home_config();
        if (home)
                strv_add(ret, home);
}

static int load_candidates(bool first_only, struct kubeconfig *ret, struct err *err) {
        AUTO(strv) struct strv files = {0};
        candidates(&files);
        AUTO(kubeconfig) struct kubeconfig k = {0};
        vec_foreach(path, &files) {
                if (!fs_exists(*path)) {
                        strv_add(&k.missing, *path);
                        if (first_only)
                                break;
                        continue;
                }
                int r = add_file(&k, *path, err);
                if (r < 0)
                        return r;
                if (first_only)
                        break;
        }
        *ret = k;
        k = (struct kubeconfig){0};
        return 0;
}

int kubeconfig_load(const char *path, struct kubeconfig *ret, struct err *err) {
        if (!path || !*path)
                return load_candidates(false, ret, err);
        AUTO(kubeconfig) struct kubeconfig k = {0};
        int r = add_file(&k, path, err);
        if (r < 0)
                return r;
        *ret = k;
        k = (struct kubeconfig){0};
        return 0;
}

int kubeconfig_load_first(struct kubeconfig *ret, struct err *err) { return load_candidates(true, ret, err); }

static yyjson_mut_val *section(const struct kubeconfig *k, const char *name) {
        return k->doc ? yyjson_mut_obj_get(yyjson_mut_doc_get_root(k->doc), name) : NULL;
}

const char *kubeconfig_current_context(const struct kubeconfig *k) {
        return k->doc ? mjson_get_str(yyjson_mut_doc_get_root(k->doc), "current-context") : NULL;
}

yyjson_mut_val *kubeconfig_entry(const struct kubeconfig *k, const char *list, const char *body, const char *name) {
        return yyjson_mut_obj_get(find_named(section(k, list), name), body);
}

bool kubeconfig_has_context(const struct kubeconfig *k, const char *name) {
        return find_named(section(k, "contexts"), name) != NULL;
}

void kubeconfig_names(const struct kubeconfig *k, const char *list, struct strv *ret) {
        size_t i, n;
        yyjson_mut_val *item;
        yyjson_mut_arr_foreach(section(k, list), i, n, item) {
                strv_add(ret, mjson_get_str(item, "name"));
        }
}
