# SPDX-License-Identifier: Apache-2.0
"""The start of ``armillary up``: options that it reads without the command line, and what it leaves out of its process."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from armillary.cli.main import command_of
from armillary.cli.plain_options import port
from armillary.cli.service import start

NOT_AT_REST = ("typer", "difflib", "logging.config", "logging.handlers", "rich", "greenlet", "pydantic.v1", "alembic")


def test_modules_of_a_package_are_loaded_without_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "wsgiref"]:
        monkeypatch.delitem(sys.modules, name)
    start._leave_out_entry("wsgiref", Headers="headers")
    assert importlib.import_module("wsgiref").Headers is importlib.import_module("wsgiref.headers").Headers
    assert importlib.import_module("wsgiref").__doc__ is None  # which its entry has
    monkeypatch.delitem(sys.modules, "wsgiref")
    assert importlib.import_module("wsgiref").__doc__
    start._leave_out_entry("wsgiref")
    assert importlib.import_module("wsgiref").__doc__


def test_plain_options_are_read_as_the_command_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, object]] = []
    monkeypatch.setattr("armillary.cli.service.up.start", seen.append)
    values = {Path: "a folder", port: "0", str: "a=b"}
    names = {f"--{name.replace('_', '-')}": values[kind] for name, kind in start.OPTIONS.items()}
    apart = [part for option in names.items() for part in option]
    joined = [f"{name}={value}" for name, value in names.items()]
    for given in ([*apart, "--json"], ["--json", *joined]):
        command_of("up")(args=given, standalone_mode=False)
        assert start.plain_options(given) == seen.pop()  # of every option of the command
    assert start.plain_options([]) == {}


def test_the_service_goes_on_without_the_command_line(tmp_path: Path) -> None:
    """The real start with an address that is not here: everything is loaded by then, and nothing listens."""
    program = (
        "import sys, atexit; from armillary.cli.main import run\n"
        f"atexit.register(lambda: print('loaded:', *[each for each in {NOT_AT_REST!r} if sys.modules.get(each)]))\n"
        "run(['up', '--data', sys.argv[1], '--host', sys.argv[2], *sys.argv[3:]])"
    )

    def ended(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(tmp_path / "data"), "192.0.2.1", *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    plain = ended("--json", "--api-port", "0", "--device-port", "0", "--hub-port", "0")
    assert (plain.returncode, plain.stdout) == (1, "loaded:\n")
    assert "cannot listen on 192.0.2.1:0 (" in plain.stderr
    wrong = ended("--api-port", "x")
    assert (wrong.returncode, wrong.stdout.split()[:2]) == (2, ["loaded:", "typer"])
    assert "--api-port" in wrong.stderr
