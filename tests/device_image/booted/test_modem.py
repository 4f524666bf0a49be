# SPDX-License-Identifier: Apache-2.0
"""A machine whose only network is that of a simulated modem enrols, is attested, and comes back when a session is lost."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.device_image.booted.at_service import done, machine_at_service
from tests.device_image.booted.conftest import BOOT_S
from tests.e2e.armillary_processes import armillary_here
from tests.fixtures.waiting import wait_until

from armillary.cli.device_image.modem import running_with_modem
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture

# In this order on the console.
UP = (
    "there is no Ethernet interface",
    "modem: the data session is up",
    "enrolled: this machine is a device now",
    "state=connected",
    "check-in  verdict=attested",
)


def test_a_machine_is_online_through_its_modem_alone(image: Path, architecture: Architecture, tmp_path: Path) -> None:
    if not HARDWARE[architecture.name].has_pci:
        pytest.skip("NXP's board in QEMU has no PCI for the modem's port; other machines have: make image-test-full")
    with machine_at_service(image, architecture, tmp_path) as scene:
        scene.publish(image, architecture)
        scene.tell()
        with running_with_modem(scene.settings) as (machine, modem):
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
            (device,) = json.loads(done(armillary_here("device", "list", "--json", env=scene.env)))
            said = wait_until(lambda: told(scene.env, device["device_id"]), "the machine tells of its modem", BOOT_S)
        print(*(each for each in seen if "modem" in each or "cellular" in each), sep="\n")
        assert device["trust_tier"] == "tpm", "\n".join(seen)
        assert (said["state"], said["sim"], said["operator"]) == ("connected", "ready", "Armillary simulated")
        assert min(said["bytes_received"], said["bytes_sent"]) > 1000, said


def told(env: Mapping[str, str], device_id: str) -> Any:
    """What the service knows of the machine's modem; None for nothing."""
    address = f"{env['ARMILLARY_SERVICE']}/api/v1/devices/{device_id}/cellular"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {env['ARMILLARY_TOKEN']}"})
    context = ssl.create_default_context(cafile=env["ARMILLARY_CA"])
    with urllib.request.urlopen(request, context=context, timeout=30) as reply:
        return json.load(reply)["status"]
