# SPDX-License-Identifier: Apache-2.0
"""The load of ``mqtt_load.c`` in Python, for machines without a C compiler: same arguments, same output, slower."""

from __future__ import annotations

import select
import socket
import sys
import time

from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Connect, Publish


def body_of(size: int) -> bytes:
    head = b'{"temperature":21.5,"humidity":40.25,"on":true,"pad":"'
    return head + b"x" * (size - len(head) - 2) + b'"}'


class Publisher:
    """One connection with its frames, built once."""

    def __init__(self, host: str, port: int, number: int, window: int, payload: int) -> None:
        device_id = f"{number:08x}" * 16
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(encode_packet(Connect(client_id=device_id)))
        topic = f"devices/{device_id}/messages/events/"
        # Identifiers may repeat once acknowledged: one window of frames serves for ever.
        frames = [
            encode_packet(Publish(topic=topic, payload=body_of(payload), qos=1, packet_id=each + 1))
            for each in range(window)
        ]
        self.size = len(frames[0])
        self.frames = b"".join(frames)
        self.ready = False
        self.partial = 0

    def receive(self) -> int:
        """Take acknowledgements, send as many messages; how many were acknowledged."""
        got = self.socket.recv(65536)
        if not got:
            raise SystemExit("connection closed by the broker")
        if not self.ready:
            if got != b"\x20\x02\0\0":
                raise SystemExit("refused")
            self.ready = True
            self.socket.sendall(self.frames)
            return 0
        done, self.partial = divmod(self.partial + len(got), 4)
        self.socket.sendall(self.frames[: done * self.size])
        return done


def main(host: str, port: int, connections: int, window: int, payload: int, seconds: float) -> None:
    poll = select.epoll()
    publishers: dict[int, Publisher] = {}
    for number in range(connections):
        publisher = Publisher(host, port, number + 1, window, payload)
        publishers[publisher.socket.fileno()] = publisher
        poll.register(publisher.socket, select.EPOLLIN)
    begin = time.monotonic() + seconds / 4
    acknowledged = 0
    counting = False
    while (now := time.monotonic()) < begin + seconds:
        if not counting and now >= begin:
            counting, acknowledged, begin = True, 0, now
        for descriptor, _ in poll.poll(0.1):
            acknowledged += publishers[descriptor].receive()
    print(acknowledged, time.monotonic() - begin)


if __name__ == "__main__":
    main(sys.argv[1], *(int(each) for each in sys.argv[2:6]), float(sys.argv[6]))
