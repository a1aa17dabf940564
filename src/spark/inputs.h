/* What a submission sees of the machine it is made from: environment, working directory, user, files. The caller gathers it
 * (submit/gather.h) and hands it in, so that everything in this layer is a function of its arguments.
 *
 * Files are known by their absolute path. A file nobody gathered counts as absent for its content, and its canonical path is worked out
 * textually: callers without local files (the operator) leave the maps empty. */
#ifndef FIRESTEEL_SPARK_INPUTS_H
#define FIRESTEEL_SPARK_INPUTS_H

#include "base/err.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"

enum input_kind { INPUT_ABSENT, INPUT_FILE, INPUT_DIRECTORY, INPUT_OTHER };

struct input_file {
        enum input_kind kind;
        char *canonical;    /* links resolved; NULL = the path itself */
        int64_t size;
        bool has_text;      /* content was asked for and read */
        struct str text;    /* the content, or its beginning (INPUT_WANT_HEAD) */
        int error;          /* negative errno of reading it; 0 = none */
        struct strv names;  /* of a directory: what is in it, sorted */
};

struct submission_inputs {
        struct map env;   /* name -> text */
        char *cwd;        /* absolute */
        char *user;       /* login name */
        struct strv file_systems; /* schemes that the imitated installation can look into; empty = any */
        struct map files; /* absolute path -> struct input_file * */
        struct map globs; /* absolute pattern -> struct strv * of matching regular files, sorted */
};

void submission_inputs_init(struct submission_inputs *in);
void submission_inputs_done(struct submission_inputs *in);
DEFINE_AUTO_VALUE(submission_inputs, struct submission_inputs, submission_inputs_done)

const char *inputs_env(const struct submission_inputs *in, const char *name);
void inputs_set_env(struct submission_inputs *in, const char *name, const char *value);
/* Takes a path relative to the working directory too; NULL when it was not gathered. */
const struct input_file *inputs_file(const struct submission_inputs *in, const char *path);
/* Finds or adds; `path` must be absolute. */
struct input_file *inputs_add_file(struct submission_inputs *in, const char *path);
/* The absolute path: joined to the working directory, with single slashes and none at its end, as java.io.File has it. */
char *inputs_absolute(const struct submission_inputs *in, const char *path);
/* `.`, `..`, double and trailing slashes taken out. */
char *path_normalise(const char *path);
/* The whole content as UTF-8 text. Bytes that are not: an error when `strict`, else patched. -ENOENT, -EISDIR, ... name `what` and the
 * path. */
MUST_USE int inputs_text(const struct submission_inputs *in, const char *path, const char *what, bool strict, struct str *ret,
                         struct err *err);

/* What has to be gathered before submission_prepare() and submission_build(). */
enum input_want {
        INPUT_WANT_STAT,       /* kind, size, canonical path */
        INPUT_WANT_TEXT,       /* and the content */
        INPUT_WANT_HEAD,       /* and the first INPUT_HEAD_MAX bytes */
        INPUT_WANT_DIRECTORY,  /* and the names in it, with the content of its regular files */
        INPUT_WANT_GLOB,       /* regular files matching a pattern */
};
enum {
        INPUT_TEXT_MAX = 16 * 1024 * 1024,
        INPUT_HEAD_MAX = 256 * 1024,
        INPUT_DIRECTORY_MAX = 4096, /* names */
};
struct input_wants {
        VEC(struct {
                enum input_want want;
                char *path; /* absolute */
        }) list;
};
void input_wants_done(struct input_wants *w);
DEFINE_AUTO_VALUE(input_wants, struct input_wants, input_wants_done)
void input_wants_add(struct input_wants *w, const struct submission_inputs *in, enum input_want want, const char *path);

#endif
