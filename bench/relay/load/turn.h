/* As much of TURN (RFC 8656) as it takes to be relayed: an allocation for each client, and a channel to its host. */
#pragma once

#include "end.h"
#include "flow.h"

/* Each client has an allocation of its own, so that one number does for all. */
enum { TURN_CHANNEL = 0x4000 };

/* Makes those flows ready that are not yet; they stay so for two hours. Returns what went wrong, or NULL. */
const char *turn_connect(struct end *clients, struct sockaddr_in server, struct flow *flows, uint32_t count,
                         uint16_t host_port);
