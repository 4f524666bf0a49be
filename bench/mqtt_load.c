// SPDX-License-Identifier: Apache-2.0
// MQTT 3.1.1 load: N connections publish with QoS 1, each keeping a window of unacknowledged messages.
//
//   mqtt_load HOST PORT CONNECTIONS WINDOW PAYLOAD_BYTES SECONDS
//
// Client ids are 128 hex digits (device ids of this project), topics devices/{id}/messages/events/, payloads JSON
// padded to PAYLOAD_BYTES. Prints one line: "<acknowledged> <seconds>". One thread, epoll, frames built once;
// only the packet identifiers change. Runs a warm-up of a quarter of the time, which is not counted.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int socket;
    int ready;            // CONNACK seen
    int partial;          // bytes of an incomplete PUBACK seen
    uint16_t identifier;  // next packet identifier
    size_t size;          // bytes of one PUBLISH
    size_t identifier_at; // where its packet identifier stands
    uint8_t *frames;      // WINDOW copies of the PUBLISH
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static size_t put_length(uint8_t *out, size_t length) {
    size_t n = 0;
    do {
        uint8_t byte = length % 128;
        length /= 128;
        out[n++] = length ? byte | 128 : byte;
    } while (length);
    return n;
}

static void send_all(int socket, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) continue; // the window is small against the socket's buffer: rare
            die("send");
        }
        data += sent;
        size -= sent;
    }
}

static void publish(struct connection *c, int count) {
    for (int i = 0; i < count; i++) {
        uint8_t *at = c->frames + i * c->size + c->identifier_at;
        at[0] = c->identifier >> 8;
        at[1] = c->identifier & 255;
        if (++c->identifier == 0) c->identifier = 1;
    }
    send_all(c->socket, c->frames, count * c->size);
}

static void start(struct connection *c, int number, const struct sockaddr_in *address, int window, int payload) {
    char id[129], topic[256];
    for (int i = 0; i < 128; i += 8) snprintf(id + i, 9, "%08x", number + i);
    snprintf(topic, sizeof topic, "devices/%s/messages/events/", id);
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0 || connect(c->socket, (const struct sockaddr *)address, sizeof *address)) die("connect");
    int one = 1;
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

    uint8_t connect_packet[256] = {0x10};
    size_t at = 1 + put_length(connect_packet + 1, 10 + 2 + 128);
    memcpy(connect_packet + at, "\0\4MQTT\4\2\0\0\0\200", 12);
    memcpy(connect_packet + at + 12, id, 128);
    send_all(c->socket, connect_packet, at + 12 + 128);

    size_t topic_size = strlen(topic), remaining = 2 + topic_size + 2 + payload;
    uint8_t head[8] = {0x32};
    size_t head_size = 1 + put_length(head + 1, remaining);
    c->size = head_size + remaining;
    c->identifier = 1;
    c->identifier_at = head_size + 2 + topic_size;
    c->frames = malloc(c->size * window);
    for (int i = 0; i < window; i++) {
        uint8_t *frame = c->frames + i * c->size;
        memcpy(frame, head, head_size);
        frame[head_size] = topic_size >> 8;
        frame[head_size + 1] = topic_size & 255;
        memcpy(frame + head_size + 2, topic, topic_size);
        int n = snprintf((char *)frame + c->identifier_at + 2, payload, "{\"temperature\":%d.5,\"humidity\":40.25,\"on\":true,\"pad\":\"", 20 + i % 10);
        memset(frame + c->identifier_at + 2 + n, 'x', payload - n);
        memcpy(frame + c->size - 2, "\"}", 2);
    }
    fcntl(c->socket, F_SETFL, O_NONBLOCK);
}

int main(int argc, char **argv) {
    if (argc != 7) return fprintf(stderr, "usage: mqtt_load HOST PORT CONNECTIONS WINDOW PAYLOAD_BYTES SECONDS\n"), 2;
    int count = atoi(argv[3]), window = atoi(argv[4]), payload = atoi(argv[5]);
    double seconds = atof(argv[6]);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    struct connection *connections = calloc(count, sizeof *connections);
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        start(&connections[i], i + 1, &address, window, payload);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].socket, &event);
    }
    double begin = now() + seconds / 4, end = begin + seconds;
    long acknowledged = 0;
    int counting = 0;
    struct epoll_event events[64];
    uint8_t buffer[65536];
    for (;;) {
        double t = now();
        if (t >= end) break;
        if (!counting && t >= begin) counting = 1, acknowledged = 0, begin = t;
        int n = epoll_wait(poll, events, 64, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t got = recv(c->socket, buffer, sizeof buffer, 0);
            if (got <= 0) {
                if (got < 0 && errno == EAGAIN) continue;
                return fprintf(stderr, "connection closed by the broker\n"), 1;
            }
            if (!c->ready) {
                if (got != 4 || buffer[0] != 0x20 || buffer[3]) return fprintf(stderr, "refused\n"), 1;
                c->ready = 1;
                publish(c, window);
                continue;
            }
            int bytes = c->partial + got, done = bytes / 4;
            c->partial = bytes % 4;
            acknowledged += done;
            if (done) publish(c, done);
        }
    }
    printf("%ld %f\n", acknowledged, now() - begin);
    return 0;
}
