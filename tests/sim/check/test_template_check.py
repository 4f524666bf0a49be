# SPDX-License-Identifier: Apache-2.0
"""The checker of application templates finds what does not fit; every break has the untouched copy as its control."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import armillary
from armillary import content
from armillary.content import application_templates as shipped
from armillary.sim.check import template as template_check

NAME = "connected-waste-management"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(str(content.folder("templates") / NAME), tmp_path / "templates" / NAME)
    monkeypatch.setattr(content, "folder", lambda kind: tmp_path / kind)
    monkeypatch.setattr(template_check, "LOOKS", 50)  # the shipped ones are looked at wholly: test_content_check.py
    return tmp_path / "templates" / NAME


def test_no_two_templates_share_an_id():
    ids: list[tuple[str, str]] = []
    for name in shipped.names():
        template = shipped.load(name)
        ids += [*template.documents, *(("template", each["id"]) for each in template.head["template"])]
        ids.append(("product", template.head["product"]))
    assert len(set(ids)) == len(ids)


def test_copy_is_valid(copied: Path):
    """Positive control of everything below."""
    assert copied.is_dir()
    assert list(template_check.templates()) == []


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        text = path.read_text("utf-8")
        assert old in text, f"{file} has no {old}"
        path.write_text(text.replace(old, new), "utf-8")

    return change


def without(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (replaced("template.toml", 'sector = "Government"', ""), "template.toml: sector"),
        (replaced("template.toml", "[[template]]", "[[tem"), "expected a readable template"),
        (replaced("template.toml", "ConnectedWasteBin;1", "AnotherBin;1"), "AnotherBin"),
        (replaced("models/waste-bin.json", '"schema": "geopoint"', '"schema": "nowhere"'), "models"),
        (replaced("models/waste-bin.json", '"name": "Weight"', '"name": "Mass"'), "signal Mass"),
        (
            replaced("models/waste-bin.json", '"schema": "boolean"', '"schema": "string"'),
            "signal Tilted: expected text",
        ),
        (replaced("models/waste-bin.json", '"maxValue": 400', '"maxValue": 20'), "signal Weight: expected at most 20"),
        (replaced("devices.toml", 'unit = "kilogram"', 'unit = "tonne"'), "signal Weight: unit: expected kilogram"),
        (replaced("devices.toml", 'kind = "walk"', 'kind = "stroll"'), "expected a kind of"),
        (replaced("devices.toml", 'of = "_net"', 'of = "Weight"'), "signal Weight: expected other signals"),
        (replaced("devices.toml", "lasts_s = 420", "lasts_s = 42000"), "lasts_s and jitter_s that fit"),
        (replaced("devices.toml", "[device.commands.Calibrate]", "[device.commands.Fly]"), "command Calibrate"),
        (replaced("devices.toml", "BinFullAlertThreshold = 95", "Threshold = 95"), "cloud property Threshold"),
        (replaced("devices.toml", 'template = "waste-bin"', 'template = "waste-basket"'), "template: expected one of"),
        (
            replaced("devices.toml", 'kind = "setting", initial = 5', 'kind = "constant", value = 5'),
            "a writable property",
        ),
        (replaced("devices.toml", "count = 2", "count = 200"), "expected at most 100 devices"),
        (replaced("dashboards/waste-operations.json", '"value": "Weight"', '"value": "Mass"'), "tile rubbish: value"),
        (replaced("dashboards/waste-operations.json", '"kind": "map"', '"kind": "atlas"'), "expected one of"),
        (replaced("dashboards/waste-operations.json", '"location": "Location"', '"location": "Weight"'), "a geopoint"),
        (replaced("dashboards/waste-operations.json", "/bin.svg", "/lid.svg"), "tile bin: image"),
        (replaced("dashboards/waste-operations.json", '"Calibrate"', '"Explode"'), "command: expected one of"),
        (replaced("dashboards/waste-operations.json", '"waste-bins"', '"no-bins"'), "source: expected a group"),
        (replaced("rules/waste-fire.json", '"Temperature"', '"Heat"'), "rules/waste-fire.json: telemetry Heat"),
        (replaced("rules/waste-bin-full.json", '"BinFullAlertThreshold"', '"Limit"'), "cloud.Limit"),
        (replaced("rules/waste-fire.json", '"template": "waste-bin"', '"template": "bin"'), "target.template"),
        (replaced("rules/waste-fire.json", '"op": ">"', '"op": "hotter"'), "rules/waste-fire.json"),
        (replaced("groups/waste-bins.json", '"template": "waste-bin"', '"template": "bin"'), "groups/waste-bins.json"),
        (replaced("groups/waste-bins-to-empty.json", "FillLevel", "Fullness"), "field: expected one of"),
        (
            replaced("images/bin.svg", "<title>", "<script>alert(1)</script><title>"),
            "images/bin.svg: expected no script",
        ),
        (replaced("images/bin.svg", "<title>", '<image href="https://example.com/a.png"/><title>'), "no script"),
        (replaced("images/bin.svg", "</svg>", ""), "images/bin.svg: expected XML"),
        (replaced("images/bin.svg", "SPDX-License-Identifier", "licence"), "images/bin.svg: expected a comment"),
        (without("images/brand.svg"), "tile brand: image"),
        (without("README.md"), "expected a readable template"),
        (replaced("README.md", "**After the public one.**", "After."), "README.md: expected a paragraph"),
    ],
)
def test_break_is_found(copied: Path, change: Callable[[Path], None], fault: str):
    change(copied)
    found = list(template_check.templates())
    assert any(fault in each for each in found), found


def test_a_picture_that_nothing_shows_is_found(copied: Path):
    shutil.copy(copied / "images" / "bin.svg", copied / "images" / "spare.svg")
    assert any("images/spare.svg: expected a dashboard" in each for each in template_check.templates())


def test_an_id_of_two_templates_is_found(copied: Path):
    shutil.copytree(copied, copied.parent / "another")
    assert any("is in another already" in each for each in template_check.templates())


# What no program may know: industries are data. Beside the templates' own names and companies; words that mean something
# else here as well (Retail is a feed of OS releases) cannot be among them.
WORDS = ("logistics", "solar", "healthcare", "smart meter", "water meter", "wearable", "pallet", "grocery")


def test_no_industry_is_named_in_any_program():
    root = Path(armillary.__file__).parent
    names = [each for name in shipped.names() for each in (name, name.replace("-", "_"))]
    # Contoso and Adatum stand for anybody in public samples.
    companies = [name for name in (str(shipped.head(each)["operator"]) for each in shipped.names()) if " " in name]
    alternatives = "|".join(re.escape(each.lower()) for each in (*names, *companies))
    named = re.compile(rf"{alternatives}|\b(?:{'|'.join(WORDS)})\b")  # lower case: a third of the time
    assert named.search("the bin of connected-waste-management")
    assert named.search("for solar panels")
    for path in sorted(root.rglob("*.py")):
        found = named.search(path.read_text("utf-8").lower())
        assert found is None, f"{path}: {found.group() if found else ''}"


def test_documents_are_written_one_way():
    """Two spaces, as the store exports them: a change is seen as the lines that changed."""
    for path in sorted(Path(str(content.folder("templates"))).rglob("*.json")):
        text = path.read_text("utf-8")
        assert json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" == text, path
