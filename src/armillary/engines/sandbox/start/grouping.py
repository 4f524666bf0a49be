# SPDX-License-Identifier: Apache-2.0
"""Starts an application in control groups of its own, where the host has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from armillary.capability.confine import DEVICE_FOLDER
from armillary.engines.sandbox.control_groups.groups import ApplicationGroup, DeviceGroups
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, SandboxReport
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.start.starting import launch


async def launch_in_group(
    groups: DeviceGroups,
    report: SandboxReport | None,
    launch_: Launch,
    plan: Callable[[ApplicationGroup | None], StartPlan],
    on_event: Callable[[AppEvent], None],
    *,
    wrapper_processes: int = 0,
) -> RunningApplication:
    """Start an application by plan in groups that hold what the self-test has seen them hold.

    ``wrapper_processes`` run beside it, in its groups, as long as it does.

    Raises:
        SandboxUnavailableError: a mechanism does not hold any more, or as ``launch``.
        InstallError: as ``launch``.
    """
    seen = () if report is None else tuple(each.name for each in report.mechanisms if each.enforced)
    nodes = [Path(DEVICE_FOLDER, name) for name in launch_.grant.limits.devices]
    limits = replace(launch_.grant.limits, processes=launch_.grant.limits.processes + wrapper_processes)
    group = groups.open(
        str(launch_.grant.component_id), limits, [*nodes, *launch_.serial_ports.values()], required=seen
    )
    try:
        found = plan(group)
    except BaseException:  # whatever it is, the groups do not stay
        if group is not None:
            group.end()
        raise
    return await launch(found if group is None else _ending(found, group), on_event)


def _ending(plan: StartPlan, group: ApplicationGroup) -> StartPlan:
    """The plan, ending the groups too when the application is gone."""

    def cleanup() -> None:
        group.end()
        plan.cleanup()

    return replace(plan, cleanup=cleanup)
