# SPDX-License-Identifier: Apache-2.0
"""A service that may notify this host, and whose attempts follow one another at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of
from tests.service.notifications.receivers import Receiver, receiver

from armillary.engines.outbound import attempts
from armillary.sim.device.service_host import ServiceHost


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_RETRY_S", 0.0)


@pytest.fixture
def host(made_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    data = copy_of(made_folder, tmp_path / "data")
    with ServiceHost(data, clock=clock, planner_interval_s=3600.0, webhook_hosts="127.0.0.1, localhost") as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as found:
        yield found
