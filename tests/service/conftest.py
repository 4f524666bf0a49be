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

from armillary.sim.device.service_host import ServiceHost


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=3600.0, check_in_jitter=0.0) as running:
        running.catalog()
        yield running


@pytest.fixture
def package() -> Callable[..., bytes]:
    """Makes packages of applications, by default of new components."""

    def make(component: UUID | None = None, *, content: bytes = b"#!/bin/sh\n", **ids: Any) -> bytes:
        return packed(manifest("tap", component, Capabilities={"AllowedConnections": ["example.com"]}), content, **ids)

    return make
