# SPDX-License-Identifier: Apache-2.0
"""Programs of the maker: what is missing is said with the line that installs it; the script installs the same."""

from __future__ import annotations

import re

import pytest
from tests.fixtures.source_code import ROOT

from armillary.device_image import tools
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.errors import HostError


def test_what_is_missing_is_said_with_the_line_that_installs_it() -> None:
    table = {"a-program-of-nobody": "its-package", "/nowhere/at/all": "another", "sh": "dash"}
    assert tools.missing(table) == ("another", "its-package")
    with pytest.raises(HostError, match="no another, its-package") as refused:
        tools.require(table)
    assert refused.value.remedy == "sudo apt-get install --no-install-recommends another its-package"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_script_installs_what_the_maker_asks_for(architecture: str) -> None:
    text = (ROOT / "scripts/install-image-tools").read_text("utf-8")
    listed: set[str] = set()
    for name in ("packages", architecture):
        listed |= set(re.search(rf"\b{name}=\(([^)]*)\)", text)[1].split())  # type: ignore[index]
    tables = (tools.BUILD, tools.MACHINE, tools.BUILD_FOR[architecture], tools.MACHINE_FOR[architecture])
    assert listed == {package for table in tables for package in table.values()} - {"apt"}


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(HostError, match=r"sh failed with 3: why it failed"):
        tools.run(["sh", "-c", "echo why it failed >&2; exit 3"])


def test_programs_get_a_fixed_environment() -> None:
    said = tools.run(["sh", "-c", "echo $SOURCE_DATE_EPOCH $TZ $LC_ALL"]).decode()
    assert said == f"{tools.MADE_AT} UTC C.UTF-8\n"
