# SPDX-License-Identifier: Apache-2.0
"""What end-to-end tests begin with: the data folder of a service that has run and ended, or a service with a catalog."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.armillary_processes import running_service

from armillary.sim.device.service_host import ServiceHost


@dataclass(frozen=True)
class Ended:
    """What a first ``armillary up``, ended with SIGTERM, has left.

    Attributes:
        token: The operator token of its ready line.
        code: Exit code of the process.
    """

    data: Path
    log: Path
    token: str
    code: int


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """It is everybody's: who changes something takes a copy."""
    folder = tmp_path_factory.mktemp("ended")
    with running_service(folder / "data") as service:
        service.process.send_signal(signal.SIGTERM)
        code = service.process.wait(timeout=20)
    return Ended(folder / "data", folder / "service.log", service.ready["token"], code)


@pytest.fixture
def copied(ended: Ended, tmp_path: Path) -> Callable[[], Path]:
    """Makes a copy of that folder, in the test's own."""

    def copy() -> Path:
        shutil.copy2(ended.data.with_suffix(".passphrase"), tmp_path)  # of its keys, beside them
        return Path(shutil.copytree(ended.data, tmp_path / "data"))

    return copy


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[ServiceHost]:
    """A service whose devices check in every second, and whose own loops do not disturb."""
    with ServiceHost(tmp_path / "service", check_in_interval_s=1, planner_interval_s=3600.0) as found:
        found.catalog()
        yield found
