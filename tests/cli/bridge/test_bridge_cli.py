# SPDX-License-Identifier: Apache-2.0
"""``armillary bridge`` as people type it: let a fleet in, upload, deploy, see what a device did."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, fresh
from tests.cli.conftest import Command
from tests.fixtures.certificates import self_signed
from tests.fixtures.controllers import Controller

from armillary.cli.bridge import artifact

GROUP = ("-p", "Coffee", "-dg", "Production")


@pytest.fixture
def catalog(service: RunningService) -> str:
    return service.make_catalog(fresh("c"), product="Coffee")


@pytest.fixture
def name() -> str:
    return f"gw-{uuid.uuid4().hex[:8]}"


def test_a_fleet_is_let_in_as_its_administrator_says(armillary: Command, catalog: str, tmp_path: Path) -> None:
    show = ("bridge", "admission", "-c", catalog)
    shown = armillary(*show, "--json").json
    assert (shown["target_tokens"], shown["gateway_token"], shown["certificates"]) == (False, False, False)
    assert shown["tenant"] == catalog.lower()
    changed = armillary(*show, "--target-tokens", "on", "--gateway-token", "new", "--polling", "60")
    assert "this once" in changed.err
    assert (
        armillary(*show, "--registers-into", "Coffee/Field Test", "--json").json["registers_into"]
        == "Coffee/Field Test"
    )
    assert (
        armillary(*show, "--registers-into", "off", "--gateway-token", "off", "--json").json["registers_into"] is None
    )
    refused = armillary(*show, "--polling", "1")
    assert (refused.code, "expected 10 to 86399" in refused.err) == (1, True)
    path, _, _ = self_signed(tmp_path, f"Fleet {uuid.uuid4().hex}", authority=True)
    made = armillary("bridge", "authority", "add", "-c", catalog, "--certificate", str(path), "--json").json
    assert made["fingerprint"] in armillary("bridge", "authority", "list", "-c", catalog).out
    gone = ("bridge", "authority", "remove", "-c", catalog, "--fingerprint", made["fingerprint"], "--yes")
    assert armillary(*gone).code == 0
    assert armillary(*gone).code == 1


def test_from_a_file_to_a_device_that_has_it(
    armillary: Command,
    service: RunningService,
    catalog: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(artifact, "PART_BYTES", 1000)
    content, file = os.urandom(2500), tmp_path / "gateway.swu"
    file.write_bytes(content)
    armillary("bridge", "admission", "-c", catalog, "--target-tokens", "on")
    made = armillary("bridge", "device", "create", "-c", catalog, "--id", name, *GROUP)
    assert "this once" in made.err
    assert "unattested" in made.out
    add = ("bridge", "artifact", "add", "-c", catalog, "--file", str(file), "--name", "gateway", "--version", "2.0")
    image = armillary(*add, "--json").json["image_id"]
    assert armillary(*add).code == 1
    assert image in armillary("bridge", "artifact", "list", "-c", catalog).out
    assert armillary("bridge", "artifact", "show", "-c", catalog, "--id", image, "--json").json["size"] == 2500
    assert armillary("deployment", "create", "-c", catalog, *GROUP, "--images", image).code == 0
    assert armillary("image", "list", "-c", catalog).out.splitlines()[1].split()[:2] == ["gateway", "2.0"]
    assert "gateway 2.0" in armillary("deployment", "list", "-c", catalog, *GROUP).out
    token = armillary("bridge", "device", "token", "-c", catalog, "--id", name, "--json").json["token"]
    device = Controller(service, catalog, name, f"TargetToken {token}")
    assert device.install() == content
    assert "finished" in armillary("bridge", "device", "actions", "-c", catalog, "--id", name).out
    number = str(device.actions()[0]["action"])
    told = armillary("bridge", "device", "action", "-c", catalog, "--id", name, "--action", number).out
    assert "Software bundle installed successfully." in told
    shown = armillary("bridge", "device", "show", "-c", catalog, "--id", name)
    assert "gateway" in shown.out
    assert "hw=1" in shown.out
    closed = armillary("bridge", "device", "cancel", "-c", catalog, "--id", name, "--action", number, "--yes")
    assert (closed.code, "is closed (finished)" in closed.err) == (1, True)
    assert armillary("bridge", "device", "retry", "-c", catalog, "--id", name).code == 1
    in_use = armillary("bridge", "artifact", "delete", "-c", catalog, "--id", image, "--yes")
    assert (in_use.code, "deployment" in in_use.err) == (1, True)
    moved = armillary(
        "bridge", "device", "move", "-c", catalog, "--id", name, "-p", "Coffee", "-dg", "Field Test", "--json"
    )
    assert moved.json["group"] == "Field Test"
    assert armillary("bridge", "device", "delete", "-c", catalog, "--id", name, "--yes").code == 0
    assert armillary("bridge", "device", "list", "-c", catalog, "--json").json == []


def test_what_is_no_file_or_has_no_end_is_not_read_for_ever(
    armillary: Command, catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = ("--name", "gateway", "--version", "2.0", "-c", catalog)
    refused = armillary("bridge", "artifact", "add", "--file", "/dev/zero", *what)
    assert (refused.code, "expected a file" in refused.err) == (1, True), refused.err
    large = tmp_path / "large.swu"
    large.write_bytes(bytes(101))
    monkeypatch.setattr(artifact, "MAX_BYTES", 100)
    refused = armillary("bridge", "artifact", "add", "--file", str(large), *what)
    assert (refused.code, "expected at most 100 bytes" in refused.err) == (1, True), refused.err


def test_a_list_of_devices_with_their_tokens_is_taken_over(
    armillary: Command, service: RunningService, catalog: str, tmp_path: Path
) -> None:
    armillary("bridge", "admission", "-c", catalog, "--target-tokens", "on")
    file = tmp_path / "fleet.csv"
    file.write_text("# id,token\ngw-1,0123456789abcdef-1\ngw-2,\n")
    bring = ("bridge", "device", "import", "-c", catalog, "--file", str(file), *GROUP)
    assert "2 devices made, 0 there before" in armillary(*bring).err
    assert "0 devices made, 2 there before" in armillary(*bring).err
    assert Controller(service, catalog, "gw-1", "TargetToken 0123456789abcdef-1").ask("GET", "").status == 200
    listed = armillary("bridge", "device", "list", "-c", catalog, "--prefix", "gw-", "--json").json
    assert [(each["controller"], each["has_token"]) for each in listed] == [("gw-1", True), ("gw-2", False)]
    file.write_text("gw-3,a,b\n")
    assert "line 1: expected id,token, got 3 fields" in armillary(*bring).err
    good = "# id,token\n\ngw-3,0123456789abcdef-3\n"
    for wrong, says in (
        ("gw-4,short", "line 4: token: expected 16 to 256"),
        ("gw-3,0123456789abcdef-4", "line 4: 'gw-3' is there twice"),
        (",0123456789abcdef-4", "line 4: expected a controller id, got ''"),
        ("gw 4,", "line 4: expected a controller id"),
    ):
        file.write_text(good + wrong)
        refused = armillary(*bring)
        assert (refused.code, says in refused.err, "short" in refused.err) == (1, True, False), refused.err
    listed = armillary("bridge", "device", "list", "-c", catalog, "--prefix", "gw-", "--json").json
    assert [each["controller"] for each in listed] == ["gw-1", "gw-2"], "a list with a mistake makes nothing"
