# SPDX-License-Identifier: Apache-2.0
"""One application whose names do not resolve stops no other's lookups, and takes few threads however often it asks."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from tests.fixtures.waiting import until

from armillary.engines.sandbox.network import lookups, resolving
from armillary.engines.sandbox.network.lookups import AT_ONCE, THREADS, Lookups, lookups_of

pytestmark = pytest.mark.anyio
GOOD = "plant.example"


class SilentServers:
    """Names that begin with ``silent`` keep a thread until they are let go; every other has an address."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked: list[str] = []

    def getaddrinfo(self, name: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked.append(name)
        if name.startswith("silent"):
            self.go_on.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentServers]:
    found = SilentServers()
    threads = ThreadPoolExecutor(THREADS)
    monkeypatch.setattr(lookups, "_THREADS", threads)
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    yield found
    found.go_on.set()
    threads.shutdown(cancel_futures=True)


@pytest.fixture
async def asking() -> AsyncIterator[list[asyncio.Task[object]]]:
    """Tasks that ask; they are ended with the test."""
    tasks: list[asyncio.Task[object]] = []
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def ask(asking: list[asyncio.Task[object]], of: Lookups, names: list[str]) -> None:
    asking += [asyncio.create_task(of.ask(name)) for name in names]


async def test_a_neighbours_name_resolves_while_an_application_fills_what_it_has(
    servers: SilentServers, asking: list[asyncio.Task[object]]
) -> None:
    for hostile in range((THREADS - 1) // AT_ONCE):
        ask(asking, Lookups(), [f"silent-{hostile}-{number}" for number in range(20)] * 2)
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        answers = resolving.Answers()
        assert await resolving.addresses_of(GOOD, 443, answers) == [(socket.AF_INET, "192.0.2.7")]
    places = (THREADS - 1) // AT_ONCE * AT_ONCE + 1
    await until(lambda: len(servers.asked) >= places, "every place is taken")
    assert len(servers.asked) == places


async def test_a_name_is_asked_for_once_at_a_time_and_others_wait_in_line(
    servers: SilentServers, asking: list[asyncio.Task[object]]
) -> None:
    own = Lookups()
    ask(asking, own, ["silent-1"] * 40)
    async with asyncio.timeout(20):
        await own.ask(GOOD)  # its one other place
    await until(lambda: sorted(servers.asked) == [GOOD, "silent-1"], "both were asked")
    ask(asking, own, ["silent-2", "silent-3", "other.example"])
    await asyncio.sleep(0)
    assert "other.example" not in servers.asked
    servers.go_on.set()
    async with asyncio.timeout(20):
        results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in results] == [socket.gaierror] * 42 + [list]
    assert servers.asked.count("silent-1") == 1


async def test_what_nobody_waits_for_any_more_is_counted_and_shared(
    servers: SilentServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "RESOLVE_TIMEOUT_S", 0.02)
    answers = resolving.Answers()
    for _ in range(3):
        with pytest.raises(OSError, match="does not resolve") as refused:
            await resolving.addresses_of("silent-1", 443, answers)
        assert refused.value.errno == errno.EHOSTUNREACH
    await until(lambda: servers.asked == ["silent-1"], "its thread began")


async def test_an_application_that_starts_again_gets_no_more_threads(
    servers: SilentServers, asking: list[asyncio.Task[object]]
) -> None:
    component = UUID(int=7)
    for _ in range(3):
        ask(asking, lookups_of(component), ["silent-1", "silent-2", "silent-3"])
        await asyncio.sleep(0)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        asking.clear()
    async with asyncio.timeout(20):
        await lookups_of(UUID(int=8)).ask(GOOD)  # another's
    await until(lambda: len(servers.asked) >= 3, "what may begin has begun")
    assert sorted(servers.asked) == [GOOD, "silent-1", "silent-2"]


async def test_a_name_that_is_none_has_no_address() -> None:
    with pytest.raises(OSError, match="does not resolve") as refused:
        await resolving.addresses_of("a" * 64 + ".example", 443)
    assert refused.value.errno == errno.EHOSTUNREACH
