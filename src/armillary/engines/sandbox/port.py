# SPDX-License-Identifier: Apache-2.0
"""The sandbox port: run one application so that it can do what it was granted and nothing else.

What an application finds, in every engine:

- ``argv[0]`` is its entry point, or the interpreter that the launch names for it; standard input is empty, standard
  output and error become OutputLine events.
- Environment: ``PATH``, ``LANG``, ``HOME``, ``TMPDIR``, what the launch adds (``ARMILLARY_DEVICE_ID``,
  ``ARMILLARY_HUB_HOST``, ``ARMILLARY_HUB_PORT``), ``ARMILLARY_DEVICE_AUTHENTICATION`` (folder with
  certificate.pem, key.pem, ca.pem) when it was granted and given, ``ARMILLARY_DATA`` (its mutable storage) when
  it was granted and given. ``ARMILLARY_UART_<NAME>`` names the node of each serial port that it was granted and
  that the device has a node for; a granted port without a node has no variable.
- In ``linux`` these are ``/run/armillary/daa`` and ``/mnt/data``, and ``/`` is its read-only image beside the
  host's read-only runtime (``/usr``, loader, Python). A serial port is ``/dev/<NAME>`` there, and belongs to the
  application's own user where it has one.
- ``ARMILLARY_APPLICATION_SOCKET`` is the path of the application interface, a Unix socket, where the launch has one
  (in ``linux`` ``/run/armillary/application.sock``). The engine makes the connection for the application, to this
  socket and no other of the host.
- TCP and UDP reach the hosts of AllowedConnections and no others; each refused attempt is a ConnectionAttempt
  event (``process`` enforces and sees none of this and says so).

Engines: ``linux`` (namespaces by bubblewrap, seccomp, Landlock, own user where started by root; falls back to
``reduced`` where the host forbids namespaces), ``crun`` (the same in OCI containers; what is said here of ``linux``
holds for it), ``reduced`` (Landlock and seccomp in a plain process) and ``process`` (nothing enforced). Every engine
proves what it claims: :meth:`Sandbox.self_test` runs probes inside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from armillary.capability.device_addresses import LOOPBACK, DeviceAddresses
from armillary.capability.grant import Grant
from armillary.wire.device.core_fault import CoreFault
from armillary.wire.device.crash_dump import MachineState
from armillary.wire.image.app_manifest import AppManifest

# An application's line of output longer than this is cut into several events.
LINE_LIMIT_BYTES = 8 * 1024
# What executes the device's own scripts: a kernel may execute compiled programs alone (CONFIG_BINFMT_SCRIPT=n).
PYTHON = ("/usr/bin/env", "python3")
# Output events per second before the reader lets the pipe fill: the application then waits, nothing is dropped.
LINE_RATE_LIMIT = 200


# Protocol of an attempt at a method of the application interface that the manifest does not allow.
METHOD = "method"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One thing that contains an application on this host."""

    name: str  # Stable, e.g. ``network-namespace``
    enforced: bool  # A probe in the sandbox showed that it holds
    detail: str  # What the probe saw, or why the mechanism is missing


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What a self-test found."""

    sandbox: str  # Name of the engine that will run applications
    mechanisms: tuple[Mechanism, ...]  # One entry for each, in a fixed order
    weaker: tuple[str, ...]  # Sentences for people: what this engine does not do that ``linux`` run by root would
    # Mechanisms of ``linux`` that this engine does not even try, each with why; evidence names them
    absent: tuple[Mechanism, ...] = ()
    whole: bool = True  # False for an engine that has less than ``linux`` on every host
    fallen: str = ""  # Why this is not the engine that was asked for; "" where it is

    def missing(self, optional: Collection[str] = ()) -> tuple[str, ...]:
        """The mechanisms that do not hold, each with what was seen, except optional ones."""
        failed = (each for each in self.mechanisms if not each.enforced and each.name not in optional)
        return tuple(f"{each.name} ({each.detail})" for each in failed)

    @property
    def complete(self) -> bool:
        """Every mechanism of this engine holds, and it is one that has them all: never that of ``reduced``."""
        return self.whole and not self.missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One start of one application."""

    image_root: Path  # Folder with the image's files (``image_root.extract_image``)
    manifest: AppManifest
    grant: Grant
    data: Path | None = None  # Folder that becomes its mutable storage
    # File that becomes a file system as large as its quota, where the engine can mount one (``linux`` run by root);
    # what is in ``data`` moves there. Elsewhere ``data`` is used, and this file must not be there.
    storage: Path | None = None
    storage_full: bool = False  # More is in ``data`` than the quota: it may be removed, and nothing is written
    # Where an engine without a file system of its own makes the temporary folder; None for where the host has them.
    # Whoever is killed leaves that folder behind, so it is best a place that is emptied.
    temporary: Path | None = None
    # Folder with certificate.pem, key.pem, ca.pem, or None. Files replaced in it are seen by the running application.
    device_authentication: Path | None = None
    # Node on the host of each granted serial port that has one, by the board's name, ``UART2``
    serial_ports: Mapping[str, Path] = field(default_factory=dict)
    # Socket on the host at which the device answers this application, or None (``device/interface``)
    interface: Path | None = None
    # Where the application's server ports are reached
    addresses: DeviceAddresses = LOOPBACK
    debugged: bool = False  # A debugger is to attach: no crash is captured, since a process is traced by one alone
    # Added to the environment; may not replace what the engine sets
    environment: Mapping[str, str] = field(default_factory=dict)
    interpreter: tuple[str, ...] = ()  # Executes an entry point of the device's own that is no program

    @property
    def entry_point(self) -> Path:
        """Its program, on the host."""
        return self.image_root / self.manifest.entry_point.removeprefix("/")

    def command(self, entry_point: str) -> list[str]:
        """What is executed where its entry point has this path."""
        return [*self.interpreter, entry_point, *self.manifest.cmd_args]


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line the application wrote."""

    stream: str  # ``stdout`` or ``stderr``
    text: str  # Without its line end; bytes that are no UTF-8 are shown escaped
    at: float  # Unix seconds


@dataclass(frozen=True, slots=True)
class ConnectionAttempt:
    """The application tried to reach a host, to listen at a port, or to have its device do what is not declared."""

    host: str  # Declared name or address when allowed; otherwise the name or address it asked for
    port: int  # Destination port; 0 for a name lookup, which has none
    allowed: bool
    at: float  # Unix seconds of the first of ``count``
    # ``tcp``, ``udp``, ``lookup``, ``listen`` and ``listen-udp``, of which host and port are its own, or
    # :data:`METHOD`, of which ``host`` is what was asked for
    protocol: str = "tcp"
    count: int = 1  # Attempts this event stands for: repetitions are counted and reported together, never dropped


@dataclass(frozen=True, slots=True)
class ServerPort:
    """A declared server port was opened at the device's address, or could not be."""

    protocol: str  # ``tcp`` or ``udp``
    address: str  # Of the device
    port: int
    problem: str  # Why it could not be opened, and what to do; "" when it was


