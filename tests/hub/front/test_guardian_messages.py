# SPDX-License-Identifier: Apache-2.0
"""Guardians and the hub: an outage, a network that reorders and doubles, a hub that is killed; nothing lost, none twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.effort import effort
from tests.fixtures.processes import killed_process
from tests.hub.guardian_uplink import Clocks, Uplink, reading
from tests.hub.running_hub import DEVICE, Authority, RunningHub
from tests.hub.test_hub_kill import RUNNER, messages_and_values
from tests.hub.wire_client import WireClient, device_context

from armillary.engines.equipment.queue import MessageQueue
from armillary.wire.hub.topics import telemetry_topic
from armillary.wire.mqtt.packet import Publish


def queue_of(folder: Path, clocks: Clocks) -> MessageQueue:
    folder.mkdir(exist_ok=True)
    return MessageQueue(
        folder,
        backfill_bytes_per_s=1e12,
        clock=lambda: clocks.wall,
        monotonic=lambda: clocks.running,
        machine="m1",
    )


def numbers_in(running: RunningHub) -> list[int]:
    """The messages in the hub's log, in the order of their arrival."""
    return [int(each.payload[6:-1]) for each in reversed(running.hub.series.messages(DEVICE, 10**6))]


@pytest.mark.e2e
def test_an_hours_outage_over_a_bad_network_loses_and_doubles_nothing(
    tmp_path: Path, running: RunningHub, authority: Authority
) -> None:
    clocks, chance = Clocks(), random.Random(13)  # noqa: S311 - the same network each time
    told: dict[str, int] = {"live": 0, "historical": 0}
    for kind, notice in (("live", running.hub.notices.on_message), ("historical", running.hub.notices.on_historical)):
        notice.append(lambda *_, kind=kind: told.update({kind: told[kind] + 1}))
    seconds = effort(500, 3600)

    async def story() -> Uplink:
        queue = queue_of(tmp_path / "queue", clocks)
        number = 0
        while number < seconds:  # no network, and a message a second
            messages = []
            for _ in range(100):
                clocks.pass_by(1)
                messages.append(reading(clocks, number))
                number += 1
            await queue.put(messages)
        uplink = Uplink(queue, device_context(authority), chance)
        while queue.counters.messages:
            if number < 2 * seconds:  # the network is back, and a message a second goes on
                await queue.put([reading(clocks, number + index) for index in range(10)])
                number += 10
            clocks.pass_by(10)
            await uplink.round(running.port)
            await queue.flush()
        assert queue.counters.dropped == {}
        assert number == len(uplink.acknowledged)
        await queue.close()
        return uplink

    uplink = asyncio.run(story())
    kept = numbers_in(running)
    assert sorted(kept) == list(range(len(uplink.acknowledged)))
    counters = running.hub.counters()
    assert counters["messages_kept"] - counters["messages_repeated"] == len(kept)
    assert counters["messages_repeated"] > uplink.sent // 10  # the network was as bad as it was to be
    assert counters["messages_historical"] > seconds // 2
    assert told == {  # who judges what is hears nothing of what was
        "live": len(kept) - counters["messages_historical"],
        "historical": counters["messages_historical"],
    }
    backlog_ends = max(index for index, number in enumerate(kept) if number < seconds)
    live = [index for index, number in enumerate(kept) if seconds <= number < seconds + 30]
    assert max(live) < backlog_ends  # what is new did not wait for what was old


@pytest.mark.e2e
def test_a_hub_that_is_killed_amid_repetitions_keeps_each_message_once(tmp_path: Path, authority: Authority) -> None:
    clocks, chance = Clocks(), random.Random(17)  # noqa: S311 - the same moments each time
    folder, pem = tmp_path / "hub", authority.folder
    command = [sys.executable, str(RUNNER), str(folder), str(pem / "server.pem"), str(pem / "root.pem")]
    kills = effort(2, 12)

    async def story() -> int:
        queue = queue_of(tmp_path / "queue", clocks)
        uplink = Uplink(queue, device_context(authority), chance)
        number = 0
        for kill in range(kills + 1):
            with killed_process(command, stdout=subprocess.PIPE, text=True) as process:
                port = int(process.readline())
                for _ in range(chance.randint(2, 5) if kill < kills else 10**6):
                    if kill < kills:
                        await queue.put([reading(clocks, number + index) for index in range(100)])
                        number += 100
                    clocks.pass_by(7)
                    await uplink.round(port, cut=0.5)
                    await queue.flush()
                    if not queue.counters.messages:
                        break
                if kill < kills:  # once more, and killed while it writes
                    taken = asyncio.ensure_future(uplink.round(port, cut=1.0))
                    asyncio.get_running_loop().call_later(chance.random() / 200, process.kill)
                    await taken
        await queue.close()
        return number

    count = asyncio.run(story())
    messages, values = messages_and_values(folder)
    assert sorted(messages) == list(range(count))
    assert sorted(values) == sorted(messages)


@pytest.mark.parametrize("level", [4, 5])
def test_a_message_that_is_sent_again_over_mqtt_is_stored_once(
    running: RunningHub, authority: Authority, level: int
) -> None:
    place = {"$.mid": "00ff00ff00ff00ff.1", "guardian-sequence": "00ff00ff00ff00ff.1.0.1"}
    topic = telemetry_topic(DEVICE, tuple(place.items()))
    for _ in range(3):
        client = WireClient(running.port, context=device_context(authority), level=level, client_id=DEVICE)
        client.connect(clean_start=True)
        for identifier in (1, 2):
            client.send(Publish(topic=topic, payload=b'{"n": 1}', qos=1, packet_id=identifier))
            assert client.receive() is not None  # acknowledged, as it is stored
        client.close()
    assert numbers_in(running) == [1]
    assert running.hub.counters()["messages_repeated"] == 5
