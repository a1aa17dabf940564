#include "spark/versions.h"

#include <ctype.h>
#include <stdio.h>

static const struct spark_features features[SPARK_LINES] = {
        [SPARK_3_5] =
                {
                        .line = "3.5",
                        .newest = "3.5.9",
                        .masters = "spark, mesos, k8s, or local",
                        .k8s_prefix = "k8s",
                        .python_version_key = true,
                        .pvc_access_mode = "ReadWriteOnce",
                },
        [SPARK_4_1] =
                {
                        .line = "4.1",
                        .newest = "4.1.4",
                        .masters = "spark, k8s, or local",
                        .k8s_prefix = "k8s://",
                        .error_classes = true,
                        .connect_port = true,
                        .label_variables = true,
                        .image_variables = true,
                        .min_memory_overhead = true,
                        .excluded_steps = true,
                        .volume_details = true,
                        .volume_size_check = true,
                        .load_spark_defaults = true,
                        .strict_utf8 = true,
                        .kill_looks_first = true,
                        .pvc_access_mode = "ReadWriteOncePod",
                },
};

const struct spark_features *spark_features(enum spark_line line) { return &features[line]; }

/* The length of "<line>[.digits...]" at the start of `text`; 0 when it does not begin with a known line. */
static size_t known_prefix(struct sv text, enum spark_line *ret) {
        for (int i = 0; i < SPARK_LINES; i++) {
                struct sv line = sv_of(features[i].line);
                if (!sv_starts(text, line))
                        continue;
                size_t n = line.len;
                if (n < text.len && isdigit((unsigned char)text.data[n]))
                        continue; /* 4.10 is not 4.1 */
                while (n + 1 < text.len && text.data[n] == '.' && isdigit((unsigned char)text.data[n + 1])) {
                        n++;
                        while (n < text.len && isdigit((unsigned char)text.data[n]))
                                n++;
                }
                *ret = (enum spark_line)i;
                return n;
        }
        return 0;
}

static void set_number(struct spark_version *v, struct sv number) {
        if (sv_eqs(number, features[v->line].line))
                number = sv_of(features[v->line].newest);
        snprintf(v->number, sizeof(v->number), "%.*s", SV_ARG(number));
}

int spark_version_parse(struct sv text, struct spark_version *ret, struct err *err) {
        struct spark_version v = {0};
        if (known_prefix(text, &v.line) == 0 || text.len >= SPARK_VERSION_SIZE) {
                err_set(err, -ENOTSUP, "Spark version '%.*s' is not supported: the supported lines are %s and %s", SV_ARG(text),
                        features[0].line, features[1].line);
                err_hint(err, "set --spark-version or FIRESTEEL_SPARK_VERSION to a release of one of these lines, for example %s",
                         features[SPARK_LINES - 1].newest);
                return -ENOTSUP;
        }
        set_number(&v, text);
        *ret = v;
        return 0;
}

bool spark_version_from_image(const char *image, struct spark_version *ret) {
        const char *slash = strrchr(image, '/');
        const char *colon = strchr(slash ? slash : image, ':');
        if (!colon)
                return false;
        struct sv tag = sv_of(colon + 1);
        if (tag.len > 1 && tag.data[0] == 'v') /* spark:v3.5.1 */
                tag = sv_new(tag.data + 1, tag.len - 1);
        struct spark_version v = {0};
        size_t n = known_prefix(tag, &v.line);
        if (n == 0 || (n < tag.len && tag.data[n] != '-' && tag.data[n] != '_' && tag.data[n] != '@'))
                return false;
        set_number(&v, sv_new(tag.data, n));
        *ret = v;
        return true;
}

bool spark_version_from_jar(const char *name, struct spark_version *ret) {
        struct sv v = sv_of(name);
        if (!sv_starts(v, SV("spark-core_")) || !sv_ends(v, SV(".jar")))
                return false;
        v.len -= strlen(".jar");
        ssize_t dash = sv_find_char(sv_new(v.data + strlen("spark-core_"), v.len - strlen("spark-core_")), '-');
        if (dash < 0)
                return false;
        size_t skip = strlen("spark-core_") + (size_t)dash + 1;
        return spark_version_parse(sv_new(v.data + skip, v.len - skip), ret, NULL) == 0;
}

struct spark_version spark_version_newest(void) {
        struct spark_version v = {.line = SPARK_4_1};
        set_number(&v, sv_of(features[SPARK_4_1].newest));
        return v;
}
