# SPDX-License-Identifier: Apache-2.0
"""What a grant becomes in each engine, as text for people: the same values that the engines carry out.

:mod:`confine`, :mod:`seccomp` and :mod:`network` compile them here for an example host, whose folders and nodes are
named by what they are (``its storage``); nothing is written down twice. A capability's part is what the compiled grant
has more than that of an application without capabilities (:func:`added`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import UUID

from armillary.capability import confine, network
from armillary.capability.application_limits import ApplicationLimits
from armillary.capability.confine import Folders, ImageTree, Runtime
from armillary.capability.grant import Grant
from armillary.capability.layout import Kind, places
from armillary.capability.seccomp import ALLOWED, ALLOWED_IOCTLS, LINE_IOCTLS, SERIAL_IOCTLS, Policy
from armillary.capability.syscalls import ARCHITECTURES

ENGINES = ("linux", "crun", "reduced", "process")
# Mechanism -> values, each one line.
Compiled = Mapping[str, tuple[str, ...]]

_RUNTIME = Runtime(interpreter="/usr/bin/python3", folders=("/usr",), links=(("usr/lib", "/lib"),))
_IMAGE = ImageTree(root="its image", entries=("bin", "app_manifest.json"))
_STORAGE, _CERTIFICATE, _TEMPORARY = "its storage", "the device's certificate", "its temporary folder"
_RIGHTS = {
    confine.READ: "read",
    confine.RUN: "read and run",
    confine.CHANGE: "read and change, not run",
    confine.SERIAL: "a serial line",
    confine.READ_FILE | confine.WRITE_FILE: "read and write",
}
_BOUND = {Kind.WRITE: "read and write", Kind.READ: "read-only", Kind.READ_ALL: "read-only", Kind.DEVICE: "a device"}
_DECIDED = "connect, sendto, sendmsg, sendmmsg, bind, listen: the device decides (seccomp notification)"


def compile_grant(grant: Grant, engine: str) -> Compiled:
    """All that ``engine`` (one of :data:`ENGINES`) is told about an application; nothing for ``process``."""
    if engine == "process":
        return {}
    namespaces = engine != "reduced"
    folders = _folders(grant)
    policy = confine.filter_policy(grant, namespaces=namespaces, serial=bool(folders.serial_ports))
    found = {
        "mounts": tuple(_mounts(folders)) if namespaces else (),
        "landlock": tuple(_landlock(folders, namespaces=namespaces)),
        "system-calls": tuple(_system_calls(policy)),
        "limits": tuple(_limits(grant, namespaces=namespaces)),
        "control-groups": tuple(_as_a_whole(grant.limits)),
        "host-names": tuple(_hosts(grant)),
        "ports": tuple(_ports(grant)),
    }
    return {mechanism: values for mechanism, values in found.items() if values}


def added(grant: Grant, engine: str) -> Compiled:
    """What a grant has in an engine that one of nothing has not."""
    nothing = Grant(component_id=grant.component_id, hosts=network.allowed_hosts(()), limits=grant.limits)
    without = compile_grant(nothing, engine)
    found = {
        mechanism: tuple(value for value in values if value not in without.get(mechanism, ()))
        for mechanism, values in compile_grant(grant, engine).items()
    }
    return {mechanism: values for mechanism, values in found.items() if values}


def always(engine: str, limits: ApplicationLimits) -> Compiled:
    """What every application is told to keep to in an engine, whatever it asks for, where a chip gives it so much."""
    return compile_grant(Grant(component_id=UUID(int=0), hosts=network.allowed_hosts(()), limits=limits), engine)


def _folders(grant: Grant) -> Folders:
    serial_ports = sorted(each.name for each in grant.peripherals if each.kind == "Uart")
    return Folders(
        data=_STORAGE if grant.mutable_storage_kb else None,
        device_authentication=_CERTIFICATE if grant.device_authentication is not None else None,
        serial_ports={name: f"the node of {name}" for name in serial_ports},
    )


def _mounts(folders: Folders) -> Iterator[str]:
    """What is put somewhere, one text for each."""
    for place in places(_RUNTIME, _IMAGE, folders):
        if place.kind in _BOUND:
            source = f"{place.source}, " if place.source != place.path else ""
            yield f"{place.path}: {source}{_BOUND[place.kind]}"
        elif place.kind is Kind.TEMPORARY:
            yield f"{place.path}: {confine.TEMPORARY_SIZE_BYTES} bytes of memory"


def _landlock(folders: Folders, *, namespaces: bool) -> Iterator[str]:
    if namespaces:
        paths = confine.inside_paths(_RUNTIME, _IMAGE, folders)
    else:
        paths = confine.outside_paths(_RUNTIME, _IMAGE.root, _TEMPORARY, folders)
    yield from (f"{path}: {_RIGHTS[rights]}" for path, rights in paths)
    yield "TCP: neither connect nor bind by itself"


def _system_calls(policy: Policy) -> Iterator[str]:
    # Of 64 bits: 32-bit Arm has a second form of some.
    allowed = [name for names in ALLOWED.values() for name in names.split() if name in ARCHITECTURES["x86_64"].numbers]
    yield f"{len(allowed)} calls allowed, all others EPERM"
    if policy.notify:
        yield _DECIDED
    yield f"ioctl: {', '.join(ALLOWED_IOCTLS)}"
    if policy.server:
        yield "setsockopt SO_REUSEPORT: ENOPROTOOPT"
    if policy.serial:
        yield f"ioctl: {', '.join(SERIAL_IOCTLS)}"
    if policy.lines:
        yield f"ioctl on the lines that it is handed: {', '.join(LINE_IOCTLS)}"
    yield "fcntl F_SETLEASE, F_NOTIFY: EPERM"
    if not policy.attributes:
        yield "chmod, utime and inotify_add_watch in all their forms: EPERM"
    if not policy.sessions:
        yield "setsid, setpgid: EPERM"


def _limits(grant: Grant, *, namespaces: bool) -> Iterator[str]:
    limits = confine.resource_limits(grant) if namespaces else confine.outside_limits(grant)
    yield from (f"{name} {value}" for name, value in limits.items())


def _as_a_whole(limits: ApplicationLimits) -> Iterator[str]:
    """What holds for all processes together, where the host has control groups."""
    yield f"memory {limits.memory_bytes}, shared memory and temporary files with it"
    yield f"processes and threads {limits.processes}"
    yield f"processors {limits.processor_percent} % of all, weight {limits.processor_weight}"
    yield f"devices {', '.join(limits.devices)}, and nodes that it is handed"


def _hosts(grant: Grant) -> Iterator[str]:
    for name, stand_in in grant.hosts.stand_ins.items():
        yield f"{name}: stands inside as {stand_in}; the device resolves it and connects"
    yield from (f"{address}: the device connects" for address in sorted(grant.hosts.addresses, key=str))


def _ports(grant: Grant) -> Iterator[str]:
    for port in sorted(grant.tcp_server_ports):
        yield f"TCP {port}: the device opens it when the application listens"
    for port in sorted(grant.udp_server_ports):
        yield f"UDP {port}: the device opens it when the application binds it"
