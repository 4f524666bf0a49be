# SPDX-License-Identifier: Apache-2.0
"""How one application is started: an engine decides it, ``starting`` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from armillary.capability.device_addresses import LOOPBACK, DeviceAddresses
from armillary.capability.network import AllowedHosts
from armillary.engines.sandbox.control_groups.groups import ApplicationGroup
from armillary.engines.sandbox.patience import USUAL


@dataclass(slots=True, kw_only=True)
class StartPlan:
    """How one application is started."""

    command: Sequence[str]  # Program and arguments before the interpreter, e.g. bwrap's; may be empty
    interpreter: str  # Python for the launcher
    # Makes what the launcher is asked for (``engines/sandbox/within/launcher.py``), while bwrap makes the sandbox
    configure: Callable[[], dict[str, Any]]
    filter: bytes  # Seccomp program, b"" for none
    hosts: AllowedHosts
    # TCP and UDP ports that it may listen at, beside loopback in its own network
    server_ports: frozenset[int] = frozenset()
    udp_server_ports: frozenset[int] = frozenset()
    interface: str | None = None  # Path on the host of the one Unix socket outside that it may connect to
    addresses: DeviceAddresses = LOOPBACK  # Where these are reached
    component_id: UUID  # Whose lookups of names these are, of each of its runs
    program: Path  # Its entry point, where it is on the host
    own_network: bool  # Whether the command makes a network namespace
    wraps: bool  # Whether the command gives the application a process namespace, with whose first process all ends
    traces: bool = False  # Whether a crash is looked at (``crash/tracer.py``); only of one that wraps
    # Makes the control groups that it runs in, while the fork server has bwrap make the sandbox
    opens: Callable[[], ApplicationGroup | None] = lambda: None
    group: ApplicationGroup | None = None  # These groups, once there are any
    storage: int = -1  # Mount of its mutable storage, which the launcher puts in its place; the engine closes it
    # Whether the fork server starts it; else the command is given the launcher, and reports its signal as 128 + number
    served: bool = True
    descriptors: tuple[int, ...] = ()  # Descriptors the command reads; closed after the start
    within_s: float = USUAL.start_s  # How long it may take until the application is executed
    cleanup: Callable[[], None] = lambda: None  # Called when the application is gone

    def end(self) -> None:
        """End its groups and clean up; the application is gone, or was never there."""
        if self.group is not None:
            self.group.end()
        self.cleanup()
