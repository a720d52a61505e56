/* All peers of one side, on one socket: each datagram has its peer's own source address, and each that comes says which peer
 * it came to. Many datagrams per system call, so that the relay is what is measured. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH = 64 };

struct end;

struct arrival {
    struct sockaddr_in from;
    struct in_addr to;
    const uint8_t *bytes;
    size_t length;
};

/* Any peer's port is `port`. Ends the program when there is no socket to be had. */
struct end *end_open(uint16_t port);

/* Room for `bytes` in every datagram, or run of datagrams, to be sent and received. `runs`: take runs as one packet. */
void end_prepare(struct end *end, size_t bytes, bool runs);

/* Where the next datagram, or run of them, is written; then `end_put` it, from there or a little after. At most BATCH of them
 * before `end_flush`. A run is cut into segments. */
uint8_t *end_place(struct end *end);
uint8_t *end_place_of(struct end *end, unsigned number); /* Likewise, of the one of this number in the batch, from 0. */
void end_put(struct end *end, struct in_addr from, struct sockaddr_in to, uint8_t *bytes, size_t length, size_t segment);
void end_flush(struct end *end);

/* Calls `each` for every datagram that is waiting, up to a batch; returns how many. Never waits. */
typedef void each_arrival(void *context, const struct arrival *arrival);
unsigned end_receive(struct end *end, each_arrival *each, void *context);

/* Datagrams that were lost here, for which no relay is to blame. */
uint64_t end_overflows(const struct end *end);
