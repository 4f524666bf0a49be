# SPDX-License-Identifier: Apache-2.0
"""Serial ports of a device on a host: which node stands for which of the board's names, held while the device runs.

``armillary device boot --peripheral Uart:UART2=/dev/ttyS1`` says it, at every start: a node belongs to the host and may
have another name after a reboot, so the device keeps none of it. A node that is no terminal, or that another device
holds, refuses the start. One that is not there does not, since an adapter that was pulled out must not keep a device
from its updates: each application that was granted the port starts without it, and finds it at its next start.

The device holds a node by a lock of its open file (F_OFD_SETLK, fcntl(2)), which other devices see, and leaves
flock(2), by which programs lock a serial line among themselves, to the application. It keeps the node open for that; so
modem lines stay as they are between two runs of an application, and a pseudo-terminal does not hang up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import struct
import termios
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from armillary.capability.confine import APPLICATION_USER_FIRST
from armillary.capability.grant import Grant, Peripheral, PlatformLimits
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.start.entry import serial_port_names
from armillary.errors import HostError, InvalidArgumentError

EXAMPLE = "Uart:UART2=/dev/ttyS1"
# Group of serial ports in Debian and its descendants.
DEFAULT_GROUP = "dialout"
OWNER_AND_GROUP = 0o660
# The board's name becomes a file in /dev and part of a variable's name.
_PERIPHERAL = re.compile(r"Uart:([A-Z][A-Z0-9_-]{0,63})=(/.+)")
# struct flock of 64-bit Linux: type, whence, start, length (0 for all), process; a lock for writing.
_LOCK = struct.pack("=hh4xqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


@dataclass(slots=True)
class _Held:
    """A node that this process holds: its lock's descriptor, what it is, and whose it was."""

    descriptor: int
    node: Path
    number: int  # st_rdev
    owner: int
    mode: int  # Its application, which owns it meanwhile, may have opened it to everybody


class SerialPorts:
    """The nodes of a device's serial ports; made by :func:`hold_serial_ports`."""

    def __init__(self, nodes: Mapping[str, Path], journal: Journal) -> None:
        self._nodes = nodes
        self._journal = journal
        self._held: dict[str, _Held] = {}
        self._missing: dict[str, str] = {}

    def of(self, grant: Grant) -> Mapping[str, Path]:
        """The nodes for the ports that an application was granted; those that have none are left out and noted."""
        found: dict[str, Path] = {}
        for name in serial_port_names(grant):
            try:
                node = self._hold(name)
            except HostError as error:
                self._missing[name] = error.message
                self._journal.write("serial-port-missing", name=name, reason=error.message, remedy=error.remedy)
            else:
                self._missing.pop(name, None)
                found[name] = node
        return found

    def status(self) -> list[dict[str, object]]:
        """One object a port that was told or asked for, for the status file: name, node or None, and what is wrong."""
        names = sorted({*self._nodes, *self._missing})
        return [
            {
                "name": name,
                "node": str(self._nodes[name]) if name in self._nodes else None,
                "missing": self._missing.get(name),
            }
            for name in names
        ]

    def begin(self) -> None:
        """Hold every node that is there.

        Raises:
            HostError: one is no serial port, cannot be opened or is held by another device.
        """
        for name, node in self._nodes.items():
            if node.exists():
                self._hold(name)

    def end(self) -> None:
        """Give the nodes back to whom they belonged and let them go."""
        for held in self._held.values():
            with contextlib.suppress(OSError):  # not root, or the node is gone
                os.fchown(held.descriptor, held.owner, -1)
                os.fchmod(held.descriptor, held.mode)
            os.close(held.descriptor)
        self._held.clear()

    def _hold(self, name: str) -> Path:
        """The node of a port, held from now on."""
        node = self._nodes.get(name)
        if node is None:
            raise HostError(
                f"serial port {name}: expected a node that stands for it, got none",
                remedy=f"Name it: armillary device boot --peripheral Uart:{name}=/dev/ttyS1.",
            )
        held = self._held.get(name)
        try:
            found = node.resolve(strict=True)
            number = found.stat().st_rdev
            if held is not None and (held.node, held.number) == (found, number):
                return found
            fresh = _open(found)
        except OSError as error:
            remedy = "Connect the adapter, or name the node that it has: ls -l /dev/serial/by-id."
            if error.errno in (errno.EACCES, errno.EPERM):
                remedy = f"Let this user use it: usermod -aG {DEFAULT_GROUP} USER (and sign in anew), or start as root."
            raise HostError(f"serial port {name}: {node}: {error.strerror or error}", remedy=remedy) from error
        if held is not None:  # the adapter was plugged in anew
            os.close(held.descriptor)
        self._held[name] = fresh
        return found


@contextlib.contextmanager
def hold_serial_ports(nodes: Mapping[str, Path], platform: PlatformLimits, journal: Journal) -> Iterator[SerialPorts]:
    """Hold the nodes of a device's serial ports.

    Raises:
        InvalidArgumentError: the chip has no port of a name.
        HostError: a node is no serial port, cannot be opened or is held by another device.
    """
    known = sorted(each.name for each in platform.peripherals if each.kind == "Uart")
    for name in nodes:
        if Peripheral(kind="Uart", name=name) not in platform.peripherals:
            raise InvalidArgumentError(
                f"--peripheral Uart:{name}: expected a serial port of {platform.name} ({', '.join(known)})",
                remedy="Use the board's name of the port, which the application's manifest asks for.",
            )
    ports = SerialPorts(nodes, journal)
    try:
        ports.begin()
        yield ports
    finally:
        ports.end()


def parse_peripherals(texts: Iterable[str]) -> Mapping[str, Path]:
    """Node by name from texts such as ``Uart:UART2=/dev/ttyS1``.

    Raises:
        InvalidArgumentError: another form, a name or a node twice.
    """
    nodes: dict[str, Path] = {}
    for text in texts:
        match = _PERIPHERAL.fullmatch(text)
        if match is None:
            raise InvalidArgumentError(
                f"--peripheral: expected Uart:NAME=NODE with an absolute path, such as {EXAMPLE}, got {text!r:.120}",
                remedy="Only serial ports can be handed to applications; name one node for each.",
            )
        name, node = match[1], Path(match[2])
        if name in nodes or node in nodes.values():
            raise InvalidArgumentError(
                f"--peripheral {text}: expected each name and each node once",
                remedy="A serial port has one node, and a node is one port.",
            )
        nodes[name] = node
    return MappingProxyType(nodes)


def _open(node: Path) -> _Held:
    """Open a node without waiting for a carrier or taking it for this process's terminal, and lock it.

    Raises:
        OSError: it cannot be opened.
        HostError: it is no serial port, or another device holds it.
    """
    if not stat.S_ISCHR(node.stat().st_mode):
        raise HostError(f"{node}: expected a serial port, got no character device")
    descriptor = os.open(node, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            raise HostError(f"{node}: expected a serial port: {error.args[-1]}") from error
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _LOCK)
        except (BlockingIOError, PermissionError) as error:
            raise HostError(
                f"{node}: another device, or another port of this one, holds it",
                remedy="Stop that device (armillary device boot), or name another node.",
            ) from error
    except BaseException:  # whatever it was, the node is let go
        os.close(descriptor)
        raise
    # An application's user is one that a device which was killed could not take back.
    left_behind = found.st_uid >= APPLICATION_USER_FIRST  # by a device that was killed
    mode = stat.S_IMODE(found.st_mode) & (OWNER_AND_GROUP if left_behind else 0o777)
    return _Held(descriptor, node, found.st_rdev, 0 if left_behind else found.st_uid, mode)
