# SPDX-License-Identifier: Apache-2.0
"""Quarantine requests: somebody who watches a device (a rule of the hub) asks that it be kept apart.

A request is a finding, and a person decides: what a device measures is its own word, and a rule that a tampered device
can make fire must not be able to revoke its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping

from armillary.engines.records.queries import devices as device_rows
from armillary.service.context.context import Context
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import Watch
from armillary.wire.device.finding import SEVERITIES

KIND = "quarantine-requested"
MAX_CAUSE_CHARACTERS = 1000


class QuarantineRequests:
    """Takes requests; from any thread."""

    def __init__(self, context: Context, watch: Watch) -> None:
        self._context = context
        self._watch = watch

    def request(self, device_id: str, said: Mapping[str, str]) -> None:
        """Record a request as a finding; while it is open, another of the same rule and device only counts.

        ``said`` has the texts ``rule``, ``rule_id``, ``severity``, ``why`` and ``reason``.
        """
        found = self._context.records.read(lambda c: device_rows.enrolled(c, device_id))
        severity = said.get("severity", "")
        reason = said.get("reason", "")
        cause = f"Rule {said.get('rule', '')!r} fired: {said.get('why', '')}" + (f" {reason}" if reason else "")
        self._watch.observe(
            Observation(
                kind=KIND,
                key=(device_id, said.get("rule_id", "")),
                severity=severity if severity in SEVERITIES else "high",
                title=f"A rule asks to quarantine device {device_id[:16]}",
                cause=cause[:MAX_CAUSE_CHARACTERS],
                proposed_action="Look at the device. To shut it out: armillary device revoke. Else close this finding.",
                device_ids=(device_id,),
                at=self._context.now(),
                catalog_id=None if found is None else found.catalog_id,
            )
        )
