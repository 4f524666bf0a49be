# SPDX-License-Identifier: Apache-2.0
"""The order of all tests, where their files are, and how many random examples a property gets.

Long ones first, so that the suite does not end with one worker at the longest of them.

Temporary files are in memory where there is room: the suite syncs some hundred thousand times, and half of its time
would be waiting for a disk. Nothing is lost by it: what a test kills is a process, never the machine, and power cuts
are played on a model of the medium.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.fixtures.effort import examples

# No clock decides: a host that does much else is slow at making examples and at trying them.
settings.register_profile(
    "suite", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 << 30  # more than twice what a whole run was seen to need

if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES:
    tempfile.tempdir = os.environ["TMPDIR"] = str(MEMORY)  # workers and processes under test inherit it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests marked ``long`` first, and leave the others as they are."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
