# SPDX-License-Identifier: Apache-2.0
"""Device templates from the command line: check, import, publish, give to a device, migrate, export."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command
from tests.twin.template.test_template import CENTRAL, CONTROLLER, THERMOSTAT


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = []
    for name, model in (("controller.json", CONTROLLER), ("thermostat.json", THERMOSTAT)):
        path = tmp_path / name
        path.write_text("\ufeff" + json.dumps(model, indent=2), "utf-8")
        paths.append(str(path))
    return paths


@pytest.fixture
def name(armillary: Command, files: list[str]) -> str:
    made = f"controller-{uuid.uuid4().hex[:8]}"
    assert armillary("template", "import", *files, "-t", made, "--publish").code == 0
    return made


def device(service: RunningService) -> str:
    return service.make_device().device_id


def test_models_are_checked_without_a_service(bare: Command, files: list[str], tmp_path: Path) -> None:
    found = bare("template", "check", *files, "--json").json
    assert (found["root"], found["interfaces"], found["capabilities"]) == (CONTROLLER["@id"], 2, 6)
    bad = tmp_path / "bad.json"
    bad.write_text(
        json.dumps({**THERMOSTAT, "contents": [{"@type": "Telemetry", "name": "1", "schema": "x"}]}, indent=2)
    )
    ran = bare("template", "check", str(bad))
    assert ran.code == 1
    assert f"{bad}, line 10, contents[0].schema: expected boolean," in ran.err
    assert f"error: {bad}, line 9, contents[0].name: expected a name" in ran.err
    assert "ClassTelemetryPropertyNamePattern), and 1 more [model.invalid]" in ran.err
    missing = bare("template", "check", str(tmp_path / "none.json"))
    assert missing.code == 1
    assert "cannot be read" in missing.err


def test_a_template_is_imported_listed_shown_and_deleted(armillary: Command, files: list[str]) -> None:
    made = f"c-{uuid.uuid4().hex[:8]}"
    ran = armillary("template", "import", *files, "-t", made, "--name", "My controller")
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].split() == ["name", made]
    assert any(line.split()[:3] == ["thermostat1.temperature", "telemetry", "double"] for line in lines)
    assert armillary("template", "publish", "-t", made, "--json").json["version"] == 1
    row = next(each for each in armillary("template", "list", "--json").json if each["name"] == made)
    assert (row["display_name"], row["versions"]) == ("My controller", [1])
    shown = armillary("template", "show", "-t", made, "--version", "1", "--json").json
    assert shown["published_versions"] == [1]
    again = armillary("template", "publish", "-t", made)
    assert (again.code, "[request.conflict]" in again.err) == (1, True)
    assert armillary("template", "delete", "-t", made, "--yes", "--json").json["documents"] == 2


def test_publishing_says_what_is_gone(armillary: Command, name: str, tmp_path: Path, files: list[str]) -> None:
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps({**CONTROLLER, "contents": CONTROLLER["contents"][:2]}))  # type: ignore[index]
    ran = armillary("template", "import", str(fewer), files[1], "-t", name, "--publish")
    assert ran.code == 0, ran.err
    published = armillary("template", "publish", "-t", name)
    assert published.code == 1
    shown = armillary("template", "show", "-t", name, "--version", "2", "--json").json
    assert "reboot" not in [each["name"] for each in shown["capabilities"]]


def test_a_device_gets_a_template_cloud_properties_and_wishes(
    armillary: Command, service: RunningService, tmp_path: Path
) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(CENTRAL))
    made = f"central-{uuid.uuid4().hex[:8]}"
    ran = armillary("template", "import", str(path), "-t", made, "--publish")
    assert ran.code == 0, ran.err
    assert "warning: " in ran.err
    known = device(service)
    assert armillary("device", "template", "show", "-d", known).code == 0
    dry = armillary("device", "template", "set", "-d", known, "-t", made, "--dry-run", "--json").json
    assert (dry["dry_run"], dry["version"]) == (True, 1)
    assert armillary("device", "template", "set", "-d", known, "-t", made).code == 0
    cloud = armillary("device", "cloud-property", "set", "-d", known, "CustomerName=Ann B", "--json").json
    assert cloud["values"] == {"CustomerName": "Ann B"}
    refused = armillary("device", "cloud-property", "set", "-d", known, "CustomerName=" + "x" * 21)
    assert (refused.code, "at most 20 characters" in refused.err) == (1, True)
    wish = armillary("device", "property", "set", "-d", known, "targetTemperature=21.5")
    assert wish.out.splitlines()[1].split()[:5] == ["targetTemperature", "targetTemperature", "pending", "21.5", "°C"]
    service.hub.series.twin(known)
    shown = armillary("device", "template", "show", "-d", known)
    assert 'cloud_properties  {"CustomerName": "Ann B"}' in shown.out
    listed = armillary("template", "devices", "-t", made, "--json").json
    assert [(each["device_id"], each["version"], each["by"]) for each in listed] == [(known, 1, "operator")]
    assert listed[0]["device_name"].endswith(known[:8])
    assert armillary("template", "delete", "-t", made, "--yes").code == 1
    assert armillary("device", "template", "unset", "-d", known, "--yes").code == 0
    kept = armillary("device", "cloud-property", "show", "-d", known)
    assert kept.out.splitlines()[1].split() == ["CustomerName", "Ann", "B"]


def test_all_devices_of_a_template_are_migrated(
    armillary: Command, service: RunningService, name: str, tmp_path: Path, files: list[str]
) -> None:
    known = device(service)
    assert armillary("device", "template", "set", "-d", known, "-t", name).code == 0
    service.hub.twins.change(known, tags={"x": 1})
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**CONTROLLER, "description": "second"}))
    assert armillary("template", "import", str(other), files[1], "-t", name, "--publish").code == 0
    dry = armillary("template", "migrate", "-t", name, "--dry-run", "--json").json
    assert (dry["devices"], dry["losing"], dry["dry_run"]) == (1, 0, True)
    ran = armillary("template", "migrate", "-t", name, "--yes")
    assert ["devices", "1"] in [line.split() for line in ran.out.splitlines()]
    assert armillary("device", "template", "show", "-d", known, "--json").json["version"] == 2


def test_a_template_goes_out_and_comes_back(armillary: Command, name: str, tmp_path: Path) -> None:
    for form in ("dtdl", "central", "document"):
        path = tmp_path / f"{form}.json"
        assert armillary("template", "export", "-t", name, "--form", form, "--output-file", str(path)).code == 0
        again = f"{form}-{uuid.uuid4().hex[:8]}"
        made = armillary("template", "import", str(path), "-t", again, "--json").json
        first = armillary("template", "show", "-t", name, "--json").json
        assert [each["name"] for each in made["capabilities"]] == [each["name"] for each in first["capabilities"]]
    whole = armillary("template", "export", "-t", name, "--form", "document", "--output-file", "-")
    assert whole.json["root"] == CONTROLLER["@id"]


def test_values_that_are_no_pairs_are_wrong_usage(armillary: Command, service: RunningService) -> None:
    assert armillary("device", "cloud-property", "set", "-d", device(service), "nothing").code == 2
