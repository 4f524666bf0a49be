# SPDX-License-Identifier: Apache-2.0
"""The search of one board: cuts every transaction everywhere, then as often as was asked for at random.

1. *Every single cut*: each operation of each transaction, each state that a cut can leave (``cut.py``).
2. *Every flaw*: each sector that a transaction writes is stored wrongly once, and the life that follows is cut.
3. As many more cuts as were asked for, turn by turn: *second cuts* while a device recovers
   from a first one, and *random histories* of bundles and cuts (``history.py``).

The same seed makes the same cuts. What is random is drawn from one generator a board.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from armillary.errors import ArmillaryError
from armillary.sim.power.case import Board, Case, prepare
from armillary.sim.power.cut import left_by
from armillary.sim.power.flash import Kind, Operation, PowerFlash
from armillary.sim.power.history import random_history
from armillary.sim.power.tally import Failure, Tally
from armillary.sim.power.transactions import TRANSACTIONS, Transaction
from armillary.sim.power.witness import Breach, BrokenPromiseError

RECOVERY_CUTS: Final = 8  # second cuts in one recovery: it has some thirty operations, and others have their turn
HISTORY_EVERY: Final = 3  # of the random turns, one in so many is a history
_NO_CUT: Final = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is searched.

    Attributes:
        cuts: Second cuts, and cuts of random histories, on each board; every single cut is made anyhow.
        samples: Random states of each cut, beside the named ones.
        flaw_cuts: Cuts in the life that follows a flaw.
        most: The search ends after so many cuts; None for no such end.
        breaches: The search ends when so many broken promises were found.
    """

    cuts: int = 4_000
    seed: int = 1
    samples: int = 2
    flaw_cuts: int = 4
    most: int | None = None
    breaches: int = 1_000


class _EnoughError(Exception):
    """Enough is broken, or was cut."""


class Campaign:
    """The search of one board."""

    def __init__(self, board: Board, effort: Effort, transactions: Sequence[Transaction] = TRANSACTIONS) -> None:
        self._board = board
        self._effort = effort
        self._transactions = transactions
        self._random = Random(f"{effort.seed} {board.name}")  # noqa: S311 - a search that can be repeated
        self._uncut: list[tuple[Case, list[Operation]]] = []
        self.tally = Tally(boards=[board.name])

    def run(self) -> Tally:
        """Search, and return what was found."""
        with contextlib.suppress(_EnoughError):
            for transaction in self._transactions:
                self._uncut += self._without_a_cut(transaction)
            for case, operations in self._uncut:
                self._every_cut(case, operations)
            for case, operations in self._uncut:
                self._every_flaw(case, operations)
            turn, enough = 0, self.tally.cuts + self._effort.cuts
            while self._uncut and self.tally.cuts < enough:
                turn += 1
                if turn % HISTORY_EVERY == 0:
                    self._history()
                else:
                    self._second_cuts()
        return self.tally

    def _without_a_cut(self, transaction: Transaction) -> list[tuple[Case, list[Operation]]]:
        """The transaction's case and operations; none if a device does not even live through it in peace."""
        try:
            case = prepare(transaction, self._board)
        except (BrokenPromiseError, ArmillaryError) as error:
            self._broke(transaction.name, error, _NO_CUT)
            return []
        flash = self._attempt(case, case.start, frozenset(), _NO_CUT)
        if flash is None:
            return []
        self.tally.operations += len(flash.operations)
        return [(case, flash.operations)]

    def _every_cut(self, case: Case, operations: Sequence[Operation]) -> None:
        for number, operation in enumerate(operations):
            for durable in self._left_by(operation):
                self._cut(case, durable, operation.told, (_place(number, operation),))

    def _every_flaw(self, case: Case, operations: Sequence[Operation]) -> None:
        insisting = case.insisting()
        for number, operation in enumerate(operations):
            if operation.kind not in (Kind.WRITE, Kind.PROGRAM):
                continue
            self.tally.flaws += 1
            flaw = f"{_place(number, operation)} is stored wrongly"
            flash = self._attempt(insisting, case.start, frozenset(), (flaw,), flaws=(number,))
            if flash is not None:
                self._cuts_after(insisting, flash, self._effort.flaw_cuts, (flaw,), first=number + 1)

    def _second_cuts(self) -> None:
        """One random cut, and some of the recovery from it."""
        case, operations = self._random.choice(self._uncut)
        number = self._random.randrange(len(operations))
        first = operations[number]
        durable = self._random.choice(self._left_by(first))
        path = (_place(number, first),)
        flash = self._attempt(case, durable, first.told, path)
        if flash is not None:
            self._cuts_after(case, flash, RECOVERY_CUTS, path)

    def _cuts_after(self, case: Case, flash: PowerFlash, count: int, path: tuple[str, ...], *, first: int = 0) -> None:
        """Some cuts in a life that was followed to its end, each in one random state."""
        later = range(first, len(flash.operations))
        for number in sorted(self._random.sample(later, min(count, len(later)))):
            operation = flash.operations[number]
            durable = self._random.choice(self._left_by(operation))
            self._cut(case, durable, operation.told, (*path, _place(number, operation)))

    def _history(self) -> None:
        """A device that is offered one bundle after the other, with a cut in most of them."""
        durable: Mapping[str, bytes] | None = None
        path: tuple[str, ...] = ()
        for case, is_cut in random_history(self._board, self._random):
            flash = self._attempt(case, case.start if durable is None else durable, frozenset(), path)
            if flash is None:
                return
            durable = flash.medium.durable
            if is_cut:
                number = self._random.randrange(len(flash.operations))
                operation = flash.operations[number]
                durable = self._random.choice(self._left_by(operation))
                path = (*path, f"{case.name}: {_place(number, operation)}")
                self.tally.cuts += 1

    def _cut(self, case: Case, durable: Mapping[str, bytes], told: frozenset[object], path: tuple[str, ...]) -> None:
        if self.tally.cuts == self._effort.most:
            raise _EnoughError
        self.tally.cuts += 1
        self._attempt(case, durable, told, path)

    def _attempt(
        self,
        case: Case,
        durable: Mapping[str, bytes],
        told: frozenset[object],
        path: tuple[str, ...],
        *,
        flaws: Collection[int] = (),
    ) -> PowerFlash | None:
        """A life, if it keeps every promise; else what it broke is counted."""
        self.tally.lives += 1
        try:
            return case.live(durable, told, flaws=flaws)
        except BrokenPromiseError as error:
            self._broke(case.name, error, path)
        except Exception as error:  # noqa: BLE001 - whatever ends a device's software leaves it without: a finding
            self._broke(case.name, error, path)
        if self.tally.breaches.total() >= self._effort.breaches:
            raise _EnoughError
        return None

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
