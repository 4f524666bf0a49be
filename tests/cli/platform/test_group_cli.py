# SPDX-License-Identifier: Apache-2.0
"""``armillary segment``: made from filters or a file, listed, its members, deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.cli.platform.group import filter_of


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("telemetry:temperature>40", ("telemetry:temperature", "gt", 40)),
        ("telemetry:temperature >= 40.5", ("telemetry:temperature", "ge", 40.5)),
        ("cloud:site=north", ("cloud:site", "eq", "north")),
        ('cloud:number="12"', ("cloud:number", "eq", "12")),
        ("device:connected=true", ("device:connected", "eq", True)),
        ("device:health!=attested", ("device:health", "ne", "attested")),
        ("tag:floors~3", ("tag:floors", "contains", 3)),
        ("property:mode", ("property:mode", "exists", True)),
        ("cloud:formula=a=b", ("cloud:formula", "eq", "a=b")),
    ],
)
def test_a_filter_as_people_write_it(text: str, wanted: tuple[Any, ...]) -> None:
    assert tuple(filter_of(text).values()) == wanted


@pytest.mark.parametrize("text", ["", "temperature>4", ">4", ":x=1"])
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        filter_of(text)


def test_groups_from_the_command_line(
    armillary: Command, service: RunningService, catalog: str, device: str, tmp_path: Path
) -> None:
    name = catalog
    made = armillary(
        "group", "create", "--name", f"Never seen {name}", "-w", "device:health=never", "-c", name, "--json"
    )
    group = made.json["id"]
    assert group == f"never-seen-{name.lower()}"
    listed = armillary("segment", "list", "-c", name)
    assert group in listed.out
    assert "Never seen" in armillary("segment", "show", "-g", group).out
    members = armillary("segment", "members", "-g", group, "--json").json
    assert [each["device_id"] for each in members] == [device]
    assert device[:12] in armillary("segment", "members", "-g", group).out
    (tmp_path / "g.json").write_text(json.dumps({"name": "Changed", "catalog": name, "template": "none"}))
    again = ("segment", "create", "--file", str(tmp_path / "g.json"), "--id", group)
    refused = armillary(*again)
    assert refused.code == 1
    assert f"there is a segment {group!r} already: nothing was changed" in refused.err
    assert "--replace" in refused.err
    assert "Never seen" in armillary("segment", "show", "-g", group).out
    assert armillary(*again, "--replace").code == 0
    assert "No device is in this segment" in armillary("segment", "members", "-g", group).err
    assert armillary("job", "create", "--name", name, "-g", group, "-c", name, "--set", "a=1").code == 0
    held = armillary("segment", "delete", "-g", group, "--yes")
    assert (held.code, f'job "{name}"' in held.err, "--force" in held.err) == (1, True, True)
    assert armillary("segment", "show", "-g", group).code == 0
    assert "deleted" in armillary("segment", "delete", "-g", group, "--yes", "--force").err
    gone = armillary("segment", "show", "-g", group)
    assert (gone.code, "request.not-found" in gone.err) == (1, True)
    (tmp_path / "bad.json").write_text("[1]")
    assert "JSON object" in armillary("segment", "create", "--file", str(tmp_path / "bad.json")).err
    assert armillary("segment", "create").code == 2


def test_lists_are_narrowed_by_a_text(armillary: Command, catalog: str) -> None:
    for name in ("Cold room 100%", "Cold store", "Warm"):
        armillary("segment", "create", "--name", f"{name} {catalog}", "-w", "device:health=never", "-c", catalog)
    found = armillary("segment", "list", "-c", catalog, "--search", "cOLD", "--json").json
    assert [each["body"]["name"] for each in found] == [f"Cold room 100% {catalog}", f"Cold store {catalog}"]
    assert len(armillary("segment", "list", "-c", catalog, "-s", "100%", "--json").json) == 1
    nothing = armillary("segment", "list", "-c", catalog, "-s", "0_")
    assert (nothing.code, nothing.out + nothing.err) == (0, "No segment has '0_' in its name or id.\n")
    for noun in ("rule", "dashboard", "job", "export", "template", "picture", "organisation"):
        nothing = armillary(noun, "list", "-c", catalog, "-s", "zq nothing")
        assert (nothing.code, "has 'zq nothing' in its name or id." in nothing.out + nothing.err) == (0, True), noun
    refused = armillary("rule", "list", "-s", "x" * 129)
    assert (refused.code, "search" in refused.err) == (1, True)
