# SPDX-License-Identifier: Apache-2.0
"""Proves what a sandbox enforces: runs ``probe`` in it and judges what it saw. What was not seen is not claimed."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from armillary.capability.application_limits import STANDARD_DEVICES, ApplicationLimits
from armillary.capability.confine import MEMORY_SCORE, NICENESS, application_user
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.engines.sandbox.patience import USUAL, NoAnswerError
from armillary.engines.sandbox.port import (
    PYTHON,
    AppEvent,
    ConnectionAttempt,
    Launch,
    Mechanism,
    OutputLine,
    Sandbox,
    Usage,
)
from armillary.engines.sandbox.storage.image import try_storage
from armillary.engines.sandbox.storage.use import image_of
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.errors import ArmillaryError, SandboxUnavailableError
from armillary.wire.image.app_manifest import AppManifest

PROBE_COMPONENT = UUID("5e1f7e57-0000-4000-8000-000000000001")
# Reserved for examples (RFC 2606 §2): resolves nowhere, whatever the sandbox does.
UNDECLARED_NAME = "undeclared.armillary.example"
NO_SUCH_PROBE = "not answered"
PROBE_STORAGE_KB = 64
_DATA = "data"
# An application gives way to the device: the name of that mechanism in reports.
GIVES_WAY = "gives-way"
# A device that every application may open, and the probe may not: only a list of devices refuses it.
WITHHELD_DEVICE = "full"
# So low that the probe reaches them soon and the machine does not feel it.
PROBE_LIMITS = ApplicationLimits(
    memory_bytes=48 * 1024 * 1024,
    processes=24,
    devices=tuple(name for name in STANDARD_DEVICES if name != WITHHELD_DEVICE),
)

# How the kernel shows a group that a user namespace does not map (/proc/sys/kernel/overflowgid).
OVERFLOW_GROUP = "65534"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What the probes saw."""

    saw: Mapping[str, str]  # Probe to what it saw
    attempts: tuple[ConnectionAttempt, ...]  # Connection attempts the supervisor observed
    outside: Mapping[str, str]  # Namespaces of this process
    refused: tuple[str, int]  # Address and port of the listener that was not declared
    errors: tuple[str, ...] = ()  # Lines on standard error
    usage: Usage | None = None  # What control groups counted
    no_storage: str = ""  # Why mutable storage of its own was not tried, where it was wanted
    memory_score: int = 0  # How soon the kernel ends it where memory runs out, read outside

    def of(self, probe: str) -> str:
        """What one probe saw."""
        return self.saw.get(probe, NO_SUCH_PROBE)

    def observed(self, host: str) -> bool:
        """A refused attempt at this host was reported."""
        return any(attempt.host == host and not attempt.allowed for attempt in self.attempts)


def observe(sandbox: Sandbox, *, storage: bool = False, within_s: float = USUAL.test_s) -> Observations:
    """Run the probes in a sandbox; with mutable storage if that is wanted and this host can make it.

    It waits in a thread of its own, so it may be called from anywhere.

    Raises:
        NoAnswerError: it was not over within so many seconds.
        SandboxUnavailableError: the sandbox could not start the probe.
    """
    outcome: list[Observations | BaseException] = []

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                outcome.append(runner.run(_observe(sandbox, storage=storage, within_s=within_s)))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, whatever it is
            outcome.append(error)

    thread = threading.Thread(target=run, name="sandbox-self-test")
    thread.start()
    thread.join()
    result = outcome[0]
    if isinstance(result, ArmillaryError):
        raise result
    if isinstance(result, TimeoutError):
        raise NoAnswerError(
            f"the self-test gave no answer within {within_s:g} s",
            remedy="Run it again on a machine that has less to do.",
        ) from result
    if isinstance(result, OSError):
        raise SandboxUnavailableError(
            f"the self-test could not run: {result}",
            remedy="Run it again; if it persists, this host lacks what the sandbox needs.",
        ) from result
    if isinstance(result, BaseException):
        raise result
    return result


