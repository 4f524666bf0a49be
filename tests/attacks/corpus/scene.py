# SPDX-License-Identifier: Apache-2.0
"""Plays the hostile corpus: a victim, listeners of the host, and the application that tries it all.

``scene.py ENGINE`` says JSON. It needs nothing that only a test run has, so that any user can play it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from tests.attacks.corpus.attempts import ALLOWED, ATTEMPTS, Attempt
from tests.fixtures.ports import reserved_port

from armillary.capability.application_limits import ApplicationLimits
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.engines.sandbox.port import AppEvent, Launch, OutputLine, RunningApplication, Sandbox
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.wire.image.app_manifest import AppManifest

DEADLINE_S = 120.0
PORT_TRIES = 5
# Low enough that what fills them is not felt, high enough for the program and one child of it.
LIMITS = ApplicationLimits(memory_bytes=48 << 20, processes=48)
HOSTS = ("127.0.0.3", "declared.example")
LISTENERS = ("127.0.0.2", "127.0.0.3", "::1")
APPLICATION = Path(__file__).with_name("application")
VICTIM = """
import ctypes, os, signal
kept = ctypes.create_string_buffer(b"kept")
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
    signal.signal(number, lambda number, frame: print(signal.Signals(number).name, flush=True))
with open(os.path.join(os.environ["ARMILLARY_DATA"], "file"), "wb") as file:
    file.write(b"storage")
print(ctypes.addressof(kept), flush=True)
while True:
    signal.pause()
"""
# What the victim says last. It has a higher number than the others, so that what came before is said before.
LAST = signal.SIGWINCH
# Seen by the victim alone: the attempt whose signal it is.
BY_SIGNAL = {"SIGUSR2": "signal-victim-by-pipe"}


@dataclass
class Seen:
    """What the corpus did: ``did`` are attempts that worked, as the program says or as those who were attacked do."""

    sandbox: str
    mechanisms: list[str] = field(default_factory=list)  # that the engine reports
    saw: dict[str, str] = field(default_factory=dict)
    did: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def told(cls, said: dict[str, Any]) -> Seen:
        """What another process saw."""
        return cls(said["sandbox"], said["mechanisms"], said["saw"], set(said["did"]), said["errors"])

    def text(self) -> str:
        """For :meth:`told`."""
        return json.dumps({**asdict(self), "did": sorted(self.did)})


def due(sandbox: str, mechanisms: list[str]) -> list[Attempt]:
    """The attempts that an engine with these mechanisms promises to stop; all of them without an engine."""
    if not sandbox:
        return list(ATTEMPTS)
    return [each for each in ATTEMPTS if each.mechanism(sandbox) in mechanisms]


async def play(sandbox: Sandbox | None) -> Seen:
    """Run the corpus in a sandbox; without one as the control."""
    seen = Seen("")
    if sandbox is not None:
        report = sandbox.self_test()
        seen = Seen(sandbox.name, [each.name for each in report.mechanisms if each.enforced])
    names = [each.name for each in due(seen.sandbox, seen.mechanisms)]
    with tempfile.TemporaryDirectory(prefix="armillary-corpus-") as folder, _umask():
        stage = Folder(Path(folder))
        async with Outside(stage) as outside:
            victim = await outside.start_victim(sandbox or open_sandbox("process"))
            try:
                asked = json.dumps({**outside.asked(victim.pid), "attempts": [*ALLOWED, *names]})
                lines = await (_attack(sandbox, stage, asked, seen) if sandbox else _control(stage, asked))
                await outside.hear_everything(victim.pid)
            finally:
                await victim.stop(0)
    for line in lines:
        answer = json.loads(line)
        seen.saw[answer["attempt"]] = answer["saw"]
        if answer["did"]:
            seen.did.add(answer["attempt"])
    seen.did |= outside.reached & {each.name for each in ATTEMPTS}
    return seen


async def _attack(sandbox: Sandbox, stage: Folder, asked: str, seen: Seen) -> list[str]:
    """The program as an application: its lines."""
    events: list[AppEvent] = []
    code = {path.stem: path.read_text("utf-8") for path in APPLICATION.glob("*.py")}
    launch = stage.launch("attacker", code, {"CORPUS": asked})
    running = await sandbox.start(launch, events.append)
    try:
        async with asyncio.timeout(DEADLINE_S):
            status = await running.wait()
    finally:
        await running.stop(0)
    if status.signal is not None and status.usage is not None and status.usage.killed_for_memory:
        seen.saw[ATTEMPTS[-1].name] = "all of it was ended for its memory"
    lines = [event for event in events if isinstance(event, OutputLine)]
    seen.errors += [line.text for line in lines if line.stream == "stderr"]
    return [line.text for line in lines if line.stream == "stdout"]


async def _control(stage: Folder, asked: str) -> list[str]:
    """The program as a process of whoever runs this, with all their rights: its lines."""
    temporary = stage.folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "CORPUS": asked, "TMPDIR": str(temporary)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(APPLICATION / "app.py"),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said.decode().splitlines()


@contextlib.contextmanager
def _umask() -> Iterator[None]:
    """What is made may be read by everybody: only a sandbox hides it."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


