# SPDX-License-Identifier: Apache-2.0
"""Applications that try to take from the host, or to keep themselves or the device from starting. Each has its control."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.conftest import enclosed, namespaces, sandbox, stage
from tests.engines.sandbox.sandbox_stage import Stage, own_network

from armillary.capability import confine
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import kernel, outside
from armillary.engines.sandbox.network.server_ports import ServerPorts
from armillary.engines.sandbox.port import Sandbox
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.within import image_root
from armillary.errors import InstallError, SandboxUnavailableError

__all__ = ["enclosed", "namespaces", "sandbox", "stage"]

# Where the libraries of this machine's programs are; others may be there for compilers.
TRIPLET = f"{kernel.machine()}-linux-gnu"


# A socket of the host's network that was handed in, after the other side has reset it. 127.0.0.2 and the port of the
# listeners is taken in that network and free in the application's own.
BIND_AGAIN = """
import errno, socket
peer = socket.create_connection(("localhost", {port}), 5)
peer.recv(5); peer.sendall(b"reset")
try:
    print(peer.recv(1))
except ConnectionResetError:
    print("reset")
for where in (("127.0.0.2", {port}), ("127.0.0.1", 0)):
    try:
        peer.bind(where)
        print("bound")
    except OSError as error:
        print(errno.errorcode[error.errno])
