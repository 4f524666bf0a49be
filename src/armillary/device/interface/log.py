# SPDX-License-Identifier: Apache-2.0
"""Method of the log: an application writes a line with a level into the device's own log."""

from __future__ import annotations

from armillary.device.interface.method import Call, Method
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.port import LINE_LIMIT_BYTES

LEVELS = ("debug", "info", "warning", "error")


class Log:
    """Writes what applications say into the device's log, among what they print."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def methods(self) -> tuple[Method, ...]:
        """The row."""
        return (Method("log.write", None, self._write),)

    async def _write(self, call: Call) -> None:
        level = call.parameters.choice("level", LEVELS, default="info")
        text = call.parameters.text("text", most=LINE_LIMIT_BYTES, lines=True)
        call.parameters.finish()
        self._journal.output(call.session.application.name, "log", text, level=level)
