#include "oci/tar.h"

#include <stdio.h>

enum { BLOCK = 512 };

/* Offsets of a header's fields. */
enum {
        AT_NAME = 0,
        AT_MODE = 100,
        AT_UID = 108,
        AT_GID = 116,
        AT_SIZE = 124,
        AT_MTIME = 136,
        AT_SUM = 148,
        AT_TYPE = 156,
        AT_LINK = 157,
        AT_MAGIC = 257,
        AT_MAJOR = 329,
        AT_MINOR = 337,
        AT_PREFIX = 345,
        LEN_NAME = 100,
        LEN_ID = 8,
        LEN_SIZE = 12,
        LEN_PREFIX = 155,
        LEN_SUM = 8
};

/* What pax headers and GNU's long names say about the entry after them. */
struct pending {
        char *name, *target;
        int64_t size, uid, gid, mtime_s; /* -1: not told */
        bool has_mtime;
        VEC(struct tar_xattr) xattrs;
};

struct tar {
        ssize_t (*read)(void *arg, void *buf, size_t cap, struct err *err);
        void *arg;
        struct tar_entry entry;
        struct pending global, local;
        uint64_t offset;
        uint64_t left, padding; /* of the current entry's data */
        bool at_end;
};

static void xattr_done(struct tar_xattr *x) {
        free(x->name);
        str_done(&x->value);
}

static void entry_done(struct tar_entry *e) {
        free(e->name);
        free(e->target);
        vec_foreach(x, &e->xattrs) xattr_done(x);
        vec_done(&e->xattrs);
        *e = (struct tar_entry){0};
}

static void pending_done(struct pending *p) {
        free(p->name);
        free(p->target);
        vec_foreach(x, &p->xattrs) xattr_done(x);
        vec_done(&p->xattrs);
        *p = (struct pending){.size = -1, .uid = -1, .gid = -1};
}

struct tar *tar_new(ssize_t (*read)(void *arg, void *buf, size_t cap, struct err *err), void *arg) {
        struct tar *t = NEW(struct tar);
        t->read = read;
        t->arg = arg;
        pending_done(&t->global);
        pending_done(&t->local);
        return t;
}

void tar_free(struct tar *t) {
        if (!t)
                return;
        entry_done(&t->entry);
        pending_done(&t->global);
        pending_done(&t->local);
        free(t);
}

/* Bytes read: all of them, or fewer at the end. */
static ssize_t read_some(struct tar *t, void *buf, size_t len, struct err *err) {
        size_t have = 0;
        while (have < len) {
                ssize_t n = t->read(t->arg, (char *)buf + have, len - have, err);
                if (n < 0)
                        return n;
                if (n == 0)
                        break;
                have += (size_t)n;
        }
        t->offset += have;
        return (ssize_t)have;
}

static int read_exactly(struct tar *t, void *buf, size_t len, struct err *err) {
        ssize_t n = read_some(t, buf, len, err);
        if (n < 0)
                return (int)n;
        return (size_t)n == len ? 0 : err_set(err, -EBADMSG, "tar: cut off at byte %llu", (unsigned long long)t->offset);
}

static int skip(struct tar *t, uint64_t len, struct err *err) {
        char buf[16384];
        while (len) {
                size_t n = len < sizeof buf ? (size_t)len : sizeof buf;
                int r = read_exactly(t, buf, n, err);
                if (r < 0)
                        return r;
                len -= n;
        }
        return 0;
}

/* Octal, or GNU's base 256 when the first bit is set; -1 when it is neither. */
static int64_t number(const unsigned char *p, size_t len) {
        int64_t v = 0;
        if (p[0] & 0x80) {
                bool negative = p[0] & 0x40;
                if (negative)
                        return -1;
                v = p[0] & 0x3f;
                for (size_t i = 1; i < len; i++) {
                        if (v > INT64_MAX >> 8)
                                return -1;
                        v = v << 8 | p[i];
                }
                return v;
        }
        size_t i = 0;
        while (i < len && p[i] == ' ')
                i++;
        for (; i < len && p[i] >= '0' && p[i] <= '7'; i++) {
                if (v > INT64_MAX >> 3)
                        return -1;
                v = v << 3 | (p[i] - '0');
        }
        return i == len || p[i] == ' ' || p[i] == '\0' ? v : -1;
}

