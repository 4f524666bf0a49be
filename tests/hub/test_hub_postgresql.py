# SPDX-License-Identifier: Apache-2.0
"""The hub with its series on PostgreSQL: kill -9 of either, a restart of the server under load, the whole service."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import postgresql
from tests.fixtures.processes import OwnProcess
from tests.hub.running_hub import Authority, wait_until
from tests.hub.test_hub_kill import RUNNER, messages_and_values, publish_until_killed

COMMAND = [str(Path(sys.executable).with_name("armillary"))]


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server(durable=True)
    yield running
    running.close()


class Load:
    """A hub in its own process, and a device that publishes numbers into it until it is told to stop."""

    def __init__(self, folder: Path, database: str, authority: Authority, acknowledged: list[int]) -> None:
        self.acknowledged = acknowledged
        self._authority = authority
        self._over = False
        pem = authority.folder
        command = [sys.executable, str(RUNNER), str(folder), str(pem / "server.pem"), str(pem / "root.pem"), database]
        self.process = OwnProcess(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self._port = int(self.process.readline())
        self._thread = threading.Thread(target=self._publish)
        self._thread.start()

    def _publish(self) -> None:
        first = max(self.acknowledged, default=-10_000) + 10_000
        while not self._over:
            try:
                publish_until_killed(self._port, self._authority, first, self.acknowledged, 4)
            except (OSError, EOFError):
                time.sleep(0.02)  # refused while the database is away: a device comes again
            first = max([first, *self.acknowledged]) + 10_000

    def wait_for(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        wait_until(lambda: len(self.acknowledged) >= wanted, "messages are acknowledged", 30)

    def end(self) -> None:
        self._over = True
        self.process.end()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.mark.e2e
def test_nothing_acknowledged_is_lost_when_hub_or_server_are_killed(
    tmp_path: Path, authority: Authority, server: postgresql.Server
) -> None:
    folder, database = tmp_path / "hub", server.database("killed")
    chance = random.Random(3)  # noqa: S311 - moments to kill at, the same in every run
    acknowledged: list[int] = []
    for how in (signal.SIGKILL, signal.SIGINT):
        load = Load(folder, database, authority, acknowledged)
        try:
            load.wait_for(chance.randint(100, 1000))
            server.stop(how)
            server.start()
            assert load.process.poll() is None
            load.wait_for(chance.randint(100, 1000))  # it goes on by itself
        finally:
            load.end()
    messages, values = messages_and_values(folder, database)
    assert set(acknowledged) - set(messages) == set()
    assert len(acknowledged) == len(set(acknowledged)) >= 400
    assert sorted(values) == sorted(messages)  # each message's value once


def started(tmp_path: Path, *options: str) -> OwnProcess:
    ports = ["--api-port", "0", "--device-port", "0", "--hub-port", "0"]
    command = [*COMMAND, "up", "--data", str(tmp_path / "data"), *ports, "--json", *options]
    return OwnProcess(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_service_that_gets_no_database_says_so_without_the_password(
    tmp_path: Path, server: postgresql.Server
) -> None:
    secret = "s3cret-and-wrong"
    url = server.url("postgres", "guarded", secret)
    with started(tmp_path, "--series-database", url) as process:
        out, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "password authentication failed" in error
    assert "hint:" in error
    assert "Traceback" not in error
    assert secret not in out + error


def test_nothing_of_it_is_loaded_unless_it_is_used(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from armillary.hub.hub import Hub; from armillary.settings import Settings\n"
        "print('s3cret' in repr(Settings(series_database='postgresql://u:s3cret@h/x')))\n"
        "Hub(Path(sys.argv[1]), authenticate=lambda _: '').series.close(0); print('psycopg' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "hub")]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert found.split() == ["False", "False"]
