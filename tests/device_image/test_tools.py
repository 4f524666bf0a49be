# SPDX-License-Identifier: Apache-2.0
"""Programs of the maker: what is missing is said with the line that installs it; the script installs the same."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess

import pytest
from tests.fixtures.source_code import ROOT

from armillary.device_image import tools
from armillary.device_image.architecture.table import ARCHITECTURES
from armillary.device_image.cores.board import COMPILER
from armillary.device_image.cores.machine import NEEDED
from armillary.device_image.own_kernel import toolchain
from armillary.errors import HostError

SCRIPT = ROOT / "scripts/install-image-tools"


def listed(part: str) -> set[str]:
    """The packages that the script names of one part."""
    return set(re.search(rf"^{part}=\(([^)]*)\)", SCRIPT.read_text("utf-8"), re.MULTILINE)[1].split())  # type: ignore[index]


def test_what_is_missing_is_said_with_the_line_that_installs_it() -> None:
    table = {"a-program-of-nobody": "its-package", "/nowhere/at/all": "another", "sh": "dash"}
    assert tools.missing(table) == ("another", "its-package")
    with pytest.raises(HostError, match="no another, its-package") as refused:
        tools.require(table)
    assert refused.value.remedy == "sudo apt-get install --no-install-recommends another its-package"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_script_installs_what_the_maker_asks_for(architecture: str) -> None:
    tables = (tools.BUILD, tools.MACHINE, tools.BUILD_FOR[architecture], tools.MACHINE_FOR[architecture])
    assert listed("packages") | listed(architecture) == {package for table in tables for package in table.values()} - {
        "apt"
    }


@pytest.mark.parametrize(
    ("part", "tables"),
    [
        ("kernels", (toolchain._EVERYWHERE, *(target.needs for target in toolchain.TARGETS.values()))),
        ("cores", (COMPILER, NEEDED)),
    ],
)
def test_the_script_installs_what_own_kernels_and_cores_ask_for(part: str, tables: tuple[dict[str, str], ...]) -> None:
    assert listed(part) == {package for table in tables for package in table.values()}


def test_scripts_hear_of_lacking_programs_by_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own status for a fault of ours is 1."""
    monkeypatch.setattr(shutil, "which", lambda *_given, **_named: None)
    with pytest.warns(RuntimeWarning, match="armillary.device_image.tools"), pytest.raises(SystemExit) as ended:
        runpy.run_module(tools.__name__, run_name="__main__")
    assert ended.value.code == tools.LACKS_PROGRAMS
    script = (ROOT / "scripts/test-image-in-ci").read_text("utf-8")
    assert f"readonly lacks_programs={tools.LACKS_PROGRAMS}\n" in script


def test_the_script_takes_several_parts_and_refuses_one_that_there_is_not() -> None:
    done = subprocess.run([SCRIPT, "x86_64", "armada"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "install-image-tools: expected x86_64, arm64, imx8mp, armhf, kernels or cores, got armada\n",
    )


def test_all_is_installed_and_kernels_are_built_before_the_first_machine_starts() -> None:
    """Of a bare host nothing is left out for want of a program or of a kernel that is built later."""
    words = ["make", "--dry-run", "--no-print-directory", "image-test-full", "ARGS=-x", "IMAGE_CACHE=/elsewhere"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    steps = [
        "install-image-tools x86_64 arm64 imx8mp armhf kernels cores",
        "armillary.device_image.own_kernel build --cache .image/kernel",  # where the images look for them
        "tests/device_image/own_kernel",
        "run-image-tests x86_64 -x",
        "run-image-tests arm64 -x",
        "run-image-tests imx8mp -x",
        "run-image-tests armhf -x",
    ]
    places = [said.index(step) for step in steps]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("told", "cache"), [((), ".image"), (("IMAGE_CACHE=",), ".image"), (("IMAGE_CACHE=/a",), "/a")]
)
def test_kernels_are_kept_where_make_is_told_and_never_at_the_root(told: tuple[str, ...], cache: str) -> None:
    words = ["make", "--dry-run", "--no-print-directory", "image-kernel-test", *told]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"--cache {cache}/kernel " in said
    assert f"ARMILLARY_KERNEL_TESTS={(ROOT / cache).absolute()}/kernel " in said


def test_help_has_a_line_for_every_target_of_images_within_a_terminal() -> None:
    words = ["make", "--no-print-directory", "help"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = {line.split(maxsplit=1)[0]: line for line in said.splitlines()}
    images = set(re.findall(r"^(image[a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert images <= lines.keys()
    assert len({line.index(line.split(maxsplit=1)[1]) for line in lines.values()}) == 1, "one column"
    assert all(len(line) <= 120 for line in lines.values())


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(HostError, match=r"sh failed with 3: why it failed"):
        tools.run(["sh", "-c", "echo why it failed >&2; exit 3"])


def test_the_last_words_of_a_program_are_whole_lines_in_one() -> None:
    assert tools.last_words("first\n\n   E:  second\tline \nthird\n") == "first; E: second line; third"
    rows = [f"row {number:03}" for number in range(200)]
    said = tools.last_words("\n".join(rows))
    kept = said.split("; ")
    assert kept == rows[-len(kept) :]
    assert tools.LAST_WORDS_MOST - len("; row 000") < len(said) <= tools.LAST_WORDS_MOST
    assert tools.last_words("x" * 2 * tools.LAST_WORDS_MOST) == "x" * tools.LAST_WORDS_MOST
    assert tools.last_words("") == ""


def test_programs_get_a_fixed_environment() -> None:
    said = tools.run(["sh", "-c", "echo $SOURCE_DATE_EPOCH $TZ $LC_ALL"]).decode()
    assert said == f"{tools.MADE_AT} UTC C.UTF-8\n"


def test_a_program_that_finds_no_room_says_where_room_is_needed() -> None:
    with pytest.raises(HostError, match=r"cp failed with 1: .*/dev/full.*No space left on device") as refused:
        tools.run(["cp", "--", "/proc/self/status", "/dev/full"])
    assert refused.value.remedy.startswith("Make room there")
