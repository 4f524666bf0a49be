# SPDX-License-Identifier: Apache-2.0
"""An application that floods, half says, never reads, connects without end or sends descriptors harms itself alone."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import Client, Host, application
from tests.fixtures.clocks import Clock
from tests.fixtures.other_user import interpreter
from tests.fixtures.waiting import until

from armillary.device.interface import connection, door
from armillary.device.interface.allowance import Allowance
from armillary.device.interface.interface import no_sockets_left, socket_folder
from armillary.device.interface.method import Answer, Call, Method
from armillary.wire.device.interface.frame import FRAME_LIMIT_BYTES, encode_frame

pytestmark = pytest.mark.anyio


async def echo(call: Call) -> Mapping[str, Any]:
    return {"text": call.parameters.text("text", most=60_000, default="")}


def rows(_: object) -> tuple[Method, ...]:
    return (Method("echo", None, echo),)


def request(number: int) -> bytes:
    return encode_frame({"id": number, "method": "echo"})


async def test_what_is_no_frame_ends_the_connection_and_no_other(tmp_path: Path) -> None:
    host = Host(tmp_path, rows)
    async with host.open(application()) as asked:
        good, bad = asked.client(), asked.client()
        await bad.send((FRAME_LIMIT_BYTES + 1).to_bytes(4, "big"))
        said = await bad.take()
        assert said is not None
        assert (said["id"], said["error"]["name"]) == (None, "EPROTO")
        assert await bad.take() is None
        assert await good.ask("echo") == {"text": ""}


async def test_half_a_frame_holds_its_own_connection_alone(tmp_path: Path) -> None:
    host = Host(tmp_path, rows)
    async with host.open(application()) as asked:
        slow, other = asked.client(), asked.client()
        whole = request(4)
        await slow.send(whole[:9])
        assert await other.ask("echo") == {"text": ""}
        await slow.send(whole[9:])
        assert (await slow.take() or {})["id"] == 4


async def test_a_flood_waits_in_its_own_socket_while_others_are_answered(tmp_path: Path) -> None:
    """Over its rate an application is not read from; another one's calls are answered at once meanwhile."""
    host = Host(tmp_path, rows)
    async with host.open(application(1)) as flooding, host.open(application(2)) as quiet:
        client = flooding.client()
        sending = asyncio.create_task(client.send(request(1) * 100_000))
        other = quiet.client()
        for number in range(50):
            assert await other.ask("echo", number) == {"text": ""}
        assert not sending.done()
        assert await client.take() is not None
        sending.cancel()


async def test_over_its_rate_no_request_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, begun = iter([0.0] * 10 + [3600.0] * 100), []

    async def count(_: Call) -> None:
        begun.append(1)

    host = Host(tmp_path, lambda _: (Method("count", None, count),))
    async with host.open(application()) as asked:
        client = asked.client()
        await client.ask("count")  # so that its connection counts no more
        monkeypatch.setattr(Allowance, "take", lambda _: next(waits))
        await client.send(encode_frame({"id": 1, "method": "count"}) * 50)
        for _ in range(10):
            assert await client.take() is not None
    assert len(begun) == 11


