# SPDX-License-Identifier: Apache-2.0
"""A throw-away PostgreSQL server for tests: made in a temporary folder, reached by a socket in it, ended by its id.

Whatever runs in other processes finds it by :data:`VARIABLE`, and each folder of a hub has a database of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from tests.fixtures.ports import reserved_port
from tests.fixtures.processes import OwnProcess

VARIABLE = "ARMILLARY_TEST_POSTGRESQL"
DEADLINE_S = 30.0


def binaries() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: Debian keeps them off the PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name), reverse=True)
    found = shutil.which("postgres")
    places += [Path(found).parent] if found else []
    return next((each for each in places if (each / "initdb").exists() and (each / "postgres").exists()), None)


class Server:
    """The server; PostgreSQL refuses to run as root, so it is nobody there.

    Args:
        durable: Whether commits wait for the disk.
        certificate: A certificate and its key, PEM: it listens on the loopback then, too, and speaks TLS there.

    Attributes:
        port: Where it listens on the loopback; 0 when it does not.
    """

    def __init__(self, *, durable: bool = False, certificate: tuple[bytes, bytes] | None = None) -> None:
        found = binaries()
        if found is None:
            pytest.skip("no PostgreSQL server here; to enable: sudo apt-get install postgresql")
        self._binaries = found
        self.folder = Path(tempfile.mkdtemp(prefix="armillary-pg-"))  # not pytest's: nobody cannot look into that
        self._durable = durable
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": [], "cwd": self.folder}
            shutil.chown(self.folder, "nobody", "nogroup")
        self._process: OwnProcess | None = None
        data = self.folder / "data"
        command = [found / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run(command, check=True, capture_output=True, timeout=60, **self._as)
        rules = data / "pg_hba.conf"
        rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
        self.port = 0
        if certificate is not None:
            self.port = reserved_port()
            for name, content in zip(("server.crt", "server.key"), certificate, strict=True):
                (data / name).write_bytes(content)
                (data / name).chmod(0o600)
                shutil.chown(data / name, data.stat().st_uid, data.stat().st_gid)
        self.start()
        with self.administrator() as connection:
            connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'correct horse'")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}", "shared_buffers=16MB"]
        settings += ["max_connections=60", "log_min_messages=fatal"]
        if self.port:
            settings += ["listen_addresses=127.0.0.1", f"port={self.port}", "ssl=on"]
        if not self._durable:
            settings += ["fsync=off", "full_page_writes=off", "autovacuum=off"]
        command = [self._binaries / "postgres", "-D", self.folder / "data"]
        command += [part for each in settings for part in ("-c", each)]
        deadline = time.monotonic() + DEADLINE_S
        while True:
            if self._process is None or self._process.poll() is not None:  # sessions of one that crashed may live yet
                with (self.folder / "log").open("ab") as log:
                    self._process = OwnProcess(command, limit_s=None, stdout=log, stderr=log, **self._as)
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends every session at once; SIGKILL is a crash of it and all of its sessions."""
        assert self._process is not None
        parts = [self._process.pid]
        if with_signal == signal.SIGKILL:  # sessions would live on until they notice, and commit what is under way
            number = self._process.pid
            parts += [int(each) for each in Path(f"/proc/{number}/task/{number}/children").read_text().split()]
        for each in parts:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, with_signal)
        self._process.wait(DEADLINE_S)

    def close(self) -> None:
        """End it and delete everything."""
        if self._process is not None:
            try:
                if self._process.poll() is None:
                    self.stop()
            finally:
                self._process.end()
        shutil.rmtree(self.folder)

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        """The URL of a database."""
        secret = f":{quote(password, safe='')}" if password else ""
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{user}{secret}@/{database}?host={quote(str(self.folder), safe='')}{port}"

    @contextlib.contextmanager
    def administrator(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection that may do everything."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            yield connection

    def database(self, name: str, *, of: str = "template0", encoding: str = "UTF8") -> str:
        """The URL of a database of this name, made where there is none."""
        with self.administrator() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
                make_database(connection, name, of, f"ENCODING '{encoding}'")
        return self.url(name)


def make_database(connection: psycopg.Connection[Any], name: str, of: str, options: str = "") -> None:
    """Make a database as a copy: of its files, as before version 15, which takes a third of the time of a logged one."""
    strategy = "STRATEGY FILE_COPY" if connection.info.server_version >= 150_000 else ""
    connection.execute(f"CREATE DATABASE {name} TEMPLATE {of} {options} {strategy}")  # type: ignore[arg-type]


def name_of(folder: Path) -> str:
    """The name of the database that belongs to a folder."""
    return "t" + hashlib.sha256(str(folder).encode()).hexdigest()[:24]


def database_of(folder: Path) -> str:
    """The database of a folder on the server of :data:`VARIABLE`, made at the first use; empty where there is none."""
    base = os.environ.get(VARIABLE)
    if not base:
        return ""
    name = name_of(folder)
    with psycopg.connect(base, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            make_database(connection, name, "template0")
    return base.replace("/postgres?", f"/{name}?")


def copied(folder: Path, to: Path) -> None:
    """Make the database of one folder that of another one as well; nobody may be connected to it."""
    base = os.environ.get(VARIABLE)
    if base:
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name_of(folder),)
            )
            make_database(connection, name_of(to), name_of(folder))
