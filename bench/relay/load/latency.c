#include "latency.h"

#include <stdlib.h>

void latencies_make(struct latencies *latencies, size_t room)
{
    *latencies = (struct latencies){.all = room > 0 ? malloc(room * sizeof *latencies->all) : NULL};
    latencies->room = latencies->all != NULL ? room : 0;
}

void latencies_add(struct latencies *latencies, uint64_t nanoseconds)
{
    if (latencies->count < latencies->room)
        latencies->all[latencies->count++] = nanoseconds < UINT32_MAX ? (uint32_t)nanoseconds : UINT32_MAX;
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

uint64_t latencies_quantile(struct latencies *latencies, double share)
{
    if (latencies->count == 0)
        return 0;
    qsort(latencies->all, latencies->count, sizeof *latencies->all, compare);
    return latencies->all[(size_t)(share * (double)(latencies->count - 1))];
}

void latencies_drop(struct latencies *latencies)
{
    free(latencies->all);
    *latencies = (struct latencies){0};
}
