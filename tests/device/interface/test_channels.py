# SPDX-License-Identifier: Apache-2.0
"""Channels between applications: both name each other, messages arrive whole, an end is an end, and nobody else gets in."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.device.interface.asking import Asked, Client, Host, application, events
from tests.fixtures.waiting import until

from armillary.capability.grant import Grant
from armillary.device.interface.channels import MESSAGE_LIMIT_BYTES, Channels
from armillary.device.state.report_limit import BURST, PERIOD_S
from armillary.engines.sandbox.port import METHOD, ConnectionAttempt

pytestmark = pytest.mark.anyio

ONE, OTHER, THIRD, SILENT = (str(UUID(int=number)) for number in range(1, 5))
# Number of an application -> whom it names. The third names the first, which does not name it.
NAMES = {1: [OTHER, SILENT], 2: [ONE], 3: [ONE, str(UUID(int=9))], 4: []}


class Device:
    """The interface of a device with four applications."""

    def __init__(self, folder: Path) -> None:
        self.applications = {
            number: application(number, AllowedApplicationConnections=partners) for number, partners in NAMES.items()
        }
        self.now = 0.0
        self.host = Host(folder, lambda journal: Channels(self.grant_of, journal, lambda: self.now).methods)

    def grant_of(self, component_id: UUID) -> Grant | None:
        found = (each for each in self.applications.values() if each.component_id == component_id)
        return next((each.grant for each in found), None)

    def run(self, number: int) -> contextlib.AbstractAsyncContextManager[Asked]:
        return self.host.open(self.applications[number])


@pytest.fixture
async def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


class End:
    """An application's end of a channel."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        stream.setblocking(False)

    async def send(self, message: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.stream, message), 10)

    async def take(self) -> bytes:
        """The next message; b"" at the end."""
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.stream, 4096), 10)
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self.stream.close()


async def connect(client: Client, partner: str) -> End:
    """Ask for an end, and take the descriptor that comes with the answer."""
    await client.send({"id": 1, "method": "application.connect", "parameters": {"component_id": partner}})
    await until(lambda: _readable(client.stream), "the answer")
    _, descriptors, _, _ = socket.recv_fds(client.stream, 65536, 1)
    return End(socket.socket(fileno=descriptors[0]))


