# SPDX-License-Identifier: Apache-2.0
"""Packages of a release, made of a built image: what a slot holds and what it is."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from armillary import content
from armillary.boot import profile
from armillary.boot.profile import ChipProfile
from armillary.device_image.packages import PAYLOADS, write_packages
from armillary.errors import InvalidArgumentError
from armillary.wire.image import package as image_package

CHIP = profile.parse(content.chip_document("gateway-x86-64"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    payloads = {name: name.encode() * 1000 for name in PAYLOADS.values()}
    for name, payload in payloads.items():
        (tmp_path / name).write_bytes(payload)
    about = {"sha256": {name: sha256(payload).hexdigest() for name, payload in payloads.items()}}
    (tmp_path / "image.json").write_text(json.dumps(about))
    return tmp_path


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
    with pytest.raises(InvalidArgumentError, match="expected a built device image, found none"):
        write_packages(image, CHIP, security_version=1)
