# SPDX-License-Identifier: Apache-2.0
"""A whole device whose API is at a service link: it hears nobody without the secret, and no link keeps it from running.

The host's loopback stands for the cable.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.device.fake_sandbox import FakeSandbox
from tests.device.rest.asking import LIMIT_S, Tool, tool_of
from tests.device.rig import FAST, Rig, provisioned
from tests.device.tiny_service import TinyService
from tests.fixtures.waiting import until

from armillary.device.rest.settings import RestSettings, ServiceLink

pytestmark = pytest.mark.anyio
SECRET = b"s" * 32
ASKED = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LINK = RestSettings(host="127.0.0.1", port=0, link=ServiceLink("lo", SECRET))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with provisioned(TinyService(), FakeSandbox(), tmp_path / "d") as found:
        yield found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def said(tool: Tool, begun: bytes, asked: bytes = ASKED) -> bytes:
    """What the API says to a connection that begins like this, before TLS."""
    with socket.create_connection(tool.place, LIMIT_S) as plain:
        plain.sendall(begun)
        with tool.context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(asked)
            found = b""
            while part := connection.recv(4096):
                found += part
            return found


async def test_its_api_is_behind_the_secret_of_the_link(rig: Rig) -> None:
    async with tool_of(rig, settings=LINK) as tool:
        assert b"HTTP/1.1 200" in await asyncio.to_thread(said, tool, SECRET)
        assert rig.events("rest-refused") == []
        for begun in (b"", b"x" * len(SECRET)):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.to_thread(said, tool, begun)
        await rig.stop()
    refused = rig.events("rest-refused")
    assert sum(each["count"] for each in refused) == 2
    assert {each["user"] for each in refused} == {"without the secret of the service link"}


async def test_what_a_machine_lacks_is_said_with_what_a_machine_can_get(rig: Rig) -> None:
    """Not with options of a device that is a process of a host."""
    async with tool_of(rig, settings=LINK) as tool:
        for path, name in ((b"/wifi/scan", b"--simulated-radios"), (b"/cellular/interface", b"--modem.")):
            answer = await asyncio.to_thread(said, tool, SECRET, ASKED.replace(b"/status", path))
            assert name in answer, answer
            assert b"--simulated-wifi" not in answer
            assert b"--modem-port" not in answer


async def test_a_link_that_cannot_be_listened_at_ends_no_start(rig: Rig) -> None:
    gone = RestSettings(host="127.0.0.1", port=0, link=ServiceLink("no-such-card", SECRET))
    await rig.start(replace(FAST, rest=gone))
    await until(lambda: rig.status().get("last_check_in"), "the device runs")
    (lost,) = rig.events("rest-lost")
    assert "cannot listen on 127.0.0.1:0 (No such device)" in lost["reason"]
    assert rig.status()["rest"] is None
