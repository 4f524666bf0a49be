# SPDX-License-Identifier: Apache-2.0
"""Which control groups are found: version 1, version 2, both, and none, by trees of files that stand for a kernel's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from armillary.engines.sandbox.control_groups import hierarchies
from armillary.engines.sandbox.control_groups.hierarchies import ASIDE, Found, Hierarchy, find

V1 = ("memory", "pids", "cpu,cpuacct", "devices", "freezer")


class Host:
    """A host's mounts and groups below a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.process = folder / "proc"
        self.process.mkdir()
        self._mounts: list[str] = []
        self._own: list[str] = []
        self.save()

    def save(self) -> None:
        (self.process / "mountinfo").write_text("".join(f"{line}\n" for line in self._mounts))
        (self.process / "cgroup").write_text("".join(f"{line}\n" for line in self._own))

    def first(self, *named: str) -> None:
        for options in named:
            place = self.root / "sys" / options
            place.mkdir(parents=True)
            self._mounts.append(f"30 25 0:26 / /sys/{options} rw,nosuid shared:9 - cgroup cgroup rw,{options}")
            self._own.append(f"4:{options}:/")
        self.save()

    def second(self, own: str = "/", point: str = "/sys/unified") -> Path:
        place = self.root / point.lstrip("/")
        place.mkdir(parents=True)
        shown = point.replace(" ", "\\040")
        self._mounts.append(f"41 25 0:31 / {shown} rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate")
        self._own.append(f"0::{own}")
        self.save()
        return place

    def find(self) -> Found:
        return find(self.process, self.root)


def group(place: Path, *, divides: str = "", has: str = "", processes: str = "") -> Path:
    """A group of version 2."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "cgroup.subtree_control").write_text(divides)
    (place / "cgroup.controllers").write_text(has)
    (place / "cgroup.procs").write_text(processes)
    return place


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(hierarchies, "can_load", lambda: False)
    return Host(tmp_path)


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let this user write below one folder only."""

    def only(folder: Path) -> None:
        plain = os.access
        monkeypatch.setattr(
            hierarchies.os,
            "access",
            lambda path, mode: (path == folder or folder in Path(path).parents) and plain(path, mode),
        )

    return only


def test_version_1_is_used_at_the_top_of_each_tree(host: Host) -> None:
    host.first(*V1)
    found = host.find()
    assert found.reason == ""
    assert {each.base.name: each.controllers for each in found.hierarchies} == {
        "memory": {"memory"},
        "pids": {"pids"},
        "cpu,cpuacct": {"cpu"},
        "devices": {"devices"},
    }


def test_a_hybrid_host_bounds_by_version_1_and_ends_groups_by_version_2(host: Host) -> None:
    host.first(*V1)
    group(host.second(), has="hugetlb")
    found = host.find()
    assert found.hierarchies[0] == Hierarchy(2, host.root / "sys/unified", frozenset())
    assert found.controllers() == {"memory", "pids", "cpu", "devices"}


def test_a_service_that_is_alone_steps_aside(host: Host) -> None:
    top = group(host.second("/system.slice/device.service"), divides="cpu")
    own = group(top / "system.slice/device.service", has="cpu memory pids io", processes=str(os.getpid()))
    plain = hierarchies.Path.write_text

    def write(self: Path, text: str) -> int:  # the kernel adds what is written to what it has
        if self.name == "cgroup.subtree_control":
            text = f"{self.read_text()} {text.removeprefix('+')}"
        return plain(self, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hierarchies.Path, "write_text", write)
        found = host.find()
    assert found.hierarchies == (Hierarchy(2, own, frozenset({"memory", "pids", "cpu"})),)
    assert (own / ASIDE / "cgroup.procs").read_text() == str(os.getpid())


def test_a_user_is_given_the_nearest_group_that_divides_itself(host: Host, owned: Callable[[Path], None]) -> None:
    top = group(host.second("/user.slice/user@1000.service/app.slice/shell.scope"), divides="cpu memory pids")
    session = group(top / "user.slice/user@1000.service", divides="cpu memory pids")
    group(session / "app.slice/shell.scope", processes="1\n2\n", has="memory pids")
    applications = group(session / "app.slice", divides="memory pids")
    owned(session)
    assert host.find().hierarchies == (Hierarchy(2, session, frozenset({"cpu", "memory", "pids"})),)
    (session / "cgroup.subtree_control").write_text("memory")
    assert host.find().hierarchies == (Hierarchy(2, applications, frozenset({"memory", "pids"})),)


def test_what_this_user_may_not_write_is_not_used(host: Host, owned: Callable[[Path], None]) -> None:
    host.first(*V1)
    group(host.second("/user.slice/session-3.scope"), divides="memory pids cpu")
    owned(host.root / "home")
    found = host.find()
    assert found.hierarchies == ()
    assert "systemd-run --user --scope" in found.reason


def test_version_2_lists_devices_by_a_program_where_version_1_does_not(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = group(host.second(), divides="memory pids cpu")
    assert host.find().controllers() == {"memory", "pids", "cpu"}
    monkeypatch.setattr(hierarchies, "can_load", lambda: True)
    assert host.find().hierarchies == (Hierarchy(2, place, frozenset({"memory", "pids", "cpu", "devices"})),)
    host.first("devices")
    found = {each.base.name: each.controllers for each in host.find().hierarchies}
    assert found == {"unified": {"memory", "pids", "cpu"}, "devices": {"devices"}}


def test_a_tree_that_only_ends_groups_is_none(host: Host) -> None:
    group(host.second())
    assert host.find().hierarchies == ()


def test_a_host_without(host: Host) -> None:
    assert host.find() == Found((), "none are mounted")


def test_a_process_outside_of_what_is_mounted_uses_nothing_of_it(host: Host) -> None:
    group(host.second("/../other"), divides="memory pids cpu")
    assert host.find().hierarchies == ()


def test_a_mount_point_with_a_space(host: Host) -> None:
    place = group(host.second(point="/my groups"), divides="memory pids cpu")
    assert host.find().hierarchies[0].base == place


def test_a_process_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read" in find(tmp_path / "gone").reason
