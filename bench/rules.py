# SPDX-License-Identifier: Apache-2.0
"""Rules: evaluations a second of one core with 50 and 500 rules over 1,000 devices, and the way from message to alert.

In one process, without sockets. References are limits: what IoT Central let an application do (200 messages a second,
50 rules; its quotas page of 2024-06), and the two seconds that a firing has.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from armillary.engines.series.log.blocks import PacketRun
from armillary.hub.hub import Hub
from armillary.roles.platform import platform_of
from armillary.twin.rule import json_form as rule_json
from armillary.twin.rule.evaluate import Program, start, step
from armillary.twin.rule.fast_path import fast_path_of
from armillary.twin.rule.rule import Facts
from armillary.twin.rule.table import Event
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Publish
from bench.result import result

DEVICES = 1000
SECONDS = 1.0  # of one measurement
ROUNDS = 3
QUOTA = 200.0 * 50
DELAY_LIMIT_MS = 2000.0
DELAY_ALERTS = 30
NAMES = ("a", "b", "c", "d", "e")


def run() -> list[dict[str, object]]:
    """Evaluations with 50 and 500 rules, then the delay of a firing."""
    return [*(_evaluations(count) for count in (50, 500)), asyncio.run(_delay())]


def _rules(count: int) -> list[Program]:
    """A mix: three of four compare, of the others half average over five minutes and half wait for silence."""
    found = []
    for number in range(count):
        name = NAMES[number % len(NAMES)]
        body: dict[str, Any] = {"name": f"r{number}", "conditions": [{"telemetry": name, "op": ">", "value": 90}]}
        if number % 8 == 3:
            body["window"] = {"kind": "tumbling", "length_s": 300}
            body["conditions"] = [{"telemetry": name, "aggregate": "avg", "op": ">", "value": 90}]
        elif number % 8 == 7:
            body["conditions"] = [{"silent_s": 600}]
        found.append(Program(rule_json.from_json(body)))
    return found


def _evaluations(count: int) -> dict[str, object]:
    programs = _rules(count)
    now = 1_700_000_000_000
    facts = [Facts(f"{device:04d}") for device in range(DEVICES)]
    states = [[start(program, now) for program in programs] for _ in range(DEVICES)]
    ways = [(fast_path_of(program).take, program) for program in programs]
    values = dict.fromkeys(NAMES, 10.0)

    def take_message(device: int, at: int) -> None:
        event, of_device, known = Event(at, values), states[device], facts[device]
        for number, (take, program) in enumerate(ways):  # as the hub does
            state = of_device[number]
            of_device[number], _ = take(state, event, at, known) or step(program, state, event, at, known)

    for device in range(DEVICES):  # states grow once, and garbage collection with them: no cost of an evaluation
        take_message(device, now)
    rates = []
    device = 0
    for _ in range(ROUNDS):
        done, begun = 0, time.process_time()
        while time.process_time() < begun + SECONDS:
            take_message(device, now)
            done += len(programs)
            device = (device + 1) % DEVICES
            now += 1
        rates.append(done / (time.process_time() - begun))
    value = statistics.median(rates)
    return result(
        f"rules-{count}",
        value,
        "evaluations/s",
        ("IoT Central's quota, 200 messages/s and 50 rules an application", QUOTA),
        f"{count} rules, {DEVICES} devices, each message is about all rules, a second of one core's time,"
        f" median of {ROUNDS}",
    )


async def _delay() -> dict[str, object]:
    """From handing a message to the log's writer until its alert is committed: the median of some."""
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub(Path(folder), authenticate=lambda _: "")
        platform = platform_of(hub, Path(folder))
        body = {"name": "hot", "conditions": [{"telemetry": "t", "op": ">", "value": 30}], "repeat": True}
        platform.documents.put("rule", "hot", body, by="bench")
        await platform.rules.start()
        front, store = hub.front, platform.rules.store()
        number = (await asyncio.wrap_future(hub.series.commits.submit(hub.series.restoring.devices(["d"]))))["d"]
        front.names[number] = "d"
        delays = []
        for count in range(1, DELAY_ALERTS + 1):
            packet = encode_packet(
                Publish(topic="devices/d/messages/events/", payload=json.dumps({"t": 31}).encode(), qos=1, packet_id=1)
            )
            begun = time.perf_counter()
            block = await hub.series.commits.run(PacketRun(4, number, int(time.time() * 1000), packet, 1))
            hub.series.decoder.add(block)
            front._decoding.soon()  # noqa: SLF001 - what the front does with its own blocks
            while platform.rules.counters.rule_firings < count:
                await asyncio.sleep(0.0005)
            delays.append((time.perf_counter() - begun) * 1000)
        if len(store.alerts(None, limit=1000)) != DELAY_ALERTS:
            raise RuntimeError("not every message has its alert")
        await platform.close()
        await hub.close()
    value = statistics.median(delays)
    return result(
        "rules-delay",
        value,
        "ms",
        ("the two seconds that a rule has", DELAY_LIMIT_MS),
        f"message to committed alert, two synchronous commits, idle hub, median of {DELAY_ALERTS}"
        f" (slowest {max(delays):.1f} ms)",
    )
