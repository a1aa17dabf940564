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
