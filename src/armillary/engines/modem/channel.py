# SPDX-License-Identifier: Apache-2.0
"""One command at a time over a character device: writes it, collects its answer, keeps what comes unasked.

A modem that gives no answer in time, or one without an end, is as good as gone: its late answer would be taken for that
of the next command, so the channel is closed and opened again, and what waits in it is thrown away then.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from armillary.engines.modem.line import ModemLine
from armillary.engines.modem.port import ModemGoneError, ModemRefusedError
from armillary.engines.modem.waking import Waking
from armillary.wire.modem.answers import (
    Answer,
    CarrierLost,
    Done,
    Refused,
    Registered,
    Restarted,
    Sim,
    parse_line,
)
from armillary.wire.modem.commands import Command
from armillary.wire.modem.lines import LineReader

# The longest answer that is used is that of +CGACT?, a line for each of up to sixteen contexts.
MAX_ANSWER_LINES: Final = 64
# What comes unasked and nobody has looked at yet: the newest say what is so now.
MAX_UNASKED: Final = 16
OF_INTEREST: Final = (CarrierLost, Registered, Sim)


class AtChannel:
    """A modem's character device, opened and not blocking; closing it is up to whoever opened it."""

    def __init__(self, descriptor: int, waking: Waking) -> None:
        self._line = ModemLine(descriptor, waking)
        self._lines = LineReader()
        self._unread: deque[str] = deque(maxlen=MAX_ANSWER_LINES)
        self.unasked: deque[Answer] = deque(maxlen=MAX_UNASKED)

    def ask(self, command: Command) -> list[Answer]:
        """Send a command; the lines of its answer, without the final one. Answers may come among what is unasked.

        Raises:
            ModemRefusedError: the modem says that it failed.
            ModemGoneError: there is no answer in time, or none that ends.
            ModemStoppedError: told to stop.
        """
        ends_at = time.monotonic() + command.within_s
        self._take_unasked()
        self._line.write(command.line, ends_at)
        found: list[Answer] = []
        while len(found) < MAX_ANSWER_LINES:
            line = self._next(command, ends_at)
            if line == command.text:  # its echo
                continue
            answer = _parsed(line)
            if isinstance(answer, Done):
                return found
            if isinstance(answer, Refused):
                raise ModemRefusedError(command.name, answer.number, answer.text)
            found.append(answer)
            if isinstance(answer, OF_INTEREST):
                self.unasked.append(answer)
        raise ModemGoneError(f"the modem answers {command.name} with more than {MAX_ANSWER_LINES} lines")

    def wait(self, seconds: float) -> bool:
        """Wait so long, until the modem says something of interest, or until woken; whether the modem did.

        Raises:
            ModemGoneError: it was pulled out.
            ModemStoppedError: told to stop.
        """
        ends_at = time.monotonic() + seconds
        self.unasked.clear()
        while (left_s := ends_at - time.monotonic()) > 0:
            if self._line.wait(left_s):
                self._unread.extend(self._lines.feed(self._line.read()))
            if self._take_unasked():
                return True
            if self._line.was_rung:
                break
        self._line.was_rung = False
        return False

    def _take_unasked(self) -> bool:
        """Look at lines that no command asked for; whether one is of interest."""
        while self._unread:
            answer = _parsed(self._unread.popleft())
            if isinstance(answer, OF_INTEREST):
                self.unasked.append(answer)
        return bool(self.unasked)

    def _next(self, command: Command, ends_at: float) -> str:
        while not self._unread:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise ModemGoneError(f"the modem gives no answer to {command.name} within {command.within_s:g} s")
            if self._line.wait(left_s):
                self._unread.extend(self._lines.feed(self._line.read()))
        return self._unread.popleft()


def _parsed(line: str) -> Answer:
    answer = parse_line(line)
    if isinstance(answer, Restarted):
        raise ModemGoneError("the modem has started again")
    return answer
