# SPDX-License-Identifier: Apache-2.0
"""The whole way of telemetry through the real service, messages a second, against the floor that was set for it.

``armillary up`` as it is started by anybody; attested devices connected by mutual TLS send JSON at QoS 1, at a steady
rate as far as their windows of unacknowledged messages allow. ``pipeline``: the devices have a device template, ten
rules look at every message, one reader has a live dashboard of all of them open. ``pipeline-bare``: the same load
before all that is there.

What counts is the wall time from the first message until the last one was decoded, checked, seen by the rules and
stored, so a backlog earns nothing. The load is made by this process, on the same cores as the service.
"""

from __future__ import annotations

import http.client
import json
import math
import select
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from armillary.cli.terminal.connection import make_connection
from armillary.cli.terminal.remote import RemoteService
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Publish
from bench.memory import connected, manufactured
from bench.result import result
from bench.service_process import RunningService, cpu_seconds, running_service

DEVICES = 80
WINDOW = 10  # messages a device has under way
RING = 40  # messages made for each device, sent over and over; more than a window, so identifiers may repeat
VALUES = 4  # in one message
RULES = 10
HOT = 28.5  # a few messages of each device are above; its rule cools down for longer than the load lasts
SECONDS = 2.0
FLOOR = 5000.0  # messages a second
OFFERED = 20_000  # messages a second: the goal beyond the floor; more would only make the backlog longer
TICK_S = 0.01
POLL_S = 0.1
CATCH_UP_S = 30.0
PUBACK_BYTES = 4
NAME = "sensor"
MODEL = {
    "@context": "dtmi:dtdl:context;2",
    "@id": "dtmi:bench:Sensor;1",
    "@type": "Interface",
    "contents": [
        {"@type": "Telemetry", "name": name, "schema": schema}
        for name, schema in (("temperature", "double"), ("humidity", "double"), ("on", "boolean"), ("state", "string"))
    ],
}


def run() -> list[dict[str, object]]:
    """The whole pipeline, and the same load without a template, rules and a reader."""
    with running_service(check_in_interval_s=3600) as service:
        pem = Path(str(service.ready["root_ca"])).read_text("ascii")
        connection = make_connection(str(service.ready["api"]), str(service.ready["token"]), pem)
        with RemoteService(connection) as remote:
            devices = manufactured(remote, service, DEVICES)
        print(f"  {DEVICES} devices made", file=sys.stderr)
        senders = [Sender(connected(each, service, pem), each.device_id) for each in devices]
        print("  they are connected", file=sys.stderr)
        bare = Load(service, pem, senders).run()
        with RemoteService(connection) as remote:  # a new connection: idle ones are closed
            give_model(remote, [each.device_id for each in devices])
            Load(service, pem, senders).until_checked()
            _author(remote)
        with Reader(service, pem) as reader:
            full = Load(service, pem, senders).run()
        for sender in senders:
            sender.connection.close()
    _check(full, reader)
    extra = (
        f"; {VALUES} values a message checked against the template, {RULES} rules ({full['rule_evaluations']:,} "
        f"evaluations, {full['rule_firings']} firings), a live dashboard that was sent {reader.values:,} values"
    )
    return [_row("pipeline", full, extra), _row("pipeline-bare", bare, "; no template, no rule, no reader")]


class Sender:
    """One device: its accepted connection and the messages it sends over and over."""

    def __init__(self, connection: ssl.SSLSocket, device_id: str) -> None:
        self.connection = connection
        topic = f"devices/{device_id}/messages/events/"
        seed = int(device_id[:8], 16)
        frames = [
            encode_packet(Publish(topic=topic, payload=_body(seed, turn), qos=1, packet_id=turn + 1))
            for turn in range(RING)
        ]
        self._ends = [0]
        for frame in frames + frames:  # twice, so that what begins near the end goes on
            self._ends.append(self._ends[-1] + len(frame))
        self._frames = memoryview(b"".join(frames + frames))
        self._next = 0
        self._under_way = 0
        self._partial = 0

    def send(self, count: int) -> int:
        """Send the next messages, as many of them as the window allows; how many."""
        count = min(count, WINDOW - self._under_way)
        if count > 0:
            begin = self._next
            self.connection.sendall(self._frames[self._ends[begin] : self._ends[begin + count]])
            self._next = (begin + count) % RING
            self._under_way += count
        return count

    def acknowledged(self) -> int:
        """Take what came; how many messages it acknowledges."""
        got = len(self.connection.recv(65536))
        if not got:
            raise RuntimeError("the hub closed a connection")
        done, self._partial = divmod(self._partial + got, PUBACK_BYTES)
        self._under_way -= done
        return done


