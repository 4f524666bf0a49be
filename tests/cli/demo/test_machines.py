# SPDX-License-Identifier: Apache-2.0
"""What stands behind the demo's devices: one image for every cable, and a build that does not start."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from armillary.cli.demo import machines
from armillary.cli.guardian.story.site import Site
from armillary.wire.equipment.profile import ModbusRtu
from armillary.wire.equipment.profile_reader import read_json, read_profile
from armillary.wire.equipment.signed_file import read_envelope

CATALOG = uuid.UUID("6a1f0b1e-5b7d-4a06-9d1d-0f6f1c2d3e4f")


@pytest.fixture
def stage(tmp_path: Path) -> Site:
    """A stage on which nothing runs."""
    made = machines.made_in(tmp_path)
    made.notes["catalog_id"] = CATALOG
    made.ready["hub_host"] = "hub.example"
    return made


@pytest.mark.parametrize("name", machines.FIRST_DEVICES)
def test_a_guardian_is_granted_its_machine_and_the_hub(stage: Site, name: str) -> None:
    files = machines.guardian_files(stage, name)
    piece = machines.MACHINES[name]
    capabilities = json.loads(files["app_manifest.json"])["Capabilities"]
    assert capabilities["Uart"] == [piece.line]
    assert capabilities["AllowedConnections"] == ["hub.example"]
    assert capabilities["DeviceAuthentication"] == str(CATALOG)
    (entry,) = json.loads(files["guardian.json"])["equipment"]
    assert (entry["name"], entry["link"]) == (piece.name, {"port": piece.line})


def test_cables_share_a_product_and_an_image_because_the_port_of_a_board_is_all_it_names(stage: Site) -> None:
    assert {machines.MACHINES[name] for name in machines.CABLES} == {machines.MACHINES[machines.CABLE]}
    assert {machines.PRODUCTS[name] for name in machines.CABLES} == {"Smart cable"}
    profile = machines.guardian_files(stage, machines.CABLE)["profiles/cable.dsse"]
    link = read_profile(read_json(read_envelope(profile).payload)).link
    assert isinstance(link, ModbusRtu)


def test_the_build_that_is_wrong_does_not_start(stage: Site, tmp_path: Path) -> None:
    good = machines.guardian_files(stage, machines.CABLE)
    bad = machines.without_a_module(good)
    assert good.keys() - bad.keys() == {machines.LEFT_OUT}
    for path, content in bad.items():
        file = tmp_path / "bad" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-I", "-B", tmp_path / "bad" / "bin" / "app"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "No module named 'armillary.guardian.process'" in done.stderr
