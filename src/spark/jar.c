#include "spark/jar.h"

#include <zlib.h>

enum { LOCAL_HEADER_SIZE = 30, METHOD_STORED = 0, METHOD_DEFLATED = 8, FLAG_ENCRYPTED = 1, FLAG_SIZES_FOLLOW = 8 };

static unsigned le16(const char *p) { return (unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8; }
static uint32_t le32(const char *p) { return le16(p) | (uint32_t)le16(p + 2) << 16; }

struct entry {
        struct sv name;
        unsigned flags, method;
        uint32_t compressed;
        struct sv data; /* all that follows the header */
};

static bool read_entry(struct sv zip, struct entry *e) {
        if (zip.len < LOCAL_HEADER_SIZE || memcmp(zip.data, "PK\3\4", 4) != 0)
                return false;
        e->flags = le16(zip.data + 6);
        e->method = le16(zip.data + 8);
        e->compressed = le32(zip.data + 18);
        size_t name = le16(zip.data + 26), extra = le16(zip.data + 28);
        if (zip.len - LOCAL_HEADER_SIZE < name + extra)
                return false;
        e->name = sv_new(zip.data + LOCAL_HEADER_SIZE, name);
        e->data = sv_new(zip.data + LOCAL_HEADER_SIZE + name + extra, zip.len - LOCAL_HEADER_SIZE - name - extra);
        return true;
}

static int inflate_entry(const struct entry *e, struct str *out, struct err *err) {
        if (e->flags & FLAG_ENCRYPTED)
                return err_set(err, -EINVAL, "its manifest is encrypted");
        if (e->method == METHOD_STORED) {
                if ((e->flags & FLAG_SIZES_FOLLOW) || e->compressed > e->data.len)
                        return err_set(err, -EINVAL, "its manifest is cut off");
                str_append(out, e->data.data, e->compressed);
                return 0;
        }
        if (e->method != METHOD_DEFLATED)
                return err_set(err, -EINVAL, "its manifest is packed by method %u, which jars do not use", e->method);
        z_stream z = {.next_in = (unsigned char *)e->data.data, .avail_in = (unsigned)e->data.len};
        if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
                return err_set(err, -ENOMEM, "zlib does not start");
        int status = Z_OK;
        while (status == Z_OK && !str_overflowed(out)) {
                unsigned char chunk[4096];
                z.next_out = chunk;
                z.avail_out = sizeof(chunk);
                status = inflate(&z, Z_NO_FLUSH);
                str_append(out, chunk, sizeof(chunk) - z.avail_out);
                if (status == Z_OK && z.avail_in == 0 && z.avail_out)
                        status = Z_BUF_ERROR;
        }
        inflateEnd(&z);
        if (str_overflowed(out))
                return err_set(err, -EFBIG, "its manifest is larger than %d bytes", JAR_MANIFEST_MAX);
        return status == Z_STREAM_END ? 0 : err_set(err, -EINVAL, "its manifest is damaged");
}

/* The value of an attribute of the main section, which ends at the first empty line; lines that begin with a blank continue the one before.
 */
static char *attribute(struct sv manifest, struct sv wanted) {
        struct str value = STR_INIT(0);
        bool inside = false, found = false;
        struct sv rest = manifest, line;
        while (sv_split(&rest, '\n', &line)) {
                if (line.len && line.data[line.len - 1] == '\r')
                        line.len--;
                if (line.len == 0)
                        break;
                if (line.data[0] == ' ') {
                        if (inside)
                                str_append(&value, line.data + 1, line.len - 1);
                        continue;
                }
                ssize_t colon = sv_find_char(line, ':');
                inside = colon >= 0 && sv_ieq(sv_new(line.data, (size_t)colon), wanted);
                if (!inside)
                        continue;
                found = true;
                str_clear(&value);
                struct sv text = sv_new(line.data + colon + 1, line.len - (size_t)colon - 1);
                if (text.len && text.data[0] == ' ')
                        text = sv_new(text.data + 1, text.len - 1);
                str_append_sv(&value, text);
        }
        if (found)
                return str_take(&value);
        str_done(&value);
        return NULL;
}

int jar_main_class(struct sv head, char **ret, struct err *err) {
        struct entry e;
        if (!read_entry(head, &e))
                return err_set(err, -EINVAL, "it is not a jar file");
        if (sv_ieq(e.name, SV("META-INF/"))) {
                /* Directories are empty; a deflated empty entry takes two bytes, and a descriptor may follow. */
                struct sv next = e.data;
                size_t skip = (e.flags & FLAG_SIZES_FOLLOW) ? (e.method == METHOD_DEFLATED ? 2 : 0) : e.compressed;
                if (skip > next.len)
                        return err_set(err, -EINVAL, "it is cut off");
                next = sv_new(next.data + skip, next.len - skip);
                if (e.flags & FLAG_SIZES_FOLLOW) {
                        size_t descriptor = next.len >= 4 && memcmp(next.data, "PK\7\10", 4) == 0 ? 16 : 12;
                        if (descriptor > next.len)
                                return err_set(err, -EINVAL, "it is cut off");
                        next = sv_new(next.data + descriptor, next.len - descriptor);
                }
                if (!read_entry(next, &e))
                        return err_set(err, -EINVAL, "it has no manifest");
        }
        if (!sv_ieq(e.name, SV("META-INF/MANIFEST.MF")))
                return err_set(err, -EINVAL, "its manifest is not the first entry");
        AUTO(str) struct str manifest = STR_INIT(JAR_MANIFEST_MAX);
        int r = inflate_entry(&e, &manifest, err);
        if (r < 0)
                return r;
        *ret = attribute(str_sv(&manifest), SV("Main-Class"));
        return 0;
}
