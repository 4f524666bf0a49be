# SPDX-License-Identifier: Apache-2.0
"""Uploads of artifacts: in parts, checked, on one disk with everything else; nothing half-done stays."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from armillary.engines.records.queries import images as image_rows
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.bridge_rows import BridgeArtifact
from armillary.errors import (
    ConflictError,
    DataFolderError,
    InvalidArgumentError,
    NotFoundError,
    QuotaExceededError,
)
from armillary.service.assemble import SecurityService
from armillary.service.bridge import artifacts
from armillary.service.bridge.artifacts import ArtifactForm, BridgeArtifacts
from armillary.service.context.context import Context
from armillary.service.repository.wanted import wanted
from armillary.settings import Settings

CONTENT = os.urandom(10_000)


@pytest.fixture
def service(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SecurityService]:
    """A service without sockets; settings are a parameter of the test."""
    opened = SecurityService.open(Settings(data=tmp_path / "data", **getattr(request, "param", {})))
    opened.registry.catalogs.create("Mine", actor="test")
    opened.registry.catalogs.create("Theirs", actor="test")
    yield opened
    opened.bridge.close()
    opened.context.records.close()
    opened.authority.close()
    opened.context.folder.close()


def form(content: bytes = CONTENT, **changes: object) -> ArtifactForm:
    values = {
        "name": "gateway",
        "version": "1",
        "filename": "a.swu",
        "size": len(content),
        "sha256": sha256(content).digest(),
    }
    return ArtifactForm(**{**values, **changes})  # type: ignore[arg-type]


def upload(bridge: BridgeArtifacts, content: bytes = CONTENT, **changes: object) -> BridgeArtifact:
    begun = bridge.begin("Mine", form(content, **changes))
    found: BridgeArtifact | int = 0
    for offset in range(0, len(content), 3000):
        found = bridge.take("Mine", begun.upload_id, offset, content[offset : offset + 3000], actor="test")
    assert isinstance(found, BridgeArtifact)
    return found


def files(service: SecurityService) -> set[str]:
    """Every blob, and everything of uploads."""
    folder = service.context.folder
    blobs = {each.name for each in folder.blobs.glob("*/*") if len(each.name) == 64 or "partial" in each.name}
    return blobs | {each.name for each in (folder.path / "bridge-uploads").glob("*")}


def test_an_artifact_is_there_with_its_last_part(service: SecurityService) -> None:
    bridge, before = service.bridge.artifacts, files(service)
    made = upload(bridge)
    assert bridge.path(made).read_bytes() == CONTENT
    assert bridge.list("Mine") == (made,)
    assert bridge.get("Mine", made.image_id) == made
    assert bridge.list("Theirs") == ()
    assert files(service) - before == {sha256(CONTENT).hexdigest()}
    with pytest.raises(NotFoundError):
        bridge.get("Theirs", made.image_id)
    targets = service.context.records.read(wanted).values()
    assert not any(str(made.image_id) in path for each in targets for path in each), (
        "no device that attests may fetch it"
    )
    bridge.delete("Mine", made.image_id, actor="test")
    assert files(service) == before
    with pytest.raises(InvalidArgumentError, match="artifact for bridged devices"):
        service.updates.images.read(upload(bridge).image_id, "Mine")


def test_a_file_that_is_another_one_than_was_said_is_refused_and_gone(service: SecurityService) -> None:
    bridge, before = service.bridge.artifacts, files(service)
    begun = bridge.begin("Mine", form())
    with pytest.raises(ConflictError, match="SHA-256"):
        bridge.take("Mine", begun.upload_id, 0, CONTENT[:-1] + b"x", actor="test")
    with pytest.raises(NotFoundError):
        bridge.take("Mine", begun.upload_id, 0, CONTENT, actor="test")
    assert files(service) == before
    assert bridge.list("Mine") == ()
    assert upload(bridge).size == len(CONTENT)


def test_parts_come_in_order_and_fit(service: SecurityService) -> None:
    bridge = service.bridge.artifacts
    begun = bridge.begin("Mine", form())
    assert bridge.take("Mine", begun.upload_id, 0, CONTENT[:100], actor="test") == 100
    for offset, part, kind in (
        (0, CONTENT[:100], ConflictError), (99, CONTENT[99:], ConflictError), (101, CONTENT[101:], ConflictError),
        (100, b"", InvalidArgumentError), (100, CONTENT, InvalidArgumentError),
    ):  # fmt: skip
        with pytest.raises(kind):
            bridge.take("Mine", begun.upload_id, offset, part, actor="test")
    with pytest.raises(NotFoundError):
        bridge.take("Theirs", begun.upload_id, 100, CONTENT[100:], actor="test")
    assert isinstance(bridge.take("Mine", begun.upload_id, 100, CONTENT[100:], actor="test"), BridgeArtifact)


@pytest.mark.parametrize("service", [{"bill_of_materials": "required"}], indirect=True)
def test_where_a_bill_of_materials_is_required_an_artifact_needs_one_too(service: SecurityService) -> None:
    """Nobody signs an artifact here: what it is made of is asked for all the more."""
    service.registry.products.create("Mine", "Gateway", actor="test")
    service.registry.groups.create("Mine", "Gateway", "Old", actor="test")
    place, updates, before = ("Mine", "Gateway", "Old"), service.updates, files(service)
    deployed, other = upload(service.bridge.artifacts), upload(service.bridge.artifacts, b"other", version="2")
    for start in (updates.deployments.create, updates.rollouts.start):
        with pytest.raises(ConflictError, match="without a bill of materials: gateway"):
            start(*place, [deployed.image_id], actor="test")
    assert updates.deployments.list("Mine").items == ()
    for one, version in ((deployed, 1), (other, 2)):
        bill = b'{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": %d}' % version
        updates.bills.put_of_image("Mine", one.image_id, bill, actor="test")
        assert updates.bills.of_image("Mine", one.image_id)[1] == bill
    updates.deployments.create(*place, [deployed.image_id], actor="test")
    service.bridge.artifacts.delete("Mine", other.image_id, actor="test")
    assert len(files(service) - before) == 2, "the artifact that is deployed, and its bill"


def test_a_copy_of_somebody_elses_file_takes_nothing_along(
    service: SecurityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs are kept by their digest: an artifact can be a copy of an OS component, a trust store, another's bill."""
    bridge, (release, *_) = service.bridge.artifacts, service.releases.list()
    component = next(iter(service.releases.packages(release).values()))
    (store, *_) = service.updates.trust_stores.renew(actor="test").packages
    trusted = service.context.folder.blobs / store.sha256.hex()[:2] / store.sha256.hex()
    store_package = trusted.read_bytes()
    document = b'{"bomFormat": "CycloneDX", "specVersion": "1.6"}'
    theirs = bridge.begin("Theirs", form(b"theirs"))
    made = bridge.take("Theirs", theirs.upload_id, 0, b"theirs", actor="test")
    assert isinstance(made, BridgeArtifact)
    service.updates.bills.put_of_image("Theirs", made.image_id, document, actor="test")
    before = files(service)

    def copy_and_delete() -> None:
        for content in (component, document, b"theirs", store_package):
            bridge.delete("Mine", upload(bridge, content).image_id, actor="test")

    copy_and_delete()
    assert files(service) == before
    assert service.updates.bills.of_image("Theirs", made.image_id)[1] == document
    mine = upload(bridge, document)
    newer = document.replace(b"1.6", b"1.5")
    service.updates.bills.put_of_image("Theirs", made.image_id, newer, actor="test")
    assert bridge.path(mine).read_bytes() == document, "nor is a copy taken along"
    bridge.delete("Theirs", made.image_id, actor="test")
    bridge.delete("Mine", mine.image_id, actor="test")
    assert len(files(service)) == len(before) - 2
    # The control: where images alone are looked at, the OS of everybody's devices is gone.
    monkeypatch.setattr(image_rows, "names_blob", lambda *_: False)
    copy_and_delete()
    with pytest.raises(DataFolderError, match="cannot be read"):
        service.releases.packages(release)


