#include "spark/select.h"

#include <math.h>
#include <stdbool.h>

/* Moves what is smaller than the pivot (with `or_equal` also what is equal) to the front of [from, to) and returns where that ends. There
 * is nothing to predict for the processor: each number is written, whatever it is. */
static inline size_t partition(int64_t *v, size_t from, size_t to, int64_t pivot, bool or_equal) {
        size_t end = from;
        for (size_t i = from; i < to; i++) {
                int64_t x = v[i];
                v[i] = v[end];
                v[end] = x;
                end += or_equal ? x <= pivot : x < pivot;
        }
        return end;
}

/* Floyd and Rivest's SELECT in [from, to): of a long range, a small sample around k is ordered first, so that the pivot is next to the
 * answer. */
static void select_range(int64_t *v, size_t from, size_t to, size_t k) {
        enum { LONG = 600 };
        while (to - from > 1) {
                if (to - from > LONG) {
                        double n = (double)(to - from), i = (double)(k - from), z = log(n);
                        double s = 0.5 * exp(2 * z / 3), sd = 0.5 * sqrt(z * s * (n - s) / n) * (i < n / 2 ? -1 : 1);
                        double low = (double)k - i * s / n + sd, high = (double)k + (n - i) * s / n + sd + 1;
                        select_range(v, low > (double)from ? (size_t)low : from, high < (double)to ? (size_t)high : to, k);
                }
                int64_t pivot = v[k];
                size_t less = partition(v, from, to, pivot, false);
                if (k < less) {
                        to = less;
                        continue;
                }
                from = partition(v, less, to, pivot, true);
                if (k < from)
                        return;
        }
}

int64_t select_kth(int64_t *v, size_t n, size_t k) {
        if (n)
                select_range(v, 0, n, k);
        return v[k];
}
