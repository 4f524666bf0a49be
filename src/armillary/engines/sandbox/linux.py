# SPDX-License-Identifier: Apache-2.0
"""The ``linux`` sandbox: namespaces by bubblewrap, then the launcher: own user, limits, Landlock, seccomp.

Started by root, each application runs as its own user in the host's user namespace. Started by anybody else, it
runs in a new user namespace as the user who started the device. Either way without any capability.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from armillary.capability import confine
from armillary.capability.bubblewrap import bubblewrap_arguments
from armillary.capability.confine import Folders, ImageTree, Runtime
from armillary.capability.layout import hidden
from armillary.capability.seccomp import compile_filter
from armillary.capability.waiting import waiting_arguments, waiting_filter
from armillary.engines.sandbox import namespaces
from armillary.engines.sandbox.control_groups.groups import DeviceGroups, device_groups
from armillary.engines.sandbox.crash.ptrace import can_trace
from armillary.engines.sandbox.linux_report import ALWAYS_WEAKER, AS_USER, NOT_LOADED
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.patience import USUAL, Patience
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, SandboxReport
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.grouping import launch_in_group
from armillary.engines.sandbox.start.plan import StartPlan


@dataclass(slots=True)
class LinuxSandbox:
    """Contains applications with everything the kernel offers."""

    bubblewrap: str
    own_user: bool = field(default_factory=lambda: os.geteuid() == 0)  # Give each application its own user; needs root
    groups: DeviceGroups = field(default_factory=device_groups)
    name: str = "linux"
    _report: SandboxReport | None = None
    patience: Patience = field(default=USUAL, kw_only=True)  # Also when it starts applications

    def self_test(self) -> SandboxReport:
        """Run the probes once and cache the report."""
        if self._report is None:
            weaker = (*ALWAYS_WEAKER, *(() if self.own_user else (AS_USER,)))
            self._report = namespaces.tested(
                self, self.groups, as_root=self.own_user, weaker=weaker, patience=self.patience
            )
        return self._report

    async def start(self, launch_: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.Sandbox``."""

        async def begin(tree: ImageTree, storage: int) -> RunningApplication:
            plan = self.plan(launch_, tree, storage)
            return await launch_in_group(self.groups, self._report, launch_, plan, on_event)

        return await namespaces.started(launch_, begin, report=self._report, own_user=self.own_user)

    def plan(self, launch_: Launch, tree: ImageTree, storage: int = -1) -> StartPlan:
        """How an application is started."""
        runtime = host.runtime()
        waiting = host.waiting_programs(runtime)
        folders = namespaces.folders(launch_, storage)
        generated = {
            path: namespaces.memory_file(content) for path, content in namespaces.own_files(launch_.grant).items()
        }
        arguments = bubblewrap_arguments(
            runtime,
            tree,
            folders,
            generated=generated,
            user_namespace=None if self.own_user else namespaces.application_user(launch_),
            hides=not self.own_user,
        )
        held = namespaces.memory_file(waiting_filter(kernel.machine(), as_root=self.own_user))
        waits = waiting_arguments(waiting, filter_descriptor=held, as_root=self.own_user)
        policy = confine.filter_policy(launch_.grant, namespaces=True, serial=bool(launch_.serial_ports))
        return StartPlan(
            command=(self.bubblewrap, *arguments, *waits),
            interpreter=runtime.interpreter,
            configure=partial(self._configuration, launch_, runtime, tree, folders),
            filter=compile_filter(kernel.machine(), policy),
            hosts=launch_.grant.hosts,
            server_ports=frozenset(launch_.grant.tcp_server_ports),
            udp_server_ports=frozenset(launch_.grant.udp_server_ports),
            addresses=launch_.addresses,
            component_id=launch_.grant.component_id,
            program=launch_.entry_point,
            own_network=True,
            wraps=True,
            traces=can_trace(kernel.machine()) and namespaces.is_native(launch_) and not launch_.debugged,
            storage=storage,
            descriptors=(*generated.values(), held),
            within_s=self.patience.start_s,
        )

    def _configuration(self, launch_: Launch, runtime: Runtime, tree: ImageTree, folders: Folders) -> dict[str, Any]:
        identity = None
        if self.own_user:
            user = namespaces.application_user(launch_)
            identity = {"uid": user, "gid": user, "groups": namespaces.groups(folders)}
        required = namespaces.holds(self._report, NOT_LOADED)  # that written files cannot be mapped for execution
        return namespaces.launcher(launch_, runtime, tree, folders) | {
            "identity": identity,
            "hidden": hidden(runtime) if self.own_user else None,
            "noexec": {"paths": confine.writable_places(folders), "required": required},
            "limits": dict(confine.resource_limits(launch_.grant)),
            "new_session": True,
        }
