# SPDX-License-Identifier: Apache-2.0
"""The search of a board: cuts every transaction everywhere, then as often as was asked for at random.

1. *Every single cut*: each operation of each transaction, each state that a cut can leave (``cut.py``).
2. *Every flaw*: each sector that a transaction writes is stored wrongly once, and the life that follows is cut.
3. As many more cuts as were asked for: *second cuts* while a device recovers from a first one, and *random histories*
   of bundles and cuts (``history.py``).

A search has *parts*, one for each transaction and one for the histories. Each draws what is random from a generator of
its own, so the same seed makes the same cuts, wherever and in whichever order the parts are searched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from armillary.errors import ArmillaryError
from armillary.sim.power.case import Board, Case, prepare
from armillary.sim.power.cut import left_by
from armillary.sim.power.flash import Kind, Operation, PowerFlash
from armillary.sim.power.history import random_history
from armillary.sim.power.known import Ending
from armillary.sim.power.lives import Lives
from armillary.sim.power.tally import Failure, Tally, together
from armillary.sim.power.transactions import TRANSACTIONS, Transaction
from armillary.sim.power.witness import Breach, BrokenPromiseError

RECOVERY_CUTS: Final = 8  # second cuts in one recovery: it has some thirty operations, and others have their turn
HISTORY_SHARE: Final = 3  # of the random cuts, one in so many is of a history
_NO_CUT: Final = ()
_KNEW_NOTHING: Final = frozenset[object]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is searched.

    Attributes:
        cuts: Second cuts, and cuts of random histories, on each board; every single cut is made anyhow.
        samples: Random states of each cut, beside the named ones.
        flaw_cuts: Cuts in the life that follows a flaw.
        most: The search of a part ends after so many cuts; None for no such end.
        breaches: It ends when so many broken promises were found.
    """

    cuts: int = 4_000
    seed: int = 1
    samples: int = 2
    flaw_cuts: int = 4
    most: int | None = None
    breaches: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is searched in one go: a transaction, or random histories where it is None; ``cuts`` are the random ones."""

    transaction: Transaction | None
    cuts: int


class _EnoughError(Exception):
    """Enough is broken, or was cut."""


def parts_of(effort: Effort, transactions: Sequence[Transaction] = TRANSACTIONS) -> list[Part]:
    """The parts of a board's search, the random cuts shared out among them."""
    histories = effort.cuts // HISTORY_SHARE
    share, rest = divmod(effort.cuts - histories, len(transactions))
    found = [Part(transaction=each, cuts=share + (number < rest)) for number, each in enumerate(transactions)]
    return [*found, Part(transaction=None, cuts=histories)]


def search(board: Board, effort: Effort, transactions: Sequence[Transaction] = TRANSACTIONS) -> Tally:
    """The whole search of one board."""
    return together(Campaign(board, effort, part).run() for part in parts_of(effort, transactions))


