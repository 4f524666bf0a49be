# SPDX-License-Identifier: Apache-2.0
"""A thief with online keys of the repository and a mirror: what he can do, and that new keys end it.

The client is python-tuf's own. Row of `docs/reference/attacks.md`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.service.repository.tuf_client import Client
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import TargetFile

from armillary.service.assemble import SecurityService
from armillary.service.repository.ceremony import KeyChange
from armillary.service.repository.edition import read_edition
from armillary.service.repository.files import RepositoryFiles
from armillary.service.repository.publication import Publication
from armillary.service.repository.roles import os_path
from armillary.settings import Settings

STOLEN = ("os", "snapshot", "timestamp")
MALWARE = b"what the thief wants to boot"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SecurityService]:
    service = SecurityService.open(Settings(data=tmp_path / "data"))
    service.repository.publish()
    yield service
    service.context.records.close()
    service.context.folder.close()


class Thief:
    """Has the private keys of some roles as they were when he came, and a mirror."""

    def __init__(self, service: SecurityService, mirror: Path) -> None:
        repository = service.repository
        self._now = service.context.now()
        self._signers = {
            one.role: repository.keys().signers(one.role, [key.key_id for key in one.keys])
            for one in service.ceremony.roles()
            if one.role in STOLEN
        }
        self.mirror = mirror / "repository"
        shutil.copytree(repository.files.folder, self.mirror)

    def signers(self, role: str, key_ids: object) -> list[Any]:  # noqa: ARG002 - as RepositoryKeys has it
        return self._signers.get(role, [])

    def forge(self, path: str, *, ahead: int = 0) -> None:
        """Publish his component on the mirror, with versions as far ahead as he likes."""
        files = RepositoryFiles(self.mirror.parent)
        edition = read_edition(files)
        for metadata in (edition.timestamp, edition.snapshot):
            metadata.signed.version += ahead
        step = Publication(edition, self, self._now)  # type: ignore[arg-type]
        digest = sha256(MALWARE).hexdigest()
        step.next("os").targets = {path: TargetFile(len(MALWARE), {"sha256": digest}, path)}
        place = files.artifact(path, digest)
        step.publish(files, lambda *_: place.write_bytes(MALWARE))


@pytest.mark.parametrize("ahead", [0, 1000])
def test_stolen_online_keys_are_worth_nothing_once_they_are_replaced(
    service: SecurityService, tmp_path: Path, ahead: int
) -> None:
    release = service.releases.newest("mt3620")
    path = os_path("mt3620", release.version, release.components[0].name)
    good = service.releases.packages(release)[release.components[0].name]
    thief = Thief(service, tmp_path / "thief")
    thief.forge(path, ahead=ahead)
    root, now = service.repository.root(), service.context.now()
    # Positive control: while the keys count, a device that hears the mirror alone believes it.
    assert Client(thief.mirror, tmp_path / "unlucky", root, now).fetch(path) == MALWARE
    service.ceremony.propose([KeyChange(role=role, online=1) for role in STOLEN], actor="t")
    honest = service.repository.files.folder
    for home in ("unlucky", "another"):  # one that has believed the thief, and one that has not
        assert Client(honest, tmp_path / home, root, now).fetch(path) == good
        with pytest.raises(RepositoryError):
            Client(thief.mirror, tmp_path / home, root, now).refreshed()
        assert Client(honest, tmp_path / home, root, now).fetch(path) == good


def test_a_thief_without_the_key_of_a_role_signs_nothing_for_it(service: SecurityService, tmp_path: Path) -> None:
    release = service.releases.newest("mt3620")
    path = os_path("mt3620", release.version, release.components[0].name)
    thief = Thief(service, tmp_path / "thief")
    thief._signers["os"] = thief._signers["timestamp"]
    thief.forge(path)
    client = Client(thief.mirror, tmp_path / "device", service.repository.root(), service.context.now())
    assert client.fetch(path) == service.releases.packages(release)[release.components[0].name]
