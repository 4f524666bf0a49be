# SPDX-License-Identifier: Apache-2.0
"""A service with a catalog and a made repository, opened without sockets from a copy of one data folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fixtures.clocks import Clock

from armillary.service.assemble import SecurityService
from armillary.service.authority.key_store import PASSPHRASE_SUFFIX
from armillary.settings import Settings


@dataclass(frozen=True, slots=True)
class OpenService:
    """What ``ServiceHost`` is, without a device endpoint."""

    service: SecurityService


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder, with the passphrase of its keys beside it."""
    folder = tmp_path_factory.mktemp("made") / "data"
    service = SecurityService.open(Settings(data=folder), clock=Clock())
    service.registry.catalogs.create("Contoso", actor="t")
    service.context.records.close()
    service.context.folder.close()
    return folder


@pytest.fixture
def host(made: Path, tmp_path: Path, clock: Clock) -> Iterator[OpenService]:
    data = tmp_path / "data"
    shutil.copytree(made, data)
    shutil.copy2(made.with_name(made.name + PASSPHRASE_SUFFIX), data.with_name(data.name + PASSPHRASE_SUFFIX))
    service = SecurityService.open(Settings(data=data), clock=clock)
    try:
        yield OpenService(service)
    finally:
        service.context.records.close()
        service.context.folder.close()
