#define _GNU_SOURCE
#include "end.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* Far more than is ever in flight. */
enum { BUFFER = 64 << 20 };

union note {
    char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t))];
    struct cmsghdr aligned;
};

struct batch {
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_in addresses[BATCH];
    union note notes[BATCH];
    uint8_t *buffer;
    size_t stride;
};

struct end {
    int socket;
    unsigned waiting; /* to be sent */
    uint32_t overflows;
    struct batch out, in;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

struct end *end_open(uint16_t port)
{
    struct end *end = calloc(1, sizeof *end);
    if (end == NULL)
        die("calloc");
    end->socket = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, bytes = BUFFER, whole = IP_PMTUDISC_PROBE;
    if (end->socket < 0 || bind(end->socket, (struct sockaddr *)&any, sizeof any) < 0)
        die("socket");
    if (setsockopt(end->socket, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) < 0 ||
        setsockopt(end->socket, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) < 0)
        die("setsockopt");
    /* Datagrams that might be cut into fragments cost a number to put these together by. */
    setsockopt(end->socket, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof whole);
    /* Beyond the limit for everybody where we may; what is lost for want of it is counted as ours. */
    if (setsockopt(end->socket, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(end->socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(end->socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(end->socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return end;
}

static void batch_prepare(struct batch *batch, size_t bytes)
{
    free(batch->buffer);
    batch->stride = (bytes + 127) & ~(size_t)63;
    batch->buffer = calloc(BATCH, batch->stride);
    if (batch->buffer == NULL)
        die("calloc");
    for (int at = 0; at < BATCH; at++) {
        batch->vectors[at].iov_base = batch->buffer + at * batch->stride;
        batch->headers[at].msg_hdr = (struct msghdr){
            .msg_name = &batch->addresses[at],
            .msg_namelen = sizeof batch->addresses[at],
            .msg_iov = &batch->vectors[at],
            .msg_iovlen = 1,
            .msg_control = &batch->notes[at],
        };
    }
}

void end_prepare(struct end *end, size_t bytes, bool runs)
{
    int on = runs;
    if (setsockopt(end->socket, SOL_UDP, UDP_GRO, &on, sizeof on) < 0 && runs)
        die("UDP_GRO");
    batch_prepare(&end->out, bytes);
    batch_prepare(&end->in, bytes);
}

uint8_t *end_place_of(struct end *end, unsigned number)
{
    return end->out.buffer + number * end->out.stride;
}

uint8_t *end_place(struct end *end)
{
    return end_place_of(end, end->waiting);
}

void end_put(struct end *end, struct in_addr from, struct sockaddr_in to, uint8_t *bytes, size_t length, size_t segment)
{
    unsigned at = end->waiting++;
    struct msghdr *header = &end->out.headers[at].msg_hdr;
    end->out.vectors[at] = (struct iovec){bytes, length};
    end->out.addresses[at] = to;
    header->msg_controllen = sizeof end->out.notes[at];
    struct cmsghdr *note = CMSG_FIRSTHDR(header);
    struct in_pktinfo source = {.ipi_spec_dst = from};
    *note = (struct cmsghdr){
        .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof source)};
    memcpy(CMSG_DATA(note), &source, sizeof source);
    size_t noted = CMSG_SPACE(sizeof source);
    if (segment < length) {
        uint16_t cut = (uint16_t)segment;
        note = CMSG_NXTHDR(header, note);
        *note = (struct cmsghdr){
            .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof cut)};
        memcpy(CMSG_DATA(note), &cut, sizeof cut);
        noted += CMSG_SPACE(sizeof cut);
    }
    header->msg_controllen = noted;
}

void end_flush(struct end *end)
{
    unsigned at = 0;
    while (at < end->waiting) {
        int sent = sendmmsg(end->socket, end->out.headers + at, end->waiting - at, MSG_DONTWAIT);
        if (sent > 0)
            at += sent;
        else if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != ECONNREFUSED)
            die("sendmmsg");
    }
    end->waiting = 0;
}

static size_t read_notes(struct end *end, struct msghdr *header, struct in_addr *to, size_t length)
{
    size_t segment = length;
    for (struct cmsghdr *note = CMSG_FIRSTHDR(header); note != NULL; note = CMSG_NXTHDR(header, note)) {
        if (note->cmsg_level == IPPROTO_IP && note->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo target;
            memcpy(&target, CMSG_DATA(note), sizeof target);
            *to = target.ipi_addr;
        } else if (note->cmsg_level == SOL_UDP && note->cmsg_type == UDP_GRO) {
            int cut;
            memcpy(&cut, CMSG_DATA(note), sizeof cut);
            segment = cut;
        } else if (note->cmsg_level == SOL_SOCKET && note->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&end->overflows, CMSG_DATA(note), sizeof end->overflows);
        }
    }
    return segment;
}

unsigned end_receive(struct end *end, each_arrival *each, void *context)
{
    struct batch *in = &end->in;
    for (int at = 0; at < BATCH; at++) {
        in->vectors[at].iov_len = in->stride;
        in->headers[at].msg_hdr.msg_namelen = sizeof in->addresses[at];
        in->headers[at].msg_hdr.msg_controllen = sizeof in->notes[at];
    }
    int count = recvmmsg(end->socket, in->headers, BATCH, MSG_DONTWAIT, NULL);
    if (count < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
        die("recvmmsg");
    unsigned datagrams = 0;
    for (int at = 0; at < count; at++) {
        size_t length = in->headers[at].msg_len;
        struct arrival arrival = {.from = in->addresses[at]};
        size_t segment = read_notes(end, &in->headers[at].msg_hdr, &arrival.to, length);
        const uint8_t *bytes = in->vectors[at].iov_base;
        do {
            arrival.bytes = bytes;
            arrival.length = length < segment ? length : segment;
            each(context, &arrival);
            datagrams++;
            bytes += arrival.length;
            length -= arrival.length;
        } while (length > 0);
    }
    return datagrams;
}

uint64_t end_overflows(const struct end *end)
{
    return end->overflows;
}
