# SPDX-License-Identifier: Apache-2.0
"""A machine with a real-time core beside it: firmware that was deployed as any application talks to one in the image."""

from __future__ import annotations

import json
from pathlib import Path

from tests.device_image.booted.at_service import done, machine_at_service
from tests.device_image.booted.conftest import BOOT_S
from tests.e2e.armillary_processes import armillary_here
from tests.fixtures.core_firmware import SAMPLE, partner_files, sample
from tests.fixtures.cores_beside import need_stand_in

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.cores.attached import attached_cores
from armillary.device_image.virtual_machine import running

GROUP = ("--product", "Cores", "--device-group", "Cores")


def packed(folder: Path, files: dict[str, bytes], env: dict[str, str]) -> Path:
    """An image package of these files."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o755)
    package = folder.with_suffix(".imagepackage")
    asked = ("--package-directory", str(folder), "--output-file", str(package))
    done(armillary_here("image-package", "pack-application", *asked, env=env))
    return package


def test_deployed_firmware_runs_beside_the_image_and_talks_to_its_partner(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    need_stand_in()
    core = {"app_manifest.json": (SAMPLE / "app_manifest.json").read_bytes(), "bin/app": sample()}
    with attached_cores(1) as words, machine_at_service(image, architecture, tmp_path, attached=words) as scene:
        here = scene.env
        scene.publish(image, architecture)
        done(armillary_here("product", "create", "--name", "Cores", env=here))
        done(armillary_here("device-group", "create", "--product", "Cores", "--name", "Cores", env=here))
        images = []
        for name, files in (("core", core), ("panel", partner_files())):
            package = packed(tmp_path / name, files, here)
            done(armillary_here("image", "add", "--image-path", str(package), env=here))
            shown = done(armillary_here("image-package", "show", "--image-package", str(package), "--json", env=here))
            images.append(json.loads(shown)["image_id"])
        done(armillary_here("deployment", "create", *GROUP, "--images", ",".join(images), env=here))
        scene.tell(*GROUP)

        with running(scene.settings) as machine:
            seen: list[str] = []
            for wanted in ("a stand-in for a chip's core", "text=PULSE 2"):
                line, lines = machine.wait_for(wanted, within_s=2 * BOOT_S)
                seen += lines
                assert line is not None, "\n".join(seen)
        text = "\n".join(seen)
        assert "core=core beside this system, not proven to be silicon" in text, text
        assert "sandbox=linux  complete=True" in text, text
