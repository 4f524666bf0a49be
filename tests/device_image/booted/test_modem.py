# SPDX-License-Identifier: Apache-2.0
"""A machine whose only network is that of a simulated modem enrols, is attested, and comes back when a session is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.device_image.booted.conftest import BOOT_S
from tests.device_image.booted.test_enrolling import done, publish
from tests.e2e.armillary_processes import armillary_here, running_service

from armillary.cli.device_image.modem import running_with_modem
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import HOST_ADDRESS, TPM, MachineSettings, prepare

# In this order on the console.
UP = (
    "there is no Ethernet interface",
    "modem: the data session is up",
    "enrolled: this machine is a device now",
    "state=connected",
    "check-in  verdict=attested",
)


def test_a_machine_is_online_through_its_modem_alone(image: Path, architecture: Architecture, tmp_path: Path) -> None:
    if architecture.name == "imx8mp":
        pytest.skip("NXP's board in QEMU has no PCI for the modem's port")
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
            "token": json.loads(done(made))["secret"],
        }
        told.write_text(json.dumps(enrolment))
        roots.mkdir(exist_ok=True)
        shutil.copy(folder / TPM / "authority/issuercert.pem", roots / "swtpm.pem")
        with running_with_modem(settings) as (machine, modem):
            seen: list[str] = []
            for wanted in UP:
                line, lines = machine.wait_for(wanted, within_s=BOOT_S)
                seen += lines
                assert line is not None, "\n".join(seen)
            (connected,) = [each for each in seen if "state=connected" in each]
            for fact in (
                "sim=ready",
                "operator=Armillary simulated",
                "technology=lte",
                "signal_dbm=-85",
                "address=10.0.2.15",
                "model=simulated modem",
            ):
                assert fact in connected, connected

            modem.event("drop-session")
            for wanted in ("state=lost", "state=connected", "check-in  verdict=attested"):
                line, lines = machine.wait_for(wanted, within_s=BOOT_S)
                seen += lines
                assert line is not None, "\n".join(seen)
        print(*(each for each in seen if "modem" in each or "cellular" in each), sep="\n")
        (device,) = json.loads(done(armillary_here("device", "list", "--json", env=here)))
        assert device["trust_tier"] == "tpm", "\n".join(seen)
