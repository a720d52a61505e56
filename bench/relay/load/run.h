/* One measurement: so much time of datagrams from peers through a relay to peers, counted where they arrive. */
#pragma once

#include "greet.h"

struct plan {
    double seconds;
    size_t shortest, longest; /* bytes on the way to the relay */
    uint32_t flows;
    bool from[2];             /* who sends: clients, hosts or both */
    unsigned together;        /* datagrams of one peer that leave as one packet */
    unsigned in_flight;       /* closed loop: so many are on their way at any time; 0: open loop */
    double rate;              /* open loop: datagrams per second, however many arrive */
};

struct tally {
    double seconds;             /* that are measured, after the beginning */
    uint64_t measured;          /* arrived in them */
    uint64_t relay_nanoseconds; /* of CPU time that the relay used in them */
    uint64_t own_nanoseconds;   /* and we */
    uint64_t sent, received;    /* all in all */
    uint64_t misdelivered, malformed, reordered;
    uint64_t slipped;           /* open loop: not sent, for the machine gave us no time */
    uint64_t own_overflows;     /* lost at our own sockets */
    uint64_t latency_50, latency_99; /* nanoseconds one way; open loop only */
};

struct world {
    enum wire wire;
    struct ends ends;
    struct flow *flows;
    const clockid_t *relay_clocks;
    unsigned relay_processes;
    uint32_t run; /* the number of the last one */
};

struct tally run(struct world *world, const struct plan *plan);
