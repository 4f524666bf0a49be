# SPDX-License-Identifier: Apache-2.0
"""The ``crun`` sandbox: an OCI container for each application, and inside it the launcher.

What contains is the same as in ``linux``; who makes it is another program, from a bundle as every OCI runtime takes it
(``capability/oci.py``). The runtime changes the user and gives up the capabilities, so nothing inside ever has one;
the launcher adds what OCI cannot say. Control groups are the device's own (``control_groups``).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from armillary.capability import confine, oci
from armillary.capability.confine import Folders, ImageTree
from armillary.capability.grant import Grant
from armillary.capability.layout import places
from armillary.capability.oci import Bundle
from armillary.capability.seccomp import compile_filter
from armillary.engines.sandbox import namespaces
from armillary.engines.sandbox.control_groups.groups import ApplicationGroup, DeviceGroups, device_groups
from armillary.engines.sandbox.crash.ptrace import can_trace
from armillary.engines.sandbox.linux_report import ALWAYS_WEAKER, AS_USER
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.oci.runtime import Runtime
from armillary.engines.sandbox.patience import USUAL, Patience
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, SandboxReport
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.grouping import launch_from_group
from armillary.engines.sandbox.start.plan import StartPlan

# crun itself, and the shell that is the first process inside.
WRAPPER_PROCESSES = 2
# The first process inside: it waits for the application and for whatever else loses its parent there.
FIRST = '"$@" & exec >/dev/null 2>&1; wait $!'
STARTER_SOURCE = (Path(__file__).parent / "oci" / "starter.py").read_text("utf-8")
RECEIVER_SOURCE = (Path(__file__).parent / "oci" / "receiver.py").read_bytes()
# Where these are inside; the launcher's rules leave them to nobody.
RECEIVER, LAUNCHER = "/run/armillary/receiver.py", "/run/armillary/launcher.py"

WEAKER = (
    "The first process inside is a shell of the host. It has the application's user, namespaces and limits, a list of "
    "system calls that looks at fewer arguments, and no Landlock. The application neither reads nor changes it."
)


@dataclass(slots=True)
class CrunSandbox:
    """Contains applications in OCI containers."""

    runtime: Runtime
    own_user: bool = field(default_factory=lambda: os.geteuid() == 0)  # Give each application its own user; needs root
    groups: DeviceGroups = field(default_factory=device_groups)
    name: str = "crun"
    _report: SandboxReport | None = None
    patience: Patience = field(default=USUAL, kw_only=True)  # Also when it starts applications

    def self_test(self) -> SandboxReport:
        """Run the probes once and cache the report."""
        if self._report is None:
            weaker = (*ALWAYS_WEAKER, WEAKER, *(() if self.own_user else (AS_USER,)))
            self._report = namespaces.tested(
                self, self.groups, as_root=self.own_user, weaker=weaker, patience=self.patience
            )
        return self._report

    async def start(self, launch_: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.Sandbox``."""

        async def begin(tree: ImageTree, storage: int) -> RunningApplication:
            return await launch_from_group(
                self.groups,
                self._report,
                launch_,
                lambda group: self.plan(launch_, tree, group, storage),
                on_event,
                wrapper_processes=WRAPPER_PROCESSES,
            )

        return await namespaces.started(launch_, begin, report=self._report, own_user=self.own_user)

    def plan(
        self, launch_: Launch, tree: ImageTree, group: ApplicationGroup | None = None, storage: int = -1
    ) -> StartPlan:
        """How an application is started."""
        runtime = host.runtime()
        folders = namespaces.folders(launch_, storage)
        policy = confine.filter_policy(launch_.grant, namespaces=True, serial=bool(launch_.serial_ports))
        # Root alone looks into it: what is mounted there is seen by the container's processes and by nobody else.
        folder = tempfile.mkdtemp(prefix="armillary-app-", dir=launch_.temporary)
        try:
            specification, descriptors = self._specification(launch_, tree, folders, folder, storage)
        except BaseException:  # whatever it is, the folder does not stay
            _remove(folder)
            raise
        return StartPlan(
            command=(runtime.interpreter, "-I", "-S", "-c", STARTER_SOURCE, str(specification)),
            interpreter=runtime.interpreter,
            configure=partial(namespaces.launcher, launch_, runtime, tree, folders),
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
            served=False,
            group=group,
            descriptors=(specification, *descriptors),
            within_s=self.patience.start_s,
            cleanup=lambda: _remove(folder),
        )

    def bundle(self, launch_: Launch, tree: ImageTree, folders: Folders, storage_path: str) -> Bundle:
        """What crun is told."""
        runtime = host.runtime()
        # It has no capability and is a program of the host: it must not take a library from the image's lib folder.
        environment = ("PATH=/usr/bin", f"LD_LIBRARY_PATH={':'.join(runtime.library_search)}")
        first = (self.runtime.setpriv, "--pdeathsig", "KILL", self.runtime.shell, "-c", FIRST, "armillary-first")
        process = oci.Process(
            arguments=first,
            environment=environment,
            user=namespaces.application_user(launch_),
            groups=namespaces.groups(folders) if self.own_user else (),
            memory_score=max(confine.MEMORY_SCORE, _own_memory_score()),
        )
        return oci.bundle(
            launch_.grant,
            places(runtime, tree, folders, _files(launch_.grant)),
            process,
            machine=kernel.machine(),
            storage=storage_path if folders.mounted else None,
            user_namespace=not self.own_user,
        )

    def _specification(
        self, launch_: Launch, tree: ImageTree, folders: Folders, folder: str, storage: int
    ) -> tuple[int, list[int]]:
        """What the starter is told, as a descriptor, and the other descriptors that it needs."""
        storage_path = f"{folder}/storage"
        bundle = self.bundle(launch_, tree, folders, storage_path)
        content = _files(launch_.grant)
        handed = [os.dup(storage)] if storage >= 0 else []
        asked = {
            "crun": self.runtime.crun,
            "folder": folder,
            "supervisor": os.getpid(),
            "as_user": not self.own_user,
            "storage": handed[0] if handed else None,
            "storage_path": storage_path,
            "root": oci.ROOT_FOLDER,
            "folders": bundle.folders,
            "links": bundle.links,
            "files": {path: content[path].decode() for path in bundle.files},
            "receiver": RECEIVER,
            "launcher": LAUNCHER,
            "config": bundle.config,
        }
        return namespaces.memory_file(json.dumps(asked).encode()), handed


def _files(grant: Grant) -> Mapping[str, bytes]:
    """The files that are written into a bundle."""
    return {**namespaces.own_files(grant), RECEIVER: RECEIVER_SOURCE}


def _remove(folder: str) -> None:
    """Remove the folder that the bundle was mounted at: what was in it ended with the container."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)  # noqa: PTH106 - never what is below it


def _own_memory_score() -> int:
    """How soon the kernel ends this device where memory runs out: an application is never later."""
    return int(Path("/proc/self/oom_score_adj").read_text("ascii"))
