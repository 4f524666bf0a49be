# SPDX-License-Identifier: Apache-2.0
"""What cannot be debugged says why, and sessions end with what they are about."""

from __future__ import annotations

import asyncio
import shutil
import socket
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fixtures.waiting import until

from armillary.device.debugging.sessions import (
    MAX_UNREAD_BYTES,
    CannotDebugError,
    DebuggerStartsError,
    DebugSessions,
)
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.port import OutputLine

pytestmark = pytest.mark.anyio
LOOPBACK = "127.0.0.1"
DEADLINE_S = 60.0


class Run:
    """A pretended run of an application."""

    def __init__(self, number: int = 1, *, real_time: bool = False) -> None:
        grant = SimpleNamespace(real_time=real_time)
        self.application = SimpleNamespace(name="app", image_id=uuid.UUID(int=number), grant=grant)
        self.running: Any = None
        self.listeners: list[Any] = []

    def listen(self, hear: Any) -> Any:
        self.listeners.append(hear)
        return lambda: self.listeners.remove(hear)


def sessions(host: str = LOOPBACK) -> DebugSessions:
    return DebugSessions(host, Journal(None, lambda: 0))


@pytest.fixture(autouse=True)
def with_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


def connected(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


async def test_what_cannot_be_debugged_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotDebugError, match="an emulated core"):
        sessions().check(Run(real_time=True))
    with pytest.raises(CannotDebugError, match="knows no token") as refused:
        await sessions("192.0.2.1").open(Run())
    assert "--rest 127.0.0.1" in refused.value.remedy
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(CannotDebugError, match="no debugging server") as refused:
        await sessions().open(Run())
    assert "apt-get install gdbserver" in refused.value.remedy


async def test_sessions_end_with_their_images_and_with_the_boot() -> None:
    found = sessions()
    first, second = await found.open(Run(1)), await found.open(Run(2))
    ports = (first.gdb, first.output, second.gdb, second.output)
    assert len(set(ports)) == 4
    again = await found.open(Run(1))
    assert not connected(first.gdb), "one that is opened anew takes the place of the one before"
    await found.keep_only({uuid.UUID(int=2)})
    assert not connected(again.output)
    assert connected(second.output)
    await found.close()
    assert not any(map(connected, (*ports, again.gdb, again.output)))


async def test_nobody_gets_in_once_it_is_not_allowed_any_more() -> None:
    found, run, allowed = sessions(), Run(), [True]
    ports = await found.open(run, may=lambda: allowed[0])
    reader, writer = await asyncio.open_connection(LOOPBACK, ports.output)
    await until(lambda: run.listeners, "it is served")
    writer.close()
    await until(lambda: not run.listeners, "it has gone")
    allowed[0] = False
    for port in (ports.gdb, ports.output):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    assert not run.listeners
    await found.close()


async def test_who_reads_no_output_is_let_go() -> None:
    found, run = sessions(), Run()
    ports = await found.open(run)
    with socket.create_connection((LOOPBACK, ports.output)) as slow:
        await until(lambda: run.listeners, "it listens")
        line = OutputLine("stdout", "x" * 8000, 0.0)
        for _ in range(8 * MAX_UNREAD_BYTES // 8000):
            for hear in tuple(run.listeners):
                hear(line)
        await until(lambda: not run.listeners, "it is let go")
        slow.close()
    await found.close()


async def test_one_at_a_time_starts_an_application_for_a_debugger() -> None:
    found, run = sessions(), Run(1)
    other = found.starting(run)
    with found.starting(run), found.starting(Run(2)), pytest.raises(DebuggerStartsError, match="already") as refused:
        other.__enter__()  # both would be told ports, and only one pair is open
    assert "the other request" in refused.value.remedy
    with found.starting(run):  # the control
        pass


TALKS = """#!/usr/bin/env python3
import sys
sys.stdin.buffer.read(1)
for _ in range(4): sys.stderr.write("chatter\\n" * 8192); sys.stderr.flush()
sys.stdout.write("+"); sys.stdout.flush()
sys.stdin.buffer.read(1)
sys.exit("the last words")
"""


async def test_a_server_that_says_much_goes_on_and_its_last_words_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than its pipe and its reader hold: nobody would take it, and the server would wait for ever."""
    server = tmp_path / "gdbserver"
    server.write_text(TALKS)
    server.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(server))
    told: list[tuple[str, dict[str, Any]]] = []
    journal = Journal(None, lambda: 0)
    monkeypatch.setattr(journal, "write", lambda event, **fields: told.append((event, fields)))
    found, run = DebugSessions(LOOPBACK, journal), Run()
    run.running = SimpleNamespace(pid=1)
    ports = await found.open(run)
    reader, writer = await asyncio.open_connection(LOOPBACK, ports.gdb)
    writer.write(b"!")
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read(1) == b"+"
    writer.write(b"!")
    await until(lambda: any(event == "debugger-failed" for event, _ in told), "its end in the journal")
    (fields,) = [fields for event, fields in told if event == "debugger-failed"]
    assert fields["reason"].endswith("the last words")
    writer.close()
    await found.close()
