# SPDX-License-Identifier: Apache-2.0
"""What control groups have to prove in a self-test, and what is said where they are missing."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.engines.sandbox.control_groups.controllers import MECHANISMS
from armillary.engines.sandbox.control_groups.groups import DeviceGroups
from armillary.engines.sandbox.port import Mechanism
from armillary.engines.sandbox.within.self_test import PROBE_LIMITS, Judge, Observations, expect

# A sandbox holds without them: what they bound, other mechanisms bound for single processes.
OPTIONAL = frozenset(MECHANISMS.values())

_WITHOUT = {
    "memory-limit": "memory is bounded for each process, not for an application as a whole",
    "process-limit": "processes are bounded by user, where applications have users of their own",
    "processor-limit": "an application can take all processors; it gives way to the device",
    "device-list": "device nodes are withheld by mounts and file rules alone",
}


def _processes(seen: Observations) -> tuple[bool, str]:
    """The next process was refused when the limit was reached, and not later."""
    error, _, count = seen.of("processes").partition(" ")
    within = count.isdecimal() and int(count) <= PROBE_LIMITS.processes
    return error == "EAGAIN" and within, f"processes: {seen.of('processes')} of {PROBE_LIMITS.processes}"


def _processor(seen: Observations) -> tuple[bool, str]:
    """The kernel watched the group's part of the processors while the probes ran."""
    periods = 0 if seen.usage is None else seen.usage.processor_periods
    return periods > 0, f"watched in {periods} periods"


JUDGES: Mapping[str, Judge] = {
    "memory-limit": expect("shared-memory", "SIGKILL"),
    "process-limit": _processes,
    "processor-limit": _processor,
    "device-list": expect("withheld-device", "EPERM"),
}


def judges(groups: DeviceGroups) -> Mapping[str, Judge]:
    """What has to have been seen of those that this host can have."""
    return {name: JUDGES[name] for name in groups.mechanisms()}


def absent(groups: DeviceGroups) -> tuple[Mechanism, ...]:
    """Those that this host cannot have, each with what follows and why."""
    reason = groups.reason or "this host's groups have no such controller"
    had = groups.mechanisms()
    return tuple(
        Mechanism(name, False, f"{what} (control groups: {reason})")
        for name, what in _WITHOUT.items()
        if name not in had
    )


def weaker(groups: DeviceGroups) -> tuple[str, ...]:
    """Sentences for people about what is missing."""
    if groups.reason:
        sentence = (
            f"No control groups: {groups.reason}. Memory, processes and processor time are bounded for each process "
            "of an application, not for all of it."
        )
        return (sentence,)
    return tuple(
        f"Control groups of this host do not hold {name}: {_WITHOUT[name]}."
        for name in _WITHOUT
        if name not in groups.mechanisms()
    )
