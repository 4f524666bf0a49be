# SPDX-License-Identifier: Apache-2.0
"""How one application is started: what an engine decides, for ``starting`` to carry out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.capability.network import AllowedHosts


@dataclass(slots=True, kw_only=True)
class StartPlan:
    """How one application is started.

    Attributes:
        command: Program and arguments before the interpreter, e.g. bwrap's; may be empty.
        interpreter: Python for the launcher.
        configuration: What the launcher is asked for (``engines/sandbox/within/launcher.py``).
        filter: Seccomp program, b"" for none.
        hosts: What may be reached.
        own_network: The command makes a network namespace.
        wraps: The command stays as the application's parent and reports a signal as 128 + number.
        descriptors: Descriptors the command reads; closed after the start.
        cleanup: Called when the application is gone.
    """

    command: Sequence[str]
    interpreter: str
    configuration: dict[str, Any]
    filter: bytes
    hosts: AllowedHosts
    own_network: bool
    wraps: bool
    descriptors: tuple[int, ...] = ()
    cleanup: Callable[[], None] = lambda: None
