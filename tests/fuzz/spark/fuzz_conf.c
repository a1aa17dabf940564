/* Any "key=value" lines: every entry of the table is read by its kind in both lines. */
#include "spark/conf.h"
#include "spark/memory.h"
#include "spark/volumes.h"

static void read_all(struct spark_conf *c) {
        const char *text;
        int64_t n;
        double d;
        bool b;
        int i, r = 0;
        struct driver_memory m;
        AUTO(volumes) struct volumes v = {0};
        conf_foreach(e, c) {
                AUTO(strv) struct strv list = {0};
                AUTO(err) struct err err = ERR_INIT;
                r |= conf_string(c, e->key, &text, &err);
                r |= conf_long(c, e->key, &n, &err);
                r |= conf_double(c, e->key, &d, &err);
                r |= conf_bool(c, e->key, &b, &err);
                r |= conf_int(c, e->key, &i, &err);
                r |= conf_list(c, e->key, &list, &err);
        }
        r |= driver_memory(c, true, &m, NULL);
        r |= volumes_parse(c, "spark.kubernetes.driver.volumes.", &v, NULL);
        (void)r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        for (int line = 0; line < SPARK_LINES; line++) {
                AUTO(spark_conf) struct spark_conf c;
                spark_conf_init(&c, (struct spark_version){.line = (enum spark_line)line});
                struct sv rest = sv_new((const char *)data, size), part;
                while (sv_split(&rest, '\n', &part)) {
                        ssize_t at = sv_find_char(part, '=');
                        if (at < 0 || memchr(part.data, 0, part.len))
                                continue;
                        AUTO(free) char *key = xstrndup(part.data, (size_t)at);
                        AUTO(free) char *value = xstrndup(part.data + at + 1, part.len - (size_t)at - 1);
                        conf_set(&c, key, value);
                }
                read_all(&c);
        }
        return 0;
}
