# SPDX-License-Identifier: Apache-2.0
"""What the supervisor needs of others: who hears of deferrals, and who gives applications their interface."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from armillary.device.applications.admission import Application
from armillary.engines.sandbox.port import AppEvent, Usage


class Deferrals(Protocol):
    """What hears that applications put off updates (``device/checkin/update_wait.py``)."""

    def defer(self, component_id: UUID, minutes: int) -> None:
        """An application puts off updates for so long from now; 0 takes it back."""

    def forget(self, component_id: UUID) -> None:
        """An application has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one application, as its interface sees it."""

    application: Application
    on_event: Callable[[AppEvent], None]  # hears of what was refused, as the sandbox's own events
    end: Callable[[str], None]  # ends the run as hung, for this reason; the supervisor starts the application again
    defer: Callable[[int], None]  # puts off updates for so many minutes
    pid: Callable[[], int | None]  # of its entry point's process on the host; None before it is started
    usage: Callable[[], Usage | None] = lambda: None  # what its control group counts; None where it has none
    restart_peak: Callable[[], bool] = lambda: False  # has its peak of memory start over; False where nothing does


class Interface(Protocol):
    """What opens the application interface (``device/interface``)."""

    def open(self, run: Run) -> contextlib.AbstractAsyncContextManager[Path | None]:
        """The socket at which this run may ask, for as long as the context lasts; None where it has none."""
        ...


class NoInterface:
    """Gives no application an interface: devices that are only played."""

    @contextlib.asynccontextmanager
    async def open(self, run: Run) -> AsyncIterator[Path | None]:  # noqa: ARG002 - the port
        """No socket."""
        yield None
