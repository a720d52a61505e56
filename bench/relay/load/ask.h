/* Asking something of a relay for every flow, until all of it is answered. */
#pragma once

#include "end.h"
#include "flow.h"

struct asking {
    struct flow *flows;
    uint32_t count;
    struct end *asks, *hears; /* which may be the same */
    bool (*is_answered)(const struct flow *flow);
    /* Puts the question about the flow of this number. */
    void (*ask)(struct asking *asking, uint32_t number);
    /* Takes an answer, which is passed with the asking as its context. */
    each_arrival *hear;
    struct sockaddr_in relay;
    uint16_t host_port;
    const char *refusal; /* set by `hear` */
};

/* Returns what went wrong, or NULL. What is not answered is asked again. */
const char *ask_all(struct asking *asking);
