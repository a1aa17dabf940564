#include "cluster/podrt/image.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#include "base/fs.h"
#include "codec/sha256.h"

extern char **environ;

static const char standard_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static void install_done(struct spark_install *i) {
        free(i->version);
        free(i->home);
        free(i->python);
        strv_done(&i->paths);
}

void image_done(struct image *i) {
        free(i->id);
        free(i->note);
        free(i->spark_home);
        free(i->spark_version);
        free(i->working_dir);
        free(i->user);
        free(i->layers_dir);
        free(i->manifest);
        strv_done(&i->layers);
        strv_done(&i->paths);
        strv_done(&i->env);
        strv_done(&i->entrypoint);
        strv_done(&i->command);
        *i = (struct image){0};
}

void image_store_done(struct image_store *s) {
        vec_foreach(i, &s->installs) install_done(i);
        vec_done(&s->installs);
        free(s->java_home);
        free(s->java_unfit);
        strv_done(&s->java_paths);
        *s = (struct image_store){0};
}

/* ---- finding ---- */

/* "jars/spark-core_2.13-4.1.4.jar" gives "4.1.4"; NULL when it is no Spark. */
static char *version_of(const char *home) {
        AUTO(free) char *jars = fs_join(home, "jars");
        DIR *dir = opendir(jars);
        char *version = NULL;
        for (struct dirent *e; dir && !version && (e = readdir(dir));) {
                if (!str_starts(e->d_name, "spark-core_") || !str_ends(e->d_name, ".jar"))
                        continue;
                const char *dash = strchr(e->d_name + strlen("spark-core_"), '-');
                if (dash && dash[1] >= '0' && dash[1] <= '9')
                        version = xstrndup(dash + 1, strlen(dash + 1) - strlen(".jar"));
        }
        if (dir)
                closedir(dir);
        return version;
}

static int compare_versions(const char *a, const char *b) {
        while (*a || *b) {
                char *end_a, *end_b;
                long x = strtol(a, &end_a, 10), y = strtol(b, &end_b, 10);
                if (x != y)
                        return x < y ? -1 : 1;
                if (end_a == a && end_b == b)
                        return strcmp(a, b);
                a = *end_a == '.' ? end_a + 1 : end_a;
                b = *end_b == '.' ? end_b + 1 : end_b;
        }
        return 0;
}

static bool is_in_usr(const char *path) { return str_starts(path, "/usr/") || str_starts(path, "/bin/") || str_starts(path, "/lib"); }

static void add_path_once(struct strv *paths, const char *path) {
        if (path[0] == '/' && path[1] && !is_in_usr(path) && !strv_has(paths, path) && fs_is_dir(path))
                strv_add(paths, path);
}

/* The interpreter of a virtual environment is a link to one installed elsewhere, whose libraries it uses. */
static void add_interpreter(struct spark_install *i, const char *bin) {
        AUTO(free) char *link = fs_join(bin, "python3");
        char real[PATH_MAX];
        if (!realpath(link, real))
                return;
        i->python = xstrdup(bin);
        for (int up = 0; up < 2; up++) {
                char *slash = strrchr(real, '/');
                if (slash && slash != real)
                        *slash = '\0';
        }
        add_path_once(&i->paths, real);
}

static void add_install(struct image_store *s, const char *home, const char *venv) {
        char real[PATH_MAX];
        if (!realpath(home, real))
                return;
        vec_foreach(i, &s->installs) if (streq(i->home, real)) return;
        AUTO(free) char *version = version_of(real);
        if (!version)
                return;
        size_t at = s->installs.len;
        vec_push(&s->installs);
        while (at > 0 && compare_versions(s->installs.items[at - 1].version, version) < 0) {
                s->installs.items[at] = s->installs.items[at - 1];
                at--;
        }
        struct spark_install *i = &s->installs.items[at];
        *i = (struct spark_install){.version = TAKE(version), .home = xstrdup(real)};
        char venv_real[PATH_MAX];
        if (venv && realpath(venv, venv_real)) {
                add_path_once(&i->paths, venv_real);
                AUTO(free) char *bin = fs_join(venv_real, "bin");
                add_interpreter(i, bin);
        }
}

