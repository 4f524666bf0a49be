# SPDX-License-Identifier: Apache-2.0
"""`armillary device boot --machine …` ends with its machine, however that ends; what it is given is looked at first."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.fixtures.machine_files import files_of
from typer.testing import CliRunner

from armillary.cli.device import boot
from armillary.device_image import tools, virtual_machine
from armillary.errors import ArmillaryError, InvalidArgumentError

WRONG_OPTION = "print('BdsDxe: loading'); print('qemu-system-x86_64: -fw_cfg: no such file'); raise SystemExit(1)"
# It says nothing of itself: somebody ended it.
KILLED = f"import os; print('armillary: ready', flush=True); os.kill(os.getpid(), {int(signal.SIGKILL)})"
SWITCHED_OFF = "print('reboot: Power down')"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return files_of(tmp_path / "image", "x86_64")


def booted(image: Path, monkeypatch: pytest.MonkeyPatch, program: str, *more: str) -> tuple[int, list[str], str]:
    """How the command ends whose emulator is this program; the lines of the console; what is on stderr."""
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(virtual_machine, "arguments", lambda *_: [sys.executable, "-c", program])
    words = ["boot", "--data", str(image.with_name("machine")), "--machine", "x86_64", "--no-tpm", "--json"]
    ended = CliRunner().invoke(boot.app, [*words, "--image", str(image), *more])
    if isinstance(ended.exception, ArmillaryError):
        raise ended.exception
    return ended.exit_code, [json.loads(line)["line"] for line in ended.stdout.splitlines()], ended.stderr


def test_an_emulator_that_ends_by_itself_is_an_error_with_its_code(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, console, said = booted(image, monkeypatch, WRONG_OPTION)
    assert code == 1
    assert console[0] == "BdsDxe: loading"
    assert "(QEMU) ended by itself, with code 1: qemu-system-x86_64: -fw_cfg: no such file" in said


def test_an_emulator_that_was_killed_is_an_error_as_a_shell_counts(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, console, said = booted(image, monkeypatch, KILLED)
    assert (code, console) == (137, ["armillary: ready"])
    assert "ended by itself, by signal 9" in said


def test_a_machine_that_switches_itself_off_is_none(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, console, said = booted(image, monkeypatch, SWITCHED_OFF)
    assert (code, console) == (0, ["reboot: Power down"])
    assert "error" not in said


@pytest.mark.parametrize("what", ["none", "a folder", "a pipe", "no enrolment"])
def test_an_enrolment_is_looked_at_before_anything_is_made(
    what: str, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = image.with_name("enrolment, or not.json")
    if what == "a folder":
        file.mkdir()
    elif what == "a pipe":
        os.mkfifo(file)
    elif what == "no enrolment":
        file.write_text("{}", "ascii")
    with pytest.raises(InvalidArgumentError) as caught:
        booted(image, monkeypatch, SWITCHED_OFF, "--enrolment", str(file))
    assert (str(file) in caught.value.message) == (what != "no enrolment")
    assert ("is not there" in caught.value.message) == (what == "none")
    assert caught.value.remedy
    assert not image.with_name("machine").exists()


def test_an_image_for_a_machine_that_is_made_is_looked_at_and_said_to_be_unread(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    booted(image, monkeypatch, SWITCHED_OFF)
    _, _, said = booted(image, monkeypatch, SWITCHED_OFF)
    assert "--image is for a first start, and not read" in said
    with pytest.raises(ArmillaryError, match=r"nothing-here"):
        booted(image, monkeypatch, SWITCHED_OFF, "--image", str(image.with_name("nothing-here")))


@pytest.mark.parametrize("option", ["--service-link", "--board=mt3620-simulated", "--modem"])
def test_no_option_leaves_anything_where_there_is_no_image(
    option: str, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ArmillaryError, match="no image to make one of"):
        booted(image, monkeypatch, SWITCHED_OFF, option, "--image", str(image.with_name("nothing-here")))
    assert not image.with_name("machine").exists()
