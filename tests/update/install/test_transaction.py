# SPDX-License-Identifier: Apache-2.0
"""Walks every cell of the installation's state table."""

from __future__ import annotations

import itertools

import pytest

from armillary.errors import InstallError
from armillary.update.install.transaction import TRANSITIONS, InstallEvent, InstallState, advance

# The same table written a second time, by state: rows are states, columns events in the order of InstallEvent
# (fetched staged failed switched restarted confirmed reverted kept reported), "-" is refused.
ROWS = {
    "idle": "fetched - idle - idle - - - -",
    "fetched": "- staged idle - idle - - - -",
    "staged": "- - idle trial idle - - - -",
    "trial": "- - - - trial confirmed reverted idle -",
    "confirmed": "- - - - confirmed - - - idle",
    "reverted": "- - - - reverted - - - idle",
}
CELLS = {
    (InstallState(state), event): target
    for state, row in ROWS.items()
    for event, target in zip(InstallEvent, row.split(), strict=True)
}


def test_the_table_has_a_row_for_every_state() -> None:
    assert set(CELLS) == set(itertools.product(InstallState, InstallEvent))


@pytest.mark.parametrize(("cell", "target"), CELLS.items(), ids=str)
def test_cell(cell: tuple[InstallState, InstallEvent], target: str) -> None:
    if target == "-":
        with pytest.raises(InstallError, match="cannot happen"):
            advance(*cell)
    else:
        assert advance(*cell) is InstallState(target)


def test_nothing_before_the_switch_survives_a_restart() -> None:
    for state in (InstallState.IDLE, InstallState.FETCHED, InstallState.STAGED):
        assert TRANSITIONS[state, InstallEvent.RESTARTED] is InstallState.IDLE


def test_every_state_is_reached_and_left() -> None:
    reached = {target for (state, _), target in TRANSITIONS.items() if target is not state}
    assert reached == set(InstallState)
    left = {state for (state, _), target in TRANSITIONS.items() if target is not state}
    assert left == set(InstallState)
