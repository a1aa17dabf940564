#include "submit/gather.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>

#include "base/fs.h"
#include "event/loop.h"
#include "spark/juri.h"
#include "spark/text.h"

extern char **environ;

enum { ENV_MAX = 1024 * 1024, GLOB_MAX = 10000, GLOB_ALTERNATIVES_MAX = 256 };

int gather_base(struct submission_inputs *in, struct err *err) {
        for (char **e = environ; *e; e++) {
                const char *equals = strchr(*e, '=');
                if (equals)
                        map_set_n(&in->env, *e, (size_t)(equals - *e), xstrdup(equals + 1));
        }
        free(in->cwd);
        in->cwd = getcwd(NULL, 0);
        if (!in->cwd)
                return err_errno(err, -errno, "finding the working directory");
        struct passwd *who = getpwuid(getuid());
        free(in->user);
        in->user = who ? xstrdup(who->pw_name) : xasprintf("%u", getuid());
        const char *home = inputs_env(in, "SPARK_HOME"), *conf = inputs_env(in, "SPARK_CONF_DIR");
        if (home && *home && !(conf && *conf)) {
                AUTO(free) char *dir = fs_join(home, "conf");
                inputs_set_env(in, "SPARK_CONF_DIR", dir);
        }
        return 0;
}

int gather_spark_env(struct submission_inputs *in, struct err *err) {
        const char *conf = inputs_env(in, "SPARK_CONF_DIR"), *loaded = inputs_env(in, "SPARK_ENV_LOADED");
        if (!conf || !*conf || (loaded && *loaded))
                return 0;
        AUTO(free) char *file = fs_join(conf, "spark-env.sh");
        if (!fs_exists(file))
                return 0;
        AUTO(str) struct str out = STR_INIT(ENV_MAX);
        AUTO(str) struct str complaints = STR_INIT(ENV_MAX);
        int code;
        const char *const argv[] = {"bash", "-c", "set -a; . \"$1\" >&2; exec env -0", "bash", file, NULL};
        int r = child_run(&(struct child_spec){.argv = argv, .max_output = ENV_MAX}, &code, &out, &complaints, err);
        if (r < 0)
                return err_wrap(err, r, "reading %s", file);
        if (code != 0)
                return err_set(err, -EIO, "reading %s: bash ended with %d: %s", file, code, str_cstr(&complaints));
        for (const char *p = str_cstr(&out), *end = p + out.len; p < end; p += strlen(p) + 1) {
                const char *equals = strchr(p, '=');
                if (equals)
                        map_set_n(&in->env, p, (size_t)(equals - p), xstrdup(equals + 1));
        }
        return 0;
}

/* --- files --- */

static void read_text(struct input_file *f, const char *path, size_t max, bool beginning_only) {
        if (f->has_text || f->kind != INPUT_FILE)
                return;
        if (beginning_only) {
                int fd = open(path, O_RDONLY | O_CLOEXEC);
                ssize_t n = 0;
                f->text = STR_INIT(max);
                if (fd < 0 || !str_reserve(&f->text, max))
                        f->error = fd < 0 ? -errno : -ENOMEM;
                while (!f->error && f->text.len < max && (n = read(fd, f->text.data + f->text.len, max - f->text.len)) > 0)
                        f->text.len += (size_t)n;
                if (!f->error && n < 0)
                        f->error = -errno;
                if (f->text.data)
                        f->text.data[f->text.len] = 0;
                if (fd >= 0)
                        close(fd);
        } else {
                f->text = STR_INIT(max);
                f->error = fs_read(path, max, &f->text, NULL);
                if (f->error > 0)
                        f->error = 0;
        }
        f->has_text = f->error == 0;
}

static struct input_file *stat_file(struct submission_inputs *in, const char *path) {
        struct input_file *f = inputs_add_file(in, path);
        struct stat st;
        if (f->kind != INPUT_ABSENT || f->canonical)
                return f;
        if (stat(path, &st) == 0) {
                f->kind = S_ISREG(st.st_mode) ? INPUT_FILE : S_ISDIR(st.st_mode) ? INPUT_DIRECTORY : INPUT_OTHER;
                f->size = st.st_size;
        }
        /* For what does not exist, links are resolved as far as the path does. */
        char real[PATH_MAX];
        if (realpath(path, real)) {
                f->canonical = xstrdup(real);
        } else {
                const char *slash = strrchr(path, '/');
                AUTO(free) char *dir = slash && slash != path ? xstrndup(path, (size_t)(slash - path)) : xstrdup("/");
                if (realpath(dir, real))
                        f->canonical = fs_join(real, slash ? slash + 1 : path);
        }
        return f;
}

