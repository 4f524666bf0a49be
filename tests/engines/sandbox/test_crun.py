# SPDX-License-Identifier: Apache-2.0
"""The sandbox of OCI containers: what is its own. What it has in common with the others is tested with them."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.sandbox_stage import DEADLINE_S, Outcome, Stage, crun
from tests.fixtures.waiting import until

from armillary.capability.oci import Bundle
from armillary.engines.sandbox import selection
from armillary.engines.sandbox.crun import CrunSandbox
from armillary.engines.sandbox.oci import runtime
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.errors import SandboxUnavailableError

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems: sudo make test")
GOOD = "crun version 1.21\n+SYSTEMD +CAP +SECCOMP +EBPF\n"


@pytest.fixture(params=["as-root", "as-user"])
def container(request: pytest.FixtureRequest) -> CrunSandbox:
    return crun(own_user=request.param == "as-root")


# What is missing on the host


def says(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only program named crun is one that says this of itself."""
    program = folder / "crun"
    program.write_text(f"#!/bin/sh\ncat <<'end'\n{text}end\n")
    program.chmod(0o755)
    monkeypatch.setattr(runtime, "SEARCH_PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crun version 0.17\n+SECCOMP\n", "expected crun 1.8.1 or newer, got 0.17.0"),
        ("crun version 1.8\n+SECCOMP\n", "expected crun 1.8.1 or newer, got 1.8.0"),
        ("runc version 1.1\n", "expected crun 1.8.1 or newer, got 'runc version 1.1'"),
        ("", "expected crun 1.8.1 or newer, got ''"),
        ("crun version 1.21\n+SYSTEMD +CAP\n", "was built without seccomp"),
    ],
)
def test_a_crun_that_will_not_do_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    says(tmp_path, text, monkeypatch)
    with pytest.raises(SandboxUnavailableError, match=message) as caught:
        open_sandbox("crun")
    assert "Install crun" in (caught.value.remedy or "")


@pytest.mark.parametrize("version", ["1.8.1", "1.14.1", "1.21", "2.0"])
def test_a_crun_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    says(tmp_path, GOOD.replace("1.21", version), monkeypatch)
    assert runtime.find().crun == str(tmp_path / "crun")


def test_without_crun_nothing_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SEARCH_PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailableError, match="no crun in") as caught:
        open_sandbox("crun")
    assert "package crun" in (caught.value.remedy or "")


def test_the_first_programs_inside_have_to_be_below_usr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "setpriv").symlink_to(tmp_path / "real")
    (tmp_path / "real").write_text("#!/bin/sh\n")
    (tmp_path / "real").chmod(0o755)
    says(tmp_path, GOOD, monkeypatch)
    with pytest.raises(SandboxUnavailableError, match=f"expected setpriv below /usr, got {tmp_path}/real"):
        open_sandbox("crun")


def test_a_crun_that_fails_is_not_used_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crun()
    program = tmp_path / "crun"
    program.write_text(
        f"#!/bin/sh\n[ \"$1\" = --version ] && {{ printf '{GOOD}'; exit; }}\necho no such luck >&2\nexit 1\n"
    )
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(runtime, "SEARCH_PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(
        SandboxUnavailableError, match=r"sandbox crun: application not started: .*no such luck"
    ) as caught:
        open_sandbox("crun")
    assert caught.value.remedy == selection.CRUN_REMEDY


def test_opening_crun_gives_a_proved_sandbox() -> None:
    crun()
    sandbox = open_sandbox("crun")
    assert sandbox.name == "crun"
    report = sandbox.self_test()
    assert report.sandbox == "crun"
    assert report.complete
    assert any("shell of the host" in sentence for sentence in report.weaker)


VERSION_2_ALONE = f'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec {sys.executable} -c "$0"'
SELF_TEST = """
from armillary.engines.sandbox.selection import open_sandbox
print(open_sandbox("crun").self_test().complete)
"""


@ROOT_ONLY
def test_a_host_with_control_groups_of_version_2_alone_is_used() -> None:
    crun()
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", VERSION_2_ALONE, SELF_TEST]
    run = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S * 2, check=False)
    assert (run.stdout, run.returncode) == ("True\n", 0), run.stderr


# What the bundle says is what holds


Change = Callable[[dict[str, Any]], None]


class Changed(CrunSandbox):
    """With another bundle, or another plan."""

    change: Change = staticmethod(lambda _: None)
    replaced: Callable[[StartPlan], StartPlan] = staticmethod(lambda plan: plan)

    def bundle(self, *arguments: Any) -> Bundle:
        found = super().bundle(*arguments)
        config = copy.deepcopy(found.config)
        self.change(config)
        return dataclasses.replace(found, config=config)

    def plan(self, *arguments: Any) -> StartPlan:
        return self.replaced(super().plan(*arguments))