/* A virtual environment's lib/pythonX.Y/site-packages/pyspark. */
static bool add_venv(struct image_store *s, const char *dir) {
        AUTO(free) char *lib = fs_join(dir, "lib");
        DIR *d = opendir(lib);
        bool found = false;
        for (struct dirent *e; d && (e = readdir(d));) {
                if (!str_starts(e->d_name, "python3"))
                        continue;
                AUTO(free) char *home = xasprintf("%s/%s/site-packages/pyspark", lib, e->d_name);
                AUTO(free) char *jars = fs_join(home, "jars");
                if (fs_is_dir(jars)) {
                        add_install(s, home, dir);
                        found = true;
                }
        }
        if (d)
                closedir(d);
        return found;
}

/* "V/lib/python3.11/site-packages/pyspark" belongs to the environment V; NULL when there is no interpreter of that kind. */
static char *environment_of(const char *home) {
        char *root = fs_absolute(home);
        for (int up = 0; up < 4; up++) {
                char *slash = strrchr(root, '/');
                if (slash)
                        *slash = '\0';
        }
        AUTO(free) char *python = fs_join(root, "bin/python3");
        if (strstr(home, "/site-packages/pyspark") && access(python, X_OK) == 0)
                return root;
        free(root);
        return NULL;
}

static bool add_candidate(struct image_store *s, const char *dir) {
        AUTO(free) char *jars = fs_join(dir, "jars");
        if (fs_is_dir(jars)) {
                AUTO(free) char *venv = environment_of(dir);
                add_install(s, dir, venv);
                return true;
        }
        return add_venv(s, dir);
}

static void add_from(struct image_store *s, const char *dir) {
        if (!fs_is_dir(dir) || add_candidate(s, dir))
                return;
        DIR *d = opendir(dir);
        for (struct dirent *e; d && (e = readdir(d));) {
                AUTO(free) char *inner = fs_join(dir, e->d_name);
                if (e->d_name[0] != '.')
                        add_candidate(s, inner);
        }
        if (d)
                closedir(d);
}

/* JAVA_VERSION="17.0.15" or "1.8.0_412" in DIR/release; 0 when this is no Java. */
static int java_version(const char *home) {
        AUTO(free) char *java = fs_join(home, "bin/java");
        AUTO(free) char *release = fs_join(home, "release");
        AUTO(str) struct str text = STR_INIT(1 << 16);
        static const char key[] = "JAVA_VERSION=\"";
        if (access(java, X_OK) < 0 || fs_read(release, 1 << 16, &text, NULL) < 0)
                return 0;
        const char *at = strstr(str_cstr(&text), key);
        if (!at)
                return 0;
        at += strlen(key);
        return (int)strtol(str_starts(at, "1.") ? at + 2 : at, NULL, 10);
}

/* True when that is the one to take. */
static bool try_java(struct image_store *s, const char *home) {
        char real[PATH_MAX];
        if (!home || !home[0] || !realpath(home, real))
                return false;
        int version = java_version(real);
        if (version == 17 || version == 21) {
                s->java_home = xstrdup(real);
                add_path_once(&s->java_paths, real);
                return true;
        }
        if (version && !(s->java_unfit && strstr(s->java_unfit, real))) {
                char *more = s->java_unfit ? xasprintf("%s, Java %d in %s", s->java_unfit, version, real)
                                           : xasprintf("Java %d in %s", version, real);
                free(s->java_unfit);
                s->java_unfit = more;
        }
        return false;
}

static void find_java(struct image_store *s, const char *const *homes) {
        for (size_t i = 0; homes && homes[i]; i++)
                if (try_java(s, homes[i]))
                        return;
        if (homes || try_java(s, getenv("JAVA_HOME")))
                return;
        char real[PATH_MAX];
        AUTO(free) char *java = fs_find_program("java");
        if (java && realpath(java, real) && str_ends(real, "/bin/java")) {
                AUTO(free) char *home = xstrndup(real, strlen(real) - strlen("/bin/java"));
                if (try_java(s, home))
                        return;
        }
        static const char all[] = "/usr/lib/jvm";
        DIR *d = opendir(all);
        AUTO(strv) struct strv names = {0};
        for (struct dirent *e; d && (e = readdir(d));)
                if (e->d_name[0] != '.')
                        strv_addf(&names, "%s/%s", all, e->d_name);
        if (d)
                closedir(d);
        strv_sort(&names);
        for (size_t i = 0; i < names.len; i++)
                if (try_java(s, names.items[i]))
                        return;
}

