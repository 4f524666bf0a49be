# SPDX-License-Identifier: Apache-2.0
"""Which mechanism holds an application to each thing that it was granted, on a host whose self-test saw this and that.

Device and service say it by the same rules: the device of what it runs, the service of what a device attested. A
mechanism that held in the self-test holds for each application that runs: one for which it cannot be set up is not
started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from armillary.capability.confine import TEMPORARY_SIZE_BYTES
from armillary.capability.grant import Grant
from armillary.wire.attestation.evidence import ENFORCED, MISSING_PREFIX

KIBIBYTE, MEBIBYTE = 1024, 1024 * 1024
NONE = "none"
UNKNOWN = "its self-test knows none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One thing that an application was granted, and what holds it to that.

    Attributes:
        granted: One of :data:`GRANTED`.
        value: How much, which, or how many; "" where there is nothing to say.
        mechanism: Name in the self-test; of several that would do, the one that the engine has.
        held: Whether the self-test saw it hold.
        why: Why it does not, or "".
    """

    application: str
    granted: str
    value: str
    mechanism: str
    held: bool
    why: str = ""


# What is granted -> the mechanisms that hold it; of alternatives (several names in one) an engine has one.
GRANTED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "image": (("read-only-root", "read-only-image"),),
    "files": (("host-files",),),
    "user": (("user",),),
    "system-calls": (("seccomp",),),
    "connections": (("network-broker",), ("network-namespace",)),
    "server-ports": (("network-broker",),),
    "device-methods": (("network-broker",),),  # makes the connection to the device, so that it knows who asks
    "storage": (("mutable-storage-limit",), ("written-files-not-executable",), ("written-files-not-loaded",)),
    "temporary-files": (("temporary-storage-limit",),),
    "devices": (("device-list",),),
    "memory": (("memory-limit",),),
    "processes": (("process-limit",),),
    "processors": (("processor-limit",),),
    "each-process": (("resource-limits",),),
}


def holdings(application: str, grant: Grant, enforcement: Iterable[tuple[str, str]]) -> tuple[Holding, ...]:
    """What holds an application of this grant, by the words of evidence; nothing that it does not have is listed."""
    said = dict(enforcement)
    found = []
    for granted, value in _values(grant):
        for names in GRANTED[granted]:
            name = next((each for each in names if said.get(each) == ENFORCED), None)
            name = name or next((each for each in names if each in said), names[0])
            state = said.get(name, MISSING_PREFIX + UNKNOWN)
            held = state == ENFORCED
            why = "" if held else state.removeprefix(MISSING_PREFIX)
            found.append(
                Holding(application=application, granted=granted, value=value, mechanism=name, held=held, why=why)
            )
    return tuple(found)


def _values(grant: Grant) -> Iterator[tuple[str, str]]:
    limits = grant.limits
    hosts = (*sorted(grant.hosts.names), *sorted(map(str, grant.hosts.addresses)))
    ports = (
        *(f"TCP {port}" for port in sorted(grant.tcp_server_ports)),
        *(f"UDP {port}" for port in sorted(grant.udp_server_ports)),
    )
    yield from (("image", ""), ("files", ""), ("user", ""), ("system-calls", ""))
    yield "connections", ", ".join(hosts) or NONE
    if ports:
        yield "server-ports", ", ".join(ports)
    if grant.privileges:
        yield "device-methods", ", ".join(sorted(grant.privileges))
    if grant.mutable_storage_kb:
        yield "storage", f"{grant.mutable_storage_kb} KiB"
    yield "temporary-files", f"{TEMPORARY_SIZE_BYTES // KIBIBYTE} KiB"
    yield "devices", ", ".join(sorted(f"{each.kind} {each.name}" for each in grant.peripherals)) or NONE
    yield "memory", f"{limits.memory_bytes // MEBIBYTE} MiB"
    yield "processes", str(limits.processes)
    yield "processors", f"{limits.processor_percent} %"
    yield "each-process", ""
