# SPDX-License-Identifier: Apache-2.0
"""A folder that builds share is of one process at a time, and of none that was killed."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fixtures.processes import OwnProcess

from armillary.device_image import build as building, pinning
from armillary.device_image.build import Plan, build, fetch_parts
from armillary.device_image.kept.alone import alone_in, work_folder
from armillary.device_image.kept.made_folder import is_as_made, made_folder
from armillary.device_image.own_kernel import build as kernel_building, judge as judging
from armillary.device_image.own_kernel.build import build_kernel
from armillary.device_image.own_kernel.judge import judge
from armillary.device_image.recipe import recipe_folder

HOLD = """
import signal, sys
from pathlib import Path
from armillary.device_image.kept.alone import alone_in
with alone_in(Path(sys.argv[1]), print):
    print("has it", flush=True)
    signal.pause()
"""
WAIT_S = 30.0
Told = Callable[[str], object]
Verb = Callable[[Path, Told], object]


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[OwnProcess]:
    """Another process that has the folder."""
    with OwnProcess([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE) as process:
        assert process.readline() == "has it\n"
        yield process


def test_who_comes_second_waits_and_says_for_whom_until_the_first_is_killed(tmp_path: Path) -> None:
    folder, had = tmp_path / "new/cache", []
    told = threading.Event()
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        told.set()

    def take() -> None:
        with alone_in(folder, tell):
            had.append((folder / "lock").read_text())

    with holding(folder) as first:
        second = threading.Thread(target=take)
        second.start()
        assert told.wait(WAIT_S)
        assert said == [f"waiting for the end of process {first.pid}, which works in {folder}"]
        assert had == []
        first.kill()
        second.join(WAIT_S)
    assert had == [f"{os.getpid()}\n"]
    with alone_in(folder, tell):
        assert len(said) == 1, "nobody was waited for"


def test_two_that_make_the_same_folder_at_once_make_it_once_and_whole(tmp_path: Path) -> None:
    """The first one is slow: the other may not begin anew in what it fills."""
    made: list[str] = []
    begun, other_waits = threading.Event(), threading.Event()

    def fill(folder: Path) -> None:
        made.append("made")
        (folder / "one").touch()
        begun.set()
        assert other_waits.wait(WAIT_S)
        (folder / "two").touch()

    def take() -> None:
        with alone_in(tmp_path, lambda _line: other_waits.set()):
            made_folder(tmp_path / "kept", fill)

    threads = [threading.Thread(target=take) for _ in range(2)]
    threads[0].start()
    assert begun.wait(WAIT_S)
    threads[1].start()
    for each in threads:
        each.join(WAIT_S)
    assert made == ["made"]
    assert is_as_made(tmp_path / "kept")
    assert sorted(each.name for each in (tmp_path / "kept").iterdir()) == ["one", "two"]


def test_a_work_folder_has_nothing_of_a_process_that_was_killed_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "work/left").mkdir(parents=True)

    def work() -> None:
        with work_folder(tmp_path / "work") as folder:
            assert [*folder.iterdir()] == []
            (folder / "new").touch()
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        work()
    assert [*tmp_path.iterdir()] == []


def plan(folder: Path, told: Told) -> Plan:
    return Plan(recipe_folder=recipe_folder(), output=folder / "x86_64", progress=told)


def pin(folder: Path, told: Told) -> None:
    """Pins in a checkout whose cache is the folder's."""
    recipe = folder.parent / "image"
    recipe.mkdir(exist_ok=True)
    for name in ("image.toml", "development.toml"):
        (recipe / name).write_bytes((recipe_folder() / name).read_bytes())
    pinning.pin(recipe, "x86_64", told=told)


VERBS: dict[str, Verb] = {
    "build": lambda folder, told: build(plan(folder, told), at=dt.datetime.now(dt.UTC)),
    "fetch": lambda folder, told: fetch_parts(plan(folder, told)),
    "pin": pin,
    "own kernel": lambda folder, told: build_kernel("x86_64", folder / "out", told, cache=folder / "cache"),
    "verdict": lambda folder, told: judge("x86_64", folder / "checker", told, cache=folder / "cache"),
}


class HasBegunError(Exception):
    """The first thing that a verb does with what it shares."""


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_each_verb_waits_before_it_does_anything_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Verb
) -> None:
    def begin(*_given: object, **_named: object) -> None:
        raise HasBegunError

    for module, name in (
        (building, "fetch"), (pinning, "newest"), (kernel_building, "is_noted"), (judging, "unpack"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, begin)
    for module in (kernel_building, judging):
        monkeypatch.setattr(module, "require", lambda *_: None)
        monkeypatch.setattr(module, "source_version", lambda: "6.12.1-1")
        monkeypatch.setattr(module, "compiler_version", lambda _: "gcc 14")
    monkeypatch.setattr(building.tools, "require", lambda *_: None)
    monkeypatch.setattr(building.tools, "lower_priority", lambda: None)
    said: list[str] = []
    with holding(tmp_path / ".image/cache") as first, pytest.raises(HasBegunError):
        verb(tmp_path / ".image", lambda line: (said.append(line), first.kill()))
    (line,) = said
    assert re.fullmatch(rf"waiting for the end of process {first.pid}, which works in .*/\.image/cache", line)
