# SPDX-License-Identifier: Apache-2.0
"""How far a compile is: steps that make has named, against those of the last whole build or of an estimate."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

# Steps of a whole build, until one was counted on this host.
ESTIMATES: Final = {"x86_64": 2800, "arm64": 2700}
# "  CC      kernel/fork.o": what is done, and to what
_STEP: Final = re.compile(r" {2}[A-Z0-9_.\[\] -]{2,9} +\S+")

Report = Callable[[str], None]


class Progress:
    """Counts steps and says each new percent once. A build of what is left over has fewer steps than a whole one."""

    def __init__(self, architecture: str, kept: Path, say: Report) -> None:
        """``kept`` is the file that remembers how many steps the longest build had; ``say`` shows one line."""
        self._architecture = architecture
        self._kept = kept
        self._say = say
        self._steps = 0
        self._percent = -1
        self._all = self._remembered()

    def line(self, text: str) -> None:
        """One line of make's output."""
        if _STEP.match(text) is None:
            return
        self._steps += 1
        percent = min(99, self._steps * 100 // self._all)
        if percent != self._percent:
            self._percent = percent
            self._say(f"kernel {self._architecture}: {percent} % ({self._steps} of about {self._all} steps)")

    def done(self) -> None:
        """The build is whole: remember its steps if it was the longest."""
        self._say(f"kernel {self._architecture}: built in {self._steps} steps")
        if not self._kept.is_file() or self._steps > self._all:
            self._kept.write_text(f"{max(self._steps, 1)}\n", "utf-8")

    def _remembered(self) -> int:
        try:
            return max(1, int(self._kept.read_text("utf-8")))
        except (OSError, ValueError):
            return ESTIMATES[self._architecture]
