# SPDX-License-Identifier: Apache-2.0
"""A machine with real-time cores beside it: firmware that was deployed as any application talks to one in the image."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.device_image.booted.at_service import machine_at_service
from tests.device_image.booted.conftest import BOOT_S
from tests.fixtures.core_firmware import SAMPLE, partner_files, sample
from tests.fixtures.cores_beside import need_stand_in

from armillary import content
from armillary.boot import profile
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.cores.attached import attached_cores
from armillary.device_image.virtual_machine import running


def real_time_cores(architecture: Architecture) -> int:
    """How many cores are beside it: those of its chip, or one for a gateway that has none of its own."""
    chip = profile.parse(content.chip_document(architecture.chip))
    return sum(core.kind == "real-time" for core in chip.cores) or 1


def applications(number: int) -> dict[str, dict[str, bytes]]:
    """The sample for a core and its partner, so many times: each pair has a name of its own and names only one another."""
    files = {}
    for each in range(number):
        core, partner = (SAMPLE / "app_manifest.json").read_bytes(), partner_files()
        files[f"core{each}"] = {"app_manifest.json": renamed(core, each), "bin/app": sample()}
        own = {name: renamed(partner[name], each) for name in ("app_manifest.json", "bin/app")}
        files[f"panel{each}"] = {**partner, **own}
    return files


def renamed(text: bytes, number: int) -> bytes:
    """What one of the samples says, with the number of its pair in names, component ids and messages."""
    return text.replace(b"7a2f0c1d4e", b"7a2f0c1d%de" % number).replace(b"pulse", b"pulse%d" % number)


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """A folder of these files, to pack."""
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o755)
    return folder


def test_deployed_firmware_runs_beside_the_image_and_talks_to_its_partner(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    if not HARDWARE[architecture.name].has_pci:
        pytest.skip("NXP's board in QEMU has no PCI for the cores' channels; other machines have: make image-test-full")
    need_stand_in()
    number = real_time_cores(architecture)
    with attached_cores(number) as words, machine_at_service(image, architecture, tmp_path, attached=words) as scene:
        scene.publish(image, architecture)
        folders = [written(tmp_path / name, files) for name, files in applications(number).items()]
        scene.tell(*scene.deploy("Cores", *folders))

        seen: list[str] = []
        answers = {f"text=PULSE{each} 2" for each in range(number)}
        with running(scene.settings) as machine:
            while answers:
                line, lines = machine.wait_for(*answers, within_s=2 * BOOT_S)
                seen += lines
                assert line is not None, "\n".join(seen)
                answers = {each for each in answers if each not in line}
        text = "\n".join(seen)
        assert text.count("the core's loader: a stand-in for a chip's core") == number, text
        assert text.count("core=core beside this system, not proven to be silicon") == number, text
        assert "sandbox=linux  complete=True" in text, text
