#include "codec/words.h"

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* From behind the opening quote to behind the closing one; *at is left where it is when there is none. */
static bool take_quoted(struct sv line, size_t *at, struct str *word) {
        char quote = line.data[*at];
        for (size_t i = *at + 1; i < line.len; i++) {
                char c = line.data[i];
                if (c == quote) {
                        *at = i + 1;
                        return true;
                }
                if (c == '\\' && quote == '"' && i + 1 < line.len && strchr("$`\"\\", line.data[i + 1]))
                        c = line.data[++i];
                str_append_c(word, c);
        }
        return false;
}

static int take_word(struct sv line, size_t *at, struct str *word, struct err *err) {
        while (*at < line.len && !is_blank(line.data[*at])) {
                char c = line.data[*at];
                if (c == '\'' || c == '"') {
                        if (!take_quoted(line, at, word))
                                return err_set(err, -EINVAL, "column %zu: this %c is not closed", *at + 1, c);
                        continue;
                }
                if (c == '\\') {
                        if (*at + 1 == line.len)
                                return err_set(err, -EINVAL, "column %zu: nothing follows the backslash; a job is one line", *at + 1);
                        c = line.data[++*at];
                }
                str_append_c(word, c);
                ++*at;
        }
        return 0;
}

int words_split(struct sv line, struct strv *ret, struct err *err) {
        size_t before = ret->len, at = 0;
        if (memchr(line.data ? line.data : "", '\0', line.len))
                return err_set(err, -EINVAL, "the line holds a NUL byte");
        for (;;) {
                while (at < line.len && is_blank(line.data[at]))
                        at++;
                if (at == line.len || line.data[at] == '#')
                        return 0;
                AUTO(str) struct str word = STR_INIT(0);
                int r = take_word(line, &at, &word, err);
                if (r < 0) {
                        for (; ret->len > before; ret->len--) {
                                free(ret->items[ret->len - 1]);
                                ret->items[ret->len - 1] = NULL;
                        }
                        return r;
                }
                strv_add(ret, str_cstr(&word));
        }
}