@dataclass(frozen=True, slots=True)
class CallsCrowded:
    """A connect or send failed with ENOBUFS: as many calls of all applications wait as the device can hold."""

    waiting: int  # Of this application


AppEvent = OutputLine | ConnectionAttempt | ServerPort | CallsCrowded


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the processes of one application use together, as its control group counts it.

    None where no group counts it; so is 0, but for ``processes_refused``.
    """

    memory_bytes: int | None = None
    memory_own_bytes: int | None = None  # Of these, the programs' own: private and shared memory, no files
    memory_peak_bytes: int | None = None
    processes: int | None = None  # Processes and threads
    processor_s: float | None = None
    killed_for_memory: int = 0  # Processes that the kernel ended because the application was at its limit
    # Times that its limit of processes was met; counted once for several by some kernels
    processes_refused: int | None = None
    processor_periods: int = 0  # Periods in which its part of the processors was watched
    processor_periods_used_up: int = 0  # Of these, those in which it had used it up and waited


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How an application ended: exactly one of exit code and signal is set."""

    exit_code: int | None
    signal: int | None  # Number of the signal that ended it
    state: MachineState | None = None  # Of the thread that crashed, where an engine has seen it (``linux``)
    usage: Usage | None = field(default=None, compare=False)  # Of the whole run, where control groups counted it
    core: CoreFault | None = None  # Of a real-time application whose core stopped by itself


class RunningApplication(Protocol):
    """An application that was started."""

    pid: int

    async def wait(self) -> ExitStatus:
        """Wait until it and all its children are gone. May be called more than once."""
        ...

    async def stop(self, grace_s: float) -> ExitStatus:
        """SIGTERM, then SIGKILL after ``grace_s`` seconds; returns when it is gone."""
        ...

    def usage(self) -> Usage | None:
        """What it uses now; None where no control group counts it."""
        ...

    def restart_memory_peak(self) -> bool:
        """Have the peak of ``usage`` start over; False where no control group counts it, or its kernel does not."""
        ...


class Sandbox(Protocol):
    """A way to contain applications."""

    name: str

    def self_test(self) -> SandboxReport:
        """Run probes inside and report; takes up to some seconds the first time, remembered afterwards."""
        ...

    async def start(self, launch: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; ``on_event`` is called in this loop's thread.

        Raises:
            InstallError: the image cannot be started (no entry point, reserved names, a real-time application).
            SandboxUnavailableError: the host refused a mechanism.
        """
        ...
