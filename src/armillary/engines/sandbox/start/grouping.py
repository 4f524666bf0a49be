# SPDX-License-Identifier: Apache-2.0
"""Starts an application in control groups of its own, where the host has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from armillary.capability.application_limits import ApplicationLimits
from armillary.capability.confine import DEVICE_FOLDER
from armillary.engines.sandbox.control_groups.groups import ApplicationGroup, DeviceGroups
from armillary.engines.sandbox.port import AppEvent, Launch, RunningApplication, SandboxReport
from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.start.starting import launch


async def launch_in_group(
    groups: DeviceGroups,
    report: SandboxReport | None,
    launch_: Launch,
    plan: StartPlan,
    on_event: Callable[[AppEvent], None],
) -> RunningApplication:
    """Start an application by the fork server, in groups that hold what the self-test has seen them hold.

    Raises:
        SandboxUnavailableError: a mechanism does not hold any more, or as ``launch``.
        InstallError: as ``launch``.
    """
    return await launch(replace(plan, opens=lambda: _open(groups, report, launch_)), on_event)


async def launch_from_group(
    groups: DeviceGroups,
    report: SandboxReport | None,
    launch_: Launch,
    plan: Callable[[ApplicationGroup | None], StartPlan],
    on_event: Callable[[AppEvent], None],
    *,
    wrapper_processes: int,
) -> RunningApplication:
    """As :func:`launch_in_group`, by a command which runs in the groups itself, with so many processes of its own."""
    limits = launch_.grant.limits
    group = _open(groups, report, launch_, replace(limits, processes=limits.processes + wrapper_processes))
    try:
        found = plan(group)
    except BaseException:  # whatever it is, the groups do not stay
        if group is not None:
            group.end()
        raise
    return await launch(found, on_event)


def _open(
    groups: DeviceGroups, report: SandboxReport | None, launch_: Launch, limits: ApplicationLimits | None = None
) -> ApplicationGroup | None:
    seen = () if report is None else tuple(each.name for each in report.mechanisms if each.enforced)
    nodes = [Path(DEVICE_FOLDER, name) for name in launch_.grant.limits.devices]
    return groups.open(
        str(launch_.grant.component_id),
        limits or launch_.grant.limits,
        [*nodes, *launch_.serial_ports.values()],
        required=seen,
    )
