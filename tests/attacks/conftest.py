# SPDX-License-Identifier: Apache-2.0
"""A service whose clock the attacks move."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from armillary.sim.device.service_host import ServiceHost


@pytest.fixture
def clock() -> dict[str, float]:
    """``offset`` is added to the real time, in seconds."""
    return {"offset": 0.0}


@pytest.fixture
def host(tmp_path: Path, clock: dict[str, float]) -> Iterator[ServiceHost]:
    """A service of the test's own, with the catalog Contoso."""
    running = ServiceHost(tmp_path / "data", clock=lambda: time.time() + clock["offset"], planner_interval_s=3600.0)
    with running:
        running.catalog()
        yield running
