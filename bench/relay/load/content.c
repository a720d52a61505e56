#include "content.h"

#include <string.h>

static uint8_t pattern[LONGEST_CONTENT];

static const uint8_t *the_pattern(void)
{
    if (pattern[0] == 0)
        for (size_t at = 0; at < sizeof pattern; at++)
            pattern[at] = (uint8_t)(at * 151 + 89);
    return pattern;
}

void write_pattern(uint8_t *content, size_t length)
{
    if (length > sizeof(struct content))
        memcpy(content + sizeof(struct content), the_pattern(), length - sizeof(struct content));
}

bool is_pattern_right(const uint8_t *content, size_t length)
{
    return memcmp(content + sizeof(struct content), the_pattern(), length - sizeof(struct content)) == 0;
}

size_t length_of(size_t shortest, size_t longest, uint32_t flow, uint64_t number)
{
    if (shortest == longest)
        return shortest;
    uint64_t scattered = (flow * 0x9e3779b97f4a7c15u ^ number) * 0xd6e8feb86659fd93u;
    return shortest + (size_t)((scattered >> 32) % (longest - shortest + 1));
}