def _readable(stream: socket.socket) -> bool:
    try:
        return bool(stream.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


@contextlib.asynccontextmanager
async def connected(device: Device) -> AsyncIterator[tuple[End, End]]:
    async with device.run(1) as one, device.run(2) as other:
        ends = await connect(one.client(), OTHER), await connect(other.client(), ONE)
        try:
            yield ends
        finally:
            for each in ends:
                each.close()


async def test_messages_arrive_whole_and_in_order_both_ways(device: Device) -> None:
    async with connected(device) as (one, other):
        for size in (1, 17, MESSAGE_LIMIT_BYTES):
            await one.send(b"x" * size)
            await other.send(b"y" * size)
        assert [len(await other.take()) for _ in range(3)] == [1, 17, MESSAGE_LIMIT_BYTES]
        assert [await one.take() for _ in range(3)] == [b"y", b"y" * 17, b"y" * MESSAGE_LIMIT_BYTES]


async def test_what_is_sent_before_the_partner_asks_waits_for_it(device: Device) -> None:
    async with device.run(1) as first, device.run(2) as second:
        one = await connect(first.client(), OTHER)
        await one.send(b"early")
        other = await connect(second.client(), ONE)
        assert await other.take() == b"early"
        one.close()
        assert await other.take() == b""
        other.close()


async def test_a_partner_that_does_not_read_bounds_its_sender_and_loses_nothing(device: Device) -> None:
    async with connected(device) as (one, other):
        sent = idle = 0
        while idle < 100 and sent < 10_000:  # the device has had its turns, and takes no more
            try:
                one.stream.send(sent.to_bytes(4, "big") + b"x" * 1000)
                sent, idle = sent + 1, 0
            except BlockingIOError:
                idle += 1
            await asyncio.sleep(0)
        assert 10 < sent < 500  # bounded: some tens of messages for each of the sockets between them
        one.close()
        for number in range(sent):
            assert int.from_bytes((await other.take())[:4], "big") == number
        assert await other.take() == b""


async def test_a_message_that_is_too_long_ends_the_channel(device: Device) -> None:
    async with connected(device) as (one, other):
        await one.send(b"x" * (MESSAGE_LIMIT_BYTES + 1))
        assert await other.take() == b""
        assert await one.take() == b""
        (ended,) = events(device.host, "channel-ended")
        assert ended["reason"] == "a message of more than 1024 bytes"


async def test_who_asks_in_a_loop_does_not_fill_the_log(device: Device) -> None:
    """Each asking ends the channel before: five lines, and then one in ten minutes that counts."""
    async with device.run(1) as first, contextlib.AsyncExitStack() as held:
        client = first.client()
        for _ in range(30):
            held.callback((await connect(client, OTHER)).close)
        ended = [each for each in events(device.host, "channel-ended") if each["reason"] == "one side has asked anew"]
        assert [each["times"] for each in ended] == [1] * BURST
        device.now += PERIOD_S
        held.callback((await connect(client, OTHER)).close)
        last = events(device.host, "channel-ended")[-1]
        assert last["reason"] == "one side has asked anew"
        assert last["times"] == 30 - BURST


async def test_an_empty_message_is_no_end(device: Device) -> None:
    async with connected(device) as (one, other):
        one.stream.send(b"")
        await one.send(b"after it")
        assert [await other.take(), await other.take()] == [b"", b"after it"]


async def test_the_partner_starts_again(device: Device) -> None:
    async with device.run(1) as first:
        client = first.client()
        async with device.run(2) as second:
            one, other = await connect(client, OTHER), await connect(second.client(), ONE)
            await other.send(b"last")
            other.close()
        assert [await one.take(), await one.take()] == [b"last", b""]
        one.close()
        async with device.run(2) as second:
            other, one = await connect(second.client(), ONE), await connect(client, OTHER)
            await other.send(b"again")
            assert await one.take() == b"again"
            one.close()
            other.close()


async def test_an_end_that_nobody_has_taken_goes_with_its_application(device: Device) -> None:
    async with device.run(1) as first:
        client = first.client()
        async with device.run(2) as second:
            one = await connect(client, OTHER)  # the other end is the second's, which has not asked
            second.client()
            other = await connect(second.client(), ONE)
            other.close()
            assert await one.take() == b""
            one.close()
            one = await connect(client, OTHER)
            other = await connect(second.client(), ONE)
            one.close()
            other.close()
        async with device.run(2) as second:
            other = await connect(second.client(), ONE)
        # Its run has ended with the first's end still here: the first begins anew.
        other.close()
        one = await connect(client, OTHER)
        one.close()


async def test_who_is_not_named_by_both_gets_no_channel(device: Device) -> None:
    async with device.run(1) as first, device.run(3) as third, device.run(2) as second, device.run(4) as silent:
        refused = await third.client().ask("application.connect", component_id=ONE)
        assert refused["name"] == "EACCES"  # the first does not name it
        refused = await third.client().ask("application.connect", component_id=OTHER)
        assert (refused["name"], refused["error_id"]) == ("EACCES", 2 << 20 | 43)
        told = [each.host for each in third.events if isinstance(each, ConnectionAttempt) and each.protocol == METHOD]
        assert told == [f"application.connect of {OTHER} without AllowedApplicationConnections"]
        refused = await first.client().ask("application.connect", component_id=SILENT)
        assert refused["name"] == "EACCES"
        assert (await silent.client().ask("application.connect", component_id=ONE))["name"] == "EACCES"
        assert (await third.client().ask("application.connect", component_id=str(UUID(int=9))))["name"] == "ENOENT"
        assert (await first.client().ask("application.connect", component_id="none"))["name"] == "EINVAL"
        one, other = await connect(first.client(), OTHER), await connect(second.client(), ONE)  # the control
        await one.send(b"between the two")
        assert await other.take() == b"between the two"
        one.close()
        other.close()


async def test_nothing_but_bytes_goes_from_one_to_another(device: Device, tmp_path: Path) -> None:
    """A descriptor would lend the partner what its manifest does not name: a connection, a file."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    async with connected(device) as (one, other):
        with secret.open("rb") as file:
            socket.send_fds(one.stream, [b"take it"], [file.fileno()])
        await until(lambda: _readable(other.stream), "the message")
        message, descriptors, _, _ = socket.recv_fds(other.stream, 4096, 4)
        assert (message, descriptors) == (b"take it", [])
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with a, b, secret.open("rb") as file:  # the control: through a channel without the device between
            socket.send_fds(a, [b"take it"], [file.fileno()])
            _, found, _, _ = socket.recv_fds(b, 4096, 4)
            with open(found[0], "rb") as taken:  # noqa: PTH123 - a descriptor
                assert taken.read() == b"secret"


async def test_one_that_floods_does_not_keep_others_waiting(device: Device) -> None:
    async with connected(device) as (one, other):

        async def flood() -> None:
            while True:
                with contextlib.suppress(BlockingIOError):
                    one.stream.send(b"x" * MESSAGE_LIMIT_BYTES)
                with contextlib.suppress(BlockingIOError):
                    other.stream.recv(4096)
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood())
        async with device.run(3) as third:
            client = third.client()
            for _ in range(20):
                assert (await client.ask("interface.describe"))["version"] == 1
        flooding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flooding


@pytest.mark.parametrize("name", ["\0armillary-test-channel", "named"])
async def test_an_end_takes_no_name_of_the_host(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It belongs to the host's network, in which names without a path are looked up."""
    monkeypatch.chdir(tmp_path)
    async with connected(device) as ends:
        for end in ends:
            with pytest.raises(OSError) as refused:
                end.stream.bind(name)
            assert refused.value.errno == errno.EINVAL
            with pytest.raises(OSError):
                end.stream.listen()