class Folder:
    """Where applications and what they must not reach lie."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.folder = folder
        (folder / "private").mkdir(mode=0o700)
        for name in ("secret", "decoy"):
            (folder / name).write_bytes(name.encode())

    def launch(self, name: str, code: dict[str, str], environment: dict[str, str]) -> Launch:
        """An application of this name, of modules of which ``app`` is started."""
        # Its user has so many processes on this host: another run of the corpus has other users.
        component = UUID(int=os.getpid() << 32 | sum(name.encode()))
        files = {f"bin/{module}.py": text.encode() for module, text in code.items()}
        files["bin/app"] = b"#!/usr/bin/env python3\n" + files.pop("bin/app.py")
        root = extract_image(files, {"bin/app"}, self.folder / f"image-{name}")
        data = self.folder / f"data-{name}"
        data.mkdir()
        return Launch(
            image_root=root,
            manifest=AppManifest(name=name, component_id=component, entry_point="/bin/app"),
            grant=Grant(component_id=component, hosts=allowed_hosts(HOSTS), mutable_storage_kb=8, limits=LIMITS),
            data=data,
            temporary=self.folder,
            environment=environment,
        )


class Outside:
    """Listeners of the host and a second application, which notice what reaches them."""

    def __init__(self, stage: Folder) -> None:
        self._stage = stage
        self._servers: list[asyncio.Server] = []
        self._transports: list[asyncio.DatagramTransport] = []
        self._events: list[AppEvent] = []
        self._abstract = f"armillary-corpus-{os.getpid()}"
        self._port = self._resolver = 0
        self.reached: set[str] = set()

    async def __aenter__(self) -> Self:
        for left in reversed(range(PORT_TRIES)):
            self._port = reserved_port(2)
            self._resolver = self._port + 1
            try:
                await self._listen()
                break
            except OSError as error:  # another process of this host took it meanwhile, or has it elsewhere
                self._close()
                if error.errno != errno.EADDRINUSE or not left:
                    raise
        for path in ("\0" + self._abstract, str(self._stage.folder / "socket")):
            self._servers.append(await asyncio.start_unix_server(self._greet, path))
        (self._stage.folder / "socket").chmod(0o666)
        return self

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for host in LISTENERS:
            self._servers.append(await asyncio.start_server(self._greet, host, self._port))
        for host, port in (
            *((host, self._port) for host in (*LISTENERS, "127.255.255.255")),
            ("127.0.0.2", self._resolver),
        ):
            transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(self.reached), local_addr=(host, port))
            self._transports.append(transport)

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        for transport in self._transports:
            transport.close()
        self._servers.clear()
        self._transports.clear()

    async def __aexit__(self, *_: object) -> None:
        self._close()
        self.reached |= {name for number, name in BY_SIGNAL.items() if number in self._said()}

    async def start_victim(self, sandbox: Sandbox) -> RunningApplication:
        """The other application, which is ready."""
        running = await sandbox.start(
            self._stage.launch("victim", {"app": VICTIM}, {"SECRET": "x"}), self._events.append
        )
        async with asyncio.timeout(DEADLINE_S):
            while not any(isinstance(event, OutputLine) for event in self._events):
                await asyncio.sleep(0.02)
        return running

    async def hear_everything(self, victim: int) -> None:
        """Wait until the listeners and the victim have said what reached them: what is sent now comes after it."""
        loop = asyncio.get_running_loop()
        paths = ("\0" + self._abstract, str(self._stage.folder / "socket"))
        streams: list[tuple[socket.AddressFamily, Any]] = [(socket.AF_UNIX, path) for path in paths]
        for host in LISTENERS:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            streams.append((family, (host, self._port)))
            with socket.socket(family, socket.SOCK_DGRAM) as peer:
                peer.sendto(f"last datagram to {host}".encode(), (host, self._port))
        for number, (family, place) in enumerate(streams):
            with socket.socket(family) as peer:
                peer.setblocking(False)
                await loop.sock_connect(peer, place)
                await loop.sock_sendall(peer, f"last connection {number}".encode())
        os.kill(victim, LAST)
        wanted = {f"last datagram to {host}" for host in LISTENERS} | {
            f"last connection {number}" for number in range(len(streams))
        }
        async with asyncio.timeout(DEADLINE_S):
            while not (wanted <= self.reached and LAST.name in self._said()):
                await asyncio.sleep(0.02)

    def _said(self) -> set[str]:
        """What the victim has said."""
        return {event.text for event in self._events if isinstance(event, OutputLine)}

    def asked(self, victim: int) -> dict[str, Any]:
        """What the program is told of its targets."""
        folder = self._stage.folder
        first = next(event for event in self._events if isinstance(event, OutputLine))
        return {
            "victim": victim,
            "address": int(first.text),
            "device": os.getpid(),
            "port": self._port,
            "resolver": self._resolver,
            "abstract": self._abstract,
            "socket": str(folder / "socket"),
            "secret": str(folder / "secret"),
            "folder": str(folder / "private"),
            "decoy": str(folder / "decoy"),
            "storage": str(folder / "data-victim" / "file"),
        }

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            self.reached.add((await reader.read(64)).decode("ascii", "replace"))
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    """Notes what came; a question for a name is answered, so that who asked goes on."""

    def __init__(self, reached: set[str]) -> None:
        self._reached = reached

    def connection_made(self, transport: Any) -> None:
        """Keep it."""
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Note it."""
        if b"tunnel-by-own-resolver" in data:
            self._reached.add("tunnel-by-own-resolver")
            self._transport.sendto(data, address)
        self._reached.add(data.decode("ascii", "replace"))


if __name__ == "__main__":
    print(asyncio.run(play(open_sandbox(sys.argv[1]))).text())
