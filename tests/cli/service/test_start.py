# SPDX-License-Identifier: Apache-2.0
"""The start of ``armillary up``: options that it reads without the command line, and what it leaves out of its process."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from armillary.cli.main import command_of
from armillary.cli.plain_options import port
from armillary.cli.service import start
from armillary.settings import Settings

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


@pytest.mark.parametrize(
    ("host", "public_host", "here"),
    [
        ("127.0.0.1", "localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "10.0.2.2", "localhost"),  # a machine's name for the host that it is emulated on
        ("::1", "iot.example", "localhost"),
        ("0.0.0.0", "iot.example", "localhost"),
        ("::", "iot.example", "localhost"),
        ("192.0.2.1", "iot.example", "iot.example"),  # nothing listens at localhost
    ],
)
def test_this_host_has_its_own_name_for_the_service_where_that_leads_to_it(
    host: str, public_host: str, here: str
) -> None:
    assert start.host_here(Settings(host=host, public_host=public_host)) == here


def said(capsys: pytest.CaptureFixture[str], settings: Settings, token: str | None) -> tuple[str, str]:
    service = SimpleNamespace(device_address=SimpleNamespace(url="https://DEVICES"), first_token=token)
    whole: Any = SimpleNamespace(
        service=service, api_port=8443, ports={"hub_port": 8883}, root_ca=settings.data / "root.pem"
    )
    start._say_ready(whole, settings, as_json=False)
    found = capsys.readouterr()
    return found.out, found.err


def test_a_name_for_others_alone_is_not_what_this_host_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data=tmp_path, public_host="10.0.2.2")
    out, err = said(capsys, settings, "arm_secret")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["api"] == "https://10.0.2.2:8443"
    assert rows["console"] == "https://10.0.2.2:8443/"
    assert rows["on_this_host"] == "https://localhost:8443/"
    login = f"armillary login --service https://localhost:8443 --ca {tmp_path}/root.pem --token arm_secret"
    assert err.splitlines()[1:] == [
        "The token is shown this once. Remember it with:",
        f"  {login}",
        "On other hosts, for which 10.0.2.2 leads here: --service https://10.0.2.2:8443",
    ]
    again, nothing = said(capsys, settings, None)
    assert ("on_this_host     https://localhost:8443/\n" in again, nothing) == (True, "")


def test_one_name_for_all_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys, Settings(data=tmp_path), "arm_secret")
    assert "on_this_host" not in out
    assert err.splitlines()[2:] == [
        f"  armillary login --service https://localhost:8443 --ca {tmp_path}/root.pem --token arm_secret"
    ]
