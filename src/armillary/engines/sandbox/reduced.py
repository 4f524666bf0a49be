# SPDX-License-Identifier: Apache-2.0
"""The ``reduced`` sandbox: Landlock and seccomp in a plain process, for hosts that forbid namespaces.

The same system-call policy and the same broker as ``linux``, without networks, processes and mounts of its own.
What follows from that is in :data:`WEAKER`, in sentences.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from armillary.capability import confine
from armillary.capability.confine import Folders
from armillary.capability.network import AllowedHosts, parse_address
from armillary.capability.seccomp import compile_filter
from armillary.engines.sandbox.control_groups import report as group_report
from armillary.engines.sandbox.control_groups.groups import DeviceGroups, device_groups
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.network.resolving import hosts_file_entries
from armillary.engines.sandbox.patience import USUAL, Patience
from armillary.engines.sandbox.port import AppEvent, Launch, Mechanism, RunningApplication, SandboxReport
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.entry import check_launch, plain_configuration, refuse_image
from armillary.engines.sandbox.start.grouping import launch_in_group
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.within.self_test import SHARED, Judge, Observations, expect, judge_all, limits, observe
from armillary.errors import SandboxUnavailableError

# Landlock that scopes signals and abstract sockets (Linux 6.12). Without that an application could end or talk to
# every process of the user, and nothing else here would stop it.
REQUIRED_ABI = confine.SCOPE_ABI
# What C libraries read to resolve names.
NAME_FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf")

WEAKER = (
    "An application shares the host's processes and network interfaces; it cannot signal, read or use them.",
    "An application can learn that a file path exists, though not what is in the file.",
    "Applications run as the user who started the device, not as users of their own.",
    "An application changes no modes and times of files, not of its own either, and watches no folders.",
    "Datagrams that strangers send to a UDP server port reach the application, but it can answer declared hosts only.",
    "Temporary storage is limited by file, not in total.",
    "Mutable storage is counted every second: who has more than the quota is stopped, and may then only remove.",
    "Unix sockets are refused but for the application interface, also between an application's own processes.",
    "When the device's process is killed, an application ends with it but processes that it started may not.",
    "The device's own paths are visible to the application: its image is not at the root.",
)

# Mechanisms of ``linux`` that need namespaces, and what their absence means, for the evidence and the device page.
ABSENT = (
    Mechanism(
        "namespaces", False, "applications share the host's processes and paths, which they cannot signal or read"
    ),
    Mechanism("network-namespace", False, "applications see the host's network interfaces, which they cannot use"),
    Mechanism("neighbours", False, "nothing waits beside applications; Landlock keeps them from every other process"),
    Mechanism("read-only-root", False, "the image is not at the root; paths outside it can be seen, not read"),
    Mechanism("user", False, "applications run as the user who started the device"),
    Mechanism("written-files-not-loaded", False, "the host's loader and dlopen(3) run what an application writes"),
    Mechanism("temporary-storage-limit", False, "temporary storage is limited by file, not in total"),
    Mechanism("mutable-storage-limit", False, "mutable storage is counted every second"),
)


@dataclass(slots=True)
class ReducedSandbox:
    """Contains applications without namespaces."""

    reason: str = ""  # Why ``linux`` could not be had, for the report; "" when ``reduced`` was asked for
    groups: DeviceGroups = field(default_factory=device_groups)
    name: str = "reduced"
    _report: SandboxReport | None = None
    patience: Patience = field(default=USUAL, kw_only=True)  # Also when it starts applications

    def self_test(self) -> SandboxReport:
        """Run the probes once and cache the report."""
        if self._report is None:
            weaker = ((self.reason,) if self.reason else ()) + WEAKER + group_report.weaker(self.groups)
            asked = {**JUDGES, **group_report.judges(self.groups)}
            absent = ABSENT + group_report.absent(self.groups)
            seen = judge_all(asked, observe(self, within_s=self.patience.test_s))
            self._report = SandboxReport(self.name, seen, weaker, absent, whole=False, fallen=self.reason)
        return self._report

    async def start(self, launch_: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.Sandbox``."""
        check_launch(launch_)
        refuse_image(launch_)
        abi = kernel.landlock_abi()
        if abi < REQUIRED_ABI:
            raise SandboxUnavailableError(
                f"expected Landlock ABI {REQUIRED_ABI} or newer, got {abi or 'none'}",
                remedy="Use Linux 6.12 or newer with Landlock enabled, or allow unprivileged user namespaces.",
            )
        temporary = tempfile.mkdtemp(prefix="armillary-app-", dir=launch_.temporary)
        return await launch_in_group(self.groups, self._report, launch_, self.plan(launch_, abi, temporary), on_event)

    def plan(self, launch_: Launch, abi: int, temporary: str) -> StartPlan:
        """How an application is started."""
        runtime = host.runtime()
        policy = confine.filter_policy(launch_.grant, namespaces=False, serial=bool(launch_.serial_ports))
        return StartPlan(
            command=(),
            interpreter=runtime.interpreter,
            configure=partial(self._configuration, launch_, abi, temporary),
            filter=compile_filter(kernel.machine(), policy),
            hosts=with_host_addresses(launch_.grant.hosts, hosts_file_entries()),
            server_ports=frozenset(launch_.grant.tcp_server_ports),
            udp_server_ports=frozenset(launch_.grant.udp_server_ports),
            interface=None if launch_.interface is None else str(launch_.interface),
            addresses=launch_.addresses,
            component_id=launch_.grant.component_id,
            program=launch_.entry_point,
            own_network=False,
            wraps=False,
            within_s=self.patience.start_s,
            cleanup=lambda: shutil.rmtree(temporary, ignore_errors=True),
        )

    def _configuration(self, launch_: Launch, abi: int, temporary: str) -> dict[str, Any]:
        runtime = host.runtime()
        root = launch_.image_root.resolve()
        folders = Folders(
            data=_resolved(launch_.data),
            device_authentication=_resolved(launch_.device_authentication),
            serial_ports={name: str(node.resolve()) for name, node in launch_.serial_ports.items()},
            full=launch_.storage_full,
        )
        paths = confine.outside_paths(runtime, str(root), temporary, folders, name_files=_existing(NAME_FILES))
        return {
            **plain_configuration(launch_, runtime, root, temporary),
            "drop_capabilities": True,
            "limits": dict(confine.outside_limits(launch_.grant)),
            "landlock": confine.landlock_rules(abi, paths),
        }


def with_host_addresses(hosts: AllowedHosts, entries: Mapping[str, frozenset[str]]) -> AllowedHosts:
    """Add the addresses that this machine's hosts file gives to declared names.

    The application reads that same file, so it connects to these addresses and not to stand-ins.
    """
    found = {parse_address(text) for name in hosts.names for text in entries.get(name, ())}
    return dataclasses.replace(hosts, addresses=hosts.addresses | {address for address in found if address is not None})


def _resolved(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _existing(paths: tuple[str, ...]) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def own_session(seen: Observations) -> tuple[bool, str]:
    """It began its session itself."""
    session, _, process = seen.of("session").partition(" ")
    return session == process, f"session, process: {seen.of('session')}"


JUDGES: Mapping[str, Judge] = {
    **SHARED,
    "session": own_session,
    "signals": expect("signal", "EPERM"),
    "read-only-image": expect("image", "EACCES"),
    "landlock": expect("landlock", "EACCES"),
    "resource-limits": limits(CORE=0, DATA=confine.DATA_SEGMENT_LIMIT_BYTES, NOFILE=confine.DESCRIPTOR_LIMIT),
}
