# SPDX-License-Identifier: Apache-2.0
"""Cuts the power of one machine again and again while it takes one update after the other.

A round begins with a machine that runs, waits for the phase that the round's cut is of, and lets a share of the time
pass that the phase took the last time. Then the machine, its emulator and its TPM are killed in one instant. It is
switched on again and has to come back: its device process runs and the service attests it. What it has to go on with it
goes on with. A machine that does not get to the phase failed too: it stands, and no cut was seen.

A kill loses what the guest had not written to its disk. What the guest wrote and did not flush stays, since the host
keeps it: a disk that loses that too is played on files (``tests/engines/flash``).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from armillary.device_image.power.phases import CUT, Cut, Phase, checked_in, cut_of, phase_after
from armillary.device_image.virtual_machine import MachineSettings, VirtualMachine, running

ATTESTED: Final = "attested"
# How long phases take until one was seen; each is measured from then on.
_FIRST_GUESS_S: Final = 8.0
# In these it is given its next update: a release that is made takes seconds, in which no line is read.
_HAS_TIME: Final = frozenset({Phase.IDLE, Phase.CONFIRM})
# Of what a machine said before it did not come back.
_KEPT_LINES: Final = 60


class Releases(Protocol):
    """What gives the machine something to do."""

    def publish_next(self) -> None:
        """Publish a later OS than all before, for the machine to take."""


@dataclass(frozen=True, slots=True)
class Round:
    """One cut, and what came of it.

    ``planned`` is the phase that was waited for, and ``reached`` whether the machine got there; if not, it was not cut.
    ``phase`` is the one that the cut came in, ``after_s`` seconds after it began: the next one, where the planned one
    was shorter than before. ``slot`` came up (empty: none did within the time); ``taken_back`` says whether an update
    was taken back on the way; ``back_s`` is how long it took.
    """

    number: int
    planned: Phase
    reached: bool
    phase: Phase
    after_s: float
    slot: str
    taken_back: bool
    verdict: str
    back_s: float
    lines: tuple[str, ...] = field(default=(), repr=False)

    @property
    def came_back(self) -> bool:
        """Whether the machine was cut, the device process ran again and was attested."""
        return self.reached and bool(self.slot) and self.verdict == ATTESTED


class Bench:
    """One machine that is switched on, cut and switched on again; ``within_s`` bounds each wait.

    ``heard`` gets each line of the machine's console.
    """

    def __init__(
        self,
        settings: MachineSettings,
        releases: Releases,
        *,
        within_s: float,
        heard: Callable[[str], object] = lambda _line: None,
    ) -> None:
        self._settings = settings
        self._releases = releases
        self._within_s = within_s
        self._heard = heard
        self._stack = contextlib.ExitStack()
        self._machine: VirtualMachine | None = None
        self._phase = Phase.IDLE
        self._began = self._switched_on = 0.0
        self._slot, self._verdict, self._taken_back = "", "", False
        self._has_nothing_to_do = self._is_published = self._is_told = False
        self._lasts = dict.fromkeys(CUT, _FIRST_GUESS_S)
        self._lines: list[str] = []

    def close(self) -> None:
        """Switch the machine off."""
        self._stack.close()

    def come_up(self) -> bool:
        """Switch the machine on and wait until it is attested; False if it is not within the time."""
        self._switch_on()
        for _ in self._watch(self._within_s):
            if self._slot and self._verdict:
                self._lasts[Phase.RECOVERY] = time.monotonic() - self._switched_on
                return self._verdict == ATTESTED
        return False

    def play(self, number: int, cut: Cut) -> Round:
        """Cut the power of a machine that runs, and wait until it is back."""
        reached = self._reach(cut)
        phase, after_s = self._phase, time.monotonic() - self._began
        begun = time.monotonic()
        if reached:
            self._cut()
            self.come_up()
        return Round(
            number=number,
            planned=cut.phase,
            reached=reached,
            phase=phase,
            after_s=after_s,
            slot=self._slot,
            taken_back=self._taken_back,
            verdict=self._verdict,
            back_s=time.monotonic() - begun,
            lines=tuple(self._lines[-_KEPT_LINES:]),
        )

    def _reach(self, cut: Cut) -> bool:
        """Return at the instant of the cut; False if the machine does not get to its phase within the time, or ends."""
        if cut.phase is Phase.RECOVERY:
            self._cut()
            self._switch_on()
            self._begin(Phase.RECOVERY)
        else:
            for _ in self._watch(self._within_s):
                if self._phase is cut.phase:
                    break
            else:
                return False
        lasts_s = cut.share * self._lasts[cut.phase]
        for _ in self._watch(lasts_s, may_publish=False):
            pass
        return self._machine is not None and self._machine.is_on

    def _cut(self) -> None:
        if self._machine is not None:
            self._machine.pull_the_plug()
        self._stack.close()

    def _switch_on(self) -> None:
        self._machine = self._stack.enter_context(running(self._settings))
        self._slot, self._verdict, self._taken_back, self._lines = "", "", False, []
        self._has_nothing_to_do = False
        self._begin(Phase.IDLE, has_ended=False)
        self._switched_on = self._began

    def _watch(self, within_s: float, *, may_publish: bool = True) -> Iterator[None]:
        """Follow the machine: once before its next line, then after each; it gets something to do when it waits."""
        yield
        if self._machine is None:
            return
        if may_publish:
            self._give_work()
        for line in self._machine.lines(within_s=within_s):
            self._see(line)
            yield
            if may_publish:
                self._give_work()

    def _give_work(self) -> None:
        if self._has_nothing_to_do and not self._is_published and self._phase in _HAS_TIME:
            self._is_published = True
            self._releases.publish_next()

    def _see(self, line: str) -> None:
        self._lines.append(line)
        self._heard(line)
        if line.startswith("armillary: slot "):
            self._slot = line.removeprefix("armillary: slot ")[0]
        self._taken_back |= " update-reverted " in line
        found = checked_in(line)
        if found is not None:
            self._verdict = found.verdict
            self._has_nothing_to_do = not found.has_offer
            self._hear_after_confirmation()
        if " update-offered " in line:  # what was published has come to it
            self._is_published = self._has_nothing_to_do = False
        after = phase_after(self._phase, line)
        if after is not self._phase:
            self._begin(after, has_ended=after is not Phase.IDLE)

    def _hear_after_confirmation(self) -> None:
        """The first check-in after a confirmation tells of it; at the second nothing is left of the update."""
        if self._phase is Phase.CONFIRM and self._is_told:
            self._begin(Phase.IDLE)
        elif self._phase is Phase.CONFIRM:
            self._is_told = True

    def _begin(self, phase: Phase, *, has_ended: bool = True) -> None:
        """Begin a phase; ``has_ended``: the one before was not cut, and its update not taken back."""
        now = time.monotonic()
        if has_ended and self._phase in self._lasts:
            self._lasts[self._phase] = now - self._began
        self._phase, self._began, self._is_told = phase, now, False


def play(bench: Bench, *, seed: int, begin: int, times: int) -> Iterator[Round]:
    """Rounds ``begin`` to ``times``, each as it is done; one that did not come back is the last."""
    for number in range(begin, times):
        played = bench.play(number, cut_of(seed, number))
        yield played
        if not played.came_back:
            return
