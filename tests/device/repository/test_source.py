# SPDX-License-Identifier: Apache-2.0
"""One source over real sockets: what a device takes from it, and when it stops listening."""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
from pathlib import Path

import pytest
from tests.device.repository.device_side import Network, play
from tests.fixtures.certificates import self_signed
from tests.fixtures.static_server import (
    Misbehaviour,
    Request,
    StaticServer,
    drip,
    drip_headers,
    endless,
    gone,
    silent,
)

from armillary.device.repository.source import HttpSource, mirror_session
from armillary.errors import TransferError

FILES = {"metadata/timestamp.json": b"{}" * 50, "targets/kernel": bytes(range(200))}


class Memory:
    """A sink in memory."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.restarts = 0

    @property
    def received(self) -> int:
        return len(self.data)

    def restart(self) -> None:
        self.restarts += 1
        self.data.clear()

    def write(self, data: bytes) -> None:
        self.data += data


def read(server: StaticServer, path: str = "metadata/timestamp.json", limit: int = 1000) -> bytes | None:
    async def story(net: Network) -> bytes | None:
        return await net.source("s", server).read(path, limit)

    found: bytes | None = play(story, server)
    return found


def append(server: StaticServer, sink: Memory, length: int = 200) -> None:
    async def story(net: Network) -> None:
        await net.source("s", server).append("targets/kernel", sink, length)

    play(story, server)


def test_a_file_is_read_and_a_missing_one_is_none():
    server = StaticServer(FILES)
    assert read(server) == FILES["metadata/timestamp.json"]
    assert read(server, "metadata/2.root.json") is None
    assert server.asked == [("metadata/timestamp.json", None), ("metadata/2.root.json", None)]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_static_servers_say_of_a_missing_file(status: int):
    async def refuse(request: Request) -> bool:
        await request.answer(status)
        return True

    assert read(StaticServer(FILES, refuse)) is None


@pytest.mark.parametrize("status", [201, 206, 301, 302, 400, 429, 500, 503])
def test_any_other_answer_is_a_failure(status: int):
    async def refuse(request: Request) -> bool:
        await request.answer(status, headers="Location: http://127.0.0.1:1/metadata/timestamp.json\r\n")
        return True

    with pytest.raises(TransferError, match=f"got {status}"):
        read(StaticServer(FILES, refuse))


def test_a_longer_file_than_asked_for_is_not_read():
    with pytest.raises(TransferError, match="expected at most 99 bytes, got 100"):
        read(StaticServer(FILES), limit=99)
    assert read(StaticServer(FILES), limit=100) is not None


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        (endless, "expected at most 1000000 bytes, got more"),
        (drip, "expected at least 1000 bytes/s"),
        (drip_headers, "no answer within"),
        (silent, "no answer within"),
        (gone, "ended the connection without an answer"),
    ],
)
def test_a_source_that_never_comes_to_an_end_is_left(misbehave: Misbehaviour, reason: str):
    with pytest.raises(TransferError, match=reason):
        read(StaticServer(FILES, misbehave), limit=1_000_000)


def test_nothing_is_unpacked():
    """A kilobyte can unpack to a gigabyte."""

    async def packed(request: Request) -> bool:
        await request.answer(200, gzip.compress(b"\0" * 100_000), headers="Content-Encoding: gzip\r\n")
        return True

    found = read(StaticServer(FILES, packed))
    assert found is not None
    assert found.startswith(b"\x1f\x8b")


def test_a_file_goes_on_where_it_stopped():
    sink = Memory(FILES["targets/kernel"][:150])
    server = StaticServer(FILES)
    append(server, sink)
    assert (bytes(sink.data), sink.restarts) == (FILES["targets/kernel"], 0)
    assert server.asked == [("targets/kernel", 150)]


def test_a_source_without_ranges_begins_anew():
    sink = Memory(b"from another source")
    append(StaticServer(FILES, ranges=False), sink)
    assert (bytes(sink.data), sink.restarts) == (FILES["targets/kernel"], 1)


@pytest.mark.parametrize(
    "headers",
    ["", "Content-Range: bytes 0-199/200\r\n", "Content-Range: bytes 151-199/200\r\n", "Content-Range: x\r\n"],
)
def test_another_range_than_asked_for_is_refused(headers: str):
    async def other(request: Request) -> bool:
        await request.answer(206, b"x" * 50, headers=headers)
        return True

    sink = Memory(b"x" * 150)
    with pytest.raises(TransferError, match="expected the bytes from 150 on"):
        append(StaticServer(FILES, other), sink)
    assert sink.received == 150


def test_a_range_that_nobody_asked_for_is_refused():
    async def other(request: Request) -> bool:
        await request.answer(206, b"x" * 50, headers="Content-Range: bytes 0-49/50\r\n")
        return True

    with pytest.raises(TransferError, match="got 206"):
        append(StaticServer(FILES, other), Memory())


def test_more_bytes_than_the_file_has_never_reach_the_sink():
    sink = Memory()
    with pytest.raises(TransferError):
        append(StaticServer(FILES, endless), sink)
    assert sink.received <= 200


def test_a_quoted_path_is_asked_for_as_it_is():
    server = StaticServer({"metadata/1..%2Fevil%3F.json": b"role"})
    assert read(server, "metadata/1..%2Fevil%3F.json") == b"role"
    assert server.asked == [("metadata/1..%2Fevil%3F.json", None)]


def test_a_mirror_with_tls_is_known_by_the_authorities_of_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, pem, _ = self_signed(tmp_path, "localhost", authority=True, hosts=("localhost",))
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def read() -> bytes | None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        async with server, mirror_session((url,)) as session:
            return await HttpSource("m", url, lambda: session, monotonic=lambda: 0.0).read("a", 10)

    monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    with pytest.raises(TransferError, match="certificate verify failed"):
        asyncio.run(read())
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert asyncio.run(read()) == b"{}"
