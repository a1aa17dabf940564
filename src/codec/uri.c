#include "codec/uri.h"

#include <ctype.h>

void uri_done(struct uri *u) {
        free(u->scheme);
        free(u->userinfo);
        free(u->host);
        free(u->path);
        free(u->query);
        free(u->fragment);
        *u = (struct uri){0};
}

static char *dup_lower(struct sv v) {
        char *p = sv_dup(v);
        for (char *c = p; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return p;
}

/* The length of "scheme" when the text starts with "scheme:", else 0. */
static size_t scheme_len(const char *text) {
        if (!isalpha((unsigned char)text[0]))
                return 0;
        size_t n = 1;
        while (isalnum((unsigned char)text[n]) || text[n] == '+' || text[n] == '-' || text[n] == '.')
                n++;
        return text[n] == ':' ? n : 0;
}

static int parse_authority(const char *whole, struct sv authority, struct uri *u, struct err *err) {
        ssize_t at = sv_rfind_char(authority, '@');
        if (at >= 0) {
                AUTO(str) struct str decoded = STR_INIT(0);
                if (!uri_decode(sv_new(authority.data, (size_t)at), false, &decoded))
                        return err_set(err, -EINVAL, "%s: bad %%-escape before '@'", whole);
                u->userinfo = str_take(&decoded);
                authority = sv_new(authority.data + at + 1, authority.len - (size_t)at - 1);
        }
        struct sv port = SV_NULL;
        if (authority.len && authority.data[0] == '[') {
                ssize_t close = sv_find_char(authority, ']');
                if (close < 0)
                        return err_set(err, -EINVAL, "%s: '[' without ']'", whole);
                u->host = dup_lower(sv_new(authority.data + 1, (size_t)close - 1));
                struct sv rest = sv_new(authority.data + close + 1, authority.len - (size_t)close - 1);
                if (rest.len && rest.data[0] != ':')
                        return err_set(err, -EINVAL, "%s: unexpected text after ']'", whole);
                if (rest.len)
                        port = sv_new(rest.data + 1, rest.len - 1);
        } else {
                ssize_t colon = sv_rfind_char(authority, ':');
                u->host = dup_lower(colon < 0 ? authority : sv_new(authority.data, (size_t)colon));
                if (colon >= 0)
                        port = sv_new(authority.data + colon + 1, authority.len - (size_t)colon - 1);
        }
        int64_t number = 0;
        if (port.len && (!sv_to_int64(port, &number) || number < 1 || number > 65535))
                return err_set(err, -EINVAL, "%s: invalid port \"%.*s\", expected 1-65535", whole, SV_ARG(port));
        u->port = (int)number;
        return 0;
}

int uri_parse(const char *text, struct uri *ret, struct err *err) {
        AUTO(uri) struct uri u = {0};
        for (const char *p = text; *p; p++)
                if ((unsigned char)*p <= ' ' || *p == 0x7f)
                        return err_set(err, -EINVAL, "%s: blank or control character at offset %zd", text, p - text);
        const char *p = text;
        size_t n = scheme_len(p);
        if (n) {
                u.scheme = dup_lower(sv_new(p, n));
                p += n + 1;
        }
        struct sv rest = sv_of(p);
        ssize_t hash = sv_find_char(rest, '#');
        if (hash >= 0) {
                u.fragment = xstrdup(rest.data + hash + 1);
                rest.len = (size_t)hash;
        }
        ssize_t mark = sv_find_char(rest, '?');
        if (mark >= 0) {
                u.query = sv_dup(sv_new(rest.data + mark + 1, rest.len - (size_t)mark - 1));
                rest.len = (size_t)mark;
        }
        if (sv_starts(rest, SV("//"))) {
                rest = sv_new(rest.data + 2, rest.len - 2);
                ssize_t slash = sv_find_char(rest, '/');
                size_t len = slash < 0 ? rest.len : (size_t)slash;
                int r = parse_authority(text, sv_new(rest.data, len), &u, err);
                if (r < 0)
                        return r;
                rest = sv_new(rest.data + len, rest.len - len);
        }
        u.path = sv_dup(rest);
        *ret = u;
        u = (struct uri){0};
        return 0;
}

void uri_encode(struct sv text, bool keep_slash, struct str *out) {
        static const char hex[] = "0123456789ABCDEF";
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.data[i];
                bool plain = (c < 0x80 && isalnum(c)) || c == '-' || c == '_' || c == '.' || c == '~' || (c == '/' && keep_slash);
                if (plain)
                        str_append_c(out, (char)c);
                else
                        str_append(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        }
}

static int hex_value(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool uri_decode(struct sv text, bool plus_is_blank, struct str *out) {
        for (size_t i = 0; i < text.len; i++) {
                char c = text.data[i];
                if (c == '%') {
                        int high = i + 2 < text.len ? hex_value(text.data[i + 1]) : -1;
                        int low = i + 2 < text.len ? hex_value(text.data[i + 2]) : -1;
                        if (high < 0 || low < 0 || (high == 0 && low == 0))
                                return false;
                        c = (char)(high << 4 | low);
                        i += 2;
                } else if (c == '+' && plus_is_blank) {
                        c = ' ';
                }
                str_append_c(out, c);
        }
        return true;
}

char *query_get(const char *query, const char *key) {
        struct sv rest = sv_of(query), pair;
        while (sv_split(&rest, '&', &pair)) {
                ssize_t equals = sv_find_char(pair, '=');
                struct sv name = equals < 0 ? pair : sv_new(pair.data, (size_t)equals);
                struct sv value = equals < 0 ? SV("") : sv_new(pair.data + equals + 1, pair.len - (size_t)equals - 1);
                AUTO(str) struct str decoded_name = STR_INIT(0);
                if (!uri_decode(name, true, &decoded_name) || !streq(str_cstr(&decoded_name), key))
                        continue;
                AUTO(str) struct str decoded = STR_INIT(0);
                return uri_decode(value, true, &decoded) ? str_take(&decoded) : sv_dup(value);
        }
        return NULL;
}

void query_add(struct str *out, const char *key, const char *value) {
        if (!value)
                return;
        if (out->len)
                str_append_c(out, '&');
        uri_encode(sv_of(key), false, out);
        str_append_c(out, '=');
        uri_encode(sv_of(value), false, out);
}
