# SPDX-License-Identifier: Apache-2.0
"""Packages of a release, made of a built image: what a slot holds and what it is."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from armillary import content
from armillary.boot import profile
from armillary.boot.profile import ChipProfile
from armillary.device_image import disk
from armillary.device_image.architecture.table import ARCHITECTURES, Architecture
from armillary.device_image.packages import CHIPS, PAYLOADS, write_packages
from armillary.engines.flash.os_disk import slot_partition
from armillary.errors import InvalidArgumentError
from armillary.update.install.component import SLOTS
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.image import package as image_package

CHIP = profile.parse(content.chip_document("gateway-x86-64"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    payloads = {name: name.encode() * 1000 for name in PAYLOADS.values()}
    for name, payload in payloads.items():
        (tmp_path / name).write_bytes(payload)
    digests = {name: sha256(payload).hexdigest() for name, payload in payloads.items()}
    about = {"architecture": "x86_64", "sha256": digests}
    (tmp_path / "image.json").write_text(json.dumps(about))
    return tmp_path


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda each: each.name)
def test_a_component_may_be_as_large_as_its_slot_and_no_larger(architecture: Architecture) -> None:
    """Else the service takes a release that no machine of the chip can write."""
    made = disk.layout(has_uboot=not architecture.has_uefi)
    for component in profile.parse(content.chip_document(architecture.chip)).boot_components:
        rooms = {
            made.partition(slot_partition(component.name, slot)).sectors * SECTOR_BYTES - SECTOR_BYTES for slot in SLOTS
        }
        # U-Boot reads no more of the first one.
        most = [disk.SLOT_FILE_BYTES] if not architecture.has_uefi and component.name == disk.STARTED else []
        assert component.size_limit_bytes == min([*rooms, *most])


def test_a_package_is_what_its_slot_holds(image: Path) -> None:
    written = write_packages(image, CHIP, security_version=3)
    assert [*written] == [component.name for component in CHIP.boot_components]
    for component in CHIP.boot_components:
        package = image_package.parse(written[component.name].read_bytes())
        assert package.payload == (image / PAYLOADS[component.name]).read_bytes()
        assert (package.component_id, package.image_type) == (component.component_id, component.image_type)
        assert package.security_version == 3


def test_the_same_image_is_the_same_release(image: Path) -> None:
    def ids(security_version: int) -> list[object]:
        written = write_packages(image, CHIP, security_version=security_version)
        return [image_package.parse(file.read_bytes()).image_id for file in written.values()]

    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))


def test_what_cannot_be_packed_is_named(image: Path) -> None:
    other: ChipProfile = profile.parse(content.chip_document("mt3620"))
    with pytest.raises(InvalidArgumentError, match="expected the boot components unified-kernel-image, root-fs"):
        write_packages(image, other, security_version=1)
    with pytest.raises(InvalidArgumentError, match="expected 0 to 31, got 32"):
        write_packages(image, CHIP, security_version=32)
    (image / "image.json").unlink()
    with pytest.raises(InvalidArgumentError, match=r"expected a built device image: there is no image\.json"):
        write_packages(image, CHIP, security_version=1)


def no_package(image: Path) -> bool:
    return not [*image.glob("*.package")]


@pytest.mark.parametrize("name", PAYLOADS.values())
@pytest.mark.parametrize("left", [0, 1000, -1])
def test_a_file_that_is_not_what_was_built_is_named(image: Path, name: str, left: int) -> None:
    whole = (image / name).read_bytes()
    (image / name).write_bytes(whole[:left] if left >= 0 else whole[:-1] + b"!")
    with pytest.raises(InvalidArgumentError, match=rf"{name}: expected the file that was built \(SHA-256 ") as refused:
        write_packages(image, CHIP, security_version=1)
    assert f"{len((image / name).read_bytes()):,} bytes" in refused.value.message
    assert "armillary image build" in refused.value.remedy
    assert no_package(image)
    (image / name).write_bytes(whole)
    assert len(write_packages(image, CHIP, security_version=1)) == len(PAYLOADS), "the control: the file as built"


def test_an_empty_file_is_refused_though_its_description_agrees(image: Path) -> None:
    about = json.loads((image / "image.json").read_bytes())
    about["sha256"]["root.img"] = sha256(b"").hexdigest()
    (image / "image.json").write_text(json.dumps(about))
    (image / "root.img").write_bytes(b"")
    with pytest.raises(InvalidArgumentError, match=r"root\.img: expected a payload, got an empty file"):
        write_packages(image, CHIP, security_version=1)


@pytest.mark.parametrize("name", PAYLOADS.values())
def test_a_missing_file_is_named(image: Path, name: str) -> None:
    (image / name).unlink()
    with pytest.raises(InvalidArgumentError, match=rf"{name}: cannot be read \(No such file or directory\)"):
        write_packages(image, CHIP, security_version=1)
    (image / name).mkdir()
    with pytest.raises(InvalidArgumentError, match=rf"{name}: cannot be read \(Is a directory\)"):
        write_packages(image, CHIP, security_version=1)
    assert no_package(image)


def test_reference_values_that_are_not_what_was_built_are_no_releases(image: Path) -> None:
    """A catalog demands them of the release's devices; older builds name no digest of them."""
    values = image / "reference-values.json"
    values.write_text("{}")
    assert len(write_packages(image, CHIP, security_version=1)) == len(PAYLOADS), "an older build"
    about = json.loads((image / "image.json").read_bytes())
    about["sha256"][values.name] = sha256(b"{}").hexdigest()
    (image / "image.json").write_text(json.dumps(about))
    for file in write_packages(image, CHIP, security_version=1).values():
        file.unlink()
    values.write_text('{"chip": "of another build"}')
    with pytest.raises(InvalidArgumentError, match=r"reference-values\.json: expected the file that was built"):
        write_packages(image, CHIP, security_version=1)
    assert no_package(image)
    values.unlink()
    assert len(write_packages(image, CHIP, security_version=1)) == len(PAYLOADS), "nobody demands what is not there"


@pytest.mark.parametrize("arch", [name for name in CHIPS if name != "x86_64"])
def test_an_image_of_another_architecture_is_refused_as_such(image: Path, arch: str) -> None:
    chip = profile.parse(content.chip_document(CHIPS[arch]))
    with pytest.raises(InvalidArgumentError, match=f"expected an image for {arch}, found one for 'x86_64'") as refused:
        write_packages(image, chip, security_version=1)
    assert "--arch" in refused.value.remedy
    assert no_package(image)


@pytest.mark.parametrize(
    ("description", "named"),
    [
        (b"{", "image.json: Input data was truncated"),
        (b"[]", "image.json: Expected `object`, got `array`"),
        (b"\xff", "image.json: JSON is malformed: invalid character"),
        (b"{}", "its description names no architecture"),
        (b'{"architecture": "x86_64", "sha256": {}}', "expected the digest of started.img, it has none"),
        (b'{"architecture": "x86_64", "sha256": []}', "image.json: Expected `object`, got `array`"),
    ],
)
def test_what_is_wrong_with_a_description_is_said_in_words(image: Path, description: bytes, named: str) -> None:
    (image / "image.json").write_bytes(description)
    with pytest.raises(InvalidArgumentError, match=re.escape(named)) as refused:
        write_packages(image, CHIP, security_version=1)
    assert "Error" not in refused.value.message
    assert "armillary image build --arch x86_64" in refused.value.remedy
