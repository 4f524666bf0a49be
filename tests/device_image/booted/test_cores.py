# SPDX-License-Identifier: Apache-2.0
"""A machine with a real-time core beside it: firmware that was deployed as any application talks to one in the image."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.booted.test_enrolling import done, publish
from tests.e2e.armillary_processes import armillary_here, running_service
from tests.fixtures.core_firmware import SAMPLE, partner_files, sample
from tests.fixtures.cores_beside import need_stand_in

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.cores.attached import attached_cores
from armillary.device_image.virtual_machine import HOST_ADDRESS, TPM, MachineSettings, prepare, running

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
    folder, told = tmp_path / "machine", tmp_path / "enrolment.json"
    with running_service(tmp_path / "data", public_host=HOST_ADDRESS) as service, attached_cores(1) as words:
        settings = MachineSettings(
            folder=folder, image=image, machine=architecture.name, enrolment=told, attached=words
        )
        prepare(settings)
        port = urlsplit(service.env["ARMILLARY_SERVICE"]).port
        here = {**service.env, "ARMILLARY_SERVICE": f"https://127.0.0.1:{port}"}
        done(armillary_here("catalog", "create", "--name", "Contoso", env=here))
        publish(image, architecture, here)
        done(armillary_here("product", "create", "--name", "Cores", env=here))
        done(armillary_here("device-group", "create", "--product", "Cores", "--name", "Cores", env=here))
        images = []
        for name, files in (("core", core), ("panel", partner_files())):
            package = packed(tmp_path / name, files, here)
            done(armillary_here("image", "add", "--image-path", str(package), env=here))
            shown = done(armillary_here("image-package", "show", "--image-package", str(package), "--json", env=here))
            images.append(json.loads(shown)["image_id"])
        done(armillary_here("deployment", "create", *GROUP, "--images", ",".join(images), env=here))
        made = armillary_here("enrolment-token", "create", "--catalog", "Contoso", *GROUP, "--json", env=here)
        enrolment = {
            "service": f"https://{HOST_ADDRESS}:{port}",
            "ca": Path(service.env["ARMILLARY_CA"]).read_text("ascii"),
            "token": json.loads(done(made))["secret"],
        }
        told.write_text(json.dumps(enrolment))
        roots = tmp_path / "data" / "tpm-roots"
        roots.mkdir(exist_ok=True)
        shutil.copy(folder / TPM / "authority/issuercert.pem", roots / "swtpm.pem")

        with running(settings) as machine:
            seen: list[str] = []
            for wanted in ("a stand-in for a chip's core", "text=PULSE 2"):
                line, lines = machine.wait_for(wanted, within_s=2 * BOOT_S)
                seen += lines
                assert line is not None, "\n".join(seen)
        text = "\n".join(seen)
        assert "core=core beside this system, not proven to be silicon" in text, text
        assert "sandbox=linux  complete=True" in text, text
