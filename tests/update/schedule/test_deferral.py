# SPDX-License-Identifier: Apache-2.0
"""The line by which an application puts off an update."""

from __future__ import annotations

import pytest

from armillary.update.schedule.deferral import MAX_MINUTES, asked_minutes


@pytest.mark.parametrize(
    ("line", "minutes"),
    [
        ("armillary: defer-update 60", 60),
        ("armillary: defer-update 0", 0),
        ("armillary: defer-update 99999", MAX_MINUTES),
        ("armillary: defer-update 100000", None),
        ("armillary: defer-update -1", None),
        ("armillary: defer-update 1.5", None),
        ("armillary: defer-update", None),
        (" armillary: defer-update 60", None),
        ("armillary: defer-update 60 ", None),
        ("armillary: defer-update \u0661", None),
        ("the log says armillary: defer-update 60", None),
        ("", None),
    ],
)
def test_exactly_this_line_and_no_other(line: str, minutes: int | None) -> None:
    assert asked_minutes(line) == minutes
