# SPDX-License-Identifier: Apache-2.0
"""What the fork server has open: nothing that two applications share, nothing that stays, and what happens without."""

from __future__ import annotations

import asyncio
import resource
import select
import socket

from tests.engines.sandbox.sandbox_stage import Outcome, Stage
from tests.engines.sandbox.serving.test_fork_server import alive, descriptors, served, server, waiting
from tests.fixtures.waiting import until

from armillary.engines.sandbox.port import Sandbox
from armillary.errors import SandboxUnavailableError

__all__ = ["served"]

SETS_FLAGS = """
import fcntl, os, time
fcntl.fcntl(0, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK)
fcntl.fcntl(0, 10, 37)  # F_SETSIG
print(fcntl.fcntl(0, 11), flush=True)
while True: time.sleep(60)
"""
READS_FLAGS = "import fcntl, os\nprint(fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK, fcntl.fcntl(0, 11))"


def test_no_application_shares_its_standard_input_with_another(stage: Stage, served: Sandbox) -> None:
    """What one sets of an open file is read by all who share it."""

    async def play() -> list[str]:
        outcome, other = Outcome(), Outcome()
        running = await served.start(stage.launch(SETS_FLAGS), outcome.events.append)
        try:
            await until(lambda: outcome.lines, "flags")
            assert outcome.lines == ["37"]
            await (await served.start(stage.launch(READS_FLAGS), other.events.append)).wait()
        finally:
            await running.stop(0)
        return other.lines

    assert asyncio.run(play()) == ["0 0"]


def test_a_server_without_descriptors_fails_one_start_and_keeps_the_others(stage: Stage, served: Sandbox) -> None:
    async def play() -> list[str]:
        running = await waiting(stage, served)
        known = server().pid
        before = descriptors(known)
        free = [number for number in range(1024) if number not in before]
        soft, hard = resource.prlimit(known, resource.RLIMIT_NOFILE)
        said = []
        # The last has room again: a program gets its descriptors by their numbers in this process, however many it has.
        for most in (*free[:20], soft):
            resource.prlimit(known, resource.RLIMIT_NOFILE, (most, hard))
            outcome = Outcome()
            try:
                again = await served.start(stage.launch("print('started')"), outcome.events.append)
                await again.wait()
                said.extend(outcome.lines)
            except SandboxUnavailableError as error:
                said.append(error.message)
            await until(lambda: len(descriptors(known)) == len(before), "the end of what belonged to the start")
        assert alive(running.pid)
        assert server().pid == known
        await running.stop(0)
        return said

    said = asyncio.run(play())
    assert said[0] == "the fork server failed at process: it ended, or may open no more files"
    assert said[-1] == "started"
    refused = [each for each in said if each != "started"]
    assert [each for each in refused if "open files" not in each and "open no more files" not in each] == []
    assert any("at descriptors: Too many open files" in each for each in refused), refused


def test_a_status_socket_that_is_closed_unread_ends_its_own_application_alone(stage: Stage, served: Sandbox) -> None:
    """As of a device that gave a start up: the kernel tells the server by an error, and not by an end."""

    async def play() -> None:
        running = await waiting(stage, served)
        number = server().pid
        ours, theirs = socket.socketpair()
        with ours, theirs:
            status = await server().request({"command": [], "inherited": []}, [theirs.fileno()] * 3)
            status.send(b'{"group": "", "groups": []}')
            await until(lambda: select.select([status], [], [], 0)[0], "the launcher")
            status.close()
        await (await waiting(stage, served)).stop(0)
        assert server().pid == number
        assert alive(running.pid)
        await running.stop(0)

    asyncio.run(play())