def test_so_many_at_once_then_so_many_a_second() -> None:
    now = Clock()
    allowance = Allowance(burst=3, per_second=2.0, monotonic=lambda: now.now)
    assert [allowance.take() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    now.now += 2
    assert allowance.peek() == 0
    assert [allowance.take() for _ in range(3)] == [0, 0, 0.5]
    now.now += 3600
    assert [allowance.take() for _ in range(4)] == [0, 0, 0, 0.5], "what was not used is not more than the burst"


async def test_one_that_never_reads_is_not_read_from(tmp_path: Path) -> None:
    """Its answers wait with its calls: at most so many are under way, and nothing grows."""
    under_way: set[int] = set()

    async def large(call: Call) -> Mapping[str, Any]:
        under_way.add(call.parameters.integer("number", 0, 10_000))
        return {"text": "x" * 60_000}

    host = Host(tmp_path, lambda _: (Method("large", None, large), *rows(None)))
    async with host.open(application(1)) as deaf, host.open(application(2)) as other:
        client = deaf.client()
        for number in range(150):
            await client.send({"id": number, "method": "large", "parameters": {"number": number}})
        await until(lambda: len(under_way) > connection.IN_FLIGHT_LIMIT, "calls")
        assert await other.client().ask("echo") == {"text": ""}
        assert len(under_way) < 150
        for _ in range(150):
            assert await client.take() is not None
        assert len(under_way) == 150


async def test_events_that_are_not_read_are_dropped_and_counted(tmp_path: Path) -> None:
    tell: list[Any] = []

    async def subscribe(call: Call) -> None:
        tell.append(call.notify)

    host = Host(tmp_path, lambda _: (Method("subscribe", None, subscribe),))
    async with host.open(application()) as asked:
        client = asked.client()
        await client.ask("subscribe")
        for number in range(connection.EVENTS_LIMIT + 5):
            tell[0]("tick", {"number": number})
        first = await client.take()
        assert first == {"event": "tick", "data": {"number": 5}, "lost": 5}
        for number in range(6, connection.EVENTS_LIMIT + 5):
            assert await client.take() == {"event": "tick", "data": {"number": number}}


async def test_more_connections_than_one_may_have_are_turned_away(tmp_path: Path) -> None:
    host = Host(tmp_path, rows)
    async with host.open(application(1)) as greedy, host.open(application(2)) as other:
        clients = [greedy.client() for _ in range(door.CONNECTION_LIMIT)]
        for client in clients:
            assert await client.ask("echo") == {"text": ""}
        more = greedy.client()
        said = await more.take()
        assert said is not None
        assert (said["error"]["name"], said["error"]["remedy"]) == ("EAGAIN", "Close one first.")
        assert await more.take() is None
        assert await other.client().ask("echo") == {"text": ""}


async def test_thousands_of_connections_take_no_descriptors(tmp_path: Path) -> None:
    """Each is closed or waits in the kernel; the device's own count stays within the limits of one application."""
    host = Host(tmp_path, rows)
    async with host.open(application(1)) as flooding, host.open(application(2)) as other:
        before, tried = descriptors(), 0
        held: list[socket.socket] = []
        for _ in range(2000):
            stream = socket.socket(socket.AF_UNIX)
            stream.setblocking(False)
            tried += 1
            if stream.connect_ex(str(flooding.path)) == 0:
                held.append(stream)
            else:
                stream.close()
            await asyncio.sleep(0)
        served = descriptors() - before - len(held)
        assert tried == 2000
        assert served <= door.CONNECTION_LIMIT
        assert await other.client().ask("echo") == {"text": ""}
        for stream in held:
            stream.close()


async def test_descriptors_that_it_sends_are_dropped(tmp_path: Path) -> None:
    host = Host(tmp_path, rows)
    async with host.open(application()) as asked:
        client = asked.client()
        assert await client.ask("echo") == {"text": ""}
        read, write = os.pipe()
        before = descriptors()
        for number in range(50):
            socket.send_fds(client.stream, [request(number)], [write] * 100)
            assert (await client.take() or {})["id"] == number
        assert descriptors() == before
        os.close(write)
        assert os.read(read, 1) == b""  # nobody else holds the other end
        os.close(read)


async def test_the_end_of_a_run_ends_its_connections(tmp_path: Path) -> None:
    waiting = asyncio.Event()

    async def wait(_: Call) -> None:
        await waiting.wait()

    host = Host(tmp_path, lambda _: (Method("wait", None, wait),))
    async with host.open(application()) as asked:
        client = Client(asked.path)
        await client.send({"id": 1, "method": "wait"})
        await client.send(request(2)[:5])
    assert await client.take() is None
    client.close()
    assert not asked.path.exists()


async def test_descriptors_that_the_kernel_does_not_carry_are_an_error_and_not_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel counts the descriptors of a user that nobody has taken yet (unix(7): ETOOMANYREFS)."""

    async def give(_: Call) -> Answer:
        return Answer(result={}, descriptors=(os.open("/dev/null", os.O_RDONLY),))

    async def full(*_: object) -> int:
        raise OSError(errno.ETOOMANYREFS, os.strerror(errno.ETOOMANYREFS))

    monkeypatch.setattr(connection.Connection, "_send_descriptors", full)
    async with Host(tmp_path, lambda _: [Method("give", None, give), *rows(_)]).open(application()) as asked:
        client = asked.client()
        assert (await client.ask("give"))["name"] == "ETOOMANYREFS"
        assert await client.ask("echo") == {"text": ""}


async def test_the_folder_is_private_and_a_foreign_one_is_not_used(tmp_path: Path) -> None:
    long_path = tmp_path / ("long" * 20)
    with no_sockets_left(long_path):
        async with Host(long_path, rows).open(application()) as asked:
            assert len(os.fsencode(asked.path)) < 108
            assert asked.path.parent.stat().st_mode & 0o777 == 0o700
            assert asked.path.stat().st_mode & 0o777 == 0o600
    assert not asked.path.parent.exists()
    open_folder = tmp_path / "app"
    open_folder.mkdir(mode=0o777)
    open_folder.chmod(0o777)
    refused = Host(tmp_path, rows)
    with pytest.raises(AssertionError):
        async with refused.open(application()):
            pass
    assert [entry["event"] for entry in refused.entries] == ["interface-not-opened"]


async def test_a_link_that_another_user_left_in_the_temporary_folder_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the link's target is deleted, and no socket is made there."""
    shared, target, long_path = tmp_path / "tmp", tmp_path / "target", tmp_path / ("long" * 20)
    shared.mkdir()
    target.mkdir(mode=0o700)
    (target / "precious").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    folder = socket_folder(long_path)
    assert folder.parent == shared
    folder.symlink_to(target)
    refused = Host(long_path, rows)
    with no_sockets_left(long_path), pytest.raises(AssertionError):
        async with refused.open(application()):
            pass
    assert [each.name for each in target.iterdir()] == ["precious"]
    assert [entry["event"] for entry in refused.entries] == ["interface-not-opened"]
    assert f"{folder}: expected a folder of user {os.geteuid()}" in refused.entries[0]["reason"]
    folder.unlink()
    folder.mkdir(mode=0o700)
    (folder / "9.sock").touch()
    with no_sockets_left(long_path):
        assert not folder.exists(), "what the device itself left there goes"


@pytest.mark.skipif(os.geteuid() != 0, reason="to give a folder away needs root; to enable: sudo make test")
async def test_a_folder_of_another_user_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    long_path = tmp_path / ("long" * 20)
    folder = socket_folder(long_path)
    folder.mkdir(mode=0o700)
    (folder / "precious").touch()
    os.chown(folder, 60123, -1)
    with no_sockets_left(long_path):
        pass
    assert (folder / "precious").exists()


STRANGER = """
import socket, sys
stream = socket.socket(socket.AF_UNIX); stream.connect(sys.argv[1]); print(stream.recv(1000)[4:].decode())
"""


async def test_a_program_of_another_user_is_turned_away_even_where_the_folder_lets_it_in(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root starts a program of another user: sudo make test")
    long_path = tmp_path / ("long" * 20)
    with no_sockets_left(long_path):
        async with Host(long_path, rows).open(application()) as asked:
            asked.path.parent.chmod(0o755)
            asked.path.chmod(0o666)
            stranger = await asyncio.create_subprocess_exec(
                interpreter(), "-I", "-c", STRANGER, str(asked.path), user=60123, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await stranger.communicate()
            assert json.loads(out)["error"]["name"] == "EACCES"
            assert await asked.client().ask("echo") == {"text": ""}, "the device's own user is let in"


def descriptors() -> int:
    return len([*Path("/proc/self/fd").iterdir()])
