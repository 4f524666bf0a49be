# SPDX-License-Identifier: Apache-2.0
"""One running service for all tests of this folder; each test makes its own catalog."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.running_service import RunningService, fresh, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def catalog(service: RunningService) -> str:
    """Name of a new catalog with a product Coffee and the default device groups."""
    return service.make_catalog(fresh("C"), product="Coffee")
