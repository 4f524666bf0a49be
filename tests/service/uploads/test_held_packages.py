# SPDX-License-Identifier: Apache-2.0
"""Image packages that somebody looks at before they are kept."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from tests.fixtures.clocks import Clock

from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, WireError
from armillary.service.uploads import held_packages
from armillary.service.uploads.held_packages import HELD_S, MAX_HELD_OF_CATALOG, MAX_PACKAGES, HeldPackages
from armillary.sim.device.service_host import ServiceHost

Make = Callable[..., bytes]


@pytest.fixture
def held(host: ServiceHost) -> HeldPackages:
    return host.service.updates.held_packages


def files(host: ServiceHost) -> int:
    return len(list((host.service.context.folder.path / "uploads").glob("*")))


def test_what_is_held_is_no_image_before_it_is_kept(host: ServiceHost, held: HeldPackages, package: Make) -> None:
    images = host.service.updates.images
    upload = held.hold("Contoso", [package(), package()], actor="ann")
    looked = held.look(upload.held_id, "contoso", actor="ann")
    assert [each.manifest.name for each in looked if each.manifest] == ["tap", "tap"]
    assert (images.list("Contoso").items, files(host)) == ((), 2)
    kept = held.keep(upload.held_id, "Contoso", actor="ann")
    assert {each.image_id for each in images.list("Contoso").items} == {each.image_id for each in kept}
    assert [each.image_id for each in kept] == [each.package.image_id for each in looked]
    assert files(host) == 0
    with pytest.raises(NotFoundError):
        held.keep(upload.held_id, "Contoso", actor="ann")


def test_what_is_held_is_for_who_sent_it_and_one_catalog(host: ServiceHost, held: HeldPackages, package: Make) -> None:
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    upload = held.hold("Contoso", [package()], actor="ann")
    for catalog, actor in (("Contoso", "bob"), ("Fabrikam", "ann")):
        for ask in (held.look, held.keep, held.drop):
            with pytest.raises(NotFoundError, match="has expired or was discarded"):
                ask(upload.held_id, catalog, actor=actor)  # type: ignore[operator]
    held.drop(upload.held_id, "Contoso", actor="ann")
    assert files(host) == 0


def test_all_that_is_held_is_kept_or_nothing(host: ServiceHost, held: HeldPackages, package: Make) -> None:
    first, second = package(), package()
    upload = held.hold("Contoso", [first, second], actor="ann")
    kept = host.service.updates.images.upload("Contoso", second, actor="bob")
    with pytest.raises(ConflictError):
        held.keep(upload.held_id, "Contoso", actor="ann")
    assert [each.image_id for each in host.service.updates.images.list("Contoso").items] == [kept.image_id]


def test_what_is_held_ends_with_its_time(host: ServiceHost, held: HeldPackages, package: Make, clock: Clock) -> None:
    upload = held.hold("Contoso", [package()], actor="ann")
    clock.now += HELD_S - 1
    assert held.look(upload.held_id, "Contoso", actor="ann")
    clock.now += 1
    with pytest.raises(NotFoundError):
        held.look(upload.held_id, "Contoso", actor="ann")
    assert files(host) == 0


def test_a_new_process_deletes_what_the_one_before_held(host: ServiceHost, held: HeldPackages, package: Make) -> None:
    held.hold("Contoso", [package()], actor="ann")
    anew = HeldPackages(host.service.context, host.service.updates.images)
    anew.hold("Contoso", [package()], actor="ann")
    assert files(host) == 1


def test_one_person_holds_so_many_uploads_and_no_other_loses_theirs(
    host: ServiceHost, held: HeldPackages, package: Make
) -> None:
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    first, *_ = [held.hold("Contoso", [package()], actor="ann") for _ in range(MAX_HELD_OF_CATALOG)]
    with pytest.raises(ConflictError, match="are being looked at"):
        held.hold("Contoso", [package()], actor="bob")
    held.hold("Contoso", [package()], actor="ann")
    with pytest.raises(NotFoundError):
        held.look(first.held_id, "Contoso", actor="ann")
    assert files(host) == MAX_HELD_OF_CATALOG
    # Whoever bears the same name in another catalog has places of their own.
    held.hold("Fabrikam", [package()], actor="ann")
    assert files(host) == MAX_HELD_OF_CATALOG + 1


def test_all_catalogs_together_hold_no_more_than_the_limit(
    held: HeldPackages, host: ServiceHost, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_packages, "MAX_HELD", 1)
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    upload = held.hold("Contoso", [package()], actor="ann")
    with pytest.raises(ConflictError, match="are being looked at"):
        held.hold("Fabrikam", [package()], actor="ann")
    assert held.look(upload.held_id, "Contoso", actor="ann")


def test_an_upload_that_ends_while_it_is_written_leaves_no_file(
    host: ServiceHost, held: HeldPackages, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk: the same person sends so many newer ones that it ends."""
    write, newer = held_packages.write_file, [package() for _ in range(MAX_HELD_OF_CATALOG)]

    def slow(*given: object, **named: object) -> None:
        monkeypatch.setattr(held_packages, "write_file", write)
        for each in newer:
            held.hold("Contoso", [each], actor="ann")
        write(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(held_packages, "write_file", slow)
    with pytest.raises(ConflictError, match="a newer upload has ended this one"):
        held.hold("Contoso", [package()], actor="ann")
    assert files(host) == len(held._held) == MAX_HELD_OF_CATALOG


def test_a_bad_upload_leaves_nothing(host: ServiceHost, held: HeldPackages, package: Make) -> None:
    good, image_id = package(), uuid4()
    host.service.updates.images.upload("Contoso", known := package(image_id=image_id), actor="t")
    for packages, error, says in (
        ([], InvalidArgumentError, f"expected 1 to {MAX_PACKAGES} files, got 0"),
        ([package() for _ in range(MAX_PACKAGES + 1)], InvalidArgumentError, "files, got 9"),
        ([good, good], InvalidArgumentError, "one image is there twice"),
        ([good, b"x" * 400], WireError, "expected"),
        ([known], ConflictError, "has the image tap"),
    ):
        with pytest.raises(error, match=says):
            held.hold("Contoso", packages, actor="ann")
    assert (files(host), held._held) == (0, {})


def test_a_disk_that_refuses_leaves_nothing(
    host: ServiceHost, held: HeldPackages, package: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = held_packages.write_file, []

    def second_fails(*given: object, **named: object) -> None:
        written.append(given)
        if len(written) == 2:
            raise OSError("full")
        write(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(held_packages, "write_file", second_fails)
    with pytest.raises(OSError, match="full"):
        held.hold("Contoso", [package(), package()], actor="ann")
    assert files(host) == 0


def test_each_package_is_kept_with_the_version_that_was_given_for_it(
    host: ServiceHost, held: HeldPackages, package: Make
) -> None:
    upload = held.hold("Contoso", [package(), package()], actor="ann")
    first, second = (each.package.image_id for each in held.look(upload.held_id, "Contoso", actor="ann"))
    with pytest.raises(InvalidArgumentError, match="version"):
        held.keep(upload.held_id, "Contoso", actor="ann", versions={first: "1.0", second: "no version"})
    assert host.service.updates.images.list("Contoso").items == (), "all or none"
    kept = held.keep(upload.held_id, "Contoso", actor="ann", versions={second: "2.0", uuid4(): "3.0"})
    assert [each.version for each in kept] == ["", "2.0"]
