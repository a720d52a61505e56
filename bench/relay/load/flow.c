#include "flow.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* All of 127.0.0.0/8 is this machine; each side has a range for a million peers. */
static const uint32_t FIRST[2] = {0x7f100000, 0x7f400000};

struct flow *flows_make(uint32_t count, bool one_host)
{
    struct flow *flows = calloc(count, sizeof *flows);
    if (flows == NULL)
        return NULL;
    for (uint32_t at = 0; at < count; at++) {
        /* Odd factors: no two alike, and as scattered as tokens are. `serve.py` and `node_relay.js` know them too. */
        flows[at].session = (at + 1) * 0x9e3779b1u;
        flows[at].token[HOST] = (at + 1) * 0x85ebca6bu;
        flows[at].token[CLIENT] = (at + 1) * 0xc2b2ae35u;
        flows[at].address[CLIENT].s_addr = htonl(FIRST[CLIENT] + at);
        flows[at].address[HOST].s_addr = htonl(FIRST[HOST] + (one_host ? 0 : at));
    }
    return flows;
}

uint32_t flow_at(enum side side, struct in_addr address)
{
    return ntohl(address.s_addr) - FIRST[side];
}
