# SPDX-License-Identifier: Apache-2.0
"""Chip profiles: the shipped ones, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from armillary import content
from armillary.boot import profile
from armillary.errors import ManifestError


def test_mt3620():
    chip = profile.parse(content.chip_document("mt3620"))
    assert (chip.maker, chip.sku, chip.architecture) == ("MediaTek", "MT3620AN", "armv7")
    assert [component.image_type for component in chip.boot_components] == list(range(1, 10))
    assert chip.limits.application_flash_bytes == 1024 * 1024
    assert chip.limits.application_ram_bytes == 256 * 1024
    assert chip.limits.mutable_storage_kb == 64
    assert [core.kind for core in chip.cores] == ["high-level", "real-time", "real-time"]
    assert chip.peripherals["Uart"] == {f"ISU{number}" for number in range(5)}
    assert {"0", "80"} < chip.peripherals["Gpio"]
    assert chip.pins["PWM-CONTROLLER-1"] == (4, 5, 6, 7)
    component = chip.boot_component("services")
    assert component is not None
    assert component.image_type == 9
    assert chip.boot_component("nothing") is None


def test_no_pin_belongs_to_two_peripherals():
    for name in content.chip_names():
        pins = [pin for pins in profile.parse(content.chip_document(name)).pins.values() for pin in pins]
        assert len(pins) == len(set(pins))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The MT3620's document with one value replaced; ``...`` removes it."""
    document = copy.deepcopy(content.chip_document("mt3620"))
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = document
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("name", "MT 3620", "name"),
        ("name", ..., "name"),
        ("maker", "", "maker"),
        ("colour", "blue", "chip profile"),
        ("limits", [], "limits"),
        ("limits.flash_bytes", ..., "flash_bytes"),
        ("limits.flash_bytes", 0, "limits.flash_bytes"),
        ("limits.flash_bytes", 1.5, "limits.flash_bytes"),
        ("limits.more", 1, "limits"),
        ("boot", [], "boot"),
        ("boot", {}, "boot"),
        ("boot.0", "x", "boot[0]"),
        ("boot.0.name", "One BL", "boot[0].name"),
        ("boot.0.name", "../x", "boot[0].name"),
        ("boot.0.image_type", 11, "boot[0].image_type"),
        ("boot.0.component_id", "x", "boot[0].component_id"),
        ("boot.0.size_limit_bytes", 2**40, "boot[0].size_limit_bytes"),
        ("boot.1.name", "one-bl", "boot.name"),
        ("boot.0.colour", 1, "boot[0]"),
        ("core.0.kind", "gpu", "core[0].kind"),
        ("core.1.name", "A7", "core.name"),
        ("peripherals.Can", [], "peripherals"),
        ("peripherals.Uart", ["isu0"], "peripherals.Uart"),
        ("peripherals.Uart", ["ISU0", "ISU0"], "peripherals.Uart"),
        ("peripherals.Gpio", [1], "peripherals.Gpio"),
        ("peripherals.Gpio", [[5, 4]], "peripherals.Gpio"),
        ("peripherals.Gpio", [[0, 5000]], "peripherals.Gpio"),
        ("pins.UART9", [1], "pins"),
        ("proof", ..., "proof"),
        ("proof.unproven", ..., "unproven"),
        ("proof.real", "", "proof.real"),
        ("proof.silicon", "yes", "proof"),
        ("other_flash", "nvme", "other_flash"),
        ("other_flash", ["nvme", "nvme"], "other_flash"),
        ("pins.ISU0", [-1], "pins.ISU0"),
    ],
)
def test_refused(path: str, value: Any, place: str):
    with pytest.raises(ManifestError) as caught:
        profile.parse(changed(path, value))
    assert caught.value.path == place


def test_two_components_of_one_id_are_refused():
    document = content.chip_document("mt3620")
    document["boot"][1]["component_id"] = document["boot"][0]["component_id"].upper()
    with pytest.raises(ManifestError, match=r"boot\.component_id"):
        profile.parse(document)


def test_gateways_have_processors_that_compilers_are_for():
    chips = {name: profile.parse(content.chip_document(name)) for name in content.chip_names()}
    assert chips["gateway-x86-64"].architecture == "x86_64"
    assert chips["gateway-arm64"].architecture == chips["raspberry-pi-4"].architecture == "aarch64"
    for name in ("gateway-x86-64", "gateway-arm64"):
        stages = [component.name for component in chips[name].boot_components]
        assert stages == ["unified-kernel-image", "root-fs"]
    assert "no support" in chips["qualcomm-cellular"].proof.unproven
