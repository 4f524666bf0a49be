# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian equipment``: modules of a guardian's device with the template that their profile makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh
from tests.cli.conftest import Command

from armillary import content

COFFEE = (content.folder("equipment") / "coffee.yaml").read_text("utf-8")


@pytest.fixture
def device(service: RunningService) -> str:
    return service.claimed(service.make_catalog(fresh("Stores"), product="Coffee")).device_id


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile of its own name, so that nobody else's template is concerned."""
    path = tmp_path / "machine.yaml"
    path.write_text(COFFEE.replace("guard/coffee", f"shop/{fresh('machine').lower()}"), "utf-8")
    return path


def test_equipment_has_the_template_of_its_profile_as_it_is_now(
    armillary: Command, service: RunningService, device: str, profile: Path
) -> None:
    def add(name: str) -> Any:
        return armillary("guardian", "equipment", "add", device, name, "--profile", str(profile), "--json").json

    def contents(template: str) -> str:
        return str(service.call("GET", f"/api/v1/templates/{template}").body["body"]["models"])

    first = add("espresso1")
    assert first["version"] == 1
    assert (add("espresso1"), add("espresso2")["version"]) == (first, 1)
    profile.write_text(profile.read_text().replace("  cupTemp:", "  cupWarmth:").replace("cupTemp", "cupWarmth"))
    changed = add("espresso1")
    assert (changed["template"], changed["version"]) == (first["template"], 2)
    assert "cupWarmth" in contents(first["template"])
    assert add("espresso1") == changed
    assigned = service.call("GET", f"/api/v1/devices/{device}/template?module=espresso1").body
    assert (assigned["template"], assigned["version"]) == (first["template"], 2)


def test_equipment_has_the_template_that_is_shipped_for_it_with_all_that_is_kept_there(
    armillary: Command, service: RunningService, device: str
) -> None:
    armillary("guardian", "content", "put", "dispenser")
    before = service.call("GET", "/api/v1/templates/guard-dispenser").body
    words = ("guardian", "equipment", "add", device, "dispenser1", "--profile", "guard/dispenser", "--json")
    made = armillary(*words).json
    assert (made["template"], made["version"]) == ("guard-dispenser", max(before["published_versions"]))
    after = service.call("GET", "/api/v1/templates/guard-dispenser").body
    assert after["published_versions"] == before["published_versions"]
    assert [each["name"] for each in after["cloud_properties"]] == ["Ward", "Place", "ComplianceGoal"]
    kept = service.call("PATCH", f"/api/v1/devices/{device}/cloud-properties?module=dispenser1", {"Ward": "Ward East"})
    assert kept.status == 200, kept.raw


def test_equipment_is_listed_and_removed(armillary: Command, device: str, profile: Path) -> None:
    assert armillary("guardian", "equipment", "list", device, "--json").json == []
    armillary("guardian", "equipment", "add", device, "espresso1", "--profile", str(profile))
    (row,) = armillary("guardian", "equipment", "list", device, "--json").json
    assert row["module_id"] == "espresso1"
    assert armillary("guardian", "equipment", "remove", device, "espresso1", "--yes").code == 0
    assert armillary("guardian", "equipment", "list", device, "--json").json == []
