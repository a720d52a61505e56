/* Making flows known to what relays them. */
#pragma once

#include "ask.h"
#include "wire.h"

struct ends {
    struct end *of[2]; /* by side */
    struct sockaddr_in relay[2]; /* where each side's relay is */
    uint16_t host_port;
};

/* Makes the first `count` flows ready, also when they were before: bindings that nobody uses end after a while. Returns what went
 * wrong, or NULL. */
const char *greet(enum wire wire, const struct ends *ends, struct flow *flows, uint32_t count);
