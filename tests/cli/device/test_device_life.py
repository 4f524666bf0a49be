# SPDX-License-Identifier: Apache-2.0
"""A device's life as people type it: made blank, completed, opened for development, handed over, taken out, back."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command


def made(armillary: Command, folder: Path, *options: str) -> str:
    done = armillary("device", "create", "--data", str(folder), "--sandbox", "process", "--json", *options)
    return str(done.json["device_id"])


def test_the_manufacturing_state_moves_forward_here_and_in_the_service(
    armillary: Command, service: RunningService, catalog: str, tmp_path: Path
) -> None:
    folder = ("--data", str(tmp_path / "d"))
    device = made(armillary, tmp_path / "d", "--manufacturing-state", "Blank")
    assert armillary("device", "claim", "-c", catalog, "-d", device).code == 0
    refused = armillary("device", "attest", *folder, "--json")
    assert (refused.code, "device.state" in refused.err) == (1, True), refused.err
    state = ("device", "manufacturing-state")
    blank = armillary(*state, "show", *folder, "--json").json
    assert (blank["manufacturing_state"], blank["accepts_test_key"], blank["runs_rf_tools"]) == ("Blank", True, True)
    update = (*state, "update", *folder, "--yes", "--json", "--state")
    assert armillary(*update, "Module1Complete").json["manufacturing_state"] == "Module1Complete"
    assert armillary("device", "attest", *folder, "--json").json["verdict"] == "attested"
    # Cut short between the service and the device: the same command goes on.
    service.service.registry.lifecycle.advance_manufacturing_state(device, "DeviceComplete", actor="test")
    complete = armillary(*update, "DeviceComplete").json
    assert (complete["manufacturing_state"], complete["accepts_test_key"]) == ("DeviceComplete", False)
    assert service.service.registry.devices.get(device).manufacturing_state == "DeviceComplete"
    back = armillary(*update, "Module1Complete")
    assert (back.code, "only move forward" in back.err) == (1, True)
    assert armillary(*update, "DeviceComplete").code == 0  # nothing to do
    assert armillary(*state, "update", *folder, "--state", "Blank").code == 2


def test_a_capability_file_from_the_service_to_the_device(armillary: Command, catalog: str, tmp_path: Path) -> None:
    devices_here = [made(armillary, tmp_path / name) for name in ("a", "b")]
    for device in devices_here:
        assert armillary("device", "claim", "-c", catalog, "-d", device).code == 0
    capability = ("device", "capability")
    for kind, word in (
        ("ApplicationDevelopment", "EnableCustomerAppDevelopment"),
        ("FieldServicing", "UnlockGatewayD"),
        ("RfTestMode", "EnableRfTestMode"),
    ):
        file = tmp_path / f"{kind}.cap"
        wanted = ("-c", catalog, "-d", devices_here[0], "--type", kind, "--output-file", str(file))
        assert armillary(*capability, "download", *wanted).code == 0
        selected = armillary(*capability, "select", "--data", str(tmp_path / "a"), "--file", str(file), "--json")
        assert selected.json["capabilities"] == [word]
        other = armillary(*capability, "select", "--data", str(tmp_path / "b"), "--file", str(file))
        assert (other.code, "wire.signature" in other.err) == (1, True), other.err
    attached = armillary(*capability, "show-attached", "--data", str(tmp_path / "a"), "--json").json
    assert (attached["capabilities"], attached["runs_rf_tools"]) == (["EnableRfTestMode"], True)
    assert armillary(*capability, "remove", "--data", str(tmp_path / "a"), "--json").json["capabilities"] == []
    assert "capabilities" in armillary(*capability, "show-attached", "--data", str(tmp_path / "b")).out


def test_out_of_service_and_back_by_a_token(armillary: Command, catalog: str, tmp_path: Path) -> None:
    device = made(armillary, tmp_path / "d")
    assert armillary("device", "claim", "-c", catalog, "-d", device).code == 0
    gone = armillary("device", "decommission", "-d", device, "--reason", "scrap", "--yes", "--json")
    assert (gone.json["catalog"], gone.json["health"]) == (None, "revoked")
    assert armillary("device", "restore", "-d", device).code == 1
    recover = ("device", "recover", "--data", str(tmp_path / "d"))
    assert "was decommissioned" in armillary(*recover).err
    allowed = armillary("device", "allow-reprovision", "-d", device, "--expires", "15m")
    assert (allowed.code, "reprovision_until_at" in allowed.out) == (0, True)
    token = armillary("enrolment-token", "create", "-c", catalog, "--json").json["secret"]
    assert armillary(*recover, "--token", token).code == 0
    assert armillary("device", "show", "-d", device, "--json").json["catalog"] == catalog


def test_a_device_is_handed_over(armillary: Command, service: RunningService, catalog: str, tmp_path: Path) -> None:
    device = made(armillary, tmp_path / "d")
    assert armillary("device", "claim", "-c", catalog, "-d", device).code == 0
    taker = f"T-{uuid.uuid4().hex[:10]}"
    target = service.service.registry.catalogs.create(taker, actor="test").catalog_id
    transfer = ("device", "transfer")
    offered = armillary(*transfer, "offer", "-c", catalog, "-d", device, "--to-catalog", str(target), "--json")
    number = offered.json["transfer_id"]
    show, pending = ("device", "show", "-d", device, "--json"), (*transfer, "list", "--pending", "--json")
    assert [row["transfer_id"] for row in armillary(*pending, "-c", taker).json] == [number]
    assert (armillary(*show).json["transfer"] or {})["state"] == "offered"
    assert armillary(*transfer, "accept", "-c", catalog, "--id", number).code == 1
    assert armillary(*transfer, "accept", "-c", taker, "--id", number, "--json").json["state"] == "accepted"
    assert service.service.registry.devices.get(device).catalog == taker
    assert "accepted" in armillary(*transfer, "list", "-c", taker).out
    assert armillary(*pending, "-c", taker).json == []
    came = armillary(*show).json["transfer"]
    assert (came["state"], came["from_catalog"], came["to_catalog"]) == ("accepted", catalog, taker)
    assert armillary(*transfer, "decline", "-c", taker, "--id", number).code == 1
    assert armillary(*transfer, "cancel", "-c", catalog, "--id", number).code == 1


def test_an_application_is_loaded_by_hand_while_the_device_is_open(
    armillary: Command, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    device = made(armillary, tmp_path / "d")
    assert armillary("device", "claim", "-c", catalog, "-d", device).code == 0
    folder = tmp_path / "app"
    (folder / "bin").mkdir(parents=True)
    component = str(uuid.uuid4())
    manifest = {"SchemaVersion": 1, "Name": "Mine", "ComponentId": component, "EntryPoint": "/bin/app", "CmdArgs": []}
    (folder / "app_manifest.json").write_text(json.dumps({**manifest, "Capabilities": {}}))
    (folder / "bin" / "app").write_text("#!/bin/sh\nexec sleep 600\n")
    package = str(tmp_path / "mine.imagepackage")
    pack = ("image-package", "pack-application", "--package-directory", str(folder), "--output-file", package)
    packed = armillary(*pack, "--executables", "bin/app")
    assert packed.code == 0, packed.err
    deploy = ("device", "sideload", "deploy", "--data", str(tmp_path / "d"), "--image-package", package, "--json")
    refused = armillary(*deploy)
    assert (refused.code, "takes no application by hand" in refused.err) == (1, True), refused.err
    cap = str(tmp_path / "dev.cap")
    wanted = ("-c", catalog, "-d", device, "--type", "ApplicationDevelopment", "--output-file", cap)
    assert armillary("device", "capability", "download", *wanted).code == 0
    assert armillary("device", "capability", "select", "--data", str(tmp_path / "d"), "--file", cap).code == 0
    assert armillary(*deploy).json["component_id"] == component
    delete = ("device", "sideload", "delete", "--data", str(tmp_path / "d"), "--component-id", component)
    assert armillary(*delete).code == 0
    assert armillary(*delete).code == 1
