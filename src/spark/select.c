#include "spark/select.h"

int64_t select_kth(int64_t *v, size_t n, size_t k) {
        size_t lo = 0, hi = n - 1;
        while (lo < hi) {
                int64_t pivot = v[lo + (hi - lo) / 2];
                size_t i = lo, j = hi;
                for (;;) {
                        while (v[i] < pivot)
                                i++;
                        while (v[j] > pivot)
                                j--;
                        if (i >= j)
                                break;
                        int64_t t = v[i];
                        v[i++] = v[j];
                        v[j--] = t;
                }
                if (k <= j)
                        hi = j;
                else
                        lo = j + 1;
        }
        return v[k];
}
