/* What the tests of this layer share: a directory of their own for each test, open as a log store, and logs that a real PySpark has
 * written. */
#ifndef FIRESTEEL_TEST_HISTORY_FIXTURE_H
#define FIRESTEEL_TEST_HISTORY_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>

#include "base/fs.h"
#include "history/logstore.h"
#include "unit/test.h"

#define RECORDED TEST_DATA "/history/recorded.tar.xz"

static char *dir;
static struct logstore *store; /* of dir */

static inline int make_dir(void **state UNUSED) {
        char template[] = "/tmp/test-history-XXXXXX";
        AUTO(err) struct err err = ERR_INIT;
        if (!mkdtemp(template))
                return -errno;
        dir = xstrdup(template);
        return logstore_open(dir, NULL, &store, &err);
}

static inline int remove_dir(void **state UNUSED) {
        AUTO(err) struct err err = ERR_INIT;
        logstore_free(TAKE(store));
        int r = fs_remove_tree(dir, &err);
        free(TAKE(dir));
        return r;
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

/* Writes a file of the directory, with the directories above it; `again`: behind what it has. */
static inline void put(const char *name, struct sv data, bool again) {
        AUTO(free) char *path = xasprintf("%s/%s", dir, name), *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
        AUTO(err) struct err err = ERR_INIT;
        assert_true(fs_mkdirs(parent, 0700, &err) >= 0);
        AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (again ? O_APPEND : O_TRUNC), 0600);
        assert_true(fd >= 0);
        assert_int_equal(fs_write_all(fd, data.data, data.len), 0);
}

/* Appends a recording. Each is unpacked once: that takes longer than what is tested with it. */
static inline void recorded(const char *name, struct str *ret) {
        static struct {
                const char *name;
                struct str log;
        } known[8];
        size_t at = 0;
        while (at < ARRAY_LEN(known) && known[at].name && !streq(known[at].name, name))
                at++;
        assert_true(at < ARRAY_LEN(known));
        if (known[at].name) {
                str_append_sv(ret, str_sv(&known[at].log));
                return;
        }
        struct str *log = &known[at].log;
        *log = STR_INIT(0);
        AUTO(free) char *command = xasprintf("tar xJOf %s captured41/spark-events/%s", RECORDED, name);
        FILE *f = popen(command, "r");
        char buffer[65536];
        size_t n;
        assert_non_null(f);
        while ((n = fread(buffer, 1, sizeof(buffer), f)) > 0)
                str_append(log, buffer, n);
        assert_int_equal(pclose(f), 0);
        assert_true(log->len > 10000);
        known[at].name = name;
        str_append_sv(ret, str_sv(log));
}

#endif