class Campaign:
    """The search of one part."""

    def __init__(self, board: Board, effort: Effort, part: Part) -> None:
        self._board = board
        self._effort = effort
        self._part = part
        name = "histories" if part.transaction is None else part.transaction.name
        self._random = Random(f"{effort.seed} {board.name} {name}")  # noqa: S311 - a search that can be repeated
        self.tally = Tally(boards=[board.name])

    def run(self) -> Tally:
        """Search, and return what was found."""
        with contextlib.suppress(_EnoughError):
            if self._part.transaction is None:
                while self.tally.cuts < self._part.cuts:
                    self._history()
            else:
                self._search(self._part.transaction)
        return self.tally

    def _search(self, transaction: Transaction) -> None:
        try:
            case = prepare(transaction, self._board)
        except (BrokenPromiseError, ArmillaryError) as error:
            self._broke(transaction.name, error, _NO_CUT)
            return
        lives = Lives(case)
        flash = self._follow(lives, case.start, _KNEW_NOTHING, _NO_CUT)
        if flash is None:
            return  # it does not even live through it in peace
        self.tally.operations += len(flash.operations)
        self._every_cut(lives, flash.operations)
        self._every_flaw(Lives(case.insisting()), flash.operations)
        again = case.cut_twice()
        recoveries = lives if again is case else Lives(again)
        enough = self.tally.cuts + self._part.cuts
        while self.tally.cuts < enough:
            self._second_cuts(lives, recoveries, flash.operations, enough - self.tally.cuts)

    def _every_cut(self, lives: Lives, operations: Iterable[Operation]) -> None:
        for number, operation in enumerate(operations):
            path = (_place(number, operation),)
            for durable in self._left_by(operation):
                self._cut(lives, durable, operation, path)

    def _every_flaw(self, lives: Lives, operations: Iterable[Operation]) -> None:
        for number, operation in enumerate(operations):
            if operation.kind not in (Kind.WRITE, Kind.PROGRAM):
                continue
            self.tally.flaws += 1
            path = (f"{_place(number, operation)} is stored wrongly",)
            flash = self._follow(lives, lives.case.start, _KNEW_NOTHING, path, flaws=(number,))
            if flash is not None:
                self._cuts_after(lives, flash, self._effort.flaw_cuts, path, first=number + 1)

    def _second_cuts(self, lives: Lives, recoveries: Lives, operations: Sequence[Operation], most: int) -> None:
        """One random cut, and some of the recovery from it."""
        number = self._random.randrange(len(operations))
        first = operations[number]
        durable = self._random.choice(self._left_by(first))
        path = (_place(number, first),)
        flash = self._follow(lives, durable, first.told, path)
        if flash is not None:
            self._cuts_after(recoveries, flash, min(RECOVERY_CUTS, most), path)

    def _cuts_after(
        self, lives: Lives, flash: PowerFlash, count: int, path: tuple[str, ...], *, first: int = 0
    ) -> None:
        """Some cuts in a life that was followed to its end, each in one random state."""
        later = range(first, len(flash.operations))
        for number in sorted(self._random.sample(later, min(count, len(later)))):
            operation = flash.operations[number]
            durable = self._random.choice(self._left_by(operation))
            self._cut(lives, durable, operation, (*path, _place(number, operation)))

    def _history(self) -> None:
        """A device that is offered one bundle after the other, with a cut in most of them."""
        durable: Mapping[str, bytes] | None = None
        path: tuple[str, ...] = ()
        for case, is_cut in random_history(self._board, self._random):
            start = case.start if durable is None else durable
            flash = self._follow(Lives(case), start, _KNEW_NOTHING, path)
            if flash is None:
                return
            durable = flash.medium.durable
            if is_cut:
                number = self._random.randrange(len(flash.operations))
                operation = flash.operations[number]
                durable = self._random.choice(self._left_by(operation))
                path = (*path, f"{case.name}: {_place(number, operation)}")
                self.tally.cuts += 1

    def _cut(self, lives: Lives, durable: Mapping[str, bytes], operation: Operation, path: tuple[str, ...]) -> None:
        if self.tally.cuts == self._effort.most:
            raise _EnoughError
        self.tally.cuts += 1
        known = lives.followed
        ending = lives.ending(durable, operation.told)
        self.tally.lives += lives.followed - known
        self._judge(lives.case, ending, path)

    def _follow(
        self,
        lives: Lives,
        durable: Mapping[str, bytes],
        told: frozenset[object],
        path: tuple[str, ...],
        *,
        flaws: Collection[int] = (),
    ) -> PowerFlash | None:
        """A life with its operations, if it keeps every promise; else what it broke is counted."""
        self.tally.lives += 1
        flash, ending = lives.follow(durable, told, flaws=flaws)
        self._judge(lives.case, ending, path)
        return flash

    def _judge(self, case: Case, ending: Ending, path: tuple[str, ...]) -> None:
        if ending.broken is None:
            return
        self._broke(case.name, ending.broken, path)
        if self.tally.breaches.total() >= self._effort.breaches:
            raise _EnoughError

    def _broke(self, transaction: str, error: Exception, path: tuple[str, ...]) -> None:
        breach = error.breach if isinstance(error, BrokenPromiseError) else Breach.BRICK
        detail = error.detail if isinstance(error, BrokenPromiseError) else f"{type(error).__name__}: {error}"
        self.tally.broke(
            Failure(board=self._board.name, transaction=transaction, breach=breach, detail=detail, path=path)
        )

    def _left_by(self, operation: Operation) -> list[Mapping[str, bytes]]:
        return left_by(operation, self._board.geometry, self._random, self._effort.samples)


def _place(number: int, operation: Operation) -> str:
    return f"operation {number + 1}, {operation}"
