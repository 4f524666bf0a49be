# SPDX-License-Identifier: Apache-2.0
"""Roll-outs as they come out of the records, as in ``rows.py``; policies are in :mod:`armillary.rollout.policy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from armillary.rollout.policy import RolloutPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvent:
    """One thing that happened to a roll-out.

    Attributes:
        at: Unix seconds UTC.
        actor: Who did it; ``planner`` for the service itself.
        event: Of ``rollout/state.py``: hold, resume, roll-back, restored, finish or cancel.
        reason: Why, in words.
        finding_id: The finding that was the reason, or that tells of it.
    """

    at: int
    actor: str
    event: str
    reason: str
    finding_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A staged roll-out of a deployment over a device group.

    Attributes:
        state: ``running``, ``held``, ``rolling-back``, ``rolled-back``, ``completed`` or ``cancelled``.
        cohort: Index of the newest started cohort; -1 before the first starts.
        cohort_started_at: When it started.
        reason: Why it is held, was rolled back or cancelled; "" while it runs.
        counts: Devices per state of :class:`RolloutDevice`, and ``waiting`` for those not started.
        failed: Devices that failed, also those that were restored since.
        history: What happened to it, oldest first.
    """

    rollout_id: UUID
    catalog_id: UUID
    group_id: UUID
    catalog: str
    product: str
    group: str
    deployment_id: UUID
    previous_deployment_id: UUID | None
    policy: RolloutPolicy
    state: str
    cohort: int
    cohort_started_at: int | None
    reason: str
    created_at: int
    created_by: str
    changed_at: int
    counts: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    history: tuple[RolloutEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDevice:
    """Where one device stands in a roll-out.

    Attributes:
        state: ``started`` (may be offered), ``offered``, ``confirmed``, ``reverted``, ``failed``, ``timed-out``,
            ``restored`` (rolled back and confirmed).
        failure: ``reverted``, ``failed`` or ``timed-out`` where it failed, also after it was restored; "" otherwise.
        reason: Why it failed.
    """

    rollout_id: UUID
    device_id: str
    cohort: int
    state: str
    started_at: int
    offered_at: int | None
    finished_at: int | None
    reason: str
    failure: str = ""
