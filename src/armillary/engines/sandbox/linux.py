# SPDX-License-Identifier: Apache-2.0
"""The ``linux`` sandbox: namespaces by bubblewrap, then the launcher: own user, limits, Landlock, seccomp.

Started by root, each application runs as its own user in the host's user namespace. Started by anybody else, it
runs in a new user namespace as the user who started the device. Either way without any capability.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armillary.capability import confine, network
from armillary.capability.confine import Folders, ImageTree, Runtime
from armillary.capability.grant import Grant
from armillary.capability.seccomp import compile_filter
from armillary.engines.sandbox.control_groups import report as group_report
from armillary.engines.sandbox.control_groups.groups import ApplicationGroup, DeviceGroups, device_groups
from armillary.engines.sandbox.crash.ptrace import can_trace
from armillary.engines.sandbox.linux_report import (
    ALWAYS_WEAKER,
    AS_USER,
    NOT_LOADED,
    NOT_ROOT,
    QUOTA,
    absent_images,
    judges,
    no_images,
)
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, SandboxReport
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.entry import GIVES_WAY, check_launch, environment, refuse_image
from armillary.engines.sandbox.start.grouping import launch_in_group
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.storage.image import prepare, try_image
from armillary.engines.sandbox.within.image_root import give_tree, share_tree_with_group
from armillary.engines.sandbox.within.self_test import judge_all, observe
from armillary.errors import InstallError

USERS = "application:x:{user}:{group}::/tmp:/nonexistent\n"
GROUPS = "application:x:{group}:\n"
# bwrap itself, and what it leaves in the application's process namespace to wait for its children.
WRAPPER_PROCESSES = 2
NAME_SERVICE = b"passwd: files\ngroup: files\nhosts: files dns\n"


@dataclass(slots=True)
class LinuxSandbox:
    """Contains applications with everything the kernel offers."""

    bubblewrap: str
    own_user: bool = field(default_factory=lambda: os.geteuid() == 0)  # Give each application its own user; needs root
    groups: DeviceGroups = field(default_factory=device_groups)
    name: str = "linux"
    _report: SandboxReport | None = None

    def self_test(self) -> SandboxReport:
        """Run the probes once and cache the report."""
        if self._report is None:
            reason = try_image() if self.own_user else NOT_ROOT
            asked = {**judges(as_root=self.own_user, images=not reason), **group_report.judges(self.groups)}
            weaker = (
                *ALWAYS_WEAKER,
                *(() if self.own_user else (AS_USER,)),
                *((no_images(reason),) if reason else ()),
                *group_report.weaker(self.groups),
            )
            absent = (*absent_images(reason), *group_report.absent(self.groups))
            self._report = SandboxReport(self.name, judge_all(asked, observe(self, storage=not reason)), weaker, absent)
        return self._report

    async def start(self, launch_: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.Sandbox``."""
        check_launch(launch_)
        tree = host.image_tree(launch_.image_root)
        covering = tree.covering(host.runtime().folders)
        if covering:
            raise InstallError(
                f"image: expected no {', '.join(covering)} at the top, which the sandbox provides itself",
                remedy="Move these files to another folder of the image.",
            )
        storage = await asyncio.to_thread(self._open_storage, launch_)
        try:
            self._give_folders(launch_)
            return await launch_in_group(
                self.groups,
                self._report,
                launch_,
                lambda group: self.plan(launch_, tree, group, storage),
                on_event,
                wrapper_processes=WRAPPER_PROCESSES,
            )
        finally:
            if storage >= 0:
                os.close(storage)  # the application's own mounts hold it from now on

    def _give_folders(self, launch_: Launch) -> None:
        """As root, let the application's own user access its folders and serial ports."""
        if not self.own_user:
            return
        user = confine.application_user(launch_.manifest.component_id)
        if launch_.data is not None and (launch_.storage is None or not launch_.storage.exists()):
            give_tree(launch_.data, user)
        if launch_.device_authentication is not None:
            share_tree_with_group(launch_.device_authentication)
        for node in launch_.serial_ports.values():
            os.chown(node, user, -1)  # the device gives it back to its owner when it ends

    def _open_storage(self, launch_: Launch) -> int:
        """The mount of its mutable storage, or -1 where that is a folder."""
        if launch_.data is None or launch_.storage is None:
            return -1
        if not (self.own_user and (self._report is None or self._holds(QUOTA))):
            refuse_image(launch_)
            return -1
        user = confine.application_user(launch_.manifest.component_id)
        if not launch_.storage.exists():
            give_tree(launch_.data, user)  # it moves in as it is
        return prepare(launch_.storage, launch_.data, size_kb=launch_.grant.mutable_storage_kb, user=user)

    def _forbids_execution(self) -> bool:
        """Whether the self-test has seen that written files cannot be mapped for execution."""
        return self._holds(NOT_LOADED)

    def _holds(self, mechanism: str) -> bool:
        """Whether the self-test has seen that a mechanism holds."""
        return self._report is not None and any(
            each.name == mechanism and each.enforced for each in self._report.mechanisms
        )

    def plan(
        self, launch_: Launch, tree: ImageTree, group: ApplicationGroup | None = None, storage: int = -1
    ) -> StartPlan:
        """How an application is started."""
        runtime = host.runtime()
        folders = Folders(
            data=_text(launch_.data),
            device_authentication=_text(launch_.device_authentication),
            serial_ports={name: str(node.resolve()) for name, node in launch_.serial_ports.items()},
            interface=_text(launch_.interface),
            mounted=storage >= 0,
            full=launch_.storage_full and storage < 0,
        )
        generated = {path: _memory_file(content) for path, content in self._generated(launch_.grant).items()}
        arguments = confine.bubblewrap_arguments(
            runtime,
            tree,
            folders,
            generated=generated,
            user_namespace=None if self.own_user else confine.application_user(launch_.manifest.component_id),
        )
        policy = confine.filter_policy(launch_.grant, namespaces=True, serial=bool(launch_.serial_ports))
        return StartPlan(
            command=(self.bubblewrap, *arguments),
            interpreter=runtime.interpreter,
            configuration=self._configuration(launch_, runtime, tree, folders),
            filter=compile_filter(kernel.machine(), policy),
            hosts=launch_.grant.hosts,
            server_ports=frozenset(launch_.grant.tcp_server_ports),
            udp_server_ports=frozenset(launch_.grant.udp_server_ports),
            addresses=launch_.addresses,
            own_network=True,
            wraps=True,
            traces=can_trace(kernel.machine()) and _is_native(launch_),
            group=group,
            storage=storage,
            descriptors=tuple(generated.values()),
        )

    def _configuration(self, launch_: Launch, runtime: Runtime, tree: ImageTree, folders: Folders) -> dict[str, Any]:
        identity = None
        if self.own_user:
            user = confine.application_user(launch_.manifest.component_id)
            groups = [confine.DEVICE_AUTHENTICATION_GROUP] if folders.device_authentication is not None else []
            identity = {"uid": user, "gid": user, "groups": groups}
        abi = kernel.landlock_abi()
        rules = None
        if abi:
            rules = confine.landlock_rules(abi, confine.inside_paths(runtime, tree, folders))
        return {
            "identity": identity,
            "noexec": {"paths": confine.writable_places(folders), "required": self._forbids_execution()},
            "priority": GIVES_WAY,
            "drop_capabilities": True,
            "limits": dict(confine.resource_limits(launch_.grant)),
            "landlock": rules,
            "new_session": False,  # bwrap made one
            "supervisor": 0,  # bwrap watches its parent, and the whole process namespace ends with it
            "directory": "/",
            "argv": [launch_.manifest.entry_point, *launch_.manifest.cmd_args],
            "environment": environment(
                launch_,
                runtime.search_path,
                temporary=confine.TEMPORARY_FOLDER,
                data=confine.DATA_FOLDER,
                device_authentication=confine.DEVICE_AUTHENTICATION_FOLDER,
                serial_ports={name: confine.serial_path(name) for name in folders.serial_ports},
                interface=confine.APPLICATION_SOCKET,
            ),
        }

    def _generated(self, grant: Grant) -> Mapping[str, bytes]:
        user = confine.application_user(grant.component_id)
        return {
            "/etc/hosts": network.hosts_file(grant.hosts),
            "/etc/resolv.conf": network.resolver_configuration(),
            "/etc/nsswitch.conf": NAME_SERVICE,
            "/etc/passwd": USERS.format(user=user, group=user).encode(),
            "/etc/group": GROUPS.format(group=user).encode(),
        }


def _is_native(launch_: Launch) -> bool:
    """Whether its entry point is a program of the machine; a script's interpreter says itself where it was."""
    with (launch_.image_root / launch_.manifest.entry_point.removeprefix("/")).open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _memory_file(content: bytes) -> int:
    """A descriptor from which a child reads this content."""
    descriptor = os.memfd_create("armillary-sandbox")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
