# SPDX-License-Identifier: Apache-2.0
"""A machine that boots the image gets a new OS from its service, starts it by itself, and goes back from one that stops."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.device_image.booted.at_service import CATALOG, done, machine_at_service
from tests.device_image.booted.conftest import state, time_for
from tests.e2e.armillary_processes import armillary_here
from tests.fixtures.waiting import wait_until

from armillary import content
from armillary.boot import profile
from armillary.boot.profile import ChipProfile
from armillary.device_image import disk, tools, unified
from armillary.device_image.architecture.table import Architecture, architecture_of
from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.packages import PAYLOADS, write_packages
from armillary.device_image.uboot.signed_file import KEY
from armillary.device_image.virtual_machine import VirtualMachine, running

# Download, writing and a check-in take less than a start, of which an update that is taken back has three.
STARTS = 3
# A kernel that says another version, signed again: 699 bytes were seen.
DELTA_MOST_BYTES = 10_000


def changed(image: Path, folder: Path, old: bytes, new: bytes) -> Path:
    """The image with other bytes in its signed file, signed again: a later OS with the same root file system."""
    assert len(old) == len(new)
    folder.mkdir()
    if architecture_of(image).has_uefi:
        change_unified(image, folder, old, new)
    else:
        change_slot_file(image, folder, old, new)
    (folder / "root.img").symlink_to(image / "root.img")
    digests = {name: sha256((folder / name).read_bytes()).hexdigest() for name in PAYLOADS.values()}
    about = {"architecture": architecture_of(image).name, "sha256": digests}
    (folder / "image.json").write_text(json.dumps(about))
    return folder


def change_slot_file(image: Path, folder: Path, old: bytes, new: bytes) -> None:
    key = secure_boot_keys(image / "keys")["signing"]
    shutil.copy(key.key, folder / f"{KEY}.key")
    shutil.copy(key.certificate, folder / f"{KEY}.crt")
    content_ = (image / "started.img").read_bytes()
    assert old in content_
    (folder / "started.img").write_bytes(content_.replace(old, new))
    tools.run(["mkimage", "-F", "-k", ".", "-r", "started.img"], folder=folder)


def change_unified(image: Path, folder: Path, old: bytes, new: bytes) -> None:
    plain = folder / "plain.efi"
    tools.run(["osslsigncode", "remove-signature", "-in", image / "unified.efi", "-out", plain])
    content_ = plain.read_bytes()
    assert content_.count(old) == 1, old
    signed = unified.sign(content_.replace(old, new), secure_boot_keys(image / "keys")["signing"])
    disk.boot_partition(signed, folder / "started.img", architecture_of(image).started_file)


def publish(image: Path, chip: ChipProfile, version: str, here: Mapping[str, str]) -> None:
    """Release what was built, and have the devices look for it."""
    packages = write_packages(image, chip, security_version=1)
    given = [word for name, file in packages.items() for word in ("--component", f"{name}={file}")]
    words = ("--chip", chip.name, "--os-version", version, "--os-feed", "Retail", *given)
    for command in (
        ("release", "create", *words),
        ("release", "sign", "--release", f"{chip.name}/{version}"),
        ("release", "publish", "--release", f"{chip.name}/{version}"),
    ):
        done(armillary_here(*command, env=dict(here)))
    for device in json.loads(armillary_here("device", "list", "--json", env=dict(here)).stdout):
        done(armillary_here("device", "check-now", "--device", device["device_id"], env=dict(here)))


def standing(here: Mapping[str, str], code: str) -> dict[str, Any] | None:
    """Where the update of the only device stands, if it is this code."""
    (device,) = json.loads(armillary_here("device", "list", "--json", env=dict(here)).stdout)
    asked = ("device", "update-status", "--device", device["device_id"], "--json")
    found: dict[str, Any] = json.loads(armillary_here(*asked, env=dict(here)).stdout)
    return found if found["code"] == code else None


def wait(machine: VirtualMachine, wanted: str, seen: list[str]) -> str:
    line, lines = machine.wait_for(wanted, within_s=time_for(STARTS))
    seen += lines
    assert line is not None, "\n".join(seen)
    return line


@pytest.mark.long
def test_an_update_is_started_and_one_that_stops_is_taken_back(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    chip = profile.parse(content.chip_document(architecture.chip))
    about = json.loads((image / "image.json").read_bytes())
    version, root = about["version"].encode(), about["root_hash"].encode()
    with machine_at_service(image, architecture, tmp_path) as scene:
        here, settings = scene.env, scene.settings
        publish(image, chip, "26.12", here)
        scene.tell()
        seen: list[str] = []
        with running(settings) as machine:
            assert "verdict=attested" in wait(machine, "check-in  verdict=", seen)
            state(image, CATALOG, here)  # of this image alone: what a release brings is known by itself

            later = version[:-1] + (b"9" if version[-1:] != b"9" else b"8")
            said = b"VERSION_ID=" if architecture.has_uefi else b"Armillary OS "
            publish(changed(image, tmp_path / "b", said + version, said + later), chip, "26.13", here)
            wait(machine, "update-started", seen)
            told = wait_until(lambda: standing(here, "fetched"), "the service says what it has sent")
            assert (told["check_in_after"], told["os_version"]) == ("installation", "26.12")
            assert len(told["fetch"]["sent"]) == told["fetch"]["parts"]
            assert "slot b" in wait(machine, "verified root from", seen)
            wait(machine, "update-confirmed", seen)
            sizes = [file.stat().st_size for file in (tmp_path / "data/deltas").iterdir()]
            assert sizes, "a kernel alone is fetched as a difference"
            assert all(0 < size <= DELTA_MOST_BYTES for size in sizes), sizes

            broken = root[:-1] + (b"0" if root[-1:] != b"0" else b"1")
            publish(changed(image, tmp_path / "c", root, broken), chip, "26.14", here)
            for _ in range(3):
                wait(machine, "boot failed: neither slot has the root file system", seen)
            assert "did not come up" in wait(machine, "update-reverted", seen)
            assert "verdict=attested" in wait(machine, "check-in  verdict=", seen)
        (device,) = json.loads(armillary_here("device", "list", "--json", env=here).stdout)
        assert device["os_version"] == "26.13"
