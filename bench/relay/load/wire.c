#include "wire.h"

#include <arpa/inet.h>
#include <string.h>

#include "turn.h"

static const size_t TO_RELAY[3][2] = {[PLAIN] = {0, 0}, [RELAY] = {9, 13}, [TURN] = {4, 0}};
static const size_t FROM_RELAY[3][2] = {[PLAIN] = {0, 0}, [RELAY] = {5, 1}, [TURN] = {0, 4}};

size_t header_to_relay(enum wire wire, enum side from)
{
    return TO_RELAY[wire][from];
}

size_t header_from_relay(enum wire wire, enum side from)
{
    return FROM_RELAY[wire][from];
}

static void write_tokens(const struct flow *flow, enum side from, uint8_t type, uint8_t *at)
{
    memcpy(at, &flow->token[from], 4);
    memcpy(at + 4, &flow->session, 4);
    at[8] = type;
}

static void write_channel(uint8_t *at, size_t content)
{
    uint16_t fields[2] = {htons(TURN_CHANNEL), htons((uint16_t)content)};
    memcpy(at, fields, sizeof fields);
}

void write_header(enum wire wire, const struct flow *flow, enum side from, uint8_t *at, size_t content)
{
    if (wire == RELAY) {
        write_tokens(flow, from, DATA, at);
        if (from == HOST)
            memcpy(at + 9, &flow->connection, 4);
    } else if (wire == TURN && from == CLIENT) {
        write_channel(at, content);
    }
}

bool is_header_right(enum wire wire, const struct flow *flow, enum side from, const uint8_t *at, size_t content)
{
    if (wire == RELAY)
        return at[0] == DATA && (from == HOST || memcmp(at + 1, &flow->connection, 4) == 0);
    if (wire == TURN && from == HOST) {
        uint8_t right[4];
        write_channel(right, content);
        return memcmp(at, right, sizeof right) == 0;
    }
    return true;
}

void write_ping(const struct flow *flow, enum side from, uint8_t *at)
{
    write_tokens(flow, from, PING, at);
}