static int list_directory(struct submission_inputs *in, const char *path, struct err *err) {
        struct input_file *f = stat_file(in, path);
        if (f->kind != INPUT_DIRECTORY || f->names.len)
                return 0;
        DIR *d = opendir(path);
        if (!d)
                return err_errno(err, -errno, "listing %s", path);
        struct dirent *e;
        int r = 0;
        while (r == 0 && (e = readdir(d))) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                if (f->names.len >= INPUT_DIRECTORY_MAX)
                        r = err_set(err, -EFBIG, "%s holds more than %d files", path, INPUT_DIRECTORY_MAX);
                else
                        strv_add(&f->names, e->d_name);
        }
        closedir(d);
        if (r < 0)
                return r;
        strv_sort(&f->names);
        for (size_t i = 0; i < f->names.len; i++) {
                AUTO(free) char *child = xasprintf("%s/%s", path, f->names.items[i]);
                read_text(stat_file(in, child), child, INPUT_TEXT_MAX, false);
        }
        return 0;
}

/* --- patterns: Hadoop's globs are the shell's with {a,b} --- */

/* The first {...} replaced by each of its alternatives. */
static void expand_braces(const char *pattern, struct strv *ret) {
        const char *open = strchr(pattern, '{'), *close = open;
        int depth = 0;
        for (; close && *close; close++) {
                depth += *close == '{' ? 1 : *close == '}' ? -1 : 0;
                if (depth == 0)
                        break;
        }
        if (!open || !*close || ret->len >= GLOB_ALTERNATIVES_MAX) {
                strv_add(ret, pattern);
                return;
        }
        const char *from = open + 1;
        depth = 0;
        for (const char *p = from; p <= close; p++) {
                if (p == close || (*p == ',' && depth == 0)) {
                        AUTO(free) char *one = xasprintf("%.*s%.*s%s", (int)(open - pattern), pattern, (int)(p - from), from, close + 1);
                        expand_braces(one, ret);
                        from = p + 1;
                }
                depth += *p == '{' ? 1 : *p == '}' ? -1 : 0;
        }
}

static void match_path(struct submission_inputs *in, const char *base, const char *rest, struct strv *ret) {
        while (*rest == '/')
                rest++;
        if (ret->len >= GLOB_MAX)
                return;
        if (!*rest) {
                struct input_file *f = stat_file(in, base);
                if (f->kind == INPUT_FILE)
                        strv_add(ret, base);
                return;
        }
        size_t n = strcspn(rest, "/");
        AUTO(free) char *part = xstrndup(rest, n);
        if (!strpbrk(part, "*?[\\")) {
                AUTO(free) char *next = xasprintf("%s/%s", streq(base, "/") ? "" : base, part);
                if (fs_exists(next))
                        match_path(in, next, rest + n, ret);
                return;
        }
        /* Hadoop negates sets by ^ as well. */
        for (char *p = strstr(part, "[^"); p; p = strstr(p, "[^"))
                p[1] = '!';
        struct dirent **names;
        int count = scandir(base, &names, NULL, alphasort);
        for (int i = 0; i < count; i++) {
                if (!streq(names[i]->d_name, ".") && !streq(names[i]->d_name, "..") && fnmatch(part, names[i]->d_name, 0) == 0) {
                        AUTO(free) char *next = xasprintf("%s/%s", streq(base, "/") ? "" : base, names[i]->d_name);
                        match_path(in, next, rest + n, ret);
                }
                free(names[i]);
        }
        if (count >= 0)
                free(names);
}

