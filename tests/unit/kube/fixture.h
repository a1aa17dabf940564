/* What the tests of this layer share: a directory of their own, an error to fill, and errors shown on failure. */
#ifndef FIRESTEEL_TEST_KUBE_FIXTURE_H
#define FIRESTEEL_TEST_KUBE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fs.h"

static struct err test_err_;

static inline struct err *test_err(void) {
        err_clear(&test_err_);
        return &test_err_;
}

#define ok(call)                                                                                   \
        do {                                                                                       \
                int r_ = (call);                                                                   \
                if (r_ < 0)                                                                        \
                        fail_msg("%s: %d %s", #call, r_, err_message(&test_err_));                 \
        } while (0)

static inline const char *tmp_dir(void *state) { return state; }

static inline int make_dir(void **state) {
        char *dir = xstrdup("/tmp/firesteel-test-XXXXXX");
        if (!mkdtemp(dir))
                return -1;
        *state = dir;
        unsetenv("KUBECONFIG");
        unsetenv("KUBERNETES_SERVICE_HOST");
        unsetenv("KUBERNETES_SERVICE_PORT");
        unsetenv("POD_NAMESPACE");
        return 0;
}

static inline int drop_dir(void **state) {
        int r = fs_remove_tree(*state, NULL);
        free(*state);
        err_done(&test_err_);
        return r;
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, drop_dir)

/* DIR/name with that text, its directories made; the path is the caller's. */
static inline char *write_file(void *state, const char *name, const char *text) {
        char *path = fs_join(tmp_dir(state), name);
        AUTO(free) char *dir = xstrdup(path);
        *strrchr(dir, '/') = '\0';
        ok(fs_mkdirs(dir, 0700, test_err()));
        ok(fs_write(path, sv_of(text), 0600, test_err()));
        return path;
}

static inline char *read_text(const char *path) {
        AUTO(str) struct str text = STR_INIT(0);
        ok(fs_read(path, 0, &text, test_err()));
        return str_take(&text);
}

#endif
