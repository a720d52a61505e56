/* What is sent, so that its receiver can tell whether it is that. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What every datagram's content begins with; a fixed pattern follows. */
struct content {
    uint32_t run;    /* leftovers of an earlier run are not this one's */
    uint32_t flow;
    uint64_t number; /* in the flow, and direction */
    uint64_t stamp;  /* when it was sent, in nanoseconds */
};

enum { LONGEST_CONTENT = 2048 };

void write_pattern(uint8_t *content, size_t length);
bool is_pattern_right(const uint8_t *content, size_t length);

/* The length of a datagram on its way to the relay: mixed ones are scattered between the two, by flow and number. */
size_t length_of(size_t shortest, size_t longest, uint32_t flow, uint64_t number);