static void match_glob(struct submission_inputs *in, const char *pattern) {
        if (map_has(&in->globs, pattern))
                return;
        AUTO(strv) struct strv patterns = {0};
        expand_braces(pattern, &patterns);
        struct strv *found = NEW(struct strv);
        for (size_t i = 0; i < patterns.len; i++)
                match_path(in, "/", patterns.items[i], found);
        strv_sort(found);
        map_set(&in->globs, pattern, found);
}

int gather_wants(struct submission_inputs *in, const struct input_wants *wants, struct err *err) {
        vec_foreach(w, &wants->list) {
                int r = 0;
                switch (w->want) {
                case INPUT_WANT_STAT:
                        stat_file(in, w->path);
                        break;
                case INPUT_WANT_TEXT:
                        read_text(stat_file(in, w->path), w->path, INPUT_TEXT_MAX, false);
                        break;
                case INPUT_WANT_HEAD:
                        read_text(stat_file(in, w->path), w->path, INPUT_HEAD_MAX, true);
                        break;
                case INPUT_WANT_DIRECTORY:
                        r = list_directory(in, w->path, err);
                        break;
                case INPUT_WANT_GLOB:
                        match_glob(in, w->path);
                        break;
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int gather_properties(struct submission_inputs *in, struct submit_args *a, struct err *err) {
        AUTO(input_wants) struct input_wants wants = {0};
        submission_wants_properties(a, in, &wants);
        int r = gather_wants(in, &wants, err);
        return r < 0 ? r : submission_merge_properties(a, in, err);
}

/* --- version --- */

static bool version_of_home(const char *home, struct spark_version *ret) {
        AUTO(free) char *jars = fs_join(home, "jars");
        DIR *d = opendir(jars);
        struct dirent *e;
        bool found = false;
        while (d && !found && (e = readdir(d)))
                found = spark_version_from_jar(e->d_name, ret);
        if (d)
                closedir(d);
        return found;
}

void gather_file_systems(struct submission_inputs *in) {
        static const char *const built_in[] = {"file", "hdfs", "webhdfs", "swebhdfs", "har", "viewfs"};
        static const struct {
                const char *jar, *schemes[4];
        } optional[] = {
                {"hadoop-aws-", {"s3a"}},
                {"gcs-connector", {"gs"}},
                {"hadoop-azure-", {"abfs", "abfss", "wasb", "wasbs"}},
                {"hadoop-aliyun-", {"oss"}},
                {"hadoop-cos-", {"cosn"}},
                {"hadoop-huaweicloud-", {"obs"}},
        };
        const char *home = inputs_env(in, "SPARK_HOME");
        AUTO(free) char *jars = home && *home ? fs_join(home, "jars") : NULL;
        DIR *d = jars ? opendir(jars) : NULL;
        struct dirent *e;
        if (!d)
                return;
        for (size_t i = 0; i < ARRAY_LEN(built_in); i++)
                strv_add(&in->file_systems, built_in[i]);
        while ((e = readdir(d)))
                for (size_t i = 0; i < ARRAY_LEN(optional); i++)
                        for (size_t j = 0; str_starts(e->d_name, optional[i].jar) && j < 4 && optional[i].schemes[j]; j++)
                                strv_add(&in->file_systems, optional[i].schemes[j]);
        closedir(d);
}

int gather_version(const struct submission_inputs *in, const char *given, struct spark_version *ret, bool *ret_known, struct err *err) {
        const char *from_env = inputs_env(in, "FIRESTEEL_SPARK_VERSION"), *home = inputs_env(in, "SPARK_HOME");
        *ret_known = true;
        if (given)
                return spark_version_parse(sv_of(given), ret, err);
        if (from_env && *from_env) {
                int r = spark_version_parse(sv_of(from_env), ret, err);
                return r < 0 ? err_wrap(err, r, "FIRESTEEL_SPARK_VERSION") : 0;
        }
        if (home && *home && version_of_home(home, ret))
                return 0;
        *ret_known = false;
        *ret = spark_version_newest();
        return 0;
}

void gather_version_of_image(const struct submit_args *a, struct spark_version *ret) {
        const char *image = map_get(&a->properties, "spark.kubernetes.driver.container.image");
        if (!image)
                image = map_get(&a->properties, "spark.kubernetes.container.image");
        if (image)
                spark_version_from_image(image, ret);
}
