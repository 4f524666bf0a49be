# SPDX-License-Identifier: Apache-2.0
"""Continuous integration fails for our code alone: what the host lacks leaves the image's tests out, in a loud line."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.device_image.booted import conftest
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

ROOT = Path(__file__).parents[2]
LEFT_OUT = "########## DEVICE IMAGE NOT TESTED"
Ran = subprocess.CompletedProcess[str]


# Of scripts/host-pace: where tests still hold, and where they still come to an end.
SLOW, FAST = "echo 501", "echo 500"
SLOW_FOR_ALL, FAST_FOR_ALL = "echo 301", "echo 300"
NOT_TO_BE_HAD = "echo 'error: one 1.0 is not to be had [host.packages-missing]' >&2; exit 1"
CRASH = "echo 'Traceback (most recent call last):' >&2; exit 1"


@pytest.fixture
def ran(tmp_path: Path) -> Callable[..., tuple[Ran, list[str]]]:
    """Run the script with programs in place of ours, each a line of shell; returns what they were called with, too."""
    log = tmp_path / "called"

    def run(seconds: int = 60, **programs: str) -> tuple[Ran, list[str]]:
        places = {
            "install": "scripts/install-image-tools",
            "armillary": ".venv/bin/armillary",
            "python": ".venv/bin/python",
            "tests": "scripts/run-image-tests",
            "pace": "scripts/host-pace",
            "df": "bin/df",
            "uname": "bin/uname",
            "nproc": "bin/nproc",
        }
        usual = {"df": "echo Avail; echo 99999", "uname": "echo x86_64", "nproc": "echo 2", "pace": FAST}
        for name, place in places.items():
            file = tmp_path / place
            file.parent.mkdir(parents=True, exist_ok=True)
            line = programs.get(name, usual.get(name, "true"))
            file.unlink(missing_ok=True)  # what measures the pace may still run it: no file that runs is written
            file.write_text(f'#!/bin/sh\necho {name} "$@" >>{log}\n{line}\n')
            file.chmod(0o755)
        shutil.copy(ROOT / "scripts/test-image-in-ci", tmp_path / "scripts")
        log.write_text("")
        done = subprocess.run(
            [tmp_path / "scripts/test-image-in-ci"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "IMAGE_TEST_SECONDS": str(seconds)},
        )
        calls = log.read_text().splitlines()
        return done, [call for call in calls if call.startswith(("armillary", "tests"))]

    return run


TESTED = "tests x86_64 -x"
Runs = Callable[..., tuple[Ran, list[str]]]


def test_pinned_packages_are_built_and_tested(ran: Runs) -> None:
    done, calls = ran()
    assert (done.returncode, done.stderr) == (0, "")
    assert calls == ["armillary image fetch", "armillary image build", TESTED]


def test_tests_that_fail_are_a_failure(ran: Runs) -> None:
    done, _ = ran(tests="exit 2")
    assert done.returncode == 2
    assert LEFT_OUT not in done.stderr
    assert "tests failed, on a host that is fast enough (pace 500, at most 500 is expected)" in done.stderr


def test_tests_that_fail_on_a_host_without_processors_for_them_are_said_and_no_failure(ran: Runs) -> None:
    done, _ = ran(tests="exit 2", pace=SLOW)
    assert done.returncode == 0
    assert f"{LEFT_OUT}: tests failed on a host that takes 5 times as long for its work" in done.stderr
    assert ran(pace=SLOW)[0].stderr == ""


def test_a_pace_that_is_not_to_be_had_excuses_nothing(ran: Runs) -> None:
    assert ran(tests="exit 2", pace="exit 1")[0].returncode == 2


def test_an_image_that_is_not_built_is_a_failure_on_any_host(ran: Runs) -> None:
    done, calls = ran(armillary='[ "$*" != "image build" ] || exit 1', pace=SLOW)
    assert (done.returncode, done.stderr) == (1, "")
    assert TESTED not in calls


def accepted() -> str:
    text = (ROOT / "tests/device_image/booted/test_image_attacks.py").read_text("utf-8")
    (sentence,) = re.findall(r'^ACCEPTED = "(.*)"$', text, re.MULTILINE)
    return f"echo 'E  AssertionError: {sentence}'"


def test_an_attack_that_was_accepted_is_a_failure_on_any_host(ran: Runs) -> None:
    done, _ = ran(tests=f"{accepted()}; exit 2", pace=SLOW)
    assert (done.returncode, done.stderr) == (2, "")
    # Also where the time is over afterwards.
    done, _ = ran(seconds=5, tests=f"{accepted()}; sleep 60", pace=SLOW)
    assert (done.returncode, done.stderr) == (124, "")


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({"uname": "echo aarch64"}, "this host is aarch64"),
        ({"nproc": "echo 1"}, "this host has 1 processor, expected 2"),
        ({"df": "echo Avail; echo 12"}, "has 12 MB of room, expected 6000"),
        ({"install": "exit 100"}, "its programs were not installed"),
        ({"python": "exit 3"}, "this host lacks its programs"),
        ({"armillary": NOT_TO_BE_HAD}, "neither the pinned ones nor today's"),
    ],
)
def test_what_the_host_lacks_is_said_and_no_failure(ran: Runs, programs: dict[str, str], reason: str) -> None:
    done, calls = ran(**programs)
    assert done.returncode == 0
    assert LEFT_OUT in done.stderr
    assert reason in done.stderr
    assert TESTED not in calls


@pytest.mark.parametrize(
    "programs",
    [
        {"install": "exit 1"},
        {"python": CRASH},
        {"armillary": CRASH},
        {"armillary": f'case "$*" in "image fetch") {NOT_TO_BE_HAD} ;; *pin*) {CRASH} ;; esac'},
        {"armillary": f'case "$*" in *--pins*) {CRASH} ;; *fetch) {NOT_TO_BE_HAD} ;; esac'},
    ],
    ids=["installation", "programs", "fetch", "pin", "fetch of today's"],
)
def test_a_fault_of_ours_before_the_build_is_a_failure(ran: Runs, programs: dict[str, str]) -> None:
    done, calls = ran(pace=SLOW, **programs)
    assert done.returncode == 1
    assert LEFT_OUT not in done.stderr
    assert TESTED not in calls


def test_a_host_that_is_too_slow_is_said_and_no_failure(ran: Runs) -> None:
    done, _ = ran(seconds=5, tests="sleep 60", pace=SLOW_FOR_ALL)
    assert done.returncode == 0
    assert f"{LEFT_OUT}: it did not come to an end in 5 s on a host that takes 3 times as long" in done.stderr


def test_what_hangs_on_a_host_that_is_fast_enough_is_a_failure(ran: Runs) -> None:
    done, _ = ran(seconds=10, tests="sleep 60", pace=FAST_FOR_ALL)
    assert done.returncode == 124
    assert "it did not come to an end in 10 s, on a host that is fast enough" in done.stderr
    # Unless bringing packages left too little of the time for it. What fails in that time is a failure.
    brought_late = '[ "$*" != "image fetch" ] || sleep 3'
    done, _ = ran(seconds=5, armillary=brought_late, tests="sleep 60", pace=FAST_FOR_ALL)
    assert done.returncode == 0
    assert f"{LEFT_OUT}: it did not come to an end in 5 s, of which programs and packages took" in done.stderr
    assert ran(seconds=5, armillary=brought_late, tests="exit 2")[0].returncode == 2


def test_packages_of_today_take_the_place_of_pinned_ones_that_are_gone(ran: Runs) -> None:
    gone = f'[ "$*" != "image fetch" ] || {{ {NOT_TO_BE_HAD}; }}'
    done, calls = ran(armillary=gone)
    pins = "--pins .image/pins-of-today.lock"
    assert done.returncode == 0
    assert "pinned packages are not to be had" in done.stderr
    assert LEFT_OUT not in done.stderr
    assert calls == [
        "armillary image fetch",
        "armillary image pin --output-file .image/pins-of-today.lock",
        f"armillary image fetch {pins}",
        f"armillary image build {pins}",
        TESTED,
    ]
    # Not built of packages that nobody pinned: no fault of our code. Its tests that fail are one.
    done, _ = ran(armillary=f'{gone}; case "$*" in *build*) exit 1 ;; esac')
    assert done.returncode == 0
    assert f"{LEFT_OUT}: it is not built of today's packages" in done.stderr
    done, _ = ran(armillary=gone, tests="exit 2")
    assert done.returncode == 2


def test_the_code_of_packages_that_are_not_to_be_had_is_the_one_that_is_looked_for() -> None:
    (code,) = re.findall(r'not_to_be_had="\[(.*)\]"', (ROOT / "scripts/test-image-in-ci").read_text("utf-8"))
    assert f"| `{code}` |" in (ROOT / "docs/reference/errors.md").read_text("utf-8")


def test_the_pace_of_a_host_that_gives_no_processor_is_slow() -> None:
    """One that is stopped for 3 s while it works takes more than 20 times as long as the 128 ms of a quiet host."""
    with killed_process([ROOT / "scripts/host-pace"], stdout=subprocess.PIPE) as working:
        wait_until(lambda: used_s(working.pid) >= 0.03, "it works")
        working.send_signal(signal.SIGSTOP)
        time.sleep(3)
        working.send_signal(signal.SIGCONT)
        assert int(working.readline()) >= 2000


def used_s(process: int) -> float:
    """Processor seconds that a process has used."""
    numbers = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def test_none_of_its_tests_waits_longer_than_the_time_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that never comes back has to fail by itself: the end of the time says less."""
    script = (ROOT / "scripts/test-image-in-ci").read_text("utf-8")
    (most,) = re.findall(r"IMAGE_TEST_SECONDS:-(\d+)", script)
    (lately,) = re.findall(r"readonly lately_s=(\d+)", script)
    monkeypatch.delenv(conftest.FULL, raising=False)
    assert conftest.time_for(3) == conftest.BOOT_S == int(lately) <= int(most) / 3
    monkeypatch.setenv(conftest.FULL, "1")
    assert conftest.time_for(3) == 3 * conftest.BOOT_S
    waits = [
        wait
        for name in conftest.QUICK
        for wait in re.findall(r"within_s=([^,)]+)", (Path(conftest.__file__).parent / f"{name}.py").read_text("utf-8"))
    ]
    assert {wait.partition("(")[0] for wait in waits} == {"BOOT_S", "time_for"}


def test_all_tests_come_last_and_a_failure_of_the_image_is_kept() -> None:
    lines = [line for line in (ROOT / ".ci/run").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines[-5:] == [
        "image=0",
        "./scripts/test-image-in-ci || image=$?",
        '[ $image = 0 ] || echo "########## DEVICE IMAGE: its tests failed (see above); the other tests follow" >&2',
        "make test",
        "exit $image",
    ]
