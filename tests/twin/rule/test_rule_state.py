# SPDX-License-Identifier: Apache-2.0
"""The state of a rule over a restart: nothing of it is lost, whatever it holds."""

from __future__ import annotations

import json

import pytest

from armillary.errors import InvalidArgumentError
from armillary.twin.rule.state import PHASES, Pane, State, Sums, from_json, to_json


def test_every_part_of_a_state_survives_a_restart() -> None:
    whole = State(
        phase=max(PHASES),
        since_at_ms=1,
        since_now_ms=2,
        fired_ms=3,
        firings=4,
        deadline_ms=5,
        clock_ms=6,
        newest=((7, 8.5), None, (9, "open"), (10, True)),
        heard=(11, 12),
        edge=13,
        panes=(Pane(14, 15, (Sums(16, 17.5, -18.0, 19.0), None)),),
        recent=((0, 20, 21.5), (1, 22, "shut"), (2, 23, False)),
    )
    empty = whole._replace(newest=(None,), heard=(), panes=(), recent=())
    assert all(one != other for one, other in zip(whole[7:], empty[7:], strict=True) if one != 13)
    for state in (whole, empty):
        assert from_json(json.loads(json.dumps(to_json(state)))) == state


def test_a_state_of_another_form_is_refused() -> None:
    for document in (None, [], ["nowhere", *range(6), [], [], -1, [], []]):
        with pytest.raises(InvalidArgumentError, match="stored state"):
            from_json(document)
