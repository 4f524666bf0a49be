# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: every message that was acknowledged is in the database, and its values after the restart."""

from __future__ import annotations

import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process
from tests.hub.running_hub import DEVICE, Authority, wait_until

from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Acknowledgement, Connack, Connect, Publish
from armillary.wire.mqtt.stream import PacketDecoder

RUNNER = Path(__file__).with_name("kill_runner.py")
EVENTS = f"devices/{DEVICE}/messages/events/"
WINDOW = 50


def numbered(number: int) -> bytes:
    return b'{"n":%d}' % number


def publish_until_killed(
    port: int,
    authority: Authority,
    first: int,
    acknowledged: list[int],
    level: int = 4,
    *,
    payload: Callable[[int], bytes] = numbered,
    pause_s: float = 0.0,
) -> None:
    """Publish numbered messages, a window at a time, and note which were acknowledged."""
    context = ssl.create_default_context(cafile=str(authority.folder / "root.pem"))
    context.load_cert_chain(authority.device(DEVICE))
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as hub,
    ):
        hub.sendall(encode_packet(Connect(client_id=DEVICE, level=level)))
        decoder = PacketDecoder(level=level)
        sent = first
        open_messages: dict[int, int] = {}
        while True:
            try:
                data = hub.recv(65536)
            except OSError:
                return
            if not data:
                return
            decoder.feed(data)
            while (packet := decoder.next()) is not None:
                if isinstance(packet, Acknowledgement):
                    acknowledged.append(open_messages.pop(packet.packet_id))
                else:
                    assert isinstance(packet, Connack)
            burst = b""
            while len(open_messages) < WINDOW:
                identifier = sent % 65535 + 1
                open_messages[identifier] = sent
                message = Publish(topic=EVENTS, payload=payload(sent), qos=1, packet_id=identifier)
                burst += encode_packet(message, level=level)
                sent += 1
            try:
                hub.sendall(burst)
            except OSError:
                return
            time.sleep(pause_s)


def killed_amid(
    command: list[str],
    authority: Authority,
    first: int,
    acknowledged: list[int],
    more: int,
    *,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Start a hub, publish to it, and kill it when ``more`` messages are acknowledged."""
    with killed_process(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        port = int(process.readline())
        wanted = len(acknowledged) + more
        arguments = (port, authority, first, acknowledged)
        publisher = threading.Thread(target=publish_until_killed, args=arguments, kwargs=options)
        publisher.start()
        wait_until(lambda: len(acknowledged) >= wanted or process.poll() is not None, "acknowledgements")
        assert process.poll() is None
        process.kill()
        publisher.join(10)
        assert not publisher.is_alive()


@pytest.mark.e2e
@pytest.mark.parametrize("level", [4, 5])
def test_every_acknowledged_message_is_kept_over_kill_9(tmp_path: Path, authority: Authority, level: int) -> None:
    folder = tmp_path / "hub"
    chance = random.Random(7)  # noqa: S311 - moments to kill at, the same in every run
    acknowledged: list[int] = []
    first = 0
    pem = authority.folder
    command = [sys.executable, str(RUNNER), str(folder), str(pem / "server.pem"), str(pem / "root.pem")]
    kills = effort(2, 4)
    for _ in range(kills):
        killed_amid(command, authority, first, acknowledged, chance.randint(200, 3000), level=level)
        first = max(acknowledged) + 10_000
    assert len(acknowledged) == len(set(acknowledged)) >= kills * 200

    messages, values = messages_and_values(folder)
    assert set(acknowledged) - set(messages) == set()
    assert sorted(values) == sorted(messages)  # each message's value exactly once, across all crashes


def messages_and_values(folder: Path, database: str = "") -> tuple[list[int], list[int]]:
    """The numbers in the log, and those among the values, once all of the log is decoded."""
    store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None, database=database)
    while store.decoder.work(1.0):
        pass
    assert store.decoder.damaged_blocks == 0
    messages = [int(message.payload[5:-1]) for message in store.messages(DEVICE, 10**6)]
    now = int(time.time() * 1000)
    store.commits.submit(store.begin_flush(now)).result()
    store.end_flush(kept=True)
    (key,) = (key for _, _, key in store.fleet.series([DEVICE], None))
    values = [int(value) for points in store.stream(key, 0, now + 10**6) for value in points.values]
    store.close(now)
    return messages, values
