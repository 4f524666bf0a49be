# SPDX-License-Identifier: Apache-2.0
"""What the ``linux`` sandbox has to prove, and what it cannot do on a given host, as sentences for people."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.capability import confine
from armillary.engines.sandbox.control_groups import report as group_report
from armillary.engines.sandbox.port import Mechanism
from armillary.engines.sandbox.within.self_test import (
    GIVES_WAY,
    SHARED,
    Judge,
    Observations,
    every,
    expect,
    limits,
    mapped_user,
    own_namespaces,
    own_user,
)

# What is written cannot be mapped to be run either, by a loader or dlopen(3).
NOT_LOADED = "written-files-not-loaded"
# Mutable storage is a file system of its own, as large as the quota.
QUOTA = "mutable-storage-limit"
# Landlock: a second layer under the mounts; the sandbox holds without it on kernels that have none. Mounts that forbid
# execution: hosts whose policy gives bwrap's children no capabilities cannot have them. A file system for mutable
# storage: needs root and loop devices; without it the device counts what is written.
OPTIONAL = frozenset({"landlock", NOT_LOADED, GIVES_WAY, QUOTA}) | group_report.OPTIONAL

# Why an image of mutable storage is not even tried.
NOT_ROOT = "the device was not started by root"

ALWAYS_WEAKER = ("An application sees the host's programs below /usr, read-only.",)
AS_USER = (
    "The device was not started by root: applications run in user namespaces as the user who started it, with "
    "that user's groups, not as users of their own."
)


def no_images(reason: str) -> str:
    """What is said where mutable storage is no file system of its own."""
    return (
        "Mutable storage is counted every second, and who has more than the quota is stopped, and may then only "
        f"remove: {reason}."
    )


def absent_images(reason: str) -> tuple[Mechanism, ...]:
    """The same for the evidence; nothing without a reason."""
    return (Mechanism(QUOTA, False, f"mutable storage is counted every second ({reason})"),) if reason else ()


def only_loopback(seen: Observations) -> tuple[bool, str]:
    """There is no network interface but lo."""
    return seen.of("interfaces") == "lo", f"interfaces: {seen.of('interfaces')}"


def own_session(seen: Observations) -> tuple[bool, str]:
    """Its session began in the sandbox: one from outside has the number 0 there."""
    session = seen.of("session").partition(" ")[0]
    return session.isdecimal() and session != "0", f"session, process: {seen.of('session')}"


def judges(*, as_root: bool, images: bool = True) -> Mapping[str, Judge]:
    """What has to have been seen, by mechanism; ``images`` where mutable storage is a file system of its own."""
    namespaces = ["ipc", "mnt", "net", "pid", "uts"] + ([] if as_root else ["user"])
    return {
        "user": own_user if as_root else mapped_user,
        **SHARED,
        NOT_LOADED: expect("own-file-mapped", "EPERM"),
        "capabilities": every(expect("capabilities", "none"), expect("bounding-set", "none")),
        "session": own_session,
        "neighbours": expect("memory-of-neighbours", "ENOENT", "EACCES"),
        "namespaces": own_namespaces(*namespaces),
        "network-namespace": every(own_namespaces("net"), only_loopback),
        "read-only-root": every(expect("root", "EROFS"), expect("image", "EROFS")),
        "temporary-storage-limit": expect("temporary", "ENOSPC"),
        **({QUOTA: expect("storage", "ENOSPC")} if images else {}),
        "resource-limits": limits(
            CORE=0,
            DATA=confine.DATA_SEGMENT_LIMIT_BYTES,
            NOFILE=confine.DESCRIPTOR_LIMIT,
            NPROC=confine.PROCESS_LIMIT,
        ),
        "landlock": expect("landlock", "EACCES"),
    }
