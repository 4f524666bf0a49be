# SPDX-License-Identifier: Apache-2.0
"""The API at a service link: who comes by another interface finds nobody, who has not the secret is let go unheard.

The kernel's own network decides it here: the device and its computer are two network namespaces with two cables.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from tests.fixtures.namespaces import Namespace, network_namespace

from armillary.device.rest import listener
from armillary.device.rest.listener import Listener
from armillary.device.rest.settings import ServiceLink

DEVICE, COMPUTER, UPLINK, STRANGER = "192.168.35.2", "192.168.35.1", "10.9.0.2", "10.9.0.1"
PORT = 443
SECRET = b"s" * 32
ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
KEPT = ASKED.replace(b"Connection: close\r\n", b"")
LIMIT_S = 20


@dataclass(frozen=True)
class Cabled:
    """A device with the cable of its service link and that of its uplink, and the other ends of both."""

    device: Namespace
    computer: Namespace


@pytest.fixture
def cabled() -> Iterator[Cabled]:
    with network_namespace() as device, network_namespace() as computer:
        there = f"/proc/{os.getpid()}/fd/{computer._descriptor}"
        for name, other, here, far in (
            ("azspheresvc", "cable", DEVICE, COMPUTER),
            ("eth0", "network", UPLINK, STRANGER),
        ):
            run(device, "link", "add", name, "type", "veth", "peer", "name", other, "netns", there)
            for namespace, interface, address in ((device, name, here), (computer, other, far)):
                run(namespace, "address", "add", f"{address}/24", "dev", interface)
                run(namespace, "link", "set", interface, "up")
        yield Cabled(device, computer)


def run(namespace: Namespace, *words: str) -> None:
    subprocess.run(namespace.command("ip", *words), check=True)


def tried(cabled: Cabled, check: Callable[[Callable[..., Any]], Any], refused: list[int | None]) -> None:
    """Have a device listen at its link while ``check`` asks from the computer's side: ``ask(data, interface)``."""

    def ask(data: bytes, namespace: Namespace = cabled.computer, interface: str = "") -> bytes:
        def asked() -> bytes:
            with socket.socket() as tool:
                tool.settimeout(LIMIT_S)
                if interface:
                    tool.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                tool.connect((DEVICE, PORT))
                tool.sendall(data)
                found = b""
                with contextlib.suppress(ConnectionResetError):
                    while part := tool.recv(4096):
                        found += part
                return found

        return namespace.call(asked)

    async def device() -> None:
        async with listening(refused):
            await asyncio.to_thread(check, ask)

    cabled.device.run(device())


@contextlib.asynccontextmanager
async def listening(refused: list[int | None]) -> AsyncIterator[None]:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="the device")

    link = ServiceLink("azspheresvc", SECRET)
    made = Listener(answer, headers={}, tls=None, owner_only=False, refused=refused.append, link=link)
    made.listen(DEVICE, PORT)
    try:
        yield
    finally:
        await made.close()


def test_the_attached_computer_is_answered_behind_the_secret(cabled: Cabled) -> None:
    refused: list[int | None] = []
    tried(cabled, lambda ask: check_answered(ask(SECRET + ASKED)), refused)
    assert refused == []


def check_answered(found: bytes) -> None:
    assert found.endswith(b"the device"), found


@pytest.mark.parametrize("begun", [b"", SECRET[1:], b"x" + SECRET[1:], SECRET[::-1][:-1] + b"x"])
def test_without_the_secret_nothing_is_answered(cabled: Cabled, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.2)  # one that says too little is let go
    refused: list[int | None] = []

    def check(ask: Callable[..., bytes]) -> None:
        assert ask(begun + ASKED[: len(SECRET)]) == b""
        assert ask(begun[:8]) == b""

    tried(cabled, check, refused)
    assert refused == [None, None]


def connected(cabled: Cabled) -> socket.socket:
    return cabled.computer.call(lambda: socket.create_connection((DEVICE, PORT), LIMIT_S))


def test_those_who_do_not_say_the_secret_keep_out_nobody(cabled: Cabled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_S", 3600)  # they would wait for ever
    refused: list[int | None] = []

    def check(ask: Callable[..., bytes]) -> None:
        with contextlib.ExitStack() as strangers:
            silent = [strangers.enter_context(connected(cabled)) for _ in range(2 * listener.MAX_UNSAID)]
            check_answered(ask(SECRET + ASKED))
            with contextlib.suppress(ConnectionResetError):
                assert silent[0].recv(1) == b"", "the oldest had to go"

    tried(cabled, check, refused)
    assert len(refused) >= listener.MAX_UNSAID


def test_the_computer_has_all_the_room_and_no_more(cabled: Cabled) -> None:
    def check(ask: Callable[..., bytes]) -> None:
        with contextlib.ExitStack() as tools:
            for _ in range(listener.MAX_CONNECTIONS):
                tool = tools.enter_context(connected(cabled))
                tool.sendall(SECRET + KEPT)
                assert tool.recv(4096).startswith(b"HTTP/1.1 200")
            assert ask(SECRET + KEPT) == b"", "one too many"

    tried(cabled, check, [])


def test_nobody_comes_in_by_the_uplink_and_nothing_of_the_device_itself(cabled: Cabled) -> None:
    run(cabled.computer, "route", "add", f"{DEVICE}/32", "via", UPLINK, "dev", "network")

    def check(ask: Callable[..., bytes]) -> None:
        with pytest.raises(ConnectionRefusedError):  # it knows the address, and the secret
            ask(SECRET + ASKED, interface="network")
        assert ask(ASKED, namespace=cabled.device) == b"", "what runs on the device does not know the secret"
        check_answered(ask(SECRET + ASKED, interface="cable"))

    tried(cabled, check, [])
