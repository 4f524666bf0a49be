# SPDX-License-Identifier: Apache-2.0
"""Application packages: the packing rule and what a device refuses to open."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures import images
from tests.fixtures.images import COMPONENT, IMAGE, P256

from armillary.errors import ManifestError, WireError
from armillary.wire.image import (
    application as application_package,
    asxipfs,
    hardware_definition,
    package as image_package,
)
from armillary.wire.image.application import OsRange
from armillary.wire.image.section import Abi, AbiDepends, Compression, Identity, TemporaryImage

KEY, CERTIFICATE = P256
SIGNER: dict[str, Any] = {"key": KEY, "certificate": CERTIFICATE}


def manifest(**changes: Any) -> bytes:
    return json.dumps(
        images.manifest("Blink", COMPONENT, **{"Capabilities": {"Gpio": [8]}, **changes}), indent=2
    ).encode()


def pack(files: dict[str, bytes] | None = None, **changes: Any) -> bytes:
    chosen = {"app_manifest.json": manifest(), "bin/app": b"#!/bin/sh\n"} if files is None else files
    return application_package.pack(chosen, **({"image_id": IMAGE, "built": 1_700_000_000, **SIGNER} | changes))


def opened(data: bytes) -> application_package.Application:
    return application_package.open_application(image_package.verify(image_package.parse(data), [CERTIFICATE]))


def test_high_level_application():
    application = opened(pack())
    assert application.manifest.target_application_runtime_version == 12
    assert application.package.section(AbiDepends) == AbiDepends((Abi(12, 3),))
    assert application.package.section(TemporaryImage) == TemporaryImage(2)
    assert application.package.name == "Blink"
    assert application.package.component_id == COMPONENT
    assert set(application.filesystem.files) == {"app_manifest.json", "bin/app"}
    assert application.filesystem.files["bin/app"].executable, "the entry point may always be run"


def test_real_time_application_has_an_empty_abi_list():
    application = opened(pack({"app_manifest.json": manifest(ApplicationType="RealTimeCapable"), "bin/app": b"ELF"}))
    assert application.manifest.target_application_runtime_version is None
    assert application.package.section(AbiDepends) == AbiDepends(())


@pytest.mark.parametrize(
    ("os_range", "fits"), [(None, None), (OsRange(5), {5, 6, 99}), (OsRange(5, 6), {5, 6}), (OsRange(5, 5), {5})]
)
def test_the_os_that_it_works_on_is_in_the_package(os_range: OsRange | None, fits: set[int] | None):
    needed = application_package.needed_os(opened(pack(os_range=os_range)).package)
    assert needed == os_range
    assert (None if needed is None else {abi for abi in (0, 4, 5, 6, 99) if abi in needed}) == fits


@pytest.mark.parametrize("numbers", [(6, 5), (5, 6, 7)])
def test_a_range_that_is_none_is_refused(numbers: tuple[int, ...]):
    depends = [Abi(12, 3), *(Abi(number, 2) for number in numbers)]
    sections = image_package.standard_sections(**{**images.SDK_SECTIONS, "abi_depends": depends})
    with pytest.raises(WireError, match="a lowest and a highest OS ABI"):
        application_package.needed_os(image_package.parse(image_package.build(b"1234", sections=sections, **SIGNER)))


def test_names_become_values_in_the_packed_manifest():
    definition = hardware_definition.load(
        "board.json",
        {
            "board.json": b'{"Metadata":{"Type":"Azure Sphere Hardware Definition","Version":1},"Peripherals":'
            b'[{"Name":"LED","Type":"Gpio","MainCoreHeaderValue":"(9)","AppManifestValue":9}]}'
        },
    )
    files = {"app_manifest.json": manifest(Capabilities={"Gpio": ["$LED"]}), "bin/app": b""}
    application = opened(pack(files, definitions=[definition]))
    assert json.loads(application.filesystem.files["app_manifest.json"].content)["Capabilities"] == {"Gpio": [9]}
    with pytest.raises(ManifestError, match="LED"):
        pack(files)


def test_component_and_executables_can_be_chosen():
    other = UUID(int=5)
    files = {"app_manifest.json": manifest(), "bin/app": b"", "bin/tool": b"", "data": b""}
    application = opened(pack(files, component_id=other, executables=["bin/tool"], runtime_version=13))
    assert application.package.component_id == application.manifest.component_id == other
    assert application.manifest.target_application_runtime_version == 13
    assert [p for p, file in application.filesystem.files.items() if file.executable] == ["bin/app", "bin/tool"]


def test_packing_is_reproducible():
    assert pack() == pack()


def test_storage_is_limited_by_the_chip_and_not_here():
    files = {"app_manifest.json": manifest(Capabilities={"MutableStorage": {"SizeKB": 4096}}), "bin/app": b""}
    assert opened(pack(files)).manifest.capabilities.mutable_storage_kb == 4096


@pytest.mark.parametrize(
    ("files", "error_id"),
    [
        ({"bin/app": b""}, 25),
        ({"app_manifest.json": manifest()}, 22),
        ({"app_manifest.json": b"{}", "bin/app": b""}, 4),
    ],
)
def test_pack_refuses(files: dict[str, bytes], error_id: int):
    with pytest.raises(ManifestError) as caught:
        pack(files)
    assert caught.value.error_id == 2 << 20 | error_id


# -- what cannot be opened -----------------------------------------------------------------------------------------


def hand_made(
    files: dict[str, bytes], *more: object, executables: tuple[str, ...] = ("bin/app",), image_type: int = 10
) -> bytes:
    sections = (Identity(image_type, COMPONENT, IMAGE), *more)
    return image_package.build(asxipfs.build(files, executables), sections=sections, **SIGNER)


GOOD = {"app_manifest.json": manifest(), "bin/app": b"x"}


def test_hand_made_package_opens():
    """Positive control of the table below."""
    assert opened(hand_made(GOOD)).manifest.name == "Blink"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (hand_made(GOOD, image_type=13), "image type 10"),
        (hand_made(GOOD, Compression(4096, 1)), "an uncompressed application"),
        (hand_made({"bin/app": b"x"}), "2097177"),
        (hand_made({"app_manifest.json": manifest(), "other": b""}, executables=()), "2097174"),
        (hand_made(GOOD, executables=()), "executable file"),
        (hand_made({**GOOD, "app_manifest.json": manifest(Capabilities={"Gpio": ["$LED"]})}), "resolved"),
        (hand_made({**GOOD, "app_manifest.json": manifest(ComponentId=str(IMAGE))}), "in the manifest"),
        (hand_made({**GOOD, "app_manifest.json": manifest(TargetApplicationRuntimeVersion=12)}), "runtime 12"),
        (
            hand_made(
                {**GOOD, "app_manifest.json": manifest(TargetApplicationRuntimeVersion=12)}, AbiDepends((Abi(11, 3),))
            ),
            "runtime 12",
        ),
        (
            image_package.build(b"not a file system", sections=[Identity(10, COMPONENT, IMAGE)], **SIGNER),
            "multiple of 4096",
        ),
    ],
)
def test_open_refuses(data: bytes, reason: str):
    with pytest.raises((WireError, ManifestError), match=reason):
        opened(data)


def test_unverified_package_opens_as_an_unverified_value():
    found = application_package.open_unverified(image_package.parse(pack()))
    assert isinstance(found, application_package.UnverifiedApplication)
