# SPDX-License-Identifier: Apache-2.0
"""The clock of process 1, which a test moves."""

from __future__ import annotations

import pytest

from armillary.device.machine import first


class Clock:
    """The machine's own, which stands while the machine does."""

    now = 50.0

    def monotonic(self) -> float:
        return self.now


def moved_by_hand(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Have process 1 read this clock."""
    clock = Clock()
    monkeypatch.setattr(first.time, "monotonic", clock.monotonic)
    return clock