async def _observe(sandbox: Sandbox, *, storage: bool, within_s: float) -> Observations:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    allowed = await asyncio.start_server(greet, "127.0.0.1", 0)
    refused = await asyncio.start_server(greet, "127.0.0.2", 0)
    with tempfile.TemporaryDirectory(prefix="armillary-self-test-") as folder:
        question = {
            "secret": _secret(Path(folder)),
            "supervisor": os.getpid(),
            "allowed": allowed.sockets[0].getsockname(),
            "refused": refused.sockets[0].getsockname(),
            "name": UNDECLARED_NAME,
            "folder": folder,
            "shared_memory_bytes": PROBE_LIMITS.memory_bytes * 4 // 3,
            "processes": PROBE_LIMITS.processes * 2,
            "withheld": WITHHELD_DEVICE,
        }
        of_host = _socket(Path(folder))
        events: list[AppEvent] = []
        usage, memory_score = None, 0
        try:
            reason = await asyncio.to_thread(_try_storage, Path(folder)) if storage else ""
            launch = _launch(Path(folder), question, storage=storage and not reason)
            async with asyncio.timeout(within_s):
                running = await sandbox.start(launch, events.append)
                try:
                    memory_score = _memory_score(running.pid)
                    usage = (await running.wait()).usage
                finally:
                    await running.stop(0)
        finally:
            for server in (allowed, refused, of_host):
                server.close()
    seen = _observations(events, refused=refused_address(question))
    return replace(seen, usage=usage, memory_score=memory_score, no_storage=reason)


def _try_storage(folder: Path) -> str:
    """Make what the probe is given, and mount it once; why this host cannot, or nothing."""
    data = folder / _DATA
    data.mkdir()
    return try_storage(data, size_kb=PROBE_STORAGE_KB, user=application_user(PROBE_COMPONENT))


