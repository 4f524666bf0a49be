# SPDX-License-Identifier: Apache-2.0
"""A machine that boots the image for the first time enrols itself at a service of this host and is attested by its TPM.

It gets an application in a container then, which runs, and after the next start again.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from tests.device_image.booted.at_service import CATALOG, machine_at_service
from tests.device_image.booted.conftest import BOOT_S, state
from tests.e2e.armillary_processes import armillary_here
from tests.fixtures.application_samples import STRICT
from tests.fixtures.images import manifest

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import READY, VirtualMachine, running
from armillary.engines.sandbox.linux_report import ALWAYS_WEAKER

RUNS = "text=the application runs"
WEAKER = "weaker sandbox: "


def application(folder: Path, architecture: Architecture) -> Path:
    """A folder to pack: an application that was compiled for the machine."""
    (folder / "bin").mkdir(parents=True)
    (folder / "app_manifest.json").write_text(json.dumps(manifest("runs", UUID(int=78))))
    source = Path(__file__).with_name("application.c")
    command = [architecture.compiler, "-std=c11", *STRICT, "-static", str(source), "-o", str(folder / "bin/app")]
    subprocess.run(command, check=True)
    return folder


def lines_until(machine: VirtualMachine, *wanted: str) -> list[str]:
    """What the machine says until it has said all of these, in any order."""
    missing, seen = {*wanted}, list[str]()
    while missing:
        line, lines = machine.wait_for(*missing, within_s=BOOT_S)
        seen += lines
        assert line is not None, "\n".join([*seen, f"without {missing}"])
        missing = {each for each in missing if each not in line}
    return seen


def first_check_in(seen: list[str]) -> str:
    return next(line for line in seen if "check-in  verdict=" in line)


@pytest.mark.long
def test_a_machine_enrols_itself_and_is_attested_at_tier_tpm(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    with machine_at_service(image, architecture, tmp_path) as scene:
        here, settings = scene.env, scene.settings
        scene.publish(image, architecture)
        scene.tell(*scene.deploy("Meters", application(tmp_path / "app", architecture)))

        with running(settings) as machine:
            seen = lines_until(machine, "check-in  verdict=", RUNS)
        text = "\n".join(seen)
        assert "verdict=attested  purpose=client" in first_check_in(seen), text
        assert READY in text
        assert "sandbox=linux  complete=True" in text, text
        weaker = [line.partition(WEAKER)[2] for line in seen if WEAKER in line]
        assert weaker == [*ALWAYS_WEAKER]
        (device,) = json.loads(armillary_here("device", "list", "--json", env=here).stdout)
        assert (device["trust_tier"], device["chip"], device["boot_count"]) == ("tpm", architecture.chip, 1)

        state(image, CATALOG, here)

        with running(settings) as machine:  # the same device again: it does not enrol a second time
            seen = lines_until(machine, "check-in  verdict=", RUNS)
        text = "\n".join(seen)
        assert "verdict=attested" in first_check_in(seen), text
        print(next(each for each in seen if READY in each))  # as test_booting.py prints it, as a device
        assert "enrols at" not in text
        (again,) = json.loads(armillary_here("device", "list", "--json", env=here).stdout)
        assert (again["device_id"], again["boot_count"]) == (device["device_id"], 2)
