# SPDX-License-Identifier: Apache-2.0
"""From a Grant to what the kernel is told: resource limits, Landlock rules, a user, the system-call policy's variant.

All of it as values; ``engines/sandbox`` finds out what the host has (:class:`Runtime`) and carries them out. Mounts are
worked out in :mod:`layout`.
Sources: landlock(7), getrlimit(2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from armillary.capability.application_limits import MEMORY_BYTES, PROCESSES, STANDARD_DEVICES
from armillary.capability.grant import Grant
from armillary.capability.seccomp import Policy

# Where things are inside.
DEVICE_AUTHENTICATION_FOLDER = "/run/armillary/daa"
DATA_FOLDER = "/mnt/data"
APPLICATION_SOCKET = "/run/armillary/application.sock"
TEMPORARY_FOLDER = "/tmp"  # noqa: S108 - the sandbox's own, a tmpfs with a size
# Top-level names of an image that would hide what the sandbox itself puts there.
RESERVED_NAMES = frozenset({"dev", "etc", "lib32", "lib64", "mnt", "proc", "root", "run", "sbin", "sys", "tmp", "usr"})
# Character devices that are not devices of the board.
DEVICES = STANDARD_DEVICES
# Folder of the devices, inside and outside.
DEVICE_FOLDER = "/dev"
# Facts about the machine that C libraries and interpreters read.
READABLE_PROC = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/loadavg")

# Volatile storage: enough for a certificate bundle and some state; memory, so it must have an end.
TEMPORARY_SIZE_BYTES = 1024 * 1024
# Private memory of one process: no more than an application may have as a whole.
DATA_SEGMENT_LIMIT_BYTES = MEMORY_BYTES
# An event loop, its connections and files; Azure Sphere's limit is lower, its applications are smaller.
DESCRIPTOR_LIMIT = 256
# Threads and processes together, counted for the application's own user.
PROCESS_LIMIT = PROCESSES
# Also what a thread's stack takes of the data limit: as many threads as processes must fit.
STACK_LIMIT_BYTES = 2 * 1024 * 1024
PENDING_SIGNAL_LIMIT = 128
# An application gives way to the device that runs it: less processor time where both want it, and the first to be
# ended where the machine has no memory left (proc_pid_oom_score_adj(5); the range ends at 1000).
NICENESS = 5
MEMORY_SCORE = 500
LOCKED_MEMORY_LIMIT_BYTES = 64 * 1024
FILE_SIZE_MINIMUM_BYTES = TEMPORARY_SIZE_BYTES

# First user id for applications: above every range that distributions and systemd give out
# (systemd.io/UIDS-GIDS: container users end at 0x6FFFFFFF), below 2^31, which some programs cannot hold.
APPLICATION_USER_FIRST = 0x70000001
APPLICATION_USER_COUNT = 1 << 24
# What waits beside an application, where the device gives users; no application is this one.
WAITING_USER = APPLICATION_USER_FIRST + APPLICATION_USER_COUNT - 1
# Group that may read the device's client certificate and key.
DEVICE_AUTHENTICATION_GROUP = 0x70000000

# linux/landlock.h, access rights for files by bit
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_SYM = (
    1 << 4,
    1 << 5,
    1 << 7,
    1 << 8,
    1 << 9,
    1 << 10,
    1 << 12,
)
REFER, TRUNCATE, IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
# No EXECUTE: what an application can write it cannot start. Landlock has no say in mapping a file, which is how a
# loader or dlopen(3) would run it: the mounts of these places forbid that (``launcher.forbid_execution``).
CHANGE = (
    (READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM)
    | REFER
    | TRUNCATE
)
# Mutable storage that holds more than its quota: until enough is removed, nothing is written.
REMOVE = READ | REMOVE_DIR | REMOVE_FILE
# A serial port: which of its ioctl requests, the system-call filter decides.
SERIAL = READ_FILE | WRITE_FILE | IOCTL_DEVICE
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
SCOPE_ABSTRACT_UNIX, SCOPE_SIGNAL = 1 << 0, 1 << 1
# Rights that each ABI version brought: everything known is handled, so everything unnamed is refused.
_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
NETWORK_ABI, SCOPE_ABI = 4, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The host's read-only part of a sandbox.

    Attributes:
        interpreter: Path of the Python that runs the launcher and ``#!/usr/bin/env python3`` applications.
        folders: Folders that appear at the same path, e.g. ``/usr``.
        links: (target, path) of symbolic links at the top, e.g. ``("usr/lib64", "/lib64")``.
        library_links: The same for ``/lib`` when the image has a ``lib`` of its own: loader and library folders.
        files: Single files and folders of ``/etc`` that appear at the same path.
        masked_files: Files of ``/proc`` that are covered.
        masked_folders: Folders of ``/proc`` that are covered.
        library_search: Folders with the libraries of ``interpreter``, which no image can cover.
    """

    interpreter: str
    folders: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    library_links: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    masked_files: tuple[str, ...] = ()
    masked_folders: tuple[str, ...] = ()
    library_search: tuple[str, ...] = ()

    @property
    def search_path(self) -> str:
        """``PATH`` inside."""
        own = self.interpreter.rpartition("/")[0]
        return own if own == "/usr/bin" else f"{own}:/usr/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTree:
    """The image's top two levels, as far as mounting it needs them.

    Attributes:
        root: Folder on the host.
        entries: Names at the top.
        library_entries: Names in its ``lib`` folder, if it has one.
    """

    root: str
    entries: tuple[str, ...]
    library_entries: tuple[str, ...] = ()

    @property
    def reserved(self) -> tuple[str, ...]:
        """Entries no image may have; empty for an acceptable image."""
        return self.covering(())

    def covering(self, folders: Iterable[str]) -> tuple[str, ...]:
        """Entries an image must not have on a host whose runtime has these folders: they would cover them."""
        own = {folder.split("/")[1] for folder in folders}
        return tuple(sorted(set(self.entries) & (RESERVED_NAMES | own)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Folders on the host that an application is given.

    Attributes:
        data: Becomes its mutable storage, or None.
        device_authentication: Holds its client certificate, or None.
        serial_ports: Node on the host of each serial port it is handed, by the board's name, ``UART2``.
        interface: Socket at which the device answers it, or None.
        mounted: Whether its mutable storage is a file system of its own, which the launcher mounts.
        full: Whether it has more in its mutable storage than its quota: it may then remove and write nothing.
    """

    data: str | None = None
    device_authentication: str | None = None
    serial_ports: Mapping[str, str] = field(default_factory=dict)
    interface: str | None = None
    mounted: bool = False
    full: bool = False

    @property
    def has_data(self) -> bool:
        """Whether there is mutable storage."""
        return self.mounted or self.data is not None


def filter_policy(grant: Grant, *, namespaces: bool, serial: bool = False) -> Policy:
    """The system-call policy for a grant; ``serial`` when it is handed a serial port.

    With ``namespaces`` the application has networks and processes of its own. Without them it may listen only with a
    declared port, must stay in its session, by which the supervisor ends it, and leaves modes and times of files.
    """
    return Policy(
        listen=namespaces or bool(grant.tcp_server_ports),
        server=not namespaces or bool(grant.tcp_server_ports),
        serial=serial,
        lines=any(each.kind == "Gpio" for each in grant.peripherals),
        attributes=namespaces,
        sessions=namespaces,
    )


def resource_limits(grant: Grant) -> Mapping[str, int]:
    """Limits by name (``RLIMIT_`` left out); soft and hard alike."""
    return {
        "CORE": 0,
        "DATA": grant.limits.memory_bytes,
        "FSIZE": max(grant.mutable_storage_kb * 1024, FILE_SIZE_MINIMUM_BYTES),
        "MEMLOCK": LOCKED_MEMORY_LIMIT_BYTES,
        "MSGQUEUE": 0,
        "NICE": 0,
        "NOFILE": DESCRIPTOR_LIMIT,
        "NPROC": PROCESS_LIMIT,
        "RTPRIO": 0,
        "SIGPENDING": PENDING_SIGNAL_LIMIT,
        "STACK": STACK_LIMIT_BYTES,
    }


def application_user(component_id: UUID) -> int:
    """User and group id of an application: stable, its own (as far as 24 bits of a hash go), unprivileged."""
    digest = hashlib.sha256(b"armillary application user\0" + component_id.bytes).digest()
    return APPLICATION_USER_FIRST + int.from_bytes(digest[:4], "big") % (APPLICATION_USER_COUNT - 1)


def landlock_rules(abi: int, paths: Iterable[tuple[str, int]]) -> dict[str, object]:
    """A ruleset in the launcher's terms: nothing but these paths, no TCP, no signals or sockets to the outside.

    The supervisor connects and binds for an application, by what it decided; by itself the application does neither.

    Args:
        abi: Landlock's ABI version on this kernel, at least 1. Rights the kernel does not know are left out.
        paths: (path, rights); the rights hold beneath the path.
    """
    handled = 0
    for version, rights in _FILE_RIGHTS_BY_ABI.items():
        if abi >= version:
            handled |= rights
    network, scope = abi >= NETWORK_ABI, abi >= SCOPE_ABI
    return {
        "handled_files": handled,
        "handled_network": BIND_TCP | CONNECT_TCP if network else 0,
        "scoped": SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL if scope else 0,
        # struct landlock_ruleset_attr grew with the ABI; an older kernel refuses a longer one.
        "attribute_bytes": 24 if scope else 16 if network else 8,
        "paths": [[path, rights] for path, rights in paths],
    }


def inside_paths(runtime: Runtime, image: ImageTree, folders: Folders) -> list[tuple[str, int]]:
    """What Landlock allows inside the namespaces: the same as the mounts, and less of /proc."""
    paths = [(folder, RUN) for folder in runtime.folders]
    paths += [(f"/{entry}", RUN) for entry in image.entries]
    paths += [("/etc", READ), (TEMPORARY_FOLDER, CHANGE)]
    paths += [(f"/dev/{device}", READ_FILE | WRITE_FILE) for device in DEVICES]
    paths += [(path, READ) for path in READABLE_PROC]
    if folders.has_data:
        paths.append((DATA_FOLDER, REMOVE if folders.full else CHANGE))
    if folders.device_authentication is not None:
        paths.append((DEVICE_AUTHENTICATION_FOLDER, READ))
    paths += [(serial_path(name), SERIAL) for name in folders.serial_ports]
    return paths


def outside_paths(
    runtime: Runtime, image_root: str, temporary: str, folders: Folders, *, name_files: Iterable[str] = ()
) -> list[tuple[str, int]]:
    """What Landlock allows without namespaces, in paths of the host; ``name_files`` are read to resolve names."""
    paths = [(folder, RUN) for folder in runtime.folders]
    paths += [(path, READ) for path in (*runtime.files, *name_files)]
    paths += [(f"{DEVICE_FOLDER}/{device}", READ_FILE | WRITE_FILE) for device in DEVICES]
    paths += [(image_root, RUN), (temporary, CHANGE)]
    if folders.data is not None:
        paths.append((folders.data, REMOVE if folders.full else CHANGE))
    if folders.device_authentication is not None:
        paths.append((folders.device_authentication, READ))
    paths += [(node, SERIAL) for node in folders.serial_ports.values()]
    return paths


def outside_limits(grant: Grant) -> Mapping[str, int]:
    """:func:`resource_limits` without those that count by user: they would count the device's own processes."""
    return {name: value for name, value in resource_limits(grant).items() if name != "NPROC"}


def serial_path(name: str) -> str:
    """Where the serial port of this name is inside the namespaces."""
    return f"{DEVICE_FOLDER}/{name}"


def writable_places(folders: Folders) -> list[str]:
    """Mount points inside the namespaces where an application can write files."""
    return [TEMPORARY_FOLDER, DATA_FOLDER] if folders.has_data else [TEMPORARY_FOLDER]
