# SPDX-License-Identifier: Apache-2.0
"""The device's API where its port is taken, others knock without end, or the host has no descriptor left."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rest.asking import tool_of
from tests.device.rig import Rig, provisioned
from tests.device.tiny_service import TinyService
from tests.fixtures.waiting import until

from armillary.device.rest import listener, server
from armillary.device.rest.listener import Listener
from armillary.device.rest.staging import Staging
from armillary.device.state.request_refused import RequestRefusedError
from armillary.errors import PortInUseError
from armillary.wire.device import azure_error

pytestmark = pytest.mark.anyio
STRANGER = 65534


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A device with a pretended sandbox, and its service, in the event loop of the test."""
    async with provisioned(TinyService(), FakeSandbox(), tmp_path / "d") as found:
        yield found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_device_whose_port_is_taken_while_it_restarts_goes_on_and_takes_it_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = True
    listens = Listener.listen

    def listen(self: Listener, host: str, port: int, **options: object) -> int:
        if taken:
            raise PortInUseError("taken")
        return listens(self, host, port, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "RETRY_S", 0.01)
    async with tool_of(rig) as tool:
        monkeypatch.setattr(Listener, "listen", listen)
        assert rig.device is not None
        checks = len(rig.service.checks)
        rig.device.restart(0)
        await until(lambda: rig.events("rest-lost"), "the log says that the API is lost")
        await until(lambda: len(rig.service.checks) > checks, "the device goes on")
        assert rig.status()["rest"] is None
        taken = False
        await until(lambda: len(rig.events("rest-listening")) == 2, "the API is back")
        assert [each["reason"] for each in rig.events("rest-lost")] == ["taken"], "it is said once"
        tool.address = {key: rig.events("rest-listening")[1][key] for key in ("url", "ca", "list")}
        assert (await tool.ask("GET", "/status")).status == 200


async def test_strangers_take_no_room_and_few_lines_of_the_log(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, gate = 0, threading.Event()

    def user_of(_: socket.socket) -> int:
        nonlocal asked
        assert gate.wait(60)
        asked += 1
        return STRANGER if asked <= listener.MAX_CONNECTIONS else os.geteuid()

    async with tool_of(rig) as tool:
        monkeypatch.setattr(listener, "peer_user", user_of)
        with contextlib.ExitStack() as strangers:
            for _ in range(listener.MAX_CONNECTIONS):
                strangers.enter_context(socket.create_connection(tool.place))
            owner = asyncio.create_task(asyncio.open_connection(*tool.place, ssl=tool.context))
            asyncio.get_running_loop().call_later(0.2, gate.set)
            _, writer = await owner
            writer.close()
        await rig.stop()
    lines = rig.events("rest-refused")
    assert [(each["user"], each["count"]) for each in lines] == [
        (STRANGER, 1),
        (STRANGER, listener.MAX_CONNECTIONS - 1),
    ]


async def test_without_a_descriptor_the_listener_waits_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def accept(_: socket.socket) -> None:
        nonlocal tried
        tried += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="here")

    made = Listener(answer, headers={}, tls=None, owner_only=False, refused=lambda _: None)
    port = made.listen("127.0.0.1", 0)
    try:
        with monkeypatch.context() as exhausted:
            exhausted.setattr(socket.socket, "accept", accept)
            exhausted.setattr(listener, "EXHAUSTED_S", 3600)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await until(lambda: tried, "the listener has tried")
            for _ in range(100):
                await asyncio.sleep(0)
            assert tried == 1
        made._listen_again()
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"here")
        writer.close()
    finally:
        await made.close()


async def test_packages_that_come_at_a_time_share_the_room(tmp_path: Path) -> None:
    staging = Staging(tmp_path, 1000)
    more = asyncio.Event()

    async def chunks(*, waits: bool) -> AsyncIterator[bytes]:
        yield bytes(600)
        if waits:
            await more.wait()

    first = asyncio.create_task(staging.put(chunks(waits=True), ()))
    await until(lambda: [*tmp_path.iterdir()], "the first one comes")
    with pytest.raises(RequestRefusedError) as refused:
        await staging.put(chunks(waits=False), ())
    assert refused.value.number == azure_error.NO_ROOM
    more.set()
    with pytest.raises(RequestRefusedError) as refused:
        await first
    assert refused.value.number == azure_error.NO_IMAGE_PACKAGE
    assert staging._arriving == {}
    assert [*tmp_path.iterdir()] == []