static bool sum_is_right(const unsigned char *h) {
        int64_t told = number(h + AT_SUM, LEN_SUM), plain = 0, as_signed = 0;
        for (size_t i = 0; i < BLOCK; i++) {
                unsigned char c = i >= AT_SUM && i < AT_SUM + LEN_SUM ? ' ' : h[i];
                plain += c;
                as_signed += (signed char)c; /* what some old programs computed */
        }
        return told >= 0 && (told == plain || told == as_signed);
}

static bool is_zero(const unsigned char *h) {
        for (size_t i = 0; i < BLOCK; i++)
                if (h[i])
                        return false;
        return true;
}

static char *field(const unsigned char *p, size_t len) { return xstrndup((const char *)p, strnlen((const char *)p, len)); }

/* The text of a special entry, with its padding. */
static int read_text(struct tar *t, int64_t size, size_t max, struct str *ret, struct err *err) {
        if (size < 0 || (uint64_t)size > max)
                return err_set(err, -EFBIG, "tar: an extended header of %lld bytes (at most %zu are read)", (long long)size, max);
        str_reserve(ret, (size_t)size + 1);
        int r = read_exactly(t, ret->data, (size_t)size, err);
        if (r < 0)
                return r;
        ret->len = (size_t)size;
        ret->data[ret->len] = '\0';
        return skip(t, (BLOCK - (uint64_t)size % BLOCK) % BLOCK, err);
}

static int set_text(char **slot, struct sv value, struct err *err) {
        if (value.len > TAR_MAX_NAME || memchr(value.data, '\0', value.len))
                return err_set(err, -EBADMSG, "tar: a name of %zu bytes (at most %d), or with a NUL in it", value.len, TAR_MAX_NAME);
        free(*slot);
        *slot = sv_dup(value);
        return 0;
}

static int set_number(int64_t *slot, struct sv key, struct sv value, struct err *err) {
        int64_t v;
        if (!sv_to_int64(value, &v) || v < 0)
                return err_set(err, -EBADMSG, "tar: %.*s is \"%.*s\"", SV_ARG(key), (int)(value.len < 64 ? value.len : 64), value.data);
        *slot = v;
        return 0;
}

static int set_xattr(struct pending *p, struct sv name, struct sv value, struct err *err) {
        if (p->xattrs.len >= TAR_MAX_XATTRS || value.len > TAR_MAX_XATTR_BYTES || !name.len || name.len > 255 ||
            memchr(name.data, '\0', name.len))
                return err_set(err, -EFBIG, "tar: too many or too long extended attributes of one file");
        struct tar_xattr *x = vec_push(&p->xattrs);
        x->name = sv_dup(name);
        str_append_sv(&x->value, value);
        return 0;
}

static int pax_record(struct pending *p, struct sv key, struct sv value, struct err *err) {
        static const char xattr[] = "SCHILY.xattr.";
        if (sv_eqs(key, "path"))
                return set_text(&p->name, value, err);
        if (sv_eqs(key, "linkpath"))
                return set_text(&p->target, value, err);
        if (sv_eqs(key, "size"))
                return set_number(&p->size, key, value, err);
        if (sv_eqs(key, "uid"))
                return set_number(&p->uid, key, value, err);
        if (sv_eqs(key, "gid"))
                return set_number(&p->gid, key, value, err);
        if (sv_eqs(key, "mtime")) {
                ssize_t dot = sv_find_char(value, '.');
                /* Before 1970 or nonsense: left out, a time is not worth an image. */
                p->has_mtime = sv_to_int64(sv_new(value.data, dot < 0 ? value.len : (size_t)dot), &p->mtime_s);
                return 0;
        }
        if (sv_starts(key, SV("GNU.sparse.")))
                return err_set(err, -ENOTSUP, "tar: sparse files are not supported");
        if (sv_starts(key, SV("SCHILY.xattr.")))
                return set_xattr(p, sv_new(key.data + sizeof xattr - 1, key.len - sizeof xattr + 1), value, err);
        return 0;
}

