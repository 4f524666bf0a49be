# SPDX-License-Identifier: Apache-2.0
"""Names that a manifest declares are resolved outside; what is found is used again for a moment, and checked each time."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from armillary.engines.sandbox.network import outside, resolving
from armillary.engines.sandbox.network.own_ports import own_port

pytestmark = pytest.mark.anyio
NAME = "plant.example"


class Resolver:
    """Says one address, and counts how often it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked = 0

    def getaddrinfo(self, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, 0))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Resolver:
    found = Resolver("192.0.2.7")
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    monkeypatch.setattr(resolving, "HOSTS_FILE", tmp_path / "hosts")
    return found


async def test_a_name_is_asked_for_once_in_a_while(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(resolving, "time", SimpleNamespace(monotonic=lambda: now))
    answers = resolving.Answers()
    for _ in range(3):
        assert await resolving.addresses_of(NAME, 443, answers) == [(socket.AF_INET, "192.0.2.7")]
    assert resolver.asked == 1
    assert await resolving.addresses_of(NAME, 443, resolving.Answers()) == [(socket.AF_INET, "192.0.2.7")]
    assert resolver.asked == 2  # another application's
    now += resolving.KEPT_S
    resolver.address = "192.0.2.8"
    assert await resolving.addresses_of(NAME, 443, answers) == [(socket.AF_INET, "192.0.2.8")]


async def test_what_is_kept_is_checked_at_each_use(resolver: Resolver) -> None:
    """A name that leads to this machine is used while the machine's administrator says so, and not a moment longer."""
    resolver.address = "127.0.0.1"
    resolving.HOSTS_FILE.write_text(f"127.0.0.1 other {NAME}\n")
    answers = resolving.Answers()
    assert await resolving.addresses_of(NAME, 443, answers) == [(socket.AF_INET, "127.0.0.1")]
    resolving.HOSTS_FILE.write_text("127.0.0.1 other\n")
    with pytest.raises(OSError, match="belongs to this machine") as refused:
        await resolving.addresses_of(NAME, 443, answers)
    assert (refused.value.errno, resolver.asked) == (errno.EHOSTUNREACH, 1)


async def test_an_address_of_this_machine_is_refused_out_of_the_cache_too(resolver: Resolver) -> None:
    for address in ("127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"):
        answers = resolving.Answers()
        answers.keep(NAME, [(socket.AF_INET, address)])
        with pytest.raises(OSError, match="this machine"):
            await outside.connect_outside(NAME, 443, patience_s=5, answers=answers)
        with pytest.raises(OSError, match="this machine"):
            await outside.begin_outside(NAME, 443, answers)


async def test_a_device_that_listens_by_now_is_not_reached_by_what_is_kept(resolver: Resolver) -> None:
    resolver.address = "127.0.0.1"
    answers = resolving.Answers()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (await outside.connect_outside("localhost", port, patience_s=5, answers=answers)).close()
        with own_port(port), pytest.raises(OSError, match="belongs to a device") as refused:
            await outside.connect_outside("localhost", port, patience_s=5, answers=answers)
        assert (refused.value.errno, resolver.asked) == (errno.EACCES, 1)


async def test_a_name_at_whose_addresses_nothing_answers_is_asked_for_anew(resolver: Resolver) -> None:
    answers = resolving.Answers()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        resolver.address = "127.0.0.2"
        with pytest.raises(ConnectionRefusedError):
            await outside.connect_outside("localhost", port, patience_s=5, answers=answers)
        resolver.address = "127.0.0.1"
        (await outside.connect_outside("localhost", port, patience_s=5, answers=answers)).close()
        assert resolver.asked == 2
