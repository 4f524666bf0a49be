# SPDX-License-Identifier: Apache-2.0
"""Tests that boot the device image in QEMU, emulated: minutes of a processor, so only `make image-test` runs them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture, architecture_of
from armillary.device_image.reference.document import FILE as REFERENCE_VALUES

IMAGE = "ARMILLARY_IMAGE_TESTS"
FULL = "ARMILLARY_IMAGE_TESTS_FULL"
# What `make image-test` has the time for, ten minutes in all: boot, attest, update, revert, attack, the same bytes again.
# All others, and those marked image_full, are for `make image-test-full`.
QUICK = {
    f"test_{each}" for each in ("booting", "building", "enrolling", "gateway_hardware", "image_attacks", "updating")
}
# From switching on to "ready", on a host that does much else; alone it takes less than 20 s.
BOOT_S = 300.0
# What the firmware measures of itself.
FIRMWARE_PCR = 0


def time_for(starts: int) -> float:
    """Seconds to wait for what takes so many starts of a machine.

    Of the quick tests none waits for more than one: in continuous integration, what hangs has to fail by itself before
    the time of all is over (scripts/test-image-in-ci).
    """
    return starts * BOOT_S if FULL in os.environ else BOOT_S


def state(image: Path, catalog: str, here: Mapping[str, str]) -> None:
    """Have a catalog demand what a start of this image measures; its only device is attested.

    Where nobody has seen this host's firmware, it is taken as that device measured it.
    """

    def firmware(*words: str) -> Any:
        done = armillary_here("attestation-policy", "firmware", *words, "--catalog", catalog, "--json", env=dict(here))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    file = image / REFERENCE_VALUES
    firmware("add", str(file), "--yes")
    if str(FIRMWARE_PCR) not in json.loads(file.read_bytes())["origins"]:
        (device,) = json.loads(armillary_here("device", "list", "--json", env=dict(here)).stdout)
        firmware("take", "--device", device["device_id"], "--yes")
    stated = {value["pcr"] for statement in firmware("list") for value in statement["values"]}
    assert FIRMWARE_PCR in stated, stated


def exchange_devices(
    monkeypatch: pytest.MonkeyPatch, architecture: Architecture, instead: Mapping[str, tuple[str, ...]]
) -> None:
    """Give machines other devices, in QEMU's words, in place of some that they have."""
    hardware = HARDWARE[architecture.name]
    assert instead.keys() <= {*hardware.devices}
    devices = tuple(word for each in hardware.devices for word in instead.get(each, (each,)))
    monkeypatch.setitem(HARDWARE, architecture.name, dataclasses.replace(hardware, devices=devices))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip them unless the image is named, and give them time."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.timeout(4 * BOOT_S))
            if IMAGE not in os.environ:
                item.add_marker(pytest.mark.skip(reason="boots the device image in QEMU: make image-test"))
            elif FULL not in os.environ and not is_quick(item):
                item.add_marker(pytest.mark.skip(reason="takes its time: make image-test-full"))


def is_quick(item: pytest.Item) -> bool:
    return item.path.stem in QUICK and item.get_closest_marker("image_full") is None


@pytest.fixture(scope="session")
def image() -> Path:
    """The folder of the image that was built."""
    return Path(os.environ[IMAGE])


@pytest.fixture(scope="session")
def architecture(image: Path) -> Architecture:
    """What the image is for."""
    return architecture_of(image)