void image_store_init(struct image_store *s, const struct image_store_options *o) {
        *s = (struct image_store){0};
        for (size_t i = 0; o->spark_dirs && o->spark_dirs[i]; i++)
                add_from(s, o->spark_dirs[i]);
        for (char **e = environ; *e; e++) {
                const char *eq = strchr(*e, '=');
                if (eq && str_starts(*e, "FIRESTEEL_SPARK_HOME_"))
                        add_from(s, eq + 1);
        }
        find_java(s, o->java_homes);
}

/* ---- resolving ---- */

struct reference {
        char *name; /* without registry docker.io and without library/ */
        char *tag;  /* "latest" when there is none */
};

static void reference_done(struct reference *r) {
        free(r->name);
        free(r->tag);
}
DEFINE_AUTO_VALUE(reference, struct reference, reference_done)

static bool parse_reference(const char *text, struct reference *ret) {
        const char *digest = strchr(text, '@');
        size_t len = digest ? (size_t)(digest - text) : strlen(text);
        for (size_t i = 0; i < len; i++)
                if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:", text[i]))
                        return false;
        struct sv name = sv_new(text, len), tag = SV("latest");
        ssize_t colon = sv_rfind_char(name, ':'), slash = sv_rfind_char(name, '/');
        if (colon > slash) {
                tag = sv_new(name.data + colon + 1, name.len - (size_t)colon - 1);
                name.len = (size_t)colon;
        }
        static const char *const prefixes[] = {"docker.io/", "index.docker.io/", "library/"};
        for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
                if (sv_starts(name, sv_of(prefixes[i])))
                        name = sv_new(name.data + strlen(prefixes[i]), name.len - strlen(prefixes[i]));
        if (!name.len || !tag.len)
                return false;
        *ret = (struct reference){sv_dup(name), sv_dup(tag)};
        return true;
}

static const struct {
        const char *name;
        bool has_spark;
        uint32_t uid;
} table[] = {
        {"apache/spark", true, 185},
        {"apache/spark-py", true, 185},
        {"apache/spark-r", true, 185},
        {"spark", true, 185},
        {"firesteel/spark", true, 0},
        {"busybox", false, 0},
        {"alpine", false, 0},
        {"debian", false, 0},
        {"ubuntu", false, 0},
        {"python", false, 0},
        {"bash", false, 0},
        {"firesteel/host", false, 0},
};

/* "4.1.4-scala2.13-java17-python3-ubuntu" and "v4.1" give the digits and dots at the beginning. */
static char *wanted_version(const char *tag) {
        const char *start = tag[0] == 'v' && tag[1] >= '0' && tag[1] <= '9' ? tag + 1 : tag;
        size_t len = strspn(start, "0123456789.");
        while (len && start[len - 1] == '.')
                len--;
        return xstrndup(start, len);
}

static bool same_minor(const char *a, const char *b) {
        const char *dot_a = strchr(a, '.'), *dot_b = strchr(b, '.');
        if (!dot_a || !dot_b)
                return strtol(a, NULL, 10) == strtol(b, NULL, 10);
        return strtol(a, NULL, 10) == strtol(b, NULL, 10) && strtol(dot_a + 1, NULL, 10) == strtol(dot_b + 1, NULL, 10);
}

/* The exact version, else the newest of the same minor version. */
static const struct spark_install *choose(const struct image_store *s, const char *version) {
        vec_foreach(i, &s->installs) if (!version[0] || streq(i->version, version)) return i;
        vec_foreach(i, &s->installs) if (same_minor(i->version, version)) return i;
        return NULL;
}

