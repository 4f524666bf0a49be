# SPDX-License-Identifier: Apache-2.0
"""The order of all tests, where their files are, and how many random examples a property gets.

Long ones first, so that the suite does not end with one worker at the longest of them.

Temporary files are in memory where there is room: the suite syncs some hundred thousand times, and half of its time
would be waiting for a disk. Nothing is lost by it: what a test kills is a process, never the machine, and power cuts
are played on a model of the medium.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.fixtures.compiled_tests import compile_tests
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Compile the tests before there are workers."""
    compile_tests(config, Path(__file__).parent)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests marked ``long`` first, and leave the others as they are."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def _alone() -> Iterator[None]:
    """Services in this process commit each check-in at once: tests have one device do so at a time, not thousands."""
    check_ins = sys.modules.get("armillary.service.endpoint.check_ins")
    with pytest.MonkeyPatch.context() as patch:
        if check_ins is not None:
            patch.setattr(check_ins, "GATHER_S", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """A service of this process takes over the SQL text that an earlier one has made of the same query.

    Two thousand tests have a service of their own; a sixth of their time was making the same text again.
    """
    dialect = sys.modules.get("armillary.engines.records.schema.dialect")
    with pytest.MonkeyPatch.context() as patch:
        if dialect is not None:
            from tests.fixtures.compiled_once import CompiledOnce  # noqa: PLC0415 - many a run has no service

            made, kept = dialect.create_engine, CompiledOnce()
            patch.setattr(
                dialect,
                "create_engine",
                lambda *values, **named: made(*values, **named, execution_options={"compiled_cache": kept}),
            )
        yield


@pytest.fixture(scope="session", autouse=True)
def _leaves_no_token() -> Iterator[None]:
    """The folder of the one SoftHSM of this process, which is no test's own, goes with the process."""
    yield
    softhsm = sys.modules.get("tests.engines.softhsm")
    if softhsm is not None:
        softhsm.remove()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the modules and the items of all tests out of every look of the garbage collector, now and later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
