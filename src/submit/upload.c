#include "submit/upload.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "codec/uri.h"
#include "codec/xml.h"
#include "objstore/objstore.h"

enum { COPY_PIECE = 4 * 1024 * 1024, SHOW_EVERY_MS = 100, CA_MAX = 4 * 1024 * 1024 };

/* By its letters alone: a target with a blank in it is no URI to Java, but it still has a scheme. */
static struct sv scheme_of(const char *target) {
        size_t n = strspn(target, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
        return n > 0 && target[n] == ':' ? sv_new(target, n) : SV_NULL;
}

/* The local path of a target: "file:/x", "file:///x", "/x". NULL for other places. */
static char *local_path(const char *target) {
        if (target[0] == '/')
                return xstrdup(target);
        if (str_starts(target, "file:")) {
                const char *path = target + strlen("file:");
                if (str_starts(path, "//"))
                        path = strchr(path + 2, '/');
                return path && *path == '/' ? xstrdup(path) : NULL;
        }
        return scheme_of(target).data ? NULL : fs_absolute(target);
}

static bool is_s3(const char *target) { return str_starts(target, "s3a://") || str_starts(target, "s3://"); }

int upload_check(const struct submission_uploads *uploads, struct err *err) {
        vec_foreach(u, &uploads->list) {
                AUTO(free) char *path = local_path(u->target);
                if (path || (is_s3(u->target) && strlen(u->target) > strlen("s3a://")))
                        continue;
                struct sv scheme = scheme_of(u->target);
                err_set(err, -ENOTSUP, "Uploading file %s failed...: cannot write to %s: no way to upload to %.*s: places is built in",
                        u->source, u->directory, SV_ARG(scheme));
                err_hint(
                        err,
                        "set spark.kubernetes.file.upload.path to s3a://BUCKET/PATH (S3, MinIO, Ceph and what else speaks like it) or to a file: path that the "
                        "driver mounts too; or put the file into the image (local:///path), or upload it yourself and name its URL");
                return -ENOTSUP;
        }
        return 0;
}

/* ---- to this machine ---- */

struct copying {
        const char *from, *to;
        int64_t total;
        atomic_llong copied;
        atomic_bool stop;
        bool done;
        struct err err;
        const struct upload_options *o;
        const char *name;
};

static int copy_all(struct copying *c, int in, int out, struct err *err) {
        for (;;) {
                if (atomic_load(&c->stop))
                        return err_set(err, -EINTR, "interrupted");
                ssize_t n = sendfile(out, in, NULL, COPY_PIECE);
                if (n < 0)
                        return err_errno(err, -errno, "copying %s to %s", c->from, c->to);
                if (n == 0)
                        return 0;
                atomic_fetch_add(&c->copied, n);
        }
}

static int copy(struct copying *c, struct err *err) {
        AUTO(fd) int in = open(c->from, O_RDONLY | O_CLOEXEC);
        if (in < 0)
                return err_errno(err, -errno, "opening %s", c->from);
        AUTO(fd) int out = open(c->to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (out < 0)
                return err_errno(err, -errno, "creating %s", c->to);
        int r = copy_all(c, in, out, err);
        if (r < 0)
                return r;
        int fd = TAKE_FD(out);
        return close(fd) < 0 ? err_errno(err, -errno, "closing %s", c->to) : 0;
}

static void work_copy(void *arg) {
        struct copying *c = arg;
        if (copy(c, &c->err) < 0 && !c->err.code)
                c->err.code = -EIO;
}

static void on_copied(void *arg) { ((struct copying *)arg)->done = true; }

static void show_copied(void *arg) {
        struct copying *c = arg;
        int64_t copied = atomic_load(&c->copied);
        if (c->o->progress && copied < c->total)
                c->o->progress(c->o->arg, c->name, copied, c->total);
}

static const char *name_of(const struct submission_upload *u) {
        const char *slash = strrchr(u->target, '/');
        return slash ? slash + 1 : u->target;
}

static int64_t size_of(const struct submission_upload *u) {
        struct stat st;
        return stat(u->source, &st) == 0 ? st.st_size : 0;
}

/* A worker copies, so that a large file can be shown and interrupted. */
static int upload_local(const struct submission_upload *u, const char *path, const struct upload_options *o, struct err *err) {
        AUTO(free) char *dir = local_path(u->directory);
        int r = fs_mkdirs(dir, 0755, err);
        if (r < 0)
                return r;
        struct copying c = {.from = u->source, .to = path, .o = o, .name = name_of(u), .total = size_of(u)};
        struct timer *show = timer_new(o->loop, SHOW_EVERY_MS, SHOW_EVERY_MS, show_copied, &c);
        loop_work(o->loop, work_copy, on_copied, &c);
        loop_run_until(o->loop, &c.done);
        while (!c.done) {
                atomic_store(&c.stop, true);
                loop_run_until(o->loop, &c.done);
        }
        timer_free(show);
        return c.err.code ? err_move(err, &c.err) : 0;
}

/* ---- to S3 ---- */

/* One connection to S3, made when the first target asks for it. */
struct store {
        const struct upload_options *o;
        struct map site; /* of core-site.xml */
        struct tls_context *tls;
        char *proxy_url;
        struct objstore *objects;
        const char *name; /* of the file that is on its way */
};

static void store_done(struct store *s) {
        objstore_free(s->objects);
        tls_context_free(s->tls);
        map_done(&s->site);
        free(s->proxy_url);
}
DEFINE_AUTO_VALUE(store, struct store, store_done)

static const char *store_conf(void *arg, const char *key) {
        struct store *s = arg;
        AUTO(free) char *full = xasprintf("spark.hadoop.%s", key);
        const char *value = conf_get(s->o->conf, full);
        return value ? value : map_get(&s->site, key);
}

static const char *store_env(void *arg, const char *name) { return inputs_env(((struct store *)arg)->o->in, name); }

/* <configuration><property><name/><value/></property>...: what Hadoop, and so Spark, would read. */
static int load_site(struct store *s, struct err *err) {
        const char *dir = inputs_env(s->o->in, "HADOOP_CONF_DIR");
        AUTO(free) char *path = dir && *dir ? fs_join(dir, "core-site.xml") : NULL;
        const struct input_file *f = path ? inputs_file(s->o->in, path) : NULL;
        if (!f || !f->has_text)
                return 0;
        AUTO(arena) struct arena a = {0};
        struct xml_node *root;
        int r = xml_parse(str_sv(&f->text), &a, &root, err);
        if (r < 0)
                return err_wrap(err, r, "%s", path);
        xml_foreach(property, root, "property") {
                const char *name = xml_text(property, "name"), *value = xml_text(property, "value");
                if (!name || !value)
                        continue;
                struct sv key = sv_trim(sv_of(name));
                map_set_n(&s->site, key.data, key.len, sv_dup(sv_trim(sv_of(value))));
        }
        return 0;
}

static int load_authorities(struct store *s, struct err *err) {
        const char *file = store_env(s, "AWS_CA_BUNDLE");
        if (!file || !*file)
                return 0;
        AUTO(str) struct str pem = STR_INIT(CA_MAX);
        int r = fs_read(file, CA_MAX, &pem, err);
        if (r >= 0)
                r = tls_client_new(&(struct tls_client_options){.ca_pem = str_sv(&pem)}, &s->tls, err);
        return r < 0 ? err_wrap(err, r, "AWS_CA_BUNDLE") : 0;
}

static void set_proxy(struct store *s) {
        const char *host = store_conf(s, "fs.s3a.proxy.host"), *port = store_conf(s, "fs.s3a.proxy.port");
        const char *user = store_conf(s, "fs.s3a.proxy.username"), *password = store_conf(s, "fs.s3a.proxy.password");
        if (!host || !*host)
                return;
        AUTO(str) struct str url = STR_INIT(0);
        str_append_s(&url, "http://");
        if (user && *user) {
                uri_encode(sv_of(user), false, &url);
                str_append_c(&url, ':');
                uri_encode(sv_of(password ? password : ""), false, &url);
                str_append_c(&url, '@');
        }
        str_appendf(&url, "%s:%s", host, port && *port ? port : "80");
        s->proxy_url = str_take(&url);
}

static int open_store(struct store *s, struct err *err) {
        if (s->objects)
                return 0;
        int r = load_site(s, err);
        if (r >= 0)
                r = load_authorities(s, err);
        if (r < 0)
                return r;
        set_proxy(s);
        s->objects = objstore_new(s->o->loop, &(struct objstore_options){
                .conf = store_conf, .env = store_env, .arg = s, .tls = s->tls, .proxy_url = s->proxy_url});
        return 0;
}

static void on_progress(void *arg, int64_t sent, int64_t total) {
        struct store *s = arg;
        if (s->o->progress && sent < total) /* the end is told when S3 has put the parts together */
                s->o->progress(s->o->arg, s->name, sent, total);
}

static int upload_s3(struct store *s, const struct submission_upload *u, struct err *err) {
        int r = open_store(s, err);
        if (r < 0)
                return r;
        s->name = name_of(u);
        return objstore_upload_wait(s->objects, u->source, u->target, on_progress, s, err);
}

/* ---- the whole ---- */

static void tell(const struct upload_options *o, const char *line) {
        if (o->say)
                o->say(o->arg, line);
}

static int upload_one(struct store *s, const struct submission_upload *u, struct err *err) {
        AUTO(free) char *path = local_path(u->target);
        AUTO(free) char *line = xasprintf("Uploading file: %s to dest: %s...", u->source, u->target);
        if (!s->o->progress)
                tell(s->o, line);
        int r = path ? upload_local(u, path, s->o, err) : upload_s3(s, u, err);
        if (r >= 0 && s->o->progress)
                s->o->progress(s->o->arg, name_of(u), size_of(u), size_of(u));
        return r < 0 && r != -EINTR ? err_wrap(err, r, "Uploading file %s failed...", u->source) : r;
}

static void remove_one(struct store *s, const struct submission_upload *u) {
        AUTO(free) char *path = local_path(u->target);
        AUTO(free) char *dir = local_path(u->directory);
        AUTO(err) struct err why = ERR_INIT;
        int r = 0;
        if (path)
                r = unlink(path) < 0 && errno != ENOENT ? err_errno(&why, -errno, "%s", path) : 0;
        else if ((r = open_store(s, &why)) >= 0)
                r = objstore_delete_wait(s->objects, u->target, &why);
        if (path && r >= 0)
                rmdir(dir); /* holds this file alone; where it does not, it stays */
        if (r < 0) {
                AUTO(free) char *line = xasprintf("could not remove %s again: %s", u->target, err_message(&why));
                tell(s->o, line);
        }
}

static void remove_first(struct store *s, const struct submission_uploads *uploads, size_t count) {
        for (size_t i = 0; i < count; i++)
                remove_one(s, &uploads->list.items[i]);
}

int upload_run(const struct submission_uploads *uploads, const struct upload_options *o, struct err *err) {
        AUTO(store) struct store s = {.o = o, .site = MAP_INIT(free)};
        for (size_t i = 0; i < uploads->list.len; i++) {
                int r = upload_one(&s, &uploads->list.items[i], err);
                if (r >= 0)
                        continue;
                if (!o->keep_on_failure)
                        remove_first(&s, uploads, i + 1);
                return r;
        }
        return 0;
}

void upload_take_back(const struct submission_uploads *uploads, const struct upload_options *o) {
        AUTO(store) struct store s = {.o = o, .site = MAP_INIT(free)};
        remove_first(&s, uploads, uploads->list.len);
}
