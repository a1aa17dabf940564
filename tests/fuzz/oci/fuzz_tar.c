/* A layer: decompressed, its entries read, half of their data read and half skipped, names cleaned. */
#include "oci/tar.h"
#include "oci/unpack.h"
#include "oci/unstream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
        const uint8_t *at;
        size_t left;
};

static ssize_t from_memory(void *arg, void *buf, size_t cap, struct err *err) {
        struct input *in = arg;
        size_t n = in->left < cap ? in->left : cap;
        memcpy(buf, in->at, n);
        in->at += n;
        in->left -= n;
        return (ssize_t)n;
}

static ssize_t from_unstream(void *arg, void *buf, size_t cap, struct err *err) { return unstream_read(arg, buf, cap, err); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct input in = {data, size};
        AUTO(unstream) struct unstream *u = unstream_new(from_memory, &in, 1 << 20);
        AUTO(tar) struct tar *t = tar_new(from_unstream, u);
        const struct tar_entry *e = NULL;
        size_t count = 0;
        while (tar_next(t, &e, NULL) > 0) {
                AUTO(free) char *path = unpack_clean_path(e->name);
                if (!e->name[0] || (path && (path[0] == '/' || strstr(path, "//"))))
                        abort();
                if ((e->type == TAR_SYMLINK || e->type == TAR_HARDLINK) != (e->target != NULL))
                        abort();
                char buf[777];
                int64_t have = 0;
                for (ssize_t n; count % 2 && (n = tar_read(t, buf, sizeof buf, NULL)) > 0;)
                        have += n;
                if (have > e->size)
                        abort();
                count++;
        }
        return 0;
}
