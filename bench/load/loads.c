#include "bench/load/loads.h"

#include <inttypes.h>
#include <stdio.h>

void loads_print_latency(const char *name, const struct histogram *histogram) {
    uint64_t count = histogram->count;
    printf("\"%s\":{\"count\":%" PRIu64 ",\"mean\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64
           ",\"p999\":%" PRIu64 "}",
           name, count, count > 0 ? histogram->sum / count : 0, histogram_quantile(histogram, 0.5),
           histogram_quantile(histogram, 0.99), histogram_quantile(histogram, 0.999));
}
