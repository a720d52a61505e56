/* Latencies that were seen, and their quantiles. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct latencies {
    uint32_t *all; /* nanoseconds */
    size_t count, room;
};

void latencies_make(struct latencies *latencies, size_t room);
void latencies_add(struct latencies *latencies, uint64_t nanoseconds); /* Those beyond the room are left out. */
uint64_t latencies_quantile(struct latencies *latencies, double share); /* 0 when there are none. */
void latencies_drop(struct latencies *latencies);
