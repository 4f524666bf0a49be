# SPDX-License-Identifier: Apache-2.0
"""``armillary dashboard``: made of a file, listed, shown as the same file, its data, deleted."""

from __future__ import annotations

import json
from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command


def test_a_dashboard_from_the_command_line(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    device = service.make_device().device_id
    tile = {"id": "flow", "kind": "kpi", "x": 0, "y": 0, "w": 3, "h": 2, "source": {"device": device}, "value": "flow"}
    gone = {**tile, "id": "gone", "x": 3, "source": {"group": "never-made"}}
    line = {**tile, "id": "line", "kind": "line", "x": 6, "values": ["flow"]}
    del line["value"]
    body = {"name": "Night shift", "tiles": [tile, gone, line]}
    file = tmp_path / "night.json"
    file.write_text(json.dumps(body))
    made = armillary("dashboard", "create", "--file", str(file))
    assert (made.code, made.err.strip()) == (0, "dashboard night-shift, version 1: 3 tiles")
    assert "night-shift" in armillary("dashboard", "list").out
    assert armillary("dashboard", "show", "-d", "night-shift").json == body
    shown = armillary("dashboard", "data", "-d", "night-shift")
    assert "there is no segment 'never-made'" in shown.out
    assert armillary("dashboard", "data", "-d", "night-shift", "--json").json["tiles"]["flow"]["value"] is None
    then = armillary(
        "dashboard", "data", "-d", "night-shift", "--end", "2026-06-30T12:00:00Z", "--range", "600", "--json"
    )
    assert then.json["tiles"]["line"]["end_ms"] == 1_782_820_800_000
    wrong = armillary("dashboard", "data", "-d", "night-shift", "--end", "yesterday")
    assert (wrong.code, "--end: expected a date or time" in wrong.err) == (1, True)
    assert armillary("dashboard", "delete", "-d", "night-shift", "--yes").code == 0
    assert armillary("dashboard", "show", "-d", "night-shift").code == 1


def test_a_dashboard_that_may_not_be_kept_names_tile_and_field(armillary: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"name": "x", "tiles": [{"id": "a", "kind": "text", "x": 0, "y": 0, "w": 3, "h": 2}]}))
    ran = armillary("dashboard", "create", "--file", str(file))
    assert ran.code == 1
    assert "tile 'a': text: expected one" in ran.err
    assert armillary("dashboard", "create").code == 2
