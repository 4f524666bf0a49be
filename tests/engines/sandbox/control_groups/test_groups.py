# SPDX-License-Identifier: Apache-2.0
"""Groups of applications: what they bound, count and end, and that none is left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.engines.sandbox.sandbox_stage import Stage, crun, linux, reduced
from tests.fixtures.processes import killed_process
from tests.fixtures.waiting import wait_until

from armillary.capability.application_limits import ApplicationLimits
from armillary.engines.sandbox.control_groups import controllers
from armillary.engines.sandbox.control_groups.groups import ApplicationGroup, DeviceGroups, device_groups
from armillary.engines.sandbox.control_groups.hierarchies import Found, Hierarchy
from armillary.engines.sandbox.control_groups.leftovers import CHANCE_BYTES, PREFIX, remove_leftovers
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.port import Sandbox
from armillary.errors import SandboxUnavailableError

ROOT = Path(__file__).parents[4]
MEBIBYTE = 1 << 20
NULL = Path("/dev/null")
LOW = ApplicationLimits(memory_bytes=40 * MEBIBYTE, processes=12)


def new_groups() -> DeviceGroups:
    """Groups of this host as another device would make them."""
    found = device_groups()
    if set(found.mechanisms()) != set(controllers.MECHANISMS.values()):
        pytest.skip(f"this host's control groups are not whole ({found.reason}): as root, with all controllers")
    return DeviceGroups(found.found, found.shell)


def places(groups: DeviceGroups, name: str) -> set[Path]:
    return {each.base / name for each in groups.found.hierarchies if (each.base / name).exists()}


@pytest.fixture
def groups() -> Iterator[DeviceGroups]:
    found = new_groups()
    yield found
    assert found._held == []  # every test ends its groups


@contextlib.contextmanager
def opened(groups: DeviceGroups, name: str = "one") -> Iterator[ApplicationGroup]:
    group = groups.open(name, LOW, [NULL])
    assert group is not None
    try:
        yield group
    finally:
        group.end()


def test_groups_are_there_while_an_application_is(groups: DeviceGroups) -> None:
    with opened(groups, "two") as two:
        with opened(groups, "one") as one:
            name = groups._name
            assert len(places(groups, name)) == len(groups.found.hierarchies)
            assert all(place.is_dir() for place in (*one.places.values(), *two.places.values()))
            one.end()  # again is nothing
        assert not any(place.exists() for place in one.places.values())
        assert all(place.is_dir() for place in two.places.values())
    assert places(groups, name) == set()


FILLED = """
import mmap, sys
memory = mmap.mmap(-1, {size} << 20)
for place in range(0, len(memory), 4096): memory[place] = 1
print("full", flush=True)
sys.stdin.readline()
memory.close()
print("empty", flush=True)
sys.stdin.readline()
"""


def test_memory_of_programs_is_told_from_files_and_the_peak_starts_over(groups: DeviceGroups) -> None:
    size = 16
    command = [sys.executable, "-S", "-c", FILLED.replace("{size}", str(size))]
    pipe = subprocess.PIPE
    with opened(groups) as group:
        with killed_process([*group.entry, *command], stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdin is not None
            assert process.readline() == "full\n"
            full = group.usage()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.readline() == "empty\n"
            empty = group.usage()
            assert None not in (full.memory_own_bytes, empty.memory_own_bytes, empty.memory_peak_bytes)
            assert (full.memory_own_bytes or 0) >= size * MEBIBYTE
            assert (full.memory_own_bytes or 0) - (empty.memory_own_bytes or 0) >= (size - 1) * MEBIBYTE
            assert (empty.memory_peak_bytes or 0) >= size * MEBIBYTE
            first = any(each.version == 1 and "memory" in each.controllers for each in group.places)
            assert group.restart_memory_peak() is first
            again = group.usage().memory_peak_bytes or 0
            assert (again < size * MEBIBYTE) is first
        group.end()
        assert not group.restart_memory_peak()


def test_killing_a_group_ends_who_left_its_session(groups: DeviceGroups) -> None:
    code = "import os, time\nif os.fork() == 0: os.setsid(); time.sleep(300)\nprint(1, flush=True); time.sleep(300)"
    with opened(groups) as group:
        command = [*group.entry, sys.executable, "-S", "-c", code]
        with killed_process(command, stdout=subprocess.PIPE) as process:
            process.readline()
            assert group.usage().processes == 2
            group.kill()
            process.wait(20)
    assert not any(place.exists() for place in group.places.values())


def test_killing_without_version_2_ends_them_too(groups: DeviceGroups) -> None:
    first = DeviceGroups(Found(tuple(each for each in groups.found.hierarchies if each.version == 1)), groups.shell)
    if not first.found.hierarchies:
        pytest.skip("this host has version 2 alone")
    with opened(first) as group, killed_process([*group.entry, "/bin/sleep", "300"]) as process:
        wait_until(lambda: process.pid in controllers.processes_in(next(iter(group.places.values()))), "the entry")
        group.end()
        process.wait(20)
    assert not any(place.exists() for place in group.places.values())


DEVICE = """
import subprocess, sys, time
from tests.engines.sandbox.control_groups.test_groups import LOW, NULL, new_groups
groups = new_groups()
group = groups.open("one", LOW, [NULL])
left = subprocess.Popen([*group.entry, "/bin/sleep", "300"], start_new_session=True)
while group.usage().processes != 1: time.sleep(0.01)
print(groups._name, left.pid, flush=True)
time.sleep(300)
"""


def test_a_device_that_was_killed_leaves_groups_that_the_next_removes(groups: DeviceGroups) -> None:
    with opened(groups, "own") as own:
        with killed_process([sys.executable, "-c", DEVICE], stdout=subprocess.PIPE, cwd=ROOT) as device:
            name, left = device.readline().split()
            assert name not in remove_leftovers(groups.found)  # it lives
            assert len(places(groups, name)) == len(groups.found.hierarchies)
        remove_leftovers(groups.found)  # or another test's device, which starts meanwhile
        wait_until(lambda: not places(groups, name), "the groups of the dead device gone")
        wait_until(lambda: not Path(f"/proc/{left}/cmdline").exists(), "what it left running gone")
        assert all(place.is_dir() for place in own.places.values())


def test_groups_that_only_one_hierarchy_has_are_removed(groups: DeviceGroups) -> None:
    last = groups.found.hierarchies[-1].base / f"{PREFIX}{'0f' * CHANCE_BYTES}"
    (last / "one").mkdir(parents=True)
    remove_leftovers(groups.found)
    wait_until(lambda: not last.exists(), "the half of a device gone")


@pytest.mark.parametrize(
    "name", ["armillary-hub.service", "armillary-device.service", "armillary-00000000000000ff.slice"]
)
def test_groups_of_other_names_are_not_ours(tmp_path: Path, name: str) -> None:
    with killed_process(["/bin/sleep", "300"]) as process:
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").write_text(f"{process.pid}\n")
        assert remove_leftovers(Found((Hierarchy(1, tmp_path, frozenset()),))) == ()
        assert process.poll() is None
    assert (tmp_path / name).is_dir()


def test_processes_without_a_number_here_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("0\n-1\n7\n")
    assert controllers.processes_in(tmp_path) == (7,)


def test_a_device_of_another_session_lives(tmp_path: Path) -> None:
    """Each has a tree of version 2 of its own below the same one of version 1; folders stand for them."""
    shared = Hierarchy(1, tmp_path / "shared", frozenset({"memory"}))
    found = [Found((Hierarchy(2, tmp_path / each, frozenset()), shared)) for each in ("one", "other")]
    for each in (found[0].hierarchies[0], found[1].hierarchies[0], shared):
        each.base.mkdir()
    one = DeviceGroups(found[0], "/bin/sh")
    one._hold()
    name = one._name
    assert remove_leftovers(found[1]) == ()
    assert places(one, name) == {tmp_path / "one" / name, shared.base / name}
    for descriptor in one._held:  # as when it is killed
        os.close(descriptor)
    assert remove_leftovers(found[1]) == (name,)
    assert places(one, name) == {tmp_path / "one" / name}
    assert remove_leftovers(found[0]) == (name,)
    assert places(one, name) == set()


def test_what_held_at_the_start_is_demanded_later(groups: DeviceGroups, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = controllers.settings

    def broken(version: int, name: str, *arguments: object) -> tuple[controllers.Setting, ...]:
        wrong = controllers.Setting("no.such.file", "1") if name == "memory" else None
        return plain(version, name, *arguments) if wrong is None else (wrong,)  # type: ignore[arg-type]

    monkeypatch.setattr(controllers, "settings", broken)
    with pytest.raises(SandboxUnavailableError, match="memory-limit"):
        groups.open("one", LOW, [NULL], required=("seccomp", "memory-limit"))
    group = groups.open("one", LOW, [NULL], required=("seccomp", "process-limit"))
    assert group is not None
    assert set(group.missing) == {"memory-limit"}
    group.end()


@pytest.fixture(params=["linux", "crun", "reduced"])
def grouped(request: pytest.FixtureRequest) -> Sandbox:
    new_groups()
    return {"linux": linux, "crun": crun, "reduced": reduced}[request.param]()


@pytest.mark.parametrize("made", [linux, crun])
def test_an_application_does_not_see_where_its_group_is(stage: Stage, made: Callable[[], Sandbox]) -> None:
    new_groups()
    outcome = stage.run(made(), "print(open('/proc/self/cgroup').read())")
    seen = {line.rpartition(":")[2] for line in outcome.lines if line}
    assert seen == {"/"}, outcome.errors


SHARED = """
import mmap, os, select, signal
filled, tell = os.pipe()
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        memory = mmap.mmap(-1, {size} << 20)
        for place in range(0, len(memory), 4096): memory[place] = 1
        os.write(tell, b"x")
        signal.pause()
    children.append(child)
