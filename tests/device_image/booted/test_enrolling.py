# SPDX-License-Identifier: Apache-2.0
"""A machine that boots the image for the first time enrols itself at a service of this host and is attested by its TPM."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.device_image.booted.conftest import BOOT_S, state
from tests.e2e.armillary_processes import armillary_here, running_service

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import HOST_ADDRESS, READY, TPM, MachineSettings, prepare, running


def done(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def publish(image: Path, architecture: Architecture, env: dict[str, str]) -> None:
    """Make a release of what is in the slots of the image."""
    packages = json.loads(
        done(armillary_here("image", "package", "--arch", architecture.name, "--image", str(image), "--json", env=env))
    )
    components = [f"--component={name}={file}" for name, file in packages["components"].items()]
    asked = ("--chip", packages["chip"], "--os-version", "26.12", "--os-feed", "Retail", *components, "--json")
    made = json.loads(done(armillary_here("release", "create", *asked, env=env)))
    for verb in ("sign", "publish"):
        done(armillary_here("release", verb, "--release", made["release_id"], env=env))


@pytest.mark.long
def test_a_machine_enrols_itself_and_is_attested_at_tier_tpm(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    folder, told = tmp_path / "machine", tmp_path / "enrolment.json"
    settings = MachineSettings(folder=folder, image=image, machine=architecture.name, enrolment=told)
    prepare(settings)
    roots = tmp_path / "data" / "tpm-roots"
    with running_service(tmp_path / "data", public_host=HOST_ADDRESS) as service:
        port = urlsplit(service.env["ARMILLARY_SERVICE"]).port
        here = {**service.env, "ARMILLARY_SERVICE": f"https://127.0.0.1:{port}"}
        done(armillary_here("catalog", "create", "--name", "Contoso", env=here))
        publish(image, architecture, here)
        made = armillary_here("enrolment-token", "create", "--catalog", "Contoso", "--json", env=here)
        enrolment = {
            "service": f"https://{HOST_ADDRESS}:{port}",
            "ca": Path(service.env["ARMILLARY_CA"]).read_text("ascii"),
            "token": json.loads(made.stdout)["secret"],
        }
        told.write_text(json.dumps(enrolment))
        roots.mkdir(exist_ok=True)
        shutil.copy(folder / TPM / "authority/issuercert.pem", roots / "swtpm.pem")

        with running(settings) as machine:
            line, seen = machine.wait_for("check-in  verdict=", within_s=BOOT_S)
        text = "\n".join(seen)
        assert line is not None, text
        assert "verdict=attested  purpose=client" in line, text
        assert READY in text
        assert "sandbox=linux  complete=True" in text, text
        assert "No control groups" not in text
        (device,) = json.loads(armillary_here("device", "list", "--json", env=here).stdout)
        assert (device["trust_tier"], device["chip"], device["boot_count"]) == ("tpm", architecture.chip, 1)

        state(image, "Contoso", here)

        with running(settings) as machine:  # the same device again: it does not enrol a second time
            line, seen = machine.wait_for("check-in  verdict=", within_s=BOOT_S)
        text = "\n".join(seen)
        assert line is not None, text
        assert "verdict=attested" in line, text
        print(next(each for each in seen if READY in each))  # as test_booting.py prints it, as a device
        assert "enrols at" not in text
        (again,) = json.loads(armillary_here("device", "list", "--json", env=here).stdout)
        assert (again["device_id"], again["boot_count"]) == (device["device_id"], 2)
