/* How much memory a driver's container gets: the heap and what Spark adds to it. */
#ifndef FIRESTEEL_SPARK_MEMORY_H
#define FIRESTEEL_SPARK_MEMORY_H

#include "spark/conf.h"

struct driver_memory {
        int64_t heap_mib;
        int64_t overhead_mib;
        int64_t total_mib;
        double factor;         /* spark.kubernetes.memoryOverheadFactor as it is written into the driver's properties */
};

/* `jvm`: the application is no Python or R program (these get a larger share by default). */
MUST_USE int driver_memory(struct spark_conf *conf, bool jvm, struct driver_memory *ret, struct err *err);

#endif
