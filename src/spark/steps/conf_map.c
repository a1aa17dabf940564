/* What Spark's Client adds at the end: the ConfigMap of the driver's properties and configuration files, and the container itself. */
#include <stdio.h>
#include <stdlib.h>

#include "spark/properties.h"
#include "spark/steps/steps.h"
#include "spark/text.h"

#define CONF_DIR "/opt/spark/conf"

struct conf_file {
        const char *name;
        const struct str *text;
        int64_t weight; /* size and length of the name: small ones go first */
};

/* Templates, archives, and what the properties below replace. */
static bool is_left_out(const char *name) {
        static const char *const endings[] = {".template", ".gz", ".zip", ".jar", ".tar"};
        for (size_t i = 0; i < ARRAY_LEN(endings); i++)
                if (str_ends(name, endings[i]))
                        return true;
        return str_starts(name, "spark") && (str_ends(name + strlen("spark"), "conf") || str_ends(name + strlen("spark"), "properties"));
}

static int by_weight(const void *a, const void *b) {
        const struct conf_file *x = a, *y = b;
        return x->weight != y->weight ? (x->weight < y->weight ? -1 : 1) : strcmp(x->name, y->name);
}

/* The directory's files that fit into a ConfigMap, smallest first, into `data`; their names into `names`. */
static int add_conf_files(struct step_ctx *c, yyjson_mut_val *data, struct strv *names, struct err *err) {
        int64_t max;
        int r = conf_long(c->conf, "spark.kubernetes.configMap.maxSize", &max, err);
        if (r < 0)
                return r;
        AUTO(free) char *from_home = NULL;
        const char *dir = inputs_env(c->in, "SPARK_CONF_DIR"), *home = conf_get(c->conf, "spark.home");
        if (!dir && home)
                dir = from_home = xasprintf("%s/conf", home);
        const struct input_file *listing = dir && *dir ? inputs_file(c->in, dir) : NULL;
        VEC(struct conf_file) files = {0};
        for (size_t i = 0; listing && i < listing->names.len; i++) {
                const char *name = listing->names.items[i];
                AUTO(free) char *path = xasprintf("%s/%s", dir, name);
                const struct input_file *f = inputs_file(c->in, path);
                int64_t weight = f ? f->size + (int64_t)utf16_length(sv_of(name)) : 0;
                if (!f || f->kind != INPUT_FILE || is_left_out(name) || weight > max)
                        continue;
                if (!f->has_text || f->error) {
                        r = err_errno(err, f->error ? f->error : -EIO, "reading %s", path);
                        break;
                }
                *vec_push(&files) = (struct conf_file){name, &f->text, weight};
        }
        if (files.len)
                qsort(files.items, files.len, sizeof(*files.items), by_weight);
        int64_t total = 0;
        vec_foreach(f, &files) {
                if (r < 0)
                        break;
                if (!sv_is_utf8(str_sv(f->text)) || memchr(str_cstr(f->text), 0, f->text->len)) {
                        strv_addf(&c->s->warnings, "Unable to read a non UTF-8 encoded file %s/%s. Skipping...", dir, f->name);
                        continue;
                }
                int64_t size = (int64_t)(utf16_length(sv_of(f->name)) + utf16_length(str_sv(f->text)));
                if (total + size >= max) {
                        strv_addf(&c->s->warnings,
                                  "Skipped the conf file %s/%s: the files would exceed spark.kubernetes.configMap.maxSize (%lld).", dir,
                                  f->name, (long long)max);
                        continue;
                }
                total += size;
                mjson_set_str(c->doc, data, f->name, str_cstr(f->text));
                strv_add(names, f->name);
        }
        vec_done(&files);
        return r;
}

static int by_key(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static char *properties_text(struct step_ctx *c) {
        struct str out = STR_INIT(0);
        AUTO(free) char *comment = xasprintf("Java properties built from Kubernetes config map with name: %s", c->conf_map);
        properties_append_header(&out, comment, c->now_ms);
        VEC(const char *) keys = {0};
        conf_foreach(e, &c->props) *vec_push(&keys) = e->key;
        if (keys.len)
                qsort(keys.items, keys.len, sizeof(*keys.items), by_key);
        vec_foreach(k, &keys) properties_append(&out, *k, map_get(&c->props.entries, *k));
        vec_done(&keys);
        return str_take(&out);
}

int step_conf_map(struct step_ctx *c, struct err *err) {
        char number[32];
        snprintf(number, sizeof(number), "%lld", (long long)c->now_ms);
        conf_set(&c->props, "spark.app.submitTime", number);
        yyjson_mut_val *map = step_add_object(c, "ConfigMap", c->conf_map);
        mjson_set_str(c->doc, mjson_obj(c->doc, map, "metadata"), "namespace", c->namespace_);
        yyjson_mut_val *data = mjson_obj(c->doc, map, "data");
        AUTO(strv) struct strv names = {0};
        int r = add_conf_files(c, data, &names, err);
        if (r < 0)
                return r;
        AUTO(free) char *text = properties_text(c);
        mjson_set_str(c->doc, data, "spark.properties", text);
        mjson_set_str(c->doc, data, "spark.kubernetes.namespace", c->namespace_);
        mjson_set_bool(c->doc, map, "immutable", true);

        strv_add(&names, "spark.properties");
        strv_sort(&names);
        yyjson_mut_val *source = step_add_volume(c, "spark-conf-volume-driver", "configMap");
        for (size_t i = 0; i < names.len; i++)
                step_add_item(c, source, names.items[i], names.items[i], 0644);
        mjson_set_str(c->doc, source, "name", c->conf_map);
        step_add_env(c, "SPARK_CONF_DIR", CONF_DIR);
        step_add_mount(c, "spark-conf-volume-driver", CONF_DIR);
        yyjson_mut_arr_append(mjson_arr(c->doc, c->spec, "containers"), c->container);
        return 0;
}
