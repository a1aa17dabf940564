#include "history/zipstream.h"

#include <zlib.h>

#include "codec/ktime.h"

struct member {
        struct logstore *store;
        char *path; /* in the store; NULL: a folder of its own */
        char *etag;
        char *name; /* in the archive */
        int64_t mtime_ms;
        uint64_t size, packed, offset;
        uint32_t crc;
        bool is_packed_already;
};

struct zipstream {
        VEC(struct member) members;
        size_t at; /* the member under way */
        struct logstore_file *file;
        z_stream deflate;
        bool deflating, finished;
        uint64_t written;
        char *buffer;
};

enum { PIECE = 1 << 20, FLAG_DESCRIPTOR_UTF8 = 0x0808, VERSION_ZIP64 = 45, METHOD_STORED = 0, METHOD_DEFLATED = 8 };

struct zipstream *zipstream_new(void) {
        struct zipstream *z = NEW(struct zipstream);
        z->buffer = xmalloc(PIECE);
        return z;
}

void zipstream_free(struct zipstream *z) {
        if (!z)
                return;
        if (z->deflating)
                deflateEnd(&z->deflate);
        logstore_file_close(z->file);
        vec_foreach(m, &z->members) {
                free(m->path);
                free(m->etag);
                free(m->name);
        }
        vec_done(&z->members);
        free(z->buffer);
        free(z);
}

static void add_member(struct zipstream *z, struct logstore *s, char *path, char *name, const char *etag, int64_t mtime_ns) {
        /* What a codec has packed is only wrapped; text is worth deflating. */
        const char *const packed[] = {".zstd", ".lz4", ".snappy", ".lzf"};
        struct member m = {.store = s, .path = path, .name = name, .etag = xstrdup_null(etag), .mtime_ms = mtime_ns / 1000000};
        for (size_t i = 0; i < ARRAY_LEN(packed); i++)
                m.is_packed_already = m.is_packed_already || strstr(name, packed[i]);
        *vec_push(&z->members) = m;
}

int zipstream_add(struct zipstream *z, struct logstore *s, const char *log, bool is_dir, struct err *err) {
        AUTO(logstore_entry) struct logstore_entry e = {0};
        if (!is_dir) {
                int r = logstore_stat(s, log, &e, err);
                if (r >= 0)
                        add_member(z, s, xstrdup(log), xstrdup(log), e.etag, e.mtime_ns);
                return r;
        }
        AUTO(logstore_list) struct logstore_list list = {0};
        int r = logstore_list(s, log, "", &list, err);
        if (r < 0)
                return r;
        add_member(z, s, NULL, xasprintf("%s/", log), NULL, 0);
        vec_foreach(i, &list.entries) {
                if (!i->is_dir && !(i->name[0] == '.' && str_ends(i->name, ".crc")))
                        add_member(z, s, xasprintf("%s/%s", log, i->name), xasprintf("%s/%s", log, i->name), i->etag, i->mtime_ns);
        }
        return 0;
}

static void put(struct str *s, uint64_t v, size_t bytes) {
        for (size_t i = 0; i < bytes; i++)
                str_append_c(s, (char)(v >> (8 * i)));
}

static uint32_t dos_time(int64_t ms) {
        int year, month, day, hour, minute, second, weekday;
        ktime_to_civil(ms / 1000, &year, &month, &day, &hour, &minute, &second, &weekday);
        if (year < 1980 || year > 2107)
                return 1u << 21 | 1u << 16; /* 1980-01-01 */
        return (uint32_t)(year - 1980) << 25 | (uint32_t)month << 21 | (uint32_t)day << 16 | (uint32_t)hour << 11 | (uint32_t)minute << 5 |
               (uint32_t)second / 2;
}

static void local_header(struct zipstream *z, struct member *m, struct str *out) {
        size_t before = out->len;
        m->offset = z->written;
        put(out, 0x04034b50, 4);
        put(out, VERSION_ZIP64, 2);
        put(out, m->path ? FLAG_DESCRIPTOR_UTF8 : 0x0800, 2);
        put(out, m->path ? METHOD_DEFLATED : METHOD_STORED, 2);
        put(out, dos_time(m->mtime_ms), 4);
        put(out, 0, 4);
        /* Sizes follow behind the data; the zip64 field announces that they have eight bytes. */
        put(out, m->path ? 0xffffffff : 0, 4);
        put(out, m->path ? 0xffffffff : 0, 4);
        put(out, strlen(m->name), 2);
        put(out, m->path ? 20 : 0, 2);
        str_append_s(out, m->name);
        if (m->path) {
                put(out, 1, 2);
                put(out, 16, 2);
                put(out, 0, 8);
                put(out, 0, 8);
        }
        z->written += out->len - before;
}