/* "LENGTH KEY=VALUE\n", the length counting itself. */
static int pax_parse(struct pending *p, struct sv text, struct err *err) {
        while (text.len) {
                ssize_t blank = sv_find_char(text, ' ');
                int64_t len;
                if (blank < 1 || blank > 20 || !sv_to_int64(sv_new(text.data, (size_t)blank), &len) || len <= blank + 2 ||
                    (uint64_t)len > text.len || text.data[len - 1] != '\n')
                        return err_set(err, -EBADMSG, "tar: a damaged pax header");
                struct sv record = sv_new(text.data + blank + 1, (size_t)(len - blank) - 2);
                ssize_t equals = sv_find_char(record, '=');
                if (equals < 1)
                        return err_set(err, -EBADMSG, "tar: a damaged pax header");
                int r = pax_record(p, sv_new(record.data, (size_t)equals),
                                   sv_new(record.data + equals + 1, record.len - (size_t)equals - 1), err);
                if (r < 0)
                        return r;
                text = sv_new(text.data + len, text.len - (size_t)len);
        }
        return 0;
}

/* 1: it was about the next entry; 0: it is an entry. */
static int special(struct tar *t, const unsigned char *h, struct err *err) {
        char type = (char)h[AT_TYPE];
        if (!strchr("xgLK", type) || !type)
                return 0;
        AUTO(str) struct str text = STR_INIT(0);
        int r = read_text(t, number(h + AT_SIZE, LEN_SIZE), type == 'L' || type == 'K' ? TAR_MAX_NAME + 1 : TAR_MAX_PAX, &text, err);
        if (r < 0)
                return r;
        struct pending *p = type == 'g' ? &t->global : &t->local;
        if (type == 'x' || type == 'g')
                r = pax_parse(p, str_sv(&text), err);
        else
                r = set_text(type == 'L' ? &p->name : &p->target, sv_new(str_cstr(&text), strnlen(str_cstr(&text), text.len)), err);
        return r < 0 ? r : 1;
}

static int type_of(unsigned char c, const char *name, enum tar_type *ret, struct err *err) {
        switch (c) {
        case '\0':
        case '0':
        case '7':
                /* Before ustar a directory was a file whose name ends in a slash. */
                *ret = str_ends(name, "/") ? TAR_DIRECTORY : TAR_FILE;
                return 0;
        case '1': *ret = TAR_HARDLINK; return 0;
        case '2': *ret = TAR_SYMLINK; return 0;
        case '3': *ret = TAR_CHAR; return 0;
        case '4': *ret = TAR_BLOCK; return 0;
        case '5': *ret = TAR_DIRECTORY; return 0;
        case '6': *ret = TAR_FIFO; return 0;
        case 'S': return err_set(err, -ENOTSUP, "tar: %s is a sparse file, which is not supported", name);
        default: return err_set(err, -EBADMSG, "tar: %s is of the unknown type 0x%02x", name, c);
        }
}

static char *header_name(const unsigned char *h) {
        char *name = field(h + AT_NAME, LEN_NAME);
        if (memcmp(h + AT_MAGIC, "ustar\0", 6) != 0 || !h[AT_PREFIX])
                return name; /* GNU keeps other things where the prefix is */
        AUTO(free) char *prefix = field(h + AT_PREFIX, LEN_PREFIX), *tail = name;
        return xasprintf("%s/%s", prefix, tail);
}

static int64_t told(int64_t local, int64_t global, int64_t header) { return local >= 0 ? local : global >= 0 ? global : header; }

