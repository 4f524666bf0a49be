# SPDX-License-Identifier: Apache-2.0
"""The device's own TUF client follows what the service publishes, through ceremonies, and takes what its director signs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.clocks import Clock
from tests.service.repository.conftest import OpenService
from tests.service.repository.test_ceremony import component, take_offline
from tests.service.repository.test_repository import upload
from tests.wire.checkin_samples import OFFER

from armillary.device.boot.provision import trust_repository
from armillary.device.state.metadata_store import FlashMetadata
from armillary.engines.flash.file import FileFlash
from armillary.errors import RepositoryError
from armillary.service.repository.director import Director
from armillary.update.directive import accepted
from armillary.update.repository.client import TrustedRepository, refresh
from armillary.wire.update.directive import parse_directive


class FolderFetcher:
    """A fetcher over the repository's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def metadata(self, name: str, limit: int, accept: Callable[[bytes], Any]) -> Any:
        path = self._folder / "metadata" / name
        return accept(path.read_bytes()[: limit + 1]) if path.is_file() else None


@pytest.fixture
def follow(host: OpenService, tmp_path: Path, clock: Clock) -> Callable[[], TrustedRepository]:
    flash = FileFlash(tmp_path / "flash")
    trust_repository(flash, host.service.repository.root().decode())
    fetcher = FolderFetcher(host.service.repository.files.folder)
    return lambda: asyncio.run(refresh(fetcher, FlashMetadata(flash), now=int(clock())))


def names(trusted: TrustedRepository, path: str) -> str:
    return asyncio.run(trusted.target(path)).hashes["sha256"]


def test_a_device_follows_publications_and_ceremonies(
    host: OpenService, follow: Callable[[], TrustedRepository], package: Callable[..., bytes]
) -> None:
    release = host.service.releases.newest("mt3620")
    assert names(follow(), component(host)) == release.components[0].digest.hex()
    take_offline(host.service.ceremony)
    path = upload(host, package())
    content = host.service.updates.images.read(UUID(path.rpartition("/")[2]))
    assert names(follow(), path) == sha256(content).hexdigest()
    assert follow().root.signed.version == 2


def test_a_device_takes_what_the_director_signs_by_the_keys_in_its_metadata(
    host: OpenService, follow: Callable[[], TrustedRepository], clock: Clock
) -> None:
    service = host.service
    director = Director(service.context.records, service.authority.keys, service.repository.files)
    offer = replace(OFFER, images=())
    issued = director.issue(
        None,
        offer,
        device_number=1,
        device_id="ab" * 64,
        catalog_id=UUID(int=1),
        hardware="mt3620",
        reported=0,
        now=int(clock()),
    )
    assert issued is not None
    keys = {key.key_id: key.public_key for key in follow().director_keys()}
    unverified = parse_directive(issued.data)
    taken = accepted(unverified, keys, device_id="ab" * 64, hardware="mt3620", last_version=0, now=int(clock()))
    assert taken.offer == offer


def test_a_device_that_is_recovered_by_hand_follows_a_new_repository(
    host: OpenService, tmp_path: Path, clock: Clock
) -> None:
    """After the keys of root were lost: no device follows the new root by itself, and one that enrols again does."""
    repository = host.service.repository
    flash, fetcher = FileFlash(tmp_path / "flash"), FolderFetcher(repository.files.folder)
    trust_repository(flash, repository.root().decode())
    asyncio.run(refresh(fetcher, FlashMetadata(flash), now=int(clock())))
    repository.files.folder.rename(tmp_path / "lost")
    repository.publish()
    with pytest.raises(RepositoryError):
        asyncio.run(refresh(fetcher, FlashMetadata(flash), now=int(clock())))
    trust_repository(flash, repository.root().decode())
    trusted = asyncio.run(refresh(fetcher, FlashMetadata(flash), now=int(clock())))
    assert names(trusted, component(host))


def test_a_service_without_a_repository_changes_nothing(tmp_path: Path) -> None:
    flash = FileFlash(tmp_path / "flash")
    trust_repository(flash, "root")
    trust_repository(flash, "")
    assert FlashMetadata(flash).read("root") == b"root"
