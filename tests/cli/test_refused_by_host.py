# SPDX-License-Identifier: Apache-2.0
"""What the operating system refuses is one line with what to do, in every command, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.armillary_processes import armillary_here

from armillary.cli import main


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["chip", "list"]])
@pytest.mark.parametrize(
    ("unbuffered", "named"), [("", "standard output: No space"), ("1", "this host refuses to go on: No space")]
)
def test_output_that_finds_no_room_is_an_error(words: list[str], unbuffered: str, named: str) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "armillary", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 1
    first, *rest = done.stderr.splitlines()
    assert first == f"error: {named} left on device [host]"
    assert next(line for line in rest if line).startswith("hint: ")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (PermissionError(13, "Permission denied", "/there/file"), "/there/file: Permission denied"),
        (OSError(18, "Invalid cross-device link", "/a", None, "/b"), "/a to /b: Invalid cross-device link"),
        (OSError("what"), "this host refuses to go on: what"),
    ],
)
def test_what_no_command_explains_names_the_file_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, error: OSError, named: str
) -> None:
    def refused(*_: object) -> None:
        raise error

    monkeypatch.setattr(main, "needed", refused)
    done = armillary_here("image", "build", env={})
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"error: {named} [host]")
    assert "hint: See that what it reads" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "armillary", "--help"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