def test_every_table_that_names_a_blob_is_asked_before_one_goes() -> None:
    """When this fails somebody made a table with a digest, and has to say whether it names a blob."""
    digests = {f"{name}.{c.name}" for name, table in schema.metadata.tables.items() for c in table.c
               if c.name in ("sha256", "digest")}  # fmt: skip
    no_blobs = {
        "appraisal_steps.digest", "trust_store.digest", "component.digest", "software_set.digest",
        "advisory_version.digest", "vex_statement.digest",
        "feed_edition.sha256",  # of what an import read and keeps as rows
        "bill_content.sha256",  # of a bill that ``bill_of_materials`` names
    }  # fmt: skip
    assert digests - no_blobs == {
        "image.sha256", "bill_of_materials.sha256", "os_component.digest", "trust_package.sha256", "dossier.sha256",
    }  # fmt: skip


def test_a_version_is_there_once(service: SecurityService) -> None:
    bridge = service.bridge.artifacts
    two = bridge.begin("Mine", form())
    upload(bridge)
    with pytest.raises(ConflictError, match="has version 1"):
        bridge.begin("Mine", form(b"other"))
    with pytest.raises(ConflictError, match="has version 1"):
        bridge.take("Mine", two.upload_id, 0, CONTENT, actor="test")
    assert upload(bridge, version="2").sha256 == sha256(CONTENT).digest(), (
        "the same file as another version is one blob"
    )


