# SPDX-License-Identifier: Apache-2.0
"""A new machine refuses a release that is only the beginning of its OS, and enrols with its own though a newer is out."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from tests.device_image.booted.at_service import CATALOG, AtService, done, machine_at_service
from tests.device_image.booted.conftest import BOOT_S
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.packages import PAYLOADS
from armillary.device_image.power.later import make_later
from armillary.device_image.virtual_machine import running


def truncated(image: Path, folder: Path) -> Path:
    """What a build is not: files that end early, and a description that agrees with them."""
    folder.mkdir()
    about = json.loads((image / "image.json").read_bytes())
    for name in PAYLOADS.values():
        (folder / name).write_bytes((image / name).read_bytes()[: 100 * 4096])
        about["sha256"][name] = sha256((folder / name).read_bytes()).hexdigest()
    (folder / "image.json").write_text(json.dumps(about))
    return folder


def spent(scene: AtService) -> int:
    listed = done(armillary_here("enrolment-token", "list", "--catalog", CATALOG, "--json", env=scene.env))
    return sum(each["used"] for each in json.loads(listed))


@pytest.mark.long
def test_a_release_that_is_only_the_beginning_of_what_is_on_the_disk_is_refused(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    with machine_at_service(image, architecture, tmp_path) as scene:
        scene.publish(truncated(image, tmp_path / "truncated"), architecture)
        scene.tell()
        with running(scene.settings) as machine:
            line, seen = machine.wait_for("not enrolled: expected the OS of a release", within_s=BOOT_S)
        assert line is not None, "\n".join(seen)
        assert "26.12 (unified-kernel-image: " in line, line
        assert "where this release has 409,600)" in line, line
        assert spent(scene) == 0
        assert json.loads(done(armillary_here("device", "list", "--json", env=scene.env))) == []


@pytest.mark.long
def test_a_machine_enrols_with_the_older_release_that_is_on_its_disk_and_takes_the_newer_one(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    with machine_at_service(image, architecture, tmp_path) as scene:
        scene.publish(image, architecture)
        scene.publish(make_later(image, tmp_path / "later", number=1), architecture, "26.13")
        scene.tell()
        with running(scene.settings) as machine:
            line, seen = machine.wait_for("check-in  verdict=", within_s=BOOT_S)
            assert line is not None, "\n".join(seen)
            assert "verdict=attested" in line, "\n".join(seen)
            (device,) = json.loads(done(armillary_here("device", "list", "--json", env=scene.env)))
            assert device["os_version"] == "26.12"
            line, seen = machine.wait_for("update-confirmed", within_s=3 * BOOT_S)
            assert line is not None, "\n".join(seen)
            line, seen = machine.wait_for("check-in  verdict=", within_s=BOOT_S)
            assert line is not None, "\n".join(seen)
        (device,) = json.loads(done(armillary_here("device", "list", "--json", env=scene.env)))
        assert (device["os_version"], spent(scene)) == ("26.13", 1)
