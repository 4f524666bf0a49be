# SPDX-License-Identifier: Apache-2.0
"""Upload: read to the last byte, signed anew, kept for good."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from tests.hub.running_hub import wait_until

from armillary.capability.programs import ELF_MACHINES
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    DataFolderError,
    InvalidArgumentError,
    NotFoundError,
    SignatureError,
)
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image import package as image_package

Make = Callable[..., bytes]


def elf(machine: int) -> bytes:
    return b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\x00" + machine.to_bytes(2, "little") + bytes(64)


def test_an_image_is_signed_by_this_service_and_read_back(host: ServiceHost, package: Make) -> None:
    images = host.service.updates.images
    uploaded = package()
    image = images.upload("contoso", uploaded, actor="t")
    stored = images.read(image.image_id)
    assert sha256(stored).digest() == image.sha256
    assert len(stored) == image.size
    trusted = [host.service.authority.image_signer.certificate]
    verified = image_package.verify(image_package.parse(stored), trusted)
    assert verified.payload == image_package.parse(uploaded).payload
    with pytest.raises(SignatureError):
        image_package.verify(image_package.parse(uploaded), trusted)
    assert (image.architecture, image.allowed_connections) == ("any", ("example.com",))
    assert images.get("Contoso", image.image_id) == image


def test_images_never_change_and_belong_to_their_catalog(host: ServiceHost, package: Make) -> None:
    images = host.service.updates.images
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    image_id = uuid4()
    images.upload("Contoso", package(image_id=image_id), actor="t")
    with pytest.raises(ConflictError, match="Contoso has an image"):
        images.upload("Contoso", package(image_id=image_id), actor="t")
    with pytest.raises(NotFoundError):
        images.get("Fabrikam", image_id)
    with pytest.raises(NotFoundError):
        images.delete("Fabrikam", image_id, actor="t")


def test_two_catalogs_have_a_vendors_package_and_neither_can_tell(host: ServiceHost, package: Make) -> None:
    images, deployments = host.service.updates.images, host.service.updates.deployments
    image_id = uuid4()
    vendors = package(image_id=image_id)
    for catalog in ("Contoso", "Fabrikam"):
        if catalog == "Fabrikam":
            host.service.registry.catalogs.create(catalog, actor="t")
        host.service.registry.products.create(catalog, "Meter", actor="t")
        host.service.registry.groups.create(catalog, "Meter", "Field", actor="t")
        images.upload(catalog, vendors, actor="t")
        made = deployments.create(catalog, "Meter", "Field", [image_id], actor="t")
        assert made.images == (images.get(catalog, image_id),)
    first, second = (images.get(catalog, image_id) for catalog in ("Contoso", "Fabrikam"))
    assert first.catalog_id != second.catalog_id
    assert images.read(image_id, "Contoso") == host.service.updates.images.read(image_id, "contoso")
    assert sha256(images.read(image_id, "Fabrikam")).digest() == second.sha256
    with pytest.raises(InvalidArgumentError, match="2 catalogs"):
        images.read(image_id)
    # What names one of them holds that one, and what is done to one is not done to the other.
    with pytest.raises(ConflictError, match="part of a deployment"):
        images.delete("Fabrikam", image_id, actor="t")
    deployments.delete("Fabrikam", deployments.list("Fabrikam").items[0].deployment_id, actor="t")
    images.delete("Fabrikam", image_id, actor="t")
    assert sha256(images.read(image_id)).digest() == first.sha256
    assert deployments.list("Contoso").items[0].images == (first,)
    with pytest.raises(NotFoundError):
        images.read(image_id, "Fabrikam")


def test_a_package_stays_while_any_catalogs_image_is_of_its_digest(
    host: ServiceHost, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = host.service.updates.images
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    uploaded = package()
    monkeypatch.setattr(image_package, "resign", lambda *_, **__: uploaded)  # signatures are of chance; these are not
    image_id = image_package.parse(uploaded).image_id
    for catalog in ("Contoso", "Fabrikam"):
        images.upload(catalog, uploaded, actor="t")
    with pytest.raises(ConflictError):
        images.upload("Contoso", uploaded, actor="t")
    images.delete("Contoso", image_id, actor="t")
    assert images.read(image_id, "Fabrikam") == uploaded
    digest = images.get("Fabrikam", image_id).sha256
    images.delete("Fabrikam", image_id, actor="t")
    assert not host.service.updates.images._blobs.path(digest).exists()


def test_an_image_deleted_while_it_is_uploaded_again_has_its_bytes(
    host: ServiceHost, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, uploaded = host.service.updates.images, package()
    image_id = image_package.parse(uploaded).image_id
    images.upload("Contoso", uploaded, actor="t")
    write = images._blobs.write
    deleting = threading.Thread(target=lambda: images.delete("Contoso", image_id, actor="t"))

    def write_and_delete(content: bytes) -> bytes:
        digest = write(content)
        deleting.start()
        wait_until(lambda: not images.list("Contoso").items, "its record is gone")
        deleting.join(0.2)  # it would remove the bytes now, if nobody kept it from it
        return digest

    monkeypatch.setattr(images._blobs, "write", write_and_delete)
    images.upload("Contoso", uploaded, actor="t")
    deleting.join()
    assert image_package.parse(images.read(image_id)).payload == image_package.parse(uploaded).payload
    assert not images._blobs._locks  # what is held by nobody is not remembered


def test_ids_of_boot_components_and_of_nobody_are_refused(host: ServiceHost, package: Make) -> None:
    images = host.service.updates.images
    (release,) = host.service.releases.list(chip="mt3620")
    boot = release.components[0]
    for ids, why in (
        ({"component": boot.component_id}, f"component id: {boot.component_id} is that of the boot component"),
        ({"image_id": boot.image_id}, f"image id: {boot.image_id} is a boot component's"),
        ({"component": UUID(int=0)}, "component id: expected an id of its own"),
        ({"image_id": UUID(int=0)}, "image id: expected an id of its own"),
        ({"component": UUID(int=(1 << 128) - 1)}, "component id: expected an id of its own"),
        ({"image_id": UUID(int=(1 << 128) - 1)}, "image id: expected an id of its own"),
    ):
        with pytest.raises(InvalidArgumentError, match=why) as refused:
            images.upload("Contoso", package(**ids), actor="t")
        assert refused.value.remedy
    assert images.list("Contoso").items == ()
    known = {component.digest.hex() for each in host.service.releases.list() for component in each.components}
    assert {path.name for path in host.service.context.folder.blobs.rglob("*") if path.is_file()} <= known


@pytest.mark.parametrize("place", [0, 70, 200, -66])  # superblock, root inode, manifest's inode, metadata length
def test_a_damaged_package_is_refused(host: ServiceHost, package: Make, place: int) -> None:
    damaged = bytearray(package())
    damaged[place] ^= 0xFF
    with pytest.raises(ArmillaryError) as refused:
        host.service.updates.images.upload("Contoso", bytes(damaged), actor="t")
    assert refused.value.remedy
    assert host.service.updates.images.list("Contoso").items == ()


def test_truncated_and_oversize_packages_are_refused(host: ServiceHost, package: Make) -> None:
    whole = package()
    for end in (0, 1, 64, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ArmillaryError):
            host.service.updates.images.upload("Contoso", whole[:end], actor="t")
    limit = host.service.chips.largest_application_flash
    with pytest.raises(InvalidArgumentError, match=str(limit)):
        host.service.updates.images.upload("Contoso", bytes(limit + 1), actor="t")


@pytest.mark.parametrize(("machine", "word"), [(40, "armv7"), (183, "aarch64"), (62, "x86_64"), (243, None), (8, None)])
def test_the_processor_is_one_that_a_chip_has(host: ServiceHost, package: Make, machine: int, word: str | None) -> None:
    images, uploaded = host.service.updates.images, package(content=elf(machine))
    if word is None:
        with pytest.raises(InvalidArgumentError, match=ELF_MACHINES.get(machine, "ELF machine 8")):
            images.upload("Contoso", uploaded, actor="t")
    else:
        assert images.upload("Contoso", uploaded, actor="t").architecture == word


def test_boot_components_are_no_images(host: ServiceHost) -> None:
    (release,) = host.service.releases.list(chip="mt3620")
    boot = next(iter(host.service.releases.packages(release).values()))
    with pytest.raises(InvalidArgumentError, match="image type"):
        host.service.updates.images.upload("Contoso", boot, actor="t")


def test_lists_page_newest_first_and_deletion_ends_at_a_deployment(host: ServiceHost, package: Make) -> None:
    images = host.service.updates.images
    made = [images.upload("Contoso", package(), actor="t") for _ in range(3)]
    first = images.list("Contoso", limit=2)
    rest = images.list("Contoso", limit=2, after=first.next_cursor)
    assert {i.image_id for i in (*first.items, *rest.items)} == {i.image_id for i in made}
    assert rest.next_cursor is None
    with pytest.raises(InvalidArgumentError):
        images.list("Contoso", after="nonsense")
    host.service.updates.deployments.create("Contoso", "Kettle", "Production", [made[0].image_id], actor="t")
    with pytest.raises(ConflictError):
        images.delete("Contoso", made[0].image_id, actor="t")
    images.delete("Contoso", made[1].image_id, actor="t")
    with pytest.raises(NotFoundError):
        images.read(made[1].image_id)


def test_a_blob_changed_on_the_disk_is_noticed(host: ServiceHost, package: Make) -> None:
    image = host.service.updates.images.upload("Contoso", package(), actor="t")
    path = host.service.updates.images._blobs.path(image.sha256)
    path.chmod(0o600)
    *kept, last = path.read_bytes()
    path.write_bytes(bytes((*kept, last ^ 1)))
    with pytest.raises(DataFolderError):
        host.service.updates.images.read(image.image_id)


def test_a_refused_upload_leaves_nothing_on_the_disk(host: ServiceHost, package: Make) -> None:
    images, folder = host.service.updates.images, host.service.context.folder.blobs
    image_id = uuid4()
    images.upload("Contoso", package(image_id=image_id), actor="t")
    before = sorted(path for path in folder.rglob("*") if path.is_file())
    with pytest.raises(ConflictError):
        images.upload("Contoso", package(image_id=image_id), actor="t")
    with pytest.raises(NotFoundError):
        images.upload("Nobody", package(), actor="t")
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == before
    assert images.read(image_id)


def test_an_image_has_the_version_that_was_given_or_none(host: ServiceHost, package: Make) -> None:
    images = host.service.updates.images
    known = images.upload("Contoso", package(), actor="ann", version="1.4.2~rc:1")
    unknown = images.upload("Contoso", package(), actor="ann")
    assert [images.get("Contoso", each.image_id).version for each in (known, unknown)] == ["1.4.2~rc:1", ""]
    newer, older = host.service.audit.list().items[:2]
    assert (older.detail.get("version"), newer.detail.get("version")) == ("1.4.2~rc:1", None)


@pytest.mark.parametrize("version", ["a b", ".1", "1" * 65, "1\n", "<b>1</b>", "1\u202e2"])
def test_a_version_that_is_none_is_refused_and_nothing_is_kept(host: ServiceHost, package: Make, version: str) -> None:
    images = host.service.updates.images
    with pytest.raises(InvalidArgumentError, match="version: expected 1 to 64 letters") as refused:
        images.upload("Contoso", package(), actor="ann", version=version)
    assert refused.value.remedy
    assert images.list("Contoso").items == ()