@pytest.mark.parametrize(
    "changes",
    [{"size": 0}, {"size": 5 << 30}, {"sha256": b"short"}, {"name": "a/b"}, {"filename": "../x"}, {"part": ""}],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    service: SecurityService, changes: dict[str, object]
) -> None:
    before = files(service)
    with pytest.raises(InvalidArgumentError):
        service.bridge.artifacts.begin("Mine", form(**changes))
    assert files(service) == before


def test_one_catalog_leaves_room_for_others(service: SecurityService) -> None:
    bridge = service.bridge.artifacts
    for number in range(artifacts.MAX_UPLOADS_OF_CATALOG):
        bridge.begin("Mine", form(version=str(number)))
    with pytest.raises(QuotaExceededError):
        bridge.begin("mine", form(version="x"))
    bridge.begin("Theirs", form())


def test_an_upload_that_stops_is_given_up(service: SecurityService) -> None:
    bridge, before = service.bridge.artifacts, files(service)
    begun = bridge.begin("Mine", form())
    bridge.take("Mine", begun.upload_id, 0, CONTENT[:10], actor="test")
    begun.changed_at -= artifacts.UPLOAD_LIFETIME_S + 1
    with pytest.raises(NotFoundError, match="no upload"):
        bridge.take("Mine", begun.upload_id, 10, CONTENT[10:], actor="test")
    assert files(service) == before
    given_up = bridge.begin("Mine", form())
    bridge.give_up("Mine", given_up.upload_id)
    with pytest.raises(NotFoundError):
        bridge.take("Mine", given_up.upload_id, 0, CONTENT, actor="test")


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_without_room_is_said_before_a_byte_is_taken(
    service: SecurityService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, artifacts.RESERVE_BYTES + 9_999))
    with pytest.raises(DataFolderError, match="bytes free"):
        service.bridge.artifacts.begin("Mine", form())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, artifacts.RESERVE_BYTES + 10_000))
    first = service.bridge.artifacts.begin("Mine", form())
    with pytest.raises(DataFolderError, match="bytes free"):  # the first one's bytes are promised
        service.bridge.artifacts.begin("Theirs", form())
    assert first.received == 0


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_nothing_behind(
    service: SecurityService, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    bridge, before = service.bridge.artifacts, files(service)
    begun = bridge.begin("Mine", form())

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path if call == "replace" else os, call, refuse)
        with pytest.raises(DataFolderError, match="No space left"):
            bridge.take("Mine", begun.upload_id, 0, CONTENT, actor="test")
    assert files(service) == before
    assert bridge.list("Mine") == ()
    assert upload(bridge).size == len(CONTENT)


def test_what_a_killed_service_has_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = SecurityService.open(Settings(data=folder))
    first.registry.catalogs.create("Mine", actor="test")
    begun = first.bridge.artifacts.begin("Mine", form())
    first.bridge.artifacts.take("Mine", begun.upload_id, 0, CONTENT[:10], actor="test")
    first.context.records.close()
    first.authority.close()
    first.context.folder.close()
    assert begun.path.exists()
    second = SecurityService.open(Settings(data=folder))
    assert not begun.path.exists()
    second.context.records.close()
    second.authority.close()
    second.context.folder.close()


def test_what_was_gathered_and_begun_ends_with_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that wire it: times of polls are written, uploads leave nothing."""
    service = SecurityService.open(Settings(data=tmp_path / "data"))
    service.registry.catalogs.create("Mine", actor="test")
    bridge, later = service.bridge, service.context.now() + 5
    bridge.devices.create("Mine", "gw", actor="test")
    bridge.actions.poll(bridge.devices.get("Mine", "gw"))
    bridge.actions.poll(bridge.devices.get("Mine", "gw"))  # the first that is only noted is written at once
    monkeypatch.setattr(Context, "now", lambda _: later)
    bridge.actions.poll(bridge.devices.get("Mine", "gw"))
    assert bridge.devices.get("Mine", "gw").polled_at != later
    begun = bridge.artifacts.begin("Mine", form())
    bridge.artifacts.take("Mine", begun.upload_id, 0, CONTENT[:100], actor="test")
    assert begun.path.exists()
    asyncio.run(service.close())
    assert not begun.path.exists()
    again = SecurityService.open(Settings(data=tmp_path / "data"))
    assert again.bridge.devices.get("Mine", "gw").polled_at == later
    asyncio.run(again.close())
