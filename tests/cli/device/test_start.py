# SPDX-License-Identifier: Apache-2.0
"""The start of ``armillary device boot``: options that it reads without the command line, and what it leaves out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from armillary.cli.device import boot, own_process, start
from armillary.device.rest.settings import RestSettings
from armillary.device.settings import DeviceSettings
from armillary.update.install.trial import TrialRules

VALUES = {
    "data": "a folder",
    "trial": "2.5",
    "mirror": "https://cdn.example.com/updates/",
    "peripheral": "Uart:ISU0=/dev/ttyS1",
    "listen": "127.0.0.1",
    "board": "mt3620-simulated",
    "private_network": "eth1",
    "modem_port": "/dev/ttyUSB2",
    "modem_interface": "wwan0",
    "rest": "127.0.0.1:0",
    "rest_token_file": "token",
    "rest_list_port": "48938",
    "rest_interface": "eth0",
}
# What the process of a device is to be without, wherever it comes from.
NOT_IN_A_DEVICE = (
    "typer",
    "difflib",
    "structlog",
    "greenlet",
    "rich",
    "sqlalchemy",
    "pydantic",
    "pickle",
    "urllib.request",
)


def test_plain_options_are_read_as_the_command_reads_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("token").write_text("a-token-of-sixteen-bytes\n")
    Path("token").chmod(0o600)
    seen: list[tuple[Path, DeviceSettings, bool]] = []

    def be_device(data: Path, settings: DeviceSettings, *, as_json: bool) -> None:
        seen.append((data, settings, as_json))

    monkeypatch.setattr(boot, "be_device", be_device)
    monkeypatch.setattr(own_process, "be_device", be_device)
    assert set(VALUES) == set(start.OPTIONS)
    names = {f"--{name.replace('_', '-')}": value for name, value in VALUES.items()}
    apart = [part for option in names.items() for part in option]
    for given in ([*apart, "--json"], ["--simulated-wifi", *(f"{name}={value}" for name, value in names.items())]):
        get_command(boot.app)(args=["boot", *given], standalone_mode=False)
        options = start.plain_options(given)
        assert options is not None
        start.start(options)
        assert seen.pop() == seen.pop()
    start.start(start.plain_options([*apart, *apart[4:6], "--json"]) or {})
    data, settings, as_json = seen.pop()
    assert (data, as_json, settings.trial) == (Path("a folder"), True, TrialRules(healthy_s=2.5))
    assert settings.mirrors == (VALUES["mirror"], VALUES["mirror"])
    assert isinstance(settings.rest, RestSettings)
    assert settings.rest.token == b"a-token-of-sixteen-bytes"


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--json"],
        ["--help"],
        ["--data", "x", "--trial", "0.01"],
        ["--data", "x", "--trial", "1e3"],
        ["--data", "x", "--rest-list-port", "65536"],
        ["--data", "x", "--data", "y"],
        ["--data", "x", "y"],
    ],
)
def test_everything_else_is_left_to_the_command(given: list[str]) -> None:
    assert start.plain_options(given) is None


def test_the_process_of_a_device_is_without_the_command_line(tmp_path: Path) -> None:
    """The real start at a folder without a device: everything that a start loads is loaded by then."""
    program = (
        "import sys, atexit; from armillary.cli.main import run\n"
        f"atexit.register(lambda: print('loaded:', *[each for each in {NOT_IN_A_DEVICE!r} if each in sys.modules]))\n"
        "run(['device', 'boot', '--data', sys.argv[1], *sys.argv[2:]])"
    )

    def ended(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, str(tmp_path / "none"), *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    plain = ended("--json")
    assert (plain.returncode, plain.stdout) == (1, "loaded:\n"), plain.stderr
    assert "[host.data-folder]" in plain.stderr
    wrong = ended("--trial", "x")
    assert (wrong.returncode, wrong.stdout.split()[:2]) == (2, ["loaded:", "typer"])
    assert "--trial" in wrong.stderr
