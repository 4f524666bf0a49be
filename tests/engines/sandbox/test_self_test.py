# SPDX-License-Identifier: Apache-2.0
"""The negative corpus: each mechanism is proved by a probe, and each probe notices when its mechanism is removed."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import linux as linux_sandbox, reduced as reduced_sandbox

from armillary.capability.seccomp import Policy, compile_filter
from armillary.engines.sandbox import linux, linux_report, namespaces, reduced, selection
from armillary.engines.sandbox.control_groups import controllers, report as group_report
from armillary.engines.sandbox.control_groups.groups import DeviceGroups, device_groups
from armillary.engines.sandbox.control_groups.hierarchies import Found
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.port import SandboxReport
from armillary.engines.sandbox.reduced import ReducedSandbox
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.within.self_test import NO_SUCH_PROBE, judge_all, observe
from armillary.errors import InvalidArgumentError, SandboxUnavailableError
from armillary.wire.attestation.mechanisms import MECHANISMS

Mutation = Callable[[StartPlan], StartPlan]


def configured(**changes: Any) -> Mutation:
    """Ask the launcher for something else."""
    return lambda plan: dataclasses.replace(plan, configure=lambda: plan.configure() | changes)


def filtered(*without: str, program: bytes | None = None) -> Mutation:
    """Another system-call filter."""

    def mutate(plan: StartPlan) -> StartPlan:
        policy = Policy(listen=True, without=frozenset(without))
        return dataclasses.replace(
            plan, filter=compile_filter(kernel.machine(), policy) if program is None else program
        )

    return mutate


def commanded(remove: tuple[str, ...], replacement: tuple[str, ...] = ()) -> Mutation:
    """Another bwrap command: one run of arguments replaced."""

    def mutate(plan: StartPlan) -> StartPlan:
        command = list(plan.command)
        place = next(i for i in range(len(command)) if tuple(command[i : i + len(remove)]) == remove)
        command[place : place + len(remove)] = replacement
        return dataclasses.replace(plan, command=command)

    return mutate


def uncovered(plan: StartPlan) -> StartPlan:
    """With the first process in sight: bwrap covers it for a user, the launcher for root."""
    asked = plan.configure()["hidden"]
    if asked is None:
        return commanded(COVERED)(plan)
    return configured(hidden={**asked, "folders": [each for each in asked["folders"] if each != "/proc/1"]})(plan)


def ungrouped(plan: StartPlan) -> StartPlan:
    """Outside of the control groups that were made for it."""
    if plan.group is None:
        pytest.skip("this host gives no control groups: as root, or systemd-run --user --scope")
    return dataclasses.replace(plan, group=None)


TEMPORARY = ("--perms", "1777", "--size", "1048576", "--tmpfs", "/tmp")
COVERED = ("--perms", "0555", "--size", "4096", "--tmpfs", "/proc/1", "--remount-ro", "/proc/1")
NO_LIMITS = {"CORE": 1 << 40, "DATA": 1 << 40, "FSIZE": 1 << 40, "NOFILE": 1 << 16, "NPROC": 1 << 20}

# mutation -> (what is removed, mechanisms of which at least these must be reported as missing)
LINUX_MUTATIONS: dict[str, tuple[Mutation, set[str]]] = {
    "no filter at all": (filtered(program=b""), {"seccomp", "network-broker"}),
    "no ioctl rule": (filtered("ioctl"), {"seccomp"}),
    "no socket rule": (filtered("socket"), {"seccomp"}),
    "no rule for connect": (filtered("connect"), {"network-broker"}),
    "no rule for bind and listen, no landlock": (
        lambda plan: configured(landlock=None)(filtered("bind", "listen")(plan)),
        {"landlock", "network-broker"},
    ),
    "no landlock": (configured(landlock=None), {"landlock"}),
    "a first process in sight, no landlock": (
        lambda plan: uncovered(configured(landlock=None)(plan)),
        {"landlock"},
    ),
    "writable places that run": (configured(noexec=None), {"written-files-not-loaded"}),
    "no landlock, and writable places that run": (
        configured(landlock=None, noexec=None),
        {"landlock", "written-files-not-executable", "written-files-not-loaded"},
    ),
    "no resource limits": (configured(limits={}), {"resource-limits"}),
    "no priority": (configured(priority=None), {"gives-way"}),
    "no control group": (ungrouped, set(group_report.JUDGES)),
    "a writable root": (commanded(("--remount-ro", "/", "--chdir"), ("--chdir",)), {"read-only-root"}),
    "the host's network": (commanded(("--unshare-net",)), {"namespaces", "network-namespace"}),
    "the host's processes": (
        lambda plan: commanded(("--as-pid-1",))(commanded(("--unshare-pid",))(plan)),
        {"namespaces"},
    ),
    "the host's name": (
        lambda plan: commanded(("--hostname", "armillary"))(commanded(("--unshare-uts",))(plan)),
        {"namespaces"},
    ),
    "the supervisor's session": (configured(new_session=False), {"session"}),
    "the host's shared memory": (commanded(("--unshare-ipc",)), {"namespaces"}),
    "the host's temporary files": (
        commanded(TEMPORARY, ("--bind", "/tmp", "/tmp")),
        {"host-files", "temporary-storage-limit"},
    ),
    "temporary files without a size": (
        commanded(TEMPORARY, ("--perms", "1777", "--tmpfs", "/tmp")),
        {"temporary-storage-limit"},
    ),
}
ROOT_MUTATIONS: dict[str, tuple[Mutation, set[str]]] = {
    "root's user": (
        configured(identity=None, drop_capabilities=False, keep_bounding_set=True),
        {"user", "capabilities"},
    ),
    "another user": (configured(identity={"uid": 4711, "gid": 4711, "groups": [4711]}), {"user"}),
}
REDUCED_MUTATIONS: dict[str, tuple[Mutation, set[str]]] = {
    "no rule for modes of files": (filtered(), {"host-files"}),
    "no filter at all": (filtered(program=b""), {"seccomp", "network-broker"}),
    "no ioctl rule": (filtered("ioctl"), {"seccomp"}),
    "no rule for connect": (filtered("connect"), {"network-broker"}),
    "no rule for bind and listen, no landlock": (
        lambda plan: configured(landlock=None)(filtered("bind", "listen")(plan)),
        {"landlock", "network-broker"},
    ),
    "no landlock": (
        configured(landlock=None),
        {"landlock", "host-files", "signals", "read-only-image", "written-files-not-executable"},
    ),
    "no resource limits": (configured(limits=NO_LIMITS), {"resource-limits"}),
    "no priority": (configured(priority=None), {"gives-way"}),
    "no control group": (ungrouped, {"memory-limit", "processor-limit", "device-list"}),
    "the supervisor's session": (configured(new_session=False), {"session"}),
    "no signal scope": (
        lambda plan: configured(landlock=plan.configure()["landlock"] | {"scoped": 0})(plan),
        {"signals"},
    ),
}


class MutatedLinux(linux.LinuxSandbox):
    """The namespaces sandbox with something removed."""

    mutation: Mutation

    def plan(self, *arguments: Any) -> StartPlan:
        return self.mutation(super().plan(*arguments))


class MutatedReduced(reduced.ReducedSandbox):
    """The Landlock sandbox with something removed."""

    mutation: Mutation

    def plan(self, *arguments: Any) -> StartPlan:
        return self.mutation(super().plan(*arguments))


def missing(report: SandboxReport) -> set[str]:
    return {mechanism.name for mechanism in report.mechanisms if not mechanism.enforced}


@pytest.mark.parametrize("own_user", [True, False], ids=["as-root", "as-user"])
def test_everything_holds_in_the_linux_sandbox(own_user: bool) -> None:
    """The positive control of every mutation below."""
    report = linux_sandbox(own_user=own_user).self_test()
    assert report.complete, [mechanism for mechanism in report.mechanisms if not mechanism.enforced]
    assert report.sandbox == "linux"
    assert {"user", "seccomp", "network-broker", "read-only-root"} <= {each.name for each in report.mechanisms}
    assert any("root" in sentence for sentence in report.weaker) is not own_user


def test_everything_holds_in_the_reduced_sandbox() -> None:
    report = reduced_sandbox().self_test()
    assert not report.missing()
    assert not report.complete, "it has less than linux on every host"
    assert len(report.weaker) >= 5


@pytest.mark.parametrize("own_user", [True, False], ids=["as-root", "as-user"])
@pytest.mark.parametrize("name", sorted(LINUX_MUTATIONS))
def test_a_probe_notices_what_is_removed(name: str, own_user: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = linux_sandbox(own_user=own_user)
    mutation, expected = LINUX_MUTATIONS[name]
    mutated = MutatedLinux(plain.bubblewrap, own_user)
    mutated.mutation = mutation
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # where the mutations look for the host's files
    assert expected <= missing(mutated.self_test())


def test_a_probe_notices_a_first_process_that_can_be_changed() -> None:
    """Where a device is not root's, it has the application's user; Landlock covers it as well."""
    plain = linux_sandbox(own_user=False)
    mutated = MutatedLinux(plain.bubblewrap, own_user=False)
    mutated.mutation, _ = LINUX_MUTATIONS["a first process in sight, no landlock"]
    assert {"neighbours", "landlock"} <= missing(mutated.self_test())
    mutated = MutatedLinux(plain.bubblewrap, own_user=False)
    mutated.mutation = configured(landlock=None)
    assert missing(mutated.self_test()) == {"landlock"}


@pytest.mark.parametrize("name", sorted(ROOT_MUTATIONS))
def test_a_probe_notices_another_identity(name: str) -> None:
    plain = linux_sandbox(own_user=True)
    mutation, expected = ROOT_MUTATIONS[name]
    mutated = MutatedLinux(plain.bubblewrap, own_user=True)
    mutated.mutation = mutation
    assert expected <= missing(mutated.self_test())


@pytest.mark.parametrize("name", sorted(REDUCED_MUTATIONS))
def test_a_probe_notices_what_is_removed_without_namespaces(name: str) -> None:
    reduced_sandbox()
    mutation, expected = REDUCED_MUTATIONS[name]
    if name == "no signal scope" and os.geteuid() != 0:
        pytest.skip("an unprivileged process may always signal itself only; root shows the difference")
    mutated = MutatedReduced()
    mutated.mutation = mutation
    assert expected <= missing(mutated.self_test())


def test_a_probe_notices_storage_that_nothing_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in a folder."""
    plain = linux_sandbox(own_user=True)
    if linux_report.QUOTA in {each.name for each in plain.self_test().absent}:
        pytest.skip("this host mounts no images of storage: as root, with loop devices and e2fsprogs")
    monkeypatch.setattr(namespaces, "open_storage", lambda *_, **__: -1)
    assert missing(LinuxSandbox(plain.bubblewrap, own_user=True).self_test()) == {linux_report.QUOTA}


