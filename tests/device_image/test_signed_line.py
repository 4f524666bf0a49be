# SPDX-License-Identifier: Apache-2.0
"""Words that firmware has added to the signed command line are found by the first program, in C as it is compiled."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.device_image.test_root_tree import compiler_of

from armillary.device_image.recipe import recipe_folder
from armillary.wire.device_image.command_line import DEVELOPMENT, VerifiedRoot, command_line

PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "signed_line.h"
int main(int count, char **words) {
    const char *found = count > 1 ? behind_root(words[1]) : NULL;
    printf("%s", found ? found : "(no root)");
    return 0;
}
"""
ROOT = VerifiedRoot("ab" * 32, "cd" * 32, 8000)
LINES = [
    command_line(ROOT, consoles=("ttyS0",), built_at=1),
    command_line(ROOT, consoles=("tty0", "ttyS0"), built_at=1, more=(DEVELOPMENT, "armillary.slot=b")),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("line")
    (folder / "main.c").write_text(PROGRAM, "ascii")
    words = [compiler_of("x86_64"), "-Wall", "-Wextra", "-Werror", "-I", recipe_folder() / "init"]
    subprocess.run([*words, "-o", folder / "line", folder / "main.c"], check=True, timeout=60)
    return folder / "line"


def behind(program: Path, line: str) -> str:
    return subprocess.run([program, line], check=True, timeout=60, capture_output=True, text=True).stdout


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("end", ["", "\n", " \n"])
def test_a_line_as_the_build_makes_it_has_nothing_behind_its_root(program: Path, line: str, end: str) -> None:
    assert behind(program, line + end) == ""


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    "added", [DEVELOPMENT, "lsm=", "armillary.built=4102444800", f"armillary.root={'0' * 64}:{'0' * 64}:1", "x"]
)
def test_what_was_added_is_found(program: Path, line: str, added: str) -> None:
    assert behind(program, f"{line} {added}\n") == f"{added}\n"


@pytest.mark.parametrize("line", ["", "\n", "quiet", "x.armillary.root=1", "armillary.root"])
def test_a_line_without_a_root_has_none(program: Path, line: str) -> None:
    assert behind(program, line) == "(no root)"
