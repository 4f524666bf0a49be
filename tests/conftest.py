# SPDX-License-Identifier: Apache-2.0
"""The order of all tests: long ones first, so that the suite does not end with one worker at the longest of them."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests marked ``long`` first, and leave the others as they are."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
