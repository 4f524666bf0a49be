# SPDX-License-Identifier: Apache-2.0
"""What cannot be built is refused before anything is fetched or written, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.armillary_processes import armillary_here

from armillary.device_image import build as building, pinning, tools
from armillary.device_image.request.checks import refuse_place, refuse_unknown
from armillary.errors import ArmillaryError, HostError, InvalidArgumentError


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was begun of a build: it has to stay empty."""
    begun: list[str] = []

    def begin(*_: object, **__: object) -> None:
        begun.append("begun")
        raise HostError("it has begun", remedy="")

    monkeypatch.setattr(building, "fetch", begin)
    monkeypatch.setattr(pinning, "newest", begin)
    monkeypatch.setattr(tools, "require", lambda *_: None)
    monkeypatch.setattr(tools, "lower_priority", lambda: None)
    return begun


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("build", "--pins", "DIR/none"), "none: expected a file with pinned packages: No such file"),
        (("build", "--pins", "DIR"), "expected a file with pinned packages: Is a directory"),
        (("build", "--pins", "DIR/binary"), "binary: expected a file with pinned packages: it is no text"),
        (("build", "--pins", "DIR/text"), "text:1: expected NAME VERSION SHA256, got 'two words'"),
        (("fetch", "--pins", "DIR/none"), "none: expected a file with pinned packages: No such file"),
        (("fetch", "--packages", "DIR/none"), "--packages: expected a folder, got "),
        (("build", "--packages", "DIR/text"), "--packages: expected a folder, got "),
        (("build", "--image", "DIR/text"), "text: expected a folder, "),
        (("build", "--image", "DIR/text/image"), "text/image: expected a folder, "),
        (("fetch", "--image", "DIR/text"), "text: expected a folder, "),
        (("build", "--image", "/proc/x"), "--image /proc/x: expected a folder that this user can write to"),
        (("fetch", "--image", "/proc/x"), "--image /proc/x: expected a folder that this user can write to"),
        (("build", "--simulated-radios", "2"), "expected 0 to 8 with the own kernel, got 2"),
        (
            ("build", "--version", "next"),
            "--version: expected a digit, then at most 31 of a-z, 0-9, . and -, got 'next'",
        ),
        (("build", "--keys", "DIR"), "expected the keys of a build, there is no platform.key"),
        (("build", "--arch", "armhf", "--kernel", "own"), "--kernel own: expected one of"),
        (("pin", "--output-file", "DIR/no/pins"), "no/pins: expected a file in a folder: there is no folder"),
        (("pin", "--output-file", "DIR"), "expected a file in a folder: it is a folder"),
    ],
)
def test_a_slip_is_named_and_nothing_is_begun(
    tmp_path: Path, touched: list[str], words: tuple[str, ...], named: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text").write_text("two words\n")
    verb, *given = [word.replace("DIR", str(tmp_path)) for word in words]
    place = [] if verb == "pin" or "--image" in given else ["--image", str(tmp_path / "new/image")]
    done = armillary_here("image", verb, *given, *place, env={})
    assert (done.returncode, named in done.stderr) == (1, True), done.stderr
    assert touched == []
    assert {each.name for each in tmp_path.iterdir()} == {"binary", "text"}


def test_a_folder_in_which_nothing_can_be_made_is_refused(tmp_path: Path) -> None:
    """Root may write anywhere, and cannot in /proc: it is tried."""
    with pytest.raises(
        HostError, match=r"--image /proc/x: expected a folder that this user can write to, /proc is none"
    ):
        refuse_place(Path("/proc/x"))
    refuse_place(tmp_path / "new/image")
    assert list(tmp_path.iterdir()) == []


def test_an_architecture_that_nobody_builds_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="architecture: expected x86_64, arm64, imx8mp, armhf, got 'riscv'"):
        refuse_unknown("riscv", own_kernel=False)
    refuse_unknown("arm64", own_kernel=True)


def test_every_refusal_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (lambda: refuse_place(tmp_path / "file"), lambda: refuse_unknown("", own_kernel=False)):
        with pytest.raises(ArmillaryError) as error:
            wrong()
        assert error.value.remedy
