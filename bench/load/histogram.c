#include "bench/load/histogram.h"

#include <string.h>

// Values below 2 * SUB_BUCKETS have a bucket each; above, the top SUB_BITS + 1 bits choose it.
static unsigned index_of(uint64_t value) {
    if (value < 2 * HISTOGRAM_SUB_BUCKETS) {
        return (unsigned)value;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return shift * HISTOGRAM_SUB_BUCKETS + (unsigned)(value >> shift);
}

static uint64_t middle_of(unsigned index) {
    if (index < 2 * HISTOGRAM_SUB_BUCKETS) {
        return index;
    }
    unsigned shift = index / HISTOGRAM_SUB_BUCKETS - 1;
    uint64_t top = index % HISTOGRAM_SUB_BUCKETS + HISTOGRAM_SUB_BUCKETS;
    return (top << shift) + (UINT64_C(1) << shift) / 2;
}

void histogram_init(struct histogram *histogram) {
    memset(histogram, 0, sizeof(*histogram));
}

void histogram_add(struct histogram *histogram, int64_t value) {
    uint64_t kept = value < 0 ? 0 : (uint64_t)value;
    histogram->count++;
    histogram->sum += kept;
    histogram->buckets[index_of(kept)]++;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile) {
    double wanted = quantile * (double)histogram->count;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_NUM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (histogram->buckets[i] > 0 && (double)seen >= wanted) {
            return middle_of(i);
        }
    }
    return 0;
}
