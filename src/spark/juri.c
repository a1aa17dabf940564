#include "spark/juri.h"

#include <ctype.h>
#include "spark/conf.h"

/* java.net.URI's character classes; "other" (non-ASCII) is legal everywhere. */
static bool is_unreserved(unsigned char c) { return isalnum(c) || (c && strchr("-_.!~*'()", c)); }
static bool in_path(unsigned char c) { return c >= 0x80 || is_unreserved(c) || (c && strchr(":@&=+$,;/", c)); }
static bool in_uric(unsigned char c) { return c >= 0x80 || is_unreserved(c) || (c && strchr(";/?:@&=+$,[]", c)); }
static bool in_authority(unsigned char c) { return c >= 0x80 || is_unreserved(c) || (c && strchr("$,;:@&=+[]", c)); }

static bool all(struct sv v, bool (*legal)(unsigned char)) {
        for (size_t i = 0; i < v.len; i++) {
                unsigned char c = (unsigned char)v.data[i];
                if (c == '%' && i + 2 < v.len && isxdigit((unsigned char)v.data[i + 1]) && isxdigit((unsigned char)v.data[i + 2])) {
                        i += 2;
                        continue;
                }
                if (!legal(c))
                        return false;
        }
        return true;
}

static bool scheme_is_legal(struct sv s) {
        if (s.len == 0 || !isalpha((unsigned char)s.data[0]))
                return false;
        for (size_t i = 0; i < s.len; i++)
                if (!isalnum((unsigned char)s.data[i]) && !strchr("+-.", s.data[i]))
                        return false;
        return true;
}

bool juri_parse(const char *text, struct juri *ret) {
        struct juri u = {SV_NULL, SV_NULL, SV_NULL, SV_NULL};
        struct sv rest = sv_of(text);
        if (rest.len == 0)
                return false;
        ssize_t hash = sv_find_char(rest, '#');
        if (hash >= 0) {
                u.fragment = sv_new(rest.data + hash + 1, rest.len - (size_t)hash - 1);
                rest.len = (size_t)hash;
                if (!all(u.fragment, in_uric))
                        return false;
        }
        size_t colon = strcspn(text, ":/?#");
        if (colon < rest.len && text[colon] == ':') {
                u.scheme = sv_new(text, colon);
                if (!scheme_is_legal(u.scheme))
                        return false;
                rest = sv_new(rest.data + colon + 1, rest.len - colon - 1);
                if (rest.len == 0)
                        return false;
                if (rest.data[0] != '/') { /* opaque */
                        if (!all(rest, in_uric))
                                return false;
                        *ret = u;
                        return true;
                }
        }
        if (rest.len >= 2 && rest.data[0] == '/' && rest.data[1] == '/') {
                struct sv after = sv_new(rest.data + 2, rest.len - 2);
                size_t n = 0;
                while (n < after.len && after.data[n] != '/' && after.data[n] != '?')
                        n++;
                if (n == 0 && after.len == 0 && hash < 0)
                        return false; /* expected an authority */
                u.authority = n ? sv_new(after.data, n) : SV_NULL;
                if (!all(u.authority, in_authority))
                        return false;
                rest = sv_new(after.data + n, after.len - n);
        }
        ssize_t question = sv_find_char(rest, '?');
        u.path = question < 0 ? rest : sv_new(rest.data, (size_t)question);
        if (!u.path.data)
                u.path = SV("");
        if (!all(u.path, in_path))
                return false;
        if (question >= 0 && !all(sv_new(rest.data + question + 1, rest.len - (size_t)question - 1), in_uric))
                return false;
        *ret = u;
        return true;
}

static char *decode(struct sv v) {
        struct str out = STR_INIT(0);
        for (size_t i = 0; i < v.len; i++) {
                if (v.data[i] == '%' && i + 2 < v.len && isxdigit((unsigned char)v.data[i + 1]) && isxdigit((unsigned char)v.data[i + 2])) {
                        char hex[3] = {v.data[i + 1], v.data[i + 2], 0};
                        char c = (char)strtol(hex, NULL, 16);
                        if (c) {
                                str_append_c(&out, c);
                                i += 2;
                                continue;
                        }
                }
                str_append_c(&out, v.data[i]);
        }
        return str_take(&out);
}

static void quote(struct str *out, const char *text, bool (*legal)(unsigned char), bool keep_escapes) {
        for (const char *p = text; *p; p++) {
                bool escape = *p == '%' && keep_escapes && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2]);
                if (legal((unsigned char)*p) || escape)
                        str_append_c(out, *p);
                else
                        str_appendf(out, "%%%02X", (unsigned char)*p);
        }
}

char *juri_quote_path(const char *path) {
        struct str out = STR_INIT(0);
        quote(&out, path, in_path, true);
        return str_take(&out);
}

char *juri_of_file(const char *path, bool is_directory) {
        struct str out = STR_INIT(0);
        str_append_s(&out, "file:");
        quote(&out, path, in_path, false);
        if (is_directory && !str_ends(path, "/"))
                str_append_c(&out, '/');
        return str_take(&out);
}

static char *canonical_uri(const struct submission_inputs *in, const char *path) {
        const struct input_file *f = inputs_file(in, path);
        AUTO(free) char *absolute = inputs_absolute(in, path);
        AUTO(free) char *clean = path_normalise(f && f->canonical ? f->canonical : absolute);
        return juri_of_file(clean, f && f->kind == INPUT_DIRECTORY);
}

