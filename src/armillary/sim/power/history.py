# SPDX-License-Identifier: Apache-2.0
"""Random histories: a device is offered one bundle after the other, good and bad, and power fails in most of them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from armillary.sim.power.case import Board, Case, contents, manufacture, wish_for
from armillary.sim.power.supply import FIRST_OS, Bundle

STEPS: Final = 6  # bundles of one history; the last is good and is not cut
NEWEST_OS: Final = 5  # what the last bundle has: no counter is above its security version
_APPLICATIONS: Final = 3
_VERSIONS: Final = 4
_CUT: Final = 0.8  # how many of the bundles before the last are cut


def random_history(board: Board, random: Random) -> Iterator[tuple[Case, bool]]:
    """The steps of one history, and whether the power fails in each.

    A step's device starts with the flash that the step before left, the first as it was manufactured. Its bundle is
    followed to the end even if the power fails then: the cut is a step back in time, from which the next bundle is
    offered. So of all bundles that were ever offered any may run on the way, and an older OS may be wanted that the
    counter refuses.
    """
    start = manufacture(board)
    legal = {contents(board, Bundle(os=FIRST_OS))}
    for number in range(1, STEPS + 1):
        is_last = number == STEPS
        bundle = _random_bundle(random, newest=is_last)
        chosen = sorted(bundle.applications)
        bad = random.sample(chosen, 1) if chosen and not is_last and random.random() < 0.5 else []
        fate = {random.choice(("crashing", "hanging")): bad}
        legal.add(contents(board, bundle))
        yield (
            Case(
                board=board,
                name=f"history, bundle {number}",
                start=start,
                wish=wish_for(board.supply, number, bundle, **fate),
                legal=frozenset(legal),
                final=contents(board, bundle) if is_last else None,
            ),
            not is_last and random.random() < _CUT,
        )


def _random_bundle(random: Random, *, newest: bool) -> Bundle:
    chosen = random.sample(range(_APPLICATIONS), random.randrange(_APPLICATIONS + 1))
    return Bundle(
        os=NEWEST_OS if newest else random.randrange(FIRST_OS, NEWEST_OS),
        applications={number: random.randrange(1, _VERSIONS + 1) for number in chosen},
    )
