#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "content.h"
#include "latency.h"

/* Until queues and caches are as they stay. */
static const double BEGINNING = 0.05;
/* After so long without any arrival, what is in flight is lost. */
static const uint64_t PATIENCE = 200000000;
/* An open loop makes up for so much time, no more: a burst would measure the machine's scheduler. */
static const double MAKES_UP = 0.005;

/* The content's place is the same whatever stands before it, so that its pattern is written once. */
enum { CONTENT_START = LONGEST_HEADER + 3 };

struct running {
    struct world *world;
    const struct plan *plan;
    struct tally tally;
    bool measuring;
    uint64_t units;       /* what was sent, in runs */
    uint64_t written_off; /* datagrams that were given up for lost */
    uint64_t heard_at;
    struct latencies latencies;
};

static void send_unit(struct running *running, uint64_t stamp)
{
    struct world *world = running->world;
    const struct plan *plan = running->plan;
    uint32_t number = (uint32_t)(running->units % plan->flows);
    enum side from = plan->from[CLIENT] ? CLIENT : HOST;
    if (plan->from[CLIENT] && plan->from[HOST])
        from = running->units / plan->flows % 2 == 0 ? CLIENT : HOST;
    running->units++;
    struct flow *flow = &world->flows[number];
    struct end *end = world->ends.of[from];
    size_t header = header_to_relay(world->wire, from);
    uint8_t *first = end_place(end) + CONTENT_START - header, *at = first;
    size_t length = 0;
    for (unsigned nth = 0; nth < plan->together; nth++) {
        struct content content = {world->run, number, flow->sent[from]++, stamp};
        length = length_of(plan->shortest, plan->longest, number, content.number);
        write_header(world->wire, flow, from, at, length - header);
        memcpy(at + header, &content, sizeof content);
        at += length;
    }
    struct sockaddr_in to = world->wire == TURN && from == HOST ? flow->relayed : world->ends.relay[from];
    end_put(end, flow->address[from], to, first, (size_t)(at - first), length);
    running->tally.sent += plan->together;
}

static bool is_delivered(const struct world *world, const struct flow *flow, enum side side, const struct arrival *arrival)
{
    if (arrival->to.s_addr != flow->address[side].s_addr)
        return false;
    if (world->wire == PLAIN)
        return true; /* Forwarders answer from ports that nobody was told. */
    /* Peers take nothing but what comes from where they send to. */
    struct sockaddr_in from = world->wire == TURN && side == HOST ? flow->relayed : world->ends.relay[side];
    return arrival->from.sin_port == from.sin_port && arrival->from.sin_addr.s_addr == from.sin_addr.s_addr;
}

/* Asked more than once, it may be answered more than once. */
static bool is_greeting(enum wire wire, size_t length)
{
    return wire == RELAY && (length == STATE_LENGTH || length == header_from_relay(wire, CLIENT) + 1);
}

static void take(struct running *running, const struct arrival *arrival, enum side side)
{
    struct world *world = running->world;
    const struct plan *plan = running->plan;
    struct tally *tally = &running->tally;
    enum side from = other(side);
    size_t header = header_from_relay(world->wire, from);
    struct content content = {0};
    if (arrival->length >= header + sizeof content)
        memcpy(&content, arrival->bytes + header, sizeof content);
    else if (is_greeting(world->wire, arrival->length))
        return;
    if (content.run > 0 && content.run < world->run)
        return; /* Came too late for the run that it was sent in, and is lost there. */
    tally->received++;
    tally->measured += running->measuring;
    if (content.run != world->run || content.flow >= plan->flows) {
        tally->malformed++;
        return;
    }
    struct flow *flow = &world->flows[content.flow];
    size_t length = arrival->length - header;
    size_t right = length_of(plan->shortest, plan->longest, content.flow, content.number) - header_to_relay(world->wire, from);
    if (length != right || !is_header_right(world->wire, flow, from, arrival->bytes, length) ||
        !is_pattern_right(arrival->bytes + header, length))
        tally->malformed++;
    if (!is_delivered(world, flow, side, arrival))
        tally->misdelivered++;
    if (content.number < flow->expected[from])
        tally->reordered++;
    else
        flow->expected[from] = content.number + 1;
    if (running->measuring && plan->in_flight == 0)
        latencies_add(&running->latencies, running->heard_at - content.stamp);
}

static void take_at_client(void *running, const struct arrival *arrival)
{
    take(running, arrival, CLIENT);
}

static void take_at_host(void *running, const struct arrival *arrival)
{
    take(running, arrival, HOST);
}

