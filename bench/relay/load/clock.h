/* Times: of the machine, and of the processors on behalf of a program. */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

static inline uint64_t nanoseconds_of(clockid_t clock)
{
    struct timespec at = {0};
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static inline uint64_t nanoseconds_now(void)
{
    return nanoseconds_of(CLOCK_MONOTONIC);
}

static inline double seconds_now(void)
{
    return (double)nanoseconds_now() / 1e9;
}
