# SPDX-License-Identifier: Apache-2.0
"""Every test of the store runs on both engines: ``pytestmark = pytest.mark.usefixtures("engine")`` in its module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import postgresql
from tests.engines.series.play import START, Play


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "postgresql":
            running: postgresql.Server = request.getfixturevalue("server")
            patched.setenv(postgresql.VARIABLE, running.url("postgres"))
        yield request.param


@pytest.fixture
def sqlite_only(engine: str) -> None:
    if engine != "sqlite":
        pytest.skip("it is about the file")


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    playing = Play(tmp_path / "hub")
    yield playing
    playing.store.close(START)
