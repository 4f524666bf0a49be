# SPDX-License-Identifier: Apache-2.0
"""What the device knows of one running application that may ask at its interface.

It begins and ends with the run: what an application has asked for (events, a watchdog, a line) ends when it ends.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from armillary.capability.grant import Grant
from armillary.capability.network import Decision
from armillary.device.applications.admission import Application
from armillary.device.applications.port import Run
from armillary.device.interface.work import Work
from armillary.engines.sandbox.network.attempts import AttemptLog
from armillary.engines.sandbox.port import METHOD

Notify = Callable[[str, Mapping[str, Any]], None]


class Session:
    """One run of one application at its interface."""

    def __init__(self, run: Run, work: Work) -> None:
        self.run = run
        self.work = work  # what its methods do that takes long
        self._attempts = AttemptLog(run.on_event)
        self._closing = contextlib.ExitStack()

    @property
    def application(self) -> Application:
        """The application that asks."""
        return self.run.application

    @property
    def grant(self) -> Grant:
        """What it may."""
        return self.run.application.grant

    def not_granted(self, what: str, capability: str, named: Sequence[str] = ()) -> OSError:
        """Report the use of something that the manifest does not name; the error for the application.

        The first is reported at once, repetitions within ten seconds together, as refused connections are.
        """
        refused = Decision(allowed=False, host=f"{what} without {capability}", port=0, reason="not declared")
        self._attempts.record(refused, METHOD)
        besides = f" to name it: it names {', '.join(named)}" if named else ""
        return OSError(errno.EACCES, f"{what} needs {capability} in the manifest{besides}")

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call this when the run ends; the last one first."""
        self._closing.callback(callback)

    def close(self) -> None:
        """The run has ended."""
        self._closing.close()
        self._attempts.flush()
