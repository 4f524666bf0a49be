# SPDX-License-Identifier: Apache-2.0
"""Polling: values with their quality, equipment that is silent, and that one machine never holds up another."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fixtures.waiting import until
from tests.guardian.guardian_stage import Stage, staged

from armillary.content import equipment as profiles
from armillary.engines.equipment.port import LinkCounters
from armillary.guard.clock import Pair
from armillary.guard.compiling import compile_profile
from armillary.guard.permit import Permit
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.exchange import Exchange
from armillary.guardian.polling import Poller
from armillary.sim.equipment.faults import Fault
from armillary.wire.equipment.reading import Quality, Reading
from armillary.wire.equipment.request import Frame

CYCLES = 4


def play(tmp_path: Path, scene: Any) -> None:
    async def run() -> None:
        async with staged(tmp_path) as stage:
            await stage.settled()
            await scene(stage)

    asyncio.run(run())


def test_a_machine_that_falls_silent_is_stale_and_says_so_once(tmp_path: Path):
    async def scene(stage: Stage) -> None:
        first = await telemetry(stage)
        assert 90 < first["brewTemp"] < 95
        assert "brewTemp" not in first.get("quality", {})
        stage.life.faults.plan(Fault.SILENCE, 1000)
        await until(lambda: stage.equipment.status(1)["link"] == "down", "the silence to be seen")
        before = stage.means.queue.counters.put
        await until(lambda: stage.means.queue.counters.put > before, "what is said of it")
        said = [each["quality"]["brewTemp"] for each in await stage.sent() if "brewTemp" in each.get("quality", {})]
        assert said == [Quality.STALE.value]

    play(tmp_path, scene)


async def telemetry(stage: Stage) -> dict[str, Any]:
    await stage.means.queue.flush()
    merged: dict[str, Any] = {}
    for each in await stage.sent():
        merged |= each
    return merged


def test_a_machine_that_was_never_there_has_no_values(tmp_path: Path):
    async def run() -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            link = {"protocol": "modbus-tcp", "host": "127.0.0.1", "port": nobody.getsockname()[1]}
            async with staged(tmp_path, link=link) as stage:
                await until(lambda: stage.means.queue.counters.messages, "what is said of it")
                for each in await stage.sent():
                    assert set(each) == {"quality"}
                    assert set(each["quality"].values()) == {Quality.BAD.value}
                assert stage.equipment.status(1)["link"] == "down"

    asyncio.run(run())


def test_one_machine_that_does_not_answer_delays_no_other(tmp_path: Path):
    async def run() -> None:
        # It takes connections and says nothing: the slowest that a machine can be.
        silent = await asyncio.start_server(lambda *_: asyncio.sleep(3600), "127.0.0.1", 0)
        link = {"protocol": "modbus-tcp", "host": "127.0.0.1", "port": silent.sockets[0].getsockname()[1]}
        async with staged(tmp_path / "one", link=link) as dead, staged(tmp_path / "other") as alive:
            assert alive.equipment.served is not None
            counters = alive.equipment.served.exchange.link.counters
            before, began = counters.replies, time.monotonic()
            await until(lambda: counters.replies >= before + CYCLES, "polls of the one that answers")
            took = time.monotonic() - began
            assert dead.equipment.status(1)["link"] == "down"
            assert took < CYCLES * 0.5 * 4, f"{CYCLES} polls of each half second took {took:.1f} s"
        silent.close()

    asyncio.run(run())


class Frames:
    """A link over which these frames come by themselves."""

    def __init__(self, *frames: Frame) -> None:
        self.counters = LinkCounters()
        self._frames = list(frames)

    async def exchange(self, _: Permit[Any]) -> Frame:
        raise AssertionError("nothing is polled")

    async def receive(self) -> Frame:
        if self._frames:
            return self._frames.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        """Nothing is open."""


def test_a_frame_that_the_profile_does_not_have_is_counted_and_stops_nothing():
    compiled = compile_profile(profiles.load("dispenser"))
    whole = compiled.frames[1].length
    frames = Frames(Frame(9, 1, bytes(whole)), Frame(1, 2, bytes(whole - 1)), Frame(1, 3, bytes(whole)))
    taken: list[set[str]] = []

    async def take(readings: Sequence[Reading], _: Pair, *, kept: bool) -> None:
        assert kept, "the next frame acknowledges this one"
        taken.append({each.point for each in readings})

    async def run() -> None:
        poller = Poller("ward3", compiled, Exchange(compiled.allow, frames), GuardianClock(), take)
        polling = asyncio.create_task(poller.run())
        await until(lambda: taken or polling.done(), "the whole frame")
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        assert poller.unlisted == 2

    asyncio.run(run())
    assert taken == [{slot.point.name for slot in compiled.frames[1].slots}]
