#include "spark/text.h"

#include <ctype.h>

/* The two letters outside ASCII whose lower case begins with an ASCII one: KELVIN SIGN and LATIN CAPITAL LETTER I WITH DOT ABOVE. */
static struct sv ascii_lower(struct sv text, size_t at, size_t *ret_skip) {
        struct sv rest = sv_new(text.data + at, text.len - at);
        *ret_skip = sv_starts(rest, SV("\xe2\x84\xaa")) ? 3 : 2;
        return *ret_skip == 3 ? SV("k") : sv_starts(rest, SV("\xc4\xb0")) ? SV("i-") : SV_NULL;
}

/* Lower case, every other sign a dash, runs of dashes one. */
static void append_dashed(struct str *out, struct sv text) {
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.data[i];
                size_t skip;
                struct sv known = c >= 0x80 ? ascii_lower(text, i, &skip) : SV_NULL;
                if (known.data) {
                        str_append_sv(out, known);
                        i += skip - 1;
                        continue;
                }
                char lower = isupper(c) ? (char)tolower(c) : (char)c;
                bool keep = (lower >= 'a' && lower <= 'z') || isdigit(c);
                if (keep)
                        str_append_c(out, lower);
                else if (out->len == 0 || out->data[out->len - 1] != '-')
                        str_append_c(out, '-');
        }
}

char *spark_name_prefix(const char *app_name, const char *id) {
        AUTO(free) char *whole = xasprintf("%s-%s", app_name, id);
        struct str out = STR_INIT(0);
        append_dashed(&out, sv_trim(sv_of(whole)));
        size_t dashes = 0;
        while (dashes < out.len && out.data[dashes] == '-')
                dashes++;
        str_consume(&out, dashes);
        if (out.len && isdigit((unsigned char)out.data[0]))
                out.data[0] = 'x';
        return str_take(&out);
}

char *spark_app_name_label(const char *app_name) {
        struct str out = STR_INIT(0);
        append_dashed(&out, sv_trim(sv_of(app_name)));
        if (out.len > 63)
                str_truncate(&out, 63);
        if (out.len && out.data[0] == '-')
                str_consume(&out, 1);
        if (out.len && out.data[out.len - 1] == '-')
                str_truncate(&out, out.len - 1);
        return str_take(&out);
}

char *text_replace_all(const char *text, const char *what, const char *by) {
        struct str out = STR_INIT(0);
        const char *at;
        while ((at = strstr(text, what))) {
                str_append(&out, text, (size_t)(at - text));
                str_append_s(&out, by);
                text = at + strlen(what);
        }
        str_append_s(&out, text);
        return str_take(&out);
}

char *spark_substitute_ids(const char *text, const char *app_id, const char *executor_id) {
        AUTO(free) char *first = text_replace_all(text, "{{APP_ID}}", app_id);
        return text_replace_all(first, "{{EXECUTOR_ID}}", executor_id);
}

size_t utf16_length(struct sv text) {
        size_t n = 0;
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.data[i];
                if ((c & 0xc0) != 0x80)
                        n += c >= 0xf0 ? 2 : 1;
        }
        return n;
}

bool java_options_split(const char *text, struct strv *ret) {
        AUTO(str) struct str word = STR_INIT(0);
        bool in_word = false, single = false, dbl = false, escaped = false;
        for (const char *p = text; *p; p++) {
                char c = *p;
                if (escaped) {
                        str_append_c(&word, c);
                        escaped = false;
                        in_word = true;
                } else if (dbl && c == '\\' && (p[1] == '"' || p[1] == '\\')) {
                        escaped = true;
                } else if (!single && c == '"') {
                        dbl = !dbl;
                        in_word = true;
                } else if (!dbl && c == '\'') {
                        single = !single;
                        in_word = true;
                } else if (!single && !dbl && c == '\\' && p[1]) {
                        escaped = true;
                } else if (!single && !dbl && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
                        if (in_word)
                                strv_take(ret, str_take(&word));
                        in_word = false;
                } else {
                        str_append_c(&word, c);
                        in_word = true;
                }
        }
        if (single || dbl)
                return false;
        if (in_word)
                strv_take(ret, str_take(&word));
        return true;
}

/* KerberosName: primary[/host][@realm] is a principal; anything else without an @ is a name as it stands. */
char *hadoop_short_name(const char *full) {
        size_t primary = strcspn(full, "/@");
        const char *rest = full + primary;
        bool is_principal = primary > 0;
        for (const char *sep = "/@"; *sep && is_principal; sep++) {
                if (*rest != *sep)
                        continue;
                size_t len = strcspn(rest + 1, "/@");
                is_principal = len > 0;
                rest += 1 + len;
        }
        if (is_principal && !*rest)
                return xstrndup(full, primary);
        return strchr(full, '@') ? NULL : xstrdup(full);
}
