# SPDX-License-Identifier: Apache-2.0
"""A service with a catalog and a made repository, opened without sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock
from tests.fixtures.services import copy_of

from armillary.service.assemble import SecurityService
from armillary.settings import Settings


@dataclass(frozen=True, slots=True)
class OpenService:
    """What ``ServiceHost`` is, without a device endpoint."""

    service: SecurityService


@pytest.fixture
def host(made_folder: Path, tmp_path: Path, clock: Clock) -> Iterator[OpenService]:
    service = SecurityService.open(Settings(data=copy_of(made_folder, tmp_path / "data")), clock=clock)
    try:
        yield OpenService(service)
    finally:
        service.context.records.close()
        service.context.folder.close()
