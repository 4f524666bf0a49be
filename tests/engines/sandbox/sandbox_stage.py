# SPDX-License-Identifier: Apache-2.0
"""Run a Python program as an application and look at what it did; listeners on loopback to talk to."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.ports import reserved_port

from armillary.capability.device_addresses import LOOPBACK, DeviceAddresses
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.engines.sandbox.crun import CrunSandbox
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.oci import runtime
from armillary.engines.sandbox.port import (
    AppEvent,
    ConnectionAttempt,
    ExitStatus,
    Launch,
    OutputLine,
    Sandbox,
    Usage,
)
from armillary.engines.sandbox.reduced import REQUIRED_ABI, ReducedSandbox
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.storage.image import try_image
from armillary.engines.sandbox.within.image_root import extract_image, share_with_group
from armillary.errors import SandboxUnavailableError
from armillary.wire.image.app_manifest import AppManifest

COMPONENT = UUID("c0ffee00-0000-4000-8000-000000000007")
DEADLINE_S = 30.0
# Linux 6.12 has what is needed, Debian 13 has that; where Landlock is not built in or not switched on it says 0.
LANDLOCK = (
    "start Linux 6.12 or newer (Debian 12: sudo apt-get install -t bookworm-backports linux-image-amd64) "
    "with landlock among the lsm= of its command line"
)
# What makes a listener reset the connection.
RESET = b"reset"


def publish_credentials(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put each file in place whole, readable by granted applications, as the device does."""
    folder.mkdir(exist_ok=True)
    share_with_group(folder)
    for name, content in files.items():
        fresh = folder / f".{name}.new"
        fresh.write_bytes(content)
        fresh.chmod(0o600)
        share_with_group(fresh)
        fresh.rename(folder / name)


@dataclass
class Outcome:
    """What an application did, and the listeners that it reached."""

    events: list[AppEvent] = field(default_factory=list)
    status: ExitStatus | None = None
    reached: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, OutputLine) and event.stream == "stdout"]

    @property
    def errors(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, OutputLine) and event.stream == "stderr"]

    def used(self) -> Usage:
        assert self.status is not None
        assert self.status.usage is not None
        return self.status.usage

    @property
    def attempts(self) -> list[ConnectionAttempt]:
        return [event for event in self.events if isinstance(event, ConnectionAttempt)]

    def refused(self) -> set[tuple[str, int, str]]:
        return {(each.host, each.port, each.protocol) for each in self.attempts if not each.allowed}

    def allowed(self) -> set[tuple[str, int, str]]:
        return {(each.host, each.port, each.protocol) for each in self.attempts if each.allowed}


class Stage:
    """Makes applications out of source text and runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def launch(
        self,
        code: str,
        *,
        hosts: Iterable[str] = (),
        environment: dict[str, str] | None = None,
        data: Path | None = None,
        storage: Path | None = None,
        storage_full: bool = False,
        storage_kb: int = 8,
        device_authentication: Path | None = None,
        files: dict[str, bytes] | None = None,
        entry_point: str = "/bin/app",
        interpreter: str = "#!/usr/bin/env python3\n",
        arguments: tuple[str, ...] = (),
        serial_ports: Mapping[str, Path] | None = None,
        interface: Path | None = None,
        addresses: DeviceAddresses = LOOPBACK,
        **granted: Any,
    ) -> Launch:
        self._count += 1
        root = self.folder / f"image-{self._count}"
        content = {"bin/app": interpreter.encode() + code.encode(), **(files or {})}
        extract_image(content, {"bin/app"}, root)
        manifest = AppManifest(name="test", component_id=COMPONENT, entry_point=entry_point, cmd_args=arguments)
        grant = Grant(
            component_id=COMPONENT,
            hosts=allowed_hosts(hosts),
            mutable_storage_kb=storage_kb if data is not None else 0,
            device_authentication=UUID(int=1) if device_authentication is not None else None,
            **granted,
        )
        return Launch(
            image_root=root,
            manifest=manifest,
            grant=grant,
            data=data,
            storage=storage,
            storage_full=storage_full,
            temporary=self.folder,
            device_authentication=device_authentication,
            serial_ports=serial_ports or {},
            interface=interface,
            addresses=addresses,
            environment={"TEST_FOLDER": str(self.folder), **(environment or {})},
        )

    def run(
        self,
        sandbox: Sandbox,
        code: str,
        *,
        with_listeners: bool = False,
        **keywords: Any,
    ) -> Outcome:
        """Start, wait for the end, return what was seen. ``{port}`` in the code is a listener's port."""

        async def play() -> Outcome:
            outcome = Outcome()
            listeners = await Listeners.open() if with_listeners else None
            text = code.replace("{port}", str(listeners.port)) if listeners else code
            try:
                running = await sandbox.start(self.launch(text, **keywords), outcome.events.append)
                try:
                    async with asyncio.timeout(DEADLINE_S):
                        outcome.status = await running.wait()
                finally:
                    await running.stop(0)
            finally:
                if listeners is not None:
                    listeners.close()
                    outcome.reached = listeners.reached
            return outcome

        return asyncio.run(play())


