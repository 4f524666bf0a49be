# SPDX-License-Identifier: Apache-2.0
"""A machine that boots the image for the first time enrols itself at a service of this host and is attested by its TPM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.device_image.booted.at_service import CATALOG, machine_at_service
from tests.device_image.booted.conftest import BOOT_S, state
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image.architecture.table import Architecture
from armillary.device_image.virtual_machine import READY, running


@pytest.mark.long
def test_a_machine_enrols_itself_and_is_attested_at_tier_tpm(
    image: Path, architecture: Architecture, tmp_path: Path
) -> None:
    with machine_at_service(image, architecture, tmp_path) as scene:
        here, settings = scene.env, scene.settings
        scene.publish(image, architecture)
        scene.tell()

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

        state(image, CATALOG, here)

        with running(settings) as machine:  # the same device again: it does not enrol a second time
            line, seen = machine.wait_for("check-in  verdict=", within_s=BOOT_S)
        text = "\n".join(seen)
        assert line is not None, text
        assert "verdict=attested" in line, text
        print(next(each for each in seen if READY in each))  # as test_booting.py prints it, as a device
        assert "enrols at" not in text
        (again,) = json.loads(armillary_here("device", "list", "--json", env=here).stdout)
        assert (again["device_id"], again["boot_count"]) == (device["device_id"], 2)
