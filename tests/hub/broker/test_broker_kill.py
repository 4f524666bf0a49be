# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the general broker at any moment: QoS 1 at least once, QoS 2 exactly once, from client to client.

Both clients keep their own half of the exchange over the broker's death, as MQTT asks of them (§4.4): the publisher sends
again what is not over, the subscriber knows which packet identifiers it has had.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.fixtures.effort import effort
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until
from tests.hub.wire_client import WireClient

from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.packet import Acknowledgement, Disconnect, PacketType, Publish, Suback, Subscribe, Subscription

RUNNER = Path(__file__).with_name("kill_broker_runner.py")
KEPT = (Property.SESSION_EXPIRY_INTERVAL, 3600)
WINDOW = 20
TOPIC = "line/1"


class Client(threading.Thread):
    """A client that connects again whenever the broker is there, until it is stopped."""

    def __init__(self, port: int, client_id: str, level: int) -> None:
        super().__init__(name=client_id)
        self.port, self.client_id, self.level = port, client_id, level
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(OSError, EOFError, AssertionError):  # killed in the middle of whatever it was
                client = WireClient(self.port, level=self.level, client_id=self.client_id)
                client.socket.settimeout(0.5)
                try:
                    if self.level == 5:
                        present = client.connect(KEPT, clean_start=False).session_present
                    else:
                        present = client.connect(clean_start=False).session_present
                    self.session(client, present=present)
                finally:
                    client.close()
            time.sleep(0.01)

    def session(self, client: WireClient, *, present: bool) -> None:
        raise NotImplementedError

    def packet(self, client: WireClient) -> object:
        found = client.receive()
        if found is None or isinstance(found, Disconnect):
            raise EOFError
        return found


class Publisher(Client):
    """Publishes numbers; ``done`` has those whose exchange is over."""

    def __init__(self, port: int, level: int, qos: int) -> None:
        super().__init__(port, "publisher", level)
        self.qos = qos
        self.next = 0
        self.open: dict[int, tuple[int, bool]] = {}  # packet identifier -> number, and whether PUBREC has come
        self.done: list[int] = []
        self.enough = threading.Event()

    def session(self, client: WireClient, *, present: bool) -> None:
        if not present:
            self.open = {packet_id: (number, False) for packet_id, (number, _) in self.open.items()}
        for packet_id, (number, received) in self.open.items():
            if received:
                client.send(Acknowledgement(type=PacketType.PUBREL, packet_id=packet_id))
            else:
                client.send(self.message(packet_id, number, duplicate=True))
        while not (self.enough.is_set() and not self.open):
            while len(self.open) < WINDOW and not self.enough.is_set():
                packet_id = self.next % 60000 + 1
                self.open[packet_id] = (self.next, False)
                self.next += 1
                client.send(self.message(packet_id, self.next - 1))
            packet = self.packet(client)
            assert isinstance(packet, Acknowledgement)
            number, _ = self.open.get(packet.packet_id, (-1, False))
            if packet.type is PacketType.PUBREC:
                self.open[packet.packet_id] = (number, True)
                client.send(Acknowledgement(type=PacketType.PUBREL, packet_id=packet.packet_id))
            elif packet.packet_id in self.open:
                del self.open[packet.packet_id]
                self.done.append(number)
        self.stopping.set()

    def message(self, packet_id: int, number: int, *, duplicate: bool = False) -> Publish:
        return Publish(topic=TOPIC, payload=b"%d" % number, qos=self.qos, packet_id=packet_id, duplicate=duplicate)


class Subscriber(Client):
    """Collects numbers; ``got`` has each message that the application would have seen."""

    def __init__(self, port: int, level: int) -> None:
        super().__init__(port, "subscriber", level)
        self.got: list[int] = []
        self.had: set[int] = set()  # packet identifiers of QoS 2 between PUBLISH and PUBREL
        self.subscribed = threading.Event()
        self.lost_sessions = 0

    def session(self, client: WireClient, *, present: bool) -> None:
        self.lost_sessions += self.subscribed.is_set() and not present
        if not (present and self.subscribed.is_set()):  # also when the last connection ended before SUBACK came
            client.send(Subscribe(packet_id=1, subscriptions=(Subscription("line/+", 2),)))
            assert isinstance(self.packet(client), Suback)
            self.subscribed.set()
        while not self.stopping.is_set():
            try:
                packet = self.packet(client)
            except TimeoutError:
                continue
            if isinstance(packet, Publish):
                assert packet.packet_id is not None
                if packet.qos == 1 or packet.packet_id not in self.had:
                    self.got.append(int(packet.payload))
                if packet.qos == 2:
                    self.had.add(packet.packet_id)
                kind = PacketType.PUBACK if packet.qos == 1 else PacketType.PUBREC
                client.send(Acknowledgement(type=kind, packet_id=packet.packet_id))
            elif isinstance(packet, Acknowledgement):
                self.had.discard(packet.packet_id)
                client.send(Acknowledgement(type=PacketType.PUBCOMP, packet_id=packet.packet_id))


@contextlib.contextmanager
def process(folder: Path, port: int):  # type: ignore[no-untyped-def]
    command = [sys.executable, str(RUNNER), str(folder), str(port)]
    with killed_process(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield next(int(line) for line in running.stdout if line.strip().isdecimal())  # past the log
        finally:
            running.kill()


@pytest.mark.e2e
@pytest.mark.parametrize(("level", "qos"), [(4, 1), (4, 2), (5, 1), (5, 2)])
def test_no_acknowledged_message_is_lost_and_none_of_qos_2_comes_twice(tmp_path: Path, level: int, qos: int) -> None:
    chance = random.Random(level * 10 + qos)  # noqa: S311 - moments to kill at, the same in every run
    with process(tmp_path, reserved_port()) as port:
        publisher, subscriber = Publisher(port, level, qos), Subscriber(port, level)
        subscriber.start()
        assert subscriber.subscribed.wait(10)
        publisher.start()
        reached(publisher, chance.randint(50, 400))
    for _ in range(effort(2, 4)):
        with process(tmp_path, port):
            reached(publisher, len(publisher.done) + chance.randint(50, 400))
    with process(tmp_path, port):
        publisher.enough.set()
        publisher.join(30)
        wait_until(lambda: set(publisher.done) <= set(subscriber.got), "every message has come")
        time.sleep(0.2)  # and nothing comes after
        subscriber.stopping.set()
        subscriber.join(10)
    assert not publisher.is_alive()
    assert sorted(publisher.done) == list(range(publisher.next))
    assert subscriber.lost_sessions == 0
    assert set(subscriber.got) == set(publisher.done)
    if qos == 2:
        assert subscriber.got == sorted(subscriber.got)
        assert len(subscriber.got) == len(set(subscriber.got))


def reached(publisher: Publisher, count: int) -> None:
    wait_until(lambda: len(publisher.done) >= count, f"{count} messages")