def test_a_long_path_of_temporary_files_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    for folder in (deep, *list(deep.parents)[:3]):
        folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    plain = linux_sandbox()
    assert not missing(LinuxSandbox(plain.bubblewrap, plain.own_user).self_test())


class Hears(linux.LinuxSandbox):
    """The host's files, among them sockets, and no filter for connects: what only both together keep away."""

    def plan(self, *arguments: Any) -> StartPlan:
        return commanded(TEMPORARY, ("--bind", "/tmp", "/tmp"))(filtered("connect")(super().plan(*arguments)))


def test_a_probe_notices_a_socket_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = linux_sandbox()
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert observe(plain).of("host-socket") == "ENOENT"
    assert observe(Hears(plain.bubblewrap, plain.own_user)).of("host-socket") == "ok"


@pytest.mark.parametrize("controller", sorted(controllers.MECHANISMS))
def test_a_probe_notices_a_group_that_bounds_nothing(controller: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = LinuxSandbox(linux_sandbox().bubblewrap)
    if controllers.MECHANISMS[controller] not in sandbox.groups.mechanisms():
        pytest.skip(f"this host's control groups have no {controller}: as root")
    plain = controllers.settings

    def without(version: int, name: str, *arguments: Any) -> tuple[controllers.Setting, ...]:
        return () if name == controller else plain(version, name, *arguments)

    monkeypatch.setattr(controllers, "settings", without)
    assert missing(sandbox.self_test()) == {controllers.MECHANISMS[controller]}


@pytest.mark.parametrize("name", ["linux", "reduced"])
def test_a_host_without_control_groups_is_used_and_says_so(name: str) -> None:
    none = DeviceGroups(Found((), "none are mounted"), "/bin/sh")
    sandbox = LinuxSandbox(linux_sandbox().bubblewrap, groups=none) if name == "linux" else ReducedSandbox(groups=none)
    if name == "reduced":
        reduced_sandbox()
    report = sandbox.self_test()
    assert not missing(report)
    assert set(group_report.JUDGES) <= {each.name for each in report.absent}
    assert all("none are mounted" in each.detail for each in report.absent if each.name in group_report.JUDGES)
    assert any(sentence.startswith("No control groups: none are mounted") for sentence in report.weaker)


def test_every_mechanism_has_a_word_that_a_policy_can_demand() -> None:
    own = set(linux_report.judges(as_root=True)) | set(reduced.JUDGES) | set(group_report.JUDGES)
    assert own <= set(MECHANISMS)


def test_the_first_look_is_remembered() -> None:
    assert device_groups() is device_groups()


def test_opening_linux_gives_a_proved_sandbox() -> None:
    linux_sandbox()
    sandbox = open_sandbox("linux")
    assert sandbox.name == "linux"
    assert sandbox.self_test() is sandbox.self_test()  # remembered


def test_opening_linux_without_bwrap_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    reduced_sandbox()
    monkeypatch.setattr(selection.host, "bubblewrap_candidates", lambda: ())
    report = open_sandbox("linux").self_test()
    assert report.sandbox == "reduced"
    assert report.weaker[0].startswith("This host does not allow namespaces: no bwrap was found")


def test_opening_linux_with_a_bwrap_that_fails_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    reduced_sandbox()
    monkeypatch.setattr(selection.host, "bubblewrap_candidates", lambda: ("/bin/false",))
    report = open_sandbox("linux").self_test()
    assert report.sandbox == "reduced"
    assert "/bin/false" in report.weaker[0]


@pytest.mark.parametrize("abi", [0, 1, 4, 5])
def test_nothing_is_opened_where_landlock_is_too_old(monkeypatch: pytest.MonkeyPatch, abi: int) -> None:
    monkeypatch.setattr(selection.host, "bubblewrap_candidates", lambda: ())
    monkeypatch.setattr(reduced.kernel, "landlock_abi", lambda: abi)
    with pytest.raises(SandboxUnavailableError, match="Landlock ABI 6") as caught:
        open_sandbox("linux")
    assert "process" in caught.value.remedy


def test_a_weak_linux_sandbox_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail closed: one required mechanism missing and the engine is not used."""
    linux_sandbox()
    reduced_sandbox()
    without = [each for name, each in linux_report.judges(as_root=True).items() if name == "user"]
    assert without
    monkeypatch.setattr(namespaces, "judges", lambda **_: {"user": lambda _: (False, "seen as root")})
    report = open_sandbox("linux").self_test()
    assert report.sandbox == "reduced"
    assert "user (seen as root)" in report.weaker[0]


def test_a_probe_that_says_nothing_proves_nothing() -> None:
    plain = linux_sandbox()
    seen = dataclasses.replace(observe(plain), saw={})
    assert seen.of("capabilities") == NO_SUCH_PROBE
    assert not any(each.enforced for each in judge_all(linux_report.judges(as_root=True), seen))


def test_the_process_sandbox_claims_nothing() -> None:
    report = open_sandbox("process").self_test()
    assert report.mechanisms
    assert not any(mechanism.enforced for mechanism in report.mechanisms)
    assert not report.complete
    assert "Nothing is enforced" in report.weaker[0]


def test_unknown_engines() -> None:
    with pytest.raises(InvalidArgumentError, match="docker"):
        open_sandbox("docker")


def test_what_reduced_does_not_have_of_linux_is_said_in_its_report() -> None:
    reduced_sandbox()
    report = open_sandbox("reduced").self_test()
    had = {mechanism.name for mechanism in report.mechanisms}
    absent = {mechanism.name for mechanism in report.absent}
    assert set(linux_report.judges(as_root=True)) | set(group_report.JUDGES) <= had | absent
    assert not had & absent
    assert not any(mechanism.enforced for mechanism in report.absent)
