# SPDX-License-Identifier: Apache-2.0
"""Groups, jobs, exports and the application as files on a whole service with simulated devices, killed in the middle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import Service, armillary_here, running_service
from tests.fixtures.waiting import wait_until

DEVICES = 12
TEMPLATE = "connected-waste-management"
GROUP = {"name": "All", "filters": [{"field": "device:connected", "operator": "eq", "value": True}]}


def said(service: Service, *arguments: object, code: int = 0) -> Any:
    done = armillary_here(*arguments, "--json", env=service.env)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def written(data: Path) -> list[dict[str, Any]]:
    folder = data / "hub" / "exports" / "all"
    files = sorted(folder.iterdir()) if folder.exists() else []
    lines = [line for each in files for line in each.read_bytes().split(b"\n")]
    return [json.loads(line) for line in lines[:-1] if line]


@pytest.mark.timeout(300)
@pytest.mark.long
@pytest.mark.e2e
def test_the_service_is_killed_in_a_job_and_in_an_export_and_both_go_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(data) as first:
        token = first.ready["token"]
        said(first, "template", "use", TEMPLATE, "--devices", DEVICES)
        (tmp_path / "group.json").write_text(json.dumps(GROUP))
        said(first, "group", "create", "--file", tmp_path / "group.json", "--id", "connected")
        wait_until(
            lambda: len(said(first, "group", "members", "-g", "connected")) == DEVICES, "every device to connect"
        )
        said(first, "export", "create", "--name", "all", "--files", "--add", "where=device:catalog")
        job = "job create --name label --group connected --set label=x --batch 2 --pause 1s --run"
        run = said(first, *job.split())
        assert (run["state"], run["total"]) == ("running", DEVICES)
        wait_until(lambda: said(first, "job", "show", "-j", "label")["run"]["done"] >= 4, "some devices to be done")
        wait_until(lambda: len(written(data)) > DEVICES, "records in the export")
        first.kill()
    with running_service(data, token) as second:
        ended = wait_until(
            lambda: (run := said(second, "job", "show", "-j", "label")["run"])["state"] != "running" and run,
            "the run to end",
        )
        assert (ended["state"], ended["counts"]["succeeded"]) == ("completed", DEVICES)
        results = said(second, "job", "results", "-j", "label")
        for each in results:
            twin = said(second, "device", "twin", "show", "-d", each["device_id"])
            assert twin["properties"]["desired"]["label"] == "x"
        before = len(written(data))
        wait_until(lambda: len(written(data)) > before + DEVICES, "the export to go on")
        status = said(second, "export", "show", "-e", "all")["status"]
        assert (status["state"], status["cursor"]["missed"], status["cursor"]["dead"]) == ("running", 0, 0)
        folder = tmp_path / "application"
        assert armillary_here("application", "export", folder, env=second.env).returncode == 0
        plan = said(second, "application", "import", folder, "--dry-run")
        assert plan["counts"]["same"] > 5
        assert plan["counts"]["new"] + plan["counts"]["changed"] + plan["counts"]["deleted"] == 0
    records = written(data)
    assert {each["enrichments"]["where"] for each in records} == {"Simulated"}
    numbers = {int(each["id"].split("-")[1]) for each in records}
    assert numbers == set(range(min(numbers), max(numbers) + 1))  # no block of the log is left out
