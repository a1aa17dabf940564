#include "spark/memory.h"

#include <limits.h>

static const double OTHER_FACTOR = 0.4; /* Python and R keep more outside the heap */
enum { MIN_OVERHEAD_MIB = 384 };

/* Scala's Double.toInt */
static int to_int(double d) { return d != d ? 0 : d >= INT_MAX ? INT_MAX : d <= INT_MIN ? INT_MIN : (int)d; }

int driver_memory(struct spark_conf *conf, bool jvm, struct driver_memory *ret, struct err *err) {
        struct driver_memory m = {.factor = OTHER_FACTOR};
        int64_t least = MIN_OVERHEAD_MIB;
        int r = conf_long(conf, "spark.driver.memory", &m.heap_mib, err);
        if (r >= 0 && (jvm || conf_has(conf, "spark.kubernetes.memoryOverheadFactor")))
                r = conf_double(conf, "spark.kubernetes.memoryOverheadFactor", &m.factor, err);
        if (r >= 0 && spark_features(conf->version.line)->min_memory_overhead)
                r = conf_long(conf, "spark.driver.minMemoryOverhead", &least, err);
        double factor = m.factor;
        if (r >= 0 && conf_has(conf, "spark.driver.memoryOverheadFactor"))
                r = conf_double(conf, "spark.driver.memoryOverheadFactor", &factor, err);
        if (r < 0)
                return r;
        if (conf_has(conf, "spark.driver.memoryOverhead")) {
                r = conf_long(conf, "spark.driver.memoryOverhead", &m.overhead_mib, err);
                if (r < 0)
                        return r;
        } else {
                m.overhead_mib = to_int(factor * (double)m.heap_mib);
                if (m.overhead_mib < least)
                        m.overhead_mib = least;
        }
        m.total_mib = m.heap_mib + m.overhead_mib;
        *ret = m;
        return 0;
}
