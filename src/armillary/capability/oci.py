# SPDX-License-Identifier: Apache-2.0
"""From a Grant to an OCI bundle: ``config.json`` and what lies in the root file system, for any OCI runtime.

It says as much of a grant as OCI can say. What it cannot say is added inside by the launcher: which arguments of a
system call are allowed, what the device decides about connections, Landlock's file rules.
Sources: Open Container Initiative runtime specification 1.1 (config.md, config-linux.md), crun(1).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.capability import confine
from armillary.capability.grant import Grant
from armillary.capability.layout import Kind, Place
from armillary.capability.seccomp import AF_INET, AF_INET6, AF_UNIX, CLONE_NEW, named_calls

VERSION = "1.1.0"
ROOT_FOLDER = "rootfs"  # below the bundle
NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup")
# What the first programs inside need beside an application's calls, before they give them up: the launcher, and the
# shell that starts it.
STARTING_CALLS = (
    "capset",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "seccomp",
    "setpriority",
)
# The specification's names of architectures by those of uname(1).
ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64", "armv7l": "SCMP_ARCH_ARM"}
# What runtimes put into every /dev, and no application needs: a link to nowhere is there already.
_WITHHELD = "/dev/tty"
_NOWHERE = "withheld"
_READ_ONLY = ("rbind", "rprivate", "ro", "nosuid", "nodev")
_READ_ONLY_WITH_ALL = ("rbind", "rprivate", "ro", "rro", "rnosuid", "rnodev")  # crun 1.8 takes these for folders alone
_CHANGED = ("rbind", "rprivate", "rw", "nosuid", "nodev", "noexec")
_NODE = ("bind", "rprivate", "rw", "nosuid", "noexec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle whose files are still to be written.

    Attributes:
        config: The content of ``config.json``.
        folders: Folders of the root file system, outermost first.
        links: Its symbolic links, (target, path).
        files: Paths of the files that the engine writes into it.
    """

    config: dict[str, Any]
    folders: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The first process inside.

    Attributes:
        arguments: Program and arguments.
        environment: ``NAME=value``.
        user: User and group, the application's own.
        groups: Further groups.
        memory_score: How soon the kernel ends it where memory runs out (``oom_score_adj``).
    """

    arguments: Sequence[str]
    environment: Sequence[str]
    user: int
    groups: Sequence[int] = ()
    memory_score: int = confine.MEMORY_SCORE


def bundle(
    grant: Grant, places: Iterable[Place], process: Process, *, machine: str, storage: str | None, user_namespace: bool
) -> Bundle:
    """The bundle of an application.

    Args:
        grant: What it was granted.
        places: What is where inside (``layout.places``).
        process: The first process inside.
        machine: Architecture, as ``uname -m`` prints it.
        storage: Path on the host of its mutable storage where that is mounted for it, or None.
        user_namespace: Whether it runs in a user namespace of its own, in which the runtime's user is the
            application's; otherwise the runtime is root, and changes the user.
    """
    found = tuple(places)
    mounts = [mount for each in found if (mount := _mount(each)) is not None]
    if storage is not None:
        mounts.append(_bind(confine.DATA_FOLDER, storage, _CHANGED))
    return Bundle(
        config={
            "ociVersion": VERSION,
            "root": {"path": ROOT_FOLDER, "readonly": True},
            "hostname": "armillary",
            "process": _process(grant, process),
            "mounts": mounts,
            "linux": _linux(grant, found, machine) | (_mapped(process.user) if user_namespace else {}),
            "annotations": {"org.armillary.component": str(grant.component_id)},
        },
        folders=tuple(each.path for each in found if each.kind is Kind.FOLDER),
        links=(*((each.source, each.path) for each in found if each.kind is Kind.LINK), (_NOWHERE, _WITHHELD)),
        files=tuple(each.path for each in found if each.kind is Kind.FILE),
    )


def _process(grant: Grant, process: Process) -> dict[str, Any]:
    nothing: list[str] = []
    sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
    return {
        "terminal": False,
        "user": {"uid": process.user, "gid": process.user, "additionalGids": list(process.groups)},
        "args": list(process.arguments),
        "env": list(process.environment),
        "cwd": "/",
        "capabilities": dict.fromkeys(sets, nothing),
        "noNewPrivileges": True,
        "rlimits": [
            {"type": f"RLIMIT_{name}", "soft": value, "hard": value}
            for name, value in confine.resource_limits(grant).items()
        ],
        "oomScoreAdj": process.memory_score,
    }


def _mount(place: Place) -> dict[str, Any] | None:
    """The mount that puts something in its place; None for what lies in the root file system itself, or is masked."""
    if place.kind is Kind.PROCESSES:
        options = ["nosuid", "nodev", "noexec"]
        return {"destination": place.path, "type": "proc", "source": "proc", "options": options}
    if place.kind is Kind.TEMPORARY:
        options = ["nosuid", "nodev", "noexec", "mode=1777", f"size={confine.TEMPORARY_SIZE_BYTES}"]
        return {"destination": place.path, "type": "tmpfs", "source": "tmpfs", "options": options}
    bound = {
        Kind.READ: _READ_ONLY,
        Kind.READ_ALL: _READ_ONLY_WITH_ALL,
        Kind.WRITE: _CHANGED,
        Kind.DEVICE: _NODE,
    }
    return _bind(place.path, place.source, bound[place.kind]) if place.kind in bound else None


def _bind(path: str, source: str, options: Sequence[str]) -> dict[str, Any]:
    return {"destination": path, "type": "bind", "source": source, "options": list(options)}


def _linux(grant: Grant, places: Iterable[Place], machine: str) -> dict[str, Any]:
    hidden = (Kind.HIDDEN_FILE, Kind.HIDDEN_FOLDER)
    return {
        "namespaces": [{"type": name} for name in NAMESPACES],
        "maskedPaths": [each.path for each in places if each.kind in hidden],
        "readonlyPaths": [],  # all of the usual ones are masked
        "resources": _resources(grant),
        "seccomp": _seccomp(machine),
    }


def _resources(grant: Grant) -> dict[str, Any]:
    """Bounds of the application as a whole. The device's own control groups hold them, by these same numbers."""
    limits = grant.limits
    return {
        "memory": {"limit": limits.memory_bytes, "swap": limits.memory_bytes},
        "pids": {"limit": limits.processes},
        "cpu": {"shares": limits.processor_weight * 1024 // 100},
        "devices": [{"allow": False, "access": "rwm"}],
    }


def _mapped(user: int) -> dict[str, Any]:
    """A user namespace in which the runtime's user is the application's, and there is no other."""
    mapping = [{"containerID": user, "hostID": 0, "size": 1}]
    return {
        "namespaces": [{"type": name} for name in (*NAMESPACES, "user")],
        "uidMappings": mapping,
        "gidMappings": mapping,
    }


def _seccomp(machine: str) -> dict[str, Any]:
    """The calls by name, and what leads out of the namespaces: all that also the first process inside must not do.

    The launcher's own filter adds the other arguments, and the supervisor.
    """
    checked = {"clone", "clone3", "socket", "socketpair"}
    allowed = sorted({*named_calls(machine), *STARTING_CALLS} - checked)
    unshared = {"index": 0, "value": CLONE_NEW, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    families = [{"index": 0, "value": family, "op": "SCMP_CMP_EQ"} for family in (AF_UNIX, AF_INET, AF_INET6)]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "architectures": [ARCHITECTURES[machine]],
        "syscalls": [
            {"names": allowed, "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [unshared]},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
            {"names": ["socketpair"], "action": "SCMP_ACT_ALLOW", "args": families[:1]},
            *({"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [family]} for family in families),
        ],
    }