def without_namespace(name: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        config["linux"]["namespaces"] = [each for each in config["linux"]["namespaces"] if each["type"] != name]
        if name == "uts":
            del config["hostname"]

    return change


def with_options(path: str, *left_out: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        for each in config["mounts"]:
            if each["destination"] == path:
                each["options"] = [option for option in each["options"] if option not in left_out]

    return change


def of_process(**values: Any) -> Change:
    return lambda config: config["process"].update(values)


def of_launcher(**values: Any) -> Callable[[StartPlan], StartPlan]:
    return lambda plan: dataclasses.replace(plan, configure=lambda: plan.configure() | values)


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "a writable root": (lambda config: config["root"].update(readonly=False), {"read-only-root"}),
    "the host's network": (without_namespace("network"), {"namespaces", "network-namespace"}),
    "the host's shared memory": (without_namespace("ipc"), {"namespaces"}),
    "the host's name": (without_namespace("uts"), {"namespaces"}),
    "temporary files without a size": (with_options("/tmp", "size=1048576"), {"temporary-storage-limit"}),
    "temporary files that run": (with_options("/tmp", "noexec"), {"written-files-not-loaded"}),
    "no resource limits": (of_process(rlimits=[]), {"resource-limits"}),
}
REPLACED: dict[str, tuple[Callable[[StartPlan], StartPlan], set[str]]] = {
    "no filter of the launcher": (lambda plan: dataclasses.replace(plan, filter=b""), {"seccomp", "network-broker"}),
    "no landlock": (of_launcher(landlock=None), {"landlock"}),
    "no control group": (lambda plan: dataclasses.replace(plan, group=None), {"memory-limit", "device-list"}),
}


def missing(sandbox: CrunSandbox) -> set[str]:
    return {each.name for each in sandbox.self_test().mechanisms if not each.enforced}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_probe_notices_what_the_bundle_leaves_out(container: CrunSandbox, name: str) -> None:
    changed = Changed(container.runtime, container.own_user)
    changed.change, expected = CHANGES[name]
    assert expected <= missing(changed)
    assert not missing(container)  # the control


def test_a_probe_notices_a_first_process_that_can_be_changed(container: CrunSandbox) -> None:
    """A shell of the application's user, which no filter of the launcher holds; Landlock covers it as well."""
    changed = Changed(container.runtime, container.own_user)
    changed.replaced = of_launcher(landlock=None)
    assert missing(changed) == {"landlock"}
    changed = Changed(container.runtime, container.own_user)
    changed.replaced = of_launcher(landlock=None)
    changed.change = lambda config: config["linux"]["maskedPaths"].remove("/proc/1")
    assert missing(changed) == {"landlock", "neighbours"}


@ROOT_ONLY
@pytest.mark.parametrize("user", [0, 4711])
def test_a_probe_notices_another_user(user: int) -> None:
    changed = Changed(crun(own_user=True).runtime, own_user=True)
    changed.change = of_process(user={"uid": user, "gid": user})
    assert "user" in missing(changed)


@pytest.mark.parametrize("name", sorted(REPLACED))
def test_a_probe_notices_what_the_launcher_leaves_out(container: CrunSandbox, name: str) -> None:
    changed = Changed(container.runtime, container.own_user)
    changed.replaced, expected = REPLACED[name]
    assert expected & ({each.name for each in container.self_test().mechanisms}) <= missing(changed)


# 40 and 38: to the machine below this one (vsock(7)), and to the kernel's cryptography (AF_ALG).
CALLS = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def told(*arguments):
    ctypes.set_errno(0)
    return "done" if libc.syscall(*arguments) >= 0 else errno.errorcode[ctypes.get_errno()]
machine = os.uname().machine
unshare, keyctl, bpf, mount = {"x86_64": (272, 250, 321, 165), "aarch64": (97, 219, 280, 40)}[machine]
print(told(unshare, 0x10000000), told(keyctl, 0, -3, 1), told(bpf, 0, 0, 0), told(mount, 0, b"/", 0, 1 << 18, 0))
def opened(family, kind):
    try:
        return socket.socket(family, kind).close() or "opened"
    except OSError as error:
        return errno.errorcode[error.errno]
print(opened(socket.AF_NETLINK, socket.SOCK_RAW), opened(40, socket.SOCK_STREAM), opened(38, socket.SOCK_SEQPACKET))
print(opened(socket.AF_UNIX, socket.SOCK_STREAM), opened(socket.AF_INET, socket.SOCK_DGRAM))
"""


def test_the_bundle_refuses_calls_by_itself(stage: Stage, container: CrunSandbox) -> None:
    """Also of the first process inside, which has no filter of the launcher."""
    changed = Changed(container.runtime, container.own_user, groups=container.groups)
    changed.replaced = lambda plan: dataclasses.replace(plan, filter=b"")
    assert stage.run(changed, CALLS).lines == ["EPERM EPERM EPERM EPERM", "EPERM EPERM EPERM", "opened opened"]
    changed.change = lambda config: config["linux"].pop("seccomp")
    calls, sockets, _ = stage.run(changed, CALLS).lines  # the control
    assert "done" in calls.split()[:2]
    assert "opened" in sockets


# What crun does by itself, and must not reach the host or the application


@ROOT_ONLY
def test_no_device_of_the_host_becomes_the_applications(stage: Stage) -> None:
    """crun gives its standard streams to the user inside; who can change their modes takes them from everybody."""
    before = Path("/dev/null").stat()
    code = """
import os
for name in ("/dev/null", "/dev/zero", "/dev/urandom", "/proc/self/fd/0"):
    print(os.stat(name).st_uid == os.getuid())
print(os.read(0, 1))
"""
    outcome = stage.run(crun(own_user=True), code)
    assert outcome.lines == [*["False"] * 4, "b''"], outcome.errors
    after = Path("/dev/null").stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)


def test_no_application_opens_a_terminal_of_the_host(stage: Stage, container: CrunSandbox) -> None:
    """As a user, crun puts the host's /dev/tty there; nobody inside has a terminal, with Landlock or without."""
    changed = Changed(container.runtime, container.own_user)
    changed.replaced = of_launcher(landlock=None)
    code = """
import errno, os
try: print(os.open("/dev/tty", os.O_RDWR))
except OSError as error: print(errno.errorcode[error.errno])
"""
    (said,) = stage.run(changed, code).lines
    assert said in (("ENOENT",) if container.own_user else ("ENOENT", "EPERM", "ENXIO"))


def test_an_application_begins_as_in_the_other_engines(stage: Stage, container: CrunSandbox) -> None:
    code = """
import os, signal
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGQUIT) is signal.SIG_DFL)
print(sorted(name for name in os.environ if not name.startswith(("TEST_", "PYTHON", "LC_"))))
print([number for number in range(20) if os.path.exists(f"/proc/self/fd/{number}")])
for path in ("/dev/tty", "/dev/console", "/dev/ptmx", "/dev/pts/0", "/dev/core", "/sys/kernel"):
    try:
        print("opened", path, os.open(path, os.O_RDONLY))
    except OSError:
        print("refused")
"""
    outcome = stage.run(container, code)
    environment = "['HOME', 'LANG', 'PATH', 'TMPDIR']"
    assert outcome.lines == ["True True", environment, "[0, 1, 2]", *["refused"] * 6], outcome.errors


def test_the_first_process_takes_note_of_every_end(stage: Stage, container: CrunSandbox) -> None:
    """Orphans that nobody waits for would fill the number of processes that it may have."""
    code = """
import os
for _ in range(200):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
print("done")
"""
    assert stage.run(container, code).lines == ["done"]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("armillary-app-*"))


