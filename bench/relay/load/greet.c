#include "greet.h"

#include <string.h>

#include "turn.h"

static bool is_host_ready(const struct flow *flow)
{
    return flow->ready[HOST];
}

static bool is_client_ready(const struct flow *flow)
{
    return flow->ready[CLIENT];
}

static bool is_connected(const struct flow *flow)
{
    return flow->connection != 0;
}

static void ask_ping(struct asking *asking, uint32_t number, enum side side)
{
    const struct flow *flow = &asking->flows[number];
    uint8_t *place = end_place(asking->asks);
    write_ping(flow, side, place);
    end_put(asking->asks, flow->address[side], asking->relay, place, PING_LENGTH, PING_LENGTH);
}

static void ask_host_ping(struct asking *asking, uint32_t number)
{
    ask_ping(asking, number, HOST);
}

static void ask_client_ping(struct asking *asking, uint32_t number)
{
    ask_ping(asking, number, CLIENT);
}

static void hear_state(struct asking *asking, const struct arrival *arrival, enum side side)
{
    uint32_t number = flow_at(side, arrival->to);
    if (number >= asking->count || arrival->length != STATE_LENGTH || arrival->bytes[0] != PING)
        return;
    if (arrival->bytes[1] == VALID)
        asking->flows[number].ready[side] = true;
    else
        asking->refusal = "the relay does not know its sessions";
}

static void hear_host_state(void *asking, const struct arrival *arrival)
{
    hear_state(asking, arrival, HOST);
}

static void hear_client_state(void *asking, const struct arrival *arrival)
{
    hear_state(asking, arrival, CLIENT);
}

/* The host learns of a client by what the client says first. */
static void ask_word(struct asking *asking, uint32_t number)
{
    const struct flow *flow = &asking->flows[number];
    size_t header = header_to_relay(RELAY, CLIENT);
    uint8_t *place = end_place(asking->asks);
    write_header(RELAY, flow, CLIENT, place, 1);
    place[header] = 0;
    end_put(asking->asks, flow->address[CLIENT], asking->relay, place, header + 1, header + 1);
}

static void hear_word(void *context, const struct arrival *arrival)
{
    struct asking *asking = context;
    uint32_t number = flow_at(HOST, arrival->to);
    size_t header = header_from_relay(RELAY, CLIENT);
    if (number < asking->count && arrival->length == header + 1 && arrival->bytes[0] == DATA)
        memcpy(&asking->flows[number].connection, arrival->bytes + 1, 4);
}

static const char *greet_relay(const struct ends *ends, struct flow *flows, uint32_t count)
{
    struct end *hosts = ends->of[HOST], *clients = ends->of[CLIENT];
    struct asking steps[] = {
        {.asks = hosts, .hears = hosts, .is_answered = is_host_ready, .ask = ask_host_ping, .hear = hear_host_state},
        {.asks = clients, .hears = clients, .is_answered = is_client_ready, .ask = ask_client_ping, .hear = hear_client_state},
        {.asks = clients, .hears = hosts, .is_answered = is_connected, .ask = ask_word, .hear = hear_word},
    };
    for (uint32_t at = 0; at < count; at++)
        flows[at].ready[HOST] = flows[at].ready[CLIENT] = false;
    const char *failure = NULL;
    for (size_t at = 0; failure == NULL && at < sizeof steps / sizeof *steps; at++) {
        steps[at].flows = flows;
        steps[at].count = count;
        steps[at].relay = ends->relay[steps[at].asks == hosts ? HOST : CLIENT];
        failure = ask_all(&steps[at]);
    }
    return failure;
}

const char *greet(enum wire wire, const struct ends *ends, struct flow *flows, uint32_t count)
{
    for (int side = CLIENT; side <= HOST; side++)
        end_prepare(ends->of[side], 2048, false);
    switch (wire) {
    case RELAY:
        return greet_relay(ends, flows, count);
    case TURN:
        return turn_connect(ends->of[CLIENT], ends->relay[CLIENT], flows, count, ends->host_port);
    default:
        return NULL;
    }
}
