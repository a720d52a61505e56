#include "turn.h"

#include <arpa/inet.h>
#include <string.h>

#include "ask.h"

enum { ALLOCATE = 0x0003, BIND_CHANNEL = 0x0009, SUCCESS = 0x0100, FAILURE = 0x0110 };
enum { CHANNEL_NUMBER = 0x000c, LIFETIME = 0x000d, PEER_ADDRESS = 0x0012, RELAYED_ADDRESS = 0x0016, TRANSPORT = 0x0019 };
enum { COOKIE = 0x2112a442, HEADER = 20, UDP = 17 };
static const uint32_t LIFETIME_SECONDS = 7200;
static uint16_t short_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint8_t *attribute(uint8_t *at, uint16_t type, const void *value, uint16_t length)
{
    uint16_t fields[2] = {htons(type), htons(length)};
    memcpy(at, fields, sizeof fields);
    memcpy(at + 4, value, length);
    return at + 4 + length;
}

static uint8_t *xored_address(uint8_t *at, uint16_t type, struct sockaddr_in address)
{
    uint8_t value[8] = {0, 1};
    uint16_t port = htons((uint16_t)(ntohs(address.sin_port) ^ (COOKIE >> 16)));
    uint32_t host = address.sin_addr.s_addr ^ htonl(COOKIE);
    memcpy(value + 2, &port, 2);
    memcpy(value + 4, &host, 4);
    return attribute(at, type, value, sizeof value);
}

/* The transaction is the number of the flow. */
static size_t write_request(uint8_t *at, uint16_t step, uint32_t number, const struct flow *flow, uint16_t host_port)
{
    uint8_t *end = at + HEADER;
    if (step == ALLOCATE) {
        uint8_t transport[4] = {UDP};
        uint32_t lifetime = htonl(LIFETIME_SECONDS);
        end = attribute(end, TRANSPORT, transport, sizeof transport);
        end = attribute(end, LIFETIME, &lifetime, sizeof lifetime);
    } else {
        uint16_t channel[2] = {htons(TURN_CHANNEL), 0};
        struct sockaddr_in host = {.sin_port = htons(host_port), .sin_addr = flow->address[HOST]};
        end = attribute(end, CHANNEL_NUMBER, channel, sizeof channel);
        end = xored_address(end, PEER_ADDRESS, host);
    }
    uint16_t fields[2] = {htons(step), htons((uint16_t)(end - at - HEADER))};
    uint32_t rest[4] = {htonl(COOKIE), 0, 0, htonl(number)};
    memcpy(at, fields, sizeof fields);
    memcpy(at + 4, rest, sizeof rest);
    return end - at;
}

static void read_relayed(const uint8_t *bytes, size_t length, struct sockaddr_in *relayed)
{
    for (size_t at = HEADER; at + 12 <= length; at += 4 + ((short_at(bytes + at + 2) + 3u) & ~3u)) {
        if (short_at(bytes + at) == RELAYED_ADDRESS) {
            uint32_t host;
            memcpy(&host, bytes + at + 8, 4);
            relayed->sin_family = AF_INET;
            relayed->sin_port = htons((uint16_t)(short_at(bytes + at + 6) ^ (COOKIE >> 16)));
            relayed->sin_addr.s_addr = host ^ htonl(COOKIE);
            return;
        }
    }
}

static bool is_allocated(const struct flow *flow)
{
    return flow->relayed.sin_port != 0;
}

static bool is_bound(const struct flow *flow)
{
    return flow->ready[CLIENT];
}

static void ask(struct asking *asking, uint32_t number, uint16_t step)
{
    const struct flow *flow = &asking->flows[number];
    uint8_t *place = end_place(asking->asks);
    size_t length = write_request(place, step, number, flow, asking->host_port);
    end_put(asking->asks, flow->address[CLIENT], asking->relay, place, length, length);
}

static void ask_allocation(struct asking *asking, uint32_t number)
{
    ask(asking, number, ALLOCATE);
}

static void ask_channel(struct asking *asking, uint32_t number)
{
    ask(asking, number, BIND_CHANNEL);
}

/* The flow that this answers for; NULL: none, or it was refused. */
static struct flow *answered(struct asking *asking, const struct arrival *arrival, uint16_t step)
{
    if (arrival->length < HEADER)
        return NULL;
    uint32_t number;
    memcpy(&number, arrival->bytes + 16, 4);
    number = ntohl(number);
    uint16_t type = short_at(arrival->bytes);
    if (type == (step | FAILURE))
        asking->refusal = "the TURN server refused an allocation or a channel";
    return number < asking->count && type == (step | SUCCESS) ? &asking->flows[number] : NULL;
}

static void hear_allocation(void *asking, const struct arrival *arrival)
{
    struct flow *flow = answered(asking, arrival, ALLOCATE);
    if (flow != NULL && !is_allocated(flow))
        read_relayed(arrival->bytes, arrival->length, &flow->relayed);
}

static void hear_channel(void *asking, const struct arrival *arrival)
{
    struct flow *flow = answered(asking, arrival, BIND_CHANNEL);
    if (flow != NULL)
        flow->ready[CLIENT] = flow->ready[HOST] = true;
}

const char *turn_connect(struct end *clients, struct sockaddr_in server, struct flow *flows, uint32_t count,
                         uint16_t host_port)
{
    struct asking asking = {.flows = flows, .count = count, .asks = clients, .hears = clients, .relay = server,
                            .host_port = host_port, .is_answered = is_allocated, .ask = ask_allocation,
                            .hear = hear_allocation};
    const char *failure = ask_all(&asking);
    if (failure != NULL)
        return failure;
    asking.is_answered = is_bound;
    asking.ask = ask_channel;
    asking.hear = hear_channel;
    return ask_all(&asking);
}
