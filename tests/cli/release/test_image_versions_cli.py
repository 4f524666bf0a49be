# SPDX-License-Identifier: Apache-2.0
"""``armillary image add --version``, and the devices that run an image."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from tests.api.running_service import RunningService, application
from tests.cli.conftest import Command
from tests.fixtures.reports import installed


def uploaded(armillary: Command, catalog: str, folder: Path, *more: str) -> str:
    image_id, package = application()
    file = folder / f"{image_id}.imagepackage"
    file.write_bytes(package)
    ran = armillary("image", "add", "-c", catalog, "--image-path", str(file), *more)
    assert ran.code == 0, ran.err
    return str(image_id)


def test_a_version_is_given_shown_and_unknown_otherwise(armillary: Command, catalog: str, tmp_path: Path) -> None:
    known, unknown = (
        uploaded(armillary, catalog, tmp_path, "--version", "1.4.2"),
        uploaded(armillary, catalog, tmp_path),
    )
    lines = armillary("image", "list", "-c", catalog).out.splitlines()
    assert lines[0].split()[:2] == ["imageName", "version"]
    assert {line.split()[1] for line in lines[1:]} == {"1.4.2", "unknown"}
    assert "1.4.2" in armillary("image", "show", "-c", catalog, "-i", known).out
    assert armillary("image", "show", "-c", catalog, "-i", known, "--json").json["properties"]["version"] == "1.4.2"
    assert "version" not in armillary("image", "show", "-c", catalog, "-i", unknown, "--json").json["properties"]


def test_a_version_that_is_none_is_one_error(armillary: Command, catalog: str, tmp_path: Path) -> None:
    image_id, package = application()
    file = tmp_path / f"{image_id}.imagepackage"
    file.write_bytes(package)
    ran = armillary("image", "add", "-c", catalog, "--image-path", str(file), "--version", "one two")
    assert (ran.code, "version: expected 1 to 64 letters" in ran.err) == (1, True), ran.err
    assert armillary("image", "list", "-c", catalog, "--json").json == []


def test_devices_are_listed_by_the_image_that_they_run(
    armillary: Command, service: RunningService, catalog: str, device: str, tmp_path: Path
) -> None:
    image = uploaded(armillary, catalog, tmp_path)
    other = service.make_device()
    service.service.registry.devices.claim(catalog, [other.device_id], actor="test")
    other.installed = (installed(service.service.updates.images.get(catalog, UUID(image))),)
    with other:
        other.check_in()
    for given in (image, image[:8]):
        listed = armillary("device", "list", "-c", catalog, "--image", given, "--json").json
        assert [each["device_id"] for each in listed] == [other.device_id]
    assert device not in armillary("device", "list", "--image", image).out, "a whole id needs no catalog"
    ran = armillary("device", "list", "-c", catalog, "--image", "0000")
    assert (ran.code, ran.err.startswith("error: there is no image whose id")) == (1, True)
