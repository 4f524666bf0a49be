# SPDX-License-Identifier: Apache-2.0
"""Continuous integration fails for our code alone: what the host lacks leaves the image's tests out, in a loud line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = "########## DEVICE IMAGE NOT TESTED"
Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., tuple[Ran, list[str]]]:
    """Run the script with programs in place of ours, each a line of shell; returns what they were called with, too."""
    log = tmp_path / "called"

    def run(seconds: int = 60, **programs: str) -> tuple[Ran, list[str]]:
        places = {
            "install": "scripts/install-image-tools",
            "armillary": ".venv/bin/armillary",
            "python": ".venv/bin/python",
            "make": "bin/make",
            "df": "bin/df",
            "uname": "bin/uname",
            "nproc": "bin/nproc",
        }
        usual = {"df": "echo Avail; echo 99999", "uname": "echo x86_64", "nproc": "echo 1000"}
        for name, place in places.items():
            file = tmp_path / place
            file.parent.mkdir(parents=True, exist_ok=True)
            line = programs.get(name, usual.get(name, "true"))
            file.write_text(f'#!/bin/sh\necho {name} "$@" >>{log}\n{line}\n')
            file.chmod(0o755)
        shutil.copy(ROOT / "scripts/test-image-in-ci", tmp_path / "scripts")
        done = subprocess.run(
            [tmp_path / "scripts/test-image-in-ci"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "IMAGE_TEST_SECONDS": str(seconds)},
        )
        calls = log.read_text().splitlines()
        return done, [call for call in calls if call.startswith(("armillary", "make"))]

    return run


TESTED = "make --no-print-directory image-test IMAGE_OPTIONS= ARGS=-x"


def test_pinned_packages_are_built_and_tested(ran: Callable[..., tuple[Ran, list[str]]]) -> None:
    done, calls = ran()
    assert (done.returncode, done.stderr) == (0, "")
    assert calls == ["armillary image fetch", TESTED]


def test_tests_that_fail_are_a_failure(ran: Callable[..., tuple[Ran, list[str]]]) -> None:
    done, _ = ran(make="exit 2")
    assert (done.returncode, done.stderr) == (2, "")


def test_tests_that_fail_on_an_overloaded_host_are_said_and_no_failure(
    ran: Callable[..., tuple[Ran, list[str]]],
) -> None:
    done, _ = ran(make="exit 2", nproc="echo -1")  # more than five times that: any load is too much
    assert done.returncode == 0
    assert f"{LEFT_OUT}: tests failed on a host with a load of" in done.stderr
    assert ran(nproc="echo -1")[0].stderr == ""


def test_an_attack_that_was_accepted_is_a_failure_on_any_host(ran: Callable[..., tuple[Ran, list[str]]]) -> None:
    text = (ROOT / "tests/device_image/booted/test_image_attacks.py").read_text("utf-8")
    (sentence,) = re.findall(r'^ACCEPTED = "(.*)"$', text, re.MULTILINE)
    done, _ = ran(make=f"echo 'E  AssertionError: {sentence}'; exit 2", nproc="echo -1")
    assert (done.returncode, done.stderr) == (2, "")
    assert sentence in done.stdout


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({"uname": "echo aarch64"}, "this host is aarch64"),
        ({"df": "echo Avail; echo 12"}, "has 12 MB of room, expected 6000"),
        ({"install": "exit 100"}, "its programs were not installed"),
        ({"python": "exit 1"}, "this host lacks its programs"),
        ({"armillary": "exit 1"}, "neither the pinned ones nor today's"),
    ],
)
def test_what_the_host_lacks_is_said_and_no_failure(
    ran: Callable[..., tuple[Ran, list[str]]], programs: dict[str, str], reason: str
) -> None:
    done, calls = ran(**programs)
    assert done.returncode == 0
    assert LEFT_OUT in done.stderr
    assert reason in done.stderr
    assert TESTED not in calls


def test_a_host_that_is_too_slow_is_said_and_no_failure(ran: Callable[..., tuple[Ran, list[str]]]) -> None:
    done, _ = ran(seconds=1, make="sleep 60")
    assert done.returncode == 0
    assert f"{LEFT_OUT}: this host did not come to an end in 1 s" in done.stderr


def test_packages_of_today_take_the_place_of_pinned_ones_that_are_gone(
    ran: Callable[..., tuple[Ran, list[str]]],
) -> None:
    done, calls = ran(armillary='[ "$*" != "image fetch" ]')
    pins = "--pins .image/pins-of-today.lock"
    assert done.returncode == 0
    assert "pinned packages are not to be had" in done.stderr
    assert LEFT_OUT not in done.stderr
    assert calls == [
        "armillary image fetch",
        "armillary image pin --output-file .image/pins-of-today.lock",
        f"armillary image fetch {pins}",
        f"armillary image build {pins}",
        TESTED.replace("IMAGE_OPTIONS=", f"IMAGE_OPTIONS={pins}"),
    ]
    # Not built of packages that nobody pinned: no fault of our code. Its tests that fail are one.
    done, _ = ran(armillary='case "$*" in "image fetch" | *build*) exit 1 ;; esac')
    assert done.returncode == 0
    assert f"{LEFT_OUT}: it is not built of today's packages" in done.stderr
    done, _ = ran(armillary='[ "$*" != "image fetch" ]', make="exit 2")
    assert done.returncode == 2


def test_all_tests_come_last_and_a_failure_of_the_image_is_kept() -> None:
    lines = [line for line in (ROOT / ".ci/run").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines[-5:] == [
        "image=0",
        "./scripts/test-image-in-ci || image=$?",
        '[ $image = 0 ] || echo "########## DEVICE IMAGE: its tests failed (see above); the other tests follow" >&2',
        "make test",
        "exit $image",
    ]
