# SPDX-License-Identifier: Apache-2.0
"""The repository follows the records; python-tuf's own client follows it, also after a cut at any write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.clocks import Clock
from tests.service.repository.conftest import OpenService
from tests.service.repository.tuf_client import Client
from tuf.api.exceptions import ExpiredMetadataError
from tuf.api.metadata import TargetFile

from armillary.engines.records.queries import releases as release_rows
from armillary.errors import DataFolderError, NotFoundError
from armillary.service.repository import files as files_module
from armillary.service.repository.repository import Repository
from armillary.service.repository.roles import DAY_S, image_path, os_path
from armillary.service.repository.status import role_statuses


@pytest.fixture
def repository(host: OpenService) -> Repository:
    return host.service.repository


@pytest.fixture
def client(host: OpenService, repository: Repository, clock: Clock, tmp_path: Path) -> Client:
    return Client(repository.files.folder, tmp_path / "device", repository.root(), int(clock()))


def catalog_id(host: OpenService) -> UUID:
    return host.service.registry.catalogs.get("Contoso").catalog_id


def upload(host: OpenService, package: bytes) -> str:
    """Upload an image; its target path."""
    image = host.service.updates.images.upload("Contoso", package, actor="t")
    host.service.repository.follow()
    return image_path(catalog_id(host), image.image_id)


def test_the_first_edition_has_the_first_releases_and_every_key_is_online(host, repository, client) -> None:
    release = host.service.releases.newest("mt3620")
    for component in release.components:
        path = os_path("mt3620", release.version, component.name)
        assert client.fetch(path) == host.service.releases.packages(release)[component.name]
    statuses = role_statuses(repository.edition(), repository.keys())
    assert {one.role for one in statuses} == {
        "root", "targets", "snapshot", "timestamp", "os", "catalogs", "director",
    }  # fmt: skip
    assert all(one.custody == "online" and one.threshold == 1 for one in statuses)
    assert len({key.key_id for one in statuses for key in one.keys}) == len(statuses)  # no key has two roles


def test_an_image_is_in_the_repository_while_its_catalog_has_it(host, repository, client, package) -> None:
    path = upload(host, package())
    other = upload(host, package())
    image_id = UUID(path.rpartition("/")[2])
    assert client.fetch(path) == host.service.updates.images.read(image_id)
    host.service.updates.images.delete("Contoso", image_id, actor="t")
    repository.follow()
    assert client.fetch(path) is None
    assert client.fetch(other) is not None
    served = [one.name for one in (repository.files.folder / "targets/catalogs" / str(catalog_id(host))).iterdir()]
    name = other.rpartition("/")[2]
    assert served == [f"{host.service.updates.images.get('Contoso', UUID(name)).sha256.hex()}.{name}"]


def test_a_catalogs_role_signs_for_no_other_catalog(host, repository, client, package) -> None:
    path = upload(host, package())
    foreign = path.replace(str(catalog_id(host)), str(UUID(int=5)))
    length = len(client.fetch(path) or b"")

    def smuggle(step: Any) -> None:
        role = f"catalog-{catalog_id(host)}"
        targets = {foreign: (length, "ab" * 32), path: (length, "cd" * 32)}
        step.next(role).targets = {name: _target(name, *found) for name, found in targets.items()}

    repository._link = lambda *_: None  # type: ignore[method-assign]
    repository.publish(smuggle)
    updater = client.refreshed()
    assert updater.get_targetinfo(path) is not None  # positive control: the metadata is taken
    assert updater.get_targetinfo(foreign) is None


def _target(path: str, length: int, digest: str) -> Any:
    return TargetFile(length, {"sha256": digest}, path)


def test_a_withdrawn_release_and_a_deleted_catalog_are_taken_out(host, repository, client, package) -> None:
    release = host.service.releases.newest("mt3620")
    path = os_path("mt3620", release.version, release.components[0].name)
    image = upload(host, package())
    assert client.fetch(path) is not None
    host.service.releases.withdraw(release.release_id, "It burns.", actor="t")
    host.service.updates.images.delete("Contoso", UUID(image.rpartition("/")[2]), actor="t")
    repository.follow()
    assert client.fetch(path) is None
    assert client.fetch(image) is None
    assert f"catalog-{catalog_id(host)}" in repository.edition().delegated  # else clients refuse the next snapshot


def test_nothing_is_published_while_nothing_changes_and_all_is_renewed_before_it_ends(
    repository, client, clock
) -> None:
    client.refreshed()
    before = {path: path.read_bytes() for path in repository.files.folder.rglob("*.json")}
    for _ in range(3):
        clock.now += 3600
        repository.follow()
    assert {path: path.read_bytes() for path in repository.files.folder.rglob("*.json")} == before
    for days in (1, 1, 8, 200, 400, 1000):
        clock.now += days * DAY_S
        repository.follow()
        client.now = int(clock())
        client.refreshed()
    assert repository.files.newest_root() > 1  # root was renewed too, and the client followed the chain


def test_what_was_made_while_the_clock_was_ahead_is_made_anew(repository, client, clock) -> None:
    """The clock is four years ahead for a while: nothing that ends in four years stays the newest, to freeze devices."""
    client.refreshed()
    clock.now += 4 * 365 * DAY_S
    repository.follow()
    clock.now -= 4 * 365 * DAY_S
    repository.follow()
    edition = repository.edition()
    for role, days in (("timestamp", 2), ("snapshot", 14)):
        left = edition.get(role).signed.expires.timestamp() - clock()
        assert 0 < left <= days * DAY_S
    client.refreshed()


def test_a_timestamp_that_nobody_renews_ends_in_two_days(client) -> None:
    client.refreshed()
    client.now += 2 * DAY_S + 1
    with pytest.raises(ExpiredMetadataError):
        client.refreshed()


def test_a_release_of_which_there_are_only_reference_values_is_not_named(host, repository, client) -> None:
    release = host.service.releases.newest("mt3620")
    path = os_path("mt3620", release.version, release.components[0].name)
    assert client.fetch(path) is not None
    imported = replace(release, imported_from="a manifest of the maker")
    host.service.context.records.write(lambda c: release_rows.change(c, imported, at=1))
    repository.publish()
    assert client.fetch(path) is None


CUT = "cut here"


def cut_after(monkeypatch: pytest.MonkeyPatch, count: int) -> Callable[[], bool]:
    """Have write number ``count`` of the repository fail, and each after it; returns whether it came to that."""
    done = [0, False]
    real = files_module.write_file

    def write(path: Path, content: bytes, *, mode: int) -> None:
        done[0] += 1
        if done[0] > count:
            done[1] = True
            raise DataFolderError(CUT)
        real(path, content, mode=mode)

    monkeypatch.setattr(files_module, "write_file", write)
    return lambda: bool(done[1])


def test_a_cut_at_any_write_of_a_publication_leaves_a_whole_repository(
    host: OpenService, repository: Repository, client: Client, package: Callable[..., bytes]
) -> None:
    present = upload(host, package())
    for count in range(100):
        image = host.service.updates.images.upload("Contoso", package(), actor="t")
        path = image_path(catalog_id(host), image.image_id)
        with pytest.MonkeyPatch.context() as patch:
            is_cut = cut_after(patch, count)
            repository.follow()
        assert client.fetch(present) is not None
        assert (client.fetch(path) is None) == is_cut()
        assert bool(repository.fault) == is_cut()
        repository.follow()  # as the next turn of the loop does, and the next start
        assert client.fetch(path) is not None
        assert not repository.fault
        if not is_cut():
            assert count > 2  # each of role, snapshot and timestamp was cut once
            return
    pytest.fail("a publication has no end")


def test_a_first_edition_that_is_cut_is_begun_again(host: OpenService, tmp_path: Path, clock: Clock) -> None:
    repository = host.service.repository
    shutil.rmtree(repository.files.folder, ignore_errors=True)
    assert not repository.files.is_made
    for count in range(100):
        with pytest.MonkeyPatch.context() as patch:
            is_cut = cut_after(patch, count)
            try:
                repository.publish()
            except DataFolderError:
                assert not repository.files.is_made or is_cut()
        if not is_cut():
            break
    client = Client(repository.files.folder, tmp_path / "device", repository.root(), int(clock()))
    assert client.fetch(os_path("mt3620", "26.11", host.service.releases.newest("mt3620").components[0].name))


@pytest.mark.parametrize(
    "path",
    [
        "metadata/2.root.json",
        "metadata/../pending/root.json",
        "pending/root.json",
        "metadata/timestamp.json.1.partial",
        "metadata/root.json",
        "targets/os/../../metadata/timestamp.json",
        "targets/os/mt3620/26.11/" + "0" * 64 + ".x",
        "targets//etc/passwd",
        "",
        "metadata/" + "1" * 600,
    ],
)
def test_only_what_is_published_is_served(repository: Repository, path: str) -> None:
    repository.root()
    for there in ("pending/root.json", "metadata/timestamp.json.1.partial", "metadata/root.json"):
        (repository.files.folder / there).write_bytes(b"{}")
    assert repository.served("metadata/timestamp.json").is_file()
    with pytest.raises(NotFoundError):
        repository.served(path)
