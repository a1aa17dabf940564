/* Order statistics without sorting: the k-th smallest of a list of numbers. */
#ifndef FIRESTEEL_SPARK_SELECT_H
#define FIRESTEEL_SPARK_SELECT_H

#include <stddef.h>
#include <stdint.h>

/* Leaves the k-th smallest (k < n) at place k, smaller ones before, larger ones behind, and returns it. */
int64_t select_kth(int64_t *v, size_t n, size_t k);

#endif
