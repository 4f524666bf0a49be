# SPDX-License-Identifier: Apache-2.0
"""What is attacked: one service for all tests in which owners attack one another; others, for a test or for loads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.running_service import own_service
from tests.attacks.owners import alice, bob
from tests.attacks.under_attack import attacked, budgets, opened, own, server
from tests.fixtures.services import copy_of

from armillary.sim.device.service_host import ServiceHost

__all__ = ["alice", "attacked", "bob", "budgets", "opened", "own", "server"]

service = own_service(scope="session")


@pytest.fixture
def clock() -> dict[str, float]:
    """``offset`` is added to the real time, in seconds."""
    return {"offset": 0.0}


@pytest.fixture(scope="session")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a closed service with the catalog Contoso; opened only in copies."""
    data = tmp_path_factory.mktemp("made") / "data"
    with ServiceHost(data) as first:
        first.catalog()
    return data


@pytest.fixture
def host(made_folder: Path, tmp_path: Path, clock: dict[str, float]) -> Iterator[ServiceHost]:
    """A security service of the test's own, with the catalog Contoso."""
    data = copy_of(made_folder, tmp_path / "data")
    with ServiceHost(data, clock=lambda: time.time() + clock["offset"], planner_interval_s=3600.0) as running:
        yield running
