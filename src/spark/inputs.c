#include "spark/inputs.h"

#include <stdio.h>

#include "spark/text.h"

static void file_free(void *p) {
        struct input_file *f = p;
        free(f->canonical);
        str_done(&f->text);
        strv_done(&f->names);
        free(f);
}

static void strv_free(void *p) {
        strv_done(p);
        free(p);
}

void submission_inputs_init(struct submission_inputs *in) {
        *in = (struct submission_inputs){.env = MAP_INIT(free), .files = MAP_INIT(file_free), .globs = MAP_INIT(strv_free)};
}

void submission_inputs_done(struct submission_inputs *in) {
        map_done(&in->env);
        map_done(&in->files);
        map_done(&in->globs);
        strv_done(&in->file_systems);
        free(in->cwd);
        free(in->user);
}

const char *inputs_env(const struct submission_inputs *in, const char *name) { return map_get(&in->env, name); }

void inputs_set_env(struct submission_inputs *in, const char *name, const char *value) { map_set(&in->env, name, xstrdup(value)); }

char *inputs_absolute(const struct submission_inputs *in, const char *path) {
        char *absolute = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", in->cwd && !streq(in->cwd, "/") ? in->cwd : "", path);
        char *to = absolute;
        for (const char *from = absolute; *from; from++)
                if (*from != '/' || from == absolute || to[-1] != '/')
                        *to++ = *from;
        if (to - absolute > 1 && to[-1] == '/')
                to--;
        *to = 0;
        return absolute;
}

const struct input_file *inputs_file(const struct submission_inputs *in, const char *path) {
        AUTO(free) char *absolute = inputs_absolute(in, path);
        return map_get(&in->files, absolute);
}

struct input_file *inputs_add_file(struct submission_inputs *in, const char *path) {
        struct input_file *f = map_get(&in->files, path);
        if (!f) {
                f = NEW(struct input_file);
                map_set(&in->files, path, f);
        }
        return f;
}

char *path_normalise(const char *path) {
        struct str out = STR_INIT(0);
        for (const char *p = path; *p;) {
                while (*p == '/')
                        p++;
                size_t n = strcspn(p, "/");
                if (n == 2 && p[0] == '.' && p[1] == '.') {
                        while (out.len && out.data[out.len - 1] != '/')
                                str_truncate(&out, out.len - 1);
                        if (out.len)
                                str_truncate(&out, out.len - 1);
                } else if (n && !(n == 1 && p[0] == '.')) {
                        str_append_c(&out, '/');
                        str_append(&out, p, n);
                }
                p += n;
        }
        if (out.len == 0)
                str_append_c(&out, '/');
        return str_take(&out);
}

int inputs_text(const struct submission_inputs *in, const char *path, const char *what, bool strict, struct str *ret, struct err *err) {
        const struct input_file *f = inputs_file(in, path);
        if (!f || f->kind == INPUT_ABSENT)
                return err_set(err, -ENOENT, "%s: %s (No such file or directory)", what, path);
        if (f->kind == INPUT_DIRECTORY)
                return err_set(err, -EISDIR, "%s: %s (Is a directory)", what, path);
        if (f->error || !f->has_text)
                return err_errno(err, f->error ? f->error : -EIO, "%s: %s", what, path);
        struct sv text = str_sv(&f->text);
        if (sv_is_utf8(text)) {
                str_append_sv(ret, text);
                return 0;
        }
        if (strict)
                return err_set(err, -EILSEQ, "%s: %s is not UTF-8 text", what, path);
        str_append_as_utf8(ret, text);
        return 0;
}

void input_wants_done(struct input_wants *w) {
        vec_foreach(p, &w->list) free(p->path);
        vec_done(&w->list);
}

void input_wants_add(struct input_wants *w, const struct submission_inputs *in, enum input_want want, const char *path) {
        char *absolute = inputs_absolute(in, path);
        __typeof__(w->list.items) item = vec_push(&w->list);
        item->want = want;
        item->path = absolute;
}