try:
    peer.listen(5)
    print("listens")
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_a_reset_connection_is_no_port_of_the_host(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = stage.run(sandbox, BIND_AGAIN, hosts=["localhost"], with_listeners=True)
    assert (outcome.lines[0], outcome.lines[2]) == ("reset", "EINVAL"), outcome.errors
    assert outcome.lines[1] in ("EINVAL", "EACCES")  # EACCES: by Landlock, where the network is the host's anyway
    assert outcome.lines[3] in ("EINVAL", "EACCES")  # EACCES: by the supervisor, there
    monkeypatch.setattr(outside, "hold_port", lambda _: None)
    monkeypatch.setattr(ServerPorts, "is_of_outside", lambda *_: False)
    outcome = stage.run(sandbox, BIND_AGAIN, hosts=["localhost"], with_listeners=True)
    if own_network(sandbox):
        assert outcome.lines[:3] == ["reset", "EADDRINUSE", "bound"], outcome.errors  # the control: the host's network


def test_a_connections_port_is_held_until_it_is_closed() -> None:
    """And so many at once that the system gives some numbers twice."""
    with socket.create_server(("127.0.0.1", 0), backlog=600) as server:
        held = []
        for _ in range(500):
            stream = socket.socket()
            outside.hold_port(stream)
            stream.connect(server.getsockname())
            held.append(stream)
        assert len({each.getsockname() for each in held}) == 500
        for each in held:
            each.close()


DEEP = """
import os
os.chdir(os.environ["ARMILLARY_DATA"])
for _ in range({levels}):
    os.mkdir("d" * 100); os.chdir("d" * 100)
with open("bottom", "w") as file:
    file.write("x")
os.mkdir("closed", 0)
print("made")
"""
COUNT = """
import os
os.chdir(os.environ["ARMILLARY_DATA"])
levels = 0
while os.path.isdir("d" * 100):
    os.chdir("d" * 100); levels += 1
print(levels, open("bottom").read())
"""


def test_an_application_cannot_make_itself_unstartable(stage: Stage, enclosed: Sandbox, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    try:
        levels = 60  # of 100 characters: more than the kernel's 4,096 bytes a path
        outcome = stage.run(enclosed, DEEP.replace("{levels}", str(levels)), data=data)
        assert outcome.lines == ["made"], outcome.errors
        for _ in range(2):
            outcome = stage.run(enclosed, COUNT, data=data)
            assert outcome.lines == [f"{levels} x"], outcome.errors
        with pytest.raises(OSError, match="too long"):
            _walk(data)  # the control: by paths
    finally:
        _remove(data)


@pytest.mark.skipif(
    os.geteuid() != 0,
    reason="only root gives folders away; to enable: sudo make test ARGS=tests/attacks/test_sandbox_escapes.py",
)
def test_a_deep_tree_of_somebody_else_is_given_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deeper than descriptors go round, and with an entry that cannot be given."""
    data = tmp_path / "data"
    data.mkdir()
    before, levels = os.open(".", os.O_RDONLY), 1500
    try:
        os.chdir(data)
        for _ in range(levels):
            Path("d").mkdir()
            Path("file").touch()
            os.chdir("d")
        os.chdir(before)
        chown = os.chown
        monkeypatch.setattr(
            os, "chown", lambda name, *more, **how: _fail() if name == "no" else chown(name, *more, **how)
        )
        (data / "no").touch()
        (data / "link").symlink_to("/etc/passwd")
        passwd = Path("/etc/passwd").stat().st_uid
        image_root.give_tree(data, 4711)
        os.chdir(data)
        for _ in range(levels):
            assert (Path("file").stat().st_uid, Path("d").stat().st_uid) == (4711, 4711)
            os.chdir("d")
        assert (data.stat().st_uid, (data / "link").lstat().st_uid, (data / "no").stat().st_uid) == (4711, 4711, 0)
        assert Path("/etc/passwd").stat().st_uid == passwd
    finally:
        os.chdir(before)
        os.close(before)
        _remove(data)


RUN_WRITTEN = """
import ctypes, os, shutil, subprocess
for place in (os.environ["TMPDIR"], os.environ["ARMILLARY_DATA"]):
    copy = os.path.join(place, "copy")
    shutil.copyfile("/usr/bin/env", copy)
    os.chmod(copy, 0o755)
    for command in ([copy, "true"], [os.environ["LOADER"], copy, "true"]):
        try:
            print(place, subprocess.run(command, stderr=subprocess.DEVNULL).returncode)
        except OSError as error:
            print(place, "refused")
    os.unlink(copy)
    library = os.path.join(place, "library.so")
    shutil.copyfile(os.environ["LIBRARY"], library)
    try:
        ctypes.CDLL(library)
        print(place, "loaded")
    except OSError:
        print(place, "not loaded")
    os.unlink(library)
"""


class Executable(LinuxSandbox):
    """As it was: mounts that let run what is written to them."""

    def plan(self, *arguments: Any) -> StartPlan:
        plan = super().plan(*arguments)
        return dataclasses.replace(plan, configure=lambda: plan.configure() | {"noexec": None})


def test_what_an_application_writes_it_neither_starts_nor_loads(
    stage: Stage, namespaces: LinuxSandbox, tmp_path: Path
) -> None:
    loader = next(path for folder in ("/usr/lib64", "/usr/lib") for path in sorted(Path(folder).glob("ld-linux*.so*")))
    library = Path("/usr/lib", TRIPLET, "libutil.so.1")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    given = {"LOADER": str(loader), "LIBRARY": str(library)}

    def told(sandbox: LinuxSandbox) -> dict[str, list[str]]:
        outcome = stage.run(sandbox, RUN_WRITTEN, data=data, environment=given)
        lines = [line.split(" ", 1) for line in outcome.lines]
        assert {place for place, _ in lines} == {confine.TEMPORARY_FOLDER, confine.DATA_FOLDER}, outcome.errors
        return {place: [what for where, what in lines if where == place] for place, _ in lines}

    for answers in told(namespaces).values():
        assert answers == ["refused", "127", "not loaded"]  # 127: the loader cannot map it
    for answers in told(Executable(namespaces.bubblewrap, own_user=namespaces.own_user)).values():
        assert answers == ["refused", "0", "loaded"]  # the control: only execve(2) was refused


def test_what_waits_inside_takes_no_library_of_an_image(
    stage: Stage, namespaces: LinuxSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bubblewrap's command is another user than the application: code of the image in it would be that user."""
    image = {"files": {f"lib/{TRIPLET}/libc.so.6": b"no library"}, "interpreter": "#!/usr/bin/env sh\n"}
    own = {"LD_LIBRARY_PATH": f"/usr/lib/{TRIPLET}"}  # the application itself would take it, too
    outcome = stage.run(namespaces, "echo started", environment=own, **image)
    assert outcome.lines == ["started"], outcome.errors
    real = host.runtime()
    monkeypatch.setattr(host, "runtime", lambda: dataclasses.replace(real, library_search=()))
    try:  # the control: the sandbox ends with its command, wherever the application is by then
        outcome = stage.run(namespaces, "exec sleep 1000", environment=own, **image)
    except SandboxUnavailableError:
        return
    assert outcome.status is not None
    assert outcome.status.signal == signal.SIGKILL


def test_an_image_cannot_cover_the_launchers_interpreter(
    stage: Stage, namespaces: LinuxSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = host.runtime()
    monkeypatch.setattr(host, "runtime", lambda: dataclasses.replace(real, folders=(*real.folders, "/opt/python")))
    with pytest.raises(InstallError, match="no opt at the top"):
        stage.run(namespaces, "", files={"opt/python/bin/python3": b"#!/bin/sh"})


def _walk(folder: Path) -> None:
    for where, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            Path(where, name).lstat()


def _raise(error: OSError) -> None:
    raise error


def _fail() -> None:
    raise OSError(errno.EPERM, "not this one")


def _remove(folder: Path) -> None:
    """Remove a tree that is deeper than pytest's own clean-up walks."""
    subprocess.run(["rm", "-rf", str(folder)], check=True)
