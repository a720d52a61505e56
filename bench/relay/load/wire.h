/* What stands before the content of a datagram, on the way to a relay and from it. */
#pragma once

#include <stddef.h>

#include "flow.h"

enum wire {
    PLAIN, /* nothing: forwarders with one destination */
    RELAY, /* our relay's frames */
    TURN,  /* ChannelData between client and server, nothing between server and host */
};

enum { LONGEST_HEADER = 13 };

size_t header_to_relay(enum wire wire, enum side from);
size_t header_from_relay(enum wire wire, enum side from);
void write_header(enum wire wire, const struct flow *flow, enum side from, uint8_t *at, size_t content);
bool is_header_right(enum wire wire, const struct flow *flow, enum side from, const uint8_t *at, size_t content);

enum { PING = 1, DATA = 2, VALID = 2, PING_LENGTH = 9, STATE_LENGTH = 2 };

void write_ping(const struct flow *flow, enum side from, uint8_t *at);
