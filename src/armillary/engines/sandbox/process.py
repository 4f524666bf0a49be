# SPDX-License-Identifier: Apache-2.0
"""The ``process`` sandbox: a plain child process. Nothing is enforced and it says so; for development only."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from armillary.engines.sandbox.port import AppEvent, Launch, Mechanism, RunningApplication, SandboxReport
from armillary.engines.sandbox.start import host
from armillary.engines.sandbox.start.entry import check_launch, plain_configuration, refuse_image
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.start.starting import launch

NOT_ENFORCED = "a plain process: nothing is enforced"
# What the other engines enforce and this one does not: the names are those of their reports.
MECHANISMS = ("capabilities", "seccomp", "namespaces", "network-broker", "host-files", "resource-limits", "landlock")
WEAKER = (
    "Nothing is enforced: applications can read and change everything this user can, and reach every host.",
    "Connections are not observed: an attempt at an undeclared host is neither refused nor reported.",
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ProcessSandbox:
    """Runs applications as they are."""

    name: str = "process"

    def self_test(self) -> SandboxReport:
        """Nothing to prove."""
        _log.warning("sandbox.nothing-enforced", extra={"sandbox": self.name, "weaker": list(WEAKER)})
        lacking = tuple(Mechanism(name, False, NOT_ENFORCED) for name in MECHANISMS)
        return SandboxReport(self.name, lacking, WEAKER, whole=False)

    async def start(self, launch_: Launch, on_event: Callable[[AppEvent], None]) -> RunningApplication:
        """Start an application; see ``port.Sandbox``."""
        check_launch(launch_)
        refuse_image(launch_)
        _log.warning("sandbox.nothing-enforced", extra={"sandbox": self.name, "application": launch_.manifest.name})
        root = launch_.image_root.resolve()
        temporary = tempfile.mkdtemp(prefix="armillary-app-", dir=launch_.temporary)
        runtime = host.runtime()
        plan = StartPlan(
            command=(),
            interpreter=runtime.interpreter,
            configure=lambda: {
                **plain_configuration(launch_, runtime, root, temporary),
                "priority": None,
                "drop_capabilities": False,
                "limits": {},
                "landlock": None,
            },
            filter=b"",
            hosts=launch_.grant.hosts,
            component_id=launch_.grant.component_id,
            program=launch_.entry_point,
            own_network=False,
            wraps=False,
            cleanup=lambda: shutil.rmtree(temporary, ignore_errors=True),
        )
        return await launch(plan, on_event)
