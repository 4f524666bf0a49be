# SPDX-License-Identifier: Apache-2.0
"""A service with devices that run images with bills of materials, and feeds that are packed and signed here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.advisories.fleet import AdvisoryFleet, opened
from tests.service.conftest import clock

from armillary.sim.device.service_host import ServiceHost

__all__ = ["clock"]


@pytest.fixture(scope="session")
def advisory_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a closed service with the catalogs Contoso and Fabrikam; opened only in copies."""
    data = tmp_path_factory.mktemp("made") / "data"
    with ServiceHost(data, clock=Clock()) as first:
        first.catalog()
        first.catalog("Fabrikam", "Pump")
    return data


@pytest.fixture
def fleet(advisory_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[AdvisoryFleet]:
    """No endpoint is open, and nothing looks by itself."""
    with opened(copy_of(advisory_folder, tmp_path / "data"), clock) as service:
        yield AdvisoryFleet(service, tmp_path, clock)