def test_nothing_is_left_of_a_container(stage: Stage, container: CrunSandbox) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    stage.run(container, "print(1)")
    with pytest.raises(Exception, match="entry point"):
        stage.run(container, "print(1)", interpreter="#!/no/such/interpreter\n")
    assert not left(stage.folder)
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not list(Path("/run").glob("crun/*"))


def test_an_application_ends_with_crun(stage: Stage, container: CrunSandbox) -> None:
    """Without control groups too, which would end it by themselves."""
    changed = Changed(container.runtime, container.own_user)
    changed.replaced = lambda plan: dataclasses.replace(plan, group=None)

    async def play() -> None:
        outcome = Outcome()
        running = await changed.start(
            stage.launch("import time\nprint(1, flush=True)\ntime.sleep(300)"), outcome.events.append
        )
        await until(lambda: outcome.lines == ["1"], "its start")
        crun_itself = int(parent(parent(running.pid)))
        assert Path(f"/proc/{crun_itself}/exe").resolve().name != "dash"
        os.kill(crun_itself, 9)
        async with asyncio.timeout(DEADLINE_S):
            await running.wait()
        await until(lambda: not Path(f"/proc/{running.pid}").exists(), "its end")

    asyncio.run(play())
    assert not left(stage.folder)


def parent(process: int | str) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]


@ROOT_ONLY
def test_storage_is_a_file_system_of_its_own_that_stays(stage: Stage, tmp_path: Path) -> None:
    data, image = tmp_path / "data", tmp_path / "data.ext4"
    data.mkdir(mode=0o700)
    sandbox = crun(own_user=True)
    code = """
import os
path = os.environ["ARMILLARY_DATA"] + "/file"
print(open(path).read() if os.path.exists(path) else "new")
with open(path, "w") as file:
    file.write("kept")
try:
    with open(path + "2", "wb") as file:
        while True: file.write(bytes(65536))
except OSError as error:
    print(error.strerror)
os.unlink(path + "2")
"""
    given: dict[str, Any] = {"data": data, "storage": image, "storage_kb": 2048}
    assert stage.run(sandbox, code, **given).lines == ["new", "No space left on device"]
    assert stage.run(sandbox, code, **given).lines == ["kept", "No space left on device"]