def _memory_score(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/oom_score_adj").read_text())
    except OSError:
        return 0


def _secret(folder: Path) -> str:
    """A file that everybody on this machine may read: only the sandbox hides it."""
    folder.chmod(0o755)
    path = folder / "secret"
    path.write_bytes(b"secret")
    path.chmod(0o644)
    return str(path)


def _socket(folder: Path) -> socket.socket:
    """A socket in a folder that everybody on this machine may connect to, however long the folder's path is."""
    listener = socket.socket(socket.AF_UNIX)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{place}/socket")
    finally:
        os.close(place)
    listener.listen()
    (folder / "socket").chmod(0o666)
    return listener


def refused_address(question: Mapping[str, object]) -> tuple[str, int]:
    """Address and port of the listener that no probe may reach."""
    address = question["refused"]
    if not isinstance(address, tuple):
        raise TypeError("refused: expected an address")
    return str(address[0]), int(address[1])


def _launch(folder: Path, question: Mapping[str, object], *, storage: bool) -> Launch:
    source = Path(__file__).with_name("probe.py").read_bytes()
    root = extract_image({"bin/app": source}, {"bin/app"}, folder / "image")
    manifest = AppManifest(name="self-test", component_id=PROBE_COMPONENT, entry_point="/bin/app")
    grant = Grant(component_id=PROBE_COMPONENT, hosts=allowed_hosts(["127.0.0.1"]), limits=PROBE_LIMITS)
    data = None
    if storage:
        data = folder / _DATA
        grant = replace(grant, mutable_storage_kb=PROBE_STORAGE_KB)
    environment = {"ARMILLARY_PROBE": json.dumps(question)}
    return Launch(
        image_root=root,
        manifest=manifest,
        grant=grant,
        data=data,
        storage=None if data is None else image_of(data),
        environment=environment,
        interpreter=PYTHON,
    )


def _observations(events: list[AppEvent], *, refused: tuple[str, int]) -> Observations:
    saw: dict[str, str] = {}
    errors: list[str] = []
    for event in events:
        if isinstance(event, OutputLine) and event.stream == "stdout":
            try:
                answer = json.loads(event.text)
                saw[str(answer["probe"])] = str(answer["saw"])
            except (ValueError, KeyError, TypeError):
                errors.append(event.text)
        elif isinstance(event, OutputLine):
            errors.append(event.text)
    return Observations(
        saw=saw,
        attempts=tuple(event for event in events if isinstance(event, ConnectionAttempt)),
        outside=_own_namespaces(),
        refused=refused,
        errors=tuple(errors),
    )


def _own_namespaces() -> dict[str, str]:
    return {path.name: str(path.readlink()) for path in Path("/proc/self/ns").iterdir() if path.is_symlink()}


Judge = Callable[[Observations], tuple[bool, str]]


def expect(probe: str, *wanted: str) -> Judge:
    """The probe saw one of these."""

    def judge(seen: Observations) -> tuple[bool, str]:
        return seen.of(probe) in wanted, f"{probe}: {seen.of(probe)}"

    return judge


def every(*judges: Judge) -> Judge:
    """All hold; the detail names those that do not, or all."""

    def judge(seen: Observations) -> tuple[bool, str]:
        results = [one(seen) for one in judges]
        failed = [detail for held, detail in results if not held]
        return not failed, "; ".join(failed or [detail for _, detail in results])

    return judge


def own_user(seen: Observations) -> tuple[bool, str]:
    """The application runs as its own user and group, with no others."""
    user = application_user(PROBE_COMPONENT)
    return seen.of("user") == f"{user} {user} []", f"user, group, groups: {seen.of('user')}"


def mapped_user(seen: Observations) -> tuple[bool, str]:
    """The application runs as its own user and group of a user namespace.

    A process without privilege cannot drop its supplementary groups: in the sandbox they show as the mapped group or as
    the overflow group, and the report says so.
    """
    user = application_user(PROBE_COMPONENT)
    found = seen.of("user")
    names, _, groups = found.partition(" [")
    inside = {group.strip(" ]") for group in groups.split(",")} - {""}
    return names == f"{user} {user}" and inside <= {str(user), OVERFLOW_GROUP}, f"user, group, groups: {found}"


def own_namespaces(*names: str) -> Judge:
    """The application is in other namespaces than this process."""

    def judge(seen: Observations) -> tuple[bool, str]:
        inside = json.loads(seen.saw.get("namespaces", "{}"))
        shared = [name for name in names if inside.get(name, "unreadable") in ("unreadable", seen.outside.get(name))]
        return not shared, f"shared with the host: {', '.join(shared)}" if shared else f"own {', '.join(names)}"

    return judge


def broker(seen: Observations) -> tuple[bool, str]:
    """The declared address answers; everything else is refused and was observed."""
    wrong = []
    if seen.of("declared") != "ok":
        wrong.append(f"declared address: {seen.of('declared')}")
    refused = ("undeclared", "undeclared-datagram", "undeclared-port")
    wrong += [f"{probe}: {seen.of(probe)}" for probe in refused if seen.of(probe) != "EACCES"]
    if seen.of("host-socket") not in ("ENOENT", "EACCES"):
        wrong.append(f"socket of the host: {seen.of('host-socket')}")
    if seen.of("undeclared-name") != "no such name":
        wrong.append(f"undeclared name: {seen.of('undeclared-name')}")
    if not seen.of("disconnect").startswith("EPERM E"):
        wrong.append(f"disconnecting: {seen.of('disconnect')}")
    wrong += [
        f"attempt at {host} was not observed" for host in (seen.refused[0], UNDECLARED_NAME) if not seen.observed(host)
    ]
    return not wrong, "; ".join(wrong) or "declared address reached, others refused and observed"


def limits(**wanted: int) -> Judge:
    """Hard limits are at most these."""

    def judge(seen: Observations) -> tuple[bool, str]:
        found = json.loads(seen.saw.get("limits", "{}"))
        over = [f"{name} {found.get(name)}" for name, most in wanted.items() if not 0 <= found.get(name, -1) <= most]
        return not over, f"over the limit: {', '.join(over)}" if over else f"{', '.join(wanted)} limited"

    return judge


def gives_way(seen: Observations) -> tuple[bool, str]:
    """It has less claim to processors than the device, and is ended before it where memory runs out."""
    niceness = seen.of("niceness")
    held = niceness.isdecimal() and int(niceness) >= NICENESS and seen.memory_score >= MEMORY_SCORE
    return held, f"niceness {niceness}, score where memory runs out {seen.memory_score}"


# Mechanism -> what has to have been seen, for the engines that enforce something.
SHARED: Mapping[str, Judge] = {
    "capabilities": expect("capabilities", "none"),
    "no-new-privileges": expect("no-new-privileges", "1"),
    "seccomp": every(
        expect("ioctl", "EPERM"),
        expect("user-namespace", "EPERM"),
        expect("keyctl", "EPERM"),
        expect("netlink", "EAFNOSUPPORT"),
        expect("mount", "EPERM"),
    ),
    "network-broker": broker,
    "host-files": every(expect("secret", "ENOENT", "EACCES"), expect("secret-mode", "ENOENT", "EPERM")),
    "written-files-not-executable": expect("own-file", "EACCES"),
    GIVES_WAY: gives_way,
}


def judge_all(judges: Mapping[str, Judge], seen: Observations) -> tuple[Mechanism, ...]:
    """One mechanism for each entry."""
    found = []
    for name, judge in judges.items():
        held, detail = judge(seen)
        if not held and not seen.saw and seen.errors:
            detail = seen.errors[-1]
        found.append(Mechanism(name, held, detail))
    return tuple(found)
