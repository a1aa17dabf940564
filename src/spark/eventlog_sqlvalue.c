/* The text of a SQL metric (MetricUtils.stringValue), and Scala's order of small integer sets. */
#include "spark/eventlog-internal.h"
#include "spark/jformat.h"
#include "spark/select.h"

static void format(enum sql_metric_type type, int64_t v, struct str *s) {
        switch (type) {
        case SQL_SIZE:
                jformat_bytes(s, v);
                break;
        case SQL_TIMING:
                jformat_duration(s, v);
                break;
        case SQL_NS_TIMING:
                jformat_duration(s, v / 1000000);
                break;
        default:
                jformat_tenths(s, v);
                break;
        }
}

bool sql_value_text(const struct sql_aggregate *a, struct str *s) {
        if (a->type == SQL_CUSTOM) {
                str_append_s(s, "N/A"); /* as a server without the metric's class */
                return true;
        }
        if (a->type == SQL_UNKNOWN)
                return false;
        uint64_t sum = 0;
        if (a->type == SQL_SUM) {
                for (size_t i = 0; i < a->count; i++)
                        sum += (uint64_t)a->values[i];
                jformat_grouped(s, (int64_t)sum);
                return true;
        }
        int64_t least = a->type == SQL_AVERAGE ? 1 : 0, min = INT64_MAX, max = INT64_MIN;
        size_t n = 0;
        for (size_t i = 0; i < a->count; i++) {
                int64_t v = a->values[i];
                if (v < least)
                        continue;
                a->values[n++] = v;
                sum += (uint64_t)v;
                min = v < min ? v : min;
                max = v > max ? v : max;
        }
        if (n <= 1) {
                format(a->type, n ? a->values[0] : 0, s);
                return true;
        }
        int64_t median = select_kth(a->values, n, n / 2);
        if (a->type == SQL_AVERAGE) {
                str_append_s(s, "(min, med, max (stageId: taskId)):\n(");
        } else {
                str_append_s(s, "total (min, med, max (stageId: taskId))\n");
                format(a->type, (int64_t)sum, s);
                str_append_s(s, " (");
        }
        format(a->type, min, s);
        str_append_s(s, ", ");
        format(a->type, median, s);
        str_append_s(s, ", ");
        format(a->type, max, s);
        if (a->has_max)
                str_appendf(s, " (stage %lld.%lld: task %lld))", (long long)a->max_stage, (long long)a->max_attempt,
                            (long long)a->max_task);
        else
                str_append_s(s, " (driver))");
        return true;
}

/* scala.collection.Hashing.improve */
static uint32_t improve(uint32_t h) {
        h += ~(h << 9);
        h ^= h >> 14;
        h += h << 4;
        return h ^ h >> 10;
}

/* A node of the hash trie lists what lies directly in it by its five bits, then its sub-nodes by theirs. */
static void trie_order(int32_t *items, size_t count, unsigned shift, int32_t *scratch) {
        if (count < 2 || shift >= 32)
                return;
        size_t in_bucket[32] = {0}, n = 0;
        for (size_t i = 0; i < count; i++)
                in_bucket[improve((uint32_t)items[i]) >> shift & 31]++;
        for (unsigned b = 0; b < 32; b++)
                for (size_t i = 0; in_bucket[b] == 1 && i < count; i++)
                        if ((improve((uint32_t)items[i]) >> shift & 31) == b)
                                scratch[n++] = items[i];
        size_t begin = n;
        for (unsigned b = 0; b < 32; b++)
                for (size_t i = 0; in_bucket[b] > 1 && i < count; i++)
                        if ((improve((uint32_t)items[i]) >> shift & 31) == b)
                                scratch[n++] = items[i];
        memcpy(items, scratch, count * sizeof(*items));
        for (unsigned b = 0; b < 32; b++)
                if (in_bucket[b] > 1) {
                        trie_order(items + begin, in_bucket[b], shift + 5, scratch);
                        begin += in_bucket[b];
                }
}

void scala_int_order(int32_t *items, size_t count) {
        if (count <= 4)
                return;
        AUTO(free) int32_t *scratch = xmalloc(count * sizeof(*scratch));
        trie_order(items, count, 0, scratch);
}
