/* Feeds recorded cases to the pure builder: a line of JSON in, a line of JSON out. Nothing is read from the machine: arguments, environment
 * and files are the case's. compare.py drives it. */
#include <fnmatch.h>
#include <stdio.h>

#include "codec/base64.h"
#include "spark/submission.h"

static const char cwd[] = "/home/user/job";

static void add_file(struct submission_inputs *in, const char *relative, struct sv content) {
        AUTO(free) char *path = xasprintf("%s/%s", cwd, relative);
        struct input_file *f = inputs_add_file(in, path);
        f->kind = INPUT_FILE;
        f->size = (int64_t)content.len;
        f->has_text = true;
        str_append_sv(&f->text, content);
        for (char *slash = strrchr(path, '/'); slash && slash - path >= (ptrdiff_t)strlen(cwd); slash = strrchr(path, '/')) {
                *slash = 0;
                struct input_file *dir = inputs_add_file(in, path);
                dir->kind = INPUT_DIRECTORY;
                if (!strv_has(&dir->names, slash + 1))
                        strv_add(&dir->names, slash + 1);
                strv_sort(&dir->names);
        }
}

static void read_case(yyjson_val *c, struct submission_inputs *in) {
        yyjson_val *key, *value;
        size_t i, n;
        in->cwd = xstrdup(cwd);
        in->user = xstrdup("user");
        yyjson_obj_foreach(yyjson_obj_get(c, "env"), i, n, key, value) inputs_set_env(in, yyjson_get_str(key), yyjson_get_str(value));
        yyjson_obj_foreach(yyjson_obj_get(c, "files"), i, n, key, value)
                add_file(in, yyjson_get_str(key), sv_new(yyjson_get_str(value), yyjson_get_len(value)));
        yyjson_obj_foreach(yyjson_obj_get(c, "binfiles"), i, n, key, value) {
                AUTO(str) struct str bytes = STR_INIT(0);
                if (base64_decode(sv_new(yyjson_get_str(value), yyjson_get_len(value)), &bytes) < 0)
                        abort();
                add_file(in, yyjson_get_str(key), str_sv(&bytes));
        }
}

static void answer_globs(struct submission_inputs *in, const struct input_wants *wants) {
        vec_foreach(w, &wants->list) {
                if (w->want != INPUT_WANT_GLOB || map_has(&in->globs, w->path))
                        continue;
                struct strv *found = NEW(struct strv);
                map_foreach(e, &in->files) {
                        const struct input_file *f = e->value;
                        if (f->kind == INPUT_FILE && fnmatch(w->path, e->key, FNM_PATHNAME) == 0)
                                strv_add(found, e->key);
                }
                strv_sort(found);
                map_set(&in->globs, w->path, found);
        }
}

static int build(yyjson_val *c, struct submission **ret, struct err *err) {
        AUTO(submission_inputs) struct submission_inputs in;
        AUTO(submit_args) struct submit_args args;
        AUTO(spark_conf) struct spark_conf conf;
        AUTO(submission_app) struct submission_app app = {0};
        AUTO(input_wants) struct input_wants wants = {0};
        AUTO(strv) struct strv argv = {0};
        struct spark_version version = spark_version_newest();
        yyjson_val *arg;
        size_t i, n;
        submission_inputs_init(&in);
        int r = spark_version_parse(sv_of(json_get_str(c, "version")), &version, err);
        spark_conf_init(&conf, version);
        submit_args_init(&args, version.line);
        if (r < 0)
                return r;
        read_case(c, &in);
        yyjson_arr_foreach(yyjson_obj_get(c, "argv"), i, n, arg) strv_add(&argv, yyjson_get_str(arg));
        r = submit_args_parse(&args, (int)argv.len, argv.items, err);
        if (r >= 0)
                r = submission_merge_properties(&args, &in, err);
        if (r >= 0)
                r = submit_args_finish(&args, &in.env, err);
        if (r >= 0 && args.action != SUBMIT_ACTION_SUBMIT)
                return err_set(err, -ENOTSUP, "not a submission");
        if (r < 0)
                return r;
        submission_wants(&args, &in, &wants);
        answer_globs(&in, &wants);
        r = submission_prepare(&args, &in, &conf, &app, err);
        struct submission_request q = {.conf = &conf, .app = &app, .in = &in, .ids = {.seed = {1, 2}, .now_ms = 1767323045678}};
        return r < 0 ? r : submission_build(&q, ret, err);
}

static void print_submission(struct submission *s) {
        submission_set_owner(s, "00000000-0000-4000-8000-000000000001");
        AUTO(mjson) yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        yyjson_mut_val *root = yyjson_mut_obj(doc), *objects = mjson_arr(doc, root, "objects"), *uploads = mjson_arr(doc, root, "uploads");
        yyjson_mut_arr_append(objects, yyjson_mut_val_mut_copy(doc, s->pod));
        vec_foreach(o, &s->resources) yyjson_mut_arr_append(objects, yyjson_mut_val_mut_copy(doc, o->body));
        vec_foreach(u, &s->uploads.list) {
                mjson_add_str(doc, uploads, u->source);
                mjson_add_str(doc, uploads, u->target);
        }
        AUTO(free) char *text = mjson_write(root, false, NULL);
        puts(text);
}

int main(void) {
        char *line = NULL;
        size_t cap = 0;
        ssize_t len;
        while ((len = getline(&line, &cap, stdin)) > 0) {
                AUTO(json) yyjson_doc *doc = NULL;
                AUTO(err) struct err err = ERR_INIT;
                AUTO(submission) struct submission *s = NULL;
                int r = json_parse(sv_new(line, (size_t)len), &doc, &err);
                if (r >= 0)
                        r = build(yyjson_doc_get_root(doc), &s, &err);
                if (r < 0) {
                        AUTO(str) struct str out = STR_INIT(0);
                        json_append_quoted(&out, sv_of(err_message(&err)));
                        printf("{\"error\":%s}\n", str_cstr(&out));
                } else {
                        print_submission(s);
                }
                fflush(stdout);
        }
        free(line);
        return 0;
}
