/* The floor: what the kernel takes for a datagram in and a datagram out, many per system call, with nothing done in between.
 *
 *     bare PORT DESTINATION_PORT DESTINATION_ADDRESS
 *
 * Whatever comes to the one port goes to the one destination as it is. Like a relay it receives on one socket and sends on
 * another, and sleeps when nothing is waiting. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, LONGEST = 2048, BUFFER = 4 << 20 };

static struct mmsghdr in[BATCH], out[BATCH];
static struct iovec in_vectors[BATCH], out_vectors[BATCH];
static struct sockaddr_in sources[BATCH];
static char buffer[BATCH][LONGEST];

static int open_socket(int port)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, SOCK_DGRAM, 0), bytes = BUFFER;
    setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    setsockopt(made, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    if (made < 0 || bind(made, (struct sockaddr *)&here, sizeof here) < 0) {
        perror("bare");
        exit(1);
    }
    return made;
}

int main(int count, char **arguments)
{
    if (count != 4)
        return 2;
    int receives = open_socket(atoi(arguments[1])), sends = open_socket(0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[2]))};
    inet_pton(AF_INET, arguments[3], &to.sin_addr);
    for (int at = 0; at < BATCH; at++) {
        in_vectors[at] = (struct iovec){buffer[at], LONGEST};
        in[at].msg_hdr = (struct msghdr){.msg_name = &sources[at], .msg_iov = &in_vectors[at], .msg_iovlen = 1};
        out_vectors[at].iov_base = buffer[at];
        out[at].msg_hdr = (struct msghdr){
            .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &out_vectors[at], .msg_iovlen = 1};
    }
    struct pollfd waiting = {.fd = receives, .events = POLLIN};
    for (;;) {
        for (int at = 0; at < BATCH; at++)
            in[at].msg_hdr.msg_namelen = sizeof sources[at];
        int received = recvmmsg(receives, in, BATCH, MSG_DONTWAIT, NULL);
        for (int at = 0; at < received; at++)
            out_vectors[at].iov_len = in[at].msg_len;
        for (int sent = 0; sent < received;) {
            int more = sendmmsg(sends, out + sent, (unsigned)(received - sent), MSG_DONTWAIT);
            sent += more > 0 ? more : 1; /* An error is about the first of them. */
        }
        if (received < BATCH)
            poll(&waiting, 1, -1);
    }
}
