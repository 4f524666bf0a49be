# SPDX-License-Identifier: Apache-2.0
"""The hub's content for equipment behind guardians fits its profiles; the check finds what does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from armillary import content
from armillary.content import guardian_content
from armillary.errors import NotFoundError
from armillary.sim.check.template import guardians
from armillary.sim.templates.plans import documents_of


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("guardians", "equipment"):
        shutil.copytree(str(content.folder(kind)), tmp_path / kind)
    monkeypatch.setattr(content, "folder", lambda kind: tmp_path / kind)
    return tmp_path


def changed(path: Path, *keys: Any, to: Any) -> None:
    document = json.loads(path.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    path.write_text(json.dumps(document))


def test_shipped_content_fits_its_profiles(copied: Path) -> None:
    assert list(guardians()) == []
    assert guardian_content.names() == ("cable", "coffee", "dispenser")


def test_a_model_that_is_older_than_its_profile_is_found(copied: Path) -> None:
    changed(copied / "guardians/coffee/models/guard-coffee.json", "displayName", to="Old")
    assert list(guardians()) == [
        "guardians/coffee/models/guard-coffee.json: expected what the profile says of itself; run make docs"
    ]


@pytest.mark.parametrize(
    ("file", "keys", "wrong", "said"),
    [
        ("coffee/rules/coffee-fault.json", ("conditions", 0, "telemetry"), "moods", "moods"),
        ("cable/dashboards/guardian-cable.json", ("tiles", 0, "values"), ["damge"], "value: expected one of"),
        ("dispenser/groups/dispensers-ward-east.json", ("filters", 0, "field"), "cloud:Wards", "got Wards"),
        ("cable/rules/cable-hot.json", ("target", "template"), "guard-kettle", "guard-kettle"),
    ],
)
def test_documents_that_name_what_is_not_there_are_found(
    copied: Path, file: str, keys: tuple[Any, ...], wrong: Any, said: str
) -> None:
    changed(copied / "guardians" / file, *keys, to=wrong)
    (fault,) = guardians()
    assert file.removesuffix(".json") in fault
    assert said in fault


def test_every_kind_of_equipment_has_a_template_a_dashboard_rules_and_groups() -> None:
    for name in guardian_content.names():
        kinds = {kind for kind, _ in documents_of(guardian_content.load(name), "Northwind")}
        assert kinds >= {"template", "dashboard", "rule", "group"}


def test_content_that_is_not_there_names_what_is() -> None:
    with pytest.raises(NotFoundError) as refused:
        guardian_content.load("kettle")
    assert "cable, coffee, dispenser" in refused.value.remedy