static int not_installed(const struct image_store *s, const char *reference, const char *version, struct err *err) {
        AUTO(str) struct str have = STR_INIT(0);
        vec_foreach(i, &s->installs) str_appendf(&have, "%s%s", have.len ? ", " : "", i->version);
        return err_set(
                err, -ENOENT,
                "image \"%s\": Spark %s is not installed on this machine (installed: %s); install it with pip (pyspark==%s) and start the instance again with "
                "--spark-home and its directory site-packages/pyspark",
                reference, version[0] ? version : "of any version", have.len ? str_cstr(&have) : "none", version[0] ? version : "4.1.4");
}

static int fill_spark(const struct image_store *s, const char *reference, const struct reference *r, uint32_t uid, struct image *image,
                      struct err *err) {
        AUTO(free) char *version = wanted_version(r->tag);
        const struct spark_install *i = choose(s, version);
        if (!i)
                return not_installed(s, reference, version, err);
        if (!s->java_home)
                return err_set(err, -ENOENT, "image \"%s\" needs Java 17 or 21, and %s%s; install one (Debian, Ubuntu: apt-get install "
                                             "openjdk-17-jre-headless) or set JAVA_HOME, then start the instance again",
                               reference, s->java_unfit ? "there is only " : "no Java was found", s->java_unfit ? s->java_unfit : "");
        if (strchr(version, '.') && strchr(strchr(version, '.') + 1, '.') && !streq(version, i->version))
                image->note = xasprintf("Spark %s is not installed here; Spark %s is used in its place", version, i->version);
        image->spark_home = xstrdup(i->home);
        image->spark_version = xstrdup(i->version);
        for (size_t n = 0; n < i->paths.len; n++)
                add_path_once(&image->paths, i->paths.items[n]);
        for (size_t n = 0; n < s->java_paths.len; n++)
                add_path_once(&image->paths, s->java_paths.items[n]);
        strv_addf(&image->env, "PATH=%s%s%s/bin:%s", i->python ? i->python : "", i->python ? ":" : "", s->java_home, standard_path);
        strv_addf(&image->env, "JAVA_HOME=%s", s->java_home);
        strv_add(&image->env, "SPARK_HOME=/opt/spark");
        strv_addf(&image->env, "SPARK_VERSION=%s", i->version);
        strv_addf(&image->env, "FIRESTEEL_SPARK_VERSION=%s", i->version);
        strv_add(&image->entrypoint, "/opt/entrypoint.sh");
        image->working_dir = xstrdup("/opt/spark/work-dir");
        image->uid = image->gid = uid;
        return 0;
}

static void fill_plain(const struct reference *r, struct image *image) {
        strv_addf(&image->env, "PATH=%s", standard_path);
        strv_add(&image->command, streq(r->name, "python") ? "python3" : "sh");
        image->working_dir = xstrdup("/");
}

bool image_is_host(const char *reference) {
        AUTO(reference) struct reference r = {0};
        if (!parse_reference(reference, &r))
                return false;
        for (size_t i = 0; i < ARRAY_LEN(table); i++)
                if (streq(r.name, table[i].name))
                        return true;
        return false;
}

int image_resolve(const struct image_store *s, const char *reference, struct image *ret, struct err *err) {
        AUTO(reference) struct reference r = {0};
        AUTO(image) struct image image = {0};
        if (!reference[0] || !parse_reference(reference, &r))
                return err_set(err, -EINVAL,
                               "Failed to apply default image tag \"%s\": couldn't parse image name \"%s\": invalid reference format",
                               reference, reference);
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {
                if (!streq(r.name, table[i].name))
                        continue;
                if (!table[i].has_spark)
                        fill_plain(&r, &image);
                else if (fill_spark(s, reference, &r, table[i].uid, &image, err) < 0)
                        return -ENOENT;
                AUTO(free) char *text = xasprintf("%s %s", r.name, image.spark_version ? image.spark_version : "host");
                char digest[SHA256_HEX_SIZE];
                sha256_hex(sv_of(text), digest);
                image.id = xasprintf("firesteel.local/%s@sha256:%s", r.name, digest);
                *ret = image;
                image = (struct image){0};
                return 0;
        }
        err_set(err, -ENOENT,
                "image \"%s\" is not one this cluster has: pods run on this machine's own file system under the names apache/spark, spark, firesteel/spark "
                "(with a version as tag), busybox, alpine, debian, ubuntu and python",
                reference);
        return -ENOENT;
}