static void descriptor(struct zipstream *z, const struct member *m, struct str *out) {
        put(out, 0x08074b50, 4);
        put(out, m->crc, 4);
        put(out, m->packed, 8);
        put(out, m->size, 8);
        z->written += 24;
}

static void central_directory(struct zipstream *z, struct str *out) {
        size_t before = out->len;
        uint64_t start = z->written;
        vec_foreach(m, &z->members) {
                put(out, 0x02014b50, 4);
                put(out, VERSION_ZIP64, 2);
                put(out, VERSION_ZIP64, 2);
                put(out, m->path ? FLAG_DESCRIPTOR_UTF8 : 0x0800, 2);
                put(out, m->path ? METHOD_DEFLATED : METHOD_STORED, 2);
                put(out, dos_time(m->mtime_ms), 4);
                put(out, m->crc, 4);
                put(out, 0xffffffff, 4);
                put(out, 0xffffffff, 4);
                put(out, strlen(m->name), 2);
                put(out, 28, 2);
                put(out, 0, 2);
                put(out, 0, 2);
                put(out, 0, 2);
                put(out, m->path ? 0 : 0x10, 4);
                put(out, 0xffffffff, 4);
                str_append_s(out, m->name);
                put(out, 1, 2);
                put(out, 24, 2);
                put(out, m->size, 8);
                put(out, m->packed, 8);
                put(out, m->offset, 8);
        }
        uint64_t size = out->len - before, end = start + size, count = z->members.len;
        put(out, 0x06064b50, 4);
        put(out, 44, 8);
        put(out, VERSION_ZIP64, 2);
        put(out, VERSION_ZIP64, 2);
        put(out, 0, 4);
        put(out, 0, 4);
        put(out, count, 8);
        put(out, count, 8);
        put(out, size, 8);
        put(out, start, 8);
        put(out, 0x07064b50, 4);
        put(out, 0, 4);
        put(out, end, 8);
        put(out, 1, 4);
        put(out, 0x06054b50, 4);
        put(out, 0, 4);
        put(out, count < 0xffff ? count : 0xffff, 2);
        put(out, count < 0xffff ? count : 0xffff, 2);
        put(out, size < 0xffffffff ? size : 0xffffffff, 4);
        put(out, 0xffffffff, 4);
        put(out, 0, 2);
}

static int begin_member(struct zipstream *z, struct member *m, struct str *out, struct err *err) {
        if (m->path) {
                int r = logstore_file_open(m->store, m->path, m->etag, &z->file, err);
                if (r < 0)
                        return r;
                z->deflate = (z_stream){0};
                if (deflateInit2(&z->deflate, m->is_packed_already ? 0 : 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
                        return err_set(err, -ENOMEM, "deflate");
                z->deflating = true;
        }
        local_header(z, m, out);
        if (!m->path)
                z->at++;
        return 0;
}

/* Deflates what was read (nothing: the end) behind `out`. */
static void pack(struct zipstream *z, struct member *m, size_t n, struct str *out) {
        size_t before = out->len;
        z->deflate.next_in = (Bytef *)z->buffer;
        z->deflate.avail_in = (uInt)n;
        int r;
        do {
                str_reserve(out, 64 * 1024);
                z->deflate.next_out = (Bytef *)out->data + out->len;
                z->deflate.avail_out = 64 * 1024;
                r = deflate(&z->deflate, n ? Z_NO_FLUSH : Z_FINISH);
                str_truncate(out, out->len); /* keeps the terminator where it belongs */
                out->len += 64 * 1024 - z->deflate.avail_out;
        } while (n ? z->deflate.avail_out == 0 : r == Z_OK);
        out->data[out->len] = 0;
        m->packed += out->len - before;
        z->written += out->len - before;
}

static int continue_member(struct zipstream *z, struct member *m, struct str *out, struct err *err) {
        ssize_t n = logstore_file_read(z->file, (int64_t)m->size, z->buffer, PIECE, err);
        if (n < 0)
                return (int)n;
        m->crc = (uint32_t)crc32(m->crc, (const Bytef *)z->buffer, (uInt)n);
        m->size += (uint64_t)n;
        pack(z, m, (size_t)n, out);
        if (n > 0)
                return 0;
        deflateEnd(&z->deflate);
        z->deflating = false;
        logstore_file_close(TAKE(z->file));
        descriptor(z, m, out);
        z->at++;
        return 0;
}

int zipstream_next(struct zipstream *z, struct str *out, struct err *err) {
        if (z->finished)
                return 0;
        if (z->at == z->members.len) {
                central_directory(z, out);
                z->finished = true;
                return 1;
        }
        struct member *m = &z->members.items[z->at];
        int r = z->file ? continue_member(z, m, out, err) : begin_member(z, m, out, err);
        return r < 0 ? err_wrap(err, r, "%s", m->name) : 1;
}
