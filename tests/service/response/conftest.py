# SPDX-License-Identifier: Apache-2.0
"""A service of two catalogs whose devices can be acted on; no endpoint is open, and nothing looks by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.advisories.conftest import advisory_folder
from tests.service.advisories.fleet import opened
from tests.service.response.acted_on import ActedOn

__all__ = ["advisory_folder"]


@pytest.fixture
def fleet(advisory_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[ActedOn]:
    with opened(copy_of(advisory_folder, tmp_path / "data"), clock) as service:
        yield ActedOn(service, tmp_path, clock)
