# SPDX-License-Identifier: Apache-2.0
"""Traces one application from before it is executed until it is gone, and captures its crash.

One thread for each application, because the kernel takes ptrace(2) calls for a process from the thread that seized it.
It waits in the kernel; a signal to the application wakes it, and it lets the signal through. When this process dies,
the kernel ends the tracing and the application goes on as it was.

Only of an application below bubblewrap: its parent is another process than ours, so that no wait of ours can take its
end away from whoever waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from typing import Final

from armillary.engines.sandbox.crash import ptrace
from armillary.engines.sandbox.crash.capture import capture, is_deadly
from armillary.wire.device.crash_dump import MachineState

SEIZE_TIMEOUT_S: Final = 5.0  # one call of the kernel
# After the application's end its thread has only to be taken note of.
END_TIMEOUT_S: Final = 5.0

_log = logging.getLogger(__name__)


class Tracer:
    """Traces a process; :meth:`start` and :meth:`started` before it is executed, :meth:`state` when it has ended."""

    def __init__(self, process: int, machine: str) -> None:
        self._process = process
        self._machine = machine
        self._seized = threading.Event()
        self._problem = ""
        self._state: MachineState | None = None
        self._thread = threading.Thread(target=self._run, name=f"tracer of {process}", daemon=True)

    def start(self) -> None:
        """Begin to trace."""
        self._thread.start()

    def started(self) -> bool:
        """Whether it is traced; False where the host forbids it: then crashes are reported without where they were."""
        if not self._seized.wait(SEIZE_TIMEOUT_S):
            self._problem = "no answer in time"
        if self._problem:
            _log.warning("sandbox.crashes-not-captured", extra={"reason": self._problem})
        return not self._problem

    @property
    def has_ended(self) -> bool:
        """Whether the tracer has seen the end, so that :meth:`state` does not block."""
        return not self._thread.is_alive()

    def state(self) -> MachineState | None:
        """What was captured, None where it did not crash. Blocks until the tracer has seen the end."""
        self._thread.join(END_TIMEOUT_S)
        return self._state

    def _run(self) -> None:
        try:
            ptrace.seize(self._process)
        except OSError as error:
            self._problem = str(error)
            return
        finally:
            self._seized.set()
        while self._step():
            pass

    def _step(self) -> bool:
        """Wait for one stop or end, and answer it; False when nothing is traced any more."""
        try:
            seen = os.waitid(os.P_ALL, 0, ptrace.WAIT_OWN)
            if seen is None:
                return False
        except ChildProcessError:
            return False
        if seen.si_code not in (os.CLD_TRAPPED, os.CLD_STOPPED):
            return True
        stop = ptrace.stop_of(seen.si_pid, seen.si_status)
        try:
            if self._state is None and stop.signal and is_deadly(self._process, stop.signal):
                self._state = capture(self._process, stop.thread, stop.signal, self._machine)
        except (OSError, ValueError, KeyError) as error:
            _log.warning("sandbox.crash-not-captured", extra={"reason": str(error)})
        with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
            ptrace.resume(stop)
        return True
