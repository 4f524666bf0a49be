# SPDX-License-Identifier: Apache-2.0
"""Roll-outs as they come out of the records, as in ``rows.py``; policies are in :mod:`armillary.rollout.policy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from armillary.rollout.cohort import NOBODY
from armillary.rollout.policy import RolloutPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvent:
    """One thing that happened to a roll-out."""

    at: int  # Unix seconds UTC
    actor: str  # ``planner`` for the service itself
    event: str  # Of ``rollout/state.py``: approve, hold, resume, roll-back, restored, finish or cancel
    reason: str
    finding_id: UUID | None = None  # The finding that caused it, or that reports it


@dataclass(frozen=True, slots=True)
class RolloutCohort:
    """How far one cohort of a roll-out is."""

    name: str  # Of its ring, or ``to 25%``
    counts: Mapping[str, int]  # Devices per state of :class:`RolloutDevice`
    failed: int  # Including devices that were restored since


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPart:
    """One device group of a roll-out of applications, and what it gets."""

    group_id: UUID
    product: str
    group: str
    deployment_id: UUID  # Of the same images in every group
    previous_deployment_id: UUID | None


@dataclass(frozen=True, slots=True)
class RolloutCrashes:
    """Devices that crashed since a roll-out runs or was last resumed, and what that comes to (detect/sequential.py)."""

    devices: int  # With the release
    devices_before: int  # With the one before, in the same time
    evidence_percent: int  # Of what holds the roll-out; 100 and more is not told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A staged roll-out: of images over device groups of a catalog, or of an OS release over the groups of a feed."""

    rollout_id: UUID
    catalog_id: UUID | None  # None: an OS release for devices of all catalogs
    group_id: UUID | None  # Of applications, as ``deployment_id``: the one that goes last; None of an OS release
    catalog: str  # These three are empty where there is none
    product: str
    group: str
    deployment_id: UUID | None
    previous_deployment_id: UUID | None
    policy: RolloutPolicy
    state: str  # Of ``rollout/state.py``
    cohort: int  # Index of the newest started cohort; -1 before the first starts
    cohort_started_at: int | None
    due: int = 0  # Devices of that cohort that have not started yet
    reach: int = NOBODY  # Every device whose place is no higher has its turn (``rollout/cohort.py``)
    by_place: bool = True  # False: devices it started before they had places stand in their rows alone
    reached_at: int | None = None  # Since when that cohort is confirmed enough
    reason: str  # Of a hold, roll-back or cancellation; while it runs, why it starts no device, or ""
    created_at: int
    created_by: str
    changed_at: int
    # Devices per state of :class:`RolloutDevice`, and ``waiting`` for those not started
    counts: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0  # Including devices that were restored since
    cohorts: tuple[RolloutCohort, ...] = ()  # Of those that have started
    crashes: RolloutCrashes | None = None  # None: nothing crashed, or both releases cannot be compared
    history: tuple[RolloutEvent, ...] = ()  # Oldest first
    further: tuple[RolloutPart, ...] = ()  # Device groups that rings name beside ``group_id``
    release_id: UUID | None = None  # Of an OS release, as the next three; None of applications
    feed: str | None = None  # The OS feed whose groups get it, and into which it is promoted if it is for all catalogs
    chip: str = ""
    version: str = ""
    from_feed: str | None = None  # The feed that the release was promoted from; None: it has not been
    action_id: UUID | None = None  # The action whose devices alone get it (response/action.py); None: all of its groups

    @property
    def parts(self) -> tuple[RolloutPart, ...]:
        """The device groups that it decides for, each with what it gets; none of an OS release."""
        if self.group_id is None or self.deployment_id is None:
            return ()
        last = RolloutPart(
            group_id=self.group_id,
            product=self.product,
            group=self.group,
            deployment_id=self.deployment_id,
            previous_deployment_id=self.previous_deployment_id,
        )
        return (*self.further, last)

    @property
    def is_promoted(self) -> bool:
        """Whether its OS release was put into its feed, from where every catalog gets it."""
        return self.from_feed is not None

    @property
    def only_catalog_id(self) -> UUID | None:
        """The catalog that a roll-out of an OS release is for alone; None for all."""
        return None if self.is_promoted else self.catalog_id

    @property
    def target(self) -> str:
        """What is rolled out to whom, for people."""
        if self.release_id is None:
            more = f" and {len(self.further)} more" if self.further else ""
            return f"{self.product}/{self.group}{more}"
        return f"the {self.feed} groups of {self.catalog or 'all catalogs'} with OS {self.version} for {self.chip}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDevice:
    """Where one device stands in a roll-out."""

    rollout_id: UUID
    device_id: str
    cohort: int
    # ``started`` (may be offered), ``offered``, ``confirmed``, ``reverted``, ``failed``, ``timed-out``, ``restored``
    # (rolled back and confirmed) or ``left`` (in another group now, or revoked)
    state: str
    started_at: int
    offered_at: int | None
    finished_at: int | None
    reason: str
    # ``reverted``, ``failed`` or ``timed-out`` where it failed, also after it was restored; "" otherwise
    failure: str = ""
    waits_until: int | None = None  # When it may begin that waits for a maintenance window, or for an application
