# SPDX-License-Identifier: Apache-2.0
"""The link to OPC UA against a server on Debian's open62541 (C): read, written, faulted, and put in its place by others.

Each server has a network namespace of its own, so the tests need root. Each attack has its positive control: the same
server, asked by a link that lacks the check, is read.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fixtures.namespaces import Namespace, network_namespace
from tests.fixtures.opcua_server import BATCH, PORT, ServerKey, opcua_server, server_key

from armillary.content import equipment
from armillary.engines.equipment.opcua import OpcUaLink
from armillary.engines.equipment.opcua_identity import client_identity
from armillary.engines.equipment.reconnecting import LONGEST_PAUSE_S
from armillary.guard.commanding import CommandRequest, judge_command
from armillary.guard.compiling import compile_profile
from armillary.guard.deciding import decide
from armillary.guard.decoding import decode
from armillary.guard.permit import Permit
from armillary.guard.reading_back import check_read_back, read_back
from armillary.guard.situation import CommandHistory, Moment, Situation
from armillary.wire.equipment.faults import GuardRefusedError, LinkError
from armillary.wire.equipment.profile import OpcUa
from armillary.wire.equipment.reading import Quality, Reading, Value
from armillary.wire.equipment.request import NodesRead, NodeWrite, Request

URL = f"opc.tcp://127.0.0.1:{PORT}"
VALVE = """
profile: plant/valve
version: 1
title: Valve
manufacturer: Illustrative
model: Valve with a drive
link: {protocol: opc-ua, url: "opc.tcp://127.0.0.1:4840"}
groups: {fast: 0.1}
points:
  opening: {title: Opening, node: "ns=1;s=valve", group: fast}
  speed: {title: Speed, node: "ns=1;s=speed", raw: i16, scale: 0.1, group: fast}
commands:
  setOpening: {title: Open, node: "ns=1;s=valve", raw: f64be, low: 0, high: 0.8, verify: true}
  setSpeed: {title: Turn, node: "ns=1;s=speed", raw: i16, scale: 0.1, low: -5, high: 5, verify: true}
