/* Who talks to whom. A flow is one client and one host, who know each other through a relay. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum side { CLIENT, HOST };

static inline enum side other(enum side side)
{
    return side == CLIENT ? HOST : CLIENT;
}

struct flow {
    uint32_t session;          /* tokens of the relay's protocol */
    uint32_t token[2];         /* by side */
    struct in_addr address[2]; /* each peer has one of its own */
    uint32_t connection;       /* how the host knows the client; 0: not known yet */
    struct sockaddr_in relayed; /* where a TURN server takes what the host says */
    bool ready[2];             /* its relay has answered */
    uint64_t sent[2];          /* by the side that sends, in this run */
    uint64_t expected[2];      /* the number that must come next */
};

/* All flows, numbered from 0. `one_host`: they all end at the host of the first, for relays that know one only. */
struct flow *flows_make(uint32_t count, bool one_host);

/* The flow whose peer on this side has this address; `count` or more: none. */
uint32_t flow_at(enum side side, struct in_addr address);
