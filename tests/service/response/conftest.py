# SPDX-License-Identifier: Apache-2.0
"""A service of two catalogs whose devices can be acted on; no endpoint is open, and nothing looks by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.advisories.fleet import opened
from tests.service.response.acted_on import ActedOn

from armillary.sim.device.service_host import ServiceHost


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def two_catalogs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a closed service with the catalogs Contoso and Fabrikam; opened only in copies."""
    data = tmp_path_factory.mktemp("made") / "data"
    with ServiceHost(data, clock=Clock()) as first:
        first.catalog()
        first.catalog("Fabrikam", "Pump")
    return data


@pytest.fixture
def fleet(two_catalogs: Path, tmp_path: Path, clock: Clock) -> Iterator[ActedOn]:
    with opened(copy_of(two_catalogs, tmp_path / "data"), clock) as service:
        yield ActedOn(service, tmp_path, clock)