seen = b""
while len(seen) < 2:
    if select.select([filled], [], [], 0.01)[0]: seen += os.read(filled, 2)
    ended, status = os.waitpid(-1, os.WNOHANG)
    if ended: break
print(len(seen), os.WTERMSIG(status) if ended else "none ended", flush=True)
for child in children:
    if child != ended: os.kill(child, 9)
"""


def test_shared_memory_of_all_processes_is_bounded_together(stage: Stage, grouped: Sandbox) -> None:
    outcome = stage.run(grouped, SHARED.replace("{size}", "30"), limits=LOW)
    assert outcome.lines in (["0 9"], ["1 9"]), outcome.errors
    used = outcome.used()
    assert used.killed_for_memory >= 1
    assert used.memory_peak_bytes is not None
    assert used.memory_peak_bytes <= LOW.memory_bytes


def test_shared_memory_within_the_limit_is_given(stage: Stage, grouped: Sandbox) -> None:
    """The control of the test above."""
    outcome = stage.run(grouped, SHARED.replace("{size}", "5"), limits=LOW)
    assert outcome.lines == ["2 none ended"], outcome.errors
    assert outcome.used().killed_for_memory == 0


def test_processes_are_bounded_together(stage: Stage, grouped: Sandbox) -> None:
    code = """
