# SPDX-License-Identifier: Apache-2.0
"""What a device tells of its sandbox: in its status, and to its service where that is weaker than it could be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from armillary.device.state.reports import Incident, ReportQueue

if TYPE_CHECKING:
    from armillary.engines.sandbox.port import SandboxReport

# The service makes a finding of it, from the self-test in the evidence of the same check-in.
WEAKENED: Final = "SandboxWeakened"


def sandbox_status(report: SandboxReport, asked_for: str) -> dict[str, object]:
    """The part of the status; ``asked_for`` names the engine that the device was made with."""
    return {
        "name": report.sandbox,
        "asked_for": asked_for,
        "complete": report.complete,
        "mechanisms": [
            {"name": mechanism.name, "enforced": mechanism.enforced, "detail": mechanism.detail}
            for mechanism in report.mechanisms
        ],
        "weaker": list(report.weaker),
    }


def report_weakness(report: SandboxReport, queue: ReportQueue) -> None:
    """Queue a report of a sandbox that is not the one asked for, or of which mechanisms do not hold.

    Not of ``reduced`` or ``process`` where somebody asked for that: they have less on every host.
    """
    reasons = (report.fallen,) if report.fallen else report.missing() if report.whole else ()
    if reasons:
        description = f"{WEAKENED} (sandbox={report.sandbox}): {'; '.join(reasons)}"
        queue.add(Incident(event_type=WEAKENED, event_class="OS", description=description))