"""


@dataclass
class Plant:
    """A namespace, a server's key, and the guardian's folder, whose certificate the server trusts."""

    namespace: Namespace
    folder: Path
    key: ServerKey
    seconds: float = 1000.0  # Of the guardian's monotonic clock
    wall: float = field(default_factory=lambda: datetime.now(UTC).timestamp())

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def trusted(self) -> Path:
        file = self.folder / "client.der"
        file.write_bytes(client_identity(self.data).certificate.public_bytes(Encoding.DER))
        return file

    def settings(self, **changed: Any) -> OpcUa:
        return replace(OpcUa(url=URL, server_certificate_sha256=self.key.sha256, timeout_s=5.0), **changed)

    def link(self, **changed: Any) -> OpcUaLink:
        return OpcUaLink(self.settings(**changed), self.data, wall=lambda: self.wall, monotonic=lambda: self.seconds)


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with network_namespace() as namespace:
        yield Plant(namespace, tmp_path, server_key(tmp_path))


async def read(link: OpcUaLink, *names: str) -> Sequence[Value | None]:
    reply = await link.exchange(Permit(NodesRead(tuple(f"ns=1;s={name}" for name in names))))
    return reply.values


async def write(link: OpcUaLink, name: str, value: Value, variant: str = "Double") -> None:
    await link.exchange(Permit(NodeWrite(f"ns=1;s={name}", value, variant)))


async def fault(link: OpcUaLink, *names: str) -> LinkError:
    with pytest.raises(LinkError) as error:
        await read(link, *(names or ("valve",)))
    return error.value


@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"])
def test_values_are_read_and_written_with_every_policy(plant: Plant, policy: str) -> None:
    async def story() -> None:
        link = plant.link(policy=policy)
        assert await read(link, "valve", "cold", "many", "yes", "text") == (0.5, -40, 4000000000, True, "brewing")
        assert await read(link, "broken", "doubtful", "nan", "bytes", "absent") == (None,) * 5
        await write(link, "valve", 1.25)
        await write(link, "speed", -7, "Int16")
        assert await read(link, "valve", "speed") == (1.25, -7)
        for refused in (write(link, "locked", 1.0), write(link, "valve", 1, "Int16"), write(link, "absent", 1.0)):
            with pytest.raises(LinkError) as error:
                await refused
            assert (error.value.reason, error.value.refusal is not None) == ("refused", True)
        assert await read(link, "valve", "locked") == (1.25, 0.5)
        await link.close()
        assert (link.counters.connects, link.counters.exceptions, link.counters.disconnects) == (1, 3, 1)

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
        plant.namespace.run(story())


def test_reads_are_as_large_as_the_server_takes(plant: Plant) -> None:
    async def story() -> None:
        link = plant.link()
        cells = range(BATCH + 60)
        assert await read(link, *(f"cell.{cell}" for cell in cells)) == tuple(cell / 2 for cell in cells)
        assert (link.counters.connects, link.counters.replies, link.counters.exceptions) == (1, 1, 0)
        await link.close()

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
        plant.namespace.run(story())


def test_keys_are_renewed_and_what_is_over_is_opened_again(plant: Plant) -> None:
    """The server gives channels 600 s and sessions the 120 s that they ask for."""

    async def story() -> None:
        link = plant.link()
        await read(link, "valve")
        tokens = {_token(link)}
        for _ in range(12):  # 12 minutes of a poll each minute: longer than the channel's first keys hold
            plant.seconds += 60
            assert await read(link, "valve") == (0.5,)
            tokens.add(_token(link))
        assert (link.counters.connects, len(tokens)) == (1, 2)
        plant.seconds += 100  # Three quarters of a session's time without a read
        assert await read(link, "valve") == (0.5,)
        assert (link.counters.connects, link.counters.disconnects) == (2, 1)
        await link.close()

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
        plant.namespace.run(story())


def _token(link: OpcUaLink) -> int:
    assert link._session is not None
    protocol = link._session._client.uaclient.protocol
    assert protocol is not None
    return protocol._connection.security_token.TokenId


def test_a_server_that_is_killed_and_comes_back_is_read_again(plant: Plant) -> None:
    link = plant.link()

    async def story() -> None:
        with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted) as server:
            assert await read(link, "valve") == (0.5,)
            server.kill()
            server.wait()
        for _ in range(2):
            assert (await fault(link)).reason == "unreachable"
        plant.seconds += LONGEST_PAUSE_S
        with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
            assert await read(link, "valve") == (0.5,)
            await link.close()
        assert link.counters.connects == 2

    plant.namespace.run(story())


def test_a_server_that_stands_still_is_waited_for_no_longer_than_said(plant: Plant) -> None:
    async def story() -> None:
        link = plant.link(timeout_s=0.3)
        with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted) as server:
            assert await read(link, "valve") == (0.5,)
            server.send_signal(signal.SIGSTOP)
            for _ in range(2):  # In a session, then while it is opened
                assert (await fault(link)).reason == "timeout"
            server.send_signal(signal.SIGCONT)
            plant.seconds += LONGEST_PAUSE_S
            assert await read(plant.link(), "cold") == (-40,)
            assert await read(link, "cold") == (-40,)  # And not the answer that came late
            await link.close()
        assert link.counters.timeouts == 2

    plant.namespace.run(story())


def test_a_stopped_exchange_leaves_nothing_for_the_next(plant: Plant) -> None:
    async def story() -> None:
        link = plant.link()
        with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted) as server:
            await read(link, "valve")
            server.send_signal(signal.SIGSTOP)
            waiting = asyncio.create_task(read(link, "valve"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            server.send_signal(signal.SIGCONT)
            assert await read(link, "cold") == (-40,)
            await link.close()

    plant.namespace.run(story())


def test_a_server_that_sets_its_clock_back_is_counted_and_read(plant: Plant) -> None:
    async def story() -> None:
        link = plant.link()
        values = [(await read(link, "clock"))[0] for _ in range(8)]  # How often it was read; an hour back after 5
        assert values == [values[0] + step for step in range(8)]
        assert link.counters.clock_steps == 1
        await link.close()

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
        plant.namespace.run(story())


def test_another_server_in_its_place_is_refused(plant: Plant) -> None:
    """The same address, all policies, another key; and it trusts the guardian."""
    rogue = server_key(plant.folder, "rogue")

    async def story(link: OpcUaLink, pinned: OpcUaLink) -> None:
        error = await fault(link)
        assert error.reason == "foreign"
        assert rogue.sha256 in error.message
        assert plant.key.sha256 in error.message
        assert link.counters.connects == 0
        assert await read(pinned, "valve") == (0.5,)  # The control: nothing but the pin held it off
        await pinned.close()

    with opcua_server(plant.namespace, plant.folder, rogue, trusted=plant.trusted):
        plant.namespace.run(story(plant.link(), plant.link(server_certificate_sha256=rogue.sha256)))


def test_another_server_is_refused_by_a_link_that_knew_the_right_one(plant: Plant) -> None:
    """Once known, the certificate is not asked for again; a channel to it means nothing to another key."""
    rogue, link = server_key(plant.folder, "rogue"), plant.link()

    async def story() -> None:
        with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
            assert await read(link, "valve") == (0.5,)
        with opcua_server(plant.namespace, plant.folder, rogue, trusted=plant.trusted):
            reasons = []
            for _ in range(4):
                reasons.append((await fault(link)).reason)
                plant.seconds += LONGEST_PAUSE_S
            # The connection is gone; a channel to the key that it knew means nothing to this one
            assert reasons == ["unreachable", "unreachable", "foreign", "foreign"]
        with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
            assert await read(link, "valve") == (0.5,)
            await link.close()

    plant.namespace.run(story())


def test_a_certificate_that_is_over_is_refused(plant: Plant) -> None:
    plant.key = server_key(plant.folder, "old", ends=timedelta(days=-1))

    async def story() -> None:
        error = await fault(plant.link())
        assert (error.reason, "ended at" in error.message) == ("foreign", True)
        plant.wall -= timedelta(days=2).total_seconds()  # The control: while it held, it is read
        link = plant.link()
        assert await read(link, "valve") == (0.5,)
        await link.close()

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
        plant.namespace.run(story())


def test_a_server_without_encryption_is_refused(plant: Plant) -> None:
    async def story() -> None:
        error = await fault(plant.link())
        assert error.reason == "foreign"
        assert "offers None, and not Basic256Sha256" in error.message
        async with Client(URL) as client:  # The control: whoever takes None reads it
            assert await client.get_node("ns=1;s=valve").read_value() == 0.5

    with opcua_server(plant.namespace, plant.folder, None):
        plant.namespace.run(story())


def test_a_guardian_that_the_server_does_not_trust_hears_so(plant: Plant) -> None:
    other = replace(plant, folder=plant.folder / "other")
    other.folder.mkdir()

    async def story() -> None:
        error = await fault(plant.link())
        assert error.reason == "unreachable"
        assert f"refuses the guardian's certificate {client_identity(plant.data).sha256}" in error.message
        link = other.link()
        assert await read(link, "valve") == (0.5,)
        await link.close()

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=other.trusted):
        plant.namespace.run(story())


def test_the_shipped_profile_is_read_through_the_guard(plant: Plant) -> None:
    """From the file to readings: poll plan, decision, exchange and decoding of a cable with OPC UA."""
    compiled = compile_profile(equipment.load("cable-opcua"))

    async def story() -> dict[str, Reading]:
        link = plant.link()
        found = []
        for block in compiled.blocks:
            found += decode(block, await link.exchange(decide(compiled.allow, block.request)), 1.0)
        await link.close()
        return {reading.point: reading for reading in found}

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
        readings = plant.namespace.run(story())
    assert {reading.quality for reading in readings.values()} == {Quality.GOOD}
    assert len(readings) == 32 * 4 + 7
    assert [readings[f"zone{zone}_strain"].value for zone in (0, 31)] == [0, 310]
    assert (readings["damage"].value, readings["damagePosition"].value) == ("cut", 17.5)
    assert readings["simulated"].value is True
    with pytest.raises(GuardRefusedError):
        decide(compiled.allow, NodeWrite("ns=2;s=Life.Left", 100.0, "Double"))


def test_commands_are_written_within_their_range_and_read_back(plant: Plant) -> None:
    """From a command of the cloud to the node of a machine; what the guard refuses, the machine would have taken."""
    compiled = compile_profile(equipment.read_text(VALVE.encode(), "valve.yaml"))
    situation = Situation(readings={}, history=CommandHistory())
    nonces = (f"{number:022d}" for number in itertools.count())

    def judged(name: str, value: object) -> Permit[Request]:
        now = Moment(unix=plant.wall, monotonic=plant.seconds, synced=True)
        request = CommandRequest(name, value, next(nonces), plant.wall + 60)
        return judge_command(compiled.profile, compiled.allow, request, situation, now)

    async def carried_out(link: OpcUaLink, name: str, value: object) -> None:
        permit = judged(name, value)
        await link.exchange(permit)
        again = read_back(compiled.allow, permit)
        assert again is not None
        check_read_back(permit, await link.exchange(again))

    async def story() -> None:
        link = plant.link()
        await carried_out(link, "setOpening", 0.75)
        await carried_out(link, "setSpeed", -4.9)
        assert await read(link, "valve", "speed") == (0.75, -49)
        for name, value in (("setOpening", 1.0), ("setOpening", -0.01), ("setSpeed", 5.1), ("setSpeed", math.nan)):
            with pytest.raises(GuardRefusedError):
                judged(name, value)
        assert await read(link, "valve", "speed") == (0.75, -49)
        await write(link, "valve", 140.0)  # The control: by a permit that no guard gave
        assert await read(link, "valve") == (140.0,)
        await link.close()

    with opcua_server(plant.namespace, plant.folder, plant.key, trusted=plant.trusted):
        plant.namespace.run(story())
