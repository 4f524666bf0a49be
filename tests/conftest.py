# SPDX-License-Identifier: Apache-2.0
"""The order of all tests, and how many random examples a property gets that does not say so itself.

Long ones first, so that the suite does not end with one worker at the longest of them.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from tests.fixtures.effort import examples

# No clock decides: a host that does much else is slow at making examples and at trying them.
settings.register_profile(
    "suite", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests marked ``long`` first, and leave the others as they are."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
