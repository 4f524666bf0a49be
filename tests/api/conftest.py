# SPDX-License-Identifier: Apache-2.0
"""One running service for all tests of this folder; each test makes its own catalog."""

from __future__ import annotations

import pytest
from tests.api.running_service import RunningService, fresh, own_service

service = own_service(scope="session")


@pytest.fixture
def catalog(service: RunningService) -> str:
    """Name of a new catalog with a product Coffee and the default device groups."""
    return service.make_catalog(fresh("C"), product="Coffee")