class Listeners:
    """TCP and UDP on one port of 127.0.0.1 and 127.0.0.2: greets, and answers in capitals."""

    def __init__(self) -> None:
        self.servers: list[asyncio.Server] = []
        self.transports: list[asyncio.DatagramTransport] = []
        self.port = reserved_port()
        self.reached: list[str] = []

    @classmethod
    async def open(cls) -> Listeners:
        listeners = cls()
        for address in ("127.0.0.1", "127.0.0.2"):
            listeners.servers.append(await asyncio.start_server(listeners._greet, address, listeners.port))
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                Echo, local_addr=(address, listeners.port)
            )
            listeners.transports.append(transport)
        return listeners

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reached.append(writer.get_extra_info("sockname")[0])
        writer.write(b"hello")
        try:
            await writer.drain()
            while data := await reader.read(1024):
                if data == RESET:  # end it as a router that forgot the connection would
                    stream = writer.get_extra_info("socket")
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
                    writer.transport.abort()
                    return
                writer.write(data.upper())
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    def close(self) -> None:
        for server in self.servers:
            server.close()
        for transport in self.transports:
            transport.close()


class Echo(asyncio.DatagramProtocol):
    """Answers every datagram in capitals."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data.upper(), address)


def linux(*, own_user: bool | None = None) -> LinuxSandbox:
    """The namespaces sandbox, or skip with what this host lacks."""
    candidates = host.bubblewrap_candidates()
    if not candidates:
        pytest.skip("this host has no bwrap: apt-get install bubblewrap")
    sandbox: LinuxSandbox = _allowed(LinuxSandbox, candidates[0], own_user)
    return replace(sandbox)


def crun(*, own_user: bool | None = None) -> CrunSandbox:
    """The sandbox of OCI containers, or skip with what this host lacks."""
    try:
        found = runtime.find()
    except SandboxUnavailableError as error:
        pytest.skip(f"{error.message}: sudo apt-get install crun")
    sandbox: CrunSandbox = _allowed(CrunSandbox, found, own_user)
    return replace(sandbox)


def _allowed(engine: Callable[[Any, bool], Any], program: Any, own_user: bool | None) -> Any:
    """An engine with namespaces that has tested itself, or skip."""
    if own_user and os.geteuid() != 0:
        pytest.skip("only root can give each application a user of its own: sudo make test")
    tested = _tested(engine, program, os.geteuid() == 0 if own_user is None else own_user)
    if isinstance(tested, str):
        pytest.skip(
            f"this host forbids namespaces ({tested}): sysctl -w kernel.unprivileged_userns_clone=1, or as root"
        )
    return tested


@cache
def _tested(engine: Callable[[Any, bool], Any], program: Any, own_user: bool) -> Any:
    """A sandbox that has tested itself, or why it cannot: what a host gives is the same for all tests."""
    sandbox = engine(program, own_user)
    try:
        sandbox.self_test()
    except SandboxUnavailableError as error:
        return error.message
    return sandbox


ENGINES = ("as-root", "as-user", "crun-as-root", "crun-as-user", "reduced")


def engine(kind: str) -> LinuxSandbox | CrunSandbox | ReducedSandbox:
    """One of :data:`ENGINES`: each way in which something is enforced on this host."""
    if kind == "reduced":
        return reduced()
    own_user = kind.endswith("as-root")
    return crun(own_user=own_user) if kind.startswith("crun-") else linux(own_user=own_user)


def own_network(sandbox: Sandbox) -> bool:
    """Whether an application has a network, processes and mounts of its own."""
    return isinstance(sandbox, LinuxSandbox | CrunSandbox)


def linux_with_images() -> LinuxSandbox:
    """As root, with a file system for each application, or skip."""
    sandbox = linux(own_user=True)
    reason = try_image()
    if reason:
        pytest.skip(
            f"this host mounts no images ({reason}): as root with loop devices, sudo modprobe loop; sudo make test"
        )
    return sandbox


def reduced() -> ReducedSandbox:
    """The Landlock sandbox, or skip."""
    abi = kernel.landlock_abi()
    if abi < REQUIRED_ABI:
        pytest.skip(f"Landlock ABI {REQUIRED_ABI} is needed, this kernel has {abi or 'none'}: {LANDLOCK}")
    return ReducedSandbox()
