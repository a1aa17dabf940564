/* Any arguments, one a line: parsed, completed and checked without a crash. The first byte chooses the line. */
#include "spark/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        AUTO(submit_args) struct submit_args a;
        AUTO(strv) struct strv argv = {0};
        AUTO(map) struct map env = MAP_INIT(free);
        AUTO(err) struct err err = ERR_INIT;
        submit_args_init(&a, size ? (enum spark_line)(data[0] % SPARK_LINES) : SPARK_4_1);
        AUTO(free) char *text = size ? xstrndup((const char *)data + 1, size - 1) : xstrdup("");
        strv_split(&argv, text, '\n');
        int r = submit_args_parse(&a, (int)argv.len, argv.items, &err);
        if (r >= 0)
                r = submit_args_finish(&a, &env, &err);
        if (r < 0 && !err.message)
                abort();
        return 0;
}