import errno, os, signal
children = []
try:
    while len(children) < 40:
        child = os.fork()
        if child == 0: signal.pause()
        children.append(child)
except OSError as error: print(errno.errorcode[error.errno], len(children) < 12)
for child in children: os.kill(child, 9)
"""
    outcome = stage.run(grouped, code, limits=LOW)
    assert outcome.lines == ["EAGAIN True"], outcome.errors
    assert (outcome.used().processes_refused or 0) >= 1


def test_the_processor_is_bounded_together(stage: Stage, grouped: Sandbox) -> None:
    code = """
import os, time
os.fork()
begun = time.process_time()
while time.process_time() < begun + 0.02: pass
"""
    some = ApplicationLimits(processor_percent=1)  # a millisecond of a period: whoever runs once uses it up
    outcome = stage.run(grouped, code, limits=some)
    assert outcome.used().processor_periods_used_up > 0


def test_groups_are_entered_without_a_shell(tmp_path: Path) -> None:
    """As on a device's image, which has none."""
    bare = DeviceGroups(new_groups().found, "")
    used = Stage(tmp_path).run(LinuxSandbox(linux().bubblewrap, groups=bare), "print(1)").used()
    assert used.memory_peak_bytes
    assert bare._held == []


def test_version_2_is_told_the_same_in_its_own_words(tmp_path: Path) -> None:
    """By files that stand for the kernel's: this project's hosts have version 1's controllers."""
    hierarchy = Hierarchy(2, tmp_path, frozenset({"memory", "pids", "cpu"}))
    groups = DeviceGroups(Found((hierarchy,)), "/bin/sh", processors=4)
    group = groups.open("one", LOW, [NULL])
    assert group is not None
    assert group.missing == {}
    place = group.places[hierarchy]
    written = {file.name: file.read_text() for file in place.iterdir()}
    assert written == {
        "memory.max": str(40 * MEBIBYTE),
        "pids.max": "12",
        "cpu.max": "64000 20000",
        "cpu.weight": "100",
    }
    (place / "memory.events").write_text("low 0\nmax 7\noom 2\noom_kill 1\n")
    (place / "memory.current").write_text("4096\n")
    (place / "memory.peak").write_text("8192\n")
    (place / "pids.events").write_text("max 3\n")
    (place / "cpu.stat").write_text("usage_usec 1500000\nnr_periods 10\nnr_throttled 4\n")
    used = group.usage()
    assert (used.memory_bytes, used.memory_peak_bytes, used.killed_for_memory) == (4096, 8192, 1)
    assert (used.processes_refused, used.processor_s) == (3, 1.5)
    assert (used.processor_periods, used.processor_periods_used_up) == (10, 4)
    group.end()


def test_a_host_without_groups_makes_none() -> None:
    assert DeviceGroups(Found((), "none are mounted"), "/bin/sh").open("one", LOW, [NULL]) is None


def test_devices_are_named_by_their_numbers() -> None:
    assert controllers.device_rules([NULL, NULL, Path("/dev/zero")]) == ("c 1:3 rw", "c 1:5 rw")