class Load:
    """All devices sending for a time; ``pem`` is the certificate of the service's authority."""

    def __init__(self, service: RunningService, pem: str, senders: list[Sender]) -> None:
        self._service = service
        self._senders = deque(senders)
        self._api = _api(service, pem)

    def run(self) -> dict[str, Any]:
        """What became of it: counters of the hub as differences, and the times."""
        before, cpu, own = self._counters(), cpu_seconds(self._service.process.pid), time.process_time()
        begun = time.perf_counter()
        acknowledged = self._send(begun)
        loaded = time.perf_counter() - begun
        own = time.process_time() - own
        after = self._counters()
        backlog = acknowledged - (after["messages_decoded"] - before["messages_decoded"])
        while after["messages_decoded"] - before["messages_decoded"] < acknowledged:
            if time.perf_counter() - begun > SECONDS + CATCH_UP_S:
                raise RuntimeError("the decoder did not catch up")
            time.sleep(POLL_S)
            after = self._counters()
        seconds = time.perf_counter() - begun
        found: dict[str, Any] = {each: int(after[each] - before[each]) for each in after if each in before}
        if found["messages_decoded"] != acknowledged or found["messages_kept"] != acknowledged:
            raise RuntimeError(f"acknowledged {acknowledged}, counted {found}")
        return found | {
            "acknowledged": acknowledged,
            "loaded": loaded,
            "seconds": seconds,
            "backlog": int(backlog),
            "cpu": cpu_seconds(self._service.process.pid) - cpu,
            "own": own,
        }

    def until_checked(self) -> None:
        """Send single messages until those of every device are checked: its template is looked up after the first.

        Without this a slow host lets some pass that are under way meanwhile.
        """
        deadline = time.perf_counter() + CATCH_UP_S
        checked = 0
        while checked < VALUES * len(self._senders):
            if time.perf_counter() > deadline:
                raise RuntimeError("the messages of some devices are not checked against their template")
            before = after = self._counters()
            for sender in self._senders:
                sender.send(1)
                sender.acknowledged()
            while after["messages_decoded"] - before["messages_decoded"] < len(self._senders):
                time.sleep(POLL_S)
                after = self._counters()
            checked = int(after["values_checked"] - before["values_checked"])

    def _send(self, begun: float) -> int:
        """Send what is due, a tick after the other, and take all acknowledgements; how many there were."""
        by_descriptor = {each.connection.fileno(): each for each in self._senders}
        poll = select.epoll()
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        acknowledged, sent, total = 0, 0, int(OFFERED * SECONDS)
        moved = tick = begun
        while acknowledged < total:
            now = time.perf_counter()
            if now >= tick and sent < total:
                sent += self._round(min(total, int((now - begun) * OFFERED)) - sent)
                tick = now + TICK_S
            for descriptor, _ in poll.poll(max(0.0, tick - time.perf_counter()) if sent < total else TICK_S):
                acknowledged += by_descriptor[descriptor].acknowledged()
                moved = now
            if now - moved > CATCH_UP_S:
                raise RuntimeError("the hub acknowledges nothing any more")
        poll.close()
        return acknowledged

    def _round(self, due: int) -> int:
        """Have the devices send so many in equal shares, as far as their windows allow; how many they sent."""
        share = -(-due // len(self._senders))
        sent = 0
        for _ in range(len(self._senders)):
            if sent >= due:
                break
            sent += self._senders[0].send(min(share, due - sent))
            self._senders.rotate(-1)
        return sent

    def _counters(self) -> dict[str, float]:
        """What the hub counts, as ``/metrics`` says it."""
        self._api.request("GET", "/metrics", headers={"Authorization": f"Bearer {self._service.ready['token']}"})
        answer = self._api.getresponse()
        text = answer.read().decode()
        if answer.status != http.client.OK:
            raise RuntimeError(f"/metrics: {answer.status}")
        found = {}
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            if name.startswith("armillary_hub_"):
                found[name.removeprefix("armillary_hub_").removesuffix("_total")] = float(value)
        return found


class Reader:
    """Reads a live dashboard, server-sent events, until the block ends; counts values and events."""

    def __init__(self, service: RunningService, pem: str) -> None:
        self.values = self.events = 0
        self._api = _api(service, pem)
        self._api.request(
            "GET", "/api/v1/dashboards/bench/live", headers={"Authorization": f"Bearer {service.ready['token']}"}
        )
        self._answer = self._api.getresponse()
        if self._answer.status != http.client.OK:
            raise RuntimeError(f"live dashboard: {self._answer.status} {self._answer.read()[:300]!r}")
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(CATCH_UP_S)
        self._api.close()

    def _read(self) -> None:
        while not self._is_over.is_set() and (line := self._answer.readline()):
            if line.startswith(b"data: "):
                self.events += 1
                self.values += len(json.loads(line[6:])["items"])


def _api(service: RunningService, pem: str) -> http.client.HTTPSConnection:
    address = urlsplit(str(service.ready["api"]))
    assert address.hostname is not None
    context = ssl.create_default_context(cadata=pem)
    return http.client.HTTPSConnection(address.hostname, address.port, timeout=CATCH_UP_S, context=context)


def _body(seed: int, turn: int) -> bytes:
    temperature = round(24 + 5 * math.sin(2 * math.pi * (turn / RING + seed / 2**32)), 2)
    values = {
        "temperature": temperature,
        "humidity": round(40 + turn / 7, 2),
        "on": turn % 8 != 0,
        "state": "running" if turn % 8 else "idle",
    }
    return json.dumps(values).encode()


def give_model(remote: RemoteService, ids: list[str]) -> None:
    """The template for each device."""
    remote.post(f"/templates/{NAME}/import", {"documents": [{"name": "sensor.json", "content": json.dumps(MODEL)}]})
    remote.post(f"/templates/{NAME}/publish")
    for each in ids:
        remote.put(f"/devices/{each}/template", {"template": NAME})


def _author(remote: RemoteService) -> None:
    """The rules and the dashboard."""
    for number in range(RULES):
        remote.put(f"/rules/rule-{number}", _rule(number))
    source = {"template": NAME}
    tiles = [
        {"id": "values", "kind": "last-values", "title": "Now", "source": source, "values": ["temperature", "state"]},
        {"id": "course", "kind": "line", "title": "Course", "source": source, "values": ["humidity"], "range_s": 600},
    ]
    placed = [{**tile, "x": 6 * number, "y": 0, "w": 6, "h": 4} for number, tile in enumerate(tiles)]
    remote.put("/dashboards/bench", {"name": "Bench", "template": NAME, "columns": 12, "tiles": placed})
    time.sleep(1.0)  # rules are looked up by themselves


def _rule(number: int) -> Mapping[str, object]:
    """One fires once a device, the others never: seven compare, one averages, one waits for silence."""
    name = "humidity" if number % 2 else "temperature"
    rule: dict[str, object] = {"name": f"Rule {number}", "target": {"template": NAME}}
    if number == 0:
        rule["conditions"] = [{"telemetry": "temperature", "op": ">", "value": HOT}]
        rule["cool_down_s"] = 3600
    elif number == RULES - 2:
        rule["conditions"] = [{"telemetry": name, "aggregate": "avg", "op": ">", "value": 90}]
        rule["window"] = {"kind": "tumbling", "length_s": 300}
    elif number == RULES - 1:
        rule["conditions"] = [{"silent_s": 600}]
    else:
        rule["conditions"] = [{"telemetry": name, "op": ">", "value": 60 + number}]
    return rule


def _check(full: Mapping[str, Any], reader: Reader) -> None:
    """Everything took part, or the figure says nothing."""
    messages = full["acknowledged"]
    wrong = [
        each
        for each, is_right in {
            "values were not checked": full["values_checked"] >= messages * VALUES * 0.99,
            "values do not fit": not full["values_misfit"] and not full["values_unmodelled"],
            "rules were not asked": full["rule_evaluations"] >= messages * (RULES - 1),
            "a device did not fire": full["rule_firings"] == DEVICES,
            "the reader saw little": reader.values >= DEVICES * 2,
        }.items()
        if not is_right
    ]
    if wrong:
        raise RuntimeError(f"{', '.join(wrong)}: {full}, reader {reader.events} events, {reader.values} values")


def _row(name: str, found: Mapping[str, Any], extra: str) -> dict[str, object]:
    value = found["acknowledged"] / found["seconds"]
    return result(
        name,
        value,
        "messages/s",
        ("limit", FLOOR),
        f"{DEVICES} devices by mutual TLS, window {WINDOW}, QoS 1, {OFFERED:,}/s offered, each message "
        f"committed with synchronous=FULL before it is acknowledged; {found['acknowledged']:,} messages in "
        f"{found['loaded']:.1f} s, {found['acknowledged'] / found['loaded']:,.0f}/s acknowledged, {found['backlog']:,} "
        f"not decoded when the load ended and {found['seconds'] - found['loaded']:.1f} s until they were (counted); "
        f"service {found['cpu']:.1f} CPU s, load on the same cores {found['own']:.1f}{extra}",
    )