static void receive(struct running *running, uint64_t now)
{
    const struct plan *plan = running->plan;
    const struct ends *ends = &running->world->ends;
    uint64_t before = running->heard_at;
    running->heard_at = now;
    unsigned count = 0;
    if (plan->from[CLIENT])
        count += end_receive(ends->of[HOST], take_at_host, running);
    if (plan->from[HOST])
        count += end_receive(ends->of[CLIENT], take_at_client, running);
    if (count == 0)
        running->heard_at = before;
}

static void flush(const struct running *running)
{
    for (int side = CLIENT; side <= HOST; side++)
        if (running->plan->from[side])
            end_flush(running->world->ends.of[side]);
}

/* How many units are due now. */
static unsigned due(struct running *running, uint64_t now, uint64_t began)
{
    const struct plan *plan = running->plan;
    struct tally *tally = &running->tally;
    if (plan->in_flight > 0) {
        int64_t flying = (int64_t)(tally->sent - tally->received - running->written_off);
        if (flying > 0 && now - running->heard_at > PATIENCE) {
            running->written_off += (uint64_t)flying;
            running->heard_at = now;
            flying = 0;
        }
        int64_t room = (plan->in_flight - flying) / plan->together;
        return room < 0 ? 0 : room < BATCH ? (unsigned)room : BATCH;
    }
    double late = (double)(now - began) * plan->rate / 1e9 - (double)(tally->sent + tally->slipped);
    if (late > plan->rate * MAKES_UP + BATCH) {
        tally->slipped += (uint64_t)late;
        return 0;
    }
    return late < plan->together ? 0 : late < BATCH * plan->together ? (unsigned)late / plan->together : BATCH;
}

static uint64_t relay_nanoseconds(const struct world *world)
{
    uint64_t all = 0;
    for (unsigned at = 0; at < world->relay_processes; at++)
        all += nanoseconds_of(world->relay_clocks[at]);
    return all;
}

static void prepare(const struct running *running)
{
    struct world *world = running->world;
    const struct plan *plan = running->plan;
    for (uint32_t at = 0; at < plan->flows; at++) {
        memset(world->flows[at].sent, 0, sizeof world->flows[at].sent);
        memset(world->flows[at].expected, 0, sizeof world->flows[at].expected);
    }
    /* What comes may be a longer run than any that was sent: a relay is free to join them. */
    size_t bytes = plan->together > 1 ? 65536 : LONGEST_CONTENT;
    for (int side = CLIENT; side <= HOST; side++) {
        end_prepare(world->ends.of[side], bytes, plan->together > 1);
        size_t header = header_to_relay(world->wire, side);
        for (unsigned place = 0; place < BATCH; place++) {
            uint8_t *content = end_place_of(world->ends.of[side], place) + CONTENT_START;
            for (unsigned nth = 0; nth < plan->together; nth++)
                write_pattern(content + nth * plan->longest, plan->longest - header);
        }
    }
}

struct tally run(struct world *world, const struct plan *plan)
{
    struct running running = {.world = world, .plan = plan};
    struct tally *tally = &running.tally;
    world->run++;
    prepare(&running);
    latencies_make(&running.latencies, plan->in_flight == 0 ? (size_t)(plan->rate * plan->seconds * 2) : 0);
    uint64_t overflows = end_overflows(world->ends.of[CLIENT]) + end_overflows(world->ends.of[HOST]);
    uint64_t began = nanoseconds_now(), now = began;
    uint64_t measured_from = began + (uint64_t)(BEGINNING * 1e9);
    uint64_t until = measured_from + (uint64_t)(plan->seconds * 1e9);
    running.heard_at = began;
    for (; now < until; now = nanoseconds_now()) {
        if (!running.measuring && now >= measured_from) {
            running.measuring = true;
            measured_from = now;
            tally->relay_nanoseconds = relay_nanoseconds(world);
            tally->own_nanoseconds = nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
        }
        unsigned units = due(&running, now, began);
        for (unsigned at = 0; at < units; at++)
            send_unit(&running, now);
        flush(&running);
        receive(&running, nanoseconds_now());
    }
    running.measuring = false;
    tally->seconds = (double)(now - measured_from) / 1e9;
    tally->relay_nanoseconds = relay_nanoseconds(world) - tally->relay_nanoseconds;
    tally->own_nanoseconds = nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID) - tally->own_nanoseconds;
    /* The last ones are under way. */
    while (tally->received < tally->sent && now - running.heard_at < PATIENCE) {
        now = nanoseconds_now();
        receive(&running, now);
    }
    tally->own_overflows = end_overflows(world->ends.of[CLIENT]) + end_overflows(world->ends.of[HOST]) - overflows;
    tally->latency_50 = latencies_quantile(&running.latencies, 0.5);
    tally->latency_99 = latencies_quantile(&running.latencies, 0.99);
    latencies_drop(&running.latencies);
    return *tally;
}
