/* Offers datagrams to a relay and counts what comes out of it.
 *
 *     load plain|relay|turn RELAY_FOR_CLIENTS RELAY_FOR_HOSTS CLIENTS_PORT HOSTS_PORT FLOWS [PID...]
 *
 * The relay's ports and the peers' are on this machine; PIDs are the relay's processes, whose CPU time is counted. Says `ready` once the
 * relay knows all flows, and then obeys its input, one line at a time:
 *
 *     run SECONDS SHORTEST LONGEST FLOWS clients|hosts|both TOGETHER IN_FLIGHT RATE
 *
 * The answer is one line of JSON; the struct `tally` in run.h says what is in it. Without a command it sleeps. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "content.h"
#include "run.h"

enum { PROCESSES = 16 };

static struct sockaddr_in relay_at(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    return 1;
}

static bool read_plan(const char *line, struct plan *plan)
{
    char from[8];
    if (sscanf(line, "run %lf %zu %zu %u %7s %u %u %lf", &plan->seconds, &plan->shortest, &plan->longest, &plan->flows, from,
               &plan->together, &plan->in_flight, &plan->rate) != 8)
        return false;
    plan->from[CLIENT] = strcmp(from, "hosts") != 0;
    plan->from[HOST] = strcmp(from, "clients") != 0;
    size_t smallest = LONGEST_HEADER + sizeof(struct content);
    /* A run is cut into equal pieces. */
    return plan->shortest >= smallest && plan->shortest <= plan->longest && plan->longest <= LONGEST_CONTENT &&
           plan->together > 0 && plan->longest * plan->together < 65000 &&
           (plan->together == 1 || plan->shortest == plan->longest) && plan->flows > 0;
}

static void say(const struct tally *tally)
{
    printf("{\"seconds\": %f, \"measured\": %lu, \"relay_nanoseconds\": %lu, \"own_nanoseconds\": %lu, \"sent\": %lu, "
           "\"received\": %lu, \"misdelivered\": %lu, \"malformed\": %lu, \"reordered\": %lu, \"slipped\": %lu, "
           "\"own_overflows\": %lu, \"latency_50\": %lu, \"latency_99\": %lu}\n",
           tally->seconds, tally->measured, tally->relay_nanoseconds, tally->own_nanoseconds, tally->sent, tally->received,
           tally->misdelivered, tally->malformed, tally->reordered, tally->slipped, tally->own_overflows, tally->latency_50,
           tally->latency_99);
    fflush(stdout);
}

int main(int count, char **arguments)
{
    if (count < 7 || count > 7 + PROCESSES)
        return fail("see the head of main.c for its arguments");
    static const char *const WIRES[] = {[PLAIN] = "plain", [RELAY] = "relay", [TURN] = "turn"};
    struct world world = {.wire = PLAIN};
    while (world.wire < TURN && strcmp(arguments[1], WIRES[world.wire]) != 0)
        world.wire++;
    uint32_t flows = (uint32_t)atoi(arguments[6]);
    world.ends = (struct ends){
        .of = {[CLIENT] = end_open((uint16_t)atoi(arguments[4])), [HOST] = end_open((uint16_t)atoi(arguments[5]))},
        .relay = {[CLIENT] = relay_at(arguments[2]), [HOST] = relay_at(arguments[3])},
        .host_port = (uint16_t)atoi(arguments[5]),
    };
    world.flows = flows_make(flows, world.wire == PLAIN);
    clockid_t clocks[PROCESSES];
    for (int at = 7; at < count; at++)
        if (clock_getcpuclockid(atoi(arguments[at]), &clocks[world.relay_processes++]) != 0)
            return fail("there is no such process");
    world.relay_clocks = clocks;
    const char *failure = greet(world.wire, &world.ends, world.flows, flows);
    if (failure != NULL)
        return fail(failure);
    printf("ready\n");
    fflush(stdout);
    char line[256];
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct plan plan;
        if (!read_plan(line, &plan) || plan.flows > flows)
            return fail("this cannot be run");
        failure = greet(world.wire, &world.ends, world.flows, plan.flows);
        if (failure != NULL)
            return fail(failure);
        struct tally tally = run(&world, &plan);
        say(&tally);
    }
    return 0;
}
