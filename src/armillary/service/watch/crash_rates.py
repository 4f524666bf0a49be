# SPDX-License-Identifier: Apache-2.0
"""Crash rates of a roll-out: which error reports are evidence, counted once each, in the order in which they came.

Devices that confirmed have the release, those that have not begun or not finished have the one before; of the latter
those count that checked in since the roll-out runs. What a device reported together with its confirmation may be of
either release and is no evidence, nor is what devices of rings report: people chose them, and not chance. The evidence
and the reports that are in it are kept in one commit, so that a crash of the service loses and doubles nothing. After a
resumption it begins anew: a person has accepted what was known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.detect.sequential import COUNTED, AtRisk, CrashEvidence
from armillary.engines.records.queries import reports as report_rows
from armillary.engines.records.queries.planning import crashes as crash_rows
from armillary.engines.records.queries.planning.crashes import CrashedDevice, KeptEvidence
from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.rollout.comparison import ENOUGH_DEVICES, CrashRates

# Fewer devices cannot be compared with each other: soon all but some have the release.
LEAST_DEVICES: Final = 2 * ENOUGH_DEVICES
# Error reports that one look takes; the rest are the next one's.
REPORTS_AT_ONCE: Final = 2000
# Reports are numbered before they are committed: several writers may commit a lower number a little later. What is
# looked at again counts once.
IN_FLIGHT: Final = 500
# How many devices have the release before is counted this often where it takes long: among more than so many.
COUNT_EVERY_S: Final = 60
COUNTED_AT_ONCE: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAtCrashes:
    """What a look found.

    Attributes:
        kept: What was kept before; None before the first look.
        now: What is to be kept instead, with how often devices crashed (row number: crashes); None: the same.
    """

    rates: CrashRates
    kept: KeptEvidence | None
    now: KeptEvidence | None = None
    crashes: Mapping[int, int] = field(default_factory=dict)


class CrashLooks:
    """Reads what new error reports say about the crash rates of roll-outs. For the planner's thread alone."""

    def __init__(self) -> None:
        # By roll-out: when its devices with the release before were counted, and how many they were.
        self._before: dict[UUID, tuple[int, int]] = {}

    def look(
        self,
        connection: Connection,
        rollout: Rollout,
        image_ids: Collection[UUID] | None,
        *,
        confirmed: int,
        devices: int,
        now: int,
    ) -> LookedAtCrashes | None:
        """How often devices crash with a running roll-out's release and with the one before.

        ``image_ids`` are those of both; None: any. ``confirmed`` of ``devices`` have the release. None where they
        cannot be compared: too few devices, none yet that chance has chosen, or a policy that asks for no test.
        """
        policy = rollout.policy
        if rollout.state != "running" or not policy.false_hold_percent or devices < LEAST_DEVICES:
            return None
        if rollout.cohort < len(policy.rings):  # chosen by people, and like no others
            return None
        kept = crash_rows.evidence(connection, rollout)
        evidence = CrashEvidence() if kept is None else CrashEvidence(*crash_rows.evidence_from(kept.document))
        newest = report_rows.newest_number(connection, "error_report")
        position = max(0, newest - REPORTS_AT_ONCE) if kept is None else kept.position
        up_to = min(newest, position + REPORTS_AT_ONCE)
        before = self._with_the_one_before(connection, rollout, confirmed, devices, now)
        if kept is not None and up_to <= position:
            return LookedAtCrashes(rates=_rates(evidence, confirmed, before), kept=kept)
        found = crash_rows.crashed(connection, rollout, image_ids, after=max(0, position - IN_FLIGHT), up_to=up_to)
        if kept is None:  # what was counted in an earlier run of the roll-out counts no more
            found = [one._replace(counted=0) for one in found]
        fresh = [one for one in found if one.crashes > one.counted]
        if not fresh and up_to - position < IN_FLIGHT:  # idle: nothing to keep
            return LookedAtCrashes(rates=_rates(evidence, confirmed, before), kept=kept)
        had = [(0, 0)] * COUNTED
        if kept is not None and fresh:
            had = crash_rows.counted(connection, rollout, COUNTED)
        crashed = AtRisk(sum(new for new, _ in had), sum(old for _, old in had))
        at_risk = [AtRisk(confirmed - crashed.new, before - crashed.before), *(AtRisk(*one) for one in had)]
        evidence = _taken(evidence, fresh, at_risk)
        kept_now = KeptEvidence(up_to, crash_rows.document_of(evidence.logs, evidence.new, evidence.before))
        return LookedAtCrashes(
            rates=_rates(evidence, confirmed, before),
            kept=kept,
            now=kept_now,
            crashes={one.number: one.crashes for one in fresh},
        )

    def _with_the_one_before(
        self, connection: Connection, rollout: Rollout, confirmed: int, devices: int, now: int
    ) -> int:
        """How many devices have the release before, counted now or lately; never more than have not confirmed."""
        counted_at, count = self._before.get(rollout.rollout_id, (0, 0))
        if devices <= COUNTED_AT_ONCE or not 0 <= now - counted_at < COUNT_EVERY_S:
            count = crash_rows.without_release(connection, rollout, devices=devices)
            self._before[rollout.rollout_id] = now, count
        return max(0, min(count, devices - confirmed))


def _taken(evidence: CrashEvidence, fresh: Sequence[CrashedDevice], at_risk: list[AtRisk]) -> CrashEvidence:
    """The evidence with what these devices add, one after the other; ``at_risk`` by crashes that devices have had."""
    for one in fresh:
        if one.is_new is None:
            continue
        for had in range(one.counted, min(one.crashes, COUNTED)):
            evidence = evidence.after(at_risk[had], is_new=one.is_new, is_first=had == 0)
            at_risk[had] = _moved(at_risk[had], -1, is_new=one.is_new)
            at_risk[had + 1] = _moved(at_risk[had + 1], 1, is_new=one.is_new)
    return evidence


def _moved(at_risk: AtRisk, devices: int, *, is_new: bool) -> AtRisk:
    return AtRisk(at_risk.new + devices * is_new, at_risk.before + devices * (not is_new))


def _rates(evidence: CrashEvidence, confirmed: int, before: int) -> CrashRates:
    return CrashRates(
        evidence.log,
        evidence.new,
        max(0, confirmed - evidence.new),
        evidence.before,
        max(0, before - evidence.before),
    )
