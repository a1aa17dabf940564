/* What the tests of this layer share: a directory of their own, and tars made entry by entry. */
#ifndef FIRESTEEL_TEST_OCI_FIXTURE_H
#define FIRESTEEL_TEST_OCI_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/fs.h"
#include "oci/tar.h"

#define ok(call)                                                                                                                           \
        do {                                                                                                                               \
                struct err why_ = ERR_INIT;                                                                                                \
                struct err *err = &why_;                                                                                                   \
                if ((call) < 0)                                                                                                            \
                        fail_msg("%s: %s", #call, err_message(err));                                                                       \
                err_done(&why_);                                                                                                           \
        } while (0)

static inline char *temporary_directory(void) {
        const char *base = getenv("TMPDIR");
        char *path = xasprintf("%s/firesteel-oci-XXXXXX", base && *base ? base : "/tmp");
        assert_non_null(mkdtemp(path));
        return path;
}

/* One header and its data. type: as in the tar. */
static inline void tar_add(struct str *out, char type, const char *name, const char *target, unsigned mode, struct sv data) {
        char h[512] = {0};
        unsigned sum = 0;
        snprintf(h, 100, "%s", name);
        snprintf(h + 100, 8, "%07o", mode);
        snprintf(h + 108, 8, "%07o", (unsigned)getuid());
        snprintf(h + 116, 8, "%07o", (unsigned)getgid());
        snprintf(h + 124, 12, "%011o", (unsigned)data.len);
        snprintf(h + 136, 12, "%011o", 1700000000U);
        memset(h + 148, ' ', 8);
        h[156] = type;
        if (target)
                snprintf(h + 157, 100, "%s", target);
        memcpy(h + 257, "ustar\00000", 8);
        for (size_t i = 0; i < sizeof h; i++)
                sum += (unsigned char)h[i];
        snprintf(h + 148, 8, "%06o", sum);
        str_append(out, h, sizeof h);
        str_append_sv(out, data);
        while (out->len % 512)
                str_append_c(out, '\0');
}

static inline void tar_end(struct str *out) {
        char zeros[1024] = {0};
        str_append(out, zeros, sizeof zeros);
}

struct memory {
        struct sv rest;
        size_t step; /* bytes a read gives at most */
};
static inline ssize_t memory_read(void *arg, void *buf, size_t cap, struct err *err) {
        struct memory *m = arg;
        size_t n = m->rest.len < cap ? m->rest.len : cap;
        if (m->step && n > m->step)
                n = m->step;
        memcpy(buf, m->rest.data, n);
        m->rest = sv_new(m->rest.data + n, m->rest.len - n);
        return (ssize_t)n;
}

#endif
