# SPDX-License-Identifier: Apache-2.0
"""What ``armillary rollout show`` says of crashes."""

from __future__ import annotations

import pytest

from armillary.cli.release.rollout import _crashes


@pytest.mark.parametrize(
    ("crashes", "said"),
    [
        (None, None),
        (
            {"devices": 3, "devices_before": 41, "evidence_percent": 7},
            "on 3 devices, on 41 with the release before; 7% of what halts it",
        ),
    ],
)
def test_crashes_of_both_releases_are_said_in_one_line(crashes: dict[str, int] | None, said: str | None) -> None:
    assert _crashes(crashes) == said
