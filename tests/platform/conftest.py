# SPDX-License-Identifier: Apache-2.0
"""Fixtures for the platform's tests: those of the hub that it runs on, and rules that look at the time more often."""

from __future__ import annotations

import pytest
from tests.hub.running_hub import authority, client, running

from armillary.platform.rules import rules

__all__ = ["authority", "client", "running"]


@pytest.fixture(autouse=True)
def _ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "TICK_S", 0.02)