static int fill_entry(struct tar *t, const unsigned char *h, struct err *err) {
        struct tar_entry *e = &t->entry;
        e->name = t->local.name ? TAKE(t->local.name) : t->global.name ? xstrdup(t->global.name) : header_name(h);
        int r = type_of(h[AT_TYPE], e->name, &e->type, err);
        if (r < 0)
                return r;
        size_t len = strlen(e->name);
        while (len > 1 && e->name[len - 1] == '/')
                e->name[--len] = '\0';
        if (!len)
                return err_set(err, -EBADMSG, "tar: an entry without a name");
        if (e->type == TAR_HARDLINK || e->type == TAR_SYMLINK)
                e->target = t->local.target    ? TAKE(t->local.target)
                            : t->global.target ? xstrdup(t->global.target)
                                               : field(h + AT_LINK, LEN_NAME);
        e->size = told(t->local.size, t->global.size, number(h + AT_SIZE, LEN_SIZE));
        e->uid = told(t->local.uid, t->global.uid, number(h + AT_UID, LEN_ID));
        e->gid = told(t->local.gid, t->global.gid, number(h + AT_GID, LEN_ID));
        int64_t mode = number(h + AT_MODE, LEN_ID), mtime = number(h + AT_MTIME, LEN_SIZE);
        e->mode = (mode_t)(mode & 07777);
        e->mtime_s = t->local.has_mtime ? t->local.mtime_s : t->global.has_mtime ? t->global.mtime_s : mtime < 0 ? 0 : mtime;
        if (e->type == TAR_CHAR || e->type == TAR_BLOCK) {
                e->major = (unsigned)number(h + AT_MAJOR, LEN_ID);
                e->minor = (unsigned)number(h + AT_MINOR, LEN_ID);
        }
        if (e->size < 0 || e->uid < 0 || e->gid < 0 || mode < 0 || e->uid > UINT32_MAX - 1LL || e->gid > UINT32_MAX - 1LL)
                return err_set(err, -EBADMSG, "tar: %s: a damaged header", e->name);
        e->xattrs.items = TAKE(t->local.xattrs.items);
        e->xattrs.len = t->local.xattrs.len;
        e->xattrs.cap = t->local.xattrs.cap;
        t->local.xattrs.len = t->local.xattrs.cap = 0;
        /* Links may tell the size of what they point to; only files have data here. */
        if (e->type != TAR_FILE)
                e->size = 0;
        t->left = (uint64_t)e->size;
        t->padding = (BLOCK - t->left % BLOCK) % BLOCK;
        return 0;
}

int tar_next(struct tar *t, const struct tar_entry **ret, struct err *err) {
        unsigned char h[BLOCK];
        int r = skip(t, t->left + t->padding, err);
        t->left = t->padding = 0;
        if (r < 0 || t->at_end)
                return r;
        entry_done(&t->entry);
        pending_done(&t->local);
        for (;;) {
                ssize_t n = read_some(t, h, sizeof h, err);
                if (n < 0)
                        return (int)n;
                /* The end is two blocks of zeros; one, or none at all, is met as well. */
                if (n == 0 || ((size_t)n == sizeof h && is_zero(h))) {
                        t->at_end = true;
                        return 0;
                }
                if ((size_t)n < sizeof h)
                        return err_set(err, -EBADMSG, "tar: cut off at byte %llu", (unsigned long long)t->offset);
                if (!sum_is_right(h))
                        return err_set(err, -EBADMSG, "tar: no header at byte %llu (wrong checksum)",
                                       (unsigned long long)t->offset - BLOCK);
                r = special(t, h, err);
                if (r < 0)
                        return r;
                if (r == 0)
                        break;
        }
        r = fill_entry(t, h, err);
        if (r < 0)
                return r;
        *ret = &t->entry;
        return 1;
}

ssize_t tar_read(struct tar *t, void *buf, size_t cap, struct err *err) {
        if (!t->left)
                return 0;
        size_t n = t->left < cap ? (size_t)t->left : cap;
        int r = read_exactly(t, buf, n, err);
        if (r < 0)
                return r;
        t->left -= n;
        return (ssize_t)n;
}

uint64_t tar_offset(const struct tar *t) { return t->offset; }
