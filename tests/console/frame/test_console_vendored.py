# SPDX-License-Identifier: Apache-2.0
"""The third-party files are exactly those that were vendored, each with its licence."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

import armillary.console

VENDOR = Path(armillary.console.__file__).parent / "static" / "vendor"
LIBRARIES = tomllib.loads((VENDOR / "vendored.toml").read_text("utf-8"))["library"]


def test_every_vendored_file_has_the_recorded_hash():
    for library in LIBRARIES:
        for name, recorded in library["files"].items():
            assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == recorded, name


def test_no_file_lies_there_unrecorded():
    recorded = {name for library in LIBRARIES for name in library["files"]} | {"vendored.toml"}
    assert {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()} == recorded


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library["name"])
def test_each_library_names_its_project_version_and_licence(library: dict):
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", library["project"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", library["version"])
    assert library["licence"] in ("0BSD", "BSD-2-Clause", "MIT")
    assert library["licence_file"] in library["files"]
    assert len((VENDOR / library["licence_file"]).read_text("utf-8")) > 200


def test_the_versions_are_the_ones_in_the_files():
    text = {library["name"]: library["version"] for library in LIBRARIES}
    assert f'version:"{text["htmx.org"]}"' in (VENDOR / "htmx/htmx.min.js").read_text("utf-8")
    assert f"(v{text['uplot']})" in (VENDOR / "uplot/uPlot.iife.min.js").read_text("utf-8")
    assert f'GDRev="{text["gridstack"]}"' in (VENDOR / "gridstack/gridstack-all.js").read_text("utf-8")
    assert f"Leaflet {text['leaflet']}" in (VENDOR / "leaflet/leaflet.js").read_text("utf-8")
