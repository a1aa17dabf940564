#include "spark/keys.h"

/* Families whose last part the user chooses. */
static const char *const prefixes[] = {
        "spark.hadoop.",
        "spark.executorEnv.",
        "spark.yarn.",
        "spark.sql.",
        "spark.ml.",
        "spark.mllib.",
        "spark.connect.",
        "spark.metrics.conf.",
        "spark.driver.resource.",
        "spark.executor.resource.",
        "spark.task.resource.",
        "spark.kubernetes.authenticate.",
        "spark.kubernetes.driverEnv.",
        "spark.kubernetes.node.selector.",
        "spark.kubernetes.driver.annotation.",
        "spark.kubernetes.driver.label.",
        "spark.kubernetes.driver.node.selector.",
        "spark.kubernetes.driver.secretKeyRef.",
        "spark.kubernetes.driver.secrets.",
        "spark.kubernetes.driver.service.annotation.",
        "spark.kubernetes.driver.service.label.",
        "spark.kubernetes.driver.volumes.",
        "spark.kubernetes.executor.annotation.",
        "spark.kubernetes.executor.label.",
        "spark.kubernetes.executor.node.selector.",
        "spark.kubernetes.executor.secretKeyRef.",
        "spark.kubernetes.executor.secrets.",
        "spark.kubernetes.executor.volumes.",
        "spark.kubernetes.scheduler.volcano.",
};

const struct spark_key *spark_key_find(const char *name) {
        size_t low = 0, high = spark_keys_len;
        while (low < high) {
                size_t mid = (low + high) / 2;
                int order = strcmp(name, spark_keys[mid].name);
                if (order == 0)
                        return &spark_keys[mid];
                if (order < 0)
                        high = mid;
                else
                        low = mid + 1;
        }
        return NULL;
}

const struct spark_key *spark_key_in(enum spark_line line, const char *name) {
        const struct spark_key *k = spark_key_find(name);
        return k && (k->versions & (1 << line)) ? k : NULL;
}

const char *spark_key_default(const struct spark_key *k, enum spark_line line) {
        return line == SPARK_3_5 ? k->default_35 : k->default_41;
}

bool spark_key_has_prefix(const char *name) {
        for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
                if (str_starts(name, prefixes[i]) && name[strlen(prefixes[i])])
                        return true;
        return false;
}

enum { NEAREST_MAX = 160 };

/* Damerau-Levenshtein (adjacent transpositions), given up above `limit`. Case is ignored. */
static int distance(const char *a, size_t na, const char *b, size_t nb, int limit) {
        int rows[3][NEAREST_MAX + 1];
        for (size_t j = 0; j <= nb; j++)
                rows[0][j] = (int)j;
        for (size_t i = 1; i <= na; i++) {
                int *prev2 = rows[(i + 1) % 3], *prev = rows[(i - 1) % 3], *row = rows[i % 3];
                row[0] = (int)i;
                int best = row[0];
                for (size_t j = 1; j <= nb; j++) {
                        char x = a[i - 1] | 0x20, y = b[j - 1] | 0x20;
                        int d = prev[j - 1] + (x != y);
                        if (prev[j] + 1 < d)
                                d = prev[j] + 1;
                        if (row[j - 1] + 1 < d)
                                d = row[j - 1] + 1;
                        if (i > 1 && j > 1 && x == (b[j - 2] | 0x20) && (a[i - 2] | 0x20) == y && prev2[j - 2] + 1 < d)
                                d = prev2[j - 2] + 1;
                        row[j] = d;
                        if (d < best)
                                best = d;
                }
                if (best > limit)
                        return limit + 1;
        }
        return rows[na % 3][nb];
}

/* The nearest registered key; `*limit` is the distance allowed and becomes the one found. */
static const char *nearest_key(enum spark_line line, const char *name, size_t len, int *limit) {
        const char *best = NULL;
        for (size_t i = 0; i < spark_keys_len; i++) {
                const struct spark_key *k = &spark_keys[i];
                size_t n = strlen(k->name);
                int allowed = best ? *limit - 1 : *limit;
                if (!(k->versions & (1 << line)) || n > NEAREST_MAX || allowed < 0 || (n > len ? n - len : len - n) > (size_t)allowed)
                        continue;
                int d = distance(name, len, k->name, n, allowed);
                if (d <= allowed) {
                        best = k->name;
                        *limit = d;
                }
        }
        return best;
}

/* The same of families: what stands before one of the name's dots, or the whole name, against their fixed parts. *ret_rest is what the user
 * chose, after that dot. A short family needs to be met better: spark.my.x is not meant to be spark.ml.x. */
static const char *nearest_family(const char *name, size_t len, int *limit, const char **ret_rest) {
        const char *best = NULL;
        for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
                size_t n = strlen(prefixes[i]) - 1; /* without its last dot */
                int by_length = ((int)n - (int)strlen("spark.")) / 5;
                for (size_t cut = strcspn(name, "."); cut <= len; cut += 1 + strcspn(name + cut + 1, ".")) {
                        int allowed = best ? *limit - 1 : *limit;
                        if (allowed > by_length)
                                allowed = by_length;
                        if (allowed >= 0 && (n > cut ? n - cut : cut - n) <= (size_t)allowed) {
                                int d = distance(name, cut, prefixes[i], n, allowed);
                                if (d <= allowed) {
                                        best = prefixes[i];
                                        *limit = d;
                                        *ret_rest = cut < len ? name + cut + 1 : "";
                                }
                        }
                        if (cut == len)
                                break;
                }
        }
        return best;
}

char *spark_key_nearest(enum spark_line line, const char *name) {
        size_t len = strlen(name);
        if (len > NEAREST_MAX)
                return NULL;
        int to_key = len < 16 ? 2 : len < 32 ? 4 : 6, to_family = 2;
        const char *rest = NULL, *key = nearest_key(line, name, len, &to_key), *family = nearest_family(name, len, &to_family, &rest);
        /* A family leaves out what the user chose: a key that is as near in all its parts says more. */
        if (family && !(key && to_key <= to_family + 1))
                return xasprintf("%s%s", family, *rest ? rest : "NAME");
        return key ? xstrdup(key) : NULL;
}
