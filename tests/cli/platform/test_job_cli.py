# SPDX-License-Identifier: Apache-2.0
"""``armillary job``: made, run and waited for, results, run again, cancelled."""

from __future__ import annotations

import json
from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command


def test_jobs_from_the_command_line(
    armillary: Command, service: RunningService, catalog: str, device: str, tmp_path: Path
) -> None:
    name = catalog
    assert armillary("segment", "create", "--name", name, "-c", name).code == 0
    made = armillary(
        "job", "create", "--name", name, "-g", name, "-c", name, "--set", "limit=5", "--set", "mode=auto",
        "--batch", "50%", "--pause", "1s", "--abort", "10", "--wait", "--json",
    )  # fmt: skip
    run = made.json
    assert (run["state"], run["counts"]["succeeded"]) == ("completed", 1)
    assert run["definition"]["batch"] == {"percent": 50, "pause_s": 1}
    assert service.hub.twins.get(device).desired.properties == {"limit": 5, "mode": "auto"}
    assert "set-property" in armillary("job", "list", "-c", name).out
    assert "completed" in armillary("job", "show", "-j", name, "-c", name).out
    rows = armillary("job", "results", "-j", name, "-c", name, "--json").json
    assert [each["device_id"] for each in rows] == [device]
    assert armillary("job", "results", "-j", name, "--csv").out.splitlines()[0].startswith("device_id,state")
    digest = ("--sha256", "0" * 64, "--within", "2d")
    update = ("--update-package", "2.1=https://example.com/f?v=2", *digest)
    made = armillary("job", "create", "--name", f"{name} u", "-g", name, "-c", name, *update, "--json")
    package = {"version": "2.1", "url": "https://example.com/f?v=2", "sha256": "0" * 64}
    assert made.json["body"]["action"] == {"kind": "update", "package": package, "timeout_s": 172_800}
    moving = armillary("job", "create", "--name", f"{name} m", "-g", name, "--update-group", "Coffee/Test", "--json")
    assert moving.json["body"]["action"]["device_group"] == "Coffee/Test"
    for wrong in ([*update, "--update-group", "A/B"], ["--update-package", "2.1"], []):
        assert armillary("job", "create", "--name", f"{name} w", "-g", name, *wrong).code == 2, wrong
    failing = armillary("job", "create", "--name", f"{name} x", "-g", name, "--command", "blink", "--wait")
    assert failing.code == 1, failing.err
    assert "1 of 1 devices, 1 failed" in failing.err or "failed" in failing.out
    assert armillary("job", "rerun-failed", "-j", f"{name}-x").code == 0
    assert armillary("job", "run", "-j", name, "--wait").code == 0
    assert armillary("job", "rerun-failed", "-j", name).code == 1
    assert "request.conflict" in armillary("job", "cancel", "-j", name).err
    (tmp_path / "job.json").write_text(json.dumps({"name": "f", "group": name, "action": {"kind": "x"}}))
    assert "job.action.kind" in armillary("job", "create", "--file", str(tmp_path / "job.json")).err
    assert "deleted" in armillary("job", "delete", "-j", name, "--yes").err
    assert armillary("job", "create", "--name", "z", "-g", name).code == 2
    assert armillary("job", "create", "--name", "z", "-g", name, "--set", "a").code == 2