char *juri_resolve(const struct submission_inputs *in, const char *text) {
        struct juri u;
        if (!juri_parse(text, &u))
                return canonical_uri(in, text);
        if (u.scheme.data)
                return xstrdup(text);
        if (!u.fragment.data)
                return canonical_uri(in, text);
        AUTO(free) char *path = decode(u.path);
        AUTO(free) char *fragment = decode(u.fragment);
        AUTO(free) char *absolute = inputs_absolute(in, path);
        const struct input_file *f = inputs_file(in, path);
        struct str out = STR_INIT(0);
        AUTO(free) char *file = juri_of_file(absolute, f && f->kind == INPUT_DIRECTORY);
        str_appendf(&out, "%s#", file);
        quote(&out, fragment, in_uric, false);
        return str_take(&out);
}

char *juri_resolve_all(const struct submission_inputs *in, const char *list) {
        struct str out = STR_INIT(0);
        struct sv rest = sv_of(list), part;
        while (sv_split(&rest, ',', &part)) {
                if (sv_trim(part).len == 0)
                        continue;
                AUTO(free) char *one = sv_dup(part);
                AUTO(free) char *uri = juri_resolve(in, one);
                str_appendf(&out, "%s%s", out.len ? "," : "", uri);
        }
        return str_take(&out);
}

struct sv juri_scheme(const char *uri) {
        struct juri u;
        return juri_parse(uri, &u) ? u.scheme : SV_NULL;
}

char *juri_path(const char *uri) {
        struct juri u;
        if (!juri_parse(uri, &u))
                return xstrdup("");
        return decode(u.path);
}

char *juri_fragment(const char *uri) {
        struct juri u;
        return juri_parse(uri, &u) && u.fragment.data ? decode(u.fragment) : NULL;
}

char *juri_without_fragment(const char *uri) { return xstrndup(uri, strcspn(uri, "#")); }

bool juri_is_local_file(const char *uri) {
        struct juri u;
        return !juri_parse(uri, &u) || !u.scheme.data || sv_eqs(u.scheme, "file");
}

bool path_has_glob(const char *path) { return strpbrk(path, "*?[{") != NULL; }

static void add_uri(struct str *out, const char *uri, const char *fragment) {
        str_appendf(out, "%s%s%s%s", out->len ? "," : "", uri, fragment ? "#" : "", fragment ? fragment : "");
}

static void add_file(struct str *out, const char *path, const char *fragment) {
        AUTO(free) char *clean = path_normalise(path);
        AUTO(free) char *uri = juri_of_file(clean, false);
        add_uri(out, uri, fragment);
}

/* local: and http: are not looked into. The other file systems are the driver's business, unless the installation that is imitated lacks
 * them and would have failed. */
static int check_file_system(const struct submission_inputs *in, struct sv scheme, struct err *err) {
        static const char *const plain[] = {"local", "http", "https", "ftp"};
        for (size_t i = 0; i < ARRAY_LEN(plain); i++)
                if (sv_eqs(scheme, plain[i]))
                        return 0;
        AUTO(free) char *name = sv_dup(scheme);
        if (in->file_systems.len == 0 || strv_has(&in->file_systems, name))
                return 0;
        err_set(err, -ENOTSUP, "No FileSystem for scheme \"%s\"", name);
        err_hint(
                err,
                "the Spark installation in SPARK_HOME has no jar for %s: places (hadoop-aws for s3a:); unset SPARK_HOME to submit without it",
                name);
        return -ENOTSUP;
}

int juri_resolve_globs(const struct submission_inputs *in, const char *list, char **ret, struct err *err) {
        AUTO(str) struct str out = STR_INIT(0);
        AUTO(strv) struct strv parts = {0};
        spark_string_to_seq(list, &parts);
        for (size_t i = 0; i < parts.len; i++) {
                AUTO(free) char *uri = juri_resolve(in, parts.items[i]);
                AUTO(free) char *fragment = juri_fragment(uri);
                AUTO(free) char *base = juri_without_fragment(uri);
                struct sv scheme = juri_scheme(base);
                if (!sv_eqs(scheme, "file")) {
                        int r = check_file_system(in, scheme, err);
                        if (r < 0)
                                return r;
                        add_uri(&out, base, fragment);
                        continue;
                }
                struct juri file;
                if (juri_parse(base, &file) && !file.path.data)
                        return err_set(err, -EINVAL, "Relative path in absolute URI: %s; write the path without file:, or file:///ABSOLUTE",
                                       base);
                if (juri_parse(base, &file) && file.authority.len)
                        return err_set(err, -EINVAL, "Wrong FS: %s, expected: file:///", base);
                AUTO(free) char *path = juri_path(base);
                /* The original takes the decoded path for a URI once more. */
                if (strpbrk(path, "[]"))
                        return err_set(err, -EINVAL, "Illegal character in path at index %zu: file:%s",
                                       strlen("file:") + strcspn(path, "[]"), path);
                if (strchr(path, '?')) {
                        *strchr(path, '?') = 0;
                        AUTO(free) char *shorter = juri_of_file(path, false);
                        free(base);
                        base = TAKE(shorter);
                }
                const char *group = strrchr(path, '{');
                if (group && !strchr(group, '}'))
                        return err_set(err, -EINVAL, "Illegal file pattern: Unclosed group near index %zu in %s", strlen(path), path);
                const struct strv *found = path_has_glob(path) ? map_get(&in->globs, path) : NULL;
                const struct input_file *f = inputs_file(in, path);
                if (found) {
                        if (fragment && found->len > 1) {
                                AUTO(free) char *names = strv_join(found, ",");
                                return err_set(err, -EINVAL, "%s resolves ambiguously to multiple files: %s", base, names);
                        }
                        for (size_t j = 0; j < found->len; j++)
                                add_file(&out, found->items[j], fragment);
                } else if (f && f->kind == INPUT_FILE) {
                        add_file(&out, path, fragment);
                } else if (!f || f->kind == INPUT_ABSENT) {
                        add_uri(&out, base, fragment);
                }
        }
        *ret = str_take(&out);
        return 0;
}
