# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment: every acknowledged message was evaluated once, every firing is there once and told of."""

from __future__ import annotations

import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.fixtures.processes import killed_process
from tests.hub.running_hub import DEVICE, Authority, wait_until

from armillary.engines.rules.store import RuleStore
from armillary.engines.series.store import Retention, SeriesStore
from armillary.platform.rules.actions import MAX_ATTEMPTS_OF_TARGET
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Acknowledgement, Connack, Connect, Publish
from armillary.wire.mqtt.stream import PacketDecoder

RUNNER = Path(__file__).with_name("rule_kill_runner.py")
ROOT = Path(__file__).resolve().parents[3]
EVENTS = f"devices/{DEVICE}/messages/events/"
WINDOW = 50
KILLS = 4


def publish_until_killed(port: int, authority: Authority, first: int, acknowledged: list[int]) -> None:
    """Publish numbered messages; every tenth fires. Notes which were acknowledged."""
    context = ssl.create_default_context(cafile=str(authority.folder / "root.pem"))
    context.load_cert_chain(authority.device(DEVICE))
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as hub,
    ):
        hub.sendall(encode_packet(Connect(client_id=DEVICE)))
        decoder = PacketDecoder(level=4)
        sent = first
        under_way: dict[int, int] = {}
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
                    acknowledged.append(under_way.pop(packet.packet_id))
                else:
                    assert isinstance(packet, Connack)
            burst = b""
            while len(under_way) < WINDOW:
                identifier = sent % 65535 + 1
                under_way[identifier] = sent
                fires = b"true" if sent % 10 == 0 else b"false"
                payload = b'{"n":%d,"fires":%s}' % (sent, fires)
                burst += encode_packet(Publish(topic=EVENTS, payload=payload, qos=1, packet_id=identifier))
                sent += 1
            try:
                hub.sendall(burst)
            except OSError:
                return
            time.sleep(0.002)  # rules and their actions are to be under way, not only the log


@pytest.mark.e2e
def test_no_firing_is_lost_or_doubled_over_kill_9(tmp_path: Path, authority: Authority) -> None:
    folder = tmp_path / "hub"
    chance = random.Random(11)  # noqa: S311 - moments to kill at, the same in every run
    acknowledged: list[int] = []
    first = 10
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [
        sys.executable, str(RUNNER), str(folder), str(authority.folder / "server.pem"),
        str(authority.folder / "root.pem"),
    ]  # fmt: skip
    for kill in range(KILLS + 1):
        with killed_process(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            port = int(process.readline())
            if kill == KILLS:  # the last life only does what the others left
                assert process.readline() == "caught up\n"
                wait_until(lambda: _waiting(folder) == 0, "every action is done", 20)
                process.terminate()
                process.wait(30)
                break
            before = len(acknowledged)
            publisher = threading.Thread(target=publish_until_killed, args=(port, authority, first, acknowledged))
            publisher.start()
            wanted = before + chance.randint(300, 1500)
            deadline = time.monotonic() + 30
            while len(acknowledged) < wanted:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.001)
            process.kill()
            publisher.join(10)
        first = max(acknowledged) // 10 * 10 + 10_000

    store = SeriesStore(folder, retention=Retention(), listener=lambda *_: None)
    kept = [message.payload for message in store.messages(DEVICE, 10**6)]
    store.close(int(time.time() * 1000))
    fired = sum(b'"fires":true' in payload for payload in kept)
    rules = RuleStore(folder)
    alerts = rules.alerts(None, limit=10**6)
    rules.close()
    assert {payload.partition(b",")[0] for payload in kept} >= {b'{"n":%d' % number for number in acknowledged}
    assert fired > 50
    assert len(alerts) == fired, "each message that fires has its alert, once"
    assert len({alert.id for alert in alerts}) == len(alerts)
    told = (tmp_path / "told").read_text("utf-8").splitlines()
    assert len(told) >= fired, "each alert was told of, at least once"
    assert len(told) <= fired + KILLS * MAX_ATTEMPTS_OF_TARGET, "again only what was under way when it was killed"
    assert all(line.startswith("fires was true") for line in told)


def _waiting(folder: Path) -> int:
    store = RuleStore(folder)
    try:
        return store.delivery_counts().get("waiting", 0)
    finally:
        store.close()
