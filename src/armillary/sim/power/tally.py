# SPDX-License-Identifier: Apache-2.0
"""What a campaign found: counts, and how to see each broken promise again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from armillary.sim.power.witness import Breach

FAILURES_KEPT: Final = 20  # of a board; one defect breaks thousands of lives


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A broken promise; ``path`` is where the power went, first cut first."""

    board: str
    transaction: str
    breach: Breach
    detail: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        where = "; then ".join(self.path) or "no cut at all"
        return f"{self.board}, {self.transaction}: {self.breach}: {self.detail} (cut: {where})"


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one board or several.

    Attributes:
        operations: Flash operations of all transactions, without a cut.
        cuts: Times that the power went; each is followed by a whole recovery.
        flaws: Sectors that the medium stored wrongly without a word, one in each life.
        lives: Devices that were followed until they were at rest; cuts that leave the same, as far as a device looks,
            have one life (``lives.py``).
    """

    boards: list[str]
    operations: int = 0
    cuts: int = 0
    flaws: int = 0
    lives: int = 0
    breaches: Counter[Breach] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def broke(self, failure: Failure) -> None:
        """Count a broken promise."""
        self.breaches[failure.breach] += 1
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(failure)

    def summary(self) -> dict[str, Any]:
        """The JSON object of ``armillary sim power-cut``."""
        return {
            "boards": self.boards,
            "operations": self.operations,
            "cuts": self.cuts,
            "bricks": self.breaches[Breach.BRICK],
            "wrong_image": self.breaches[Breach.WRONG_IMAGE],
            "not_converged": self.breaches[Breach.NOT_CONVERGED],
            "flaws": self.flaws,
            "lives": self.lives,
            "failures": [str(failure) for failure in self.failures],
        }


def together(tallies: Iterable[Tally]) -> Tally:
    """The sum of several boards, or parts of them, in their order."""
    total = Tally(boards=[])
    for each in tallies:
        total.boards += [board for board in each.boards if board not in total.boards]
        total.operations += each.operations
        total.cuts += each.cuts
        total.flaws += each.flaws
        total.lives += each.lives
        total.breaches += each.breaches
        total.failures += each.failures
    return total
