# SPDX-License-Identifier: Apache-2.0
"""A service with a catalog, and application packages to deploy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.images import manifest, package as packed
from tests.fixtures.services import copy_of

from armillary.sim.device.service_host import ServiceHost


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a closed service with the catalog Contoso; opened only in copies."""
    data = tmp_path_factory.mktemp("made") / "data"
    with ServiceHost(data, clock=Clock()) as first:
        first.catalog()
    return data


@pytest.fixture
def host(made_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    data = copy_of(made_folder, tmp_path / "data")
    with ServiceHost(data, clock=clock, planner_interval_s=3600.0, check_in_jitter=0.0) as running:
        yield running


@pytest.fixture
def package() -> Callable[..., bytes]:
    """Makes packages of applications, by default of new components."""

    def make(component: UUID | None = None, *, content: bytes = b"#!/bin/sh\n", **ids: Any) -> bytes:
        return packed(manifest("tap", component, Capabilities={"AllowedConnections": ["example.com"]}), content, **ids)

    return make
