/* Words that come out, quoted again, come out the same. */
#include "codec/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quote(const char *word, struct str *out) {
        str_append_c(out, '\'');
        for (; *word; word++) {
                if (*word == '\'')
                        str_append_s(out, "'\\''");
                else
                        str_append_c(out, *word);
        }
        str_append_s(out, "' ");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(strv) struct strv words = {0};
        AUTO(strv) struct strv again = {0};
        AUTO(str) struct str line = STR_INIT(0);
        if (size > 20000)
                return 0;
        if (words_split(sv_new((const char *)data, size), &words, NULL) < 0) {
                if (words.len)
                        abort();
                return 0;
        }
        for (size_t i = 0; i < words.len; i++)
                quote(words.items[i], &line);
        if (words_split(str_sv(&line), &again, NULL) < 0 || again.len != words.len)
                abort();
        for (size_t i = 0; i < words.len; i++)
                if (strcmp(words.items[i], again.items[i]) != 0)
                        abort();
        return 0;
}
